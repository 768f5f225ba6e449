"""Superposes maps on their own mean and averages them; for the models and structures of a reconstruction.

A curve determines neither orientation nor hand, so a mean needs both. The steps of `superpose_on_mean`:

1. The first maps are superposed on the best one, and averaged.
2. All maps are superposed on that mean by a search over all orientations of both hands, and averaged; twice, the second
   time from the map that is most like the mean.
3. Each is moved a little on the mean of all.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from saxsae.superposition import alignment
from saxsae.superposition.alignment import Superposition

_FIRST_MAPS = 8  # of which the first mean is made
_GRID_QUANTILE = 0.75  # of the pitches, which the common grid takes: one long body should not coarsen the others


class AveragedMaps(NamedTuple):
    """Maps on a common grid.

    Attributes:
      maps: (K, 31, 31, 31) float32, superposed.
      pitch_angstrom: edge of their voxels.
      correlations: (K,) of each map with the mean of all.
    """

    maps: np.ndarray
    pitch_angstrom: float
    correlations: np.ndarray


def superpose_on_mean(maps: np.ndarray, pitches: np.ndarray, weights: np.ndarray | None = None) -> AveragedMaps:
    """Superposes maps on their mean.

    Args:
      maps: (K, 31, 31, 31) float32, the best first.
      pitches: (K,) edges of their voxels, A.
      weights: (K,) of the maps in the mean; equal if None.
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
