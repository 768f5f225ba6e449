"""Many structures of many sizes to packed occupancies, in few compiled programs.

Structures are grouped by their atom count, padded to a power of two, and by how far an atom reaches
(`voxels.reach`); each group runs through one vmapped program, a bounded number of voxel tests at a
time. A structure of very many atoms (a virus) goes in pieces, whose maps are united.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

import jax
import numpy as np

from saxsae.shapes import voxels

_MIN_ATOMS = 256
_MAX_ATOMS = 1 << 16
_TESTS_PER_BATCH = 1 << 22  # (atom, voxel) pairs at once: about 100 MB of temporaries


def voxelize_many(
    coordinates: Sequence[np.ndarray],
    spacings: Sequence[float | None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Packed occupancies of many structures, each in its own pose.

    Args:
      coordinates: N arrays (atoms, 3) in Angstrom, any origin, at least two distinct positions
        each.
      spacings: per structure the beads' median nearest-neighbour spacing in Angstrom, None for
        atoms.
      progress: called now and then with the number of structures done.

    Returns:
      (N, 3724) uint8 as `voxels.pack`, and r_max (N,) float32 in Angstrom.
    """
    spacings = [None] * len(coordinates) if spacings is None else spacings
    packed = np.zeros((len(coordinates), -(-(voxels.GRID**3) // 8)), np.uint8)
    contact = np.array([voxels.contact_distance(s) for s in spacings], np.float32)
    frames = [_frame(xyz, i) for i, xyz in enumerate(coordinates)]
    groups = defaultdict(list)
    for i, (_, r_max) in enumerate(frames):
        for start in range(0, len(coordinates[i]), _MAX_ATOMS):
            count = min(_MAX_ATOMS, len(coordinates[i]) - start)
            size = max(_MIN_ATOMS, 1 << (count - 1).bit_length())
            groups[size, voxels.reach(r_max, float(contact[i]))].append((i, start))
    seen = set()
    for (size, reach), members in sorted(groups.items()):
        batch = max(1, _TESTS_PER_BATCH // (size * (2 * reach + 1) ** 3))
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


def _frame(xyz: np.ndarray, i: int) -> tuple[np.ndarray, float]:
    centred, r_max = voxels.centre_and_radius(xyz)
    if not r_max > 0:
        raise ValueError(f"structure {i} needs at least two distinct positions")
    return np.asarray(xyz[0], np.float64) - centred[0], r_max
