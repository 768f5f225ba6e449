"""Is this the answer? How well atoms explain the data, against what noise allows and wrong answers reach.

After the exact refinement (`refinement.refine_exact`) right atoms leave nothing but the noise of the data; wrong ones
leave much more, however good their correlation looks. So the test is chi^2 with the standard deviations that the
data are said to have, and where two different sets of atoms pass it, neither is called the answer.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from phasenet import metrics
from phasenet.maps import patterson, reflections

STATUSES = ("not solved", "solved", "ambiguous")
NOT_SOLVED, SOLVED, AMBIGUOUS = range(len(STATUSES))

# A standard deviation that every intensity has, of the intensities' root mean square: rounding of maps, and of us.
FLOOR = 1e-3
# Where the data are said to have no noise, right answers end below 1e-4 (rounding), wrong ones above 100.
_MOST_CHI_SQUARED = 1.2
_SPREAD = 5.0  # standard deviations of chi^2 itself that are allowed beyond
# Two answers are different where an atom lies farther from its like, voxels.
_DIFFERENT = 0.5
# Largest standard deviation of a coordinate, voxels, with which an atom is surely within a voxel of its place.
_FIRM = 0.2


class FitQuality(NamedTuple):
    """How well calculated intensities fit the measured ones, F000 left out.

    Attributes:
      correlation: Pearson correlation of the two Patterson maps.
      r_factor: sum |F_obs - k F_calc| / sum F_obs over amplitudes, k the best scale.
      misfit: sum (I_calc - I_obs)^2 / sum I_obs^2.
      chi_squared: mean of (I_calc - I_obs)^2 / sigma^2: 1 where nothing but the expected noise is left.
    """

    correlation: jax.Array
    r_factor: jax.Array
    misfit: jax.Array
    chi_squared: jax.Array


def standard_deviations(calculated: jax.Array, noise: jax.Array | float, floor: float = FLOOR) -> jax.Array:
    """Of intensities (R,): noise (relative) and floor (of their root mean square) together."""
    return jnp.sqrt(jnp.square(noise * calculated) + jnp.square(floor) * jnp.square(calculated).mean())


def assess_fit(calculated: jax.Array, observed: jax.Array, noise: jax.Array | float,
            measured: jax.Array | None = None) -> FitQuality:
    """Figures of merit of intensities (R,) against (R,), one of each Friedel pair, without F000.

    noise: standard deviation of an intensity relative to itself; measured: (R,) 0 where it was not, else 1.
    """
    measured = jnp.ones_like(observed) if measured is None else measured
    fit = reflections.weighted_agreement(calculated, observed, measured)
    difference = measured * jnp.square(calculated - observed)
    deviations = standard_deviations(calculated, noise)
    return FitQuality(fit.correlation, fit.r_factor,
                   difference.sum() / jnp.maximum((measured * jnp.square(observed)).sum(), 1e-30),
                   (difference / deviations**2).sum() / jnp.maximum(measured.sum(), 1))


def fits_within_noise(found: FitQuality, num_reflections: jax.Array | int) -> jax.Array:
    """Whether nothing but the expected noise is left: () bool."""
    # A wrong answer's scale may vanish, and chi^2 with it.
    return (found.chi_squared <= max_chi_squared(num_reflections)) & (found.correlation > 0.5)


def max_chi_squared(num_reflections: jax.Array | int) -> jax.Array:
    """The largest chi^2 that passes, of so many reflections: ()."""
    return _MOST_CHI_SQUARED + _SPREAD * jnp.sqrt(2 / num_reflections)


def positions_determined(deviations: jax.Array, found: FitQuality) -> jax.Array:
    """Whether the data fix every atom to within a voxel: () bool, from (n, 3) standard deviations, voxels."""
    # What is left may be less than what was expected.
    return deviations.max() * jnp.sqrt(jnp.minimum(found.chi_squared, 1.0)) <= _FIRM


def are_distinct(first: jax.Array, second: jax.Array) -> jax.Array:
    """Whether two answers (n, 3), each about its mean, are different sets of atoms in either hand: () bool."""
    matching = metrics.match(first, second)
    return ~(matching.matched & (matching.distance <= _DIFFERENT)).all()


def estimate_noise_level(patterson_map: jax.Array, reach: float) -> jax.Array:
    """The relative noise of the intensities, from where a Patterson map (N, N, N) without noise is empty.

    reach: largest |u| along an axis, voxels, that differences of atoms and their spheres have; less than N/2. All
    reflections must be measured: a cut resolution fills the map with ripples. Noise that goes with each intensity is
    spread evenly over the map.
    """
    size = patterson_map.shape[0]
    centred = patterson.centred(patterson_map)
    axis = jnp.abs(jnp.arange(size) - size // 2)
    empty = jnp.maximum(jnp.maximum(axis[:, None, None], axis[:, None]), axis) > reach
    outside = jnp.where(empty, centred**2, 0.0).sum() / jnp.maximum(empty.sum(), 1)
    values = jnp.fft.rfftn(patterson_map).real
    power = (jnp.asarray(patterson.multiplicity(size), jnp.float32) * values**2).sum() - values[0, 0, 0] ** 2
    level = jnp.sqrt(outside * float(size) ** 6 / jnp.maximum(power, 1e-30))
    return jnp.where(empty.any(), level, 0.0)
