"""Reads a crystal from what a crystallographer has: `read_crystal`. Called by `launch.solve`.

1. The content decides the form: MTZ, CIF (.cif, .fcf), SHELX instructions (.ins, .res), or rows h k l F^2 sigma (.hkl).
2. For reflections without a cell, NAME.ins, NAME.res, NAME.cif beside them, or the only such file there, is read, too;
   for instructions without reflections, NAME.hkl.
3. What the user gives overrides the files; the notes name files that disagree.
4. Rows that were not measured are dropped, the others are turned to F^2, and the matrix on HKLF is applied
   (`phasenet.io.reflections.cleaning`).
"""

import os
import pathlib
import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from phasenet.errors import InputError
from phasenet.io.reflections import cif, mtz
from phasenet.io.reflections.cif_blocks import read_blocks
from phasenet.io.reflections.cleaning import squared_intensities, transform_indices
from phasenet.io.reflections.composition import fill_composition
from phasenet.io.reflections.crystal_facts import CrystalFacts, combine_facts, is_electron_wavelength
from phasenet.io.reflections.hklf import ReflectionRows, count_fixed_rows, has_rows_first, read_rows
from phasenet.io.reflections.shelx_instructions import looks_like_instructions, read_instructions
from phasenet.io.reflections.space_groups import (
    check_cell,
    describe_metric_violation,
    operators_from_symbol,
    symbol_of_operators,
)
from phasenet.io.reflections.user_files import facts_of_companions, find_reflections, is_cif, read_start, read_text

_RADIATIONS = ("xray", "electron", "neutron")
_GIVEN = "the command line"


class CrystalFile(NamedTuple):
    """A measured crystal: unmerged reflections, cell, symmetry and composition, as far as the files give them.

    Attributes:
      hkl: (N, 3) int32, indices in the setting of the cell.
      intensity: (N,) float64, F^2 on the scale of the file; negative ones are kept.
      sigma: (N,) float64, their standard deviations, positive.
      batch: (N,) int32, batch numbers; None if the file has none.
      cell: (6,) float64, edges in A, angles in degrees.
      cell_sigma: (6,) float64, their standard deviations, or None.
      operators: triplets of all operators of the space group, centring included; None if no file gives any.
      space_group: symbol of the space group as the file spells it; "" if none does.
      wavelength: in A, or None.
      radiation: "xray", "electron" or "neutron".
      elements: number of atoms of each element in the unit cell; 0 where unknown. Empty if nothing is known.
      z: number of formula units in the unit cell, or None.
      formula: of one formula unit, as the file spells it; "" if no file does.
      hklf: 3 if the file has amplitudes F, 4 if it has F^2.
      matrix: (3, 3) float64 that was applied to the indices, or None.
      twin: what the file says of a twin (TWIN, BASF); "" if nothing.
      instructions: TITL, CELL, ZERR, LATT, SYMM, SFAC and UNIT of the SHELX file, one a line.
      form: what was read, such as "HKLF 4" or "SHELX CIF".
      path: the file of the reflections.
      notes: what was assumed, dropped or passed over, one line each.
    """

    hkl: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    batch: np.ndarray | None
    cell: np.ndarray
    cell_sigma: np.ndarray | None
    operators: tuple[str, ...] | None
    space_group: str
    wavelength: float | None
    radiation: str
    elements: dict[str, float]
    z: int | None
    formula: str
    hklf: int
    matrix: np.ndarray | None
    twin: str
    instructions: tuple[str, ...]
    form: str
    path: str
    notes: tuple[str, ...]


class _Contents(NamedTuple):
    """One file: its rows (None if it has none), its facts, its form, and whether HKLF describes these rows."""

    rows: ReflectionRows | None
    facts: tuple[CrystalFacts, ...]
    form: str
    has_hklf_rows: bool


