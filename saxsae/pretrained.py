"""Reads and writes released weights of auto-encoders; the format is that of `phasenet.io.releases`.

    config.json     architecture, latent size K, threshold, refinement, and where the weights come from
    decoder.npz     the decoder's parameters
    encoder.npz     the encoder's parameters
    latents.npz     the latent distribution over the training maps: mean, sd, quantiles (101, K), bank (M, K)
    components.npz  principal components of the same corpus, in 8 bits, with which the network is compared
    density.npz     the parameters of the density head; may be absent
    bank.npz        the bank of structures (`saxsae.bank.structure_bank`); may be absent
    confidence.npz  the constants of `saxsae.confidence`; may be absent

`launch.tasks.autoencoder` calls `save`; `launch.reconstruct` and `launch.evaluate` call `load`.
"""

import functools
import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np

from phasenet.errors import InputError
from phasenet.io import releases
from phasenet.io.npz import read_npz
from saxsae.bank import structure_bank
from saxsae.bank.structure_bank import ProfileComponents, StructureBank
from saxsae.confidence import FEATURES, OCCUPANCIES, ConfidenceModel
from saxsae.networks import code_refinement
from saxsae.networks.autoencoder import PUBLISHED_WIDTH, AutoEncoder, make_autoencoder
from saxsae.networks.density_head import DensityHead
from saxsae.shapes import voxels
from saxsae.shapes.principal_components import Components

WEIGHTS = pathlib.Path(__file__).parent / "weights"
DEFAULT = "lean"
DENSITY_HEAD, BANK, CONFIDENCE = "density.npz", "bank.npz", "confidence.npz"
# Largest values that `config.json` may hold; a file with larger ones is taken as damaged.
_MAX_LATENTS = 10_000  # numbers in a code; the released networks have 200
_MAX_REFINEMENT = 10_000  # steps, rate or sharpness of the refinement


class Latents(NamedTuple):
    """The distribution of each latent number over the training maps.

    Attributes:
      mean: (K,) means.
      sd: (K,) standard deviations.
      quantiles: (101, K) quantiles at 0, 1, ..., 100 %.
      bank: (M, K) codes of single maps, in random orientations.
    """

    mean: np.ndarray
    sd: np.ndarray
    quantiles: np.ndarray
    bank: np.ndarray


class Pretrained(NamedTuple):
    """An auto-encoder ready for use.

    Attributes:
      network: encoder and decoder, without their parameters.
      params: `{"encoder": ..., "decoder": ...}`, float32.
      threshold: probability above which a decoded voxel counts as filled.
      latents: distribution of the codes over the training maps.
      components: principal components of the same corpus, with which the network is compared.
      info: the content of `config.json`: architecture, scores, seed, revision.
      refinement: how `encode` refines the encoder's codes.
      density_head: parameters of the density head; None without one.
      bank: the bank of structures; None without one.
      confidence: the constants of `saxsae.confidence`; None where they were not fitted.
    """

    network: AutoEncoder
    params: dict[str, Any]
    threshold: float
    latents: Latents
    components: Components
    info: dict[str, Any]
    refinement: code_refinement.Refinement = code_refinement.Refinement()
    density_head: dict[str, Any] | None = None
    bank: StructureBank | None = None
    confidence: ConfidenceModel | None = None

    def encode(self, occupancy: jax.Array) -> jax.Array:
        """Returns the refined codes (N, K) of maps (N, 32, 32, 32) from 0 to 1. Not jitted; jit the call for speed."""
        return code_refinement.refine(
            functools.partial(self.network.decode, self.params), self.network.encode(self.params, occupancy), occupancy,
            self.threshold, self.refinement)


def save(folder: pathlib.Path, params: dict[str, Any], latents: Latents, components: Components,
         info: dict[str, Any]) -> None:
    """Writes a release.

    Args:
      folder: the folder to write to.
      params: `{"encoder": ..., "decoder": ...}`, as in `Pretrained`.
      latents: distribution of the codes over the training maps.
      components: principal components; their basis is rounded to 8 bits.
      info: the content of `config.json`; at least `kind`, `latent_size` and `threshold`.
    """
    folder = pathlib.Path(folder)
    for part in ("encoder", "decoder"):
        # Half precision would make 40 MB of the published network's 19.8 million weights.
        releases.write_params(folder / f"{part}.npz", params[part], in_8_bits=info["kind"] == "published")
    releases.write_arrays(folder / "latents.npz", {
        "mean": latents.mean, "sd": latents.sd, "quantiles": latents.quantiles.astype(np.float32),
        "bank": latents.bank.astype(np.float16)})
    scale = np.abs(components.basis).max(0) / 127
    releases.write_arrays(folder / "components.npz", {
        "mean": components.mean.astype(np.float16), "scale": scale.astype(np.float32),
        "basis": np.round(components.basis / scale).astype(np.int8), "sd": components.sd.astype(np.float32),
        "threshold": np.asarray(components.threshold, np.float32)})
    releases.write_config(folder, info)


