"""Reads SHELX instruction files (.ins, .res): cell, symmetry, composition, and how the reflections are written.

TITL, CELL, ZERR, LATT, SYMM, SFAC, UNIT, NEUT, HKLF, TWIN and BASF are read, in upper or lower case, with continuation
lines; atoms and all other instructions are ignored. CIFs hold such files, too (`_shelx_res_file`).
"""

import re
from typing import NamedTuple

import numpy as np

from phasenet.errors import InputError
from phasenet.io.reflections.crystal_facts import CrystalFacts
from phasenet.io.reflections.formulas import element_symbol, format_formula
from phasenet.io.reflections.space_groups import check_cell, operators_from_latt

_MAX_Z = 10_000
_READ = ("TITL", "CELL", "ZERR", "LATT", "SYMM", "SFAC", "UNIT", "HKLF", "TWIN", "BASF", "NEUT")
_HANDED_OVER = ("TITL", "CELL", "ZERR", "LATT", "SYMM", "SFAC", "UNIT", "NEUT")


class _Instruction(NamedTuple):
    """One instruction: its name of four letters, the words behind it, its text and the number of its line."""

    name: str
    words: list[str]
    text: str
    line: int


def looks_like_instructions(text: str) -> bool:
    """Returns whether a text holds a SHELX instruction CELL with seven numbers."""
    return any(re.fullmatch(r"\s*CELL(\s+[-+.\d(]\S*){7}.*", line, re.IGNORECASE) for line in text.splitlines())


def read_instructions(text: str, source: str, path: str, describes_rows: bool = True) -> CrystalFacts:
    """Reads the instructions of a text.

    Args:
      text: a file .ins or .res, or what a CIF holds of one.
      source: name of the file for notes.
      path: path for errors.
      describes_rows: whether HKLF describes the reflections; those of a .fcf, for example, it does not.

    Raises:
      InputError: an instruction cannot be read (the message names its line), or HKLF names a format that is not read
        (5 and 6: twins; 1, 2 and 7).
    """
    found = _parse(text)
    notes: list[str] = []
    facts = CrystalFacts(source, instructions=tuple(each.text for each in found if each.name in _HANDED_OVER))
    cells = [each for each in found if each.name == "CELL"]
    if cells:
        numbers = _numbers(cells[0], path)
        if len(numbers) < 7:
            raise InputError(f"{path}, line {cells[0].line}: CELL has {len(numbers)} numbers; expected the wavelength, "
                             "a, b, c, alpha, beta, gamma")
        facts = facts._replace(cell=check_cell(numbers[1:7], f"{path}, line {cells[0].line}"),
                               wavelength=numbers[0] if 0 < numbers[0] < 20 else None)
        if facts.wavelength is None:
            notes.append(f"{source}: the wavelength {numbers[0]:g} on CELL is passed over")
        if len(cells) > 1:
            notes.append(f"{source}: {len(cells)} instructions CELL; the first is used")
    facts, zerr_notes = _with_zerr(facts, found, source, path)
    facts, symmetry_notes = _with_symmetry(facts, found, source, path)
    facts, composition_notes = _with_composition(facts, found, source, path)
    facts, hklf_notes = _with_hklf(facts, found, source, path) if describes_rows else (facts, [])
    twin = "; ".join(each.text for each in found if each.name in ("TWIN", "BASF"))
    if any(each.name == "NEUT" for each in found):
        facts = facts._replace(radiation="neutron")
        notes.append(f"{source}: NEUT, so neutrons")
    if twin:
        notes.append(f"{source}: a twin ({twin}); the intensities are not separated")
    notes += [*zerr_notes, *symmetry_notes, *composition_notes, *hklf_notes]
    return facts._replace(twin=twin, notes=tuple(notes))


def _parse(text: str) -> list[_Instruction]:
    """Returns the instructions of a text up to END, continuation lines joined."""
    for indented in (False, True):  # SHELX passes over indented lines; where it would find no CELL, they are read
        found: list[_Instruction] = []
        lines = text.splitlines()
        number = 0
        while number < len(lines):
            start = number
            line = lines[number].partition("!")[0].rstrip()
            number += 1
            if not line.strip() or (line[0].isspace() and not indented):
                continue
            name = line.split()[0].upper()[:4]
            if name == "END":
                break
            if name not in _READ:
                continue
            while name != "TITL" and line.endswith("=") and number < len(lines):
                line = f"{line[:-1]} {lines[number].partition('!')[0].strip()}"
                number += 1
            words = line.split()
            found.append(_Instruction(name, words[1:], " ".join([words[0].upper(), *words[1:]]), start + 1))
            if name == "HKLF":
                break
        if any(each.name == "CELL" for each in found):
            break
    return found


def _numbers(instruction: _Instruction, path: str) -> list[float]:
    """Returns the words of an instruction as finite numbers; standard deviations in brackets are cut off."""
    numbers = []
    for word in instruction.words:
        try:
            number = float(re.sub(r"\(\d+\)$", "", word))
        except ValueError:
            number = np.nan
        if not np.isfinite(number):
            raise InputError(f"{path}, line {instruction.line}: {word[:30]!r} on {instruction.name} is no number; "
                             "correct the line")
        numbers.append(number)
    return numbers


