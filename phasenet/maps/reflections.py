"""Which reflections are compared, and with what weight: half of reciprocal space, sparse or whole."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phasenet.maps import patterson


class Reflections(NamedTuple):
    """R reflections of an N^3 transform, one of each Friedel pair. All static.

    Attributes:
      grid: N.
      index: (R,) into the flattened (N, N, N/2 + 1) that rfftn gives.
      weights: (R,) float32, 1 / N^3 or, where it stands for its mate too, 2 / N^3, so that by
        Parseval sum(weights * values^2) is a sum over the voxels of the transform of values.
    """

    grid: int
    index: np.ndarray
    weights: np.ndarray


@functools.lru_cache
def reflections(grid: int, h_max: float | None = None) -> Reflections:
    """All reflections of a map of grid^3 voxels with |h| <= h_max (None: all of them)."""
    kept = np.ones((grid, grid, grid // 2 + 1), bool) if h_max is None else patterson.index_radius(grid) <= h_max
    weights = np.broadcast_to(patterson.multiplicity(grid), kept.shape)[kept] / grid**3
    return Reflections(grid, np.flatnonzero(kept), weights.astype(np.float32))


def structure_factors(density: jax.Array, which: Reflections) -> jax.Array:
    """Real and imaginary parts of a density's structure factors: (N, N, N) -> (2, R)."""
    factors = jnp.fft.rfftn(density).ravel()[which.index]
    return jnp.stack([factors.real, factors.imag])


def observed_intensities(patterson_map: jax.Array, which: Any) -> jax.Array:
    """|F|^2 of a Patterson map, its origin at voxel 0: (N, N, N) -> (R,).

    which: has a `grid` and an `index` into it, as Reflections and point_atoms.PointModel.

    A map larger than the reflections' grid is cropped about its origin, which loses nothing while
    all atoms lie within N/2 of each other.
    """
    n, grid = patterson_map.shape[0], which.grid
    if grid < n:
        low = n // 2 - grid // 2
        middle = patterson.centred(patterson_map)[(slice(low, low + grid),) * 3]
        patterson_map = jnp.fft.ifftshift(middle)
    return jnp.fft.rfftn(patterson_map).real.ravel()[which.index]


class Agreement(NamedTuple):
    """How well calculated intensities fit the observed ones; F000 does not count.

    Attributes:
      correlation: Pearson correlation of the two Patterson maps.
      r_factor: sum |F_obs - k F_calc| / sum F_obs over amplitudes, k the best scale.
    """

    correlation: jax.Array
    r_factor: jax.Array


def agreement(calculated: jax.Array, observed: jax.Array, which: Reflections) -> Agreement:
    """The two figures of merit of intensities (R,) against (R,)."""
    return weighted_agreement(calculated, observed, jnp.where(which.index == 0, 0.0, which.weights))


def weighted_agreement(calculated: jax.Array, observed: jax.Array, weights: jax.Array) -> Agreement:
    """The same for intensities and weights of one shape: what each counts, 0 for F000 and what was not measured."""
    # Without F000 both maps have the mean 0, and Parseval gives Pearson's correlation.
    products = [(weights * a * b).sum() for a, b in
                ((calculated, observed), (calculated, calculated), (observed, observed))]
    correlation = products[0] / jnp.sqrt(jnp.maximum(products[1] * products[2], 1e-30))
    amplitude, model = (jnp.sqrt(jnp.maximum(values, 0.0)) for values in (observed, calculated))
    scale = (weights * amplitude * model).sum() / jnp.maximum((weights * model**2).sum(), 1e-30)
    total = jnp.maximum((weights * amplitude).sum(), 1e-30)
    return Agreement(correlation, (weights * jnp.abs(amplitude - scale * model)).sum() / total)
