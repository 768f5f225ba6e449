"""--init_from: parameters of another run, put into fresh ones by name."""

import pathlib
import zipfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch.training import checkpoint
from phasenet.errors import InputError

PyTree = Any


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
    tree: dict[str, Any] = {}
    try:
        with path.open("rb") as file, np.load(file) as arrays:  # np.load alone leaks the file
            for name in arrays.files:
                *folders, last = name.split("/")
                branch = tree
                for folder in folders:
                    branch = branch.setdefault(folder, {})
                branch[last] = arrays[name]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: damaged, or not an .npz file of arrays") from error
    return tree


def adopt(params: PyTree, source: PyTree, fresh: tuple[str, ...] = ()) -> PyTree:
    """params with each leaf replaced by source's of the same name.

    fresh: prefixes of '/'-joined names that stay as they are in params. Raises InputError when
    another leaf is absent from source or differs in shape. What only source has is left out.
    """
    given = dict(checkpoint.named_leaves(source))

    def pick(path: tuple, leaf: jax.Array) -> jax.Array:
        name = checkpoint.leaf_name(path)
        if any(f"{name}/".startswith(f"{prefix}/") for prefix in fresh):
            return leaf
        if name not in given:
            raise InputError(f"init_from: the weights lack {name!r}, which the config asks for; "
                             f"they have {', '.join(sorted(given)) or 'nothing'}")
        if np.shape(given[name]) != leaf.shape:
            raise InputError(f"init_from: {name!r} is {np.shape(given[name])} in the weights, but "
                             f"the config makes it {leaf.shape}")
        return jnp.array(given[name], leaf.dtype)

    return jax.tree_util.tree_map_with_path(pick, params)
