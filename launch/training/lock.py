"""Locks a workdir, because two trainings in one workdir would remove each other's checkpoints."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from phasenet.errors import InputError

try:
    import fcntl
except ImportError:  # Windows has no fcntl
    fcntl = None  # type: ignore[assignment]  # a module that may be absent has no type of its own

LOCK = ".lock"


@contextlib.contextmanager
def locking(workdir: pathlib.Path) -> Iterator[None]:
    """Locks the workdir for this process; the system releases the lock when the process ends in any way.

    Where the system has no file locks (Windows, some network file systems), nothing is locked.

    Raises:
      InputError: another process holds the lock.
    """
    file = os.open(workdir / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"{workdir}: another process is training there: wait until it ends, or give another "
                                 "workdir") from None
            except OSError:  # a file system without locks
                pass
        yield
    finally:
        os.close(file)
