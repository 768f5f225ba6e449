"""Scattering profiles of voxel shapes, the radius decoupled from the shape (paper eqs. 2 to 4).

With R the radius of the unit sphere and the basis of `zernike`, the transform of R_nl Y_lm is
4 pi i^l (-1)^((n - l) / 2) b_n(q R) Y_lm, b_n(x) = sqrt(2n + 3) j_{n+1}(x) / x, so that the
orientational average is (eqs. 2, 3)

    I(q) = 4 pi sum_nn' b_n(q R) b_n'(q R) H_nn',   H_nn' = sum_lm k_nl k_n'l c_nlm c_n'lm,

where k_nl = (-1)^((n - l) / 2) and H holds all that a profile needs of the shape: a few hundred
numbers, from which each further radius costs next to nothing. Voxels are cubes, not points: I(q) is
multiplied by exp(-(q h)^2 / 12), h the pitch.

Profiles are in units of the unit sphere: I(0) is the squared volume of the shape in units of R^3
(times R^6 for A^6), whatever the radius, so that no radius overflows float32.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from saxsae.profiles import zernike
from saxsae.shapes.voxels import CENTRE, GRID, SPHERE_FRACTION, pitch

ORDERS = (20, 30, 40)
_STEP = 1 / 16  # of the table of b_n: cubic interpolation is then good to 1e-7
_X_MAX = 72.0  # q R beyond this (never reached inside `order_for`) is clamped
_PAIR_NODES = 1024  # of q h in `debye_profiles`


def order_for(q_max: float, r_max: float) -> int | None:
    """The smallest order of `ORDERS` that is exact to 1% up to q_max, or None when none is.

    Args:
        q_max: largest q, 1/A.
        r_max: the largest radius (centroid to farthest atom, A) that will be asked for.

    Where it returns None, use `debye_profile`.
    """
    needed = 1.1 * q_max * r_max / SPHERE_FRACTION
    return next((order for order in ORDERS if order >= needed), None)


def spherical_bessel(n_max: int, x: np.ndarray) -> np.ndarray:
    """j_n(x) for n = 0..n_max and x >= 0 in float64: shape (n_max + 1, *x.shape)."""
    x = np.asarray(x, np.float64)
    safe = np.where(x > 0, x, 1.0)
    # Upward recurrence holds for n <= x; past it the ratio j_n / j_{n-1} comes from its continued
    # fraction, run downward from where j_n has long vanished.
    last = max(n_max, int(np.max(x, initial=0.0))) + 40
    ratio = np.zeros((last + 2, *x.shape))
    for n in range(last, 0, -1):
        fraction = 2 * n + 1 - safe * ratio[n + 1]
        ratio[n] = safe / np.where(fraction == 0, 1e-300, fraction)
    j = np.empty((n_max + 1, *x.shape))
    j[0] = np.sinc(x / np.pi)
    for n in range(1, n_max + 1):
        before = j[n - 2] if n > 1 else np.cos(x) / safe  # j_{-1}
        upward = (2 * n - 1) / safe * j[n - 1] - before
        j[n] = np.where(x > 0, np.where(n <= x, upward, ratio[n] * j[n - 1]), 0.0)
    return j


@functools.lru_cache
def _radial_transform_table(n_max: int) -> np.ndarray:
    """b_n and its derivative times the step, on the nodes: (nodes, 2 (n_max + 1)) float32."""
    x = np.arange(0.0, _X_MAX + 2 * _STEP, _STEP)
    j = spherical_bessel(n_max + 1, x)
    n = np.arange(n_max + 1)
    scale, safe = np.sqrt(2 * n + 3), np.where(x > 0, x, 1.0)[:, None]
    value = scale * j[1:].T / safe
    slope = scale * (j[:-1].T - (n + 3) * j[1:].T / safe) / safe
    value[0], slope[0] = 0.0, 0.0
    value[0, 0] = 1 / np.sqrt(3)  # j_1(x) / x -> 1/3
    if n_max > 0:
        slope[0, 1] = np.sqrt(5) / 15  # j_2(x) / x -> x / 15
    return np.concatenate([value, slope * _STEP], axis=1).astype(np.float32)


def radial_transforms(x: jax.Array, n_max: int) -> jax.Array:
    """b_n(x) = sqrt(2n + 3) j_{n+1}(x) / x for x = q R >= 0: (...) -> (..., n_max + 1) float32.

    Cubic Hermite interpolation of a float64 table, error below 1e-6, differentiable in x.
    """
    table = jnp.asarray(_radial_transform_table(n_max))
    position = jnp.clip(jnp.asarray(x, jnp.float32), 0.0, _X_MAX) / _STEP
    node = jax.lax.stop_gradient(jnp.floor(position)).astype(jnp.int32)
    t = (position - node)[..., None]
    left, right = table[node], table[node + 1]
    size = n_max + 1
    f0, d0, f1, d1 = left[..., :size], left[..., size:], right[..., :size], right[..., size:]
    rise = f1 - f0
    return f0 + t * (d0 + t * (3 * rise - 2 * d0 - d1 + t * (d0 + d1 - 2 * rise)))


@functools.lru_cache
def _shell_layout(n_max: int) -> tuple[np.ndarray, np.ndarray]:
    """Where mode (n, l, m) goes in a (n, l^2 + l + m) matrix (K marks an empty place), and k_nl."""
    n, l, m = zernike.modes(n_max)  # noqa: E741
    place = np.full((n_max + 1, (n_max + 1) ** 2), len(n))
    place[n, l * l + l + m] = np.arange(len(n))
    return place, np.where((n - l) % 4, -1.0, 1.0).astype(np.float32)


def shape_invariants(moments: jax.Array, n_max: int) -> jax.Array:
    """H_nn' of eq. 3: moments (..., K) -> (..., n_max + 1, n_max + 1) float32."""
    place, sign = _shell_layout(n_max)
    signed = jnp.pad(moments * sign, [(0, 0)] * (moments.ndim - 1) + [(0, 1)])
    matrix = signed[..., place]
    return jnp.einsum("...ni,...ki->...nk", matrix, matrix, precision="highest")


