"""One training a workdir: two that write to it would remove each other's checkpoints."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from phasenet.errors import InputError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

LOCK = ".lock"


@contextlib.contextmanager
def locked(workdir: pathlib.Path) -> Iterator[None]:
    """Holds workdir for this process while it lasts; the system lets go of it however the process ends.

    Raises InputError where another process holds it.
    """
    file = os.open(workdir / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"{workdir}: another process is training there: wait for it, or give another "
                                 "workdir") from None
            except OSError:  # a file system that knows no locks
                pass
        yield
    finally:
        os.close(file)
