"""Whole launches as child processes: their wall and processor time and their peak resident memory.

A process inherits, as its peak, the size of the one that started it. So this file, run by its path and in need of only
the standard library, stands between: small itself, it starts the command and writes down what it used.
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
    """wall_seconds; cpu_seconds: of all threads and of children waited for; peak_bytes: of the largest of them."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def run(command: Sequence[str], cwd: os.PathLike = ROOT, **environment: str) -> Finished:
    """Runs a command to its end, with these variables in its environment.

    Raises RuntimeError with the end of its output where it fails.
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
    """`python -m launch.NAME FLAGS` in the checkout."""
    return run([sys.executable, "-m", f"launch.{name}", *flags], **environment)


def _watch(report: str, command: list[str]) -> int:
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    used = {"wall_seconds": time.perf_counter() - start, "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "maxrss": usage.ru_maxrss}
    pathlib.Path(report).write_text(json.dumps(used), encoding="utf-8")
    return os.waitstatus_to_exitcode(status) != 0


if __name__ == "__main__":
    sys.exit(_watch(sys.argv[1], sys.argv[2:]))
