"""Reads and writes density maps in the CCP4/MRC format (A. Cheng et al., J. Struct. Biol. 192, 146, 2015).

Two fields of the header state where a map lies: N*START, in voxels, and ORIGIN, in Angstrom. Coot, PyMOL and gemmi use
N*START; ChimeraX and Mol* use ORIGIN if ORIGIN is not 0. As in EMDB, maps are written here with N*START and ORIGIN = 0,
which all programs place alike; only a map that lies between voxels gets an ORIGIN. Called by `patterson_maps`, which
reads maps, and by the launches, which write maps.
"""

import math
import os
from typing import NamedTuple

import gemmi
import numpy as np
from numpy.typing import ArrayLike

from phasenet.errors import InputError
from phasenet.io.atomic_writes import replacing
from phasenet.io.decompression import GZIP_MAGIC, check_unpacked_size

_HEADER_BYTES = 1024
# Bytes per value, by mode (word 4 of the header): 0 is int8, 1 int16, 2 float32, 6 uint16. The other modes do not hold
# densities.
_VALUE_BYTES = {0: 1, 1: 2, 2: 4, 6: 2}
# Words of the header, counted from 1: N*START in voxels, angles of the cell, order of the axes, ORIGIN in Angstrom.
_START, _ANGLES, _AXES, _ORIGIN = (5, 6, 7), (14, 15, 16), (17, 18, 19), (50, 51, 52)
_WHOLE_VOXEL_TOLERANCE = 1e-3  # voxels; an origin nearer than this to a voxel is written as N*START


class DensityMap(NamedTuple):
    """A density map as it is in a file.

    Attributes:
      density: (X, Y, Z) float32, unit of the file, index (x, y, z); voxel (i, j, k) lies at origin + (i, j, k) * pitch.
      pitch_angstrom: (3,) float64, edges of a voxel along x, y, z, A.
      origin_angstrom: (3,) float64, position of voxel (0, 0, 0), A.
    """

    density: np.ndarray
    pitch_angstrom: np.ndarray
    origin_angstrom: np.ndarray


def write_map(
    path: str | os.PathLike,
    density: ArrayLike,
    pitch_angstrom: float,
    origin_angstrom: ArrayLike | None = None,
    label: str = "",
) -> None:
    """Writes a cubic map: mode 2 (float32), cell N times the pitch, 90 degrees, space group P1.

    Args:
      path: the file; its suffix is usually .ccp4, .map or .mrc.
      density: (N, N, N), finite, any unit, index (x, y, z); N odd unless an origin is given.
      pitch_angstrom: edge of a voxel, A.
      origin_angstrom: (3,) position of voxel (0, 0, 0), A; by default the middle voxel is at (0, 0, 0) A.
      label: text for the header, up to 80 ASCII characters.

    Raises:
      ValueError: the density is not cubic or not finite, the pitch is not positive, or N is even without an origin.
      OSError: the file cannot be written.
    """
    density = np.ascontiguousarray(density, np.float32)
    size = density.shape[0]
    if density.shape != (size,) * 3:
        raise ValueError(f"the shape is {density.shape}; expected a cubic map (N, N, N)")
    if not np.isfinite(density).all() or not pitch_angstrom > 0:
        raise ValueError(f"expected a finite density and a positive pitch (the pitch is {pitch_angstrom})")
    if origin_angstrom is None:
        if size % 2 == 0:
            raise ValueError("a map of even size has no middle voxel; give its origin")
        start = np.full(3, -(size - 1) / 2)
    else:
        start = np.asarray(origin_angstrom, float) / pitch_angstrom
    edge = size * float(pitch_angstrom)
    ccp4 = gemmi.Ccp4Map()
    ccp4.grid = gemmi.FloatGrid(
        density, gemmi.UnitCell(edge, edge, edge, 90, 90, 90), gemmi.SpaceGroup("P 1")
    )
    ccp4.update_ccp4_header(2, True)
    is_at_voxel = np.abs(start - np.rint(start)).max() < _WHOLE_VOXEL_TOLERANCE
    for word, origin_word, value in zip(_START, _ORIGIN, start, strict=True):
        ccp4.set_header_i32(word, int(np.rint(value)) if is_at_voxel else 0)
        ccp4.set_header_float(origin_word, 0.0 if is_at_voxel else float(value * pitch_angstrom))
    _write(path, ccp4, label)


