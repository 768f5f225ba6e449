"""Reads a NumPy archive (.npz) that is not trusted: no pickle, limited memory, and a one-line message for every fault.

Called by the readers of weights, training sets and archives of structures, in both packages.
"""

import os
import struct
import zipfile
import zlib
from typing import cast

import numpy as np

from phasenet.errors import InputError
from phasenet.io.decompression import check_unpacked_size
from phasenet.io.npy import MAGIC, read_header, read_values


def read_npz(path: str | os.PathLike, required: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Returns all arrays of an .npz archive, by name.

    Args:
      path: the archive.
      required: names of arrays that the archive must hold.

    Returns:
      The arrays, each of the shape and type that the archive states.

    Raises:
      InputError: the file is missing, empty, damaged or not an archive; it unpacks to more than
        `decompression.check_unpacked_size` allows; a required array is missing; or an array holds Python objects.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(len(MAGIC))
            if not start:
                raise InputError(f"{path}: the file is empty; an .npz archive is needed")
            if start == MAGIC:
                needed = f" with the arrays {', '.join(required)}" if required else ""
                raise InputError(f"{path}: a single array (.npy); expected an .npz archive{needed}")
            with zipfile.ZipFile(file) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
                missing = [name for name in required if name not in names]
                if missing:
                    raise InputError(f"{path}: no array {missing[0]!r} in the archive, which holds "
                                     f"{', '.join(names[:8]) or 'nothing'}")
                entries = archive.infolist()
                check_unpacked_size(os.fstat(file.fileno()).st_size, sum(entry.file_size for entry in entries))
                return {name: _read_entry(archive, entry) for name, entry in zip(names, entries, strict=True)}
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; expected an .npz file") from None
    # A damaged entry raises RuntimeError if it looks encrypted, or compressed by a method that Python does not know.
    # Impossible fields in the archive's directory raise struct.error and OverflowError.
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, RuntimeError, struct.error,
            OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a readable .npz archive ({reason})") from None


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """Returns one array of an archive; raises ValueError, which names the entry, for any fault of its header."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename[:60]!r} is packed by method {entry.compress_type}, which NumPy does not use")
    try:
        with archive.open(entry) as opened:
            file = cast(zipfile.ZipExtFile, opened)
            values = read_values(file, read_header(file, entry.file_size))
            file.read()  # to the end, where zipfile compares the checksum
            return values
    except ValueError as error:
        raise ValueError(f"{entry.filename[:60]!r}: {error}") from None
