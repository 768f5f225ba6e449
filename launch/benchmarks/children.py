"""Runs whole launches as child processes and measures their wall time, processor time and peak resident memory.

Linux counts the memory of the starting process towards the peak of a child. A small process therefore stands between:
this file, run by its path with the standard library alone, starts the command and writes what the command used.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss


class Finished(NamedTuple):
    """What a finished command used.

    Attributes:
      wall_seconds: wall time from the start of the command to its end.
      cpu_seconds: processor time of all threads of the command, and of the child processes that it waited for.
      peak_bytes: peak resident memory of the largest of these processes.
      output: standard output and standard error together.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def run(command: Sequence[str], cwd: os.PathLike = ROOT, **environment: str) -> Finished:
    """Runs a command to its end and returns what it used.

    Args:
      command: the program and its arguments.
      cwd: the folder that it runs in.
      **environment: variables that are added to the environment.

    Raises:
      RuntimeError: the command failed; the message ends with the last lines of its output.
    """
    with tempfile.NamedTemporaryFile("r+", suffix=".json") as report:
        done = subprocess.run([sys.executable, __file__, report.name, *map(str, command)], cwd=cwd, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              env=os.environ | environment)
        used = json.loads(report.read() or "{}")
    if done.returncode or not used:
        end = "\n".join(done.stdout.splitlines()[-12:])
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{end}")
    return Finished(used["wall_seconds"], used["cpu_seconds"], used["maxrss"] * _MAXRSS_BYTES, done.stdout)


def launch(name: str, *flags: str, **environment: str) -> Finished:
    """Runs `python -m launch.NAME FLAGS` in the checkout and returns what it used; errors as in `run`."""
    return run([sys.executable, "-m", f"launch.{name}", *flags], cwd=ROOT, **environment)


def _watch(report: str, command: list[str]) -> int:
    """Runs a command, writes what it used as JSON to the file `report`, and returns 1 where the command failed."""
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    used = {"wall_seconds": time.perf_counter() - start, "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "maxrss": usage.ru_maxrss}
    pathlib.Path(report).write_text(json.dumps(used), encoding="utf-8")
    return os.waitstatus_to_exitcode(status) != 0


if __name__ == "__main__":
    sys.exit(_watch(sys.argv[1], sys.argv[2:]))
