"""Opening a NumPy archive without trusting it: no pickles, and every fault told in one line."""

import os
import zipfile
import zlib

import numpy as np

from phasenet.errors import InputError


def read_npz(path: str | os.PathLike, required: tuple[str, ...]) -> dict[str, np.ndarray]:
    """All arrays of the `.npz` file at `path`.

    Args:
      path: the archive.
      required: names that it must hold.

    Returns:
      name -> array. Arrays of Python objects are refused (they would need pickle, which runs code).

    Raises:
      InputError: missing, empty, truncated or foreign file, or a required array that is not there.
    """
    try:
        with open(path, "rb") as file:
            if not file.read(1):
                raise InputError(f"{path}: the file is empty; an .npz archive is needed")
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(f"{path}: a single array (.npy), not an .npz archive of "
                                 f"{', '.join(required)}")
            missing = [name for name in required if name not in archive.files]
            if missing:
                raise InputError(f"{path}: no array {missing[0]!r} in it (it holds "
                                 f"{', '.join(archive.files[:8]) or 'nothing'})")
            arrays = {name: archive[name] for name in archive.files}
            foreign = [name for name, value in arrays.items() if not isinstance(value, np.ndarray)]
            if foreign:
                raise InputError(f"{path}: {foreign[0]!r} in it is no array")
            return arrays
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, not an .npz file") from None
    # RuntimeError: a damaged entry may look encrypted, or packed by a method that Python does not know.
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, OSError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a readable .npz archive ({reason})") from None
