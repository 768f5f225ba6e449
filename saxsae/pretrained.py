"""Released weights of an auto-encoder: a folder of .npz files and one config.json, written and read here.

    config.json     architecture, latent size, threshold, and where the weights come from
    decoder.npz     float16 parameters, names joined by "/"
    encoder.npz     the same
    latents.npz     the latent distribution over the training maps: mean, sd, quantiles (101, K), bank (M, K)
    components.npz  the baseline: principal components of the same corpus, in 8 bits
"""

import json
import pathlib
import zipfile
from typing import NamedTuple

import jax
import numpy as np

from phasenet.errors import InputError
from saxsae.components import Components
from saxsae.model import Architecture, architecture

WEIGHTS = pathlib.Path(__file__).parent / "weights"
DEFAULT = "lean"


class Latents(NamedTuple):
    """Distribution of each latent number over the training maps.

    Attributes:
      mean, sd: (K,).
      quantiles: (101, K), from 0 to 100%.
      bank: (M, K) codes of single maps, in random orientations.
    """

    mean: np.ndarray
    sd: np.ndarray
    quantiles: np.ndarray
    bank: np.ndarray


class Pretrained(NamedTuple):
    """An auto-encoder ready for use.

    Attributes:
      network: see ``saxsae.model``.
      params: ``{"encoder": ..., "decoder": ...}``, float32.
      threshold: probability above which a decoded voxel counts as filled.
      latents: distribution over the training maps.
      components: principal components of the same corpus, the baseline.
      info: config.json as it stands: architecture, scores, seed, revision.
    """

    network: Architecture
    params: dict
    threshold: float
    latents: Latents
    components: Components
    info: dict


def save(folder: pathlib.Path, params: dict, latents: Latents, components: Components, info: dict) -> None:
    """Writes a release; ``info`` holds at least ``kind``, ``latent_size`` and ``threshold``."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("encoder", "decoder"):
        leaves = jax.tree_util.tree_leaves_with_path(params[part])
        arrays = {"/".join(str(key.key) for key in path): np.asarray(leaf, np.float16) for path, leaf in leaves}
        np.savez_compressed(folder / f"{part}.npz", **arrays)
    np.savez_compressed(folder / "latents.npz", mean=latents.mean, sd=latents.sd,
                        quantiles=latents.quantiles.astype(np.float32), bank=latents.bank.astype(np.float16))
    scale = np.abs(components.basis).max(0) / 127
    np.savez_compressed(
        folder / "components.npz", mean=components.mean.astype(np.float16), scale=scale.astype(np.float32),
        basis=np.round(components.basis / scale).astype(np.int8), sd=components.sd.astype(np.float32),
        threshold=np.float32(components.threshold))
    (folder / "config.json").write_text(json.dumps(info, indent=1) + "\n")


def resolve(name: str) -> pathlib.Path:
    """The folder of released weights by name (``lean``) or path. Raises InputError where there is none."""
    for folder in (WEIGHTS / name, pathlib.Path(name), pathlib.Path(name) / "weights"):
        if (folder / "config.json").is_file():
            return folder
    released = ", ".join(sorted(p.parent.name for p in WEIGHTS.glob("*/config.json"))) or "none"
    raise InputError(f"weights {name!r}: neither a released name ({released}) nor a folder with a config.json")


def load(name: str = DEFAULT) -> Pretrained:
    """Reads released weights by name or folder.

    Raises:
      InputError: when the folder is missing, a file is damaged, or the arrays do not fit config.json.
    """
    folder = resolve(name)
    info = _read_info(folder / "config.json")
    try:
        network = architecture(info["kind"], info["latent_size"])
    except ValueError as error:
        raise InputError(f"{folder / 'config.json'}: {error}") from error
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    params = {part: _fit(folder / f"{part}.npz", shapes[part], info["kind"]) for part in ("encoder", "decoder")}
    size = info["latent_size"]
    stored = _read(folder / "latents.npz", {"mean": (size,), "sd": (size,), "quantiles": (101, size),
                                            "bank": (None, size)})
    latents = Latents(*(stored[field].astype(np.float32) for field in Latents._fields))
    stored = _read(folder / "components.npz", {"mean": (None,), "scale": (None,), "basis": (None, None),
                                               "sd": (None,), "threshold": ()})
    basis = stored["basis"].astype(np.float32) * stored["scale"]
    components = Components(stored["mean"].astype(np.float32), basis, stored["sd"], float(stored["threshold"]))
    return Pretrained(network, params, float(info["threshold"]), latents, components, info)


def _read_info(path: pathlib.Path) -> dict:
    try:
        info = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as JSON ({error})") from error
    for key, kind in (("kind", str), ("latent_size", int), ("threshold", float)):
        if not isinstance(info, dict) or not isinstance(info.get(key), kind):
            raise InputError(f"{path}: no {kind.__name__} {key!r}")
    return info


def _read(path: pathlib.Path, expected: dict[str, tuple]) -> dict[str, np.ndarray]:
    """The arrays of an .npz, checked: names, and shapes (None: any length)."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zipfile.zlib.error) as error:
        reason = "no such file" if not path.exists() else "truncated or damaged"
        raise InputError(f"{path}: {reason}") from error
    for key, shape in expected.items():
        found = arrays[key].shape if key in arrays else "missing"
        if key not in arrays or len(found) != len(shape) or any(
                want not in (None, have) for want, have in zip(shape, found)):
            raise InputError(f"{path}: array {key!r} is {found}, expected {shape}")
    return arrays


def _fit(path: pathlib.Path, shapes: dict, kind: str) -> dict:
    """The parameters of one part, float32, in the tree that the architecture asks for."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(shapes)
    names = {"/".join(str(key.key) for key in key_path): leaf.shape for key_path, leaf in leaves}
    arrays = _read(path, {})
    unknown = sorted(set(arrays) - set(names))
    if unknown:
        raise InputError(f"{path}: array {unknown[0]!r} does not belong to the architecture {kind!r} of config.json")
    for name, shape in names.items():
        if name not in arrays or arrays[name].shape != shape:
            found = arrays[name].shape if name in arrays else "missing"
            raise InputError(f"{path}: array {name!r} is {found}, but the architecture {kind!r} of config.json "
                             f"needs {shape}")
    return jax.tree_util.tree_unflatten(structure, [arrays[name].astype(np.float32) for name in names])
