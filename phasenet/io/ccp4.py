"""Density maps in the CCP4/MRC format.

Where a map lies is told in two places of the header, and programs differ in which they heed:
N*START (in voxels; Coot, PyMOL, gemmi and all of crystallography) or ORIGIN (in Angstrom; ChimeraX
and Mol* where it is not zero). Maps are written as EMDB distributes its own: N*START = -15 and
ORIGIN = 0, which every program places alike, voxel (15, 15, 15) at (0, 0, 0) A. Only where a map
shall lie between voxels is ORIGIN used instead. Cell 31 h, 90 degrees, P1, mode 2.
"""

import math
import os
from typing import NamedTuple

import gemmi
import numpy as np

from phasenet.errors import InputError
from phasenet.io.atomic_writes import replacing
from phasenet.io.decompression import GZIP, check_unpacked

_HEADER_BYTES = 1024
# Of the header's word 4: bytes a value. 0: signed bytes, 1 and 6: 16 bits, 2: 32-bit floats; the others hold what is
# no density.
_VALUE_BYTES = {0: 1, 1: 2, 2: 4, 6: 2}
_START, _ANGLES, _AXES, _ORIGIN = (5, 6, 7), (14, 15, 16), (17, 18, 19), (50, 51, 52)
_TOLERANCE = 1e-3  # of a voxel: nearer to a whole number of voxels than this needs no ORIGIN


class DensityMap(NamedTuple):
    """A map as a file holds it.

    Attributes:
      density: (X, Y, Z) float32; index (i, j, k) lies at origin + (i, j, k) * pitch.
      pitch_angstrom: (3,) float64, voxel edges along x, y, z.
      origin_angstrom: (3,) float64, position of voxel (0, 0, 0).
    """

    density: np.ndarray
    pitch_angstrom: np.ndarray
    origin_angstrom: np.ndarray


def write_map(
    path: str | os.PathLike,
    density: np.ndarray,
    pitch_angstrom: float,
    origin_angstrom: np.ndarray | None = None,
    label: str = "",
) -> None:
    """Writes a cubic map.

    Args:
      path: the file; `.ccp4`, `.map` or `.mrc` by custom.
      density: (N, N, N), finite, index (x, y, z); N odd unless an origin is given.
      pitch_angstrom: voxel edge h.
      origin_angstrom: (3,) position of voxel (0, 0, 0); by default -(N - 1) / 2 h each: the centre
        voxel at 0.
      label: up to 80 characters for the header.
    """
    density = np.ascontiguousarray(density, np.float32)
    size = density.shape[0]
    if density.shape != (size,) * 3:
        raise ValueError(f"a cubic map is needed, not one of shape {density.shape}")
    if not np.isfinite(density).all() or not pitch_angstrom > 0:
        raise ValueError("a map needs finite values and a positive pitch")
    if origin_angstrom is None:
        if size % 2 == 0:
            raise ValueError("a map of even size has no centre voxel: give its origin")
        start = np.full(3, -(size - 1) / 2)
    else:
        start = np.asarray(origin_angstrom, float) / pitch_angstrom
    edge = size * float(pitch_angstrom)
    ccp4 = gemmi.Ccp4Map()
    ccp4.grid = gemmi.FloatGrid(
        density, gemmi.UnitCell(edge, edge, edge, 90, 90, 90), gemmi.SpaceGroup("P 1")
    )
    ccp4.update_ccp4_header(2, True)
    whole = np.abs(start - np.rint(start)).max() < _TOLERANCE
    for word, origin_word, value in zip(_START, _ORIGIN, start, strict=True):
        ccp4.set_header_i32(word, int(np.rint(value)) if whole else 0)
        ccp4.set_header_float(origin_word, 0.0 if whole else float(value * pitch_angstrom))
    if label:
        ccp4.set_header_str(57, label.encode("ascii", "replace").decode()[:80].ljust(80))
    with replacing(path) as part:
        ccp4.write_ccp4_map(part)


def read_map(path: str | os.PathLike) -> DensityMap:
    """Reads any CCP4 or MRC map with right angles, in whichever order its axes are stored; may be
    gzipped.

    Raises:
      InputError: missing or malformed file, no cell, oblique cell, values that are not numbers.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file")
    try:
        _check_size(os.fspath(path))
        ccp4 = gemmi.read_ccp4_map(os.fspath(path), setup=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: not a readable CCP4/MRC map ({error})") from None
    axes = [ccp4.header_i32(word) - 1 for word in _AXES]
    if sorted(axes) != [0, 1, 2]:
        raise InputError(
            f"{path}: header words 17-19 (axis order) are {[axis + 1 for axis in axes]}; "
            "a permutation of 1, 2, 3 is needed"
        )
    if any(abs(ccp4.header_float(word) - 90) > 0.01 for word in _ANGLES):
        raise InputError(f"{path}: the cell's angles are not 90 degrees")
    intervals = np.array([ccp4.header_i32(word) for word in (8, 9, 10)], float)
    cell = np.array([ccp4.header_float(word) for word in (11, 12, 13)], float)
    if not (np.isfinite(cell).all() and (cell > 0).all() and (intervals > 0).all()):
        raise InputError(
            f"{path}: the header gives no voxel size (cell {cell.tolist()} A, "
            f"{intervals.astype(int).tolist()} intervals)"
        )
    pitch = cell / intervals
    # Columns, rows, sections of the file to x, y, z.
    order = [axes.index(axis) for axis in range(3)]
    density = np.array(ccp4.grid.array, np.float32).transpose(order)
    start = np.array([ccp4.header_i32(word) for word in _START], float)[order]
    origin = np.array([ccp4.header_float(word) for word in _ORIGIN], float)
    if not np.isfinite(origin).all():
        raise InputError(f"{path}: header words 50-52 (origin) are {origin.tolist()}; numbers are needed")
    if not np.isfinite(density).all():
        raise InputError(f"{path}: the map holds values that are not numbers")
    return DensityMap(density, pitch, origin if origin.any() else start * pitch)


def _check_size(path: str) -> None:
    """Raises ValueError where the header claims more voxels than the file can hold: gemmi would make room for them."""
    header = gemmi.read_ccp4_header(path)
    edges, mode = [header.header_i32(word) for word in (1, 2, 3)], header.header_i32(4)
    if min(edges) < 1:
        raise ValueError(f"{' x '.join(map(str, edges))} voxels")
    if mode not in _VALUE_BYTES:
        raise ValueError(f"mode {mode}; one of {', '.join(map(str, _VALUE_BYTES))} is needed")
    claimed, size = _HEADER_BYTES + math.prod(edges) * _VALUE_BYTES[mode], os.path.getsize(path)
    with open(path, "rb") as file:
        if file.read(2) == GZIP:
            check_unpacked(size, claimed)
        elif claimed > size:
            raise ValueError(f"the header claims {' x '.join(map(str, edges))} voxels, {claimed} bytes, but the file "
                             f"has {size}")
