"""Released weights of an auto-encoder: a folder of .npz files and one config.json, written and read here.

    config.json     architecture, latent size, threshold, refinement, and where the weights come from
    decoder.npz     float16 parameters, names joined by "/"
    encoder.npz     the same
    latents.npz     the latent distribution over the training maps: mean, sd, quantiles (101, K), bank (M, K)
    components.npz  the baseline: principal components of the same corpus, in 8 bits
"""

import functools
import json
import pathlib
from typing import NamedTuple

import jax
import numpy as np

from phasenet.errors import InputError
from phasenet.io.atomic_writes import replacing
from phasenet.io.npz import read_npz
from phasenet.io.releases import find_release
from saxsae.networks import code_refinement
from saxsae.networks.autoencoder import AutoEncoder, make_autoencoder
from saxsae.shapes import voxels
from saxsae.shapes.principal_components import Components

WEIGHTS = pathlib.Path(__file__).parent / "weights"
DEFAULT = "lean"
_MOST_LATENTS = 10_000  # numbers of a code; the published network has 200
_MOST_REFINEMENT = 10_000  # steps, rate or sharpness
_LARGEST_NUMBER = np.finfo(np.float32).max


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
      network: see ``saxsae.networks.autoencoder``.
      params: ``{"encoder": ..., "decoder": ...}``, float32.
      threshold: probability above which a decoded voxel counts as filled.
      latents: distribution over the training maps.
      components: principal components of the same corpus, the baseline.
      info: config.json as it stands: architecture, scores, seed, revision.
      refinement: of the encoder's codes.
    """

    network: AutoEncoder
    params: dict
    threshold: float
    latents: Latents
    components: Components
    info: dict
    refinement: code_refinement.Refinement = code_refinement.Refinement()

    def encode(self, occupancy):
        """Maps (N, 32, 32, 32) to their refined codes (N, K). Jit it with the maps as argument."""
        return code_refinement.refine(functools.partial(self.network.decode, self.params),
                               self.network.encode(self.params, occupancy), occupancy, self.threshold, self.refinement)


def save(folder: pathlib.Path, params: dict, latents: Latents, components: Components, info: dict) -> None:
    """Writes a release; ``info`` holds at least ``kind``, ``latent_size`` and ``threshold``."""
    folder = pathlib.Path(folder)
    for part in ("encoder", "decoder"):
        leaves = jax.tree_util.tree_leaves_with_path(params[part])
        _write(folder / f"{part}.npz",
               {"/".join(str(key.key) for key in path): np.asarray(leaf, np.float16) for path, leaf in leaves})
    _write(folder / "latents.npz", {
        "mean": latents.mean, "sd": latents.sd, "quantiles": latents.quantiles.astype(np.float32),
        "bank": latents.bank.astype(np.float16)})
    scale = np.abs(components.basis).max(0) / 127
    _write(folder / "components.npz", {
        "mean": components.mean.astype(np.float16), "scale": scale.astype(np.float32),
        "basis": np.round(components.basis / scale).astype(np.int8), "sd": components.sd.astype(np.float32),
        "threshold": np.float32(components.threshold)})
    with replacing(folder / "config.json") as part:
        pathlib.Path(part).write_text(json.dumps(info, indent=1) + "\n")


def find_weights(name: str) -> pathlib.Path:
    """The folder of released weights by name (``lean``) or path. Raises InputError where there is none."""
    return find_release(WEIGHTS, name)


def load(name: str = DEFAULT) -> Pretrained:
    """Reads released weights by name or folder.

    Raises:
      InputError: when the folder is missing, a file is damaged, or the arrays do not fit config.json.
    """
    folder = find_weights(name)
    info = _read_info(folder / "config.json")
    size = info["latent_size"]
    try:
        network = make_autoencoder(info["kind"], size)
    except ValueError as error:
        raise InputError(f"{folder / 'config.json'}: {error}") from error
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    params = {part: _read_params(folder / f"{part}.npz", shapes[part], info["kind"])
              for part in ("encoder", "decoder")}
    stored = _read(folder / "latents.npz", {"mean": (size,), "sd": (size,), "quantiles": (101, size),
                                            "bank": ("M", size)}, f"latent_size {size} of config.json")
    latents = Latents(*(stored[field].astype(np.float32) for field in Latents._fields))
    sphere = int(voxels.sphere_mask().sum())
    stored = _read(folder / "components.npz", {"mean": (sphere,), "basis": (sphere, "K"), "scale": ("K",),
                                               "sd": ("K",), "threshold": ()}, "a release")
    basis = stored["basis"].astype(np.float32) * stored["scale"]
    components = Components(stored["mean"].astype(np.float32), basis, stored["sd"], float(stored["threshold"]))
    return Pretrained(network, params, float(info["threshold"]), latents, components, info,
                      code_refinement.Refinement(**info.get("refinement", {})))


def _read_info(path: pathlib.Path) -> dict:
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(info, dict):
        raise InputError(f"{path}: not a JSON object")
    if "kind" not in info and isinstance(info.get("architecture"), dict):
        kind = info["architecture"].get("kind")
        raise InputError(f"{path}: weights of a network for Patterson maps (kind {kind!r}), not of an auto-encoder of "
                         "shapes")
    kind, size, threshold = (info.get(key) for key in ("kind", "latent_size", "threshold"))
    if not isinstance(kind, str):
        raise InputError(f"{path}: 'kind' is {kind!r}, expected the name of an architecture")
    if type(size) is not int or not 1 <= size <= _MOST_LATENTS:  # a bool is an int, too
        raise InputError(f"{path}: 'latent_size' is {size!r}, expected a whole number, 1 to {_MOST_LATENTS}")
    if type(threshold) not in (int, float) or not 0 < threshold < 1:
        raise InputError(f"{path}: 'threshold' is {threshold!r}, expected a number between 0 and 1")
    refinement = info.get("refinement", {})
    if not (isinstance(refinement, dict) and set(refinement) <= set(code_refinement.Refinement._fields)
            and all(type(x) in (int, float) and 0 <= x <= _MOST_REFINEMENT for x in refinement.values())
            and type(refinement.get("steps", 0)) is int):
        raise InputError(f"{path}: 'refinement' is {refinement!r}, expected numbers: steps, rate, sharpness")
    return info


def _write(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    with replacing(path) as part:
        np.savez_compressed(part, **arrays)


def _read(path: pathlib.Path, expected: dict[str, tuple], asks: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz, checked against the shapes that ``asks`` asks for; a letter stands for any one length."""
    arrays = read_npz(path, ())
    lengths = {}
    for name, shape in expected.items():
        found = arrays[name].shape if name in arrays else "missing"
        want = tuple(lengths.setdefault(n, found[i] if i < len(found) else n) if isinstance(n, str) else n
                     for i, n in enumerate(shape))
        if found != want:
            raise InputError(f"{path}: array {name!r} is {found}, but {asks} needs {want}")
        # Finite also where they are wider than what they become.
        if arrays[name].dtype.kind not in "fiu" or not (np.abs(arrays[name]) < _LARGEST_NUMBER).all():
            raise InputError(f"{path}: array {name!r} holds what is no finite number")
    return arrays


def _read_params(path: pathlib.Path, shapes: dict, kind: str) -> dict:
    """The parameters of one part, float32, in the tree that the architecture asks for."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(shapes)
    names = {"/".join(str(key.key) for key in key_path): leaf.shape for key_path, leaf in leaves}
    asks = f"the architecture {kind!r} of config.json"
    arrays = _read(path, names, asks)
    unknown = sorted(set(arrays) - set(names))
    if unknown:
        raise InputError(f"{path}: array {unknown[0]!r} does not belong to {asks}")
    return jax.tree_util.tree_unflatten(structure, [arrays[name].astype(np.float32) for name in names])
