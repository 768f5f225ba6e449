"""Streams the progress of a job as server-sent events, which job.js shows.

Each stream starts from the beginning: "begin", all earlier events, then new ones. So a browser that connects late or
again misses nothing. The stream ends when the job ends.

    begin      the job starts, or starts again: the browser forgets earlier events
    job        the job as the page shows it, whenever it changes
    progress   a line of the launch's progress
    log        lines that the launch has printed
"""

import asyncio
import json
import pathlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from launch.serving import commands
from launch.serving.jobs import ENDED, QUEUED
from launch.serving.queue import LOG

_POLL_SECONDS = 0.3  # seconds between two looks at the job's files
_POLLS_UNTIL_KEEPALIVE = 50  # polls without news until a comment is sent, which shows whether anyone listens
MAX_LOG_BYTES = 200_000  # bytes of a log that one event may hold


class Tail:
    """Reads what is appended to a file, whole lines at a time."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path, self._place = path, 0

    def read_new_lines(self) -> list[str]:
        """Returns the lines that were appended since the last call; none while the file does not exist."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._place)
                content = file.read(MAX_LOG_BYTES)
        except FileNotFoundError:
            return []
        whole = content[:content.rfind(b"\n") + 1]
        self._place += len(whole)
        return whole.decode("utf-8", errors="replace").splitlines()


async def stream(describe: Callable[[], dict[str, Any] | None], folder: pathlib.Path,
                 stopping: Callable[[], bool]) -> AsyncIterator[str]:
    """Yields the events of a job, each as text, until the job ends or is removed.

    Args:
      describe: returns the job as the page shows it; None once the job is removed.
      folder: the folder of the job.
      stopping: returns whether the server is stopping; the stream then ends as well.
    """
    told: dict[str, Any] = {}
    progress: Tail | None = None
    log: Tail | None = None
    silence = 0
    while not stopping():
        job = describe()
        if job is None:
            return
        news = []
        if (progress is None or log is None or job["started"] != told["started"]
                or job["status"] == QUEUED != told["status"]):
            progress, log = Tail(folder / commands.PROGRESS), Tail(folder / LOG)
            news.append(_event("begin", {}))
        if job["status"] != QUEUED:
            news += [_event("progress", json.loads(line)) for line in progress.read_new_lines()]
            if lines := log.read_new_lines():
                news.append(_event("log", lines))
        if job != told:
            news.append(_event("job", job))
            told = job
        for item in news:
            yield item
        if job["status"] in ENDED:
            return
        silence = 0 if news else silence + 1
        if silence == _POLLS_UNTIL_KEEPALIVE:
            silence = 0
            yield ": still here\n\n"
        await asyncio.sleep(_POLL_SECONDS)


def _event(name: str, data: Any) -> str:
    """Returns one server-sent event; a browser that loses the connection tries again after a second."""
    return f"retry: 1000\nevent: {name}\ndata: {json.dumps(data)}\n\n"
