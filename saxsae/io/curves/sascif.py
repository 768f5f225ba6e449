"""sasCIF: the measured intensities of a deposited entry (items `_sas_scan_intensity.*`)."""

import collections
import re

import gemmi
import numpy as np

from phasenet.errors import InputError
from saxsae.io.curves.columns import Table, number
from saxsae.io.curves.units import stated_unit

_CATEGORY = "_sas_scan_intensity."


def is_sascif(text: str) -> bool:
    """Whether a text is a CIF, with a table of intensities or without."""
    return _CATEGORY in text.lower() or (
        "loop_" in text and re.match(r"\s*data_\S+\s*\n", text) is not None)


def read_sascif(text: str, name: str) -> Table:
    """The scan with the most points in a sasCIF text; `name` is for messages.

    Raises:
        InputError: the text is no CIF, or the table lacks momentum_transfer or intensity.
    """
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{name}: broken sasCIF ({' '.join(str(error).split())})") from error
    if not len(document):
        raise InputError(f"{name}: a CIF without a data block")
    block = max(document, key=lambda b: len(b.find(_CATEGORY, ["momentum_transfer"])))
    table = block.find(_CATEGORY, [
        "momentum_transfer", "intensity", "?intensity_su_counting", "?intensity_su", "?scan_id"])
    if not table or not len(table):
        raise InputError(
            f"{name}: a CIF without a table of {_CATEGORY}momentum_transfer and intensity")
    error_column = next((i for i in (2, 3) if table.has_column(i)), None)
    scans = [row[4] if table.has_column(4) else "" for row in table]
    scan = collections.Counter(scans).most_common(1)[0][0]
    rows = [row for row, of in zip(table, scans, strict=True) if of == scan]
    notes = [f"sasCIF entry {block.name[:60]}"]
    if len(set(scans)) > 1:
        notes.append(f"the entry has {len(set(scans))} scans: scan {scan[:40]}, with the most points, "
                     "was read")
    sigma = None if error_column is None else _column(rows, error_column)
    return Table(_column(rows, 0), _column(rows, 1), sigma, _unit(block, scan),
                 2 + (error_column is not None), tuple(notes))


def _column(rows, index: int) -> np.ndarray:
    """Numbers of a column; `.` and `?` are NaN, a standard uncertainty in brackets is cut off."""
    values = (number(gemmi.cif.as_string(row[index]).split("(")[0]) for row in rows)
    return np.array([np.nan if value is None else value for value in values])


def _unit(block: gemmi.cif.Block, scan: str) -> str | None:
    """The unit of q, as `_sas_scan` states it for this scan (or for the only one)."""
    for item in ("unit", "momentum_transfer_units"):
        table = block.find("_sas_scan.", [item, "?id"])
        for row in table:
            if len(table) == 1 or (table.has_column(1) and row[1] == scan):
                return stated_unit(gemmi.cif.as_string(row[0]))
    return None
