"""Computes 3D Zernike moments of shapes on the 31^3 grid; used by `scattering` and `alignment`.

The basis is Z_nlm(r) = R_nl(|r|) Y_lm(r / |r|), real and orthonormal in the unit ball, with l = n, n - 2, ... >= 0,
R_nl(r) = sqrt(2n + 3) r^l P_k^(0, l + 1/2)(2 r^2 - 1), k = (n - l) / 2, and real spherical harmonics without the
Condon-Shortley phase: cos(m phi) for m >= 0, sin(|m| phi) for m < 0. The basis is evaluated by recurrences in float64,
because sums of monomials lose all digits in float32 at order 20. The moments of a map are computed in three steps:

1. Each mode is even or odd in x, in y and in z. The map is folded onto one octant, once for each of the 8 parities.
2. Each folded map is multiplied by a table of the modes of its parity.
3. The products are put in the order of `modes`.

The work, and the size of the tables (15 MB at order 20), are an eighth of those of one matrix over the whole ball.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saxsae.shapes.voxels import CENTRE, GRID

_VOXEL_VOLUME = 1.0 / CENTRE**3  # in units of R^3, R the radius of the unit sphere


class Modes(NamedTuple):
    """The indices of the K = (n_max + 1)(n_max + 2)(n_max + 3) / 6 real modes, in the order of the moments.

    The modes are sorted by n, then by l, then by m.

    Attributes:
      n: (K,) int, orders, 0 to n_max.
      l: (K,) int, degrees, of the parity of n, 0 to n.
      m: (K,) int, -l to l.
    """

    n: np.ndarray
    l: np.ndarray
    m: np.ndarray


@functools.lru_cache
def modes(n_max: int) -> Modes:
    """Returns the indices (n, l, m) of the real modes up to order `n_max`."""
    triples = [(n, l, m) for n in range(n_max + 1)
               for l in range(n % 2, n + 1, 2) for m in range(-l, l + 1)]
    return Modes(*np.array(triples).T)


def radial(n: int, l: int, r: np.ndarray) -> np.ndarray:
    """Returns the radial function R_nl(r), orthonormal under r^2 dr on [0, 1].

    Args:
      n: order.
      l: degree, of the parity of n, at most n.
      r: (...) float64 radii in [0, 1].

    Returns:
      (...) float64; R_nl(1) = sqrt(2n + 3).
    """
    x, beta, order = 2 * r**2 - 1, l + 0.5, (n - l) // 2
    before, jacobi = np.zeros_like(r), np.ones_like(r)
    for k in range(1, order + 1):  # the three-term recurrence of P_k^(0, beta)
        if k == 1:
            following = 1 + (beta + 2) * (x - 1) / 2
        else:
            s = 2 * k + beta
            following = (s - 1) * (s * (s - 2) * x - beta**2) * jacobi
            following -= 2 * (k - 1) * (k + beta - 1) * s * before
            following /= 2 * k * (k + beta) * (s - 2)
        before, jacobi = jacobi, following
    return np.sqrt(2 * n + 3) * r**l * jacobi


def real_harmonics(l_max: int, directions: np.ndarray) -> np.ndarray:
    """Returns the real orthonormal spherical harmonics up to a degree.

    Args:
      l_max: the highest degree.
      directions: (..., 3) unit vectors.

    Returns:
      (..., (l_max + 1)^2) float64, Y_lm at index l^2 + l + m.
    """
    x, y, z = np.moveaxis(np.asarray(directions, np.float64), -1, 0)
    out = np.empty((*x.shape, (l_max + 1) ** 2))
    sectoral = np.full(x.shape, np.sqrt(0.25 / np.pi))  # normalised P_mm / sin^m theta
    power = np.ones(x.shape, np.complex128)  # sin^m theta exp(i m phi) = (x + iy)^m
    for m in range(l_max + 1):
        before, legendre = np.zeros_like(z), sectoral
        for l in range(m, l_max + 1):
            scale = np.sqrt(2.0) if m else 1.0
            out[..., l * l + l + m] = scale * legendre * power.real
            if m:
                out[..., l * l + l - m] = scale * legendre * power.imag
            a = np.sqrt((4 * (l + 1) ** 2 - 1) / ((l + 1) ** 2 - m**2))
            b = np.sqrt((l**2 - m**2) / (4 * l**2 - 1)) if l else 0.0
            before, legendre = legendre, a * (z * legendre - b * before)
        sectoral = sectoral * np.sqrt((2 * m + 3) / (2 * m + 2))
        power = power * (x + 1j * y)
    return out


def evaluate_basis(n_max: int, points: np.ndarray) -> np.ndarray:
    """Returns the K basis functions up to order `n_max` at points of the unit ball: (..., 3) -> (..., K), float64."""
    points = np.asarray(points, np.float64)
    r = np.linalg.norm(points, axis=-1)
    safe = np.where(r > 0, r, 1.0)[..., None]
    directions = np.where(r[..., None] > 0, points / safe, [0.0, 0.0, 1.0])
    angular = real_harmonics(n_max, directions)
    shells = [radial(n, l, r)[..., None] * angular[..., l * l:(l + 1) ** 2]
              for n in range(n_max + 1) for l in range(n % 2, n + 1, 2)]
    return np.concatenate(shells, axis=-1)


class _OctantBasis(NamedTuple):
    """The basis on the V voxels of one octant of the unit ball.

    Attributes:
      images: (2, 2, 2, V) flat indices into the 31^3 grid: the voxels of the octant and their mirror images in x, y, z.
      tables: eight arrays (V, K_p) float32: the K_p modes of each parity p, times the voxel volume.
      order: (K,) position of each mode among the columns of all tables, concatenated.
    """

    images: np.ndarray
    tables: tuple[np.ndarray, ...]
    order: np.ndarray


@functools.lru_cache
def _octant_basis(n_max: int) -> _OctantBasis:
    """Returns the basis up to order `n_max` on one octant."""
    corner = np.indices((CENTRE + 1,) * 3).reshape(3, -1).T
    corner = corner[(corner**2).sum(-1) <= CENTRE**2]
    sign = np.stack(np.meshgrid(*[(1, -1)] * 3, indexing="ij"), -1)
    images = np.ravel_multi_index(np.moveaxis(CENTRE + sign[..., None, :] * corner, -1, 0), (GRID,) * 3)
    table = evaluate_basis(n_max, corner / CENTRE)
    # A voxel on a mirror plane is its own image, so the folding counts it twice for each plane that it lies on.
    table *= (_VOXEL_VOLUME * 0.5 ** (corner == 0).sum(-1))[:, None]
    _, l, m = modes(n_max)
    sine = (m < 0).astype(int)
    # Re (x + iy)^|m| is odd in x for odd m and even in y; Im is the other way round.
    parity = 4 * ((np.abs(m) + sine) % 2) + 2 * sine + (l + m) % 2
    members = [np.flatnonzero(parity == p) for p in range(8)]
    tables = tuple(np.ascontiguousarray(table[:, k], np.float32) for k in members)
    return _OctantBasis(np.asarray(images), tables, np.argsort(np.concatenate(members)))


def moments(occupancy: jax.Array, n_max: int) -> jax.Array:
    """Returns the Zernike moments c_nlm, the integrals of a density times Z_nlm over the unit ball.

    Args:
      occupancy: (..., 31, 31, 31) of any dtype, centred on voxel 15; voxels outside the unit sphere do not count.
      n_max: highest order (static).

    Returns:
      (..., K) float32 in the order of `modes(n_max)`, with lengths in units of the radius R of the unit sphere.
    """
    basis = _octant_basis(n_max)
    # Binary maps are folded as int8, with a quarter of the memory traffic; the sums lie between -4 and 8.
    occupancy = jnp.asarray(occupancy, jnp.int8 if occupancy.dtype == bool else jnp.float32)
    lead = occupancy.shape[:-3]
    folded = occupancy.reshape(*lead, -1)[..., basis.images.reshape(-1)].reshape(*lead, *basis.images.shape)
    for axis in (-4, -3, -2):  # the even and the odd part in x, y and z
        here, there = jnp.split(folded, 2, axis)
        folded = jnp.concatenate([here + there, here - there], axis)
    folded = folded.reshape(*lead, 8, -1).astype(jnp.float32)
    products = [jnp.matmul(folded[..., parity, :], table, precision="highest")
                for parity, table in enumerate(basis.tables)]
    return jnp.concatenate(products, axis=-1)[..., basis.order]


def synthesize(coefficients: jax.Array, n_max: int) -> jax.Array:
    """Returns the density that has given Zernike moments.

    Args:
      coefficients: (..., K) moments in the order of `modes(n_max)`.
      n_max: highest order (static).

    Returns:
      sum_nlm c_nlm Z_nlm on the grid, (..., 31, 31, 31) float32, 0 outside the unit sphere.
    """
    # This is the transpose of `moments`, which is linear, divided by the voxel volume in its table.
    grid = jax.ShapeDtypeStruct((GRID,) * 3, jnp.float32)
    transpose = jax.linear_transpose(lambda x: moments(x, n_max), grid)
    coefficients = jnp.asarray(coefficients, jnp.float32)
    flat = jax.vmap(lambda c: transpose(c)[0])(coefficients.reshape(-1, coefficients.shape[-1]))
    return flat.reshape(*coefficients.shape[:-1], GRID, GRID, GRID) / _VOXEL_VOLUME


@functools.lru_cache
def _degree_layout(n_max: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns where the moments of each degree lie.

    Returns:
      The order (K,) of the moments sorted by l, then n, then m; its inverse (K,); and, in the order of `modes`, m (K,)
      and the index (K,) of the mode with -m.
    """
    n, l, m = modes(n_max)
    by_degree = np.lexsort((m, n, l))
    return by_degree, np.argsort(by_degree), m, np.arange(len(m)) - 2 * m


