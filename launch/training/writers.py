"""Curves of a training: metrics.jsonl always, TensorBoard where tensorboardX is installed."""

import json
import pathlib

from launch.app import write_text


class MetricsWriter:
    """Appends rows by step. A resumed run first drops the rows past its checkpoint, so no step appears twice."""

    def __init__(self, workdir: pathlib.Path, step: int) -> None:
        self._path = workdir / "metrics.jsonl"
        _cut(self._path, step)
        self._file = self._path.open("a", encoding="utf-8")
        self._board = _tensorboard(workdir / "tensorboard", step)

    def write(self, step: int, values: dict[str, float]) -> None:
        """One row: a JSON object with `step` and the values, on the disk when this returns."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
            self._board.flush()

    def close(self) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_metrics(workdir: pathlib.Path) -> list[dict[str, float]]:
    """The rows of a workdir's metrics.jsonl; a last line cut short by a crash is left out."""
    path = pathlib.Path(workdir) / "metrics.jsonl"
    return [json.loads(line) for line in _whole_lines(path)]


def _whole_lines(path: pathlib.Path) -> list[str]:
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [line for line in lines[:-1] if line]  # what follows the last newline was never finished


def _cut(path: pathlib.Path, step: int) -> None:
    """Keeps the rows up to step."""
    if path.exists():
        kept = [line for line in _whole_lines(path) if json.loads(line)["step"] <= step]
        write_text(path, "".join(f"{line}\n" for line in kept))


def _tensorboard(folder: pathlib.Path, step: int):
    try:
        import tensorboardX
    except ImportError:  # an extra
        return None
    return tensorboardX.SummaryWriter(str(folder), purge_step=step + 1 if step else None)
