"""What report.html shows of a reconstruction."""

import pathlib
from typing import Any

import numpy as np
from matplotlib.colors import to_hex

from launch.pages import page
from launch.plotting.saxs_figures import shapes
from launch.reconstruction import report
from launch.reconstruction.reference import Placed, Reference
from saxsae.io.curves.measured_curves import Curve
from saxsae.reconstruction import Reconstruction

_MOST_MODELS = 24  # in the page: each takes some kB
_MOST_BALLS = 2000  # of the reference
_COLOURS = 24  # along its chain
_BEYOND = 1.3  # of the largest q fitted: how far points that were not fitted are shown
_GUINIER_BEYOND = 1.3  # of the Guinier region's last q
_HAND = "a scattering curve does not tell the hand: the mirror image fits as well"
_OTHER_HAND = "shown here is the mirror image of density.ccp4, which resembles the reference more"


def write(folder: pathlib.Path, curve: Curve, found: Reconstruction, log: dict[str, Any], level: float,
          reference: Reference | None, placed: Placed | None) -> None:
    """report.html: what the log tells but the times, so that the same seed gives the same page, and the shapes."""
    name = pathlib.PurePath(curve.path).name
    mirrored = placed is not None and placed.mirrored
    page.write(folder, "reconstruction", f"{name}: shape from a scattering curve", {
        "name": name, "summary": log["summary"], "rows": report.rows(found, log["summary"]),
        "notes": [*log["notes"], _HAND, *([_OTHER_HAND] if mirrored else [])],
        "provenance": page.provenance(log), "models": log["models"], "guinier": _guinier(curve, found),
        "fit": _fit(curve, found), "history": _history(log["history"]),
        "shape": _shape(found, level, reference, placed)})


def _shape(found: Reconstruction, level: float, reference: Reference | None, placed: Placed | None) -> dict[str, Any]:
    """The maps in the hand of the superposition, the reference in their frame, and where to look from."""
    hand = -1 if placed is not None and placed.mirrored else 1
    density = found.density[:, :, ::hand]
    atoms = balls = None
    if placed is not None:
        # The superposition is rotation @ p + shift, from the reference's centroid: here it is undone.
        xyz = (reference.structure.xyz_angstrom - reference.centroid - placed.shift) @ placed.rotation
        balls = shapes.as_balls(xyz, reference.spacing, _MOST_BALLS)
        atoms = {"points": page.rounded(balls.xyz, 4), "radius": balls.radius,
                 "colours": [to_hex(colour) for colour in shapes.rainbow(_COLOURS)]}
    frame = shapes.principal_frame(density, found.pitch_angstrom, level, balls)
    return {
        "density": page.packed(density, 0, 1), "level": level, "pitch": found.pitch_angstrom,
        "beads": np.argwhere(density > level), "reference": atoms,
        "models": [page.packed(model[:, :, ::hand], 0, 1) for model in found.models[:_MOST_MODELS]],
        "rotation": page.rounded(frame.rotation), "middle": page.rounded((frame.low + frame.high) / 2),
        "half": page.rounded((frame.high - frame.low) / 2)}


def _fit(curve: Curve, found: Reconstruction) -> dict[str, Any]:
    """The points that were fitted, and those near them that were not."""
    first, last = found.q_inv_angstrom[[0, -1]]
    q = curve.q_inv_angstrom
    left_out = ((q < first) | (q > last)) & (q < _BEYOND * last)
    return {"q": page.rounded(found.q_inv_angstrom), "intensity": page.rounded(found.intensity),
            "sigma": page.rounded(found.sigma), "model": page.rounded(found.fit),
            "left_out": {"q": page.rounded(q[left_out]), "intensity": page.rounded(curve.intensity[left_out])}}


def _guinier(curve: Curve, found: Reconstruction) -> dict[str, Any]:
    """The Guinier line and the points about its region."""
    line = found.guinier
    if not line.valid:
        return {"valid": False, "reason": line.reason}
    ends = np.array([line.q_rg_min, line.q_rg_max]) / line.rg_angstrom
    shown = (curve.q_inv_angstrom < _GUINIER_BEYOND * ends[1]) & (curve.intensity > 0)
    intensity = curve.intensity[shown]
    return {"valid": True, "rg": line.rg_angstrom, "rg_sigma": line.rg_sigma, "i0": line.i0, "q": ends,
            "q_rg": [line.q_rg_min, line.q_rg_max], "points": {
                "q": page.rounded(curve.q_inv_angstrom[shown]), "log_intensity": page.rounded(np.log(intensity)),
                "log_sigma": page.rounded(curve.sigma[shown] / intensity)}}


def _history(history: dict[str, Any]) -> dict[str, Any]:
    """chi^2 by generation of all runs, of the best run's elites, and the correlations with a reference."""
    shown = {"best": [page.rounded(run, 5) for run in history["best"]],
             "elites": page.rounded(history["elites"][0], 5)}
    if "correlation" in history:
        shown["correlation_generation"] = history["correlation_generation"]
        shown["correlation"] = page.rounded(history["correlation"])
    return shown
