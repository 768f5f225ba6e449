"""The format of released weights, for both packages: a folder with `config.json` and `.npz` archives of arrays.

`config.json` says what the network is, how it was trained and how it scored. The parameters of a network are float16
arrays in one archive; the name of an array is the keys on the way to it in the parameter tree, joined by "/". Large
arrays may be int8 instead, with their factors in an array NAME:steps. On reading, names, shapes and values are checked
against what `phasenet.pretrained` or `saxsae.pretrained` asks for.
"""

import json
import math
import pathlib
import shutil
from typing import Any

import jax
import numpy as np

from phasenet.errors import InputError
from phasenet.io.atomic_writes import replacing
from phasenet.io.npz import read_npz

CONFIG = "config.json"
_STEPS = ":steps"  # after the name of an int8 array: its factors, see `_factors_shape`
_LARGE = 2**16  # smallest number of weights of an array that is stored in 8 bits
# Weights are used in float32, where a larger value becomes infinite, even one that is finite in the file's float64.
_LARGEST_NUMBER = np.finfo(np.float32).max

# The length of an axis, or a letter for a length that the file decides: equal letters are equal lengths.
Shape = tuple[int | str, ...]


def find_release(released: pathlib.Path, name: str) -> pathlib.Path:
    """Returns the folder of the weights with a given name.

    Args:
      released: the folder that holds the released weights, one folder each.
      name: the name of released weights, the path of their folder, or the workdir of a training.

    Returns:
      The first folder that holds a `config.json`: `released`/`name`, `name`, or `name`/weights.

    Raises:
      InputError: none of these folders holds a `config.json`.
    """
    for folder in (released / name, pathlib.Path(name), pathlib.Path(name) / "weights"):
        if (folder / CONFIG).is_file():
            return folder
    if (pathlib.Path(name) / "checkpoints").is_dir():
        raise InputError(f"weights {name!r}: a training's workdir that has not written any weights yet; its first "
                         "evaluation writes them")
    names = ", ".join(sorted(path.parent.name for path in released.glob(f"*/{CONFIG}"))) or "none"
    raise InputError(f"weights {name!r}: neither a released name ({names}) nor a folder with a {CONFIG}")


def write_config(folder: pathlib.Path, info: dict[str, Any]) -> None:
    """Writes `config.json` into a release's folder."""
    with replacing(folder / CONFIG) as part:
        pathlib.Path(part).write_text(json.dumps(info, indent=1) + "\n", encoding="utf-8")


def read_config(folder: pathlib.Path) -> dict[str, Any]:
    """Reads a release's `config.json`.

    Raises:
      InputError: the file is not readable, or not a JSON object.
    """
    path = folder / CONFIG
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(info, dict):
        raise InputError(f"{path}: not a JSON object")
    return info


