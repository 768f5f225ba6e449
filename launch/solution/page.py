"""Writes report.html, the page that shows the result of `launch.solve`."""

import pathlib
from typing import Any

import jax
import numpy as np
from matplotlib import colormaps

from launch.pages import page
from launch.solution import report, sections
from phasenet.pipeline import Solution


def write(folder: pathlib.Path, solution: Solution, log: dict[str, Any], fitted: jax.Array | np.ndarray) -> None:
    """Writes report.html; the same seed gives the same page, because the times of the log are not in it.

    Args:
      folder: the output folder.
      solution: the result.
      log: content of log.json.
      fitted: (N, N, N) Patterson map of the atoms found, origin at voxel 0.
    """
    name = pathlib.PurePath(log["input"]["path"]).name
    page.write(folder, "solution", f"{name}: atoms from a Patterson map", {
        "name": name, "summary": log["summary"], "rows": report.rows(log["summary"]),
        "lead": report.verdict(log["summary"]), "notes": [*log["notes"], report.UNDETERMINED],
        "provenance": page.select_provenance(log), "atoms": _atoms(solution, log),
        "sections": _sections(np.asarray(solution.prepared.patterson), np.asarray(fitted))})


def _atoms(solution: Solution, log: dict[str, Any]) -> dict[str, Any]:
    """Returns the positions in voxels relative to their mean, with all digits, and what the page shows beside them."""
    return {"positions": log["positions_voxels"], "deviations": log["deviations_voxels"],
            "positions_angstrom": log["positions_angstrom"], "other": log.get("other_positions_voxels"),
            "box": solution.prepared.problem.atoms.inner_box}


def _sections(given: np.ndarray, fitted: np.ndarray) -> dict[str, Any]:
    """Returns the parts of two maps (N, N, N), origin at voxel 0, that hold peaks; w >= 0, the rest is symmetric."""
    given, fitted = np.fft.fftshift(given), np.fft.fftshift(fitted)
    low, top, reach = sections.display_range(given, fitted)
    middle = len(given) // 2
    across = slice(middle - reach, middle + reach + 1)
    shown = across, across, slice(middle, middle + reach + 1)
    return {"given": page.pack_map(given[shown], low, top), "fitted": page.pack_map(fitted[shown], low, top),
            "difference": float(np.abs(np.subtract(*np.clip((given, fitted), low, top))).max() / (top - low)),
            "height": sections.choose_heights(given)[1],
            "colours": page.encode_base64((colormaps["magma"](np.arange(256))[:, :3] * 255).astype(np.uint8).tobytes())}
