"""What is trained: the Task protocol, and a task from a config."""

import importlib
import pathlib
from typing import Any, Protocol

import jax

from phasenet.errors import InputError

PyTree = Any


class Task(Protocol):
    """A thing to train. Subclass it, take the config in __init__, and write init, batch and loss.

    `config.task = "package.module:Class"` names the class, which is called with the config.

    Attributes:
      data: arrays that `batch` draws from (a corpus), any pytree; handed to the compiled step as an argument,
        whole on every device. Empty where the data are made up from keys alone.
      free_fields: dotted names of the task's own config fields that may differ when a run is resumed
        (where a corpus lies, say), beside those of the loop (launch/training/defaults.py).
    """

    data: PyTree = ()
    free_fields: tuple[str, ...] = ()

    def init(self, key: jax.Array) -> PyTree:
        """Fresh parameters (jitted by the caller)."""
        raise NotImplementedError

    def batch(self, keys: jax.Array, step: jax.Array, data: PyTree) -> PyTree:
        """A batch, made on the device inside the compiled step: pure.

        keys: (n,) typed keys, one an example of this device; example i must depend on keys[i], step and data
        alone, so that the same global batch arises on any number of devices.
        """
        raise NotImplementedError

    def loss(self, params: PyTree, batch: PyTree, keys: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Mean loss over the batch and further scalars, each a mean over the batch too: devices are averaged.

        keys: (n,) typed keys, one an example (dropout, noise), independent of those given to `batch`.
        """
        raise NotImplementedError

    def evaluate(self, params: PyTree) -> dict[str, float]:
        """Figures on held-out data; params are the averaged ones where ema_decay is on. Outside the step."""
        return {}

    def trainable(self, params: PyTree) -> PyTree:
        """A tree like params of bools: False leaves stay as they are and cost neither gradient nor moments."""
        return jax.tree.map(lambda _: True, params)

    def adopt(self, params: PyTree, source: PyTree) -> PyTree:
        """Fresh params with those of --init_from put in; by default all of them must fit."""
        from launch.training.weights import adopt

        return adopt(params, source)

    def read_weights(self, path: pathlib.Path) -> PyTree:
        """The parameters in --init_from: by default a workdir of a training or an .npz file of arrays."""
        from launch.training.weights import read_weights

        return read_weights(path)

    def export(self, params: PyTree, workdir: pathlib.Path, step: int) -> None:
        """Called after each evaluation and at the end: write weights for release, if wanted."""


def task_class(name: str) -> type[Task]:
    """The class that config.task names. Raises InputError when there is no such class."""
    module_name, _, class_name = name.partition(":")
    if not module_name or not class_name:
        raise InputError(f"config.task={name!r}: expected 'package.module:Class'")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise InputError(f"config.task={name!r}: no module {error.name!r}") from error
    if not hasattr(module, class_name):
        raise InputError(f"config.task={name!r}: {module_name} has no class {class_name!r}")
    return getattr(module, class_name)