def write_arrays(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes an `.npz` archive of arrays."""
    with replacing(path) as part:
        np.savez_compressed(part, **arrays)  # type: ignore[arg-type]  # the stub takes the names for its own argument


def read_arrays(path: pathlib.Path, shapes: dict[str, Shape], needed_by: str) -> dict[str, np.ndarray]:
    """Reads an `.npz` archive of real arrays and checks each against the shape that is needed.

    Args:
      path: the archive.
      shapes: the shape of each array by its name.
      needed_by: what needs these shapes, for messages.

    Returns:
      The arrays by name, each of the shape in `shapes`, in the type of the file.

    Raises:
      InputError: the archive is not readable; an array is missing, of another shape, or not of finite real numbers
        within the range of float32.
    """
    arrays = read_npz(path, ())
    lengths: dict[str, int | str] = {}
    for name, shape in shapes.items():
        if name not in arrays:
            raise InputError(f"{path}: array {name!r} is missing, but {needed_by} needs it")
        array = arrays[name]
        wanted = tuple(lengths.setdefault(n, array.shape[axis] if axis < array.ndim else n) if isinstance(n, str) else n
                       for axis, n in enumerate(shape))
        _check_array(path, name, array, wanted, needed_by)
    return arrays


def _check_array(path: pathlib.Path, name: str, array: np.ndarray, wanted: Shape, needed_by: str) -> None:
    """Raises InputError if an array of an archive has another shape or not only finite real numbers."""
    if array.shape != wanted:
        raise InputError(f"{path}: array {name!r} is {array.shape}, but {needed_by} needs {wanted}")
    if array.dtype.kind not in "fiu" or not (np.abs(array) < _LARGEST_NUMBER).all():
        raise InputError(f"{path}: array {name!r} ({array.dtype}) does not hold finite real numbers only")


def write_params(path: pathlib.Path, params: Any, in_8_bits: bool = False) -> None:
    """Writes the parameters of a network as float16.

    Args:
      path: the archive.
      params: nested dicts of arrays, any shapes.
      in_8_bits: whether large arrays are rounded to 8 bits.
    """
    arrays: dict[str, np.ndarray] = {}
    for place, leaf in jax.tree_util.tree_leaves_with_path(params):
        name, array = _leaf_name(place), np.asarray(leaf)
        if in_8_bits and array.size >= _LARGE:
            matrix = array.reshape(-1, array.shape[-1])
            steps = np.abs(matrix).max(_factors_shape(array.shape).index(1), keepdims=True) / 127
            steps = np.where(steps > 0, steps, 1).astype(np.float32)
            arrays |= {name: np.round(matrix / steps).astype(np.int8).reshape(array.shape), name + _STEPS: steps}
        else:
            arrays[name] = array.astype(np.float16)
    write_arrays(path, arrays)


def read_params(path: pathlib.Path, shapes: Any, needed_by: str) -> Any:
    """Reads the parameters of a network.

    Args:
      path: the archive.
      shapes: nested dicts of `jax.ShapeDtypeStruct`, as `jax.eval_shape` returns them for the parameters.
      needed_by: what needs these shapes, for messages.

    Returns:
      The tree of `shapes`, with a float32 array of the same shape in the place of each leaf.

    Raises:
      InputError: as `read_arrays`.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(shapes)
    named: dict[str, tuple[int, ...]] = {_leaf_name(place): leaf.shape for place, leaf in leaves}
    arrays = read_arrays(path, dict(named), needed_by)
    for name, shape in named.items():
        if arrays[name].dtype == np.int8 and name + _STEPS in arrays:
            steps = arrays.pop(name + _STEPS)
            _check_array(path, name + _STEPS, steps, _factors_shape(shape), needed_by)
            arrays[name] = (arrays[name].reshape(-1, shape[-1]) * steps.astype(np.float64)).reshape(shape)
            _check_array(path, name, arrays[name], shape, needed_by)
    for name, array in arrays.items():
        if name not in named:
            raise InputError(f"{path}: array {name!r} does not belong to {needed_by}")
        if array.dtype.kind != "f":
            raise InputError(f"{path}: array {name!r} is {array.dtype}, but {needed_by} needs floating-point numbers")
    return jax.tree_util.tree_unflatten(structure, [arrays[name].astype(np.float32) for name in named])


def _factors_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Returns the shape of the factors of an int8 array.

    Taken as a matrix (inputs, outputs), the array has a factor for each index of its longer side: if the outputs are
    few, a factor for each output would have to serve inputs of very different weights.

    Args:
      shape: of the array.
    """
    inputs = math.prod(shape[:-1])
    return (inputs, 1) if inputs >= shape[-1] else (1, shape[-1])


def _leaf_name(place: tuple[Any, ...]) -> str:
    """Returns the name of a leaf in the archive: the keys on the way to it, joined by "/"."""
    return "/".join(str(key.key) for key in place)


def copy_release(source: pathlib.Path, folder: pathlib.Path) -> None:
    """Copies the arrays and the configuration of a release into a folder, which may be the release itself."""
    for file in (*source.glob("*.npz"), source / CONFIG):
        if file.parent.resolve() != folder.resolve():
            shutil.copy(file, folder / file.name)
