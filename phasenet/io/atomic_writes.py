"""Writes a file completely or not at all: to a temporary file, which is then renamed.

All writers of `phasenet.io` and of `saxsae.io.structures` use `replacing`.
"""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[str]:
    """Yields the name of a temporary file, which replaces `path` if the block succeeds and is removed if it fails.

    A reader never sees an incomplete file, even if the program crashes. Missing folders are created.

    Args:
      path: the file to write. The temporary file is in the same folder and has the same suffix.

    Raises:
      OSError: the file or its folder cannot be written.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept because some writers choose the format by it, or append one.
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=".part-", suffix=path.suffix)
    os.close(handle)
    try:
        yield part
        os.chmod(part, 0o666 & ~_umask())  # mkstemp lets only the owner read the file
        os.replace(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def _umask() -> int:
    """Returns the process's mask of file permissions, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
