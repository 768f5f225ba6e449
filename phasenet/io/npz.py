"""Opening a NumPy archive without trusting it: no pickles, no bombs, and every fault told in one line."""

import os
import struct
import zipfile
import zlib

import numpy as np

from phasenet.errors import InputError
from phasenet.io.decompression import check_unpacked
from phasenet.io.npy import MAGIC, read_header, read_values


def read_npz(path: str | os.PathLike, required: tuple[str, ...]) -> dict[str, np.ndarray]:
    """All arrays of the `.npz` file at `path`.

    Args:
      path: the archive.
      required: names that it must hold.

    Returns:
      name -> array. Arrays of Python objects are refused (they would need pickle, which runs code).

    Raises:
      InputError: missing, empty, truncated or foreign file, one that unpacks to far more than it should
        (`unpacking`), or a required array that is not there.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(len(MAGIC))
            if not start:
                raise InputError(f"{path}: the file is empty; an .npz archive is needed")
            if start == MAGIC:
                raise InputError(f"{path}: a single array (.npy), not an .npz archive of {', '.join(required)}")
            with zipfile.ZipFile(file) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
                missing = [name for name in required if name not in names]
                if missing:
                    raise InputError(f"{path}: no array {missing[0]!r} in it (it holds "
                                     f"{', '.join(names[:8]) or 'nothing'})")
                entries = archive.infolist()
                check_unpacked(os.fstat(file.fileno()).st_size, sum(entry.file_size for entry in entries))
                return {name: _read(archive, entry) for name, entry in zip(names, entries, strict=True)}
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, not an .npz file") from None
    # RuntimeError: a damaged entry may look encrypted, or packed by a method that Python does not know; struct.error
    # and OverflowError: fields of the archive's directory that cannot be.
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, RuntimeError, struct.error,
            OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a readable .npz archive ({reason})") from None


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """One array. What its header claims is held against the entry's size, that against the archive's."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename[:60]!r} is packed by method {entry.compress_type}, which NumPy does not use")
    try:
        with archive.open(entry) as file:
            values = read_values(file, read_header(file, entry.file_size))
            file.read()  # to its end, where the checksum is compared
            return values
    except ValueError as error:
        raise ValueError(f"{entry.filename[:60]!r}: {error}") from None
