"""One line where jax ends a process because another of its run is gone, in place of jax's own page.

The page, a report of the coordination service with a stack trace, comes from a thread of jaxlib that then aborts the
process; the callback that jaxlib would take instead is handed a status that Python cannot be given (std::bad_cast in
jaxlib 0.10.1). So standard error goes through a second process, this file, which outlives the first.
"""

import os
import re
import signal
import sys

_PAGE = re.compile(r"^F\d{4} .*JAX distributed service detected fatal errors")
# What jaxlib says of each process that it reaches, on CPUs.
_GREETING = "[Gloo] Rank "
_TOLD = "the run cannot go on: "


def shorten_reports(name: str) -> None:
    """Sends standard error of this process through one that shortens the page; name: of the launch."""
    reader, writer = os.pipe()
    os.posix_spawn(sys.executable, [sys.executable, "-I", "-S", __file__, name], os.environ,
                   file_actions=[(os.POSIX_SPAWN_DUP2, reader, 0)])
    os.close(reader)
    sys.stderr.flush()
    os.dup2(writer, 2)
    os.close(writer)


def describe_lost_process(report: str) -> str:
    """What to say of an error that jax reports where another process is gone."""
    lost = re.search(r"stopped sending heartbeats\):\s+(\d+)|Task (\d+) heartbeat timeout", report)
    if "RegisterTask" in report:
        what = "not all of its processes came in time, or some were started with other numbers"
    elif "Failed to send RPC to coordination service" in report:
        what = "process 0 has died or cannot be reached"
    elif lost:
        what = f"process {lost[1] or lost[2]} has died or cannot be reached"
    else:
        what = f"another process has died or cannot be reached ({report.strip().splitlines()[0][:200]})"
    return f"{_TOLD}{what}; the same commands, on all processes, go on from what was saved"


def _pass_on(name: str) -> None:
    """Copies standard input to standard error, but the page and what surrounds it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    told = False
    for text in sys.stdin:
        if _PAGE.match(text):
            page = text + sys.stdin.read()  # the process is at its end
            if not told:
                sys.stderr.write(f"{name}: {describe_lost_process(page)}\n")
        elif not text.startswith(_GREETING):
            told = told or _TOLD in text
            sys.stderr.write(text)
        sys.stderr.flush()


if __name__ == "__main__":
    sys.stdin.reconfigure(errors="replace")
    _pass_on(sys.argv[1])
