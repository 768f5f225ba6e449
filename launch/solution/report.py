"""What launch.solve tells people, and the same as data for its log."""

import jax
import numpy as np

from launch import app
from phasenet.errors import InputError
from phasenet.maps import patterson, synthesis
from phasenet.maps.synthesis import Problem
from phasenet.pipeline import Solution
from phasenet.search import atom_search
from phasenet.search.network_stage import NetworkSettings

# Each atom's own peak at the origin alone makes maps of any two sets of atoms correlate to about this.
_BY_CHANCE = 0.7
# Right answers of the released weights stay below this.
_LARGE_R = 0.4
_VERDICTS = {
    "solved": "Solved: these atoms leave nothing of the map but the noise that was allowed for.",
    "ambiguous": "Ambiguous: another set of atoms fits as well; both are in log.json.",
    "not solved": "Not solved: more of the map is left than the noise that was allowed for (--noise)."}
UNDETERMINED = "A Patterson map does not tell the hand or the origin: inverted or shifted, the atoms are as good."
_LOGGED_SWAPS = 200  # of each chain of the annealer, evenly chosen


def check_found(answer: Solution) -> None:
    """Raises InputError where there are fewer places than atoms asked for."""
    candidates, asked = int(answer.selected.candidates.valid.sum()), answer.prepared.problem.atoms.num_atoms
    if not np.isfinite(answer.positions).all():
        raise InputError(
            f"{asked} atoms are asked for, but the network's map gives only {candidates} candidate "
            f"position{'s' * (candidates != 1)}: ask for fewer with --num_atoms, or take another "
            "--picker or --weights")


def fitted_map(atoms: jax.Array, problem: Problem) -> jax.Array:
    """The Patterson map (N, N, N) of the atoms (n, 3) found, without noise, its origin at voxel 0."""
    return patterson.patterson(synthesis.atom_map(atoms, problem), h_max=problem.h_max)


def summary(answer: Solution) -> dict:
    """The numbers of the table."""
    numbers = {"num_atoms": len(answer.positions), "candidates": int(answer.selected.candidates.valid.sum()),
               "correlation": float(answer.agreement.correlation), "r_factor": float(answer.agreement.r_factor),
               "status": answer.status}
    if answer.search is None:
        return numbers
    found = answer.search
    return numbers | {
        "found_by": atom_search.STAGES[int(found.stage)], "rounds": int(found.rounds),
        "chi_squared": float(found.answer.quality.chi_squared),
        "largest_deviation_voxels": None if answer.deviations is None else float(np.max(answer.deviations))}


def rows(numbers: dict) -> list[tuple[str, str, str]]:
    """The lines of the table: what, how much, and more about it."""
    lines = [("atoms", f"{numbers['num_atoms']}", ""),
            ("candidates", f"{numbers['candidates']}", "where the network sees an atom, or its inverse"),
            ("correlation", f"{numbers['correlation']:.4f}", "of the Patterson map with that of the atoms found"),
            ("R factor", f"{numbers['r_factor']:.4f}", "of the amplitudes")]
    if numbers.get("largest_deviation_voxels") is not None:
        lines.append(("deviation", f"{numbers['largest_deviation_voxels']:.4f}",
                      "voxel, the largest standard deviation of a coordinate"))
    return lines


def verdict(numbers: dict) -> list[str]:
    """What to believe of the atoms, one line each."""
    lines = [] if numbers["status"] is None else [_VERDICTS[numbers["status"]]]
    if numbers["correlation"] < _BY_CHANCE:
        lines.append("These atoms do not explain the map: any others would fit about as well.")
    elif numbers["r_factor"] > _LARGE_R:
        lines.append("These atoms explain the map in part only.")
    return lines


def table(numbers: dict, timing: dict) -> str:
    """The result in a few lines; timing: wall_seconds and cpu_seconds."""
    return "\n".join([app.table(rows(numbers), timing), *verdict(numbers), UNDETERMINED])


def log(path: str, kind: str, answer: Solution, notes: tuple[str, ...], settings: NetworkSettings, numbers: dict,
        pitch: float | None) -> dict:
    """What log.json tells of the map and the result."""
    found, problem = answer.selected, answer.prepared.problem
    shown, errors = np.asarray(found.candidates.valid), np.asarray(found.errors)
    swaps = np.unique(np.linspace(0, errors.shape[1] - 1, _LOGGED_SWAPS).astype(int))
    result = {
        "input": {"path": path, "kind": kind, "has_f000": answer.prepared.has_f000},
        "notes": notes, "summary": numbers, "pitch_angstrom": pitch, "positions_voxels": answer.positions,
        "positions_angstrom": None if pitch is None else answer.positions.astype(float) * pitch,
        "deviations_voxels": answer.deviations,
        "candidates": {"positions_voxels": np.asarray(found.candidates.positions)[shown],
                       "heights": np.asarray(found.candidates.heights)[shown]},
        "annealing": {"swaps": swaps + 1, "errors": errors[:, swaps]},
        "problem": problem, "settings": settings}
    if answer.status == "ambiguous":
        result["other_positions_voxels"] = np.asarray(answer.search.other)
    return result
