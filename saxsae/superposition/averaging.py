"""Superposes maps on their own mean, so that they can be averaged.

A curve determines neither orientation nor hand, so the models of a reconstruction have to be superposed before they are
averaged. `saxsae.bank_search` calls `superpose_on_mean`, whose steps are:

1. The first eight maps are superposed on the best one and averaged.
2. All maps are superposed on that mean, by a search over all orientations of both hands.
3. Steps 1 and 2 are repeated once, with the maps most like the mean as the first ones.
4. All maps are averaged, and the superposition of each map on this mean is refined.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from saxsae.superposition import alignment
from saxsae.superposition.alignment import Superposition

_FIRST_MAPS = 8  # maps in the mean of step 1
_GRID_QUANTILE = 0.75  # quantile of the pitches for the common grid, so that one long body does not coarsen all maps


class AveragedMaps(NamedTuple):
    """Maps on a common grid.

    Attributes:
      maps: (K, 31, 31, 31) float32, superposed.
      pitch_angstrom: edge of their voxels, A.
      correlations: (K,) Pearson correlation of each map with the mean of all.
    """

    maps: np.ndarray
    pitch_angstrom: float
    correlations: np.ndarray


def superpose_on_mean(maps: np.ndarray, pitches: np.ndarray, weights: np.ndarray | None = None) -> AveragedMaps:
    """Superposes maps on their mean.

    Args:
      maps: (K, 31, 31, 31) float32, the best first.
      pitches: (K,) edges of their voxels, A.
      weights: (K,) weights of the maps in the last mean; None for equal weights.
    """
    pitches = np.asarray(pitches, np.float32)
    pitch = np.float32(np.quantile(pitches, _GRID_QUANTILE))
    first = np.asarray(alignment.apply_superposition(maps[0], pitches[0], identity(), pitch))
    if len(maps) == 1:
        return AveragedMaps(first[None], float(pitch), np.ones(1))
    order = np.arange(len(maps))
    for _ in range(2):
        head = order[:_FIRST_MAPS]
        mean = np.asarray(alignment.align_to(maps[head], pitches[head], first, pitch, effort=alignment.FAST)[0]).mean(0)
        moved, found = alignment.align_to(maps, pitches, mean, pitch, effort=alignment.FAST)
        order = np.argsort(-np.asarray(found.correlation), kind="stable")
        first = np.asarray(moved)[order[0]]
    mean = jnp.asarray(np.average(np.asarray(moved), axis=0, weights=weights), jnp.float32)
    placed, correlations = [], []
    for number, (one, its_pitch) in enumerate(zip(maps, pitches, strict=True)):
        start = Superposition(*(field[number] for field in found))
        better = alignment.refine_superposition(jnp.asarray(one, jnp.float32), jnp.asarray(its_pitch), mean,
                                                jnp.asarray(pitch), start)
        placed.append(np.asarray(alignment.apply_superposition(one, its_pitch, better, pitch)))
        correlations.append(float(better.correlation))
    return AveragedMaps(np.stack(placed), float(pitch), np.array(correlations))


def identity() -> Superposition:
    """Returns the superposition that moves nothing."""
    # Small arrays are made in NumPy, because JAX would compile a program for each small operation.
    return Superposition(np.eye(3, dtype=np.float32), np.zeros(3, np.float32), np.asarray(False),
                         np.ones((), np.float32))