def _with_zerr(facts: CrystalFacts, found: list[_Instruction], source: str,
               path: str) -> tuple[CrystalFacts, list[str]]:
    """Returns the facts with Z and the standard deviations of the cell from ZERR."""
    for each in (each for each in found if each.name == "ZERR"):
        numbers = _numbers(each, path)
        if len(numbers) < 7:
            return facts, [f"{source}, line {each.line}: ZERR has {len(numbers)} numbers, expected 7; passed over"]
        z = round(numbers[0])
        whole = 0 < z < _MAX_Z and abs(numbers[0] - z) < 1e-3
        notes = [] if whole else [f"{source}: Z = {numbers[0]:g} on ZERR is no whole number; passed over"]
        return facts._replace(z=z if whole else None, cell_sigma=np.array(numbers[1:7])), notes
    return facts, []


def _with_symmetry(facts: CrystalFacts, found: list[_Instruction], source: str,
                   path: str) -> tuple[CrystalFacts, list[str]]:
    """Returns the facts with the operators of LATT and SYMM."""
    latt = [each for each in found if each.name == "LATT"]
    symm = [each for each in found if each.name == "SYMM"]
    if not latt and not symm:
        return facts, [f"{source}: neither LATT nor SYMM, so the file gives no symmetry"] if found else []
    notes = []
    number = 1.0
    if latt:
        number = (_numbers(latt[0], path) or [1.0])[0]
        if len(latt) > 1:
            notes.append(f"{source}: {len(latt)} instructions LATT; the first is used")
    else:
        notes.append(f"{source}: SYMM without LATT; LATT 1 (primitive, centrosymmetric) is assumed, as SHELX does")
    triplets = [part for each in symm for part in " ".join(each.words).split(";") if part.strip()]
    try:
        return facts._replace(operators=operators_from_latt(int(number), triplets)), notes
    except ValueError as error:
        raise InputError(f"{path}, line {(symm or latt)[0].line}: {error}") from None


def _with_composition(facts: CrystalFacts, found: list[_Instruction], source: str,
                      path: str) -> tuple[CrystalFacts, list[str]]:
    """Returns the facts with the atoms in the cell from SFAC and UNIT."""
    notes, symbols = [], []
    for each in (each for each in found if each.name == "SFAC"):
        is_long = len(each.words) > 1 and re.match(r"[-+.\d]", each.words[1])
        for word in each.words[:1] if is_long else each.words:
            symbol = element_symbol(word)
            if symbol is None:
                notes.append(f"{source}, line {each.line}: {word[:20]!r} on SFAC is no element; passed over")
            symbols.append(symbol)
    counts = [number for each in found if each.name == "UNIT" for number in _numbers(each, path)]
    if not symbols:
        if found:
            notes.append(f"{source}: no SFAC, so the elements are not known")
        return facts, notes
    if len(counts) != len(symbols):
        notes.append(f"{source}: {len(symbols)} elements on SFAC, {len(counts)} numbers on UNIT; "
                     + ("missing numbers are unknown (0)" if len(counts) < len(symbols) else "the rest is passed over"))
    elements: dict[str, float] = {}
    for symbol, count in zip(symbols, [*counts, *[0.0] * len(symbols)], strict=False):
        if symbol is not None:
            elements[symbol] = elements.get(symbol, 0.0) + max(count, 0.0)
    unknown = [symbol for symbol, count in elements.items() if count == 0]
    if unknown and len(counts) == len(symbols):
        notes.append(f"{source}: UNIT gives 0 for {', '.join(unknown)}: taken for present in unknown number")
    formula = ""
    if facts.z and not unknown:
        formula = format_formula({symbol: count / facts.z for symbol, count in elements.items()})
    return facts._replace(elements=elements, formula=formula), notes


def _with_hklf(facts: CrystalFacts, found: list[_Instruction], source: str,
               path: str) -> tuple[CrystalFacts, list[str]]:
    """Returns the facts with the format, the scales and the matrix of HKLF."""
    for each in (each for each in found if each.name == "HKLF"):
        numbers = _numbers(each, path)
        kind = abs(int(numbers[0])) if numbers else 4
        if kind in (5, 6):
            raise InputError(f"{path}, line {each.line}: HKLF {kind}, reflections of several twin components that "
                             "overlap, is not read; write the reflections of one component as HKLF 4")
        if kind not in (3, 4):
            raise InputError(f"{path}, line {each.line}: HKLF {kind} is not read; write the reflections as HKLF 4 "
                             "(h k l F^2 sigma) or HKLF 3 (h k l F sigma)")
        notes = []
        matrix, scales = None, (1.0, 1.0)
        if len(numbers) >= 11:
            matrix = np.array(numbers[2:11]).reshape(3, 3)
            if np.abs(matrix).max() > 100 or not abs(np.linalg.det(matrix)) > 1e-3:
                raise InputError(f"{path}, line {each.line}: the matrix on HKLF is singular or has elements above 100; "
                                 "correct it")
            if np.array_equal(matrix, np.eye(3)):
                matrix = None
        elif len(numbers) > 2:
            notes.append(f"{source}, line {each.line}: the matrix on HKLF has {len(numbers) - 2} numbers, not 9; "
                         "passed over")
        scale, sigma_scale = (numbers[place] if len(numbers) > place else 1.0 for place in (1, 11))
        if not all(1e-8 < factor < 1e8 for factor in (scale, sigma_scale)):
            notes.append(f"{source}, line {each.line}: the scales {scale:g} and {sigma_scale:g} on HKLF are passed "
                         "over")
            scale, sigma_scale = 1.0, 1.0
        if (scale, sigma_scale) != (1.0, 1.0):
            scales = (scale, scale * sigma_scale)
            notes.append(f"{source}: HKLF multiplies intensities by {scales[0]:g}, standard deviations by "
                         f"{scales[1]:g}")
        return facts._replace(hklf=kind, matrix=matrix, scales=scales), notes
    return facts, []
