"""Checkpoints of a training: state, step, key, config and the rows not yet written, through Orbax."""

import json
import pathlib
import shutil
import zlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from launch.training.step import TrainState
from phasenet.errors import InputError

PyTree = Any


class Checkpoints:
    """The checkpoints of a workdir, the newest few kept.

    Saving is synchronous: nothing is under way when a step begins (its buffers are donated) or the process ends.
    """

    def __init__(self, workdir: pathlib.Path, max_to_keep: int = 3) -> None:
        self.folder = pathlib.Path(workdir).absolute() / "checkpoints"
        self._manager = ocp.CheckpointManager(
            self.folder,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=max_to_keep, create=True, enable_async_checkpointing=False,
                cleanup_tmp_directories=True),
            item_names=("state", "config", "pending"))

    def save(self, state: TrainState, config: dict[str, Any], pending: list[dict[str, float]]) -> None:
        """Saves the state under its step, with the config and the metrics of steps since the last row."""
        arrays = _arrays(state)
        step = int(arrays["step"])
        if step in self._manager.all_steps():
            return
        self._manager.save(step, args=ocp.args.Composite(
            state=ocp.args.StandardSave(arrays),
            config=ocp.args.JsonSave(config),
            pending=ocp.args.JsonSave({"metrics": pending, "checksum": _checksum(arrays)})))

    def latest_step(self) -> int | None:
        return self._manager.latest_step()

    def restore_config(self) -> dict[str, Any] | None:
        """The config of the newest checkpoint whose config can be read; None when there is no checkpoint."""
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return self._manager.restore(
                    step, args=ocp.args.Composite(config=ocp.args.JsonRestore())).config
            except Exception:  # damaged: restore() will say so
                continue
        return None

    def restore(self, like: TrainState, say: Callable[[str], None],
                ) -> tuple[TrainState, list[dict[str, float]]] | None:
        """(state, pending) of the newest whole checkpoint, bit for bit; None when there is none at all.

        Damaged ones are named through say and moved to workdir/damaged, so that their steps can be saved anew.
        Raises InputError when every one is damaged.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        damaged = []
        for step in steps:
            try:
                found = self._restore_step(step, like)
            except Exception as error:  # Orbax and TensorStore raise many kinds on a damaged file
                damaged.append((step, _reason(error)))
                continue
            self._set_aside(damaged, say)
            return found
        if damaged:
            step, reason = damaged[0]
            raise InputError(f"{self.folder / str(step)}: damaged checkpoint ({reason}) and no whole one before "
                             "it; remove the folder to start anew")
        return None

    def _restore_step(self, step: int, like: TrainState) -> tuple[TrainState, list[dict[str, float]]]:
        target = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), _abstract(like))
        found = self._manager.restore(step, args=ocp.args.Composite(
            state=ocp.args.StandardRestore(target), pending=ocp.args.JsonRestore()))
        if found.pending["checksum"] != _checksum(found.state):
            raise ValueError("its arrays are not those that were saved")
        return _state(found.state), found.pending["metrics"]

    def _set_aside(self, damaged: list[tuple[int, str]], say: Callable[[str], None]) -> None:
        for step, reason in damaged:
            place = self.folder.parent / "damaged" / str(step)
            say(f"{self.folder / str(step)}: damaged checkpoint ({reason}); moved to {place}, using the one before")
            place.parent.mkdir(exist_ok=True)
            shutil.rmtree(place, ignore_errors=True)
            shutil.move(self.folder / str(step), place)
        if damaged:
            self._manager.reload()

    def close(self) -> None:
        self._manager.wait_until_finished()
        self._manager.close()


def read_params(path: pathlib.Path) -> PyTree:
    """The parameters (averaged ones where there are) in a workdir's newest checkpoint, as nested dicts of arrays."""
    path = pathlib.Path(path)
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    steps = sorted((int(item.name) for item in folder.glob("*") if item.name.isdigit()), reverse=True)
    if not steps:
        raise InputError(f"{path}: no checkpoint of a training in it")
    state_folder = (folder / str(steps[0]) / "state").absolute()
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            shapes = checkpointer.metadata(state_folder).item_metadata
            target = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), dict(shapes))
            state = checkpointer.restore(state_folder, target)
    except Exception as error:
        raise InputError(f"{state_folder}: damaged checkpoint ({_reason(error)})") from error
    return state.get("average") or state["params"]


def plain_config(config: Any) -> dict[str, Any]:
    """A ConfigDict as JSON gives it back."""
    return json.loads(json.dumps(config.to_dict()))


def check_same_config(saved: dict[str, Any], given: dict[str, Any], free: tuple[str, ...], workdir: pathlib.Path,
                      ) -> None:
    """Raises InputError naming the first field, and both values, in which a resumed run would differ."""
    before, now = dict(_flat(saved)), dict(_flat(given))
    for name in sorted(before.keys() | now.keys()):
        if any(name == field or name.startswith(f"{field}.") for field in free):
            continue
        if before.get(name) != now.get(name) or (name in before) != (name in now):
            raise InputError(
                f"config.{name}={now.get(name, 'absent')!r} but {workdir} was begun with "
                f"{before.get(name, 'absent')!r}: give the same, or another workdir")


def _flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", value))
    return rows


def _arrays(state: TrainState) -> dict[str, PyTree]:
    """The state as a dict of host arrays; the typed key as its data."""
    tree = state._replace(key=jax.random.key_data(state.key))._asdict()
    if state.average is None:
        del tree["average"]
    return jax.device_get(tree)


def _abstract(state: TrainState) -> dict[str, PyTree]:
    return jax.eval_shape(lambda s: {name: item for name, item in s._replace(
        key=jax.random.key_data(s.key))._asdict().items() if item is not None}, state)


def _state(arrays: dict[str, PyTree]) -> TrainState:
    arrays = jax.tree.map(jax.numpy.array, arrays)  # copies: the step will consume them
    key = jax.random.wrap_key_data(arrays["key"])
    return TrainState(arrays["step"], arrays["params"], arrays["opt_state"], arrays.get("average"), key)


def _checksum(arrays: PyTree) -> int:
    """CRC-32 over all leaves: TensorStore takes a missing chunk for zeros and says nothing."""
    value = 0
    for leaf in jax.tree.leaves(arrays):
        value = zlib.crc32(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8), value)
    return value


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:120]
