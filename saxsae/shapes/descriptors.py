"""Describes what makes a shape difficult to encode or to reconstruct: thin chains, cavities, separate pieces.

`launch.evaluate` reports its scores by these descriptors.
"""

from typing import Any, NamedTuple

import numpy as np

from saxsae.shapes.voxels import CENTRE, SPHERE_FRACTION, sphere_mask

_THIN = 0.7  # `surface_fraction` above which a shape is thin; that of a sheet of three voxels is 2/3
_CAVITY = 0.01  # `cavity_fraction` above which a shape has cavities
_EMPTY = 0.5  # `centre_filled` below which the centre is empty, as in shells, rings and bent chains


class Descriptors(NamedTuple):
    """The descriptors of one occupancy map.

    Attributes:
      filled_fraction: fraction of the voxels of the unit sphere that are filled.
      rg_over_r_max: radius of gyration over r_max; 0.77 for a solid ball, smaller for a body with a long tail.
      surface_fraction: fraction of the filled voxels that have an empty face neighbour; near 1 for thin chains.
      pieces: number of regions connected by faces.
      cavity_fraction: number of enclosed empty voxels over the number of filled ones.
      centre_filled: filled fraction of the ball of radius Rg / 2 about the centre of mass.
    """

    filled_fraction: float
    rg_over_r_max: float
    surface_fraction: float
    pieces: int
    cavity_fraction: float
    centre_filled: float


def describe(occupancy: np.ndarray) -> Descriptors:
    """Returns the descriptors of a binary map (31, 31, 31) with at least one filled voxel."""
    filled = np.asarray(occupancy, bool)
    padded = np.pad(filled, 1)
    position = np.argwhere(filled)
    centre = position.mean(0)
    rg = max(float(np.sqrt(((position - centre) ** 2).sum(-1).mean())), 1.0)
    distance = np.linalg.norm(np.moveaxis(np.indices(filled.shape), 0, -1) - centre, axis=-1)
    outside = _flood(np.unravel_index(0, padded.shape), ~padded)
    return Descriptors(
        filled_fraction=float(filled.sum() / sphere_mask().sum()),
        rg_over_r_max=rg / (SPHERE_FRACTION * CENTRE),
        surface_fraction=float((_dilate(~padded) & padded).sum() / filled.sum()),
        pieces=_count_regions(padded),
        cavity_fraction=float((~padded & ~outside).sum() / filled.sum()),
        centre_filled=float(filled[distance <= rg / 2].mean()))


def name_difficulties(shape: Descriptors) -> str:
    """Returns what is difficult about a shape, in words separated by commas; "compact" if nothing is."""
    difficulties = {"thin or flexible": shape.surface_fraction > _THIN,
                    "cavities": shape.cavity_fraction > _CAVITY,
                    "empty centre": shape.centre_filled < _EMPTY,
                    "in pieces": shape.pieces > 1}
    return ", ".join(name for name, applies in difficulties.items() if applies) or "compact"


def _dilate(region: np.ndarray) -> np.ndarray:
    """Returns a boolean region (N, N, N) with its face neighbours."""
    grown = region.copy()
    for axis in range(3):
        ahead, behind = (tuple(part if a == axis else slice(None) for a in range(3))
                         for part in (slice(1, None), slice(None, -1)))
        grown[ahead] |= region[behind]
        grown[behind] |= region[ahead]
    return grown


def _flood(seed: tuple[Any, ...], allowed: np.ndarray) -> np.ndarray:
    """Returns all voxels of `allowed` (N, N, N) that are connected by faces with the voxel of index `seed`."""
    region = np.zeros_like(allowed)
    region[seed] = True
    while True:
        grown = _dilate(region) & allowed
        if (grown == region).all():
            return region
        region = grown


def _count_regions(filled: np.ndarray) -> int:
    """Returns the number of regions of a boolean map (N, N, N) that are connected by faces."""
    left, count = filled.copy(), 0
    while left.any():
        left &= ~_flood(np.unravel_index(left.argmax(), left.shape), left)
        count += 1
    return count
