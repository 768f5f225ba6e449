"""Measured Patterson maps from files: NumPy arrays, CCP4/MRC. Content decides the format, not the name.

What the numbers mean - where the origin lies, whether they are a Patterson map at all - is decided
from them in `phasenet.preparation`.
"""

import os
from typing import NamedTuple

import numpy as np

from phasenet.errors import InputError
from phasenet.io.ccp4 import read_map
from phasenet.io.decompression import GZIP
from phasenet.io.npy import MAGIC, Header, read_header, read_values

MOST_VOXELS_AN_EDGE = 512
_ZIP, _CCP4 = b"PK", b"MAP "
_CCP4_PLACE = 208  # bytes: word 53 of the header
_PITCH_TOLERANCE = 1e-3


class MeasuredMap(NamedTuple):
    """A Patterson map as a file holds it.

    Attributes:
      values: (N, N, N) float64, finite.
      pitch_angstrom: edge of a voxel, None where the file does not tell.
      notes: what was assumed, one line each.
    """

    values: np.ndarray
    pitch_angstrom: float | None
    notes: tuple[str, ...]


def read_patterson(path: str | os.PathLike) -> MeasuredMap:
    """Reads a cubic Patterson map: .npy of (N, N, N) real numbers, or CCP4/MRC with cubic voxels (may be gzipped).

    Raises:
      InputError: no such file, another format or shape, numbers that are none (it says at which voxel).
    """
    path = os.fspath(path)
    start = read_start(path)
    if start.startswith(MAGIC):
        values = read_array(path)
        check_cubic(values.shape, path)
        return MeasuredMap(finite_doubles(values, path), None, ())
    if start.startswith(_ZIP):
        raise InputError(f"{path}: a zip or .npz archive; a single array is needed (.npy)")
    if start[_CCP4_PLACE:].startswith(_CCP4) or start.startswith(GZIP):
        return _read_ccp4(path)
    raise InputError(f"{path}: neither a NumPy array (.npy) nor a CCP4/MRC map")


def read_start(path: str) -> bytes:
    """The first bytes of a file, enough to tell its format. Raises InputError where there is nothing to read."""
    try:
        with open(path, "rb") as file:
            start = file.read(_CCP4_PLACE + len(_CCP4))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; a file is needed") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not start:
        raise InputError(f"{path}: the file is empty")
    return start


def read_array(path: str) -> np.ndarray:
    """A .npy file of three-dimensional real numbers, none of its edges longer than 512.

    Raises InputError for a damaged file, or what is not such an array; it is refused before it is read.
    """
    try:
        with open(path, "rb") as file:
            header = read_header(file, os.fstat(file.fileno()).st_size)
            _check_header(header, path)
            return read_values(file, header)
    except InputError:
        raise
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not a readable .npy array ({error})") from None


def _check_header(header: Header, path: str) -> None:
    dtype, shape = header.dtype, header.shape
    if dtype.kind == "c":
        raise InputError(f"{path}: complex numbers; a Patterson map and amplitudes are real")
    if dtype.kind not in "fiu":
        raise InputError(f"{path}: an array of type {dtype}; real numbers are needed")
    if len(shape) != 3 or min(shape) < 2 or max(shape) > MOST_VOXELS_AN_EDGE:
        raise InputError(f"{path}: shape {shape}; (N, N, N) is needed, N at most {MOST_VOXELS_AN_EDGE}")


def check_cubic(shape: tuple[int, ...], path: str) -> None:
    """Raises InputError for a map that is not as long in each direction."""
    if len(shape) != 3 or len(set(shape)) != 1 or not 2 <= shape[0] <= MOST_VOXELS_AN_EDGE:
        raise InputError(f"{path}: shape {tuple(shape)}; a cubic map (N, N, N) is needed, N at most "
                         f"{MOST_VOXELS_AN_EDGE}")


def finite_doubles(values: np.ndarray, path: str) -> np.ndarray:
    """The values as float64. Raises InputError for NaN and infinities, with the place of the first."""
    with np.errstate(over="ignore", invalid="ignore"):  # of longer types: what comes out is no number, and is told so
        values = values.astype(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        place = tuple(map(int, np.unravel_index(bad.argmax(), bad.shape)))
        others = int(bad.sum()) - 1
        raise InputError(f"{path}: the value at index {place} is {values[place]}"
                         + (f", and {others} others are no finite numbers either" if others else ""))
    return values


def _read_ccp4(path: str) -> MeasuredMap:
    found = read_map(path)
    check_cubic(found.density.shape, path)
    pitch = found.pitch_angstrom
    if np.ptp(pitch) > _PITCH_TOLERANCE * pitch.max():
        edges = " x ".join(f"{edge:.4g}" for edge in pitch)
        raise InputError(f"{path}: voxels of {edges} A; cubic ones are needed")
    pitch = float(pitch.mean())
    return MeasuredMap(found.density.astype(np.float64), pitch, (f"voxel edge {pitch:.6g} A, from the map's header",))
