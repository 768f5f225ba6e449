"""3D Zernike moments of shapes on the 31^3 grid (paper eq. 1).

The basis is real and orthonormal in the unit ball: Z_nlm(r) = R_nl(|r|) Y_lm(r / |r|) with
l = n, n - 2, ... >= 0, the radial function R_nl(r) = sqrt(2n + 3) r^l P_k^(0, l + 1/2)(2 r^2 - 1),
k = (n - l) / 2, and real spherical harmonics without the Condon-Shortley phase: m > 0 holds
cos(m phi), m < 0 holds sin(|m| phi). It is evaluated directly in float64 (monomial moments lose
every digit in float32 by order 20).

Each mode is even or odd in x, y and z by itself. So a map is folded onto one octant, once for each
of the eight parities, and meets an eighth of the modes there: an eighth of the work and of the
table (15 MB at order 20) that one matrix over the whole ball would need.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saxsae.shapes.voxels import CENTRE, GRID

_VOXEL_VOLUME = 1.0 / CENTRE**3  # in units of the unit sphere's radius cubed


class Modes(NamedTuple):
    """The real modes in the order in which moments are stored: n, then l, then m = -l..l.

    Each field is int (K,), K = (n_max + 1)(n_max + 2)(n_max + 3) / 6.
    """

    n: np.ndarray
    l: np.ndarray  # noqa: E741
    m: np.ndarray


@functools.lru_cache
def modes(n_max: int) -> Modes:
    """The indices (n, l, m) of the K real modes up to order `n_max`."""
    triples = [(n, l, m) for n in range(n_max + 1)
               for l in range(n % 2, n + 1, 2) for m in range(-l, l + 1)]
    return Modes(*np.array(triples).T)


def radial(n: int, l: int, r: np.ndarray) -> np.ndarray:  # noqa: E741
    """R_nl(r) in float64, orthonormal under r^2 dr on [0, 1]; R_nl(1) = sqrt(2n + 3)."""
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
    """Real orthonormal spherical harmonics in float64.

    Args:
        l_max: the highest degree.
        directions: (..., 3) unit vectors.

    Returns: (..., (l_max + 1)^2), Y_lm at index l^2 + l + m.
    """
    x, y, z = np.moveaxis(np.asarray(directions, np.float64), -1, 0)
    out = np.empty((*x.shape, (l_max + 1) ** 2))
    sectoral = np.full(x.shape, np.sqrt(0.25 / np.pi))  # normalised P_mm / sin^m theta
    power = np.ones(x.shape, np.complex128)  # sin^m theta exp(i m phi) = (x + iy)^m
    for m in range(l_max + 1):
        before, legendre = np.zeros_like(z), sectoral
        for l in range(m, l_max + 1):  # noqa: E741
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


def evaluate(n_max: int, points: np.ndarray) -> np.ndarray:
    """The basis at points of the unit ball: (..., 3) -> (..., K), float64."""
    points = np.asarray(points, np.float64)
    r = np.linalg.norm(points, axis=-1)
    safe = np.where(r > 0, r, 1.0)[..., None]
    directions = np.where(r[..., None] > 0, points / safe, [0.0, 0.0, 1.0])
    angular = real_harmonics(n_max, directions)
    shells = [radial(n, l, r)[..., None] * angular[..., l * l:(l + 1) ** 2]
              for n in range(n_max + 1) for l in range(n % 2, n + 1, 2)]
    return np.concatenate(shells, axis=-1)


class _OctantBasis(NamedTuple):
    images: np.ndarray  # (2, 2, 2, V) flat indices into the 31^3 grid: the octant's voxels and their mirror images
    tables: tuple[np.ndarray, ...]  # eight (V, K_p) float32, one for each parity
    order: np.ndarray  # (K,) where each mode lies in their concatenation


@functools.lru_cache
def _octant_basis(n_max: int) -> _OctantBasis:
    corner = np.indices((CENTRE + 1,) * 3).reshape(3, -1).T
    corner = corner[(corner**2).sum(-1) <= CENTRE**2]
    sign = np.stack(np.meshgrid(*[(1, -1)] * 3, indexing="ij"), -1)
    images = np.ravel_multi_index(np.moveaxis(CENTRE + sign[..., None, :] * corner, -1, 0), (GRID,) * 3)
    table = evaluate(n_max, corner / CENTRE)
    # A voxel on a mirror plane is its own image: the fold doubles it, once for each such plane.
    table *= (_VOXEL_VOLUME * 0.5 ** (corner == 0).sum(-1))[:, None]
    _, l, m = modes(n_max)  # noqa: E741
    sine = (m < 0).astype(int)
    # Re (x + iy)^|m| is odd in x for odd m and even in y; Im is the other way round.
    parity = 4 * ((np.abs(m) + sine) % 2) + 2 * sine + (l + m) % 2
    members = [np.flatnonzero(parity == p) for p in range(8)]
    tables = tuple(np.ascontiguousarray(table[:, k], np.float32) for k in members)
    return _OctantBasis(images, tables, np.argsort(np.concatenate(members)))


def moments(occupancy: jax.Array, n_max: int) -> jax.Array:
    """Zernike moments c_nlm: the density's overlap with Z_nlm in the unit ball (eq. 1).

    Args:
        occupancy: (..., 31, 31, 31) in any dtype; voxels outside the unit sphere do not count.
        n_max: highest order (static).

    Returns: (..., K) float32 in the order of `modes(n_max)`; lengths in units of the radius R.
    """
    basis = _octant_basis(n_max)
    # Binary maps are folded in bytes, a quarter of the memory traffic: their sums reach from -4 to 8.
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
    """The density sum_nlm c_nlm Z_nlm: (..., K) -> (..., 31, 31, 31) float32, 0 off the sphere."""
    # The transpose of `moments`, which is linear and whose table holds the voxel volume.
    grid = jax.ShapeDtypeStruct((GRID,) * 3, jnp.float32)
    transpose = jax.linear_transpose(lambda x: moments(x, n_max), grid)
    coefficients = jnp.asarray(coefficients, jnp.float32)
    flat = jax.vmap(lambda c: transpose(c)[0])(coefficients.reshape(-1, coefficients.shape[-1]))
    return flat.reshape(*coefficients.shape[:-1], GRID, GRID, GRID) / _VOXEL_VOLUME


def invariants(coefficients: jax.Array, n_max: int) -> jax.Array:
    """Rotation invariants sqrt(sum_m c_nlm^2): (..., K) -> (..., pairs (n, l) in order)."""
    _, l, m = modes(n_max)  # noqa: E741
    shell = np.cumsum(m == -l) - 1
    power = jnp.zeros((*coefficients.shape[:-1], shell[-1] + 1), coefficients.dtype)
    return jnp.sqrt(power.at[..., shell].add(coefficients**2))
