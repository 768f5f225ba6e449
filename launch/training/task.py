"""What is trained: the Task protocol, and the class that a config names."""

import importlib
import pathlib
from typing import Any, Protocol

import jax

from launch.training import weights
from launch.training.state import PyTree
from phasenet.errors import InputError


class Task(Protocol):
    """A thing to train: subclass it, take the config in __init__, write init, batch and loss.

    `config.task = "package.module:Class"` names the class, which is called with the config.

    Attributes:
      data: arrays that `batch` draws from (a corpus), any pytree; an argument of the compiled step,
        whole on every device. Empty where batches are made up from keys alone.
      free_fields: dotted names of the task's own config fields that may differ when a run is
        resumed (where a corpus lies, say), beside the loop's (launch/training/defaults.py).
    """

    data: PyTree = ()
    free_fields: tuple[str, ...] = ()

    def init(self, key: jax.Array) -> PyTree:
        """Fresh parameters, a pytree of floating arrays (jitted by the caller)."""
        raise NotImplementedError

    def batch(self, keys: jax.Array, step: jax.Array, data: PyTree) -> PyTree:
        """A device's share of a batch, made inside the compiled step: pure.

        keys: (n,) typed keys, one an example. Example i depends on keys[i], step and data alone, so
        that the same global batch arises on any number of devices.
        """
        raise NotImplementedError

    def loss(self, params: PyTree, batch: PyTree, keys: jax.Array,
             ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """(loss, further scalars), each a mean over the batch, for they are averaged over devices.

        keys: (n,) typed keys, one an example (dropout, noise), independent of those of `batch`.
        """
        raise NotImplementedError

    def evaluate(self, params: PyTree) -> dict[str, float]:
        """Figures on held-out data. params: the averaged ones where ema_decay is on."""
        return {}

    def trainable(self, params: PyTree) -> PyTree:
        """A tree like params (arrays or their shapes) of bools: what is False stays as it is."""
        return jax.tree.map(lambda _: True, params)

    def read_weights(self, path: pathlib.Path) -> PyTree:
        """The parameters in --init_from: by default a training's workdir or an .npz of arrays."""
        return weights.read_weights(path)

    def adopt(self, params: PyTree, source: PyTree) -> PyTree:
        """Fresh params with those of --init_from put in; by default all of them must fit."""
        return weights.adopt(params, source)

    def export(self, params: PyTree, workdir: pathlib.Path, step: int) -> None:
        """Called after each evaluation and at the end: write weights for release, if wanted.

        workdir: a folder whose content is then moved into the workdir of the training, all at once.
        """


def task_class(name: str) -> type[Task]:
    """The class that config.task names. Raises InputError when there is no such class."""
    module_name, _, class_name = name.partition(":")
    if not module_name or not class_name:
        raise InputError(f"config.task={name!r}: expected 'package.module:Class'")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there, but misses another
        raise InputError(f"config.task={name!r}: no module {error.name!r}") from error
    if not hasattr(module, class_name):
        raise InputError(f"config.task={name!r}: {module_name} has no class {class_name!r}")
    return getattr(module, class_name)
