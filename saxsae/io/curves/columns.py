"""Reads curves from text columns: .dat, .csv, .fit, .sub, .txt and their dialects.

The table is the longest run of lines that begin with two or more numbers; every other line is text around it.
Separators are blanks, tabs, commas or semicolons; a comma may also be the decimal point. Exponents may be in Fortran's
forms (1.0D-3, 1.0-103). Lines that begin with #, !, ;, % or // are comments. Called by `measured_curves.read_curve`.
"""

import re
from typing import NamedTuple

import numpy as np

from saxsae.io.curves.units import find_stated_unit

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+|[+-]\d{3})?")
_NOT_A_NUMBER = re.compile(
    r"[+-]?(?:nan|inf|infinity)|[+-]?1\.#(?:qnan|snan|ind|inf)0*|\*+", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eEdD][+-]?\d+)?")
_COMMENT = re.compile(r"\s*(?:[#!;%]|//)")
_TRAILING_COMMENT = re.compile(r"\s(?:[#!%]|//).*")
_SEPARATOR = re.compile(r"\s*[,;]\s*|\s+")
_MIN_ROWS_OF_SECOND_TABLE = 10
# A longer line is read neither as numbers nor as column names: some patterns would take hours on it.
MAX_LINE_CHARACTERS = 4096

# Spellings of the column names, in lower case and without other characters than letters and digits.
_COLUMN_NAMES = {
    "q": {"q", "s", "qvector", "momentumtransfer", "scatteringvector", "qa", "qnm", "qinva"},
    "intensity": {"i", "iq", "is", "int", "intensity", "iexp", "expintensity", "jexp", "iobs",
                  "idata", "data"},
    "sigma": {"sigma", "sigmai", "isigma", "sig", "sigi", "si", "e", "err", "error", "errors",
              "ierr", "iqerr", "erri", "ierror", "errori", "experror", "intensityerror", "sd",
              "isd", "sdev", "std", "istd", "stddev", "stdev", "esd", "di", "diq", "deltai",
              "idev", "uncertainty", "dy"},
    "other": {"fit", "ifit", "icalc", "imodel", "model", "modelintensity", "jreg", "ireg", "calc",
              "dq", "sigmaq", "qsigma", "qerror", "resolution", "flag", "background", "index"},
}


class CurveTable(NamedTuple):
    """The numbers of a curve as they stand in a file, before cleaning; NaN where a number is missing.

    Attributes:
      q: (N,) in the unit of the file, in any order.
      intensity: (N,), unit of the file.
      sigma: (N,) standard deviations of the intensities; None if the file has no such column.
      unit: unit of q that the file states, "1/A" or "1/nm"; None if it states none.
      columns: number of columns in the file.
      notes: what was left out or assumed, one line each.
    """

    q: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray | None
    unit: str | None
    columns: int
    notes: tuple[str, ...]


class TableRows(NamedTuple):
    """One table of a text.

    Attributes:
      values: the numbers of each row; rows may differ in length.
      lines_before: the lines before the table, in their order.
      surrounding_text: all lines that are not rows of the table, joined.
      notes: what was left out or assumed, one line each.
    """

    values: list[list[float]]
    lines_before: list[str]
    surrounding_text: str
    notes: list[str]


class _Row(NamedTuple):
    """The leading numbers of one line, whether text follows them, and whether all are written as integers."""

    line_number: int
    values: list[float]
    has_text: bool
    only_integers: bool

    @property
    def signature(self) -> tuple[int, bool]:
        """Number of columns (at most 3), and whether text follows; equal in most rows of one table."""
        return min(len(self.values), 3), self.has_text


def parse_number(token: str) -> float | None:
    """Returns the value of a token, or None if it is not a number.

    Fortran's exponents (1.0D-3, 1.0-103) are read. Overflow stars (`****`) and the spellings of NaN give NaN; those of
    infinity give +infinity, whatever their sign.

    Args:
      token: a word of a line.
    """
    if _NUMBER.fullmatch(token):
        token = token.lower().replace("d", "e")
        if "e" not in token and re.search(r"\d[+-]", token):
            token = re.sub(r"(?<=[\d.])(?=[+-])", "e", token)
        return float(token)
    if _NOT_A_NUMBER.fullmatch(token):
        return float("inf") if "inf" in token.lower() else float("nan")
    return None


