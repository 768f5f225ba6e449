"""Writes the metrics of a training, and replaces its released weights.

Metrics go to metrics.jsonl, and to TensorBoard where tensorboardX is installed.
`launch.training.loop` calls this module.
"""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any, TextIO

from launch import app
from launch.distributed import processes


class MetricsWriter:
    """Appends a row of metrics for a step; only process 0 writes.

    When a training is resumed, rows beyond the step of the checkpoint are removed first, so no step occurs twice.
    """

    def __init__(self, workdir: pathlib.Path, step: int) -> None:
        self._file: TextIO | None = None
        self._board: Any = None
        if not processes.is_chief():
            return
        path = workdir / "metrics.jsonl"
        if path.exists():
            kept = [row for row in read_metrics(workdir) if row["step"] <= step]
            app.write_text(path, "".join(f"{json.dumps(row)}\n" for row in kept))
        self._file = path.open("a", encoding="utf-8")
        self._board = _open_tensorboard(workdir / "tensorboard", step)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Appends a row, a JSON object with `step` and the values, and hands it to the operating system at once."""
        if self._file is None:
            return
        with app.adding_path_to_errors(self._file.name):
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
            self._board.flush()

    def close(self) -> None:
        """Closes the files."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # `write` has reported the error
                self._file.close()
        if self._board is not None:
            self._board.close()


def read_metrics(workdir: str | pathlib.Path, name: str = "metrics.jsonl") -> list[dict[str, float]]:
    """Returns the rows of a workdir's metrics.jsonl; a last line that a crash left incomplete is dropped.

    Args:
      workdir: folder of a training.
      name: "training.jsonl" reads the rows that are kept beside released weights.
    """
    text = (pathlib.Path(workdir) / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n")[:-1] if line.strip()]


@contextlib.contextmanager
def exporting(workdir: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields an empty folder to write into; at the end its files and folders replace those in the workdir.

    A process that is killed while it writes leaves the former files, not a mixture of two steps.
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


def _open_tensorboard(folder: pathlib.Path, step: int) -> Any:
    """Returns a TensorBoard writer that hides earlier values beyond the step; None without tensorboardX."""
    try:
        import tensorboardX
    except ImportError:  # the extra is not installed
        return None
    return tensorboardX.SummaryWriter(str(folder), purge_step=step + 1 if step else None)
