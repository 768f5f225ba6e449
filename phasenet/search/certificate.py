"""The certificate of the product: tests whether atoms explain the data within their noise, and whether only they do.

After the exact refinement (`refinement.refine_exact`) right atoms leave nothing but the noise of the data. Wrong atoms
leave much more, however high their correlation is. So the test is chi^2 with the stated standard deviations of the
data. If two different sets of atoms pass the test, the result is ambiguous. `atom_search` and `counting` use this
module.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from phasenet import metrics
from phasenet.maps import patterson, reflections

STATUSES = ("not solved", "solved", "ambiguous")
NOT_SOLVED, SOLVED, AMBIGUOUS = range(len(STATUSES))

# Every intensity has at least this standard deviation, relative to the root mean square intensity: the rounding of
# float32 maps and of the calculation.
RELATIVE_FLOOR = 1e-3
# Largest chi^2 that passes for very many reflections, and the number of standard deviations of chi^2 that are added to
# this limit for fewer. For data without noise, right atoms end below 1e-4 (rounding) and wrong ones above 100.
_CHI_SQUARED_LIMIT = 1.2
_CHI_SQUARED_SIGMAS = 5.0
# Two sets of atoms are the same if every atom has a counterpart within this distance, voxels.
_MAX_SAME_ATOM_DISTANCE = 0.5
# With a standard deviation of at most this, voxels, a coordinate is surely within a voxel of its true value.
MAX_STANDARD_DEVIATION = 0.2


class FitQuality(NamedTuple):
    """How well calculated intensities I_calc fit the measured ones I_obs, without F000.

    Attributes:
      correlation: () Pearson correlation of the two Patterson maps, at most 1.
      r_factor: () sum |F_obs - k F_calc| / sum F_obs over amplitudes, k the scale of least squares; 0 is perfect.
      misfit: () sum (I_calc - I_obs)^2 / sum I_obs^2; 0 is perfect.
      chi_squared: () mean of (I_calc - I_obs)^2 / sigma^2; 1 if nothing but the expected noise is left.
    """

    correlation: jax.Array
    r_factor: jax.Array
    misfit: jax.Array
    chi_squared: jax.Array


def intensity_standard_deviations(calculated: jax.Array, noise: jax.Array | float,
                                  floor: float = RELATIVE_FLOOR) -> jax.Array:
    """Returns the expected standard deviation of each intensity, from relative noise and a floor.

    Args:
      calculated: (R,) intensities.
      noise: () standard deviation of an intensity, relative to its value.
      floor: smallest standard deviation, relative to the root mean square of the intensities.

    Returns:
      (R,), in the unit of the intensities.
    """
    return jnp.sqrt(jnp.square(noise * calculated) + jnp.square(floor) * jnp.square(calculated).mean())


def assess_fit(calculated: jax.Array, observed: jax.Array, noise: jax.Array | float,
               measured: jax.Array | None = None) -> FitQuality:
    """Returns the figures of merit of calculated against observed intensities.

    Args:
      calculated: (R,) intensities, one of each Friedel pair, without F000.
      observed: (R,) intensities on the same scale.
      noise: () standard deviation of an intensity, relative to its value.
      measured: (R,) 1 where an intensity was measured, 0 elsewhere; by default 1 everywhere.

    Returns:
      Four figures, () each.
    """
    measured = jnp.ones_like(observed) if measured is None else measured
    agreement = reflections.weighted_agreement(calculated, observed, measured)
    squares = measured * jnp.square(calculated - observed)
    sigma = intensity_standard_deviations(calculated, noise)
    return FitQuality(agreement.correlation, agreement.r_factor,
                      squares.sum() / jnp.maximum((measured * jnp.square(observed)).sum(), 1e-30),
                      (squares / sigma**2).sum() / jnp.maximum(measured.sum(), 1))


def fits_within_noise(quality: FitQuality, num_reflections: jax.Array | int) -> jax.Array:
    """Returns, as () bool, whether atoms with this fit to `num_reflections` leave nothing but the expected noise."""
    # Wrong atoms can reach a small chi^2 with a scale near 0, but then they do not correlate.
    return (quality.chi_squared <= max_chi_squared(num_reflections)) & (quality.correlation > 0.5)


def max_chi_squared(num_reflections: jax.Array | int) -> jax.Array:
    """Returns the largest chi^2 () that passes for `num_reflections` reflections."""
    return _CHI_SQUARED_LIMIT + _CHI_SQUARED_SIGMAS * jnp.sqrt(2 / num_reflections)


def positions_determined(standard_deviations: jax.Array, quality: FitQuality) -> jax.Array:
    """Returns, as () bool, whether every coordinate has a standard deviation of at most `MAX_STANDARD_DEVIATION`.

    Args:
      standard_deviations: (n, 3) of the coordinates, voxels, for the expected noise.
      quality: fit of the atoms. If less noise is left than expected, the standard deviations are smaller in proportion.
    """
    return standard_deviations.max() * jnp.sqrt(jnp.minimum(quality.chi_squared, 1.0)) <= MAX_STANDARD_DEVIATION


def are_distinct(first: jax.Array, second: jax.Array) -> jax.Array:
    """Returns, as () bool, whether two sets of atoms (n, 3), voxels about their means, differ in both hands."""
    matching = metrics.match(first, second)
    return ~(matching.matched & (matching.distance <= _MAX_SAME_ATOM_DISTANCE)).all()


def estimate_noise_level(patterson_map: jax.Array, reach: float) -> jax.Array:
    """Returns the relative noise of the intensities, from the part of a Patterson map that is empty without noise.

    Noise that is proportional to each intensity spreads evenly over the map. All reflections must be measured, because
    a limited resolution fills the map with ripples. No launch uses this function.

    Args:
      patterson_map: (N, N, N), its origin at voxel 0.
      reach: largest component of a vector between two atoms, their radii included, voxels; beyond it the map is empty.

    Returns:
      () standard deviation of an intensity, relative to its value; 0 if no part of the map is empty (reach >= N/2).
    """
    size = patterson_map.shape[0]
    centred = patterson.move_origin_to_middle(patterson_map)
    axis = jnp.abs(jnp.arange(size) - size // 2)
    empty = jnp.maximum(jnp.maximum(axis[:, None, None], axis[:, None]), axis) > reach
    outside = jnp.where(empty, centred**2, 0.0).sum() / jnp.maximum(empty.sum(), 1)
    values = jnp.fft.rfftn(patterson_map).real
    power = (jnp.asarray(patterson.multiplicity(size), jnp.float32) * values**2).sum() - values[0, 0, 0] ** 2
    level = jnp.sqrt(outside * float(size) ** 6 / jnp.maximum(power, 1e-30))
    return jnp.where(empty.any(), level, 0.0)
