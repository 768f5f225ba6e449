"""Writes report.html, the page that shows the result of `launch.solve --reflections`."""

import pathlib
from typing import Any

import numpy as np

from launch.crystals import report
from launch.crystals.evidence import Evidence
from launch.pages import page
from phasenet.crystal import connectivity, symmetry_copies
from phasenet.crystal.lattice import orthogonalization_matrix
from phasenet.crystal.refinement import verdict
from phasenet.crystal.symmetry_copies import CopiedAtoms
from phasenet.crystal_pipeline import CrystalResult
from phasenet.io.crystal_structures import CrystalStructure, format_triplet, format_uncertain
from phasenet.io.reflections.crystal_files import CrystalFile

_MAX_GROUPS = 12  # rows of the table of space groups
_MAX_BONDS = 500
_MAX_SHOWN = 700  # atoms of a picture
_MAX_GROWTH = 4  # times that a picture can grow
_MAX_VOXELS = 600_000  # of a map in the page; a larger one has every second voxel only
_SHOWN_SIGMAS = {"density": (0.0, 12.0), "difference": (-9.0, 9.0)}  # range of a map in the page
_NO_WEIGHTS = {"name": "none"}
# Flags of `launch.solve` that mean nothing with --reflections.
_FLAGS_OF_MAPS = ("patterson", "amplitudes", "num_atoms", "pitch", "picker", "refine", "noise")


def write(folder: pathlib.Path, crystal: CrystalFile, result: CrystalResult, evidence: Evidence,
          structure: CrystalStructure, log: dict[str, Any]) -> None:
    """Writes report.html; the same seed gives the same page, because the times of the log are not in it.

    Args:
      folder: the output folder.
      crystal: the content of the input files.
      result: the solved, or not solved, crystal.
      evidence: on its best model.
      structure: as it is written to the other files.
      log: content of log.json.
    """
    name = pathlib.PurePath(crystal.path).name
    matrix = orthogonalization_matrix(crystal.cell)
    bonds = _bonds(crystal, result, structure)
    used = {flag: value for flag, value in log["flags"].items() if flag not in _FLAGS_OF_MAPS}
    page.write(folder, "crystal", f"{name}: atoms of a crystal", {
        "name": name, "status": result.status, "lead": report.verdict(result),
        "rows": report.rows(crystal, result, evidence), "notes": log["notes"],
        "provenance": page.select_provenance(log | {"weights": log["weights"] or _NO_WEIGHTS, "flags": used}),
        "cell": {"matrix": page.round_to_digits(matrix, 7), "inverse": page.round_to_digits(np.linalg.inv(matrix), 7),
                 "turn": page.round_to_digits(_principal_axes(structure.positions @ matrix.T), 7)},
        "atoms": _atoms(crystal, result, structure), "bonds": bonds[:_MAX_BONDS],
        "num_bonds": len(bonds), "views": _views(crystal, result, matrix), "maps": _maps(evidence),
        "wilson": _wilson(evidence), "shells": {
            "d": page.round_to_digits(evidence.shell_ends, 4), "r1": page.round_to_digits(evidence.shell_r1, 4),
            "reflections": evidence.shell_counts},
        "groups": _groups(result), "limits": _limits(result)})


def _atoms(crystal: CrystalFile, result: CrystalResult, structure: CrystalStructure) -> dict[str, Any]:
    """Returns the table of the unique atoms, with the radii that the picture draws."""
    multiplicities = symmetry_copies.site_multiplicities(structure.positions, crystal.cell, result.best.operators)
    orders = len(structure.rotations) / multiplicities
    return {
        "labels": structure.labels, "elements": structure.elements,
        "radii": page.round_to_digits(connectivity.covalent_radii(structure.elements), 3),
        "coordinates": [list(map(format_uncertain, *pair)) for pair in zip(
            structure.positions, structure.standard_deviations, strict=True)],
        "b_iso": page.round_to_digits(structure.b_iso, 4),
        "occupancies": page.round_to_digits(structure.occupancies * orders, 4), "multiplicities": multiplicities}


def _bonds(crystal: CrystalFile, result: CrystalResult, structure: CrystalStructure) -> list[list[str]]:
    """Returns for each bond both labels, the length in Angstrom, and the operator where the second atom is a copy."""
    operators = result.best.operators
    bonds = connectivity.find_bonds(structure.positions, structure.elements, crystal.cell, operators)
    # The atoms' own standard deviations, taken as independent and alike in all directions.
    deviations = np.sqrt(np.square(structure.standard_deviations * crystal.cell[:3]).mean(1))
    rows, seen = [], set()
    for first, second, operator, shift, length in zip(*bonds, strict=True):
        key = (min(first, second), max(first, second), round(length, 3))
        is_own = operator == 0 and not shift.any()
        if first > second or key in seen and not is_own:
            continue
        seen.add(key)
        own = "" if is_own else format_triplet(operators.rotations[operator], operators.translations[operator] + shift)
        deviation = 2 * deviations[first] if first == second else np.hypot(deviations[first], deviations[second])
        rows.append([structure.labels[first], structure.labels[second], format_uncertain(length, deviation), own])
    return rows