def write_cell_map(path: str | os.PathLike, density: ArrayLike, cell: ArrayLike, space_group: str = "",
                   label: str = "") -> None:
    """Writes a map of a whole unit cell of any lattice: mode 2 (float32), voxel (0, 0, 0) at the origin of the cell.

    Args:
      path: the file; its suffix is usually .ccp4 or .map.
      density: (X, Y, Z), finite, any unit; voxel (i, j, k) lies at the fractional coordinates (i / X, j / Y, k / Z).
      cell: (6,) a, b, c in Angstrom, alpha, beta, gamma in degrees.
      space_group: Hermann-Mauguin symbol; the header says P 1 where no table has it.
      label: text for the header, up to 80 ASCII characters.

    Raises:
      ValueError: the density has not three axes or is not finite.
      OSError: the file cannot be written.
    """
    density = np.ascontiguousarray(density, np.float32)
    if density.ndim != 3 or not np.isfinite(density).all():
        raise ValueError(f"expected a finite density (X, Y, Z); the shape is {density.shape}")
    group = gemmi.find_spacegroup_by_name(space_group) if space_group else None
    ccp4 = gemmi.Ccp4Map()
    ccp4.grid = gemmi.FloatGrid(density, gemmi.UnitCell(*np.asarray(cell, float)), group or gemmi.SpaceGroup("P 1"))
    ccp4.update_ccp4_header(2, True)
    _write(path, ccp4, label)


def read_map(path: str | os.PathLike) -> DensityMap:
    """Reads a CCP4 or MRC map with right angles; its axes may be stored in any order, and it may be gzipped.

    Args:
      path: the file.

    Returns:
      The map, with index (x, y, z). Its origin is ORIGIN where ORIGIN is not 0, otherwise N*START times the pitch.

    Raises:
      InputError: the file is missing or damaged, its header gives no pitch or oblique axes, or a value is not finite.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file")
    try:
        _check_header(os.fspath(path))
        ccp4 = gemmi.read_ccp4_map(os.fspath(path), setup=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: not a readable CCP4/MRC map ({error})") from None
    axes = [ccp4.header_i32(word) - 1 for word in _AXES]
    if sorted(axes) != [0, 1, 2]:
        raise InputError(
            f"{path}: header words 17-19 (axis order) are {[axis + 1 for axis in axes]}; "
            "expected a permutation of 1, 2, 3"
        )
    if any(abs(ccp4.header_float(word) - 90) > 0.01 for word in _ANGLES):
        angles = ", ".join(f"{ccp4.header_float(word):g}" for word in _ANGLES)
        raise InputError(f"{path}: header words 14-16 (angles of the cell) are {angles}; expected 90 degrees (resample "
                         "the map on orthogonal axes)")
    intervals = np.array([ccp4.header_i32(word) for word in (8, 9, 10)], float)
    cell = np.array([ccp4.header_float(word) for word in (11, 12, 13)], float)
    if not (np.isfinite(cell).all() and (cell > 0).all() and (intervals > 0).all()):
        raise InputError(
            f"{path}: the header gives no voxel size: words 8-10 (intervals) are {intervals.astype(int).tolist()}, "
            f"words 11-13 (cell) {cell.tolist()} A; expected positive numbers"
        )
    pitch = cell / intervals
    # The order takes columns, rows and sections of the file to x, y and z.
    order = [axes.index(axis) for axis in range(3)]
    density = np.array(ccp4.grid.array, np.float32).transpose(order)
    start = np.array([ccp4.header_i32(word) for word in _START], float)[order]
    origin = np.array([ccp4.header_float(word) for word in _ORIGIN], float)
    if not np.isfinite(origin).all():
        raise InputError(f"{path}: header words 50-52 (origin) are {origin.tolist()}; expected finite numbers")
    if not np.isfinite(density).all():
        place = tuple(map(int, np.argwhere(~np.isfinite(density))[0]))
        raise InputError(f"{path}: the value at voxel {place} is {density[place]}; expected finite values")
    return DensityMap(density, pitch, origin if origin.any() else start * pitch)


def _write(path: str | os.PathLike, ccp4: gemmi.Ccp4Map, label: str) -> None:
    """Writes a map whose header is complete but for the label; the file appears only when it is complete."""
    if label:
        ccp4.set_header_str(57, label.encode("ascii", "replace").decode()[:80].ljust(80))
    with replacing(path) as part:
        ccp4.write_ccp4_map(part)


def _check_header(path: str) -> None:
    """Raises ValueError if the header claims more voxels than the file can hold; gemmi would allocate them all."""
    header = gemmi.read_ccp4_header(path)
    edges, mode = [header.header_i32(word) for word in (1, 2, 3)], header.header_i32(4)
    if min(edges) < 1:
        raise ValueError(f"the header claims {' x '.join(map(str, edges))} voxels; expected positive numbers")
    if mode not in _VALUE_BYTES:
        raise ValueError(f"the header claims mode {mode}; expected one of {', '.join(map(str, _VALUE_BYTES))}")
    claimed, size = _HEADER_BYTES + math.prod(edges) * _VALUE_BYTES[mode], os.path.getsize(path)
    with open(path, "rb") as file:
        if file.read(2) == GZIP_MAGIC:
            check_unpacked_size(size, claimed)
        elif claimed > size:
            raise ValueError(f"the header claims {' x '.join(map(str, edges))} voxels, {claimed} bytes, but the file "
                             f"has {size}; it is cut short or damaged")
