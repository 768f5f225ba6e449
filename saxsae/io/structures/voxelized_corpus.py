"""The packed training set: binary shapes, one bit a voxel, with their radii, names and split.

Arrays of the archive (npz, compressed, no pickles), for N shapes:
  occupancy (N, 3724) uint8         saxsae.shapes.voxels.pack of the 31^3 grid (C order, big-endian bits)
  r_max_angstrom (N,) float32       largest distance of an atom from the centroid
  names, pdb_ids, sources (N,) str  the structure, its PDB id or "", where it came from
  split (N,) uint8                  0 training, 1 validation; a PDB id is never on both sides
  pose () str                       "as-is": turned as in the source, centroid on the centre voxel
  version () int                    1
"""

import os
from typing import NamedTuple

import numpy as np

from phasenet.errors import InputError
from phasenet.io.atomic_writes import replacing
from phasenet.io.npz import read_npz
from saxsae.io.structures.corpus import text
from saxsae.shapes.voxels import GRID

VERSION = 1
_LARGEST_ANGSTROM = 1e5
ROW_BYTES = -(-(GRID**3) // 8)
_FIELDS = ("occupancy", "r_max_angstrom", "names", "pdb_ids", "sources", "split")


class VoxelizedCorpus(NamedTuple):
    """Binary shapes at rest.

    Attributes:
      occupancy: (N, 3724) uint8, 31^3 bits each, C order.
      r_max_angstrom: (N,) float32.
      names: (N,) str.
      pdb_ids: (N,) str, lower case, "" where unknown.
      sources: (N,) str.
      split: (N,) uint8, 0 training, 1 validation.
    """

    occupancy: np.ndarray
    r_max_angstrom: np.ndarray
    names: np.ndarray
    pdb_ids: np.ndarray
    sources: np.ndarray
    split: np.ndarray


def write_voxelized(path: str | os.PathLike, shapes: VoxelizedCorpus) -> None:
    """Writes `shapes` to `path`; the file appears only when it is complete."""
    with replacing(path) as part, open(part, "wb") as file:
        np.savez_compressed(
            file, pose=np.array("as-is"), version=np.array(VERSION), **shapes._asdict()
        )


def read_voxelized(path: str | os.PathLike) -> VoxelizedCorpus:
    """The packed set at `path`.

    Raises:
      InputError: missing or malformed file, another version, arrays that contradict each other.
    """
    arrays = read_npz(path, (*_FIELDS, "version"))
    version = arrays["version"]
    if version.shape != () or version.dtype.kind not in "iu" or int(version) != VERSION:
        raise InputError(
            f"{path}: a packed set of version {version}; this code reads version {VERSION}"
        )
    shapes = VoxelizedCorpus(**{name: arrays[name] for name in _FIELDS})
    count = len(shapes.occupancy) if shapes.occupancy.ndim else 0
    if (
        shapes.occupancy.shape != (count, ROW_BYTES)
        or shapes.occupancy.dtype != np.uint8
        or not count
    ):
        raise InputError(
            f"{path}: 'occupancy' is {shapes.occupancy.dtype} {shapes.occupancy.shape}; "
            f"uint8 of shape (N, {ROW_BYTES}) is needed"
        )
    for name, kinds in (
        ("r_max_angstrom", "f"),
        ("names", "US"),
        ("pdb_ids", "US"),
        ("sources", "US"),
        ("split", "iu"),
    ):
        array = getattr(shapes, name)
        if array.shape != (count,) or array.dtype.kind not in kinds:
            raise InputError(
                f"{path}: {name!r} is {array.dtype} {array.shape}; one value for each of the "
                f"{count} rows of 'occupancy' is needed"
            )
    if not ((shapes.r_max_angstrom > 0) & (shapes.r_max_angstrom < _LARGEST_ANGSTROM)).all():
        raise InputError(f"{path}: 'r_max_angstrom' must be positive, and below {_LARGEST_ANGSTROM:g}")
    if not ((shapes.split == 0) | (shapes.split == 1)).all():
        raise InputError(f"{path}: 'split' must be 0 or 1")
    return shapes._replace(names=text(shapes.names), pdb_ids=text(shapes.pdb_ids), sources=text(shapes.sources))