def _views(crystal: CrystalFile, result: CrystalResult, matrix: np.ndarray) -> dict[str, list[dict[str, Any]]]:
    """Returns the pictures: the unique atoms and how they grow, and the whole cell unless it has too many atoms.

    Each picture has the unique atom of each atom, its position in Angstrom, and the pairs that are bonded.
    """
    solution, operators = result.best.solution, result.best.operators
    unique = symmetry_copies.prepare_unique(solution.positions, solution.molecules, solution.elements, crystal.cell,
                                            operators)
    stages = [symmetry_copies.show_unique(unique)]
    for _ in range(_MAX_GROWTH):
        grown = symmetry_copies.grow(stages[-1], unique)
        if len(grown.sources) == len(stages[-1].sources) or len(grown.sources) > _MAX_SHOWN:
            break
        stages.append(grown)
    cell = symmetry_copies.fill_cell(unique)

    def describe(atoms: CopiedAtoms) -> dict[str, Any]:
        return {"sources": atoms.sources, "points": page.round_to_digits(atoms.positions @ matrix.T, 5),
                "bonds": symmetry_copies.bonded_pairs(atoms, unique)}

    return {"grown": [describe(stage) for stage in stages],
            "cell": [describe(cell)] if len(cell.sources) <= 2 * _MAX_SHOWN else []}


def _maps(evidence: Evidence) -> dict[str, Any]:
    """Returns both maps in 256 steps about the levels that are shown, with their unit and standard deviation."""
    step = 1 if evidence.maps.density.size <= _MAX_VOXELS else 2
    shown: dict[str, Any] = {"unit": evidence.maps.unit}
    for name, (low, high) in _SHOWN_SIGMAS.items():
        values = getattr(evidence.maps, name)
        sigma = max(float(values.std()), 1e-9)
        shown[name] = {"map": page.pack_map(values[::step, ::step, ::step], low * sigma, high * sigma),
                       "sigma": float(f"{sigma:.4g}")}
    return shown


def _wilson(evidence: Evidence) -> dict[str, Any]:
    """Returns the points of the Wilson plot and the fitted line."""
    line = evidence.wilson
    return {"s2": page.round_to_digits(evidence.wilson_s2, 5), "log": page.round_to_digits(evidence.wilson_log, 5),
            "log_scale": float(np.log(line.scale)), "b": line.b, "b_sigma": line.b_sigma}


def _groups(result: CrystalResult) -> list[dict[str, Any]]:
    """Returns the space groups that were tried, then those that rank highest, with their figures."""
    ranked = {one.symbol: (rank, one) for rank, one in enumerate(result.report.space_groups, 1)}
    tried = {one.operators.symbol: one for one in result.tried}
    answer = result.best.operators.symbol
    tried.setdefault(answer, result.best)  # the other of a pair like P 41 and P 43, where the hand says so
    names = list(dict.fromkeys([*tried, *ranked]))[:_MAX_GROUPS]
    rows = []
    for name in names:
        rank, candidate = ranked.get(name, (None, None))
        one = tried.get(name)
        rows.append({
            "symbol": name, "rank": rank, "number": candidate and candidate.number,
            "probability": candidate and candidate.probability, "violated": candidate and candidate.num_violated,
            "status": one and one.solution.status, "r1": one and one.solution.r1,
            "is_answer": name == answer})
    return rows


def _limits(result: CrystalResult) -> dict[str, Any]:
    """Returns the limits of R1 at reflections per parameter; those of this result, "here", are at index "place"."""
    solution = result.best.solution
    here = solution.reflections_per_parameter
    at = np.sort(np.append(np.linspace(0.5, max(16.0, 1.3 * here), 240), here))
    fraction = 0.0 if solution.twin is None else solution.twin.fraction
    limits = np.array([verdict.r1_limits(value, solution.composition_known, fraction) for value in at])
    return {"at": page.round_to_digits(at, 4), "proves": limits[:, 0], "disproves": limits[:, 1],
            "here": [here, solution.r1], "place": int(np.searchsorted(at, here))}


def _principal_axes(points: np.ndarray) -> np.ndarray:
    """Returns the rotation (3, 3) after which points (n, 3) are widest along x and flattest along z."""
    if len(points) < 3:
        return np.eye(3)
    _, axes = np.linalg.eigh(np.cov(points.T))
    first, second = (axis * np.sign(axis[np.abs(axis).argmax()]) for axis in (axes[:, 2], axes[:, 1]))
    return np.stack([first, second, np.cross(first, second)])
