"""Completes the composition of a crystal: the caller's formula or elements, and Z where no file gives it."""

from collections.abc import Iterable

import gemmi
import numpy as np

from phasenet.errors import InputError
from phasenet.io.reflections.crystal_facts import CrystalFacts
from phasenet.io.reflections.formulas import format_formula, parse_elements, parse_formula
from phasenet.io.reflections.space_groups import metric_tensor, operators_from_symbol

# Mean volume of a non-hydrogen atom in crystals of molecules, A^3.
_ATOM_VOLUME = 18.0


def fill_composition(facts: CrystalFacts, given: CrystalFacts, formula: str | None,
                     elements: Iterable[str] | str | None, path: str) -> CrystalFacts:
    """Returns the facts with the atoms in the cell of the caller's formula or elements, or of the file's formula.

    If Z is not known, it is estimated from the volume of the cell, 18 A^3 for each non-hydrogen atom. Crystals without
    carbon need anything from 9 to 30 A^3, so for them the numbers of atoms stay unknown.

    Args:
      facts: of the files.
      given: of the caller, for its space group.
      formula: the caller's formula, or None.
      elements: the caller's elements, or None.
      path: path for errors.

    Raises:
      InputError: the caller's formula or elements cannot be read.
    """
    notes = list(facts.notes)
    try:
        counts = parse_formula(formula) if formula is not None else None
    except ValueError as error:
        raise InputError(f"--formula={formula}: {error}; expected one such as 'C15 H12 N2 O'") from None
    try:
        symbols = parse_elements(elements) if elements is not None else ()
    except ValueError as error:
        raise InputError(f"--elements={elements}: {error}") from None
    if counts is None and facts.formula and not any(facts.elements.values()):
        try:
            counts = parse_formula(facts.formula)
        except ValueError:
            counts = None
    if counts is not None:
        z = facts.z
        if z is None and "C" in counts:
            z = _estimate_z(counts, facts, given.space_group)
            notes.append("Z is not given, nor a cell" if z is None else
                         f"Z is not given: Z = {z} is estimated from {_ATOM_VOLUME:g} A^3 for each non-hydrogen atom")
        elif z is None:
            notes.append("Z is not given, and the volume of a crystal without carbon does not tell it: the numbers of "
                         "atoms are not known; UNIT or ZERR of an .ins would tell them")
        in_cell = {symbol: round(count * (z or 0), 3) for symbol, count in counts.items()}
        if formula is not None and any(facts.elements.values()) and in_cell != facts.elements:
            notes.append(f"--formula: {format_formula(in_cell)} in the cell, the files give "
                         f"{format_formula(facts.elements)}; the formula is used")
        facts = facts._replace(formula=formula or facts.formula, elements=in_cell, z=z)
    if symbols:
        passed_over = [symbol for symbol in facts.elements if symbol not in symbols]
        if passed_over:
            notes.append(f"--elements leaves out {', '.join(passed_over)} of the files")
        facts = facts._replace(elements={symbol: facts.elements.get(symbol, 0.0) for symbol in symbols})
        unknown = [symbol for symbol, count in facts.elements.items() if count == 0]
        if unknown:
            notes.append(f"--elements: the number of {', '.join(unknown)} atoms is not known")
    return facts._replace(notes=tuple(notes))


def _estimate_z(counts: dict[str, float], facts: CrystalFacts, space_group: str) -> int | None:
    """Returns the multiple or divisor of the group's order nearest to the number of formulas that fill the cell."""
    atoms = sum(count for symbol, count in counts.items() if gemmi.Element(symbol).atomic_number > 1)
    if facts.cell is None or not atoms:
        return None
    ratio = float(np.sqrt(np.linalg.det(metric_tensor(facts.cell)))) / (_ATOM_VOLUME * atoms)
    operators = (operators_from_symbol(space_group, facts.cell) if space_group else None) or facts.operators
    operators = operators or ("x,y,z",)
    order = len(operators)
    lattice_points = sum(gemmi.Op(operator).rot == gemmi.Op("x,y,z").rot for operator in operators)
    candidates = {order * factor for factor in range(1, 25)}
    candidates |= {order // part for part in range(1, order + 1) if order % (part * lattice_points) == 0}
    return min(candidates, key=lambda z: abs(np.log(z / ratio)))