def find_weights(name: str) -> pathlib.Path:
    """Returns the folder of released weights, given by name (`lean`) or path.

    Raises:
      InputError: no release has this name or path.
    """
    return releases.find_release(WEIGHTS, name)


def has_bank(folder: pathlib.Path) -> bool:
    """Returns whether a release, a folder from `find_weights`, has a bank of structures and a density head."""
    return all((folder / name).is_file() for name in (BANK, DENSITY_HEAD))


def load(name: str = DEFAULT) -> Pretrained:
    """Reads released weights by name or folder.

    Raises:
      InputError: the folder is missing, a file is damaged, or the arrays do not fit `config.json`.
    """
    folder = find_weights(name)
    path = folder / releases.CONFIG
    info = releases.read_config(folder)
    _check_info(info, path)
    size = info["latent_size"]
    try:
        network = make_autoencoder(info["kind"], size, width=info.get("width", PUBLISHED_WIDTH))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    needed_by = f"the architecture {info['kind']!r} of {releases.CONFIG}"
    params = {part: releases.read_params(folder / f"{part}.npz", shapes[part], needed_by)
              for part in ("encoder", "decoder")}
    stored = releases.read_arrays(
        folder / "latents.npz", {"mean": (size,), "sd": (size,), "quantiles": (101, size), "bank": ("M", size)},
        f"latent_size {size} of {releases.CONFIG}")
    latents = Latents(*(stored[field].astype(np.float32) for field in Latents._fields))
    inside = int(voxels.sphere_mask().sum())
    stored = releases.read_arrays(
        folder / "components.npz",
        {"mean": (inside,), "basis": (inside, "K"), "scale": ("K",), "sd": ("K",), "threshold": ()}, "a release")
    basis = stored["basis"].astype(np.float32) * stored["scale"]
    components = Components(stored["mean"].astype(np.float32), basis, stored["sd"], float(stored["threshold"]))
    return Pretrained(network, params, float(info["threshold"]), latents, components, info,
                      code_refinement.Refinement(**info.get("refinement", {})), _read_density_head(folder),
                      _read_bank(folder, size), _read_confidence(folder))


def save_density_head(folder: pathlib.Path, params: dict[str, Any]) -> None:
    """Writes the parameters of a density head into a release."""
    releases.write_params(pathlib.Path(folder) / DENSITY_HEAD, params)


def save_bank(folder: pathlib.Path, bank: StructureBank, components: int) -> None:
    """Writes a bank into a release: codes in 8 bits, and scores of the profiles in half precision.

    Args:
      folder: of the release.
      bank: the structures.
      components: number of principal components of the profiles.
    """
    stored = structure_bank.compress_profiles(bank.profiles, components)
    steps = np.maximum(np.abs(bank.codes).max(0), 1e-6) / 127  # of the codes' 8 bits
    text = "\n".join(f"{name}\t{pdb_id}" for name, pdb_id in zip(bank.names, bank.pdb_ids, strict=True))
    releases.write_arrays(pathlib.Path(folder) / BANK, {
        "names": np.frombuffer(text.encode(), np.uint8), "codes": np.round(bank.codes / steps).astype(np.int8),
        "steps": steps.astype(np.float32),
        "rg_angstrom": bank.rg_angstrom.astype(np.float32), "r_max_angstrom": bank.r_max_angstrom.astype(np.float32),
        "scores": stored.scores.astype(np.float16), "basis": stored.basis.astype(np.float32),
        "mean": stored.mean.astype(np.float32), "reference": stored.reference.astype(np.float32)})


def _read_density_head(folder: pathlib.Path) -> dict[str, Any] | None:
    """Returns the parameters of a release's density head, or None."""
    path = folder / DENSITY_HEAD
    if not path.is_file():
        return None
    (kernel,) = (array for name, array in read_npz(path, ("output_kernel",)).items() if name == "output_kernel")
    width = kernel.shape[0] if kernel.ndim else 0
    shapes = jax.eval_shape(DensityHead(width).init, jax.random.key(0), np.zeros((voxels.GRID,) * 3, np.float32),
                            np.float32(30))["params"]
    return releases.read_params(path, shapes, "the density head")