def find_longest_table(text: str) -> TableRows | None:
    """Returns the longest table of numbers in a text, or None if no line begins with two numbers.

    One or two lines of text inside a table do not end the table if q continues after them. Lines of numbers at the ends
    that do not belong to the table, such as the number of points, are left out; the notes say which.

    Args:
      text: the text of a file.
    """
    lines = text.splitlines()
    decimal_comma = _uses_decimal_comma(lines)
    blocks: list[list[_Row]] = [[]]
    text_lines = 0  # since the last row
    skipped = 0  # lines of text inside a table
    for i, line in enumerate(lines, 1):
        if not line.strip() or _COMMENT.match(line):
            continue
        row = _parse_row(i, line, decimal_comma) if len(line) <= MAX_LINE_CHARACTERS else None
        if row is None:
            text_lines += 1
            continue
        if text_lines and blocks[-1]:
            if text_lines <= 2 and row.signature == blocks[-1][-1].signature and _continues_q(
                    *blocks[-1][-2:], row):
                skipped += text_lines
            else:
                blocks.append([])
        text_lines = 0
        blocks[-1].append(row)
    block = max(blocks, key=len)
    if not block:
        return None
    notes = []
    if skipped:
        notes.append(f"{skipped} line{'s' * (skipped > 1)} of text between the rows skipped")
    others = [b for b in blocks if b is not block and len(b) >= _MIN_ROWS_OF_SECOND_TABLE]
    if others:
        notes.append(f"the file has {1 + len(others)} tables: the longest was read "
                     f"(lines {block[0].line_number} to {block[-1].line_number})")
    inner = _strip_foreign_ends(block)
    if len(inner) < len(block):
        kept = {row.line_number for row in inner}
        left_out = [row.line_number for row in block if row.line_number not in kept]
        which = ", ".join(map(str, left_out[:5])) + ", ..." * (len(left_out) > 5)
        plural = "s" * (len(left_out) > 1)
        notes.append(f"{len(left_out)} line{plural} of numbers outside the table left out (line{plural} {which})")
    taken = {row.line_number for row in inner}
    surrounding_text = "\n".join(line for i, line in enumerate(lines, 1) if i not in taken)
    lines_before = [line for i, line in enumerate(lines, 1) if i < inner[0].line_number and i not in taken]
    return TableRows([row.values for row in inner], lines_before, surrounding_text, notes)


def read_columns(text: str) -> CurveTable | None:
    """Returns q, intensity and sigma of the longest table in a text, or None if there is no table.

    The names above the table (q, I, sigma in many spellings) choose the columns. Without names, the first three columns
    are used, or the three after a column that only counts the rows; a table of two columns has no sigma.

    Args:
      text: the text of a file.
    """
    block = find_longest_table(text)
    if block is None:
        return None
    counts = [len(values) for values in block.values]
    columns = max(set(counts), key=counts.count)
    table = np.full((len(counts), columns), np.nan)
    for row, values in zip(table, block.values, strict=True):
        row[:len(values)] = values[:columns]
    notes = list(block.notes)
    headers = [line for line in reversed(block.lines_before) if line.strip()][:3]  # nearest first
    chosen = next(filter(None, (_choose_columns_by_name(line, columns) for line in headers)), None)
    if chosen is None:
        start = int(columns >= 3 and _is_row_counter(table[:, 0]))
        if start:
            notes.append("the first column only counts the rows: skipped")
        chosen = (start, start + 1, start + 2 if columns > start + 2 else None)
    q_column, intensity_column, sigma_column = chosen
    sigma = None if sigma_column is None else table[:, sigma_column]
    unit = next(filter(None, map(find_stated_unit, headers)), None) or find_stated_unit(block.surrounding_text)
    return CurveTable(table[:, q_column], table[:, intensity_column], sigma, unit, columns, tuple(notes))


def _parse_row(line_number: int, line: str, decimal_comma: bool) -> _Row | None:
    """Returns the row that a line holds, or None if the line does not begin with two numbers."""
    line = _TRAILING_COMMENT.sub("", line).strip()
    if decimal_comma:
        line = re.sub(r"(?<=\d),(?=\d)", ".", line)
    tokens = [token.strip("\"'") for token in _SEPARATOR.split(line.rstrip(",; \t"))]
    values: list[float] = []
    for token in tokens:
        value = float("nan") if not token and values else parse_number(token)
        if value is None:
            break
        values.append(value)
    if len(values) < 2:
        return None
    only_integers = all(re.fullmatch(r"[+-]?\d+", token) for token in tokens[:len(values)])
    return _Row(line_number, values, len(values) < len(tokens), only_integers)


