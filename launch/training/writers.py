"""Curves of a training: metrics.jsonl always, TensorBoard where tensorboardX is installed. And where exports go."""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

from launch import app
from launch.distributed import processes


class MetricsWriter:
    """Appends rows by step; first drops those past the step resumed from: no step comes twice.

    Of several processes only the chief writes.
    """

    def __init__(self, workdir: pathlib.Path, step: int) -> None:
        self._file = self._board = None
        if not processes.is_chief():
            return
        path = workdir / "metrics.jsonl"
        if path.exists():
            kept = [row for row in read_metrics(workdir) if row["step"] <= step]
            app.write_text(path, "".join(f"{json.dumps(row)}\n" for row in kept))
        self._file = path.open("a", encoding="utf-8")
        self._board = _tensorboard(workdir / "tensorboard", step)

    def write(self, step: int, values: dict[str, float]) -> None:
        """One row: a JSON object of `step` and the values, out of our hands when this returns."""
        if self._file is None:
            return
        with app.naming(self._file.name):
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
            self._board.flush()

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # what could not be written was told
                self._file.close()
        if self._board is not None:
            self._board.close()


def read_metrics(workdir: str | pathlib.Path) -> list[dict[str, float]]:
    """The rows of a workdir's metrics.jsonl; a last line that a crash cut short is left out."""
    text = (pathlib.Path(workdir) / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n")[:-1] if line.strip()]


@contextlib.contextmanager
def whole_export(workdir: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder to write into; then its files and folders replace those of their names in workdir.

    Who is killed meanwhile leaves the former files of a release, not some of one step and some of another.
    """
    part = workdir / ".export"
    shutil.rmtree(part, ignore_errors=True)
    (part / "before").mkdir(parents=True)
    (part / "now").mkdir()
    yield part / "now"
    for path in (part / "now").iterdir():
        place = workdir / path.name
        if place.exists():
            os.rename(place, part / "before" / path.name)
        os.rename(path, place)
    shutil.rmtree(part)


def _tensorboard(folder: pathlib.Path, step: int) -> Any | None:
    try:
        import tensorboardX
    except ImportError:  # an extra
        return None
    return tensorboardX.SummaryWriter(str(folder), purge_step=step + 1 if step else None)
