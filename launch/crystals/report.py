"""Makes what `launch.solve --reflections` prints, and the content of log.json."""

import pathlib
from typing import Any

import numpy as np

from launch.crystals.evidence import Evidence
from phasenet.crystal.plausibility import fraction_bonded
from phasenet.crystal.refinement.density_maps import DifferencePeak
from phasenet.crystal.refinement.twinning import describe_law
from phasenet.crystal.solve import CandidateModel
from phasenet.crystal_pipeline import CrystalResult
from phasenet.errors import one_line
from phasenet.io.crystal_structures import CrystalStructure, TwinComponent, format_uncertain, label_atoms
from phasenet.io.reflections.crystal_files import CrystalFile
from phasenet.io.reflections.space_groups import symbol_of_operators

_VERDICTS = {
    "solved": "Solved: the atoms explain the reflections as well as these data allow. Hydrogen atoms are not placed.",
    "ambiguous": "Ambiguous: the atoms explain much of the data, but so few reflections, or such an R1, prove nothing.",
    "not solved": "Not solved: the atoms do not explain the reflections; do not use them. Cell, space group or "
                  "composition may be wrong, or the data end too early."}
_DEFAULT_WAVELENGTH = 0.71073  # Mo K alpha; only written where the files state none


def describe_crystal(crystal: CrystalFile) -> list[str]:
    """Returns lines that describe what was read."""
    contents = " ".join(f"{symbol}{count:g}" for symbol, count in crystal.elements.items()) or "not known"
    lines = [f"{crystal.path}: {crystal.form}, {len(crystal.hkl)} reflections, {crystal.radiation}",
             "  cell " + " ".join(f"{value:g}" for value in crystal.cell)
             + f", space group {_name_group(crystal) or 'not given'}, in the cell: {contents}"]
    return lines + [f"  {note}" for note in crystal.notes]


def _name_group(crystal: CrystalFile) -> str:
    """Returns the symbol that the files give, or that of their operators."""
    return crystal.space_group or (symbol_of_operators(crystal.operators) if crystal.operators else "")


def list_notes(crystal: CrystalFile, result: CrystalResult) -> list[str]:
    """Returns the notes of the solution, and notes on values that the written files assume."""
    notes = [*result.report.notes, *result.notes, *result.best.solution.notes]
    if not crystal.wavelength:
        notes.append(f"no wavelength is given: solution.res and solution.cif say {_DEFAULT_WAVELENGTH} A (Mo K alpha)")
    if not crystal.z:
        notes.append("Z is not known: solution.res says 1")
    if list_others(result) and "C" in result.best.solution.elements:
        first, *others = (fraction_bonded(model, crystal.cell, result.best.operators)
                          for model in result.best.solution.candidates)
        named = ", ".join(f"{share:.0%} in candidate_{number}" for number, share in enumerate(others, 2))
        notes.append(f"C, N and O atoms with a neighbour at the length of a bond: {first:.0%} in the solution, {named}")
    return notes


def rows(crystal: CrystalFile, result: CrystalResult, evidence: Evidence) -> list[tuple[str, str, str]]:
    """Returns (name, value, remark) of each line of the table."""
    solution, merged = result.best.solution, result.report.merged
    labels = label_atoms(solution.elements)
    counted: dict[str, int] = {}
    for element in solution.elements:
        counted[element] = counted.get(element, 0) + 1
    return [
        ("R1", f"{solution.r1:.4f}", "over F > 4 sigma(F), without hydrogen"), ("wR2", f"{solution.wr2:.4f}", ""),
        *([] if solution.twin is None else [
            ("twin", format_uncertain(solution.twin.fraction, solution.twin.sigma),
             f"share of the second component, {describe_law(solution.twin.law)}")]),
        ("space group", result.best.operators.symbol or "-", f"{len(result.tried)} tried"),
        ("resolution", f"{solution.d_min:.2f} A",
         f"{solution.reflections_per_parameter:.1f} reflections per parameter"),
        ("unique reflections", f"{len(merged.hkl)}", f"of {len(crystal.hkl)} measured"),
        ("unique atoms", f"{len(solution.elements)}", " ".join(f"{symbol}{count}" for symbol, count in counted.items())
         + " in the asymmetric unit"),
        ("highest difference", *_describe_peak(evidence.highest, evidence.maps.unit, labels)),
        ("deepest difference", *_describe_peak(evidence.deepest, evidence.maps.unit, labels)),
        ("symmetry of the map", f"{solution.overlap:.2f}",
         "correlation with its symmetry copies; right maps: 0.3 to 1"),
        ("start", f"{solution.start + 1}", f"of {solution.num_starts}: {solution.engine}")]


def _describe_peak(peak: DifferencePeak, unit: str, labels: tuple[str, ...]) -> tuple[str, str]:
    """Returns the height of a peak of the difference map, and its place, as the table shows them."""
    place = " ".join(f"{value:.3f}" for value in peak.position)
    return f"{peak.height:+.2f} {unit}", f"at {place}, {peak.distance:.2f} A from {labels[peak.atom]}"


