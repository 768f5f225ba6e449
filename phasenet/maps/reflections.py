"""Selects the reflections to compare, with their weights, and tells how well two sets of intensities agree.

The product (networks, search and certificate) and the paper's annealer use this module. An intensity is |F|^2.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phasenet.maps import patterson
from phasenet.maps.point_atoms import PointModel


class Reflections(NamedTuple):
    """R reflections of a map on N^3 voxels, among those that `rfftn` keeps. All fields are static.

    Attributes:
      grid: N, voxels per edge.
      flat_index: (R,) int, indices into the flattened (N, N, N/2 + 1) of `rfftn`.
      weights: (R,) float32, 1 / N^3, or 2 / N^3 where a reflection stands for its Friedel mate too. By Parseval's
        theorem sum(weights * values^2) is the sum of squares over the voxels of the inverse transform of the values.
    """

    grid: int
    flat_index: np.ndarray
    weights: np.ndarray


@functools.lru_cache
def select_reflections(grid: int, h_max: float | None = None) -> Reflections:
    """Returns the reflections of a map of grid^3 voxels with |h| <= h_max, cycles per map edge; None keeps all."""
    kept = np.ones((grid, grid, grid // 2 + 1), bool) if h_max is None else patterson.index_radius(grid) <= h_max
    weights = np.broadcast_to(patterson.multiplicity(grid), kept.shape)[kept] / grid**3
    return Reflections(grid, np.flatnonzero(kept), weights.astype(np.float32))


def structure_factors(density: jax.Array, which: Reflections) -> jax.Array:
    """Returns real and imaginary parts (2, R) of the structure factors of a density (N, N, N); N = which.grid."""
    factors = jnp.fft.rfftn(density).ravel()[which.flat_index]
    return jnp.stack([factors.real, factors.imag])


def observed_intensities(patterson_map: jax.Array | np.ndarray, which: Reflections | PointModel) -> jax.Array:
    """Returns |F|^2 of a Patterson map at some reflections.

    A map larger than the grid of the reflections is cropped about its origin. The crop loses nothing if no vector
    between two atoms, their radii included, is longer on an axis than half an edge of that grid.

    Args:
      patterson_map: (M, M, M), M >= which.grid, its origin at voxel 0.
      which: R reflections.

    Returns:
      (R,), on the scale of the map.
    """
    n, grid = patterson_map.shape[0], which.grid
    if grid < n:
        low = n // 2 - grid // 2
        middle = patterson.move_origin_to_middle(patterson_map)[(slice(low, low + grid),) * 3]
        patterson_map = jnp.fft.ifftshift(middle)
    return jnp.fft.rfftn(patterson_map).real.ravel()[which.flat_index]


class Agreement(NamedTuple):
    """How well calculated intensities agree with observed ones, without F000. All sums are weighted.

    Attributes:
      correlation: () Pearson correlation of the two Patterson maps, at most 1.
      r_factor: () sum |F_obs - k F_calc| / sum F_obs over amplitudes, k the scale of least squares; 0 is perfect.
    """

    correlation: jax.Array
    r_factor: jax.Array


def agreement(calculated: jax.Array, observed: jax.Array, which: Reflections) -> Agreement:
    """Returns the agreement of calculated with observed intensities, (R,) each, weighted as `which` says."""
    return weighted_agreement(calculated, observed, jnp.where(which.flat_index == 0, 0.0, which.weights))


def weighted_agreement(calculated: jax.Array, observed: jax.Array, weights: jax.Array) -> Agreement:
    """Returns the agreement of calculated with observed intensities, with the caller's weights.

    Args:
      calculated: intensities of any shape.
      observed: intensities, the same shape.
      weights: the same shape; 0 for F000 and for reflections that were not measured.

    Returns:
      Correlation () and R factor ().
    """
    # Without F000 both maps have mean 0, so Parseval's theorem gives the Pearson correlation from the intensities.
    products = [(weights * a * b).sum() for a, b in
                ((calculated, observed), (calculated, calculated), (observed, observed))]
    correlation = products[0] / jnp.sqrt(jnp.maximum(products[1] * products[2], 1e-30))
    amplitude, model = (jnp.sqrt(jnp.maximum(values, 0.0)) for values in (observed, calculated))
    scale = (weights * amplitude * model).sum() / jnp.maximum((weights * model**2).sum(), 1e-30)
    total = jnp.maximum((weights * amplitude).sum(), 1e-30)
    return Agreement(correlation, (weights * jnp.abs(amplitude - scale * model)).sum() / total)
