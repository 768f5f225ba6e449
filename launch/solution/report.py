"""Makes the table and the verdict that `launch.solve` prints at the end, and the content of log.json."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch import app
from phasenet.errors import InputError
from phasenet.maps import patterson, synthesis
from phasenet.maps.synthesis import Problem
from phasenet.pipeline import Solution
from phasenet.search import atom_search
from phasenet.search.network_stage import NetworkSettings

# The Patterson maps of any two sets of atoms correlate about this well, because both have the same peak at the origin.
_CHANCE_CORRELATION = 0.7
# Correct results of the released weights have lower R factors.
_MAX_GOOD_R_FACTOR = 0.4
_VERDICTS = {
    "solved": "Solved: these atoms leave nothing of the map but the noise that was allowed for.",
    "ambiguous": "Ambiguous: another set of atoms in log.json fits as well, or the map does not fix every position.",
    "not solved": "Not solved: more of the map is left than the noise that was allowed for (--noise)."}
UNDETERMINED = "A Patterson map determines neither the hand nor the origin: inverted or shifted atoms fit as well."
_LOGGED_SWAPS = 200  # swaps of each annealing chain whose errors are in the log, evenly spaced


def check_enough_candidates(solution: Solution) -> None:
    """Raises InputError where the network's map has fewer candidate positions than the problem has atoms."""
    candidates, asked = int(solution.selected.candidates.valid.sum()), solution.prepared.problem.atoms.num_atoms
    if not np.isfinite(solution.positions).all():
        raise InputError(
            f"{asked} atoms are asked for, but the network's map gives only {candidates} candidate "
            f"position{'s' * (candidates != 1)}: ask for fewer with --num_atoms, or take another "
            "--picker or --weights")


def fitted_map(atoms: jax.Array | np.ndarray, problem: Problem) -> jax.Array:
    """Returns the Patterson map of atoms without noise.

    Args:
      atoms: (n, 3) positions, voxels.
      problem: gives grid, form factor and resolution.

    Returns:
      (N, N, N), origin at voxel 0.
    """
    return patterson.patterson(synthesis.atom_map(jnp.asarray(atoms), problem), h_max=problem.h_max)


def summary(solution: Solution) -> dict[str, Any]:
    """Returns the numbers of the result that the table, the page and the log show, in JSON's types."""
    numbers: dict[str, Any] = {
        "num_atoms": len(solution.positions), "candidates": int(solution.selected.candidates.valid.sum()),
        "correlation": float(solution.agreement.correlation), "r_factor": float(solution.agreement.r_factor),
        "status": solution.status}
    if solution.search is None:
        return numbers
    found = solution.search
    return numbers | {
        "found_by": atom_search.STAGES[int(found.stage)], "rounds": int(found.rounds),
        "chi_squared": float(found.answer.quality.chi_squared),
        "largest_deviation_voxels": (None if solution.standard_deviations is None
                                     else float(np.max(solution.standard_deviations)))}


def rows(numbers: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Returns (name, value, remark) of each line of the table, from what `summary` returns."""
    lines = [("atoms", f"{numbers['num_atoms']}", ""),
            ("candidates", f"{numbers['candidates']}", "where the network sees an atom, or its inverse"),
            ("correlation", f"{numbers['correlation']:.4f}", "of the Patterson map with that of the atoms found"),
            ("R factor", f"{numbers['r_factor']:.4f}", "of the amplitudes")]
    if numbers.get("largest_deviation_voxels") is not None:
        lines.append(("standard deviation", f"{numbers['largest_deviation_voxels']:.4f}",
                      "voxel, the largest of a coordinate"))
    return lines


def verdict(numbers: dict[str, Any]) -> list[str]:
    """Returns sentences that say whether the atoms can be believed, from what `summary` returns."""
    lines = [] if numbers["status"] is None else [_VERDICTS[numbers["status"]]]
    if numbers["correlation"] < _CHANCE_CORRELATION:
        lines.append("These atoms do not explain the map: random atoms would fit about as well.")
    elif numbers["r_factor"] > _MAX_GOOD_R_FACTOR:
        lines.append("These atoms explain only a part of the map.")
    return lines


def format_table(numbers: dict[str, Any], timing: dict[str, float]) -> str:
    """Returns the printed table and the verdict; for `timing` see `app.format_table`."""
    return "\n".join([app.format_table(rows(numbers), timing), *verdict(numbers), UNDETERMINED])


def log(path: str, kind: str, solution: Solution, notes: tuple[str, ...], settings: NetworkSettings,
        numbers: dict[str, Any], pitch: float | None) -> dict[str, Any]:
    """Returns the part of log.json that describes the map and the result.

    Args:
      path: the input file.
      kind: "patterson" or "amplitudes".
      solution: the result.
      notes: what was assumed about the input, one line each.
      settings: settings of the network stage.
      numbers: what `summary` returns.
      pitch: edge of a voxel, Angstrom; None where unknown.
    """
    found, problem = solution.selected, solution.prepared.problem
    shown, errors = np.asarray(found.candidates.valid), np.asarray(found.errors)
    swaps = np.unique(np.linspace(0, errors.shape[1] - 1, _LOGGED_SWAPS).astype(int))
    result = {
        "input": {"path": path, "kind": kind, "has_f000": solution.prepared.has_f000},
        "notes": notes, "summary": numbers, "pitch_angstrom": pitch, "positions_voxels": solution.positions,
        "positions_angstrom": None if pitch is None else solution.positions.astype(float) * pitch,
        "deviations_voxels": solution.standard_deviations,
        "candidates": {"positions_voxels": np.asarray(found.candidates.positions)[shown],
                       "heights": np.asarray(found.candidates.heights)[shown]},
        "annealing": {"swaps": swaps + 1, "errors": errors[:, swaps]},
        "problem": problem, "settings": settings}
    if solution.status == "ambiguous" and solution.search is not None:
        result["other_positions_voxels"] = np.asarray(solution.search.other_positions)
    return result