def _uses_decimal_comma(lines: list[str]) -> bool:
    """Returns whether most rows of numbers read like "0,01 1,5" or "0,01;1,5", with a comma as decimal point."""
    votes = 0
    for line in lines:
        if _COMMENT.match(line) or not line.strip() or len(line) > MAX_LINE_CHARACTERS:
            continue
        tokens = re.split(r"[;\s]+", line.strip().rstrip(";"))
        if not all(_DECIMAL_COMMA.fullmatch(t) or re.fullmatch(r"[+-]?\d+", t) for t in tokens):
            votes -= parse_number(tokens[0].split(",")[0]) is not None
        elif sum("," in t for t in tokens) >= 2:
            votes += 1
    return votes > 0


def _continues_q(*rows: _Row) -> bool:
    """Returns whether the third row's q continues that of the first two: same direction, less than 20 steps further."""
    if len(rows) < 3:
        return False
    first, second, third = (row.values[0] for row in rows)
    step, ahead = second - first, third - second  # may be infinite or NaN
    return 0 < ahead < 20 * step or 20 * step < ahead < 0


def _strip_foreign_ends(block: list[_Row]) -> list[_Row]:
    """Returns the rows without those at the ends that do not belong to the table: sizes and numbers in footers."""
    signatures = [row.signature for row in block]
    common = max(set(signatures), key=signatures.count)

    def is_foreign(row: _Row, *inward: _Row) -> bool:  # inward: the next two rows towards the middle
        columns, _ = row.signature
        in_table = columns == common[0] and _continues_q(*inward[::-1], row)
        return row.signature != common and not in_table

    start, end = 0, len(block)
    while is_foreign(*block[start:start + 3]):
        start += 1
    while is_foreign(*block[max(end - 3, 0):end][::-1]):
        end -= 1
    head = block[start:start + 3]
    # A line such as "205 3 1" above three columns is the size of the table, if its first number is not a smaller q.
    if len(head) == 3 and head[0].only_integers and not head[1].only_integers:
        start += head[0].values[0] > head[1].values[0] < head[2].values[0]
    return block[start:end]


def _choose_columns_by_name(line: str, columns: int) -> tuple[int, int, int | None] | None:
    """Returns the columns of q, intensity and sigma that a header line names, or None if it does not name all columns.

    Without a name for sigma, the first column of unknown name is taken as sigma.
    """
    if len(line) > MAX_LINE_CHARACTERS:
        return None
    line = re.sub(r"^\s*(?:[#!;%]|//)+", "", line)
    line = re.sub(r"\([^)]*\)|\[[^\]]*\]|<[^>]*>|\"|'", "", line)
    separator = r"[,;\t]" if re.search(r"[,;\t]", line.strip()) else r"\s+"
    words = [re.sub(r"[^a-z0-9]", "", word.lower()) for word in re.split(separator, line.strip())]
    if len(words) != columns:
        return None
    roles = [_role_of_name(word, i) for i, word in enumerate(words)]
    if "q" not in roles or "intensity" not in roles:
        return None
    q, intensity = roles.index("q"), roles.index("intensity")
    if "sigma" in roles:
        return q, intensity, roles.index("sigma")
    unknown = [i for i, role in enumerate(roles) if role is None]
    return q, intensity, unknown[0] if unknown else None


def _role_of_name(word: str, position: int) -> str | None:
    """Returns the key of `_COLUMN_NAMES` for a column name; "s" is q in the first column, sigma in any other."""
    if word == "s" and position > 0:
        return "sigma"
    if re.fullmatch(r"q(?:nm1?|a1?|ang\w*|inv\w*|1nm|1a)", word):
        return "q"
    return next((role for role, names in _COLUMN_NAMES.items() if word in names), None)


def _is_row_counter(column: np.ndarray) -> bool:
    """Returns whether a column (N,) reads 0, 1, 2, ... or 1, 2, 3, ..."""
    return bool(column.size > 2 and column[0] in (0, 1) and np.all(np.diff(column) == 1))
