"""Measures how often the stated confidence of a reconstruction holds, on structures that no training saw.

`launch.evaluate --task=confidence` calls this module. `launch.datasets.fit_confidence` fits the constants to all items,
and checks them by `cross_validate`: the confidence of each fifth of the structures comes from the other four fifths.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from launch.datasets import held_out
from launch.datasets.held_out import HeldOut
from launch.evaluation.report import format_table
from saxsae import confidence
from saxsae.pretrained import Pretrained
from saxsae.reconstruction import Reconstruction, reconstruct
from saxsae.shapes import densities, voxels
from saxsae.superposition import alignment, metrics, resolution

_FOLDS = 5
# Groups of curves by how many structures of the bank fit them: at least, and fewer than.
_FITTING_GROUPS = {"none": (0, 1), "1 to 9": (1, 10), "10 to 99": (10, 100), "100 to 999": (100, 1000),
                   "1000 and more": (1000, math.inf)}
_AMBIGUITY = {"fitting": ("structures that fit", "{}"), "count": ("curves", "{}"),
              "correlation": ("mean correlation", "{:.3f}"), "low": ("nine of ten above", "{:.3f}")}
_RELIABILITY = {"stated": ("stated", "{:.2f}"), "filled": ("filled", "{:.2f}"), "voxels": ("voxels", "{:,}")}


def evaluate_structure(case: HeldOut, pretrained: Pretrained, **options: Any) -> dict[str, Any]:
    """Returns the item of one held-out structure: the stated confidence, and the true correlation and resolution.

    Args:
      case: the structure.
      pretrained: weights with a bank.
      **options: further arguments of `saxsae.reconstruction.reconstruct`.
    """
    curve = held_out.simulate(case.structure, case.seed)
    weights = held_out.without_relatives(pretrained, case.structure)
    start = time.process_time()
    found = reconstruct(curve, weights, **options)
    seconds = time.process_time() - start
    assert found.features is not None
    item = {"status": found.verdict.status, "features": found.features.tolist(), "cpu_seconds": seconds,
            "num_fitting": found.num_fitting,
            "r_max_ratio": found.radius_angstrom / voxels.centre_and_radius(case.structure.xyz_angstrom)[1],
            **compare(found, case)}
    return item if pretrained.confidence is None else add_stated_confidence(item, pretrained.confidence)


def compare(found: Reconstruction, case: HeldOut) -> dict[str, Any]:
    """Returns the true correlation and resolution of a result, and counts of voxels by the share of models there."""
    xyz, r_max = voxels.centre_and_radius(case.structure.xyz_angstrom)
    truth = metrics.truth_density(xyz, case.structure.atomic_number, r_max)
    placed = metrics.correlation_with_truth(jnp.asarray(found.density), jnp.float32(found.pitch_angstrom), truth,
                                            jnp.float32(r_max))
    pitch = float(metrics.truth_pitch(r_max))

    def on_truth(density: np.ndarray) -> np.ndarray:
        return np.asarray(alignment.apply_superposition(density.astype(np.float32), np.float32(found.pitch_angstrom),
                                                        placed, np.float32(pitch), size=metrics.TRUTH_GRID))

    electrons = float(np.mean(case.structure.atomic_number))
    inside = np.asarray(truth) * densities.ATOM_VOLUME_ANGSTROM3 / electrons / pitch**3
    share = on_truth(confidence.filled_share(found.models))
    place = np.rint(share * (len(confidence.OCCUPANCIES) - 1)).astype(int)
    filled = inside > densities.FILLED
    count = len(confidence.OCCUPANCIES)
    return {"correlation": float(placed.correlation),
            "true_resolution_angstrom": resolution.resolution_of(on_truth(found.density), np.asarray(truth), pitch),
            "voxels": np.bincount(place.reshape(-1), minlength=count).tolist(),
            "filled": np.bincount(place.reshape(-1), filled.reshape(-1), minlength=count).astype(int).tolist()}


def fit(items: Sequence[dict[str, Any]]) -> confidence.ConfidenceModel:
    """Returns the constants of the confidence from items; those with an error are left out."""
    done = [item for item in items if "error" not in item]
    return confidence.fit(*(np.array([item[name] for item in done]) for name in (
        "features", "correlation", "true_resolution_angstrom")),
        *(np.sum([item[name] for item in done], axis=0) for name in ("voxels", "filled")))


def cross_validate(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the items without an error, each with the confidence by constants fitted to the other four fifths."""
    done = [item for item in items if "error" not in item]
    found = []
    for fold in range(_FOLDS):
        model = fit([item for number, item in enumerate(done) if number % _FOLDS != fold])
        found += [add_stated_confidence(item, model) for item in done[fold::_FOLDS]]
    return found


