"""How much of a structure 200 numbers keep: the decoded map against the input (paper figure 1c)."""

import functools

import jax
import numpy as np

from saxsae.io.structures.structure_files import Structure, nearest_neighbour_spacing
from saxsae.networks import autoencoder, code_refinement, losses
from saxsae.networks.code_refinement import Refinement
from saxsae.pretrained import Pretrained
from saxsae.shapes import descriptors, voxels
from saxsae.shapes.batches import voxelize_many

_BATCH = 16  # the published network needs 100 MB a map


def evaluate(structures: list[Structure], pretrained: Pretrained) -> tuple[list[dict], dict]:
    """Items and summary: the auto-encoder, and beside it the linear code, on the same maps."""
    spacings = [nearest_neighbour_spacing(s.xyz_angstrom) if s.kind == "beads" else None
                for s in structures]
    packed, r_max = voxelize_many([s.xyz_angstrom for s in structures], spacings)
    maps = np.asarray(voxels.unpack(packed))
    scores = correlations(maps, pretrained)
    items = []
    for i, structure in enumerate(structures):
        shape = descriptors.describe(maps[i] > 0.5)
        items.append({"id": structure.name, **{name: float(score[i]) for name, score in scores.items()},
                      "reference_radius_angstrom": float(r_max[i]),
                      "kind": structure.kind, **shape._asdict(),
                      "shape": descriptors.reason_to_reject(shape)})
    surface = [item["surface_fraction"] for item in items]
    summary = {"count": len(items)}
    for name, score in scores.items():
        prefix = "" if name == "correlation" else f"{name}_"
        summary |= {f"{prefix}mean_correlation": float(score.mean()),
                    f"{prefix}median_correlation": float(np.median(score)),
                    f"{prefix}fraction_above_0.90": float((score > 0.9).mean())}
    return items, summary | {
        "correlation_with_surface_fraction": _pearson(scores["correlation"], surface),
        "threshold": pretrained.threshold, "refinement_steps": pretrained.refinement.steps}


def correlations(maps: np.ndarray, pretrained: Pretrained) -> dict[str, np.ndarray]:
    """Correlation of binary maps (N, 31, 31, 31), pose as given, with what is kept of them.

    Returns: (N,) each. ``correlation``: encoder, refinement, decoder. ``encoder_alone``: without the refinement.
    ``pca200``: the linear code. ``pca200_refined``: the linear code, refined as the network's is.
    """
    network, code = pretrained.network, pretrained.components
    none = Refinement()

    def linear_encoder(padded):
        inside = padded[(slice(None), *(slice(voxels.GRID),) * 3)]
        return code.encode(inside[:, voxels.sphere_mask()])

    def linear_decoder(latent):
        return autoencoder.scatter_sphere(code.logits(latent), autoencoder.EMPTY_LOGIT)

    @jax.jit
    def through(params, maps):
        padded = voxels.pad(maps)
        nonlinear = (functools.partial(network.encode, params), functools.partial(network.decode, params))
        linear = (linear_encoder, linear_decoder)
        found = {}
        for name, (encoder, decoder), threshold, settings in (
                ("correlation", nonlinear, pretrained.threshold, pretrained.refinement),
                ("encoder_alone", nonlinear, pretrained.threshold, none),
                ("pca200", linear, 0.5, none), ("pca200_refined", linear, 0.5, pretrained.refinement)):
            latent = code_refinement.refine(decoder, encoder(padded), padded, threshold, settings)
            found[name] = losses.binary_correlation(jax.nn.sigmoid(decoder(latent)), padded, threshold)
        return found

    batches = []
    for start in range(0, len(maps), _BATCH):
        batch = maps[start:start + _BATCH]
        filler = np.zeros((_BATCH - len(batch), *batch.shape[1:]), batch.dtype)
        scores = through(pretrained.params, np.concatenate([batch, filler]))
        batches.append({name: np.asarray(score)[:len(batch)] for name, score in scores.items()})
    return {name: np.concatenate([scores[name] for scores in batches]) for name in batches[0]}


def _pearson(a, b) -> float | None:
    """None where either does not vary."""
    a, b = (np.asarray(x, float) - np.mean(x) for x in (a, b))
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm > 0 else None
