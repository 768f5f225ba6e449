"""Computes scattering profiles I(q) of voxel shapes and their chi^2 with a measured curve, for `saxsae.reconstruction`.

Equation numbers are those of the paper, H. He, C. Liu, H. Liu, iScience 23, 100906 (2020). With the basis
of `zernike` and R the radius of the unit sphere, the Fourier transform of R_nl Y_lm is 4 pi i^l k_nl b_n(q R) Y_lm,
with k_nl = (-1)^((n - l) / 2) and b_n(x) = sqrt(2n + 3) j_{n+1}(x) / x. The squared transform of a shape, averaged over
orientations, is (eqs. 2, 3)

    I(q) = 4 pi sum_nn' b_n(q R) b_n'(q R) H_nn',   H_nn' = sum_lm k_nl k_n'l c_nlm c_n'lm.

1. `zernike.moments` computes the moments c_nlm of a shape; `shape_invariants` computes H, a few hundred numbers.
2. `profile_from_invariants` computes I(q) from H at any radius; another radius of the same shape costs almost nothing.
   The profile is multiplied by exp(-(q h)^2 / 12), h the pitch, because voxels are cubes and not points.
3. `chi_squared` compares I(q) with a measured curve, with a fitted scale (eq. 4).

For shapes too large for the Zernike orders, the Debye sum over pair distances replaces steps 1 and 2
(`debye_profiles`); it takes less time than order 40. The unit of profiles is R^6: I(0) is the squared volume of the
shape, the same number at any radius, so that float32 does not overflow.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from saxsae.profiles import zernike
from saxsae.shapes.voxels import CENTRE, GRID, SPHERE_FRACTION, pitch

ORDERS = (20, 30, 40)  # Zernike orders that are used
_STEP = 1 / 16  # in x, between nodes of the table of b_n(x); the error of cubic interpolation is then about 1e-7
_X_MAX = 72.0  # end of the table; larger x = q R are clamped, and `choose_order` does not admit them
_FEWEST_POINTS = 20  # smallest number of fitted points, if the curve has so many
_PAIR_NODES = 1024  # values of q h in the table of `debye_profiles`
_SHAPES_AT_A_TIME = 8  # shapes whose pair distances are computed together


class WeightedCurve(NamedTuple):
    """A rebinned curve with the weights of its points, as `chi_squared` takes them.

    Attributes:
      q_inv_angstrom: (Q,) float32, 1/A.
      intensity: (Q,) float32, divided by the largest absolute intensity.
      weight: (Q,) float32, 1 / variance in the same unit; zero in the padding.
    """

    q_inv_angstrom: jax.Array
    intensity: jax.Array
    weight: jax.Array


def choose_order(q_max: float, r_max: float) -> int | None:
    """Returns the smallest of `ORDERS` whose profile is accurate to 1 % up to q_max, or None if none is.

    In the latter case, use `debye_profiles`.

    Args:
      q_max: largest q, 1/A.
      r_max: largest radius to be used (largest distance from the centroid, A).
    """
    needed = 1.1 * q_max * r_max / SPHERE_FRACTION
    return next((order for order in ORDERS if order >= needed), None)


def resolved_q_max(q_inv_angstrom: ArrayLike, q_max: float, r_max: float) -> float:
    """Returns the largest q that can be fitted: pi / h, h the pitch at r_max, where that is smaller than q_max.

    A map of pitch h has no details smaller than h, so its profile means nothing at larger q. Where fewer than 20 points
    would be left, the result is the q of the 20th point, at most q_max.

    Args:
      q_inv_angstrom: (N,) q of the points that could be fitted, ascending, 1/A.
      q_max: largest q that the user allows, 1/A.
      r_max: largest radius to be used (largest distance from the centroid, A).
    """
    q = np.asarray(q_inv_angstrom)[:_FEWEST_POINTS]
    return min(q_max, max(np.pi / pitch(r_max), float(q[-1]) if q.size else 0.0))


def spherical_bessel(n_max: int, x: np.ndarray) -> np.ndarray:
    """Returns the spherical Bessel functions j_n(x), n = 0..n_max, for x >= 0: (...) -> (n_max + 1, ...) float64."""
    x = np.asarray(x, np.float64)
    safe = np.where(x > 0, x, 1.0)
    # The upward recurrence is stable for n <= x. For larger n the ratio j_n / j_{n-1} comes from its continued
    # fraction, evaluated downward from an n at which j_n is negligible.
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
    """Returns b_n, and its derivative times the step, at x = 0, _STEP, ...: (nodes, 2 (n_max + 1)) float32."""
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
    """Returns b_n(x) = sqrt(2n + 3) j_{n+1}(x) / x, n = 0..n_max, by cubic Hermite interpolation of a table.

    The error is below 1e-6, and the result is differentiable in x.

    Args:
      x: (...) q R, at least 0; values above 72 are clamped.
      n_max: highest order (static).

    Returns:
      (..., n_max + 1) float32.
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
    """Returns the index of the mode at each [n, l^2 + l + m], (n_max + 1, (n_max + 1)^2), K for none; and k_nl (K,)."""
    n, l, m = zernike.modes(n_max)
    place = np.full((n_max + 1, (n_max + 1) ** 2), len(n))
    place[n, l * l + l + m] = np.arange(len(n))
    return place, np.where((n - l) % 4, -1.0, 1.0).astype(np.float32)