def add_stated_confidence(item: dict[str, Any], model: confidence.ConfidenceModel) -> dict[str, Any]:
    """Returns an item with the confidence that `model` states, and the probabilities of its occupancies."""
    return item | confidence.predict(model, np.array(item["features"]))._asdict() | {
        "occupancy": model.occupancy.tolist()}


def format_item(item: dict[str, Any]) -> str:
    """Returns the text of an item's progress line."""
    low, high = item.get("expected_correlation_90", (np.nan, np.nan))
    stated = f" (90%: {low:.3f} to {high:.3f})" if np.isfinite(low) else ""
    return (f"correlation {item['correlation']:.3f}{stated}, resolution {item['true_resolution_angstrom']:.1f} A, "
            f"{item['status']}")


def format_summary(summary: dict[str, Any], reliable: list[tuple[float, float, int]],
                   by_ambiguity: list[dict[str, Any]]) -> str:
    """Returns the summary and the tables of `measure_reliability` and `group_by_ambiguity`."""
    lines = [f"{name:>45}  {value:.3f}" if isinstance(value, float) else f"{name:>45}  {value}"
             for name, value in summary.items()]
    table = format_table((dict(zip(_RELIABILITY, row, strict=True)) for row in reliable), _RELIABILITY)
    return "\n".join(["", *lines, "", table, "", format_table(by_ambiguity, _AMBIGUITY)])


def summarize(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns means and medians, and how often the stated intervals hold."""
    checked = [item for item in items if "error" not in item]
    summary: dict[str, Any] = {"count": len(checked), "failed": sum("error" in item for item in items)}
    if not checked:
        return summary
    for name in ("correlation", "true_resolution_angstrom", "cpu_seconds", "r_max_ratio"):
        values = [item[name] for item in checked]
        summary |= {f"mean_{name}": float(np.mean(values)), f"median_{name}": float(np.median(values))}
    with_interval = [item for item in checked if "expected_correlation_90" in item]
    if with_interval:
        for truth, interval in (("correlation", "expected_correlation_90"),
                                ("true_resolution_angstrom", "resolution_angstrom_90")):
            holds = [item[interval][0] <= item[truth] <= item[interval][1] for item in with_interval]
            summary[f"{interval}_holds"] = float(np.mean(holds))
        widths = [item["expected_correlation_90"][1] - item["expected_correlation_90"][0] for item in with_interval]
        summary["median_width_of_expected_correlation_90"] = float(np.median(widths))
        errors = [item["expected_correlation"] - item["correlation"] for item in with_interval]
        summary["mean_error_of_expected_correlation"] = float(np.mean(errors))
    return summary


def measure_reliability(items: list[dict[str, Any]]) -> list[tuple[float, float, int]]:
    """Returns (mean probability stated, share that is filled, voxels) for each share of models that fill a voxel."""
    checked = [item for item in items if "occupancy" in item]
    if not checked:
        return []
    voxels, filled, stated = (np.array([item[name] for item in checked]) for name in ("voxels", "filled", "occupancy"))
    total = voxels.sum(0)
    means = (voxels * stated).sum(0) / np.maximum(total, 1)
    return [(float(mean), float(part / count), int(count))
            for mean, part, count in zip(means, filled.sum(0), total, strict=True) if count]


def group_by_ambiguity(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns what was reached for curves that few or many structures of the bank fit; groups without a curve left out.

    Returns:
      For each group its name ("fitting"), the number of curves ("count"), their mean correlation ("correlation") and
      the one that nine of ten exceed ("low").
    """
    known = [item for item in items if item.get("num_fitting") is not None]
    rows = []
    for name, (least, below) in _FITTING_GROUPS.items():
        found = [item["correlation"] for item in known if least <= item["num_fitting"] < below]
        if found:
            rows.append({"fitting": name, "count": len(found), "correlation": float(np.mean(found)),
                         "low": float(np.quantile(found, 0.1))})
    return rows
