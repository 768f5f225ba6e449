"""Replaces the report that JAX prints, when another process of the run is lost, by one line.

The report, a page with a stack trace, comes from a thread of jaxlib that then aborts the process. The callback that
jaxlib accepts instead fails, because Python cannot convert its argument (std::bad_cast in jaxlib 0.10.1). So
standard error passes through a second process, which runs this file and outlives the first.
"""

import os
import re
import signal
import sys

_FATAL_REPORT = re.compile(r"^F\d{4} .*JAX distributed service detected fatal errors")
# jaxlib prints such a line for each process that it reaches, on CPUs.
_GLOO_GREETING = "[Gloo] Rank "
_LOST_PROCESS_PREFIX = "the run cannot go on: "


def shorten_reports(name: str) -> None:
    """Sends standard error of this process through a second process that shortens JAX's report.

    Args:
      name: name of the launch, which begins the line.
    """
    reader, writer = os.pipe()
    os.posix_spawn(sys.executable, [sys.executable, "-I", "-S", __file__, name], os.environ,
                   file_actions=[(os.POSIX_SPAWN_DUP2, reader, 0)])
    os.close(reader)
    sys.stderr.flush()
    os.dup2(writer, 2)
    os.close(writer)


def describe_lost_process(report: str) -> str:
    """Returns one line for the user, from the error or report of JAX about a lost process."""
    lost = re.search(r"stopped sending heartbeats\):\s+(\d+)|Task (\d+) heartbeat timeout", report)
    if "RegisterTask" in report:
        what = "not all of its processes started in time, or some have a wrong --num_processes or --process_id"
    elif "Failed to send RPC to coordination service" in report:
        what = "process 0 has died or cannot be reached"
    elif lost:
        what = f"process {lost[1] or lost[2]} has died or cannot be reached"
    else:
        what = f"another process has died or cannot be reached ({report.strip().splitlines()[0][:200]})"
    return f"{_LOST_PROCESS_PREFIX}{what}; run the same commands again on all processes to continue from what was saved"


def _filter_stderr(name: str) -> None:
    """Copies standard input to standard error, without JAX's report and the lines around it.

    Signals are ignored: this process ends when the launch, whose standard error it reads, has ended.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    explained = False  # whether the launch has written the line itself
    for text in sys.stdin:
        if _FATAL_REPORT.match(text):
            report = text + sys.stdin.read()  # nothing follows the report
            if not explained:
                sys.stderr.write(f"{name}: {describe_lost_process(report)}\n")
        elif not text.startswith(_GLOO_GREETING):
            explained = explained or _LOST_PROCESS_PREFIX in text
            sys.stderr.write(text)
        sys.stderr.flush()


if __name__ == "__main__":
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]  # the stubs do not know it is a TextIOWrapper
    _filter_stderr(sys.argv[1])
