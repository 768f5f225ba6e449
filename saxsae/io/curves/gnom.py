"""GNOM output (.out), versions 4 and 5: the measured points it was given.

The table headed `S  J EXP  ERROR  J REG  I REG` begins with extrapolated rows of two numbers; a
measured row has five. A file of several runs repeats the table: the last one counts.
"""

import re

import numpy as np

from saxsae.io.curves.columns import LONGEST_LINE, Table

_HEADER = re.compile(r"^[ \t]*S[ \t]+J[ \t]*EXP[ \t]+ERROR[ \t]+J[ \t]*REG[ \t]+I[ \t]*REG", re.MULTILINE)
# Fixed-width columns touch where a number is negative: they are found by form, not by blanks.
_NUMBER = re.compile(
    r"[+-]?(?:\d+\.\d*|\.\d+|\d+)[ed][+-]?\d+|[+-]?\d+\.\d+|\*+|[+-]?nan", re.IGNORECASE)


def is_gnom(text: str) -> bool:
    """Whether the text has GNOM's table of fitted points."""
    return _HEADER.search(text) is not None


def read_gnom(text: str) -> Table:
    """The measured points of a GNOM output; empty where no row has five numbers."""
    headers = list(_HEADER.finditer(text))
    rows = []
    for line in text[headers[-1].end():].splitlines():
        tokens = _NUMBER.findall(line) if len(line) <= LONGEST_LINE else []
        if len(tokens) == 5:
            rows.append([_value(token) for token in tokens[:3]])
        elif line.strip() and len(tokens) != 2:
            break
    q, intensity, sigma = np.array(rows, np.float64).reshape(-1, 3).T
    notes = ["measured points of a GNOM output"]
    if len(headers) > 1:
        notes.append(f"the output has {len(headers)} runs: the last was read")
    return Table(q, intensity, sigma, None, 5, tuple(notes))


def _value(token: str) -> float:
    if token.startswith("*") or token.lower().endswith("nan"):
        return float("nan")
    return float(token.lower().replace("d", "e"))
