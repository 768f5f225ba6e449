"""Computes the overlap of two shapes in all orientations at once, by a fast Fourier transform over rotations.

With complex spherical-harmonic coefficients f_nlm and g_nlm, the overlap of f with g turned by the rotation
R = Rz(alpha) Ry(beta) Rz(gamma) is

    C(R) = sum_mm' exp(-i m alpha - i m' gamma) sum_l d^l_mm'(beta) sum_n conj(f_nlm) g_nlm',

a two-dimensional Fourier sum for each beta, with a table of the Wigner d^l. (J. A. Kovacs, W. Wriggers, Acta Cryst.
D58, 1282, 2002, transform beta as well; at the small degrees used here the table is simpler.) Used by `alignment`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from saxsae.profiles import zernike


def small_rotation(vector: jax.Array) -> jax.Array:
    """Returns the rotation matrix (3, 3) about `vector` (3,) by 2 arctan(|vector| / 2) radians.

    It is exactly orthogonal, and differentiable at zero.
    """
    x, y, z = vector / 2
    cross = jnp.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return jnp.eye(3) + 2 / (1 + x * x + y * y + z * z) * (cross + cross @ cross)


def wigner_small_d(l: int, beta: np.ndarray) -> np.ndarray:
    """Returns d^l_mm'(beta) = <lm| exp(-i beta J_y) |lm'> in float64: (B,) radians -> (B, 2l + 1, 2l + 1)."""
    m = np.arange(-l, l)
    raising = np.diag(np.sqrt(l * (l + 1) - m * (m + 1.0)), -1)  # <m + 1| J_+ |m>
    values, vectors = np.linalg.eigh((raising - raising.T) / 2j)
    phases = np.exp(-1j * np.asarray(beta)[:, None] * values)
    return np.einsum("ik,bk,jk->bij", vectors, phases, vectors.conj()).real


@functools.lru_cache
def _euler_grid(l_max: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the betas (B,) and the alphas (A,), which are also the gammas, in radians; B = l_max + 4, A = 2 B.

    Neighbours are 180 / B degrees apart.
    """
    betas = (np.arange(l_max + 4) + 0.5) * np.pi / (l_max + 4)
    count = 2 * l_max + 8
    return betas, np.arange(count) * 2 * np.pi / count


@functools.lru_cache
def grid_rotations(l_max: int) -> np.ndarray:
    """Returns the rotations Rz(alpha) Ry(beta) Rz(gamma) of `correlate_orientations`, (B * A * A, 3, 3) float32."""
    betas, alphas = _euler_grid(l_max)

    def rotations_about(angles, axis):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        matrices = np.zeros((len(angles), 3, 3))
        matrices[:, axis, axis] = 1.0
        matrices[:, first, first] = matrices[:, second, second] = np.cos(angles)
        matrices[:, second, first], matrices[:, first, second] = np.sin(angles), -np.sin(angles)
        return matrices

    about_z = rotations_about(alphas, 2)
    product = np.einsum("aij,bjk,gkl->bagil", about_z, rotations_about(betas, 1), about_z, optimize=True)
    return product.reshape(-1, 3, 3).astype(np.float32)


@functools.lru_cache
def _wigner_table(l_max: int) -> np.ndarray:
    """Returns d^l_mm' at the betas of the grid for m' >= 0: (B, l, m = -l_max..l_max, m' = 0..l_max) float32."""
    betas, _ = _euler_grid(l_max)
    table = np.zeros((len(betas), l_max + 1, 2 * l_max + 1, l_max + 1), np.float32)
    for l in range(l_max + 1):
        table[:, l, l_max - l:l_max + l + 1, :l + 1] = wigner_small_d(l, betas)[:, :, l:]
    return table


@functools.lru_cache
def _complex_layout(n_max: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the indices and factors by which complex moments are computed from real ones.

    Returns:
      The indices of c_nlm and of c_nl,-m among the K moments, for each (n, l, m >= 0), with K where there is no such
      moment: two arrays (n_max + 1, n_max + 1, n_max + 1); and a factor for each m: (n_max + 1,) float32.
    """
    n, l, m = zernike.modes(n_max)
    places = np.full((2, n_max + 1, n_max + 1, n_max + 1), len(n))
    index = np.arange(len(n))
    places[0, n[m >= 0], l[m >= 0], m[m >= 0]] = index[m >= 0]
    places[1, n[m < 0], l[m < 0], -m[m < 0]] = index[m < 0]
    scale = np.where(np.arange(n_max + 1) % 2, -1.0, 1.0) / np.sqrt(2.0)
    scale[0] = 1.0
    return places[0], places[1], scale.astype(np.float32)


def _complex_coefficients(moments: jax.Array, n_max: int) -> jax.Array:
    """Returns the complex f_nlm, m >= 0, of real moments (K,): (n_max + 1, n_max + 1, n_max + 1), zero-padded."""
    cosine, sine, scale = _complex_layout(n_max)
    padded = jnp.append(moments, 0.0)
    return jax.lax.complex(padded[cosine], -padded[sine]) * scale


def correlate_orientations(fixed: jax.Array, moving: jax.Array, n_max: int) -> jax.Array:
    """Returns the overlap of one shape with another in all orientations of a grid of B * A * A rotations.

    Args:
      fixed: (K,) Zernike moments of order `n_max`.
      moving: (K,) Zernike moments of the shape that is turned, in the same unit sphere.
      n_max: Zernike order (static).

    Returns:
      (B * A * A,) float32 overlaps of `fixed` with `moving` turned by each of `grid_rotations(n_max)`.
    """
    f, g = (_complex_coefficients(x, n_max) for x in (fixed, moving))
    signs = np.where(np.arange(n_max, 0, -1) % 2, -1.0, 1.0).astype(np.float32)
    f = jnp.concatenate([f[..., :0:-1].conj() * signs, f], -1)  # m < 0: (-1)^m conj(f_nl|m|)
    # The sum is real and so equals its conjugate, which is an inverse transform that needs only m' >= 0.
    shells = jnp.einsum("nlm,nlk->lmk", f, g.conj(), precision="highest")
    angular = jnp.sum(_wigner_table(n_max) * shells, axis=1)
    count = len(_euler_grid(n_max)[1])
    spectrum = jnp.zeros((angular.shape[0], count, count // 2 + 1), angular.dtype)
    spectrum = spectrum.at[:, np.arange(-n_max, n_max + 1), :n_max + 1].set(angular)
    return (jnp.fft.irfft2(spectrum, (count, count)) * count**2).reshape(-1)


def find_distinct_maxima(values: jax.Array, matrices: jax.Array, count: int, apart_degrees: float) -> jax.Array:
    """Returns the indices of the largest values whose rotations differ by at least an angle.

    Args:
      values: (P,) scores.
      matrices: (P, 3, 3) rotations, or orthogonal matrices.
      count: number of indices (static).
      apart_degrees: smallest angle between two chosen rotations, below 90. Matrices of opposite hand always differ.

    Returns:
      (count,) int32, by descending value. If too few rotations are that far apart, the remaining indices are 0.
    """
    flat = matrices.reshape(-1, 9)
    limit = 1 + 2 * np.cos(np.deg2rad(apart_degrees))  # trace of a rotation by this angle

    def step_fn(values, _):
        best = jnp.argmax(values)
        return jnp.where(flat @ flat[best] > limit, -jnp.inf, values), best

    return jax.lax.scan(step_fn, values, length=count)[1]
