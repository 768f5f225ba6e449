"""--init_from: parameters of another run put into fresh ones."""

import pathlib
from typing import Any

import jax
import numpy as np

from phasenet.errors import InputError

PyTree = Any


def read_weights(path: pathlib.Path) -> PyTree:
    """Parameters from a workdir of a training, its checkpoints, or an .npz whose names are joined by '/'."""
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such weights")
    if path.suffix == ".npz":
        return _from_npz(path)
    from launch.training.checkpoint import read_params

    return read_params(path)


def _from_npz(path: pathlib.Path) -> PyTree:
    try:
        with np.load(path) as arrays:
            flat = {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path}: not a readable .npz file of arrays") from error
    tree: dict = {}
    for name, array in flat.items():
        *folders, last = name.split("/")
        branch = tree
        for folder in folders:
            branch = branch.setdefault(folder, {})
        branch[last] = array
    return tree


def adopt(params: PyTree, source: PyTree, fresh: tuple[str, ...] = ()) -> PyTree:
    """params with each leaf replaced by source's of the same name.

    fresh: prefixes of '/'-joined names that stay as they are in params. Raises InputError when another leaf
    is absent from source or differs in shape. Leaves of source that params lack are left out.
    """
    given = dict(named_leaves(source))

    def pick(path: tuple, leaf: jax.Array) -> jax.Array:
        name = leaf_name(path)
        if any(name == prefix or name.startswith(f"{prefix}/") for prefix in fresh):
            return leaf
        if name not in given:
            raise InputError(f"init_from: the weights have no {name!r} of shape {leaf.shape}; they have "
                             f"{', '.join(sorted(given)[:6])}{' ...' if len(given) > 6 else ''}")
        if np.shape(given[name]) != leaf.shape:
            raise InputError(f"init_from: {name!r} has shape {np.shape(given[name])} in the weights, "
                             f"the config makes it {leaf.shape}")
        return jax.numpy.array(given[name], leaf.dtype)

    return jax.tree_util.tree_map_with_path(pick, params)


def named_leaves(tree: PyTree) -> list[tuple[str, Any]]:
    """[('encoder/kernel', array), ...]."""
    return [(leaf_name(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def leaf_name(path: tuple) -> str:
    return "/".join(str(getattr(part, "key", getattr(part, "name", getattr(part, "idx", part)))) for part in path)