def looks_like_reflections(path: str | os.PathLike) -> str | None:
    """Returns the form of a file that `read_crystal` reads ("HKLF 4", "SHELX CIF", "CIF", "MTZ", ...), else None.

    Rows h k l F with blanks between the numbers are not claimed: `phasenet.io.amplitudes` reads those.
    """
    path = os.fspath(path)
    try:
        if read_start(path).startswith(mtz.MAGIC):
            return "MTZ"
        text = read_text(path)
    except InputError:
        return None
    if is_cif(text):
        if "_shelx_hkl_file" in text:
            return "SHELX CIF"
        return "CIF" if re.search(r"^\s*_(refln|diffrn_refln|cell)[_.]", text, re.IGNORECASE | re.MULTILINE) else None
    if looks_like_instructions(text) and not has_rows_first(text):
        return "SHELX instructions"
    lines = [line for line in text.splitlines()[:400] if line.strip()]
    is_named_so = pathlib.Path(path).suffix.lower() == ".hkl"
    if len(lines) >= 3 and count_fixed_rows(lines) > 0.9 * len(lines) or is_named_so:
        try:
            rows = read_rows(text, path)
        except InputError as error:
            return "HKLF 5" if ": HKLF 5" in str(error) else None
        return "HKLF 3" if rows.is_amplitude else "HKLF 4"
    return None


def read_crystal(path: str | os.PathLike, *, cell: Iterable[float] | str | None = None, space_group: str | None = None,
                 formula: str | None = None, elements: Iterable[str] | str | None = None,
                 wavelength: float | None = None, radiation: str | None = None,
                 hklf: int | None = None) -> CrystalFile:
    """Reads the reflections of a crystal, its cell, symmetry and composition.

    Args:
      path: reflections (.hkl, .cif, .fcf, .mtz, known by their content), or instructions (.ins, .res) with the
        reflections beside them.
      cell: a, b, c in A and alpha, beta, gamma in degrees; a text may have blanks or commas between them.
      space_group: symbol, any setting.
      formula: of one formula unit, such as "C15 H12 N2 O".
      elements: symbols of the elements, such as "C,H,N,O", where their numbers are not known.
      wavelength: in A.
      radiation: "xray", "electron" or "neutron".
      hklf: 3 if the values are amplitudes F, 4 if they are F^2, where the file does not say.

    Returns:
      The crystal; arguments that are not None override the files.

    Raises:
      InputError: a file is missing, damaged or of another form; no cell is known; the reflections are HKLF 5; or an
        argument has an impossible value.
    """
    path = os.fspath(path)
    given = _facts_of_arguments(cell, space_group, wavelength, radiation, hklf)
    contents = _read_contents(path)
    notes: list[str] = []
    facts = list(contents.facts)
    if contents.rows is None:
        beside = find_reflections(path)
        notes.append(f"{os.path.basename(path)} has no reflections; those of {os.path.basename(beside)} are read")
        path = beside
        contents = _read_contents(path)
        if contents.rows is None:
            raise InputError(f"{path}: no reflections in the file; expected rows h k l F^2 sigma")
        facts += contents.facts
    combined, companion_notes = facts_of_companions(path, facts, given, contents.has_hklf_rows)
    combined = fill_composition(combined, given, formula, elements, path)
    return _assemble(path, contents, combined, given, [*notes, *companion_notes])


