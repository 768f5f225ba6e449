"""Computes the packed occupancy maps of many structures of different sizes, with few compiled programs.

Structures are grouped by the number of atoms, padded to a power of two, and by the reach of an atom in voxels
(`voxels.reach_in_voxels`). One vmapped program processes each group, in batches of about `_PAIRS_PER_BATCH`
(atom, voxel) pairs, or of one structure. A structure of more than `_MAX_ATOMS` atoms is voxelized in pieces,
whose maps are united. Called by `launch.prepare_structures`.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

import jax
import numpy as np

from saxsae.shapes import voxels

_MIN_ATOMS = 256  # smallest padded number of atoms
_MAX_ATOMS = 1 << 16
_PAIRS_PER_BATCH = 1 << 22  # about 100 MB of temporary arrays


def voxelize_many(
    coordinates: Sequence[np.ndarray],
    spacings: Sequence[float | None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the packed occupancy maps of many structures, each in its own orientation.

    Args:
      coordinates: N arrays (atoms, 3) in Angstrom, any origin, at least two distinct positions each.
      spacings: for each structure the median nearest-neighbour spacing of its beads in Angstrom, or None for atoms.
        None means atoms for all.
      progress: called after each batch with the number of structures done.

    Returns:
      The maps, (N, 3724) uint8 as from `voxels.pack`; and r_max, (N,) float32 in Angstrom.

    Raises:
      ValueError: a structure has fewer than two distinct positions.
    """
    spacings = [None] * len(coordinates) if spacings is None else spacings
    packed = np.zeros((len(coordinates), -(-(voxels.GRID**3) // 8)), np.uint8)
    contact = np.array([voxels.contact_distance(s) for s in spacings], np.float32)
    frames = [_centroid_and_radius(xyz, i) for i, xyz in enumerate(coordinates)]
    groups = defaultdict(list)
    for i, (_, r_max) in enumerate(frames):
        for start in range(0, len(coordinates[i]), _MAX_ATOMS):
            count = min(_MAX_ATOMS, len(coordinates[i]) - start)
            size = max(_MIN_ATOMS, 1 << (count - 1).bit_length())
            groups[size, voxels.reach_in_voxels(r_max, float(contact[i]))].append((i, start))
    seen = set()
    for (size, reach), members in sorted(groups.items()):
        batch = max(1, _PAIRS_PER_BATCH // (size * (2 * reach + 1) ** 3))
        batch = min(batch, 1 << (len(members) - 1).bit_length())
        run = jax.jit(jax.vmap(lambda *args, reach=reach: voxels.voxelize(*args, reach=reach)))
        for first in range(0, len(members), batch):
            pieces = members[first : first + batch]
            xyz = np.zeros((batch, size, 3), np.float32)
            mask = np.zeros((batch, size), bool)
            radius, limit = np.ones((2, batch), np.float32)
            for row, (i, start) in enumerate(pieces):
                atoms = np.asarray(coordinates[i][start : start + size], np.float64) - frames[i][0]
                xyz[row, : len(atoms)], mask[row, : len(atoms)] = atoms, True
                radius[row], limit[row] = frames[i][1], contact[i]
            maps = voxels.pack(np.asarray(run(xyz, mask, radius, limit)))
            for (i, _), bits in zip(pieces, maps, strict=False):
                packed[i] |= bits
                seen.add(i)
            if progress:
                progress(len(seen))
    return packed, np.array([r_max for _, r_max in frames], np.float32)


def _centroid_and_radius(xyz: np.ndarray, i: int) -> tuple[np.ndarray, float]:
    """Returns the centroid (3,) and r_max of structure number i, `xyz` (atoms, 3); raises ValueError if r_max is 0."""
    centred, r_max = voxels.centre_and_radius(xyz)
    if not r_max > 0:
        raise ValueError(f"structure {i} needs at least two distinct positions")
    return np.asarray(xyz[0], np.float64) - centred[0], r_max
