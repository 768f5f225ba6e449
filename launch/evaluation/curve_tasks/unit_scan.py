"""Scans how well the unit of q is decided for curves that do not state one, in 1/A and in 1/nm.

The bodies are a sphere and two prolate spheroids of known Rg, with noise. Their curves are trimmed at a small q Rg,
because a trimmed curve of a large body in 1/nm resembles the full curve of a small body in 1/A. Called by
`launch.evaluate`.
"""

from typing import Any

import numpy as np

from launch.evaluation.curve_tasks.made_curves import spheroid_intensity
from launch.evaluation.report import format_table
from phasenet.errors import InputError
from saxsae.io.curves.units import DOUBT, TO_INVERSE_ANGSTROM, UNITS, decide_unit

_RADII_ANGSTROM = (12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150)
_AXIAL_RATIOS = (1.0, 2.0, 3.0)
_Q_RG_MAX = (3.0, 5.0, 8.0)
_CAMERA = (0.008, 0.3)  # q range of a usual camera, 1/A
_NOISE = (0.01, 0.02, 0.03)
_MIN_POINTS, _STEP = 60, 0.001  # points of a curve; largest step of q, 1/A
OUTCOMES = ("right", "doubt", "asked", "doubt, wrong", "wrong")


def scan(seed: int = 0) -> list[dict[str, Any]]:
    """Returns what `decide_unit` decides for each curve, when no unit is stated.

    Each body is measured from q = 0.5 / Rg and from a camera's 0.008 1/A, to q Rg of 3, 5 and 8, and once over the
    whole range of a camera, 0.008 to 0.3 1/A.

    Args:
      seed: seed of the noise.

    Returns:
      An item for each curve: "rg_angstrom", "axial_ratio", "unit", "q_min_inv_angstrom", "q_max_inv_angstrom",
      "q_rg_max" (None for the whole range), "noise", "outcome" (one of `OUTCOMES`) and "note".
    """
    rng = np.random.default_rng(seed)
    items = []
    for rg in _RADII_ANGSTROM:
        ranges: list[tuple[float, float, float | None]] = [
            (start, end / rg, end) for start in (0.5 / rg, _CAMERA[0]) for end in _Q_RG_MAX]
        ranges.append((*_CAMERA, None))
        for axial_ratio in _AXIAL_RATIOS:
            for q_min, q_max, q_rg_max in ranges:
                noise = float(rng.choice(_NOISE))
                curve = _measure(rg, axial_ratio, q_min, q_max, noise, rng)
                for unit in UNITS:
                    outcome, note = _decide(*curve, unit)
                    items.append({
                        "rg_angstrom": rg, "axial_ratio": axial_ratio, "unit": unit, "q_min_inv_angstrom": q_min,
                        "q_max_inv_angstrom": q_max, "q_rg_max": q_rg_max, "noise": noise, "outcome": outcome,
                        "note": note})
    return items


def format_scan(items: list[dict[str, Any]]) -> str:
    """Returns a table of the outcomes by Rg and unit, the usual curves among them, and a last line of totals.

    Args:
      items: as `scan` returns them.
    """
    rows: list[dict[str, Any]] = [
        {"rg_angstrom": rg, "unit": unit,
         **_count_outcomes([item for item in items if (item["rg_angstrom"], item["unit"]) == (rg, unit)])}
        for rg in sorted({item["rg_angstrom"] for item in items}) for unit in UNITS]
    usual = [item for item in items if item["q_rg_max"] is None and 15 <= item["rg_angstrom"] <= 60]
    rows.append({"rg_angstrom": "usual", "unit": "both", **_count_outcomes(usual)})
    lines = [format_table(rows, {"rg_angstrom": ("Rg (A)", "{}"), "unit": ("unit", "{}"),
                                 **{outcome: (outcome, "{}") for outcome in OUTCOMES}}),
             f"usual: Rg 15 to 60 A, q {_CAMERA[0]:g} to {_CAMERA[1]:g} 1/A; doubt: decided, and the note says "
             "that the other unit is not excluded"]
    count = _count_outcomes(items)
    lines.append(f"{len(items)} curves: {count['right'] + count['doubt']} right, {count['asked']} asked for --unit, "
                 f"{count['wrong'] + count['doubt, wrong']} wrong")
    if count["doubt, wrong"]:
        lines[-1] += f" ({count['doubt, wrong']} of them with doubt said)"
    return "\n".join(lines)


def _measure(rg_angstrom: float, axial_ratio: float, q_min: float, q_max: float, noise: float,
             rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns q (1/A), intensity and sigma, each (N,); sigma over I is the noise at I(0), more below it."""
    num_points = max(_MIN_POINTS, int((q_max - q_min) / _STEP))
    q = np.linspace(q_min, q_max, num_points)
    across = rg_angstrom * np.sqrt(5 / (2 + axial_ratio**2))
    intensity = spheroid_intensity(q, across, axial_ratio * across)
    sigma = noise * np.sqrt(intensity * (intensity + 0.003)) + 1e-4
    return q, intensity + sigma * rng.normal(size=q.size), sigma


def _decide(q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray, unit: str) -> tuple[str, str]:
    """Returns the outcome, one of `OUTCOMES`, and the note for a curve, q in 1/A, that is written in `unit`."""
    try:
        decided, note = decide_unit(q / TO_INVERSE_ANGSTROM[unit], intensity, sigma, None)
    except InputError as error:
        return "asked", str(error)
    if decided == unit:
        return "doubt" if DOUBT in note else "right", note
    return "doubt, wrong" if DOUBT in note else "wrong", note


def _count_outcomes(items: list[dict[str, Any]]) -> dict[str, int]:
    """Returns the number of items of each outcome, 0 where there is none."""
    return {outcome: sum(item["outcome"] == outcome for item in items) for outcome in OUTCOMES}