def voxel_form_factor(q_inv_angstrom: jax.Array, r_max: jax.Array) -> jax.Array:
    """exp(-(q h)^2 / 12): the squared transform of a cube of side h, averaged over orientations."""
    return jnp.exp(-((q_inv_angstrom * pitch(r_max)) ** 2) / 12)


def profile_from_invariants(invariants: jax.Array, q_inv_angstrom: jax.Array,
                            r_max: jax.Array) -> jax.Array:
    """I(q) of a shape at a radius (eq. 2).

    Args:
        invariants: (n_max + 1, n_max + 1) from `shape_invariants`; `vmap` for more shapes.
        q_inv_angstrom: (Q,) in 1/A.
        r_max: radius in A, scalar, traced.

    Returns: (Q,) float32; I(0) is the shape's squared volume in units of R^3.
    """
    size = invariants.shape[-1]
    b = radial_transforms(q_inv_angstrom * (r_max / SPHERE_FRACTION), size - 1)
    amplitude = jnp.matmul(b, invariants, precision="highest")
    intensity = 4 * jnp.pi * jnp.sum(amplitude * b, axis=-1)
    return intensity * voxel_form_factor(q_inv_angstrom, r_max)


def profile_from_moments(moments: jax.Array, q_inv_angstrom: jax.Array, r_max: jax.Array,
                         n_max: int) -> jax.Array:
    """I(q) from the moments (K,) of one shape; see `profile_from_invariants`."""
    return profile_from_invariants(shape_invariants(moments, n_max), q_inv_angstrom, r_max)


@functools.lru_cache
def _squared_distances() -> tuple[np.ndarray, np.ndarray]:
    """The distinct squared lattice distances, and the index of each lag of the octant in them."""
    lag = np.arange(GRID)
    squared = lag[:, None, None] ** 2 + lag[:, None] ** 2 + lag**2
    distinct, index = np.unique(squared.reshape(-1), return_inverse=True)
    return distinct, index.astype(np.int32)


def pair_distances(occupancy: jax.Array) -> tuple[np.ndarray, jax.Array]:
    """The exact pair-distance histogram of a map (31, 31, 31).

    Returns: distances (D,) in voxels, ascending from 0, and the sum of occupancy products over all
    ordered pairs at each.
    """
    distinct, index = _squared_distances()
    size = 2 * GRID + 2  # no wrap-around
    spectrum = jnp.fft.rfftn(jnp.asarray(occupancy, jnp.float32), (size,) * 3)
    pairs = jnp.fft.irfftn(jnp.abs(spectrum) ** 2, (size,) * 3)
    for axis in range(3):  # lags of both signs meet: only their squares matter
        ahead = jax.lax.slice_in_dim(pairs, 0, GRID, axis=axis)
        behind = jnp.flip(jax.lax.slice_in_dim(pairs, size - GRID + 1, size, axis=axis), axis)
        pairs = ahead + jnp.pad(behind, [(int(a == axis), 0) for a in range(3)])
    counts = jax.ops.segment_sum(pairs.reshape(-1), index, num_segments=len(distinct))
    return np.sqrt(distinct), jnp.maximum(counts, 0.0)


