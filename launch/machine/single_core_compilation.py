"""Compiles programs of many small steps for one CPU core.

The evaluation and the benchmark of phasing compile their searches in this way.
"""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def compiling_for_one_core() -> Iterator[None]:
    """Restricts the process to one core while the context lasts, so that XLA compiles for one core.

    XLA splits what it compiles for a CPU over the cores that the process may use at that moment, even loops that last
    microseconds. Compiled for 2 cores, the search (`phasenet.search.atom_search`) takes three times the CPU time and
    no less wall time. A program compiled in the context runs on one core from then on; several such programs can run at
    the same time on different cores. Where the platform has no CPU affinity, the context does nothing.
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
