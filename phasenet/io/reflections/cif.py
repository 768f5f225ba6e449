"""Reads a crystal and its reflections from the blocks of a CIF: core CIF, .fcf, mmCIF, SHELXL's embedded files.

Reflections are looked for in this order: the embedded .hkl file (`_shelx_hkl_file`), F^2, intensities and F of a loop
`_refln_`, intensities of a loop `_diffrn_refln_`. Calculated values are never taken for measured ones.
"""

import re
from typing import NamedTuple

import numpy as np

from phasenet.errors import InputError
from phasenet.io.reflections.cif_blocks import CifBlock
from phasenet.io.reflections.crystal_facts import CrystalFacts, is_electron_wavelength
from phasenet.io.reflections.formulas import parse_formula
from phasenet.io.reflections.hklf import ReflectionRows, read_rows
from phasenet.io.reflections.shelx_instructions import looks_like_instructions, read_instructions
from phasenet.io.reflections.space_groups import check_cell, close_group, operators_from_symbol, parse_triplet

_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?)(?:\((\d+)\))?")
_CELL_TAGS = tuple(f"_cell_length_{edge}" for edge in "abc") + tuple(f"_cell_angle_{angle}" for angle in
                                                                     ("alpha", "beta", "gamma"))
_TRIPLET_TAGS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz", "_symmetry_equiv_pos_as_xyz_",
                 "_symmetry_equiv_as_xyz")
_SYMBOL_TAGS = ("_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m", "_space_group_name_h-m_full",
                "_space_group_name_h-m")
_HALL_TAGS = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_RES_TAGS = ("_shelx_res_file", "_iucr_refine_instructions_details")
_HKL_TAGS = ("_shelx_hkl_file", "_iucr_refine_reflections_details")


class _Columns(NamedTuple):
    """Columns of a loop that hold measured values: tags of the value and of its standard deviation."""

    indices: str
    value: str
    sigmas: tuple[str, ...]
    is_amplitude: bool
    name: str


_MEASURED = (
    _Columns("_refln_index_", "_refln_f_squared_meas", ("_refln_f_squared_sigma", "_refln_f_squared_meas_su",
                                                        "_refln_f_squared_meas_sigma"), False, "F^2"),
    _Columns("_refln_index_", "_refln_intensity_meas", ("_refln_intensity_sigma", "_refln_intensity_meas_su"), False,
             "intensities"),
    _Columns("_refln_index_", "_refln_f_meas", ("_refln_f_sigma", "_refln_f_meas_su", "_refln_f_meas_sigma"), True,
             "F"),
    _Columns("_refln_index_", "_refln_f_meas_au", ("_refln_f_meas_sigma_au",), True, "F"),
    _Columns("_diffrn_refln_index_", "_diffrn_refln_intensity_net",
             ("_diffrn_refln_intensity_u", "_diffrn_refln_intensity_sigma", "_diffrn_refln_intensity_net_su"), False,
             "net intensities"),
)