def _read_bank(folder: pathlib.Path, size: int) -> StructureBank | None:
    """Returns a release's bank of structures with codes of `size` numbers, or None."""
    path = folder / BANK
    if not path.is_file():
        return None
    points = len(structure_bank.U)
    stored = releases.read_arrays(path, {
        "names": ("L",), "codes": ("N", size), "steps": (size,), "rg_angstrom": ("N",), "r_max_angstrom": ("N",),
        "scores": ("N", "C"), "basis": ("C", 6 * points), "mean": (6 * points,), "reference": (2 * points,)},
        "a bank of structures")
    try:
        lines = [line.split("\t") for line in stored["names"].astype(np.uint8).tobytes().decode().split("\n")]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: 'names' is not text ({error})") from error
    if len(lines) != len(stored["codes"]) or {len(line) for line in lines} != {2}:
        raise InputError(f"{path}: expected a name and a PDB id in 'names' for each of {len(stored['codes'])} codes")
    if not (stored["rg_angstrom"] > 0).all() or not (stored["r_max_angstrom"] > 0).all():
        raise InputError(f"{path}: expected positive sizes")
    names, pdb_ids = (tuple(column) for column in zip(*lines, strict=True))
    profiles = structure_bank.expand_profiles(ProfileComponents(
        *(stored[field] for field in ProfileComponents._fields)))
    codes = stored["codes"].astype(np.float32) * stored["steps"].astype(np.float32)
    return StructureBank(names, pdb_ids, codes, stored["rg_angstrom"],
                         stored["r_max_angstrom"], profiles)


def save_confidence(folder: pathlib.Path, model: ConfidenceModel) -> None:
    """Writes the constants of the confidence into a release."""
    releases.write_arrays(pathlib.Path(folder) / CONFIDENCE, {
        name: array.astype(np.float32) for name, array in model._asdict().items()})


def _read_confidence(folder: pathlib.Path) -> ConfidenceModel | None:
    """Returns the constants of a release's confidence, or None."""
    path = folder / CONFIDENCE
    if not path.is_file():
        return None
    features = len(FEATURES)
    stored = releases.read_arrays(path, {
        "centre": (features,), "spread": (features,), "correlation": (features + 1,), "correlation_residuals": (2,),
        "resolution": (features + 1,), "resolution_residuals": (2,), "occupancy": (len(OCCUPANCIES),)},
        "a confidence")
    return ConfidenceModel(**{name: array.astype(np.float64) for name, array in stored.items()})


def _check_info(info: dict[str, Any], path: pathlib.Path) -> None:
    """Raises InputError if an entry of `config.json` that `load` uses is missing or out of range."""
    if "kind" not in info and isinstance(info.get("architecture"), dict):
        kind = info["architecture"].get("kind")
        raise InputError(f"{path}: weights of a network for Patterson maps (kind {kind!r}), not of an auto-encoder of "
                         "shapes; `launch.solve` reads them")
    size: Any = info.get("latent_size")
    threshold: Any = info.get("threshold")
    kind = info.get("kind")
    if not isinstance(kind, str):
        raise InputError(f"{path}: 'kind' is {kind!r}, expected the name of an architecture")
    if type(size) is not int or not 1 <= size <= _MAX_LATENTS:  # a bool is an int, too
        raise InputError(f"{path}: 'latent_size' is {size!r}, expected a whole number, 1 to {_MAX_LATENTS}")
    if type(threshold) not in (int, float) or not 0 < threshold < 1:
        raise InputError(f"{path}: 'threshold' is {threshold!r}, expected a number between 0 and 1")
    width: Any = info.get("width", PUBLISHED_WIDTH)
    if type(width) is not int or not 1 <= width <= PUBLISHED_WIDTH:
        raise InputError(f"{path}: 'width' is {width!r}, expected a whole number, 1 to {PUBLISHED_WIDTH}")
    refinement = info.get("refinement", {})
    if not (isinstance(refinement, dict) and set(refinement) <= set(code_refinement.Refinement._fields)
            and all(type(x) in (int, float) and 0 <= x <= _MAX_REFINEMENT for x in refinement.values())
            and type(refinement.get("steps", 0)) is int):
        raise InputError(f"{path}: 'refinement' is {refinement!r}, expected a whole number "
                         f"'steps' and numbers 'rate' and 'sharpness', each from 0 to {_MAX_REFINEMENT}")
