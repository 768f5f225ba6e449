"""Reads measured reflections and the cell of an MTZ file (CCP4), merged or unmerged, with gemmi."""

import os
import re
from typing import Literal

import gemmi
import numpy as np

from phasenet.errors import InputError
from phasenet.io.reflections.crystal_facts import CrystalFacts
from phasenet.io.reflections.hklf import ReflectionRows
from phasenet.io.reflections.space_groups import check_cell

MAGIC = b"MTZ "
# Machine stamps of files with numbers in IEEE format.
_BYTE_ORDERS: dict[bytes, Literal["little", "big"]] = {b"DA": "little", b"\x11\x11": "big"}
_CALCULATED = re.compile(r"FC|F-?MODEL|.*CALC|DELF|PHI|FOM|FWT|2?M?FO-?D?FC", re.IGNORECASE)
# Types of columns in MTZ: intensities and amplitudes, each with the type of its standard deviation; pairs of Friedel
# mates; whether the values are amplitudes.
_MEASURED = (("J", "Q", False, False), ("K", "M", True, False), ("F", "Q", False, True), ("G", "L", True, True))


def read_mtz(path: str, source: str) -> tuple[CrystalFacts, ReflectionRows]:
    """Reads an MTZ file.

    Args:
      path: the file.
      source: name of the file for notes.

    Returns:
      The cell, operators and wavelength, and the rows of the first column of intensities, or else of amplitudes.

    Raises:
      InputError: the file is damaged or has no measured column.
    """
    _check_header(path)
    try:
        mtz = gemmi.read_mtz_file(path)
        if mtz.batches:
            mtz.switch_to_original_hkl()
        with np.errstate(all="ignore"):  # damaged numbers
            table = np.array(mtz, dtype=float, copy=True).reshape(-1, len(mtz.columns))
        names = [column.label for column in mtz.columns]
        types = [column.type for column in mtz.columns]
        facts = _facts(mtz, source, path)
    except InputError:
        raise
    except (ValueError, RuntimeError, OSError, IndexError, MemoryError) as error:
        raise InputError(f"{path}: a damaged MTZ file ({error}); write it again") from None
    if types[:3] != ["H", "H", "H"] or not len(table):
        raise InputError(f"{path}: an MTZ file without reflections; expected columns H, K, L and intensities")
    candidates = [[place for place, kind in enumerate(types)
                   if kind == value_type and not _CALCULATED.match(names[place]) and np.isfinite(table[:, place]).any()]
                  for value_type, *_ in _MEASURED]
    rank = next((rank for rank, places in enumerate(candidates) if places), None)
    if rank is None:
        raise InputError(f"{path}: an MTZ file with the columns {', '.join(names)[:120]}; expected measured "
                         "intensities (type J) or amplitudes (type F)")
    places = candidates[rank]
    _, sigma_type, is_pair, is_amplitude = _MEASURED[rank]
    taken = places[:1 + (is_pair and len(places) > 1)]
    notes = [f"columns {', '.join(names[place] for place in taken)}"]
    if len(places) > len(taken):
        notes.append("columns left out: " + ", ".join(names[place] for place in places[len(taken):]))
    hkl, values, sigma = [], [], []
    for place in taken:
        following = [other for other in range(place + 1, min(place + 3, len(types))) if types[other] == sigma_type]
        present = np.isfinite(table[:, place])
        sign = -1 if place != taken[0] else 1
        hkl.append(sign * table[present, :3])
        values.append(table[present, place])
        sigma.append(table[present, following[0]] if following else np.full(int(present.sum()), np.nan))
    indices = np.concatenate(hkl)
    if not (np.isfinite(indices).all() and np.abs(indices).max(initial=0) < 1e6):
        raise InputError(f"{path}: an MTZ file with indices h k l that are no numbers; write it again")
    rows = ReflectionRows(np.round(indices).astype(np.int64), np.concatenate(values), np.concatenate(sigma),
                          _batches(table, names, taken), is_amplitude, "", tuple(notes))
    return facts, rows


def _check_header(path: str) -> None:
    """Checks that the header lies in the file, because gemmi takes minutes and gigabytes where it does not.

    Raises:
      InputError: the machine stamp is unknown, or the header lies beyond the end.
    """
    with open(path, "rb") as file:
        start = file.read(20)
    order: Literal["little", "big"] | None = _BYTE_ORDERS.get(start[8:10])
    place = 0 if order is None else int.from_bytes(start[4:8], order, signed=True)
    if order is not None and place == -1:  # a long file: 64 bits, behind the stamp
        place = int.from_bytes(start[12:20], order, signed=True)
    if not 20 <= place <= os.path.getsize(path) // 4:
        raise InputError(f"{path}: a damaged MTZ file (its header is not where its first bytes say); write it again")


def _batches(table: np.ndarray, names: list[str], taken: list[int]) -> np.ndarray | None:
    """Returns the batch numbers of an unmerged file, or None."""
    if "BATCH" not in names or len(taken) > 1:
        return None
    batches = table[np.isfinite(table[:, taken[0]]), names.index("BATCH")]
    return batches.astype(np.int64) if np.isfinite(batches).all() and np.abs(batches).max(initial=0) < 1e9 else None


def _facts(mtz: gemmi.Mtz, source: str, path: str) -> CrystalFacts:
    """Returns cell, operators and wavelength of an MTZ file."""
    notes: list[str] = []
    cell = mtz.cell if mtz.cell.is_crystal() or not len(mtz.datasets) else mtz.datasets[-1].cell
    parameters = np.array(cell.parameters, float)
    given = check_cell(parameters, path) if cell.is_crystal() else None
    group = mtz.spacegroup
    operators = None
    if group is None:
        notes.append(f"{source}: the MTZ file names no space group")
    else:
        operators = tuple(sorted((operator.wrap().triplet() for operator in group.operations()),
                                 key=lambda triplet: triplet != "x,y,z"))
    wavelengths = [dataset.wavelength for dataset in mtz.datasets if 0.001 < dataset.wavelength < 20]
    return CrystalFacts(source, cell=given, operators=operators, space_group="" if group is None else group.xhm(),
                        wavelength=wavelengths[-1] if wavelengths else None, notes=tuple(notes))
