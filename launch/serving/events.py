"""How a job goes, as server-sent events.

Each stream tells all from the start: "begin", what was told so far, then what comes; so a browser that reconnects, or
comes late, need know nothing. It ends with the job.

    begin      a try of the job: what is known of an earlier one no longer holds
    job        its row, as the page shows it, whenever it changes
    progress   a line of the launch's progress
    log        text that the launch has printed
"""

import asyncio
import json
import pathlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from launch.serving import commands
from launch.serving.jobs import ENDED, QUEUED
from launch.serving.queue import LOG

_EVERY = 0.3  # seconds between looks
_SILENCE = 50  # looks without news until a sign of life, which finds out whether anyone listens
MOST_LOG = 200_000  # characters of a log that are told


class Tail:
    """What is appended to a file, whole lines at a time."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path, self._place = path, 0

    def lines(self) -> list[str]:
        """The lines since the last call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._place)
                content = file.read(MOST_LOG)
        except FileNotFoundError:
            return []
        whole = content[:content.rfind(b"\n") + 1]
        self._place += len(whole)
        return whole.decode("utf-8", errors="replace").splitlines()


async def stream(describe: Callable[[], dict[str, Any] | None], folder: pathlib.Path,
                 stopping: Callable[[], bool]) -> AsyncIterator[str]:
    """The events of a job.

    Args:
      describe: the job as the page shows it; None once it is removed.
      folder: of the job.
      stopping: whether the server ends: so does the stream then.
    """
    told: dict[str, Any] | None = None
    progress = log = None
    silence = 0
    while not stopping():
        job = describe()
        if job is None:
            return
        news = []
        if progress is None or job["started"] != told["started"] or job["status"] == QUEUED != told["status"]:
            progress, log = Tail(folder / commands.PROGRESS), Tail(folder / LOG)
            news.append(_event("begin", {}))
        if job["status"] != QUEUED:
            news += [_event("progress", json.loads(line)) for line in progress.lines()]
            if lines := log.lines():
                news.append(_event("log", lines))
        if job != told:
            news.append(_event("job", job))
            told = job
        for item in news:
            yield item
        if job["status"] in ENDED:
            return
        silence = 0 if news else silence + 1
        if silence == _SILENCE:
            silence = 0
            yield ": still here\n\n"
        await asyncio.sleep(_EVERY)


def _event(name: str, data: Any) -> str:
    return f"retry: 1000\nevent: {name}\ndata: {json.dumps(data)}\n\n"