def shape_invariants(moments: jax.Array, n_max: int) -> jax.Array:
    """Returns H_nn' of eq. 3, which contains all that a profile depends on except the radius.

    Args:
      moments: (..., K) from `zernike.moments`.
      n_max: the order of the moments (static).

    Returns:
      (..., n_max + 1, n_max + 1) float32.
    """
    place, sign = _shell_layout(n_max)
    signed = jnp.pad(moments * sign, [(0, 0)] * (moments.ndim - 1) + [(0, 1)])
    matrix = signed[..., place]
    return jnp.einsum("...ni,...ki->...nk", matrix, matrix, precision="highest")


def voxel_form_factor(q_inv_angstrom: jax.Array, r_max: ArrayLike) -> jax.Array:
    """Returns exp(-(q h)^2 / 12), the Guinier approximation of the averaged form factor of a voxel of side h.

    Args:
      q_inv_angstrom: (..., Q) 1/A.
      r_max: radius in A, () or broadcastable to q; h is the pitch of the grid at this radius.
    """
    return jnp.exp(-((q_inv_angstrom * pitch(r_max)) ** 2) / 12)


def profile_from_invariants(invariants: jax.Array, q_inv_angstrom: jax.Array, r_max: ArrayLike) -> jax.Array:
    """Returns I(q) of one shape at one radius (eq. 2).

    Args:
      invariants: (n_max + 1, n_max + 1) from `shape_invariants`.
      q_inv_angstrom: (Q,) 1/A.
      r_max: () radius in A (largest distance from the centroid), traced.

    Returns:
      (Q,) float32; I(0) is the squared volume of the shape in units of R^6.
    """
    size = invariants.shape[-1]
    b = radial_transforms(q_inv_angstrom * (r_max / SPHERE_FRACTION), size - 1)
    amplitude = jnp.matmul(b, invariants, precision="highest")
    intensity = 4 * jnp.pi * jnp.sum(amplitude * b, axis=-1)
    return intensity * voxel_form_factor(q_inv_angstrom, r_max)


def profile_from_moments(moments: jax.Array, q_inv_angstrom: jax.Array, r_max: ArrayLike, n_max: int) -> jax.Array:
    """Returns I(q) of one shape at one radius from its moments (K,) of order `n_max` (static).

    The other arguments and the result are those of `profile_from_invariants`.
    """
    return profile_from_invariants(shape_invariants(moments, n_max), q_inv_angstrom, r_max)


