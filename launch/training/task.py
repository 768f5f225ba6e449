"""Defines `Task`, the protocol of what can be trained, and loads the class that a config names."""

import importlib
import pathlib
from typing import Protocol

import jax

from launch.training import weights
from launch.training.state import PyTree
from phasenet.errors import InputError


class Task(Protocol):
    """What is trained. A subclass takes the config in its constructor and defines `init`, `batch` and `loss`.

    `config.task = "package.module:Class"` names the class.

    Attributes:
      data: pytree of arrays from which `batch` draws, such as a corpus; empty where examples are made from keys alone.
        The compiled step takes the arrays as an argument, whole on every device.
      free_fields: dotted names of fields of the task's config that may differ when a training is resumed, such as the
        path of a corpus. The free fields of every training are in launch/training/defaults.py.
    """

    data: PyTree = ()
    free_fields: tuple[str, ...] = ()

    def init(self, key: jax.Array) -> PyTree:
        """Returns initial parameters, a pytree of floating-point arrays. The caller compiles it, so it must be pure."""
        raise NotImplementedError

    def batch(self, keys: jax.Array, step: jax.Array, data: PyTree) -> PyTree:
        """Returns the examples that one device makes of a batch. The step compiles `batch`, so it must be pure.

        Args:
          keys: (n,) typed keys, one for each example. Example i must depend on keys[i], step and data alone: then the
            global batch is the same on any number of devices.
          step: () int32, number of steps done.
          data: the attribute `data`.

        Returns:
          A pytree of arrays with a leading axis of n examples, as `loss` takes it.
        """
        raise NotImplementedError

    def loss(self, params: PyTree, batch: PyTree, keys: jax.Array,
             ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns the loss and other metrics, each a () mean over the batch, which is then averaged over devices.

        Args:
          params: parameters as `init` returns them.
          batch: n examples as `batch` returns them.
          keys: (n,) typed keys, one for each example, independent of the keys that `batch` takes; for dropout or noise.
        """
        raise NotImplementedError

    def evaluate(self, params: PyTree) -> dict[str, float]:
        """Returns metrics on held-out data, by name.

        Args:
          params: the running average where config.ema_decay is above 0, else the parameters.
        """
        return {}

    def trainable(self, params: PyTree) -> PyTree:
        """Returns a pytree of bools, one for each array of `params` (or its shape); arrays with False never change."""
        return jax.tree.map(lambda _: True, params)

    def read_weights(self, path: pathlib.Path) -> PyTree:
        """Returns the parameters in --init_from, by default from a workdir or an .npz file (see `weights`)."""
        return weights.read_weights(path)

    def adopt(self, params: PyTree, source: PyTree) -> PyTree:
        """Returns the initial parameters, replaced by those of --init_from; by default every array must be replaced."""
        return weights.adopt(params, source)

    def export(self, params: PyTree, workdir: pathlib.Path, step: int) -> None:
        """Writes weights for release; the loop calls this method after each evaluation. By default nothing is written.

        Args:
          params: parameters as `evaluate` takes them.
          workdir: an empty folder, whose content then replaces that of the training's workdir.
          step: number of steps done.
        """


def load_task_class(name: str) -> type[Task]:
    """Returns the class that config.task names, "package.module:Class".

    Raises:
      InputError: the name has another form, or the module or the class does not exist.
    """
    module_name, _, class_name = name.partition(":")
    if not module_name or not class_name:
        raise InputError(f"config.task={name!r}: expected 'package.module:Class'")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module exists, but one that it imports does not
        raise InputError(f"config.task={name!r}: no module {error.name!r}") from error
    if not hasattr(module, class_name):
        raise InputError(f"config.task={name!r}: {module_name} has no class {class_name!r}")
    return getattr(module, class_name)
