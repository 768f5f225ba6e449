"""What report.html shows of a solution."""

import pathlib
from typing import Any

import numpy as np
from matplotlib import colormaps

from launch.pages import page
from launch.solution import report, sections
from phasenet.pipeline import Solution


def write(folder: pathlib.Path, answer: Solution, log: dict[str, Any], fitted: np.ndarray) -> None:
    """report.html: what the log tells but the times, so that the same seed gives the same page, and the maps.

    fitted: (N, N, N) the Patterson map of the atoms found, its origin at voxel 0.
    """
    name = pathlib.PurePath(log["input"]["path"]).name
    page.write(folder, "solution", f"{name}: atoms from a Patterson map", {
        "name": name, "summary": log["summary"], "rows": report.rows(log["summary"]),
        "lead": report.verdict(log["summary"]), "notes": [*log["notes"], report.UNDETERMINED],
        "provenance": page.provenance(log), "atoms": _atoms(answer, log),
        "sections": _sections(np.asarray(answer.prepared.patterson), np.asarray(fitted))})


def _atoms(answer: Solution, log: dict[str, Any]) -> dict[str, Any]:
    """Positions in voxels about their mean, in the log's own digits, and what may be shown beside them."""
    return {"positions": log["positions_voxels"], "deviations": log["deviations_voxels"],
            "positions_angstrom": log["positions_angstrom"], "other": log.get("other_positions_voxels"),
            "box": answer.prepared.problem.atoms.inner_box}


def _sections(given: np.ndarray, fitted: np.ndarray) -> dict[str, Any]:
    """The parts of both maps that hold anything, w >= 0: the other half says the same."""
    given, fitted = np.fft.fftshift(given), np.fft.fftshift(fitted)
    low, top, reach = sections.span(given, fitted)
    middle = len(given) // 2
    across = slice(middle - reach, middle + reach + 1)
    shown = across, across, slice(middle, middle + reach + 1)
    return {"given": page.packed(given[shown], low, top), "fitted": page.packed(fitted[shown], low, top),
            "difference": float(np.abs(np.subtract(*np.clip((given, fitted), low, top))).max() / (top - low)),
            "height": sections.heights(given)[1],
            "colours": page.encoded((colormaps["magma"](np.arange(256))[:, :3] * 255).astype(np.uint8).tobytes())}
