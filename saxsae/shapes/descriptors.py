"""What makes a shape hard to encode or to recover: thin chains, holes, pieces."""

from typing import NamedTuple

import numpy as np

from saxsae.shapes.voxels import CENTRE, SPHERE_FRACTION, sphere_mask

_THIN = 0.7  # of the filled voxels at the surface: about three voxels thick
_CAVITY = 0.01  # of the filled volume enclosed
_EMPTY = 0.5  # of the ball of half Rg about the centre of mass filled: shells, rings, bent chains


class Descriptors(NamedTuple):
    """Of one occupancy map.

    Attributes:
      filled_fraction: of the unit sphere's voxels.
      rg_over_r_max: 0.77 for a solid ball; small where a tail reaches far out.
      surface_fraction: filled voxels with an empty face neighbour; near 1 for thin, flexible chains.
      pieces: regions connected by faces.
      cavity_fraction: empty voxels without a way out, relative to the filled ones.
      centre_filled: filled share of the ball of half Rg about the centre of mass.
    """

    filled_fraction: float
    rg_over_r_max: float
    surface_fraction: float
    pieces: int
    cavity_fraction: float
    centre_filled: float


def describe(occupancy: np.ndarray) -> Descriptors:
    """Descriptors of a binary map (31, 31, 31) with at least one filled voxel."""
    filled = np.asarray(occupancy, bool)
    padded = np.pad(filled, 1)
    position = np.argwhere(filled)
    centre = position.mean(0)
    rg = max(float(np.sqrt(((position - centre) ** 2).sum(-1).mean())), 1.0)
    distance = np.linalg.norm(np.moveaxis(np.indices(filled.shape), 0, -1) - centre, axis=-1)
    outside = _region(np.unravel_index(0, padded.shape), ~padded)
    return Descriptors(
        filled_fraction=float(filled.sum() / sphere_mask().sum()),
        rg_over_r_max=rg / (SPHERE_FRACTION * CENTRE),
        surface_fraction=float((_grow(~padded) & padded).sum() / filled.sum()),
        pieces=_count_regions(padded),
        cavity_fraction=float((~padded & ~outside).sum() / filled.sum()),
        centre_filled=float(filled[distance <= rg / 2].mean()))


def reason_to_reject(shape: Descriptors) -> str:
    """What is hard about a shape, in words; "compact" for a shape without such traits."""
    traits = {"thin or flexible": shape.surface_fraction > _THIN,
              "cavities": shape.cavity_fraction > _CAVITY,
              "empty centre": shape.centre_filled < _EMPTY,
              "in pieces": shape.pieces > 1}
    return ", ".join(name for name, found in traits.items() if found) or "compact"


def _grow(region: np.ndarray) -> np.ndarray:
    """The region and its face neighbours; the array's border stays as it is."""
    grown = region.copy()
    for axis in range(3):
        ahead, behind = (tuple(part if a == axis else slice(None) for a in range(3))
                         for part in (slice(1, None), slice(None, -1)))
        grown[ahead] |= region[behind]
        grown[behind] |= region[ahead]
    return grown


def _region(seed: tuple, allowed: np.ndarray) -> np.ndarray:
    """All of `allowed` that is connected with the voxel `seed`."""
    region = np.zeros_like(allowed)
    region[seed] = True
    while True:
        grown = _grow(region) & allowed
        if (grown == region).all():
            return region
        region = grown


def _count_regions(filled: np.ndarray) -> int:
    left, count = filled.copy(), 0
    while left.any():
        left &= ~_region(np.unravel_index(left.argmax(), left.shape), left)
        count += 1
    return count
