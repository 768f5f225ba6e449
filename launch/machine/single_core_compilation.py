"""Programs of many small steps, compiled for one core."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def compiling_for_one_core() -> Iterator[None]:
    """While it lasts the process may use one core only, and XLA compiles for that.

    It splits what it compiles for a CPU over the cores that it may use at that moment, down to loops that last
    microseconds: the search (`phasenet.search.atom_search`) took three times the processor time so, and no less wall time. A
    program compiled within runs on one core ever after; several run beside each other.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