def verdict(result: CrystalResult) -> str:
    """Returns the verdict in one sentence, and a second one where other models were written."""
    others = "" if not list_others(result) else " The other candidates fit nearly as well; one of them may be right."
    return _VERDICTS[result.status] + others


def list_others(result: CrystalResult) -> tuple[CandidateModel, ...]:
    """Returns the models beside the best one that an ambiguous crystal may have instead."""
    return result.best.solution.candidates[1:] if result.status == "ambiguous" else ()


def make_structure(crystal: CrystalFile, result: CrystalResult) -> CrystalStructure:
    """Returns the structure that is written; its title says how far it can be trusted."""
    solution, operators = result.best.solution, result.best.operators
    return CrystalStructure(
        f"{one_line(pathlib.PurePath(crystal.path).stem)[:28]}: {result.status}", crystal.cell, crystal.cell_sigma,
        crystal.wavelength or _DEFAULT_WAVELENGTH, operators.rotations, operators.translations, operators.symbol,
        crystal.z or 0, result.composition, label_atoms(solution.elements), solution.elements,
        solution.positions, solution.standard_deviations / crystal.cell[:3], solution.b_iso, solution.occupancies,
        solution.scale, solution.r1, crystal.hklf, None if solution.twin is None else TwinComponent(*solution.twin))


def make_candidates(structure: CrystalStructure, result: CrystalResult) -> list[CrystalStructure]:
    """Returns the structures of the models that `list_others` returns, for files numbered from 2."""
    return [structure._replace(
        title=f"{structure.title}, {number}", labels=label_atoms(model.elements), elements=model.elements,
        positions=model.positions, standard_deviations=np.zeros_like(model.positions), b_iso=model.b_iso,
        occupancies=model.occupancies, r1=model.r1, twin=None if model.twin is None else TwinComponent(*model.twin),
    ) for number, model in enumerate(list_others(result), 2)]


def log(crystal: CrystalFile, result: CrystalResult, evidence: Evidence,
        structure: CrystalStructure) -> dict[str, Any]:
    """Returns the part of log.json that describes the crystal and the result."""
    solution, data = result.best.solution, result.report
    return {
        "reflections": crystal.path, "form": crystal.form, "status": result.status,
        "notes": [*crystal.notes, *list_notes(crystal, result)],
        "crystal": {"cell": crystal.cell, "space_group": crystal.space_group, "wavelength": crystal.wavelength,
                    "radiation": crystal.radiation, "z": crystal.z, "formula": crystal.formula,
                    "composition": result.composition},
        "data": {"quality": data.quality, "wilson": data.wilson, "statistics": data.statistics,
                 "merging": data.merged.statistics, "contents": data.contents,
                 "space_groups": [{"symbol": one.symbol, "number": one.number} for one in data.space_groups[:20]]},
        "solution": {name: getattr(solution, name) for name in (
            "r1", "wr2", "overlap", "start", "num_starts", "reflections_per_parameter", "d_min", "scale", "wilson_b",
            "engine", "r1_of_starts", "engines_of_starts", "overlaps_of_starts")},
        "twin": solution.twin._asdict() if solution.twin is not None else None,
        "flack": result.flack._asdict() if result.flack is not None else None,
        "tried": [{"space_group": one.operators.symbol, "status": one.solution.status, "r1": one.solution.r1}
                  for one in result.tried],
        "maps": {"unit": evidence.maps.unit, "voxels": evidence.maps.density.shape,
                 "difference_sigma": float(evidence.maps.difference.std()),
                 "highest": _log_peak(evidence.highest, structure), "deepest": _log_peak(evidence.deepest, structure)},
        "r1_by_resolution": [{"d_min": end, "r1": r1, "reflections": count} for end, r1, count in zip(
            evidence.shell_ends, evidence.shell_r1, evidence.shell_counts, strict=True)],
        "atoms": [{"label": label, "element": element, "position": position, "standard_deviation": deviation,
                   "b_iso": b_iso, "occupancy": occupancy}
                  for label, element, position, deviation, b_iso, occupancy in zip(
                      structure.labels, structure.elements, structure.positions, structure.standard_deviations,
                      structure.b_iso, structure.occupancies, strict=True)],
        "candidates": [{"r1": one.r1, "fraction_bonded": fraction_bonded(one, crystal.cell, result.best.operators),
                        "elements": one.elements, "positions": one.positions} for one in list_others(result)]}


def _log_peak(peak: DifferencePeak, structure: CrystalStructure) -> dict[str, Any]:
    """Returns a peak of the difference map with the label of the nearest atom."""
    return {"height": peak.height, "position": peak.position, "nearest_atom": structure.labels[peak.atom],
            "distance_angstrom": peak.distance}
