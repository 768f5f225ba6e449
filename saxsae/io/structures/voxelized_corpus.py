"""Reads and writes the packed training set: N binary shapes, one bit a voxel, in a compressed .npz archive.

`launch.prepare_structures` writes it; `launch.train` reads it for the shape autoencoder. Its arrays:
  occupancy (N, 3724) uint8         saxsae.shapes.voxels.pack of the 31^3 grid (C order, big-endian bits)
  r_max_angstrom (N,) float32       largest distance of an atom from the centroid
  names, pdb_ids, sources (N,) str  the structure's name; its PDB id, "" where unknown; where it came from
  split (N,) uint8                  0 training, 1 validation; a PDB id is never on both sides
  pose () str                       "as-is": not turned by the writer; the centroid lies on the centre voxel
  version () int                    1
"""

import os
from typing import NamedTuple

import numpy as np

from phasenet.errors import InputError
from phasenet.io.atomic_writes import replacing
from phasenet.io.npz import read_npz
from saxsae.io.structures.corpus import decode_strings
from saxsae.shapes.voxels import GRID

VERSION = 1
_MAX_RADIUS_ANGSTROM = 1e5
ROW_BYTES = -(-(GRID**3) // 8)
_FIELDS = ("occupancy", "r_max_angstrom", "names", "pdb_ids", "sources", "split")


class VoxelizedCorpus(NamedTuple):
    """N binary shapes on the 31^3 grid, packed.

    Attributes:
      occupancy: (N, 3724) uint8, 31^3 bits each in C order; `saxsae.shapes.voxels.unpack` unpacks them.
      r_max_angstrom: (N,) float32, largest distance of an atom from the centroid; it sets the voxel's edge.
      names: (N,) str.
      pdb_ids: (N,) str, lower case, "" where unknown.
      sources: (N,) str, where each structure came from.
      split: (N,) uint8, 0 training, 1 validation.
    """

    occupancy: np.ndarray
    r_max_angstrom: np.ndarray
    names: np.ndarray
    pdb_ids: np.ndarray
    sources: np.ndarray
    split: np.ndarray


def write_voxelized(path: str | os.PathLike, shapes: VoxelizedCorpus) -> None:
    """Writes `shapes` as an archive at `path`; the file appears only when it is complete."""
    with replacing(path) as part, open(part, "wb") as file:
        np.savez_compressed(
            file, pose=np.array("as-is"), version=np.array(VERSION), **shapes._asdict()
        )


def read_voxelized(path: str | os.PathLike) -> VoxelizedCorpus:
    """Returns the packed set at `path`.

    Raises:
      InputError: the file is missing or malformed or of another version, or its arrays contradict each other.
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
    if not ((shapes.r_max_angstrom > 0) & (shapes.r_max_angstrom < _MAX_RADIUS_ANGSTROM)).all():
        raise InputError(f"{path}: 'r_max_angstrom' must be positive and below {_MAX_RADIUS_ANGSTROM:g}")
    if not ((shapes.split == 0) | (shapes.split == 1)).all():
        raise InputError(f"{path}: 'split' must be 0 (training) or 1 (validation)")
    return shapes._replace(names=decode_strings(shapes.names), pdb_ids=decode_strings(shapes.pdb_ids),
                           sources=decode_strings(shapes.sources))
