"""Writes report.html, the page that shows the result of `launch.reconstruct`."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_hex

from launch.pages import page
from launch.plotting.saxs_figures import shapes
from launch.reconstruction import curve_rows, report
from launch.reconstruction.reference import PlacedMap, Reference, ScoredReference
from saxsae.analysis.curve_report import CurveNumbers
from saxsae.io.curves.measured_curves import Curve
from saxsae.profiles.structure_fit import StructureFit
from saxsae.reconstruction import Reconstruction

_MAX_MODELS = 24  # models in the page; each takes some kB
_MAX_BALLS = 2000  # balls that show the reference
_NUM_COLOURS = 24  # colours along the chain of the reference
_SHOWN_BEYOND_FIT = 1.3  # points are shown up to this multiple of the largest q fitted
_SHOWN_BEYOND_GUINIER = 1.3  # points are shown up to this multiple of the last q of the Guinier region
_HAND = "a scattering curve does not determine the hand: the mirror image fits as well"
_OTHER_HAND = "shown here is the mirror image of density.ccp4, because it agrees better with the reference"


def write(folder: pathlib.Path, curve: Curve, found: Reconstruction, log: dict[str, Any], level: float,
          reference: Reference | None, placed: PlacedMap | None, of_curve: CurveNumbers,
          scored: Sequence[ScoredReference] = ()) -> None:
    """Writes report.html; the same seed gives the same page, because the times of the log are not in it.

    Args:
      folder: the output folder.
      curve: the measured curve.
      found: the reconstruction.
      log: content of log.json.
      level: occupancy at which surfaces are drawn, see `shapes.equal_volume_level`.
      reference: the known structure; None if there is none.
      placed: the map superposed on the reference; None without a reference.
      of_curve: the numbers of the curve itself.
      scored: the known structures, the best first.
    """
    name = pathlib.PurePath(curve.path).name
    mirrored = placed is not None and placed.mirrored
    page.write(folder, "reconstruction", f"{name}: shape from a scattering curve", {
        "name": name, "verdict": _verdict(found), "measures": found.verdict.measures,
        "summary": log["summary"], "rows": report.rows(found, log["summary"], of_curve, scored),
        "notes": [*found.verdict.remarks, *log["notes"], *of_curve.notes, _HAND, *([_OTHER_HAND] if mirrored else [])],
        "provenance": page.select_provenance(log), "models": log["models"], "sources": log["sources"],
        "guinier": _guinier(curve, found), "pair_distances": curve_rows.payload(of_curve),
        "fit": _fit(curve, found, scored[0].fit if scored else None), "history": _history(log["history"]),
        "shape": _shape(found, level, reference, placed)})


def _verdict(found: Reconstruction) -> dict[str, Any]:
    """Returns the verdict as the head of the page shows it."""
    return {"status": found.verdict.status, "reasons": found.verdict.reasons}


def _shape(found: Reconstruction, level: float, reference: Reference | None,
           placed: PlacedMap | None) -> dict[str, Any]:
    """Returns the maps in the hand of the superposition, the reference in the frame of the maps, and the view."""
    hand = -1 if placed is not None and placed.mirrored else 1
    density = found.density[:, :, ::hand]
    atoms = balls = None
    if placed is not None and reference is not None:
        # The superposition is rotation @ p + shift relative to the reference's centroid; the inverse is used here.
        xyz = (reference.structure.xyz_angstrom - reference.centroid - placed.shift) @ placed.rotation
        balls = shapes.as_balls(xyz, reference.spacing, _MAX_BALLS)
        atoms = {"points": page.round_to_digits(balls.xyz, 4), "radius": balls.radius,
                 "colours": [to_hex(colour) for colour in shapes.rainbow(_NUM_COLOURS)]}
    frame = shapes.principal_frame(density, found.pitch_angstrom, level, balls)
    return {
        "density": page.pack_map(density, 0, 1), "level": level, "pitch": found.pitch_angstrom,
        "beads": np.argwhere(density > level), "reference": atoms,
        "models": [page.pack_map(model[:, :, ::hand], 0, 1) for model in found.models[:_MAX_MODELS]],
        "rotation": page.round_to_digits(frame.rotation), "middle": page.round_to_digits((frame.low + frame.high) / 2),
        "half": page.round_to_digits((frame.high - frame.low) / 2)}


def _fit(curve: Curve, found: Reconstruction, of_reference: StructureFit | None) -> dict[str, Any]:
    """Returns the points that were fitted, and the other points up to a little beyond the largest q fitted.

    The curve of the reference is at the same points, NaN where it was not fitted, or None without a reference.
    """
    first, last = found.q_inv_angstrom[[0, -1]]
    q = curve.q_inv_angstrom
    left_out = ((q < first) | (q > last)) & (q < _SHOWN_BEYOND_FIT * last)
    known = None if of_reference is None else page.round_to_digits(np.interp(
        found.q_inv_angstrom, of_reference.q_inv_angstrom, of_reference.fit, left=np.nan, right=np.nan))
    return {"q": page.round_to_digits(found.q_inv_angstrom), "intensity": page.round_to_digits(found.intensity),
            "sigma": page.round_to_digits(found.sigma), "model": page.round_to_digits(found.fit), "reference": known,
            "left_out": {"q": page.round_to_digits(q[left_out]),
                         "intensity": page.round_to_digits(curve.intensity[left_out])}}


def _guinier(curve: Curve, found: Reconstruction) -> dict[str, Any]:
    """Returns the Guinier line, and the points up to a little beyond the Guinier region."""
    line = found.guinier
    if not line.valid:
        return {"valid": False, "reason": line.reason}
    ends = np.array([line.q_rg_min, line.q_rg_max]) / line.rg_angstrom
    shown = (curve.q_inv_angstrom < _SHOWN_BEYOND_GUINIER * ends[1]) & (curve.intensity > 0)
    intensity = curve.intensity[shown]
    return {"valid": True, "rg": line.rg_angstrom, "rg_sigma": line.rg_sigma, "i0": line.i0, "q": ends,
            "q_rg": [line.q_rg_min, line.q_rg_max], "points": {
                "q": page.round_to_digits(curve.q_inv_angstrom[shown]),
                "log_intensity": page.round_to_digits(np.log(intensity)),
                "log_sigma": page.round_to_digits(curve.sigma[shown] / intensity)}}


def _history(history: dict[str, Any]) -> dict[str, Any]:
    """Returns by generation the chi^2 of all runs and of the best run's elites, and the correlations, if any."""
    shown = {"best": [page.round_to_digits(run, 5) for run in history["best"]],
             "elites": page.round_to_digits(history["elites"][0], 5)}
    if "correlation" in history:
        shown["correlation_generation"] = history["correlation_generation"]
        shown["correlation"] = page.round_to_digits(history["correlation"])
    return shown
