"""How much of a structure 200 numbers keep: the decoded map against the input (paper figure 1c)."""

import jax
import numpy as np

from saxsae import descriptors, losses, model, voxels
from saxsae.batches import voxelize_many
from saxsae.io.structures import Structure, nearest_neighbour_spacing
from saxsae.pretrained import Pretrained

_BATCH = 16  # the published network needs 100 MB a map


def evaluate(structures: list[Structure], pretrained: Pretrained) -> tuple[list[dict], dict]:
    """Items and summary: the auto-encoder, and beside it the linear code, on the same maps."""
    spacings = [nearest_neighbour_spacing(s.xyz_angstrom) if s.kind == "beads" else None
                for s in structures]
    packed, r_max = voxelize_many([s.xyz_angstrom for s in structures], spacings)
    maps = np.asarray(voxels.unpack(packed))
    network, linear = correlations(maps, pretrained)
    items = []
    for i, structure in enumerate(structures):
        shape = descriptors.describe(maps[i] > 0.5)
        items.append({"id": structure.name, "correlation": float(network[i]),
                      "pca200": float(linear[i]), "reference_radius_angstrom": float(r_max[i]),
                      "kind": structure.kind, **shape._asdict(),
                      "shape": descriptors.reason(shape)})
    surface = [item["surface_fraction"] for item in items]
    return items, {
        "count": len(items), "mean_correlation": float(network.mean()),
        "median_correlation": float(np.median(network)),
        "fraction_above_0.90": float((network > 0.9).mean()),
        "pca200_mean_correlation": float(linear.mean()),
        "pca200_median_correlation": float(np.median(linear)),
        "pca200_fraction_above_0.90": float((linear > 0.9).mean()),
        "correlation_with_surface_fraction": _pearson(network, surface),
        "threshold": pretrained.threshold}


def correlations(maps: np.ndarray, pretrained: Pretrained) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of binary maps (N, 31, 31, 31) with what is kept of them.

    Returns: (N,) through the network, (N,) through the components.
    """
    network, code = pretrained.network, pretrained.components

    @jax.jit
    def through_network(params, maps):
        logits = network.decode(params, network.encode(params, voxels.pad(maps)))
        return losses.binary_correlation(jax.nn.sigmoid(logits), maps, pretrained.threshold)

    by_network, by_components = [], []
    for start in range(0, len(maps), _BATCH):
        batch = maps[start:start + _BATCH]
        filler = np.zeros((_BATCH - len(batch), *batch.shape[1:]), batch.dtype)
        padded = np.concatenate([batch, filler])
        by_network.append(np.asarray(through_network(pretrained.params, padded))[:len(batch)])
        linear = code.decode(code.encode(padded[:, voxels.sphere_mask()]))
        grid = model.scatter_sphere(linear, 0.0)
        by_components.append(np.asarray(
            losses.binary_correlation(grid, padded, code.threshold))[:len(batch)])
    return np.concatenate(by_network), np.concatenate(by_components)


def _pearson(a, b) -> float | None:
    """None where either does not vary."""
    a, b = (np.asarray(x, float) - np.mean(x) for x in (a, b))
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm > 0 else None
