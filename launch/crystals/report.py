"""Makes what `launch.solve --reflections` prints, and the content of log.json."""

import pathlib
from typing import Any

from phasenet.crystal_pipeline import CrystalResult
from phasenet.errors import one_line
from phasenet.io.crystal_structures import CrystalStructure, label_atoms
from phasenet.io.reflections.crystal_files import CrystalFile

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
             + f", space group {crystal.space_group or 'not given'}, in the cell: {contents}"]
    return lines + [f"  {note}" for note in crystal.notes]


def list_assumptions(crystal: CrystalFile) -> list[str]:
    """Returns what the written files say although the reflection files do not."""
    assumed = [] if crystal.wavelength else [
        f"no wavelength is given: solution.res and solution.cif say {_DEFAULT_WAVELENGTH} A (Mo K alpha)"]
    return assumed + ([] if crystal.z else ["Z is not known: solution.res says 1"])


def rows(crystal: CrystalFile, result: CrystalResult) -> list[tuple[str, str, str]]:
    """Returns (name, value, remark) of each line of the table."""
    solution, merged = result.best.solution, result.report.merged
    counted: dict[str, int] = {}
    for element in solution.elements:
        counted[element] = counted.get(element, 0) + 1
    return [
        ("R1", f"{solution.r1:.4f}", "over F > 4 sigma(F), without hydrogen"), ("wR2", f"{solution.wr2:.4f}", ""),
        ("space group", result.best.operators.symbol or "-", f"{len(result.tried)} tried"),
        ("resolution", f"{solution.d_min:.2f} A",
         f"{solution.reflections_per_parameter:.1f} reflections per parameter"),
        ("unique reflections", f"{len(merged.hkl)}", f"of {len(crystal.hkl)} measured"),
        ("atoms", f"{len(solution.elements)}", " ".join(f"{symbol}{count}" for symbol, count in counted.items())
         + " in the asymmetric unit"),
        ("symmetry of the map", f"{solution.overlap:.2f}",
         "correlation with its symmetry copies; right maps: 0.3 to 1"),
        ("start", f"{solution.start + 1}", f"of {solution.num_starts}")]


def verdict(result: CrystalResult) -> str:
    """Returns the verdict in one sentence."""
    return _VERDICTS[result.status]


def make_structure(crystal: CrystalFile, result: CrystalResult) -> CrystalStructure:
    """Returns the structure that is written; its title says how far it can be trusted."""
    solution, operators = result.best.solution, result.best.operators
    return CrystalStructure(
        f"{one_line(pathlib.PurePath(crystal.path).stem)[:28]}: {result.status}", crystal.cell, crystal.cell_sigma,
        crystal.wavelength or _DEFAULT_WAVELENGTH, operators.rotations, operators.translations, operators.symbol,
        crystal.z or 0, result.composition, label_atoms(solution.elements), solution.elements,
        solution.positions, solution.b_iso, solution.occupancies, solution.scale, solution.r1, crystal.hklf)


def log(crystal: CrystalFile, result: CrystalResult, structure: CrystalStructure) -> dict[str, Any]:
    """Returns the part of log.json that describes the crystal and the result."""
    solution, data = result.best.solution, result.report
    return {
        "reflections": crystal.path, "form": crystal.form, "status": result.status,
        "notes": [*crystal.notes, *data.notes, *result.notes, *solution.notes, *list_assumptions(crystal)],
        "crystal": {"cell": crystal.cell, "space_group": crystal.space_group, "wavelength": crystal.wavelength,
                    "radiation": crystal.radiation, "z": crystal.z, "formula": crystal.formula,
                    "composition": result.composition},
        "data": {"quality": data.quality, "wilson": data.wilson, "statistics": data.statistics,
                 "merging": data.merged.statistics, "contents": data.contents,
                 "space_groups": [{"symbol": one.symbol, "number": one.number} for one in data.space_groups[:20]]},
        "solution": {name: getattr(solution, name) for name in (
            "r1", "wr2", "overlap", "start", "num_starts", "reflections_per_parameter", "d_min", "scale", "wilson_b",
            "engine", "r1_of_starts", "overlaps_of_starts")},
        "flack": result.flack._asdict() if result.flack is not None else None,
        "tried": [{"space_group": one.operators.symbol, "status": one.solution.status, "r1": one.solution.r1}
                  for one in result.tried],
        "atoms": [{"label": label, "element": element, "position": position, "b_iso": b_iso, "occupancy": occupancy}
                  for label, element, position, b_iso, occupancy in zip(
                      structure.labels, structure.elements, structure.positions, structure.b_iso,
                      structure.occupancies, strict=True)]}
