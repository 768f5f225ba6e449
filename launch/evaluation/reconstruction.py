"""Reconstructs a shape from a curve and compares the shape, and simple shapes as baselines, with the known structure.

`launch.evaluate --task=reconstruction` and `--task=simulated` call this module; the shape is that of
`saxsae.reconstruct`.
"""

import collections
import pathlib
import re
import time
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from launch.evaluation.cases import Case
from phasenet.io.ccp4 import write_map
from saxsae.io.structures.structure_files import Structure, nearest_neighbour_spacing
from saxsae.pretrained import Pretrained
from saxsae.profiles.guinier import MEDIAN_RADIUS_OVER_RG
from saxsae.profiles.rebinning import rebin
from saxsae.reconstruction import Reconstruction, reconstruct
from saxsae.shapes import descriptors, voxels
from saxsae.superposition import baselines, metrics

MEASURES = (
    "correlation", "best_single", "single_chosen", "sphere_correlation",
    "fitted_ellipsoid_correlation", "ellipsoid_correlation", "chi_squared", "relative_residual",
    "radius_angstrom", "reference_radius_angstrom", "cpu_seconds", "wall_seconds",
    "published_correlation", "published_map_correlation", "published_radius_angstrom")


def evaluate_case(case: Case, pretrained: Pretrained, *, given_radius: bool = False,
                  maps_dir: str | None = None, **options: Any) -> dict[str, Any]:
    """Reconstructs the shape of one case and measures it.

    Args:
      case: the curve and the known structure.
      pretrained: weights of the auto-encoder.
      given_radius: whether the reconstruction is given the r_max of the structure.
      maps_dir: folder to which the map is written as ID.ccp4, not superposed on the structure; None writes none.
      **options: further arguments of `saxsae.reconstruction.reconstruct`.

    Returns:
      The item: those of `MEASURES` that apply, "label", "notes", the verdict ("status", "reasons", "measures"), and
      what describes the shape of the structure. The seconds are those of the reconstruction alone, with compilation.

    Raises:
      InputError: a file of the case cannot be used.
    """
    curve, structure = case.load()
    _, r_max = voxels.centre_and_radius(structure.xyz_angstrom)
    wall, cpu = time.perf_counter(), time.process_time()
    found = reconstruct(curve, pretrained, radius=r_max if given_radius else None, **options)
    seconds = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}
    if maps_dir is not None:
        name = re.sub(r"[^\w.+-]", "_", case.id)
        write_map(pathlib.Path(maps_dir) / f"{name}.ccp4", found.density, found.pitch_angstrom)
    measure = make_correlation_measure(structure, r_max)
    singles = [measure(single, found.pitch_angstrom) for single in found.models]
    item = {
        "label": case.label, "correlation": measure(found.density, found.pitch_angstrom),
        "best_single": max(singles),
        "single_chosen": singles[int(np.argmin(found.model_chi_squared))],
        **{f"{name}_correlation": measure(*shape)
           for name, shape in baseline_maps(found, structure).items()},
        "num_fitting": found.num_fitting, **(found.confidence._asdict() if found.confidence is not None else {}),
        "status": found.verdict.status, "reasons": found.verdict.reasons, "measures": found.verdict.measures,
        "chi_squared": float(found.chi_squared),
        "relative_residual": float(found.relative_residual),
        "radius_angstrom": float(found.radius_angstrom), "reference_radius_angstrom": r_max,
        **seconds, **case.published}
    if case.published_map is not None:
        item["published_map_correlation"] = measure(*case.published_map())
    return item | describe_shape(structure) | {"notes": list(found.notes)}


def make_correlation_measure(structure: Structure, r_max: float) -> Callable[[np.ndarray, float], float]:
    """Returns a function that compares maps with one structure.

    Args:
      structure: the known structure.
      r_max: largest distance of an atom from the centroid of the structure, Angstrom.

    Returns:
      (map (N, N, N), pitch in Angstrom) -> correlation, as `saxsae.superposition.metrics` defines it.
    """
    truth = metrics.truth_density(structure.xyz_angstrom, structure.atomic_number, r_max)

    def measure(density: np.ndarray, pitch: float) -> float:
        found = metrics.correlation_with_truth(
            jnp.asarray(density, jnp.float32), jnp.float32(pitch), truth, jnp.float32(r_max))
        return float(found.correlation)

    return measure


def baseline_maps(found: Reconstruction,
                  structure: Structure) -> dict[str, tuple[np.ndarray, float]]:
    """Returns simple shapes that a reconstruction has to beat.

    Args:
      found: a reconstruction, for its curve and its Guinier fit.
      structure: the known structure.

    Returns:
      (map, pitch in Angstrom) of each: "sphere" with the radius of gyration of the curve, or of the fitted ellipsoid
      where the curve has no Guinier region; "fitted_ellipsoid" fitted to the curve; "ellipsoid" with the moments of
      inertia of the known structure, which the curve does not give.
    """
    points = rebin(found, q_max=np.inf)
    unit = np.max(np.abs(points.intensity))
    rg = found.radius_angstrom / MEDIAN_RADIUS_OVER_RG
    if found.guinier.valid:
        rg = found.guinier.rg_angstrom
    fitted = np.asarray(baselines.fit_ellipsoid(*(jnp.asarray(a, jnp.float32) for a in (
        points.q_inv_angstrom, points.intensity / unit, points.weight * unit**2, rg))).semi_axes)
    sphere_rg = rg if found.guinier.valid else float(np.sqrt((fitted**2).sum() / 5))
    inertia = baselines.inertia_semi_axes(structure.xyz_angstrom, structure.atomic_number)
    return {"sphere": baselines.sphere_map(sphere_rg),
            "fitted_ellipsoid": baselines.ellipsoid_map(fitted),
            "ellipsoid": baselines.ellipsoid_map(inertia)}


def describe_shape(structure: Structure) -> dict[str, Any]:
    """Returns the numbers of `saxsae.shapes.descriptors` for a structure, and in words what makes it difficult."""
    spacing = None
    if structure.kind == "beads":
        spacing = nearest_neighbour_spacing(structure.xyz_angstrom)
    occupancy, _ = voxels.voxelize_structure(structure.xyz_angstrom, spacing)
    shape = descriptors.describe(occupancy)
    return {"kind": structure.kind, **shape._asdict(), "shape": descriptors.name_difficulties(shape)}


def summarize(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns means and medians of `MEASURES` over the items without an error, and errors of r_max."""
    done = [item for item in items if "error" not in item]
    summary: dict = {"count": len(done), "failed": len(items) - len(done)}
    for key in MEASURES:
        values = [item[key] for item in done if item.get(key) is not None]
        if values:
            summary[f"mean_{key}"] = float(np.mean(values))
            summary[f"median_{key}"] = float(np.median(values))
    if done:
        correlation = np.array([item["correlation"] for item in done])
        summary["verdicts"] = dict(collections.Counter(item["status"] for item in done))
        summary["fraction_above_0.70"] = float((correlation > 0.7).mean())
    for whose in ("", "published_"):
        ratio = np.array([item[f"{whose}radius_angstrom"] / item["reference_radius_angstrom"]
                          for item in done if item.get(f"{whose}radius_angstrom")])
        if ratio.size:
            summary[f"{whose}median_radius_error"] = float(np.median(np.abs(ratio - 1)))
            summary[f"{whose}fraction_radius_within_0.20"] = float((np.abs(ratio - 1) < 0.2).mean())
    return summary
