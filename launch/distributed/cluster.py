"""Joins several processes into one run: the flags, how the processes find each other, and how they end.

`launch.train` and `launch.evaluate` run inside `joining`. When one process is lost, each other ends with one line.
"""

import contextlib
import os
import re
import socket
import sys
import traceback
from collections.abc import Iterator
from typing import NoReturn, cast

from absl import flags

from launch import app
from launch.distributed import distributed_stderr
from phasenet.errors import InputError

_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "HOST:PORT of process 0, where the processes of a run find each other.")
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "Number of processes.", lower_bound=1)
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Number of this process, from 0.", lower_bound=0)
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed", False, "Ask SLURM, Cloud TPU, Kubernetes or Open MPI, which started this process, for what "
    "--coordinator, --num_processes and --process_id would say.")

_ADDRESS_FLAGS = ("coordinator", "num_processes", "process_id")
_HEARTBEAT_SECONDS = 30  # a process that is silent for longer counts as lost
_ARRIVAL_SECONDS = 300  # all processes must start within this time
_DEPARTURE_SECONDS = 24 * 3600  # a finished process waits this long for one that still writes
# Words in the errors that a lost process causes: from collectives (gloo on CPUs, NCCL on GPUs) and from JAX's
# coordination service.
_ERRORS_OF_A_LOST_PROCESS = re.compile(r"Gloo|NCCL|[Cc]oordination ?[Ss]ervice|heartbeat|Barrier failed|Socket closed")


def is_requested() -> bool:
    """Returns whether the flags ask for several processes."""
    return flags.FLAGS["distributed"].value or any(flags.FLAGS[name].value is not None for name in _ADDRESS_FLAGS)


for _name in _ADDRESS_FLAGS:
    flags.register_validator(
        _name,
        lambda value: value is not None or not any(flags.FLAGS[name].value is not None for name in _ADDRESS_FLAGS),
        f"Flag --{_name} must have a value other than None.")


@contextlib.contextmanager
def joining() -> Iterator[None]:
    """Makes this process one of those that the flags describe; without such flags it does nothing.

    Enter this context before JAX makes its first array. When the block raises, the process ends at once, with one line:
    at an ordinary exit JAX would wait for the other processes, which wait for this one.

    Raises:
      InputError: the flags contradict each other, no cluster started this process, or the address cannot be used.
    """
    if not is_requested():
        yield
        return
    address = _checked_address()
    distributed_stderr.shorten_reports(app.program_name())
    _initialize(address)
    try:
        yield
    except BaseException as error:
        _exit_at_once(error)


def _checked_address() -> str | None:
    """Returns the coordinator's address after checking all flags, None with --distributed."""
    address = _COORDINATOR.value
    if address is None:
        return None
    if _DISTRIBUTED.value:
        raise InputError("--distributed replaces --coordinator, --num_processes and --process_id: do not give both")
    # The validators demand the other two flags beside --coordinator.
    total, number = cast(int, _NUM_PROCESSES.value), cast(int, _PROCESS_ID.value)
    port = address.rpartition(":")[2]
    if not re.fullmatch(r".+:\d{1,5}", address) or not 0 < int(port) < 2**16:
        raise InputError(f"--coordinator={address}: expected HOST:PORT")
    if number >= total:
        raise InputError(f"--process_id={number}: expected less than --num_processes={total}")
    if number == 0:
        try:
            socket.create_server(("", int(port))).close()  # on a port in use jaxlib 0.10.1 crashes
        except OSError as error:
            raise InputError(f"--coordinator={address}: this process cannot listen there ({error.strerror})") from error
    return address


def _initialize(address: str | None) -> None:
    """Connects this process to the others."""
    import jax  # imported here, so that a mistyped flag fails at once

    try:
        jax.distributed.initialize(
            address, _NUM_PROCESSES.value, _PROCESS_ID.value, cluster_detection_method=address and "deactivate",
            initialization_timeout=_ARRIVAL_SECONDS, heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=_DEPARTURE_SECONDS)
    except ValueError as error:
        if address is not None:
            raise
        raise InputError("--distributed: neither SLURM, Cloud TPU, Kubernetes nor Open MPI started this process; "
                         "without them give --coordinator, --num_processes and --process_id") from error


def _exit_at_once(error: BaseException) -> NoReturn:
    """Ends the process with one line for a user's mistake or a lost process, otherwise with the traceback."""
    code = app.EXIT_BAD_VALUE
    line = app.describe_error(error)
    if isinstance(error, KeyboardInterrupt):
        line, code = "interrupted", app.EXIT_INTERRUPTED
    elif line is None and _ERRORS_OF_A_LOST_PROCESS.search(str(error)):
        line = distributed_stderr.describe_lost_process(str(error))
    if line is None:
        traceback.print_exception(error)
    else:
        app.print_error(line)
    sys.stdout.flush()
    os._exit(code)