@functools.lru_cache
def _exchange_matrices(l_max: int) -> tuple[np.ndarray, ...]:
    """Returns for each degree the matrix (2l + 1, 2l + 1) float32 that exchanges y and z in the real harmonics."""
    z, weight = np.polynomial.legendre.leggauss(l_max + 1)  # exact for the products of two harmonics
    phi = np.arange(2 * l_max + 2) * (np.pi / (l_max + 1))
    sine = np.sqrt(1 - z**2)[:, None]
    points = np.stack([sine * np.cos(phi), sine * np.sin(phi), np.broadcast_to(z[:, None], (len(z), len(phi)))], -1)
    weights = np.broadcast_to(weight[:, None] * (np.pi / (l_max + 1)), points.shape[:2]).reshape(-1, 1)
    here = real_harmonics(l_max, points.reshape(-1, 3)) * weights
    there = real_harmonics(l_max, points[..., [0, 2, 1]].reshape(-1, 3))
    degrees = [slice(l * l, (l + 1) ** 2) for l in range(l_max + 1)]
    return tuple((here[:, one].T @ there[:, one]).astype(np.float32) for one in degrees)


def turn_moments(moments: jax.Array, angles: jax.Array, n_max: int) -> jax.Array:
    """Returns the moments of a shape that is turned by Rz(alpha) Ry(beta) Rz(gamma) about the centre.

    A turn about y is a turn about z between two exchanges of y and z, and a turn about z mixes m and -m only, so no
    matrix depends on the angles (D. Pinchon, P. Hoggan, J. Phys. A 40, 1597, 2007).

    Args:
      moments: (..., K) in the order of `modes(n_max)`.
      angles: (..., 3) alpha, beta and gamma in radians; leading axes are broadcast against those of `moments`.
      n_max: order of the moments (static).

    Returns:
      (..., K) float32.
    """
    by_degree, inverse, m, opposite = _degree_layout(n_max)
    lead = jnp.broadcast_shapes(moments.shape[:-1], angles.shape[:-1])
    moments = jnp.broadcast_to(moments, (*lead, len(m)))

    def about_z(moments: jax.Array, angle: jax.Array) -> jax.Array:
        phase = m.astype(np.float32) * angle[..., None]
        return moments * jnp.cos(phase) - moments[..., opposite] * jnp.sin(phase)

    def exchange(moments: jax.Array) -> jax.Array:
        sorted_moments, first, parts = moments[..., by_degree], 0, []
        for l, matrix in enumerate(_exchange_matrices(n_max)):
            last = first + (2 * l + 1) * ((n_max - l) // 2 + 1)
            part = sorted_moments[..., first:last].reshape(*lead, -1, 2 * l + 1)
            parts.append(jnp.matmul(part, matrix.T, precision="highest").reshape(*lead, -1))
            first = last
        return jnp.concatenate(parts, -1)[..., inverse]

    turned = exchange(about_z(moments, angles[..., 2]))
    return about_z(exchange(about_z(turned, -angles[..., 1])), angles[..., 0])


def rotation_invariants(coefficients: jax.Array, n_max: int) -> jax.Array:
    """Returns the rotation invariants sqrt(sum_m c_nlm^2) of moments.

    Args:
      coefficients: (..., K) moments in the order of `modes(n_max)`.
      n_max: highest order (static).

    Returns:
      (..., P), one for each of the P pairs (n, l), in the order of `modes`.
    """
    _, l, m = modes(n_max)
    shell = np.cumsum(m == -l) - 1
    power = jnp.zeros((*coefficients.shape[:-1], shell[-1] + 1), coefficients.dtype)
    return jnp.sqrt(power.at[..., shell].add(coefficients**2))
