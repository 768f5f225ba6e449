"""Trainings on a disk that is full, of sizes from too small for a start to large enough: one clear line, nothing lost.

    unshare -rm .venv/bin/python -m tests.faults.fill_disk [--first=20] [--last=1500] [--step=40]

For each size (KiB) a toy training runs in a new tmpfs of it, until the disk is full: once as it is, and once without
the look at the free space before a checkpoint, as where a quota ends what looks free. A fault is: an error that
launch.app would not tell in one line that names a file and the disk; anything else on standard error; a checkpoint lost
that was whole; and, once the disk has room, a training that does not go on from the newest whole checkpoint, or does
not end as one on a large disk. Exits 1 then.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "launch"))

from launch import app  # noqa: E402, I001 (before jax)
from launch.training import checkpoint, train  # noqa: E402
from toy_training import get_config  # noqa: E402

_ROOM = "64m"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, value in (("first", 20), ("last", 1500), ("step", 40)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    config = get_config()
    config.num_steps, config.log_every, config.checkpoint_every, config.eval_every = 12, 1, 3, 4
    config.max_to_keep = 2
    faults = full = 0
    with tempfile.TemporaryDirectory() as folder:
        large = pathlib.Path(folder) / "large"
        train(config, large, print_line=_quiet)
        for size in range(options.first, options.last, options.step):
            for beside in (checkpoint._METADATA_BYTES, -10**9):
                disk = pathlib.Path(folder) / f"{size}{beside}"
                disk.mkdir()
                subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", disk], check=True)
                checkpoint._METADATA_BYTES, before = beside, checkpoint._METADATA_BYTES
                said, what = _fill(config, disk / "run", large)
                checkpoint._METADATA_BYTES = before
                full += said is not None
                faults += what is not None
                print(f"{size} KiB, {'looked at' if beside > 0 else 'not looked at'}: "
                      f"{said or 'large enough'}{'; FAULT: ' + what if what else ''}", flush=True)
                subprocess.run(["umount", disk], check=True)
    print(f"{full} full disks, {faults} faults")
    return 1 if faults or not full else 0


def _fill(config, workdir: pathlib.Path, large: pathlib.Path) -> tuple[str | None, str | None]:
    """What was said of the full disk, None where it was large enough; and the fault, if any."""
    line, whole = None, []

    def say(message: str) -> None:
        whole.append(checkpoint.find_newest_intact(workdir / "checkpoints")[0])

    with tempfile.TemporaryFile() as errors:
        stderr = os.dup(2)
        os.dup2(errors.fileno(), 2)
        try:
            train(config, workdir, print_line=say)
        except Exception as error:
            line = app.describe_error(error) or f"{type(error).__name__}: {error}"
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        errors.seek(0)
        pages = errors.read().decode()
    if line is not None and not line.startswith(str(workdir)) or "\n" in (line or ""):
        return line, "not told in one line"
    if pages:
        return line, f"on standard error: {pages[:1500]}"
    before = checkpoint.find_newest_intact(workdir / "checkpoints")[0]
    if whole and whole[-1] is not None and (before or 0) < whole[-1]:
        return line, f"checkpoint {whole[-1]} was whole, now it is {before}"
    subprocess.run(["mount", "-o", f"remount,size={_ROOM}", workdir.parent], check=True)
    said: list[str] = []
    train(config, workdir, print_line=said.append)
    if before is not None and before < config.num_steps and f"resumed from step {before} of {workdir}" not in said:
        return line, f"not resumed from {before}: {said}"
    states = [checkpoint.read_state(path / "checkpoints" / str(config.num_steps)) for path in (workdir, large)]
    same = all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for (_, a), (_, b) in zip(
        *map(checkpoint.named_leaves, states), strict=True))
    return line, None if same else "other parameters at the end"


def _quiet(_: str) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main())
