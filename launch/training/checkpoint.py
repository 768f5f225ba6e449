"""Saves and restores checkpoints of a training with Orbax: state, config, and metrics that are not yet written.

When Orbax has written a checkpoint, the sizes and checksums of its files are written to files.json. A checkpoint
without this file, or with other content, is damaged. Orbax alone reports damage in several unclear errors, and may
read a lost file as zeros. `launch.training.loop` calls this module.
"""

import contextlib
import errno
import json
import logging
import os
import pathlib
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from launch import app
from launch.distributed import processes
from launch.training.state import PyTree, TrainState, named_leaves
from phasenet.errors import InputError

CHECKSUMS = "files.json"
REMOVED = ".removed"  # name of a checkpoint while it is removed
_METADATA_BYTES = 2**20  # generous estimate for the files of a checkpoint other than its arrays

PendingMetrics = list[dict[str, float]]


class Checkpoints:
    """The checkpoints of a workdir, in one folder for each, named by its step. The newest few are kept.

    Saving is synchronous: it is complete before the next step consumes the state's buffers or the process ends.

    Attributes:
      folder: the folder of all checkpoints, WORKDIR/checkpoints.
    """

    def __init__(self, workdir: pathlib.Path, max_to_keep: int = 3) -> None:
        self.folder = pathlib.Path(workdir).absolute() / "checkpoints"
        self._max_to_keep = max_to_keep
        self._open(1)

    def _open(self, gigabytes_at_once: int) -> None:
        """Makes Orbax's manager, which copies so many GB of the state at a time; each array must be smaller."""
        self._gigabytes_at_once = gigabytes_at_once
        handlers = {"state": ocp.StandardCheckpointHandler(save_concurrent_gb=gigabytes_at_once),
                    "config": ocp.JsonCheckpointHandler(), "record": ocp.JsonCheckpointHandler()}
        self._manager = ocp.CheckpointManager(
            self.folder, item_handlers=handlers,
            options=ocp.CheckpointManagerOptions(
                # We remove old checkpoints ourselves: Orbax would do it before files.json of the new one is written.
                max_to_keep=None, enable_async_checkpointing=False, cleanup_tmp_directories=True))

    def save(self, state: TrainState, config: dict[str, Any], pending: PendingMetrics) -> None:
        """Saves a checkpoint unless its step has one, and removes the oldest checkpoints beyond `max_to_keep`.

        Args:
          state: the state, on all devices.
          config: the config in JSON's types, see `config_as_json`.
          pending: metrics of the steps since the last row of metrics.jsonl.

        Raises:
          OSError: the disk is full, or the file system has another error; the older checkpoints are still there.
        """
        arrays = _one_replica(_to_dict(state))
        step = int(arrays["step"])
        if step in _steps(self.folder):
            return
        largest = max(leaf.nbytes for leaf in jax.tree.leaves(arrays))
        if largest >= self._gigabytes_at_once * 10**9:
            self._manager.close()
            self._open(largest // 10**9 + 1)
        if processes.is_chief():
            _check_free_space(self.folder, sum(leaf.nbytes for leaf in jax.tree.leaves(arrays)))
        with app.adding_path_to_errors(self.folder), _only_the_error_printed():
            self._manager.save(step, args=ocp.args.Composite(
                state=ocp.args.StandardSave(arrays),
                config=ocp.args.JsonSave(config),
                record=ocp.args.JsonSave({"pending": pending, "arrays": _shapes(arrays)})))
        if processes.is_chief():
            write_checksums(self.folder / str(step))
            self._remove_old()

    def _remove_old(self) -> None:
        """Removes the oldest checkpoints beyond `max_to_keep`.

        Each checkpoint is renamed first, because Orbax warns of a checkpoint that a kill has left half removed.
        """
        for old in _steps(self.folder)[self._max_to_keep:]:
            os.rename(self.folder / str(old), self.folder / REMOVED)
            shutil.rmtree(self.folder / REMOVED)

    def latest_step(self) -> int | None:
        """Returns the step of the newest checkpoint, intact or not; None where there is none."""
        return next(iter(_steps(self.folder)), None)

    def read_config(self) -> dict[str, Any] | None:
        """Returns the config of the newest intact checkpoint in JSON's types; None where there is none."""
        step, _ = find_newest_intact(self.folder)
        if step is None:
            return None
        return self._manager.restore(step, args=ocp.args.Composite(config=ocp.args.JsonRestore())).config

    def restore(self, template: TrainState, print_line: Callable[[str], None],
                ) -> tuple[TrainState, PendingMetrics] | None:
        """Returns the state and the pending metrics of the newest intact checkpoint, bit for bit; None without one.

        Newer damaged checkpoints are moved to WORKDIR/damaged, so that their steps can be saved again. What a kill left
        of a checkpoint that was being removed is removed.

        Args:
          template: a state with the shapes and dtypes of the task, arrays or `jax.ShapeDtypeStruct`.
          print_line: receives one line for each damaged checkpoint.

        Raises:
          InputError: the checkpoint does not fit the task; or all checkpoints are damaged, and one of them had been
            completed. (Checkpoints whose saving was interrupted are no loss: the training starts again.)
        """
        intact, damaged = find_newest_intact(self.folder)
        processes.wait_for_all("checkpoints looked through")
        completed = [step for step in damaged if (self.folder / str(step) / CHECKSUMS).exists()]
        if intact is None and completed:
            path = self.folder / str(completed[0])
            raise InputError(f"{path}: damaged checkpoint ({damaged[completed[0]]}), and no intact one before it: "
                             f"remove {self.folder} to start from the beginning")
        then = "the training starts from the beginning" if intact is None else "the one before it is used"
        for step, reason in damaged.items() if processes.is_chief() else ():
            self._move_to_damaged(self.folder / str(step), reason, then, print_line)
        if processes.is_chief():
            shutil.rmtree(self.folder / REMOVED, ignore_errors=True)
        processes.wait_for_all("damaged checkpoints set aside")
        self._manager.reload()
        return None if intact is None else self._restore_step(intact, template)

    def _restore_step(self, step: int, template: TrainState) -> tuple[TrainState, PendingMetrics]:
        """Returns the state and the pending metrics of one checkpoint; raises InputError where they do not fit."""
        target = _zeros(jax.eval_shape(_to_dict, template))
        record = self._manager.restore(
            step, args=ocp.args.Composite(record=ocp.args.JsonRestore())).record
        # Orbax would pad or cut an array to the shape asked for, without an error.
        saved, wanted = record["arrays"], _shapes(target)
        for name in sorted(saved.keys() | wanted.keys()):
            if saved.get(name) != wanted.get(name):
                raise InputError(
                    f"{self.folder / str(step)}: does not fit the task: {name} is "
                    f"{saved.get(name, 'absent')} there, {wanted.get(name, 'absent')} now: give another workdir")
        found = self._manager.restore(
            step, args=ocp.args.Composite(state=ocp.args.StandardRestore(target)))
        arrays = jax.tree.map(jax.numpy.array, found.state)  # copies, because the step consumes them
        key = jax.random.wrap_key_data(arrays["key"])
        return template._replace(**{**arrays, "key": key}), record["pending"]

    def _move_to_damaged(self, path: pathlib.Path, reason: str, then: str, print_line: Callable[[str], None]) -> None:
        """Moves a damaged checkpoint to WORKDIR/damaged and prints why."""
        place = self.folder.parent / "damaged" / path.name
        print_line(f"{path}: damaged checkpoint ({reason}); moved to {place}, {then}")
        place.parent.mkdir(exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        shutil.move(path, place)

    def close(self) -> None:
        """Closes Orbax's manager."""
        self._manager.close()


def read_params(path: pathlib.Path) -> PyTree:
    """Returns the parameters of a workdir's newest intact checkpoint as nested dicts of arrays.

    The parameters are the running average where the training has one. A line is printed for each newer, damaged
    checkpoint.

    Args:
      path: the workdir.

    Raises:
      InputError: there is no intact checkpoint.
    """
    folder = pathlib.Path(path).absolute() / "checkpoints"
    step, damaged = find_newest_intact(folder)
    for damaged_step, reason in damaged.items():
        line = f"{folder / str(damaged_step)}: damaged checkpoint ({reason})"
        if step is None:
            raise InputError(f"{line}, and no intact one before it: give other weights")
        if processes.is_chief():
            app.print_line(f"{line}; the checkpoint of step {step} is used")
    if step is None:
        raise InputError(f"{path}: not a workdir of a training: it has no checkpoints")
    state = read_state(folder / str(step))
    return state["average" if "average" in state else "params"]


def read_state(folder: pathlib.Path) -> PyTree:
    """Returns all arrays of an intact checkpoint of any task, as nested dicts.

    Args:
      folder: the folder of the checkpoint, WORKDIR/checkpoints/STEP.
    """
    # A Checkpointer would warn that "state" is only a part of the checkpoint.
    reader = ocp.StandardCheckpointHandler()
    shapes = dict(reader.metadata(folder / "state"))
    return reader.restore(folder / "state", args=ocp.args.StandardRestore(_zeros(shapes)))


def describe_origin(path: str | pathlib.Path) -> str:
    """Returns " (a checkpoint of TASK, model...)" for a message, from a workdir's config; "" for any other path."""
    folder = pathlib.Path(path).absolute() / "checkpoints"
    step, _ = find_newest_intact(folder)
    if step is None:
        return ""
    config = ocp.JsonCheckpointHandler().restore(folder / str(step) / "config")
    network = {name: config[name] for name in ("model",) if name in config}
    parts = [f"a checkpoint of {config.get('task')}", *(f"{name}={value}" for name, value in _flatten(network).items())]
    return f" ({', '.join(parts)})"


def find_newest_intact(folder: pathlib.Path) -> tuple[int | None, dict[int, str]]:
    """Returns the step of the newest intact checkpoint, and what is wrong with each newer one.

    Args:
      folder: the folder of all checkpoints.

    Returns:
      The step, None where no checkpoint is intact; and {step: reason} of the damaged checkpoints after it.
    """
    damaged: dict[int, str] = {}
    for step in _steps(folder):
        reason = find_damage(folder / str(step))
        if reason is None:
            return step, damaged
        damaged[step] = reason
    return None, damaged


def _steps(folder: pathlib.Path) -> list[int]:
    """Returns the steps of all checkpoints, the newest first."""
    return sorted((int(item.name) for item in folder.glob("*") if item.name.isdigit()), reverse=True)


def _check_free_space(folder: pathlib.Path, size: int) -> None:
    """Raises OSError before anything is written where the disk has no room for arrays of so many bytes."""
    if shutil.disk_usage(folder).free < size + _METADATA_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


@contextlib.contextmanager
def _only_the_error_printed() -> Iterator[None]:
    """Suppresses what Orbax's threads and TensorStore's callbacks print beside an error: pages of tracebacks.

    After an error these messages stay suppressed, because some of them come later: from callbacks to a closed event
    loop and from results that nobody read.
    """
    def hook(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            sys.__unraisablehook__(unraisable)

    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    before, sys.unraisablehook = ([logger.level for logger in loggers], sys.unraisablehook), hook
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    yield
    levels, sys.unraisablehook = before
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def write_checksums(folder: pathlib.Path) -> None:
    """Writes files.json into the folder of a finished checkpoint: [size in bytes, CRC-32] of each file."""
    app.write_json(folder / CHECKSUMS, {name: _size_and_crc32(path) for name, path in _files(folder).items()})


def find_damage(folder: pathlib.Path) -> str | None:
    """Returns what is wrong with the files in the folder of a checkpoint; None where all agree with its files.json."""
    try:
        recorded = [(name, size, checksum) for name, (size, checksum) in
                  json.loads((folder / CHECKSUMS).read_text(encoding="utf-8")).items()]
    except OSError:
        return f"no {CHECKSUMS}: saving it was interrupted"
    except (ValueError, TypeError, AttributeError, RecursionError):
        return f"{CHECKSUMS} was altered"
    files = _files(folder)
    for name, size, checksum in recorded:
        if name not in files:
            return f"{name} is missing"
        found = _size_and_crc32(files[name])
        if found[0] != size:
            return f"{name} has {found[0]} bytes, not {size}"
        if found[1] != checksum:
            return f"{name} was altered"
    return None


def _files(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns the files below a folder, by path relative to it."""
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def _size_and_crc32(path: pathlib.Path) -> tuple[int, int]:
    """Returns a file's size in bytes and the CRC-32 of its content."""
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
        return file.tell(), checksum


def _shapes(arrays: PyTree) -> dict[str, str]:
    """Returns dtype and shape of each array by name, as {"params/dense/kernel": "float32[3, 1]"}."""
    return {name: f"{leaf.dtype}{list(leaf.shape)}" for name, leaf in named_leaves(arrays)}


def _zeros(shapes: PyTree) -> PyTree:
    """Returns host arrays of zeros, into which Orbax restores."""
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


def config_as_json(config: Any) -> dict[str, Any]:
    """Returns a ConfigDict in JSON's types, as a checkpoint gives it back (tuples become lists)."""
    return json.loads(json.dumps(config.to_dict()))


def check_same_config(before: dict[str, Any], now: dict[str, Any], free: tuple[str, ...],
                      workdir: pathlib.Path) -> None:
    """Checks that a resumed training has the config with which the workdir was begun.

    Args:
      before: the config in the workdir's checkpoint, in JSON's types.
      now: the config given, in JSON's types.
      free: dotted names of fields that may differ, with all fields below them.
      workdir: the workdir, for the message.

    Raises:
      InputError: a field differs. The message names one field: the task, else a field of the network, else any other.
    """
    old, new = _flatten(before), _flatten(now)
    for name in sorted(old.keys() | new.keys(), key=lambda name: (name != "task", not name.startswith("model."), name)):
        if any(f"{name}.".startswith(f"{field}.") for field in free):
            continue
        was, given = old.get(name, "absent"), new.get(name, "absent")
        if was != given:
            raise InputError(f"config.{name}={given!r}, but {workdir} was begun with {was!r}: give "
                             "the same value, or another workdir")


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns the fields by dotted name, as {"optimizer.name": "adam"}; an empty sub-config counts as a value."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        below = isinstance(value, dict) and value
        flat |= _flatten(value, f"{prefix}{name}.") if below else {f"{prefix}{name}": value}
    return flat


def _one_replica(tree: PyTree) -> PyTree:
    """Returns the arrays of one device.

    The arrays stay on the device, because Orbax then copies them one after another instead of all at once. With several
    processes the arrays are copied to the host, because Orbax accepts arrays that only one process has from the host
    alone.
    """
    if jax.process_count() > 1:
        return jax.device_get(tree)
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


def _to_dict(state: TrainState) -> dict[str, PyTree]:
    """Returns the state as a dict of arrays: the key as its uint32 data, and no average where there is none."""
    parts = state._replace(key=jax.random.key_data(state.key))._asdict()
    return {name: part for name, part in parts.items() if part is not None}
