"""Rotations, and the overlap of two shapes in every orientation at once (FFT on SO(3)).

With complex spherical-harmonic coefficients f_nlm and g_nlm, the overlap of f with g turned by
R = Rz(alpha) Ry(beta) Rz(gamma) is

    C(R) = sum_mm' exp(-i m alpha - i m' gamma) sum_l d^l_mm'(beta) sum_n conj(f_nlm) g_nlm',

a two-dimensional Fourier sum for each beta (Kovacs and Wriggers 2002 make beta a third; for the
small degrees needed here a table of d^l is the simpler way).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from saxsae.profiles import zernike


def small_rotation(vector: jax.Array) -> jax.Array:
    """The rotation about `vector` (3,) by 2 arctan(|vector| / 2): exact, and smooth at zero."""
    x, y, z = vector / 2
    cross = jnp.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return jnp.eye(3) + 2 / (1 + x * x + y * y + z * z) * (cross + cross @ cross)


def wigner_small_d(l: int, beta: np.ndarray) -> np.ndarray:  # noqa: E741
    """d^l_mm'(beta) = <lm| exp(-i beta J_y) |lm'> in float64: (B,) -> (B, 2l + 1, 2l + 1)."""
    m = np.arange(-l, l)
    raising = np.diag(np.sqrt(l * (l + 1) - m * (m + 1.0)), -1)  # <m + 1| J_+ |m>
    values, vectors = np.linalg.eigh((raising - raising.T) / 2j)
    phases = np.exp(-1j * np.asarray(beta)[:, None] * values)
    return np.einsum("ik,bk,jk->bij", vectors, phases, vectors.conj()).real


@functools.lru_cache
def _euler_grid(l_max: int) -> tuple[np.ndarray, np.ndarray]:
    """Midpoint betas (B,) and the alphas (A,), which serve as gammas: 150 / l_max degrees apart."""
    betas = (np.arange(l_max + 4) + 0.5) * np.pi / (l_max + 4)
    count = 2 * l_max + 8
    return betas, np.arange(count) * 2 * np.pi / count


@functools.lru_cache
def grid_rotations(l_max: int) -> np.ndarray:
    """Rz(alpha) Ry(beta) Rz(gamma) on the grid of `correlate`: (B * A * A, 3, 3) float32."""
    betas, alphas = _euler_grid(l_max)

    def turn(angles, axis):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        matrices = np.zeros((len(angles), 3, 3))
        matrices[:, axis, axis] = 1.0
        matrices[:, first, first] = matrices[:, second, second] = np.cos(angles)
        matrices[:, second, first], matrices[:, first, second] = np.sin(angles), -np.sin(angles)
        return matrices

    about_z = turn(alphas, 2)
    product = np.einsum("aij,bjk,gkl->bagil", about_z, turn(betas, 1), about_z, optimize=True)
    return product.reshape(-1, 3, 3).astype(np.float32)


@functools.lru_cache
def _wigner_table(l_max: int) -> np.ndarray:
    """d^l_mm' on the grid's betas for m' >= 0: (B, l, m = -l_max..l_max, m' = 0..l_max) float32."""
    betas, _ = _euler_grid(l_max)
    table = np.zeros((len(betas), l_max + 1, 2 * l_max + 1, l_max + 1), np.float32)
    for l in range(l_max + 1):  # noqa: E741
        table[:, l, l_max - l:l_max + l + 1, :l + 1] = wigner_small_d(l, betas)[:, :, l:]
    return table


@functools.lru_cache
def _complex_layout(n_max: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For (n, l, m >= 0): where c_nlm and c_nl,-m lie in the moments (K: nowhere); a factor."""
    n, l, m = zernike.modes(n_max)  # noqa: E741
    places = np.full((2, n_max + 1, n_max + 1, n_max + 1), len(n))
    index = np.arange(len(n))
    places[0, n[m >= 0], l[m >= 0], m[m >= 0]] = index[m >= 0]
    places[1, n[m < 0], l[m < 0], -m[m < 0]] = index[m < 0]
    scale = np.where(np.arange(n_max + 1) % 2, -1.0, 1.0) / np.sqrt(2.0)
    scale[0] = 1.0
    return places[0], places[1], scale.astype(np.float32)


def _complex_coefficients(moments: jax.Array, n_max: int) -> jax.Array:
    """Real moments (K,) to the complex f_nlm, m >= 0, padded with zeros to (n, l, m)."""
    cosine, sine, scale = _complex_layout(n_max)
    padded = jnp.append(moments, 0.0)
    return jax.lax.complex(padded[cosine], -padded[sine]) * scale


def correlate(fixed: jax.Array, moving: jax.Array, n_max: int) -> jax.Array:
    """The overlap of one shape with another in every orientation.

    Args:
        fixed, moving: Zernike moments (K,) of order `n_max`, in the same unit sphere.

    Returns: (B * A * A,) overlaps of `fixed` with `moving` turned by `grid_rotations(n_max)`.
    """
    f, g = (_complex_coefficients(x, n_max) for x in (fixed, moving))
    signs = np.where(np.arange(n_max, 0, -1) % 2, -1.0, 1.0).astype(np.float32)
    f = jnp.concatenate([f[..., :0:-1].conj() * signs, f], -1)  # m < 0: (-1)^m conj(f_nl|m|)
    # The sum is real: take its conjugate, an inverse transform with only m' >= 0 given.
    shells = jnp.einsum("nlm,nlk->lmk", f, g.conj(), precision="highest")
    angular = jnp.sum(_wigner_table(n_max) * shells, axis=1)
    count = len(_euler_grid(n_max)[1])
    spectrum = jnp.zeros((angular.shape[0], count, count // 2 + 1), angular.dtype)
    spectrum = spectrum.at[:, np.arange(-n_max, n_max + 1), :n_max + 1].set(angular)
    return (jnp.fft.irfft2(spectrum, (count, count)) * count**2).reshape(-1)


def distinct_maxima(values: jax.Array, matrices: jax.Array, count: int,
                    apart_degrees: float) -> jax.Array:
    """The places (count,) of the best rotations that lie `apart_degrees` from each other.

    Args:
        values: (P,) to be maximised.
        matrices: (P, 3, 3) rotations. Where fewer are that far apart, the first place fills up.
    """
    flat = matrices.reshape(-1, 9)
    limit = 1 + 2 * np.cos(np.deg2rad(apart_degrees))

    def step_fn(values, _):
        best = jnp.argmax(values)
        return jnp.where(flat @ flat[best] > limit, -jnp.inf, values), best

    return jax.lax.scan(step_fn, values, length=count)[1]
