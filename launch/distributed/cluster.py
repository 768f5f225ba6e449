"""The flags by which several processes work as one, how these begin, and how they end where one of them is lost."""

import contextlib
import os
import re
import socket
import sys
import traceback
from collections.abc import Iterator
from typing import NoReturn

from absl import flags

from launch import app
from launch.distributed import distributed_stderr
from phasenet.errors import InputError

_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "HOST:PORT of process 0, where the processes of a run find each other.")
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "How many processes there are.", lower_bound=1)
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Which of them this is, from 0.", lower_bound=0)
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed", False, "This is one of the processes that SLURM, Cloud TPU, Kubernetes or Open MPI started.")

_TOGETHER = ("coordinator", "num_processes", "process_id")
# Seconds: after the last sign of life a process counts as dead; all must have come; the last may still be writing.
_HEARTBEAT, _ARRIVAL, _DEPARTURE = 30, 300, 24 * 3600
# Collectives (gloo on CPUs, NCCL on GPUs) and jax's coordination service, when a process is gone.
_OF_OTHERS = re.compile(r"Gloo|NCCL|[Cc]oordination ?[Ss]ervice|heartbeat|Barrier failed|Socket closed")


def wanted() -> bool:
    """Whether the flags ask for several processes."""
    return flags.FLAGS["distributed"].value or any(flags.FLAGS[name].value is not None for name in _TOGETHER)


for _name in _TOGETHER:
    flags.register_validator(
        _name, lambda value: value is not None or not any(flags.FLAGS[name].value is not None for name in _TOGETHER),
        f"Flag --{_name} must have a value other than None.")


@contextlib.contextmanager
def joining() -> Iterator[None]:
    """While it lasts this process is one of those that the flags tell of; without such flags it is alone.

    To be entered before jax makes its first array. Where the block raises, the process ends at once, with one line: at
    an ordinary exit jax would wait for the others, who wait for this one.

    Raises:
        InputError: flags that contradict each other, no cluster, or an address that cannot be used.
    """
    if not wanted():
        yield
        return
    address = _checked_address()
    distributed_stderr.shorten_reports(app.name())
    _initialize(address)
    try:
        yield
    except BaseException as error:
        _leave(error)


def _checked_address() -> str | None:
    address, number = _COORDINATOR.value, _PROCESS_ID.value
    if address is None:
        return None
    if _DISTRIBUTED.value:
        raise InputError("--distributed finds out by itself what --coordinator, --num_processes and --process_id say: "
                         "give either")
    port = address.rpartition(":")[2]
    if not re.fullmatch(r".+:\d{1,5}", address) or not 0 < int(port) < 2**16:
        raise InputError(f"--coordinator={address}: expected HOST:PORT")
    if number >= _NUM_PROCESSES.value:
        raise InputError(f"--process_id={number}: expected less than --num_processes={_NUM_PROCESSES.value}")
    if number == 0:
        try:
            socket.create_server(("", int(port))).close()  # jaxlib 0.10.1 crashes where it is taken
        except OSError as error:
            raise InputError(f"--coordinator={address}: this process cannot listen there ({error.strerror})") from error
    return address


def _initialize(address: str | None) -> None:
    import jax  # here: who mistypes a flag should not wait for it

    try:
        jax.distributed.initialize(
            address, _NUM_PROCESSES.value, _PROCESS_ID.value, cluster_detection_method=address and "deactivate",
            initialization_timeout=_ARRIVAL, heartbeat_timeout_seconds=_HEARTBEAT, shutdown_timeout_seconds=_DEPARTURE)
    except ValueError as error:
        if address is not None:
            raise
        raise InputError("--distributed: neither SLURM, Cloud TPU, Kubernetes nor Open MPI started this process; "
                         "--coordinator, --num_processes and --process_id tell of others") from error


def _leave(error: BaseException) -> NoReturn:
    code = app.EXIT_BAD_VALUE
    line = app.line_of(error)
    if isinstance(error, KeyboardInterrupt):
        line, code = "interrupted", app.EXIT_INTERRUPTED
    elif line is None and _OF_OTHERS.search(str(error)):
        line = distributed_stderr.describe_lost_process(str(error))
    if line is None:
        traceback.print_exception(error)
    else:
        app.print_error(line)
    sys.stdout.flush()
    os._exit(code)