def _read_contents(path: str) -> _Contents:
    """Returns what one file holds, by its content.

    Raises:
      InputError: the file is missing, damaged, or of a form that is not read.
    """
    source = os.path.basename(path)
    if read_start(path).startswith(mtz.MAGIC):
        facts, rows = mtz.read_mtz(path, source)
        return _Contents(rows, (facts,), "MTZ", False)
    text = read_text(path)
    if is_cif(text):
        blocks, notes = read_blocks(text)
        found = cif.rows_from_blocks(blocks, path)
        chosen = None if found is None else found[1]
        facts_list = [cif.facts_from_blocks(blocks, source, path, chosen)]
        facts_list[0] = facts_list[0]._replace(notes=(*(f"{source}: {note}" for note in notes), *facts_list[0].notes))
        if found is not None and chosen is not None:
            embedded = cif.embedded_instructions(blocks[chosen], source, path, found[2] == "SHELX CIF")
            facts_list += [embedded] if embedded is not None else []
        if found is None:
            # The head of a CIF, and behind it rows of SHELX that belong to no item, as in a data bank.
            has_bare_rows = (pathlib.Path(path).suffix.lower() == ".hkl" and count_fixed_rows(text.splitlines()) > 5
                             and not any(block.loop("_refln_index_h") for block in blocks))
            return _Contents(read_rows(text, path) if has_bare_rows else None, tuple(facts_list),
                             "HKLF" if has_bare_rows else "CIF", has_bare_rows)
        return _Contents(found[0], tuple(facts_list), found[2], found[2] == "SHELX CIF")
    if looks_like_instructions(text) and not has_rows_first(text):
        facts = read_instructions(text, source, path)
        behind = re.search(r"^HKLF[ \t]+-\d.*$", text, re.IGNORECASE | re.MULTILINE)
        if behind:  # a negative number: the reflections follow in the same file
            return _Contents(read_rows(text[behind.end():], path, text[:behind.end()].count("\n") + 1), (facts,),
                             "SHELX instructions with reflections", True)
        return _Contents(None, (facts,), "SHELX instructions", False)
    if re.search(r"^#\s*(LIST\s+[126]\b|HKLI)", text, re.IGNORECASE | re.MULTILINE):
        raise InputError(f"{path}: commands or lists of CRYSTALS are not read; write the reflections from CRYSTALS as "
                         "a .hkl of SHELX or as a CIF")
    return _Contents(read_rows(text, path), (), "HKLF", True)


def _facts_of_arguments(cell: Iterable[float] | str | None, space_group: str | None, wavelength: float | None,
                        radiation: str | None, hklf: int | None) -> CrystalFacts:
    """Returns what the caller gave as facts.

    Raises:
      InputError: a value is impossible.
    """
    facts = CrystalFacts(_GIVEN)
    if cell is not None:
        words = re.split(r"[\s,;]+", cell.strip()) if isinstance(cell, str) else list(cell)
        try:
            numbers = [float(word) for word in words]
        except (TypeError, ValueError):
            raise InputError(f"--cell={cell}: expected six numbers a,b,c,alpha,beta,gamma") from None
        facts = facts._replace(cell=check_cell(numbers, "--cell"))
    if wavelength is not None:
        if not 1e-3 < wavelength < 20:
            raise InputError(f"--wavelength={wavelength}: expected a wavelength in A, from 0.001 to 20")
        facts = facts._replace(wavelength=float(wavelength))
    if radiation is not None:
        if radiation not in _RADIATIONS:
            raise InputError(f"--radiation={radiation}: expected one of {', '.join(_RADIATIONS)}")
        facts = facts._replace(radiation=radiation)
    if hklf is not None:
        if hklf not in (3, 4):
            raise InputError(f"--hklf={hklf}: expected 3 (amplitudes F) or 4 (F^2)")
        facts = facts._replace(hklf=hklf)
    return facts._replace(space_group=space_group or "")


