"""Reads the measured intensities of a sasCIF file, the format in which SASBDB archives its entries.

The items are `_sas_scan_intensity.*` of the sasCIF dictionary (M. Kachala, J. Westbrook, D. Svergun, J. Appl. Cryst.
49, 302, 2016). Called by `measured_curves.read_curve`.
"""

import collections
import re

import gemmi
import numpy as np

from phasenet.errors import InputError
from saxsae.io.curves.columns import MAX_HEADER_CHARACTERS, CurveTable
from saxsae.io.curves.stated_units import find_stated_unit
from saxsae.io.curves.tables import parse_number

_CATEGORY = "_sas_scan_intensity."


def is_sascif(text: str) -> bool:
    """Returns whether a text is a CIF, with or without a table of intensities."""
    return _CATEGORY in text.lower() or (
        "loop_" in text and re.match(r"\s*data_\S+\s*\n", text) is not None)


def read_sascif(text: str, name: str) -> CurveTable:
    """Returns the scan with the most points, from the data block with the most points.

    Args:
      text: the text of the file.
      name: name of the file, for messages.

    Returns:
      The scan, with q and the intensity in the units of the file.

    Raises:
      InputError: the text breaks the CIF syntax, or has no table with momentum_transfer and intensity.
    """
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{name}: is not valid sasCIF ({' '.join(str(error).split())})") from error
    if not len(document):
        raise InputError(f"{name}: is a CIF without a data block")
    block = max(document, key=lambda b: len(b.find(_CATEGORY, ["momentum_transfer"])))
    table = block.find(_CATEGORY, [
        "momentum_transfer", "intensity", "?intensity_su_counting", "?intensity_su", "?scan_id"])
    if not table or not len(table):
        raise InputError(f"{name}: is a CIF without a table of {_CATEGORY}momentum_transfer and {_CATEGORY}intensity")
    error_column = next((i for i in (2, 3) if table.has_column(i)), None)
    scans = [row[4] if table.has_column(4) else "" for row in table]
    scan = collections.Counter(scans).most_common(1)[0][0]
    rows = [row for row, its_scan in zip(table, scans, strict=True) if its_scan == scan]
    notes = [f"sasCIF entry {block.name[:60]}"]
    if len(set(scans)) > 1:
        notes.append(f"the entry has {len(set(scans))} scans: scan {scan[:40]}, with the most points, was read")
    sigma = None if error_column is None else _parse_column(rows, error_column)
    return CurveTable(_parse_column(rows, 0), _parse_column(rows, 1), sigma, _find_unit(block, scan),
                      2 + (error_column is not None), tuple(notes), text[:MAX_HEADER_CHARACTERS])


def _parse_column(rows: list[gemmi.cif.Table.Row], index: int) -> np.ndarray:
    """Returns the numbers (N,) of a column; `.` and `?` give NaN; a standard uncertainty in brackets is cut off."""
    values = (parse_number(gemmi.cif.as_string(row[index]).split("(")[0]) for row in rows)
    return np.array([np.nan if value is None else value for value in values])


def _find_unit(block: gemmi.cif.Block, scan: str) -> str | None:
    """Returns the unit of q that `_sas_scan` states for a scan, or for the only scan; None if it states none."""
    for item in ("unit", "momentum_transfer_units"):
        table = block.find("_sas_scan.", [item, "?id"])
        for row in table:
            if len(table) == 1 or (table.has_column(1) and row[1] == scan):
                return find_stated_unit(gemmi.cif.as_string(row[0]))
    return None
