"""Reads Patterson maps from files: NumPy arrays (.npy) and CCP4/MRC maps. The content decides the format.

Here only the format is checked. `phasenet.preparation` decides where the origin lies and whether the values are a
Patterson map at all. Called by `launch.solve`, `launch.serve` and `phasenet.io.amplitudes`.
"""

import os
from typing import NamedTuple

import numpy as np

from phasenet.errors import InputError
from phasenet.io.ccp4 import read_map
from phasenet.io.decompression import GZIP_MAGIC
from phasenet.io.npy import MAGIC, ArrayHeader, read_header, read_values

MAX_EDGE_VOXELS = 512
_ZIP_MAGIC, _CCP4_MAGIC = b"PK", b"MAP "
_CCP4_MAGIC_OFFSET = 208  # bytes; word 53 of the header
_PITCH_TOLERANCE = 1e-3  # largest relative difference between the edges of a cubic voxel


class MeasuredMap(NamedTuple):
    """A Patterson map as it is in a file.

    Attributes:
      values: (N, N, N) float64, finite, index (x, y, z), on any scale; the origin may be at any voxel.
      pitch_angstrom: edge of a voxel, A; None if the file does not state it.
      notes: what was assumed, one line each, for the user.
    """

    values: np.ndarray
    pitch_angstrom: float | None
    notes: tuple[str, ...]


def read_patterson(path: str | os.PathLike) -> MeasuredMap:
    """Reads a cubic Patterson map.

    Args:
      path: an .npy file with an array (N, N, N) of real numbers, N from 2 to 512; or a CCP4/MRC map with cubic voxels
        and N of them along each axis, which may be gzipped.

    Returns:
      The map as it is in the file, with the pitch in A if the file is CCP4/MRC.

    Raises:
      InputError: the file is missing, damaged or of another format; the map is not cubic; or a value is not finite (the
        message names the first such voxel).
    """
    path = os.fspath(path)
    start = read_first_bytes(path)
    if start.startswith(MAGIC):
        values = read_array(path)
        check_cubic(values.shape, path)
        return MeasuredMap(to_finite_float64(values, path), None, ())
    if start.startswith(_ZIP_MAGIC):
        raise InputError(f"{path}: a zip or .npz archive; expected a single array (save it with numpy.save as .npy)")
    if start[_CCP4_MAGIC_OFFSET:].startswith(_CCP4_MAGIC) or start.startswith(GZIP_MAGIC):
        return _read_ccp4(path)
    raise InputError(f"{path}: neither a NumPy array (.npy) nor a CCP4/MRC map")


def read_first_bytes(path: str) -> bytes:
    """Returns the first 212 bytes of a file, or all bytes of a shorter file; the bytes identify the format.

    Raises:
      InputError: the file is missing, a folder, not readable or empty.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(_CCP4_MAGIC_OFFSET + len(_CCP4_MAGIC))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; expected a file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not start:
        raise InputError(f"{path}: the file is empty")
    return start


def read_array(path: str) -> np.ndarray:
    """Reads a three-dimensional array of real numbers from an .npy file; the header is checked before allocation.

    Args:
      path: the file.

    Returns:
      (X, Y, Z) in the type and unit of the file; each edge from 2 to 512.

    Raises:
      InputError: the file is damaged, or holds any other array.
    """
    try:
        with open(path, "rb") as file:
            header = read_header(file, os.fstat(file.fileno()).st_size)
            _check_array_header(header, path)
            return read_values(file, header)
    except InputError:
        raise
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not a readable .npy array ({error})") from None


def check_cubic(shape: tuple[int, ...], path: str) -> None:
    """Checks that a shape is (N, N, N), N from 2 to 512.

    Args:
      shape: the shape of a map.
      path: the file, for the message.

    Raises:
      InputError: the shape is not of this form.
    """
    if len(shape) != 3 or len(set(shape)) != 1 or not 2 <= shape[0] <= MAX_EDGE_VOXELS:
        raise InputError(f"{path}: the shape is {tuple(shape)}; expected a cubic map (N, N, N), N from 2 to "
                         f"{MAX_EDGE_VOXELS}")


def to_finite_float64(values: np.ndarray, path: str) -> np.ndarray:
    """Returns an array as float64, after a check that all values are finite.

    Args:
      values: real numbers, any shape.
      path: the file, for the message.

    Raises:
      InputError: a value is NaN or infinite; the message gives the index of the first such value and the number of
        the others.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # a long double beyond float64 becomes infinite: reported below
        values = values.astype(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        place = tuple(map(int, np.unravel_index(bad.argmax(), bad.shape)))
        others = int(bad.sum()) - 1
        raise InputError(f"{path}: the value at index {place} is {values[place]}"
                         + (f", and {others} other value{'s are' if others > 1 else ' is'} not finite" if others
                            else "; expected finite values"))
    return values


def _check_array_header(header: ArrayHeader, path: str) -> None:
    """Raises InputError unless the header is that of a three-dimensional array of real numbers, edges 2 to 512."""
    dtype, shape = header.dtype, header.shape
    if dtype.kind == "c":
        raise InputError(f"{path}: complex numbers; a Patterson map and amplitudes are real (save the absolute values "
                         "of structure factors)")
    if dtype.kind not in "fiu":
        raise InputError(f"{path}: an array of type {dtype}; expected real numbers")
    if len(shape) != 3 or min(shape) < 2 or max(shape) > MAX_EDGE_VOXELS:
        raise InputError(f"{path}: the shape is {shape}; expected (N, N, N), N from 2 to {MAX_EDGE_VOXELS}")


def _read_ccp4(path: str) -> MeasuredMap:
    """Reads a CCP4/MRC map; raises InputError unless the map and its voxels are cubic."""
    found = read_map(path)
    check_cubic(found.density.shape, path)
    pitches = found.pitch_angstrom
    if np.ptp(pitches) > _PITCH_TOLERANCE * pitches.max():
        edges = " x ".join(f"{edge:.4g}" for edge in pitches)
        raise InputError(f"{path}: the voxels are {edges} A; expected cubic voxels (resample the map)")
    pitch = float(pitches.mean())
    return MeasuredMap(found.density.astype(np.float64), pitch, (f"voxel edge {pitch:.6g} A, from the map's header",))
