"""Measures how well an auto-encoder keeps the shape of a structure: decoded against encoded map.

This is figure 1c of the SAXS paper. The baseline is a linear code of equal length (principal components).
`launch.evaluate --task=autoencoder` calls this module.
"""

import functools
from typing import Any

import jax
import numpy as np

from saxsae.io.structures.structure_files import Structure, nearest_neighbour_spacing
from saxsae.networks import autoencoder, code_refinement, losses
from saxsae.networks.code_refinement import Refinement
from saxsae.pretrained import Pretrained
from saxsae.shapes import descriptors, voxels
from saxsae.shapes.batches import voxelize_many

_BATCH = 16  # maps that are computed at once; the published network needs 100 MB for each


def evaluate(structures: list[Structure], pretrained: Pretrained) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Encodes and decodes structures with the auto-encoder and with the linear code.

    Args:
      structures: each is voxelized in the pose in which it is given.
      pretrained: weights of the network.

    Returns:
      (items, summary). An item for each structure: "id", the correlations of `measure_correlations`, and numbers that
      describe the shape. The summary: means, medians and fractions above 0.90 of the correlations.
    """
    spacings = [nearest_neighbour_spacing(s.xyz_angstrom) if s.kind == "beads" else None
                for s in structures]
    packed, r_max_angstrom = voxelize_many([s.xyz_angstrom for s in structures], spacings)
    maps = np.asarray(voxels.unpack(packed))
    scores = measure_correlations(maps, pretrained)
    items = []
    for i, structure in enumerate(structures):
        shape = descriptors.describe(maps[i] > 0.5)
        items.append({"id": structure.name, **{name: float(score[i]) for name, score in scores.items()},
                      "reference_radius_angstrom": float(r_max_angstrom[i]),
                      "kind": structure.kind, **shape._asdict(),
                      "shape": descriptors.name_difficulties(shape)})
    surface = [item["surface_fraction"] for item in items]
    summary: dict[str, Any] = {"count": len(items)}
    for name, score in scores.items():
        prefix = "" if name == "correlation" else f"{name}_"
        summary |= {f"{prefix}mean_correlation": float(score.mean()),
                    f"{prefix}median_correlation": float(np.median(score)),
                    f"{prefix}fraction_above_0.90": float((score > 0.9).mean())}
    return items, summary | {
        "correlation_with_surface_fraction": _pearson(scores["correlation"], surface),
        "threshold": pretrained.threshold, "refinement_steps": pretrained.refinement.steps}


def measure_correlations(maps: np.ndarray, pretrained: Pretrained) -> dict[str, np.ndarray]:
    """Returns the Pearson correlations of binary maps with the maps decoded from their codes.

    Args:
      maps: (N, 31, 31, 31), 0 or 1.
      pretrained: weights of the network, its linear code, and the settings of the refinement.

    Returns:
      (N,) each: "correlation" with encoder, refinement and decoder; "encoder_alone" without the refinement; "pca200"
      with the linear code; "pca200_refined" with the linear code, refined in the same way.
    """
    network, code = pretrained.network, pretrained.components
    no_refinement = Refinement()

    def linear_encoder(padded: jax.Array) -> Any:
        inside: Any = padded[(slice(None), *(slice(voxels.GRID),) * 3)]
        return code.encode(inside[:, voxels.sphere_mask()])

    def linear_decoder(latent: jax.Array) -> jax.Array:
        return autoencoder.scatter_sphere(code.logits(latent), autoencoder.EMPTY_LOGIT)

    @jax.jit
    def through(params: Any, maps: jax.Array) -> dict[str, jax.Array]:
        padded = voxels.pad(maps)
        nonlinear = (functools.partial(network.encode, params), functools.partial(network.decode, params))
        linear = (linear_encoder, linear_decoder)
        found = {}
        for name, (encoder, decoder), threshold, settings in (
                ("correlation", nonlinear, pretrained.threshold, pretrained.refinement),
                ("encoder_alone", nonlinear, pretrained.threshold, no_refinement),
                ("pca200", linear, 0.5, no_refinement), ("pca200_refined", linear, 0.5, pretrained.refinement)):
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


def _pearson(a: np.ndarray | list[float], b: np.ndarray | list[float]) -> float | None:
    """Returns the Pearson correlation of two series (N,), None where one of them is constant."""
    x, y = (np.asarray(series, float) - np.mean(series) for series in (a, b))
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / norm) if norm > 0 else None