def _assemble(path: str, contents: _Contents, facts: CrystalFacts, given: CrystalFacts,
              notes: list[str]) -> CrystalFile:
    """Returns the crystal of one file's rows and the facts of all files.

    Raises:
      InputError: no cell is known, or no row is left.
    """
    rows = contents.rows
    assert rows is not None
    if facts.cell is None and looks_like_instructions(rows.tail):
        behind = read_instructions(rows.tail, f"the text behind the rows of {os.path.basename(path)}", path)
        notes.append(f"no other file gives a cell: that in the text behind the rows of {os.path.basename(path)} is "
                     "used")
        facts = combine_facts([facts, behind])
    if facts.cell is None:
        stem = os.path.splitext(os.path.basename(path))[0]
        raise InputError(f"{path}: no unit cell in the file, nor in a {stem}.ins, {stem}.res or {stem}.cif beside it; "
                         "give --cell=a,b,c,alpha,beta,gamma or put one of these files there")
    notes = [f"{os.path.basename(path)}: {note}" for note in rows.notes] + notes + list(facts.notes)
    facts = _with_given_group(facts, given, notes)
    hklf, hklf_notes = _decide_hklf(rows, facts, given, contents.has_hklf_rows)
    notes += hklf_notes
    rows, row_notes = squared_intensities(rows, path, hklf == 3)
    notes += row_notes
    matrix = facts.matrix if contents.has_hklf_rows else None
    if matrix is not None:
        turned, whole, matrix_notes = transform_indices(rows.hkl, matrix, path)
        notes += matrix_notes
        rows = rows._replace(hkl=turned[whole], values=rows.values[whole], sigma=rows.sigma[whole],
                             batch=None if rows.batch is None else rows.batch[whole])
    scales = facts.scales if contents.has_hklf_rows else (1.0, 1.0)
    assert facts.cell is not None
    if facts.operators is None:
        notes.append("no file gives symmetry operators")
    else:
        violation = describe_metric_violation(facts.cell, facts.operators)
        notes += [violation] if violation else []
    radiation = facts.radiation
    if not radiation:
        radiation = "electron" if is_electron_wavelength(facts.wavelength) else "xray"
        notes.append(f"no file names the radiation: {radiation} is assumed" + (
            "" if facts.wavelength is None else f" from the wavelength {facts.wavelength:g} A"))
    if not facts.elements:
        notes.append("no file gives the composition: give --formula or --elements")
    form = f"HKLF {hklf}" if contents.form == "HKLF" else contents.form
    notes.insert(0, f"{os.path.basename(path)}: {form}, {len(rows.hkl)} reflections")
    return CrystalFile(rows.hkl.astype(np.int32), rows.values * scales[0], rows.sigma * scales[1],
                       None if rows.batch is None else np.clip(rows.batch, -2**31, 2**31 - 1).astype(np.int32),
                       facts.cell, facts.cell_sigma, facts.operators, facts.space_group, facts.wavelength, radiation,
                       facts.elements, facts.z, facts.formula, hklf, matrix, facts.twin, facts.instructions, form, path,
                       tuple(dict.fromkeys(notes)))


def _with_given_group(facts: CrystalFacts, given: CrystalFacts, notes: list[str]) -> CrystalFacts:
    """Returns the facts with the space group that the caller names; a file's other operators are noted.

    Raises:
      InputError: the symbol is not known.
    """
    if not given.space_group:
        return facts
    operators = operators_from_symbol(given.space_group, facts.cell)
    if operators is None:
        raise InputError(f"--space_group={given.space_group}: the symbol is not known; expected one such as P21/c, "
                         "'P 1 21/n 1' or 'R -3 c:H'")
    if facts.operators is not None and set(facts.operators) != set(operators):
        notes.append(f"--space_group={given.space_group} is used; the {len(facts.operators)} operators of the file are "
                     f"others ({symbol_of_operators(facts.operators) or 'no tabulated setting'})")
    return facts._replace(operators=operators, space_group=given.space_group)


def _decide_hklf(rows: ReflectionRows, facts: CrystalFacts, given: CrystalFacts,
                 has_hklf_rows: bool) -> tuple[int, list[str]]:
    """Returns 3 if the values of the rows are amplitudes, 4 if they are F^2, and notes."""
    if given.hklf is not None:
        return given.hklf, [f"--hklf={given.hklf} is used"]
    if rows.is_amplitude is not None:
        hklf = 3 if rows.is_amplitude else 4
        if has_hklf_rows and facts.hklf not in (None, hklf):
            return hklf, [f"HKLF {facts.hklf} and the names of the columns disagree; the names are used"]
        return hklf, []
    if facts.hklf is not None:
        return facts.hklf, []
    return 4, ["no file says HKLF 3 or 4: the values are taken for F^2; if they are amplitudes F, give --hklf=3"]
