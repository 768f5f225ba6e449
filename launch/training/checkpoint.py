"""Checkpoints of a training: state, step, key, config and the metrics not yet written (Orbax).

When Orbax is done with a checkpoint, it is sealed: the sizes and checksums of its files go into
files.json. What is not sealed, or has another content, is damaged. Orbax alone would say so in many
voices, and might take a lost piece for zeros.
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

SEAL = "files.json"
_BESIDE_BYTES = 2**20  # of a checkpoint's some thirty files, beside the arrays

Pending = list[dict[str, float]]


class Checkpoints:
    """The checkpoints of a workdir, the newest few kept; one folder each, named by its step.

    Saving is synchronous: nothing is under way when the next step consumes the state's buffers, or
    when the process ends.
    """

    def __init__(self, workdir: pathlib.Path, max_to_keep: int = 3) -> None:
        self.folder = pathlib.Path(workdir).absolute() / "checkpoints"
        self._max_to_keep = max_to_keep
        self._open(1)

    def _open(self, gigabytes_at_once: int) -> None:
        """The manager, which holds so much of a state a second time while it writes; it must exceed each array."""
        self._gigabytes_at_once = gigabytes_at_once
        handlers = {"state": ocp.StandardCheckpointHandler(save_concurrent_gb=gigabytes_at_once),
                    "config": ocp.JsonCheckpointHandler(), "record": ocp.JsonCheckpointHandler()}
        self._manager = ocp.CheckpointManager(
            self.folder, item_handlers=handlers,
            options=ocp.CheckpointManagerOptions(
                # Orbax would remove older ones before this one is sealed.
                max_to_keep=None, enable_async_checkpointing=False, cleanup_tmp_directories=True))

    def save(self, state: TrainState, config: dict[str, Any], pending: Pending) -> None:
        """Saves the state under its step, with the config and the metrics since the last row."""
        arrays = _own_copy(_tree(state))
        step = int(arrays["step"])
        if step in _steps(self.folder):
            return
        largest = max(leaf.nbytes for leaf in jax.tree.leaves(arrays))
        if largest >= self._gigabytes_at_once * 10**9:
            self._manager.close()
            self._open(largest // 10**9 + 1)
        if processes.is_chief():
            _check_room(self.folder, sum(leaf.nbytes for leaf in jax.tree.leaves(arrays)))
        with app.naming(self.folder), _in_one_voice():
            self._manager.save(step, args=ocp.args.Composite(
                state=ocp.args.StandardSave(arrays),
                config=ocp.args.JsonSave(config),
                record=ocp.args.JsonSave({"pending": pending, "arrays": _shapes(arrays)})))
        if processes.is_chief():
            seal(self.folder / str(step))
            # One that a crash left half removed is older still, and goes here the next time.
            for old in _steps(self.folder)[self._max_to_keep:]:
                shutil.rmtree(self.folder / str(old))

    def latest_step(self) -> int | None:
        """The newest step saved, None when there is none."""
        return next(iter(_steps(self.folder)), None)

    def read_config(self) -> dict[str, Any] | None:
        """The newest config that can be read, None when there is no checkpoint."""
        step, _ = newest_whole(self.folder)
        if step is None:
            return None
        return self._manager.restore(step, args=ocp.args.Composite(config=ocp.args.JsonRestore())).config

    def restore(self, like: TrainState, say: Callable[[str], None],
                ) -> tuple[TrainState, Pending] | None:
        """(state, pending) of the newest whole checkpoint, bit for bit; None when there is none.

        like: a state of shapes and dtypes. Damaged checkpoints are named through say and moved to
        workdir/damaged, so that their steps can be saved anew. Raises InputError when all are, unless their saving
        did not even end: then nothing was ever lost.
        """
        whole, damaged = newest_whole(self.folder)
        processes.wait_for_all("checkpoints looked through")
        ended = [step for step in damaged if (self.folder / str(step) / SEAL).exists()]
        if whole is None and ended:
            path = self.folder / str(ended[0])
            raise InputError(f"{path}: damaged checkpoint ({damaged[ended[0]]}), and no whole one before it: remove "
                             f"{self.folder} to start anew")
        then = "training starts anew" if whole is None else "the one before is used"
        for step, reason in damaged.items() if processes.is_chief() else ():
            self._set_aside(self.folder / str(step), reason, then, say)
        processes.wait_for_all("damaged checkpoints set aside")
        self._manager.reload()
        return None if whole is None else self._restore_step(whole, like)

    def _restore_step(self, step: int, like: TrainState) -> tuple[TrainState, Pending]:
        target = _zeros(jax.eval_shape(_tree, like))
        record = self._manager.restore(
            step, args=ocp.args.Composite(record=ocp.args.JsonRestore())).record
        # Orbax pads or cuts an array to the shape asked for, without a word.
        saved, wanted = record["arrays"], _shapes(target)
        for name in sorted(saved.keys() | wanted.keys()):
            if saved.get(name) != wanted.get(name):
                raise InputError(
                    f"{self.folder / str(step)}: does not fit the task: {name} is "
                    f"{saved.get(name, 'absent')} there, {wanted.get(name, 'absent')} now")
        found = self._manager.restore(
            step, args=ocp.args.Composite(state=ocp.args.StandardRestore(target)))
        arrays = jax.tree.map(jax.numpy.array, found.state)  # copies: the step will consume them
        key = jax.random.wrap_key_data(arrays["key"])
        return like._replace(**{**arrays, "key": key}), record["pending"]

    def _set_aside(self, path: pathlib.Path, reason: str, then: str, say: Callable[[str], None]) -> None:
        place = self.folder.parent / "damaged" / path.name
        say(f"{path}: damaged checkpoint ({reason}); moved to {place}, {then}")
        place.parent.mkdir(exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        shutil.move(path, place)

    def close(self) -> None:
        self._manager.close()


def read_params(path: pathlib.Path) -> PyTree:
    """Parameters, averaged where there are such, of a workdir's newest whole checkpoint: nested dicts.

    A damaged newer one is named on the way. Raises InputError when there is no whole one.
    """
    folder = pathlib.Path(path).absolute() / "checkpoints"
    step, damaged = newest_whole(folder)
    for worse, reason in damaged.items():
        line = f"{folder / str(worse)}: damaged checkpoint ({reason})"
        if step is None:
            raise InputError(f"{line}, and no whole one before it")
        if processes.is_chief():
            app.print_line(f"{line}; that of step {step} is used")
    if step is None:
        raise InputError(f"{path}: not a workdir of a training: no checkpoints in it")
    state = read_state(folder / str(step))
    return state["average" if "average" in state else "params"]


def read_state(folder: pathlib.Path) -> PyTree:
    """All arrays of a whole checkpoint, whatever task left them: nested dicts."""
    # Not by a Checkpointer, which warns that there is but a part of a checkpoint.
    reader = ocp.StandardCheckpointHandler()
    shapes = dict(reader.metadata(folder / "state"))
    return reader.restore(folder / "state", args=ocp.args.StandardRestore(_zeros(shapes)))


def origin(path: str | pathlib.Path) -> str:
    """Whose checkpoints a workdir holds, for a message: task and network of its config; "" for what is no workdir."""
    folder = pathlib.Path(path).absolute() / "checkpoints"
    step, _ = newest_whole(folder)
    if step is None:
        return ""
    config = ocp.JsonCheckpointHandler().restore(folder / str(step) / "config")
    network = {name: config[name] for name in ("model",) if name in config}
    told = [f"a checkpoint of {config.get('task')}", *(f"{name}={value}" for name, value in _flat(network).items())]
    return f" ({', '.join(told)})"


def newest_whole(folder: pathlib.Path) -> tuple[int | None, dict[int, str]]:
    """The newest step whose checkpoint is whole, None without one; and what is wrong with those after it."""
    damaged: dict[int, str] = {}
    for step in _steps(folder):
        reason = damage(folder / str(step))
        if reason is None:
            return step, damaged
        damaged[step] = reason
    return None, damaged


def _steps(folder: pathlib.Path) -> list[int]:
    """The steps of all checkpoints, the newest first."""
    return sorted((int(item.name) for item in folder.glob("*") if item.name.isdigit()), reverse=True)


def _check_room(folder: pathlib.Path, size: int) -> None:
    """Raises OSError where the disk has no room for so many bytes of arrays: before anything is written."""
    if shutil.disk_usage(folder).free < size + _BESIDE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


@contextlib.contextmanager
def _in_one_voice() -> Iterator[None]:
    """Lets the error alone speak: Orbax's threads and TensorStore's callbacks would add pages to it.

    After an error they stay silent, for some come later: callbacks to an event loop that is closed, results not read.
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
    for logger, level in zip(loggers, levels):
        logger.setLevel(level)


