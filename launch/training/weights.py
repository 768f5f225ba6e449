"""Starts a training from other weights (--init_from): reads the weights and copies them by name."""

import itertools
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch.training import checkpoint
from launch.training.state import PyTree, leaf_name, named_leaves
from phasenet.errors import InputError
from phasenet.io.npz import read_npz


def read_weights(path: str | pathlib.Path) -> PyTree:
    """Returns the parameters of another training as nested dicts of arrays.

    Args:
      path: a workdir, whose newest intact checkpoint is read (see `checkpoint.read_params`), or an .npz file of arrays
        with names such as "encoder/kernel".

    Raises:
      InputError: the path is neither of these, or cannot be read.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such weights: give a workdir or an .npz file")
    return _from_npz(path) if path.suffix == ".npz" else checkpoint.read_params(path)


def _from_npz(path: pathlib.Path) -> PyTree:
    """Returns the arrays of an .npz file as nested dicts, one level for each "/" in a name."""
    arrays = read_npz(path, ())
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        *folders, last = name.split("/")
        branch = tree
        for folder in itertools.accumulate(folders, "{}/{}".format):
            if folder in arrays:
                raise InputError(f"{path}: {folder!r} is an array as well as a folder of arrays")
            branch = branch.setdefault(folder.rpartition("/")[2], {})
        branch[last] = array
    return tree


def init_from_weights(params: PyTree, path: str | pathlib.Path, read: Callable[[pathlib.Path], PyTree],
                      put: Callable[[PyTree, PyTree], PyTree]) -> PyTree:
    """Returns the initial parameters, replaced by those of --init_from.

    Args:
      params: initial parameters.
      path: value of --init_from.
      read: reads the weights, see `Task.read_weights`.
      put: returns the parameters with the weights put in, see `Task.adopt`.

    Raises:
      InputError: the weights cannot be read or do not fit; the message names the training that the weights come from.
    """
    source = read(pathlib.Path(path))
    try:
        return put(params, source)
    except InputError as error:
        raise InputError(f"--init_from={path}{checkpoint.describe_origin(path)}: {error}") from None


def adopt(params: PyTree, source: PyTree, fresh: tuple[str, ...] = ()) -> PyTree:
    """Returns parameters in which each array is replaced by the one of the same name in other weights.

    Args:
      params: initial parameters; they determine structure, shapes and dtypes.
      source: the other weights. Arrays that `params` lacks are ignored.
      fresh: folders of names, such as "encoder/latent", whose arrays keep their initial values.

    Raises:
      InputError: an array is missing in `source`, has another shape, or holds NaN, infinity or no numbers.
    """
    given = dict(named_leaves(source))

    def pick(path: tuple, leaf: jax.Array) -> jax.Array:
        name = leaf_name(path)
        if any(f"{name}/".startswith(f"{prefix}/") for prefix in fresh):
            return leaf
        if name not in given:
            raise InputError(f"the weights lack {name!r}, which the config needs; they have "
                             f"{', '.join(sorted(given)) or 'nothing'}")
        array = np.asarray(given[name])
        if array.shape != leaf.shape:
            raise InputError(f"{name!r} is {array.shape} in the weights, but the config makes it {leaf.shape}")
        # The limit is that of float32, so that values of a wider type stay finite when they are converted.
        if not jnp.issubdtype(array.dtype, jnp.number) or not (np.abs(array) < np.finfo(np.float32).max).all():
            raise InputError(f"{name!r} in the weights holds NaN, infinity, or values that are not numbers")
        return jnp.array(array, leaf.dtype)

    return jax.tree_util.tree_map_with_path(pick, params)