def debye_profile(occupancy: jax.Array, q_inv_angstrom: jax.Array, r_max: jax.Array) -> jax.Array:
    """I(q) by the exact Debye sum over the voxels: the way past the orders, and their reference.

    Args:
        occupancy: (31, 31, 31); `vmap` for more. All voxels count, also those off the unit sphere.
        q_inv_angstrom: (Q,) in 1/A.
        r_max: radius in A, scalar, traced.

    Returns: (Q,) float32 in the units of `profile_from_invariants`.
    """
    distances, counts = pair_distances(occupancy)
    x = (q_inv_angstrom * pitch(r_max))[:, None] * distances.astype(np.float32)
    intensity = jnp.matmul(jnp.sinc(x / jnp.pi), counts, precision="highest") / CENTRE**6
    return intensity * voxel_form_factor(q_inv_angstrom, r_max)


def debye_profiles(occupancies: jax.Array, q_inv_angstrom: jax.Array, radii: jax.Array) -> jax.Array:
    """`debye_profile` of many shapes at several radii each, with the radius decoupled here too.

    The sum is taken once a shape, on a fine common grid of q h, and looked up between its points (error below 1e-4 of
    I(0)).

    Args:
        occupancies: (P, 31, 31, 31).   q_inv_angstrom: (Q,) in 1/A.   radii: (P, S) in A.

    Returns: (P, S, Q).
    """
    distances = np.sqrt(_squared_distances()[0]).astype(np.float32)
    counts = jax.lax.map(lambda shape: pair_distances(shape)[1], occupancies, batch_size=16)
    x = q_inv_angstrom * pitch(radii)[..., None]
    step = jnp.max(x) / (_PAIR_NODES - 1)
    table = jnp.sinc(jnp.arange(_PAIR_NODES)[:, None] * step * distances / jnp.pi)
    nodes = jnp.matmul(counts, table.T, precision="highest") / CENTRE**6

    def look_up(values, x):
        return jnp.interp(x / step, jnp.arange(_PAIR_NODES, dtype=jnp.float32), values)

    intensity = jax.vmap(jax.vmap(look_up, (None, 0)))(nodes, x)
    return intensity * voxel_form_factor(q_inv_angstrom, radii[..., None])


def fit_scale(model: jax.Array, observed: jax.Array, weight: jax.Array,
              background: bool = False) -> tuple[jax.Array, jax.Array]:
    """The weighted least-squares scale c, and constant b, of c * model + b = observed.

    Args:
        model: (..., Q) profiles.
        observed: (Q,) measured intensities.
        weight: (Q,) 1 / sigma^2; zero leaves a point out (padding, bad points).
        background: fit b as well (static); it may be negative, as over-subtracted curves need.

    Returns: scale (...) and background (...), the latter zero when it is not fitted.
    """
    total = jnp.sum(weight)
    weight = weight / jnp.where(total > 0, total, 1.0)
    observed = jnp.where(weight > 0, observed, 0.0)
    means = (jnp.sum(weight * model, -1), jnp.sum(weight * observed, -1))
    model_mean, observed_mean = means if background else jax.tree.map(jnp.zeros_like, means)
    deviation = model - model_mean[..., None]
    covariance = jnp.sum(weight * deviation * (observed - observed_mean), -1)
    variance = jnp.sum(weight * deviation**2, -1)
    scale = covariance / jnp.where(variance > 0, variance, 1.0)
    return scale, observed_mean - scale * model_mean


def chi_squared(model: jax.Array, observed: jax.Array, weight: jax.Array,
                background: bool = False) -> jax.Array:
    """chi^2 of eq. 4 with the fitted scale: (..., Q) -> (...).

    N is the number of points of positive weight. Arguments as in `fit_scale`.
    """
    scale, constant = fit_scale(model, observed, weight, background)
    fitted = scale[..., None] * model + constant[..., None]
    residual = jnp.where(weight > 0, jnp.sqrt(weight) * (observed - fitted), 0.0)
    return jnp.sum(residual**2, -1) / jnp.maximum(jnp.sum(weight > 0), 1)