def seal(folder: pathlib.Path) -> None:
    """Writes files.json: [size, CRC-32] of every file of a finished checkpoint."""
    app.write_json(folder / SEAL, {name: _fingerprint(path) for name, path in _files(folder).items()})


def damage(folder: pathlib.Path) -> str | None:
    """What is wrong with a checkpoint's files, None when they are as they were sealed."""
    try:
        sealed = [(name, size, checksum) for name, (size, checksum) in
                  json.loads((folder / SEAL).read_text(encoding="utf-8")).items()]
    except OSError:
        return f"no {SEAL}: saving it did not end"
    except (ValueError, TypeError, AttributeError, RecursionError):
        return f"{SEAL} was altered"
    files = _files(folder)
    for name, size, checksum in sealed:
        if name not in files:
            return f"{name} is gone"
        found = _fingerprint(files[name])
        if found[0] != size:
            return f"{name} has {found[0]} bytes, not {size}"
        if found[1] != checksum:
            return f"{name} was altered"
    return None


def _files(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def _fingerprint(path: pathlib.Path) -> tuple[int, int]:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
        return file.tell(), checksum


def _shapes(arrays: PyTree) -> dict[str, str]:
    """{'params/dense/kernel': 'float32[3, 1]', ...}."""
    return {name: f"{leaf.dtype}{list(leaf.shape)}" for name, leaf in named_leaves(arrays)}


def _zeros(shapes: PyTree) -> PyTree:
    """Host arrays for Orbax to restore into."""
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


def plain_config(config: Any) -> dict[str, Any]:
    """A ConfigDict as JSON gives it back."""
    return json.loads(json.dumps(config.to_dict()))


def check_same_config(before: dict[str, Any], now: dict[str, Any], free: tuple[str, ...],
                      workdir: pathlib.Path) -> None:
    """Raises InputError naming the first field that differs, unless in free, and both values.

    The task and the network come first: where these differ, so does the rest.
    """
    old, new = _flat(before), _flat(now)
    for name in sorted(old.keys() | new.keys(), key=lambda name: (name != "task", not name.startswith("model."), name)):
        if any(f"{name}.".startswith(f"{field}.") for field in free):
            continue
        was, given = old.get(name, "absent"), new.get(name, "absent")
        if was != given:
            raise InputError(f"config.{name}={given!r}, but {workdir} was begun with {was!r}: give "
                             "the same, or another workdir")


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{'optimizer.name': 'adam', ...}; an empty sub-config counts as a value."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        below = isinstance(value, dict) and value
        flat |= _flat(value, f"{prefix}{name}.") if below else {f"{prefix}{name}": value}
    return flat


def _own_copy(tree: PyTree) -> PyTree:
    """The replica of one device: Orbax copies host arrays, all at once, and the arrays of a device one by one.

    Of several processes each has arrays that are no business of the others, which Orbax takes from the host alone.
    """
    if jax.process_count() > 1:
        return jax.device_get(tree)
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


def _tree(state: TrainState) -> dict[str, PyTree]:
    """The state as a dict of plain arrays: the key as its data, an absent average left out."""
    parts = state._replace(key=jax.random.key_data(state.key))._asdict()
    return {name: part for name, part in parts.items() if part is not None}
