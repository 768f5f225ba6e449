"""Reads the measured points of GNOM output (.out), versions 4 and 5 (D. I. Svergun, J. Appl. Cryst. 25, 495, 1992).

The table headed `S  J EXP  ERROR  J REG  I REG` begins with extrapolated rows of two numbers; a measured row has five.
A file of several runs repeats the table; the last one is read. Called by `measured_curves.read_curve`.
"""

import re

import numpy as np

from saxsae.io.curves.columns import MAX_HEADER_CHARACTERS, CurveTable
from saxsae.io.curves.tables import MAX_LINE_CHARACTERS

_HEADER = re.compile(r"^[ \t]*S[ \t]+J[ \t]*EXP[ \t]+ERROR[ \t]+J[ \t]*REG[ \t]+I[ \t]*REG", re.MULTILINE)
# Columns of fixed width touch if a number is negative, so this pattern finds the numbers, not the blanks between them.
_NUMBER = re.compile(
    r"[+-]?(?:\d+\.\d*|\.\d+|\d+)[ed][+-]?\d+|[+-]?\d+\.\d+|\*+|[+-]?nan", re.IGNORECASE)


def is_gnom(text: str) -> bool:
    """Returns whether a text has GNOM's table of fitted points."""
    return _HEADER.search(text) is not None


def read_gnom(text: str) -> CurveTable:
    """Returns the measured points of a GNOM output; `unit` is None, because the format does not state the unit of q.

    Args:
      text: a text for which `is_gnom` is true. If no row of the table has five numbers, the result has no points.
    """
    headers = list(_HEADER.finditer(text))
    rows = []
    for line in text[headers[-1].end():].splitlines():
        tokens = _NUMBER.findall(line) if len(line) <= MAX_LINE_CHARACTERS else []
        if len(tokens) == 5:
            rows.append([_parse_token(token) for token in tokens[:3]])
        elif line.strip() and len(tokens) != 2:
            break
    q, intensity, sigma = np.array(rows, np.float64).reshape(-1, 3).T
    notes = ["measured points of a GNOM output"]
    if len(headers) > 1:
        notes.append(f"the output has {len(headers)} runs: the last was read")
    start = headers[-1].start()
    header_text = text[max(start - MAX_HEADER_CHARACTERS, 0):start]
    return CurveTable(q, intensity, sigma, None, 5, tuple(notes), header_text)


def _parse_token(token: str) -> float:
    """Returns the value of a match of `_NUMBER`; overflow stars give NaN."""
    if token.startswith("*") or token.lower().endswith("nan"):
        return float("nan")
    return float(token.lower().replace("d", "e"))