@functools.lru_cache
def _sorted_lags() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the lags of two voxels that stand for all lags of the same three numbers in another order.

    Returns:
      The lags (i, j, k) with 0 <= i <= j <= k, (L, 3); one over the number of orders that are the same, (L,) float32,
      which is 1 where all three numbers differ; and the squared lengths (L,), in pitches.
    """
    lag = np.indices((GRID,) * 3).reshape(3, -1).T
    lag = lag[(lag[:, 0] <= lag[:, 1]) & (lag[:, 1] <= lag[:, 2])]
    equal = (np.diff(lag, axis=1) == 0).sum(-1)
    return lag, np.array([1, 1 / 2, 1 / 6], np.float32)[equal], (lag**2).sum(-1)


@functools.lru_cache
def _autocorrelation_tables() -> tuple[np.ndarray, np.ndarray]:
    """Returns the tables with which `_autocorrelation` transforms one axis, to frequencies and back to lags.

    The discrete Fourier transform has 61 points, twice 31 less 1: no lag wraps around.

    Returns:
      (2, 31, 16) float32, the cosines and the sines of each frequency at the 16 voxels of one side; the middle voxel,
      which is on both sides, counts half. And (31, 31), the inverse transform of an even function, multiplied by the
      number of signs of each lag.
    """
    number = np.arange(GRID)
    both_signs = np.where(number == 0, 1.0, 2.0)
    angle = 2 * np.pi / (2 * GRID - 1) * np.outer(number, number)
    half = np.where(number == 0, 0.5, 1.0)[:CENTRE + 1]
    forward = np.stack([np.cos(angle), np.sin(angle)])[..., :CENTRE + 1] * half
    backward = both_signs[:, None] * np.cos(angle) * both_signs / (2 * GRID - 1)
    return forward.astype(np.float32), backward.astype(np.float32)


def _autocorrelation(occupancy: jax.Array) -> jax.Array:
    """Returns the sum of products of occupancies at each lag, the lags of all signs together, (31, 31, 31).

    A fast Fourier transform of this size takes longer than products with small matrices. The power of each frequency,
    summed over the signs of its components, is the sum of the powers of the eight parts of the map that are even or odd
    in x, y and z; each part is transformed on one octant.
    """
    forward, backward = _autocorrelation_tables()
    parts: list[tuple[tuple[int, ...], jax.Array]] = [((), jnp.asarray(occupancy, jnp.float32))]
    for axis in range(3):
        halves = [(parity, jax.lax.slice_in_dim(part, CENTRE, GRID, axis=axis),
                   jnp.flip(jax.lax.slice_in_dim(part, 0, CENTRE + 1, axis=axis), axis)) for parity, part in parts]
        parts = [((*parity, odd), here - there if odd else here + there)
                 for parity, here, there in halves for odd in (0, 1)]

    def transform(array, x_table, y_table, z_table):
        for table, indices in ((z_table, "xyz,cz->xyc"), (y_table, "xyc,by->xbc"), (x_table, "xbc,ax->abc")):
            array = jnp.einsum(indices, array, table, precision="highest")
        return array

    power = sum(transform(part, *(forward[odd] for odd in parity)) ** 2 for parity, part in parts)
    return transform(power, backward, backward, backward)


def pair_distances(occupancy: jax.Array) -> tuple[np.ndarray, jax.Array]:
    """Returns the exact pair-distance histogram of a map.

    Args:
      occupancy: (31, 31, 31).

    Returns:
      The distances (D,) in pitches, ascending from 0; and the sum (D,) of products of occupancies over all ordered
      pairs of voxels at each distance.
    """
    lag, share, squared = _sorted_lags()
    distinct, index = np.unique(squared, return_inverse=True)
    pairs = _autocorrelation(occupancy)
    # Only the distance matters: the six orders of a lag's three numbers are added first.
    pairs = pairs + jnp.swapaxes(pairs, 1, 2)
    pairs = pairs + jnp.swapaxes(pairs, 0, 1) + jnp.swapaxes(pairs, 0, 2)
    counts = jax.ops.segment_sum(pairs[tuple(lag.T)] * share, index, num_segments=len(distinct))
    return np.sqrt(distinct), jnp.maximum(counts, 0.0)


def debye_profile(occupancy: jax.Array, q_inv_angstrom: jax.Array, r_max: ArrayLike) -> jax.Array:
    """Returns I(q) of one shape at one radius by the exact Debye sum over pairs of voxels.

    It is the reference for the profiles from moments, and replaces them where no Zernike order is high enough.

    Args:
      occupancy: (31, 31, 31). All voxels count, also those outside the unit sphere.
      q_inv_angstrom: (Q,) 1/A.
      r_max: () radius in A, traced.

    Returns:
      (Q,) float32 in the unit of `profile_from_invariants`.
    """
    distances, counts = pair_distances(occupancy)
    x = (q_inv_angstrom * pitch(r_max))[:, None] * distances.astype(np.float32)
    intensity = jnp.matmul(jnp.sinc(x / jnp.pi), counts, precision="highest") / CENTRE**6
    return intensity * voxel_form_factor(q_inv_angstrom, r_max)


def debye_profiles(occupancies: jax.Array, q_inv_angstrom: jax.Array, radii: jax.Array) -> jax.Array:
    """Returns the Debye profiles of many shapes, each at several radii.

    The sum is computed once for each shape, on a fine grid of q h (h is the pitch) that all shapes share, and
    interpolated by cubic polynomials for each radius. The error is below 5e-4 of I(q) up to q h = 2 pi.

    Args:
      occupancies: (P, 31, 31, 31).
      q_inv_angstrom: (Q,) 1/A.
      radii: (P, S) r_max in A.

    Returns:
      (P, S, Q) float32 in the unit of `profile_from_invariants`.
    """
    distances = np.sqrt(np.unique(_sorted_lags()[2])).astype(np.float32)
    counts = jax.lax.map(lambda shape: pair_distances(shape)[1], occupancies, batch_size=_SHAPES_AT_A_TIME)
    x = q_inv_angstrom * pitch(radii)[..., None]
    # The first node lies one step below 0 and the last two one and two steps above the largest x.
    step = jnp.max(x) / (_PAIR_NODES - 4)
    table = jnp.sinc(jnp.arange(-1, _PAIR_NODES - 1)[:, None] * step * distances / jnp.pi)
    nodes = jnp.matmul(counts, table.T, precision="highest") / CENTRE**6

    def look_up(values, x):
        position = x / step + 1
        node = jnp.clip(position.astype(jnp.int32), 1, _PAIR_NODES - 3)
        t = position - node
        before, here, after, last = (values[node + i] for i in (-1, 0, 1, 2))
        linear = (1 - t) * here + t * after
        return linear + t * (1 - t) * (linear / 2 - ((2 - t) * before + (1 + t) * last) / 6)

    intensity = jax.vmap(look_up)(nodes, x)
    return intensity * voxel_form_factor(q_inv_angstrom, radii[..., None])


def fit_scale(model: jax.Array, observed: jax.Array, weight: jax.Array,
              background: ArrayLike = False) -> tuple[jax.Array, jax.Array]:
    """Returns the scale c and the constant b of the weighted least-squares fit c * model + b = observed.

    Args:
      model: (..., Q) profiles.
      observed: (Q,) measured intensities.
      weight: (Q,) 1 / sigma^2; zero excludes a point (padding, bad points).
      background: () bool, fit b as well. It may be negative, for curves from which too much buffer was subtracted.

    Returns:
      The scale (...) and the background (...); the latter is zero if it is not fitted.
    """
    total = jnp.sum(weight)
    weight = weight / jnp.where(total > 0, total, 1.0)
    observed = jnp.where(weight > 0, observed, 0.0)
    model_mean, observed_mean = (jnp.where(background, jnp.sum(weight * values, -1), 0.0)
                                 for values in (model, observed))
    deviation = model - model_mean[..., None]
    covariance = jnp.sum(weight * deviation * (observed - observed_mean), -1)
    variance = jnp.sum(weight * deviation**2, -1)
    scale = covariance / jnp.where(variance > 0, variance, 1.0)
    return scale, observed_mean - scale * model_mean


def chi_squared(model: jax.Array, observed: jax.Array, weight: jax.Array,
                background: ArrayLike = False) -> jax.Array:
    """Returns chi^2 of eq. 4 with the fitted scale: the mean squared residual in units of sigma.

    Args:
      model: (..., Q) profiles.
      observed: (Q,) measured intensities.
      weight: (Q,) 1 / sigma^2; zero excludes a point.
      background: () bool, fit a constant as well.

    Returns:
      (...), the mean over the points of positive weight.
    """
    scale, constant = fit_scale(model, observed, weight, background)
    fitted = scale[..., None] * model + constant[..., None]
    residual = jnp.where(weight > 0, jnp.sqrt(weight) * (observed - fitted), 0.0)
    return jnp.sum(residual**2, -1) / jnp.maximum(jnp.sum(weight > 0), 1)
