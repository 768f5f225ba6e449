"""--init_from: parameters of another run, put into fresh ones by name."""

import itertools
import pathlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from launch.training import checkpoint
from launch.training.state import PyTree, leaf_name, named_leaves
from phasenet.errors import InputError
from phasenet.io.npz import read_npz


def read_weights(path: str | pathlib.Path) -> PyTree:
    """Parameters, as nested dicts of arrays, from what another training left.

    path: a workdir (the newest checkpoint's averaged parameters where there are, else the plain
    ones), or an .npz file whose names are joined by '/'. Raises InputError when it is neither.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such weights")
    return _from_npz(path) if path.suffix == ".npz" else checkpoint.read_params(path)


def _from_npz(path: pathlib.Path) -> PyTree:
    arrays, tree = read_npz(path, ()), {}
    for name, array in arrays.items():
        *folders, last = name.split("/")
        branch = tree
        for folder in itertools.accumulate(folders, "{}/{}".format):
            if folder in arrays:
                raise InputError(f"{path}: {folder!r} is an array as well as a folder of arrays")
            branch = branch.setdefault(folder.rpartition("/")[2], {})
        branch[last] = array
    return tree


def take_over(params: PyTree, path: str | pathlib.Path, read: Callable[[pathlib.Path], PyTree],
              put: Callable[[PyTree, PyTree], PyTree]) -> PyTree:
    """Fresh params with those of --init_from put in, as a task reads (`read`) and adopts (`put`) them.

    Raises InputError where they do not fit, which tells of which training they are.
    """
    source = read(pathlib.Path(path))
    try:
        return put(params, source)
    except InputError as error:
        raise InputError(f"--init_from={path}{checkpoint.origin(path)}: {error}") from None


def adopt(params: PyTree, source: PyTree, fresh: tuple[str, ...] = ()) -> PyTree:
    """params with each leaf replaced by source's of the same name.

    fresh: prefixes of '/'-joined names that stay as they are in params. Raises InputError when
    another leaf is absent from source or differs in shape. What only source has is left out.
    """
    given = dict(named_leaves(source))

    def pick(path: tuple, leaf: jax.Array) -> jax.Array:
        name = leaf_name(path)
        if any(f"{name}/".startswith(f"{prefix}/") for prefix in fresh):
            return leaf
        if name not in given:
            raise InputError(f"the weights lack {name!r}, which the config asks for; they have "
                             f"{', '.join(sorted(given)) or 'nothing'}")
        array = np.asarray(given[name])
        if array.shape != leaf.shape:
            raise InputError(f"{name!r} is {array.shape} in the weights, but the config makes it {leaf.shape}")
        # Finite also where they are wider than what they become.
        if not jnp.issubdtype(array.dtype, jnp.number) or not (np.abs(array) < np.finfo(np.float32).max).all():
            raise InputError(f"{name!r} holds what is no finite number")
        return jnp.array(array, leaf.dtype)

    return jax.tree_util.tree_map_with_path(pick, params)