def number_with_sigma(text: str) -> tuple[float, float]:
    """Returns a number such as "7.716(3)" and its standard deviation, 0.003; NaN for what is absent or no number."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return np.nan, np.nan
    mantissa, _, exponent = match[1].lower().replace("d", "e").partition("e")
    power = int(exponent or 0)
    if abs(power) > 300:
        return np.nan, np.nan
    decimals = len(mantissa.partition(".")[2])
    sigma = float(match[2]) * 10.0 ** (power - decimals) if match[2] else np.nan
    return float(mantissa) * 10.0**power, sigma


def facts_from_blocks(blocks: list[CifBlock], source: str, path: str, chosen: int | None = None) -> CrystalFacts:
    """Returns what a CIF says about its crystal.

    Args:
      blocks: the blocks of the CIF.
      source: name of the file for notes.
      path: path for errors.
      chosen: place of the block that holds the reflections: the cell of that block is taken, or else the first cell.

    Raises:
      InputError: a cell is impossible, or the embedded instructions cannot be read.
    """
    order = list(range(len(blocks)))
    if chosen is not None:
        order.insert(0, order.pop(chosen))
    with_cell = [place for place in order if blocks[place].value("_cell_length_a")]
    block = blocks[with_cell[0]] if with_cell else (blocks[order[0]] if order else CifBlock("", {}, ()))
    notes = []
    if chosen is not None and with_cell and with_cell[0] != chosen:
        notes.append(f"{source}: the cell is that of block {block.name}, the reflections are in "
                     f"{blocks[chosen].name}")
    elif chosen is None and len(with_cell) > 1:
        notes.append(f"{source}: {len(with_cell)} blocks have a cell; {block.name} is used")
    facts = CrystalFacts(source)
    cell, cell_sigma = np.array([number_with_sigma(block.value(tag)) for tag in _CELL_TAGS]).T
    if np.isfinite(cell[:3]).all():
        if np.isnan(cell[3:]).any():
            notes.append(f"{source}: angles of the cell that are not given are taken for 90 degrees")
            cell[3:] = np.where(np.isnan(cell[3:]), 90.0, cell[3:])
        facts = facts._replace(cell=check_cell(cell, f"{path} (block {block.name})"),
                               cell_sigma=np.nan_to_num(cell_sigma) if np.isfinite(cell_sigma).any() else None)
    facts = _with_symmetry(facts, block, source, notes)
    facts = _with_composition(facts, block, source, notes)
    facts = _with_radiation(facts, block, source, notes)
    twin = block.value("_twin_special_details", "_twin_individual_mass_fraction_refined")
    if twin:
        notes.append(f"{source}: a twin; the intensities are not separated")
    return facts._replace(twin=" ".join(twin.split())[:200], notes=tuple(notes))


def embedded_instructions(block: CifBlock, source: str, path: str,
                          describes_rows: bool = True) -> CrystalFacts | None:
    """Returns what the instruction file embedded in a block says, or None if there is none.

    Raises:
      InputError: the embedded file names HKLF 5 or another format that is not read.
    """
    for tag in _RES_TAGS:
        text = block.value(tag)
        if looks_like_instructions(text):
            return read_instructions(text, f"{source} ({tag})", f"{path} ({tag})", describes_rows)
    return None


def _with_symmetry(facts: CrystalFacts, block: CifBlock, source: str, notes: list[str]) -> CrystalFacts:
    """Returns the facts with the operators of a block, from its triplets or else from its symbols."""
    symbol = block.value(*_SYMBOL_TAGS)
    facts = facts._replace(space_group=symbol)
    of_symbol = operators_from_symbol(symbol, facts.cell) if symbol else None
    tag = next((tag for tag in _TRIPLET_TAGS if block.loop(tag) or block.value(tag)), "")
    texts = block.loop(tag).get(tag, []) or ([block.value(tag)] if tag else [])
    if texts:
        try:
            given = [parse_triplet(text) for text in texts]
            operators = close_group(given)
        except ValueError as error:
            notes.append(f"{source}: {error}; the operators are passed over, the symbol is used")
        else:
            if len(operators) > len({operator.triplet() for operator in given}):
                notes.append(f"{source}: {len(given)} symmetry operators were completed to a group of {len(operators)}")
            letter = symbol[:1].upper()
            if letter in "IRFABC" and letter and of_symbol and len(of_symbol) > len(operators):
                completed = close_group(given, letter) if letter != "R" or ":R" not in symbol.upper() else operators
                if set(completed) == set(of_symbol):
                    notes.append(f"{source}: the symmetry operators lack the centring {letter}; it was added")
                    operators = completed
            if of_symbol and set(of_symbol) != set(operators):
                notes.append(f"{source}: the symbol {symbol} and the {len(operators)} symmetry operators of the file "
                             "are not of one setting or group; the operators are used")
            return facts._replace(operators=operators)
    hall = block.value(*_HALL_TAGS)
    for name in filter(None, (symbol, hall)):
        operators_of_name = operators_from_symbol(name, facts.cell)
        if operators_of_name:
            notes.append(f"{source}: no symmetry operators; the {len(operators_of_name)} of {name} are used")
            return facts._replace(operators=operators_of_name, space_group=symbol or hall)
    if symbol or hall:
        notes.append(f"{source}: the space group {symbol or hall} is not known, and there are no symmetry operators")
    return facts


def _with_composition(facts: CrystalFacts, block: CifBlock, source: str, notes: list[str]) -> CrystalFacts:
    """Returns the facts with formula, Z and atoms in the cell of a block."""
    formula = block.value("_chemical_formula_sum", "_chemical_formula_moiety", "_chemical_formula_structural",
                          "_chemical_formula_iupac")
    z_text = block.value("_cell_formula_units_z")
    units = number_with_sigma(z_text)[0] if z_text else np.nan
    z = None
    if np.isfinite(units) and 0 < units < 1e4:
        if round(units) > 0 and abs(units - round(units)) < 1e-3:
            z = round(units)
        else:
            notes.append(f"{source}: Z = {units:g} is no whole number; the atoms in the cell are {units:g} times the "
                         "formula")
    elements: dict[str, float] = {}
    if formula:
        try:
            counts = parse_formula(formula)
        except ValueError as error:
            notes.append(f"{source}: the formula {formula[:40]!r} is passed over: {error}")
            formula = ""
        else:
            factor = (z or units) if np.isfinite(units) and 0 < units < 1e4 else 0.0
            elements = {symbol: round(count * factor, 3) for symbol, count in counts.items()}
    return facts._replace(formula=" ".join(formula.split()), z=z, elements=elements)


def _with_radiation(facts: CrystalFacts, block: CifBlock, source: str, notes: list[str]) -> CrystalFacts:
    """Returns the facts with wavelength and radiation of a block."""
    text = block.value("_diffrn_radiation_wavelength", "_diffrn_radiation_wavelength_wavelength",
                       "_diffrn_source_pdbx_wavelength", "_diffrn_source_pdbx_wavelength_list")
    number = number_with_sigma(text.split(",")[0])[0] if text else np.nan
    wavelength = float(number) if 0 < number < 20 else None
    stated = " ".join(block.value(tag) for tag in ("_diffrn_radiation_probe", "_diffrn_radiation_type",
                                                   "_diffrn_source_source", "_diffrn_source")).lower()
    radiation = ""
    if "neutron" in stated:
        radiation = "neutron"
    elif "electron" in stated and "synchrotron" not in stated and "x-ray" not in stated:
        radiation = "electron"
    elif re.search(r"x-?ray|synchrotron|k[\\ -]*a|sealed tube|rotating.anode", stated) \
            and not is_electron_wavelength(wavelength):
        radiation = "xray"
    if radiation in ("electron", "neutron") and radiation in stated:
        notes.append(f"{source}: the radiation is {radiation}s")
    return facts._replace(wavelength=wavelength, radiation=radiation)


def rows_from_blocks(blocks: list[CifBlock], path: str) -> tuple[ReflectionRows, int, str] | None:
    """Returns the measured reflections of a CIF, the place of their block, and the form; None if it has none.

    Raises:
      InputError: the reflections are calculated ones only, or cannot be read.
    """
    found = []
    for place, block in enumerate(blocks):
        for tag in _HKL_TAGS:
            if _looks_like_rows(block.value(tag)):
                found.append((-1, place, tag))
        for rank, columns in enumerate(_MEASURED):
            loop = next((loop for loop in block.loops if columns.value in loop and columns.indices + "h" in loop), None)
            if loop and any(text not in ("?", ".") for text in loop[columns.value]):
                found.append((rank, place, columns.value))
    if not found:
        calculated = [block for block in blocks for loop in block.loops
                      if "_refln_index_h" in loop and any(tag.endswith("_calc") for tag in loop)]
        if calculated:
            raise InputError(f"{path} (block {calculated[0].name}): the reflections are calculated, no measured F^2 or "
                             "F is among them; give the measured ones")
        return None
    rank, place, tag = min(found)
    notes = [f"block {blocks[other].name} holds reflections, too ({name}): left out"
             for _, other, name in found if other != place]
    notes += [f"{name} of the same block is left out" for _, other, name in found if other == place and name != tag]
    if rank < 0:
        rows = read_rows(blocks[place].value(tag), f"{path} ({tag})")
        form = "SHELX CIF"
    else:
        rows = _rows_of_loop(next(loop for loop in blocks[place].loops if tag in loop and
                                  _MEASURED[rank].indices + "h" in loop), _MEASURED[rank], path)
        form = f"CIF, {_MEASURED[rank].name} of {tag}"
    where = f" of block {blocks[place].name}" if len(blocks) > 1 else ""
    notes.insert(0, f"reflections: {tag}{where}")
    return rows._replace(notes=(*notes, *rows.notes)), place, form


def _looks_like_rows(text: str) -> bool:
    """Returns whether an item holds reflections rather than prose."""
    return len(re.findall(r"^[ \t]*-?\d+[ \t]*-?\d+[ \t]*-?\d+[ \t]*[-\d.]+", text, re.MULTILINE)) > 5


def _rows_of_loop(loop: dict[str, list[str]], columns: _Columns, path: str) -> ReflectionRows:
    """Returns the rows of a loop that has the columns."""
    notes = []
    try:
        hkl = np.array([[number_with_sigma(text)[0] for text in loop[columns.indices + axis]] for axis in "hkl"]).T
    except KeyError as error:
        raise InputError(f"{path}: the loop of {columns.value} has no column {error.args[0]}; expected h, k and l"
                         ) from None
    values, inline = np.array([number_with_sigma(text) for text in loop[columns.value]]).reshape(-1, 2).T
    sigma_tag = next((tag for tag in columns.sigmas if tag in loop), None)
    sigma = inline if sigma_tag is None else np.array([number_with_sigma(text)[0] for text in loop[sigma_tag]])
    if sigma_tag is None and np.isfinite(inline).any():
        notes.append("standard deviations are those in brackets behind the values")
    good = np.isfinite(hkl).all(1) & (np.abs(np.nan_to_num(hkl)) < 1e6).all(1)
    good &= np.abs(np.nan_to_num(hkl) - np.round(np.nan_to_num(hkl))).max(axis=1, initial=0) < 0.01
    if not good.all():
        notes.append(f"{int((~good).sum())} rows without whole indices h k l are left out")
    values = np.where(np.abs(values) < 1e15, values, np.nan)
    flags = loop.get("_refln_observed_status") or loop.get("_refln_status") or loop.get("_refln_include_status") or []
    others = {flag: flags.count(flag) for flag in dict.fromkeys(flags) if flag not in ("o", "<", "?", ".")}
    if others:
        notes.append("flags other than o and < are kept: " + ", ".join(f"{count} with {flag[:10]!r}" for flag, count
                                                                       in list(others.items())[:5]))
    batch = None
    codes = loop.get("_refln_scale_group_code") or loop.get("_diffrn_refln_scale_group_code")
    if codes and all(re.fullmatch(r"[-+]?\d{1,9}", code) for code in codes):
        batch = np.array([int(code) for code in codes], np.int64)
    return ReflectionRows(np.round(hkl[good]).astype(np.int64), values[good], sigma[good],
                          None if batch is None else batch[good], columns.is_amplitude, "", tuple(notes))
