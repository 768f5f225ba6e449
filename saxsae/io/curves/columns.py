"""Tables of numbers in text: the many dialects of .dat, .csv, .fit, .sub, .txt.

The table is the longest run of lines with two or more leading numbers and the same number of
columns; every other line is text around it. Separators are blanks, tabs, commas or semicolons,
decimal commas are told from separators, exponents may be Fortran's (1.0D-3, 1.0-103), and lines
that begin with #, !, ;, % or // are comments.
"""

import re
from typing import NamedTuple

import numpy as np

from saxsae.io.curves.units import stated_unit

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+|[+-]\d{3})?")
_NOT_A_NUMBER = re.compile(
    r"[+-]?(?:nan|inf|infinity)|[+-]?1\.#(?:qnan|snan|ind|inf)0*|\*+", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eEdD][+-]?\d+)?")
_COMMENT = re.compile(r"\s*(?:[#!;%]|//)")
_TRAILING_COMMENT = re.compile(r"\s(?:[#!%]|//).*")
_SEPARATOR = re.compile(r"\s*[,;]\s*|\s+")
_ROWS_OF_A_SECOND_TABLE = 10
# Characters. A longer line is no row and no names of columns: looked through as such it would take hours.
LONGEST_LINE = 4096

_NAMES = {
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


class Table(NamedTuple):
    """A table as read. q, intensity: (N,).   sigma: (N,), or None without such a column.

    unit: of q as the file states it, or None.   columns: how many the file has.
    notes: what was left out or assumed.
    """

    q: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray | None
    unit: str | None
    columns: int
    notes: tuple[str, ...]


class Block(NamedTuple):
    """Rows of numbers of one table, the lines before it, all the text around it, and notes."""

    values: list[list[float]]
    before: list[str]
    around: str
    notes: list[str]


class _Row(NamedTuple):
    line: int
    values: list[float]
    has_text: bool
    integers: bool

    @property
    def signature(self) -> tuple[int, bool]:
        return min(len(self.values), 3), self.has_text


def number(token: str) -> float | None:
    """The value of a token, NaN and Fortran's exponents and overflow stars included; else None."""
    if _NUMBER.fullmatch(token):
        token = token.lower().replace("d", "e")
        if "e" not in token and re.search(r"\d[+-]", token):
            token = re.sub(r"(?<=[\d.])(?=[+-])", "e", token)
        return float(token)
    if _NOT_A_NUMBER.fullmatch(token):
        return float("inf") if "inf" in token.lower() else float("nan")
    return None


def find_block(text: str) -> Block | None:
    """The longest table of numbers in a text, or None where no line has two numbers."""
    lines = text.splitlines()
    decimal_comma = _uses_decimal_comma(lines)
    blocks: list[list[_Row]] = [[]]
    texts_since = 0   # lines of text since the last row
    joined = 0
    for i, line in enumerate(lines, 1):
        if not line.strip() or _COMMENT.match(line):
            continue
        row = _parse_row(i, line, decimal_comma) if len(line) <= LONGEST_LINE else None
        if row is None:
            texts_since += 1
            continue
        if texts_since and blocks[-1]:
            if texts_since <= 2 and row.signature == blocks[-1][-1].signature and _in_step(
                    *blocks[-1][-2:], row):
                joined += texts_since
            else:
                blocks.append([])
        texts_since = 0
        blocks[-1].append(row)
    block = max(blocks, key=len)
    if not block:
        return None
    notes = []
    if joined:
        notes.append(f"{joined} line{'s' * (joined > 1)} of text between the rows passed over")
    others = [b for b in blocks if b is not block and len(b) >= _ROWS_OF_A_SECOND_TABLE]
    if others:
        notes.append(f"the file has {1 + len(others)} tables: the longest was read "
                     f"(lines {block[0].line} to {block[-1].line})")
    inner = _strip_ends(block)
    if len(inner) < len(block):
        kept = {row.line for row in inner}
        left = [row.line for row in block if row.line not in kept]
        which = ", ".join(map(str, left[:5])) + ", ..." * (len(left) > 5)
        notes.append(f"{len(left)} line{'s' * (len(left) > 1)} of numbers beside the table left "
                     f"out (line {which})")
    taken = {row.line for row in inner}
    around = "\n".join(line for i, line in enumerate(lines, 1) if i not in taken)
    before = [line for i, line in enumerate(lines, 1) if i < inner[0].line and i not in taken]
    return Block([row.values for row in inner], before, around, notes)


def read_columns(text: str) -> Table | None:
    """q, intensity and sigma of the longest table in a text, None where there is no table.

    Columns go by the names above the table where it has names (q, I, sigma in many spellings); else
    they are the first three, after a column that only counts the rows.
    """
    block = find_block(text)
    if block is None:
        return None
    counts = [len(values) for values in block.values]
    columns = max(set(counts), key=counts.count)
    table = np.full((len(counts), columns), np.nan)
    for row, values in zip(table, block.values, strict=True):
        row[:len(values)] = values[:columns]
    notes = list(block.notes)
    headers = [line for line in reversed(block.before) if line.strip()][:3]   # nearest first
    chosen = next(filter(None, (_columns_by_name(line, columns) for line in headers)), None)
    if chosen is None:
        start = int(columns >= 3 and _counts_rows(table[:, 0]))
        if start:
            notes.append("the first column only counts the rows: passed over")
        chosen = (start, start + 1, start + 2 if columns > start + 2 else None)
    q, intensity, sigma = (None if c is None else table[:, c] for c in chosen)
    unit = next(filter(None, map(stated_unit, headers)), None) or stated_unit(block.around)
    return Table(q, intensity, sigma, unit, columns, tuple(notes))


def _parse_row(line_number: int, line: str, decimal_comma: bool) -> _Row | None:
    line = _TRAILING_COMMENT.sub("", line).strip()
    if decimal_comma:
        line = re.sub(r"(?<=\d),(?=\d)", ".", line)
    tokens = [token.strip("\"'") for token in _SEPARATOR.split(line.rstrip(",; \t"))]
    values = []
    for token in tokens:
        value = float("nan") if not token and values else number(token)
        if value is None:
            break
        values.append(value)
    if len(values) < 2:
        return None
    integers = all(re.fullmatch(r"[+-]?\d+", token) for token in tokens[:len(values)])
    return _Row(line_number, values, len(values) < len(tokens), integers)


def _uses_decimal_comma(lines: list[str]) -> bool:
    """Whether rows read 0,01 1,5 or 0,01;1,5: two or more such tokens, never a point."""
    votes = 0
    for line in lines:
        if _COMMENT.match(line) or not line.strip() or len(line) > LONGEST_LINE:
            continue
        tokens = re.split(r"[;\s]+", line.strip().rstrip(";"))
        if not all(_DECIMAL_COMMA.fullmatch(t) or re.fullmatch(r"[+-]?\d+", t) for t in tokens):
            votes -= number(tokens[0].split(",")[0]) is not None
        elif sum("," in t for t in tokens) >= 2:
            votes += 1
    return votes > 0


def _in_step(*rows: _Row) -> bool:
    """Whether the q of the third row goes on from that of the first two, not too far ahead."""
    if len(rows) < 3:
        return False
    first, second, third = (row.values[0] for row in rows)
    step, ahead = second - first, third - second   # infinite or no number where a q is
    return 0 < ahead < 20 * step or 20 * step < ahead < 0


def _strip_ends(block: list[_Row]) -> list[_Row]:
    """The table without lines of numbers at its ends that are not of it: counts, sizes, footers."""
    signatures = [row.signature for row in block]
    common = max(set(signatures), key=signatures.count)

    def foreign(row, *inward):
        columns, _ = row.signature
        in_table = columns == common[0] and _in_step(*inward[::-1], row)
        return row.signature != common and not in_table

    start, end = 0, len(block)
    while foreign(*block[start:start + 3]):
        start += 1
    while foreign(*block[max(end - 3, 0):end][::-1]):
        end -= 1
    head = block[start:start + 3]
    if len(head) == 3 and head[0].integers and not head[1].integers:
        start += head[0].values[0] > head[1].values[0] < head[2].values[0]
    return block[start:end]


def _columns_by_name(line: str, columns: int) -> tuple[int, int, int | None] | None:
    if len(line) > LONGEST_LINE:
        return None
    line = re.sub(r"^\s*(?:[#!;%]|//)+", "", line)
    line = re.sub(r"\([^)]*\)|\[[^\]]*\]|<[^>]*>|\"|'", "", line)
    separator = r"[,;\t]" if re.search(r"[,;\t]", line.strip()) else r"\s+"
    words = [re.sub(r"[^a-z0-9]", "", word.lower()) for word in re.split(separator, line.strip())]
    if len(words) != columns:
        return None
    roles = [_role(word, i) for i, word in enumerate(words)]
    if "q" not in roles or "intensity" not in roles:
        return None
    q, intensity = roles.index("q"), roles.index("intensity")
    if "sigma" in roles:
        return q, intensity, roles.index("sigma")
    unknown = [i for i, role in enumerate(roles) if role is None]
    return q, intensity, unknown[0] if unknown else None


def _role(word: str, position: int) -> str | None:
    if word == "s" and position > 0:
        return "sigma"
    if re.fullmatch(r"q(?:nm1?|a1?|ang\w*|inv\w*|1nm|1a)", word):
        return "q"
    return next((role for role, names in _NAMES.items() if word in names), None)


def _counts_rows(column: np.ndarray) -> bool:
    return bool(column.size > 2 and column[0] in (0, 1) and np.all(np.diff(column) == 1))
