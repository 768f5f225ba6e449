"""Parses a text into its tables of numbers, each with the lines above it.

A row is a line that begins with two or more numbers. Separators are blanks, tabs, commas or semicolons; a comma may
also be the decimal point; cells may be quoted. Exponents may be in Fortran's forms (1.0D-3, 1.0-103). Lines that begin
with #, !, ;, % or // are comments. Called by `columns.read_columns`.

1. Split the rows at a comment, a heading, a blank line or a change of width, unless the first column continues.
2. Split a run of rows where the first column starts again from its beginning.
3. Leave out the rows at either end whose first number cannot belong to the column, such as sizes and scales.
"""

import collections
import re
from typing import NamedTuple

import numpy as np

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+|[+-]\d{3})?")
_NOT_A_NUMBER = re.compile(
    r"[+-]?(?:nan|inf|infinity)|[+-]?1\.#(?:qnan|snan|ind|inf)0*|\*+", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eEdD][+-]?\d+)?")
_QUOTED_DECIMAL_COMMA = re.compile(r"([\"'])\s*([+-]?\d{1,30}),(\d{1,30}(?:[eE][+-]?\d{1,5})?)\s*\1")
_COMMENT = re.compile(r"\s*(?:[#!;%]|//)")
_TRAILING_COMMENT = re.compile(r"\s(?:[#!%]|//).*")
_SEPARATOR = re.compile(r"\s*[,;]\s*|\s+")
# A longer line is read neither as numbers nor as column names: some patterns would take hours on it.
MAX_LINE_CHARACTERS = 4096
_MAX_STEPS_AHEAD = 20.0  # a first number more steps ahead than this does not continue the column
_MIN_RUN = 5  # rows of a rising or falling first column
_MIN_OVERLAP = 0.7  # share of the shorter run; a smaller overlap is that of two detectors
_MAX_FOREIGN_ROWS = 3  # at the ends of a table
_MIN_ROWS_TO_STRIP = 7
_MAX_TABLES = 100
_MAX_Q_OVER_MEDIAN = 1e4  # `cleaning` calls a larger q a misprint


class TextTable(NamedTuple):
    """One table of a text.

    Attributes:
      values: (N, C) float64; NaN where a row is shorter or a cell is not a number.
      lines: the line numbers of the first and the last row.
      headers: the lines of text between the table before and this one, nearest first, at most twenty.
      skipped: number of lines of text between the rows.
      left_out: line numbers of the rows of numbers that touch the table but do not belong to it.
    """

    values: np.ndarray
    lines: tuple[int, int]
    headers: tuple[str, ...]
    skipped: int
    left_out: tuple[int, ...]


class ParsedText(NamedTuple):
    """The longest tables of a text, by falling length, and the lines that are not rows, joined."""

    tables: list[TextTable]
    outside: str


class _Row(NamedTuple):
    """The leading numbers of one line, and whether text follows them."""

    line_number: int
    values: list[float]
    has_text: bool


class _Block:
    """Rows that may be one table, the lines of text above them and the number of lines of text between them."""

    def __init__(self, rows: list[_Row], headers: list[str], skipped: int = 0) -> None:
        self.rows, self.headers, self.skipped = rows, headers, skipped
        self.left_out: list[int] = []


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


def parse_tables(text: str) -> ParsedText:
    """Returns the hundred longest tables of a text, by the steps at the head of this module.

    Args:
      text: the text of a file.

    Returns:
      The tables by falling length, those of equal length in their order, and all lines that are not rows.
    """
    lines = text.replace("\u2212", "-").splitlines()
    blocks, outside = _part_rows(lines, _uses_decimal_comma(lines))
    blocks = _merge_single_rows([part for block in blocks for part in _part_at_restarts(block)])
    for block in blocks:
        _strip_foreign_ends(block)
    for previous, block in zip(blocks, blocks[1:], strict=False):  # rows that touch the next or the last table
        if previous.rows[-1].line_number + 1 == block.rows[0].line_number:
            smaller, larger = sorted((previous, block), key=lambda b: len(b.rows))
            if len(smaller.rows) < min(_MIN_RUN, len(larger.rows)):
                larger.left_out += [row.line_number for row in smaller.rows]
    blocks.sort(key=lambda block: -len(block.rows))
    return ParsedText([_make_table(block) for block in blocks[:_MAX_TABLES]], "\n".join(outside))


def _part_rows(lines: list[str], decimal_comma: bool) -> tuple[list[_Block], list[str]]:
    """Returns the blocks of rows, split by the lines between them and by their width, and all other lines."""
    blocks: list[_Block] = []
    outside: list[str] = []
    gap: list[str] = []  # lines of text and comments since the last row
    text_lines, blank = 0, False  # the same without comments; whether a line is blank
    for i, line in enumerate(lines, 1):
        is_comment = _COMMENT.match(line) is not None
        row = None if is_comment or len(line) > MAX_LINE_CHARACTERS else _parse_row(i, line, decimal_comma)
        if row is None:
            blank |= not line.strip()
            if line.strip():
                gap.append(line)
                outside.append(line)
                text_lines += not is_comment
            continue
        if blocks and _belongs(blocks[-1].rows, row, gap, text_lines, blank):
            blocks[-1].rows.append(row)
            blocks[-1].skipped += text_lines
        else:
            # A table below a blank line has the columns of the table above it.
            inherited = not gap and blocks and len(blocks[-1].rows[0].values) == len(row.values)
            blocks.append(_Block([row], blocks[-1].headers if inherited else gap[-20:][::-1]))
        gap, text_lines, blank = [], 0, False
    return blocks, outside


def _belongs(rows: list[_Row], row: _Row, gap: list[str], text_lines: int, blank: bool) -> bool:
    """Returns whether a row belongs to the rows above it."""
    last = rows[-1]
    same_width = min(len(row.values), 3) == min(len(last.values), 3)
    if not gap and not blank:
        return len(row.values) == len(last.values) or (len(rows) > 1 and _continues(rows[-5:], row))
    if not gap:
        return same_width and (len(rows) < 2 or _continues(rows[-5:], row))
    return (same_width and row.has_text == last.has_text and text_lines <= 2 and len(rows) > 1
            and _continues(rows[-5:], row))


def _continues(rows: list[_Row], row: _Row) -> bool:
    """Returns whether a row's first number continues those of two or more rows: same direction, few steps ahead."""
    first, last = rows[0].values[0], rows[-1].values[0]
    step, ahead = (last - first) / (len(rows) - 1), row.values[0] - last  # may be infinite or NaN
    return 0 <= ahead < _MAX_STEPS_AHEAD * step or _MAX_STEPS_AHEAD * step < ahead <= 0


def _part_at_restarts(block: _Block) -> list[_Block]:
    """Returns the parts of a block between which the first column starts again from its beginning."""
    if len(block.rows) < 2 * _MIN_RUN:
        return [block]
    first = np.array([row.values[0] for row in block.rows])
    if not np.isfinite(first).all():
        return [block]
    step = np.sign(np.diff(first))
    direction = 1 if np.sum(step) >= 0 else -1
    ends = np.flatnonzero(step == -direction) + 1
    runs = np.split(np.arange(first.size), ends)
    if len(runs) < 2 or np.mean([run.size < _MIN_RUN for run in runs]) > 0.1 or _is_grid(block.rows, runs):
        return [block]
    parts = [[runs[0]]]
    low, high, size = first[runs[0]].min(), first[runs[0]].max(), runs[0].size
    for run in runs[1:]:
        run_low, run_high = first[run].min(), first[run].max()
        shorter = 2 * min(high / 2 - low / 2, run_high / 2 - run_low / 2)  # halves, because a difference may overflow
        overlap = min(high, run_high) - max(low, run_low)
        if min(size, run.size) >= _MIN_RUN and overlap > _MIN_OVERLAP * shorter:
            parts.append([run])
            low, high, size = run_low, run_high, run.size
        else:
            parts[-1].append(run)
            low, high, size = min(low, run_low), max(high, run_high), size + run.size
    return [_Block([block.rows[i] for i in np.concatenate(part)], block.headers, block.skipped if k == 0 else 0)
            for k, part in enumerate(parts)]


def _is_grid(rows: list[_Row], runs: list[np.ndarray]) -> bool:
    """Returns whether the second column hardly changes within each run of the first: points of a plane, row by row."""
    second = np.array([row.values[1] for row in rows])
    if len(runs) < 3 or not np.isfinite(second).all() or min(len(row.values) for row in rows) < 3:
        return False
    second = second / max(np.abs(second).max(), 1e-300)
    within = np.median([np.ptp(second[run]) for run in runs])
    return bool(within < 0.2 * np.ptp(second))


def _merge_single_rows(blocks: list[_Block]) -> list[_Block]:
    """Returns the blocks, with a single row joined to the rows right below it if their first column continues it."""
    merged: list[_Block] = []
    for block in blocks:
        above = merged[-1] if merged else None
        if (above and len(above.rows) == 1 and len(block.rows) > 1
                and above.rows[0].line_number + 1 == block.rows[0].line_number
                and min(len(above.rows[0].values), 3) == min(len(block.rows[0].values), 3)
                and _continues(block.rows[1::-1], above.rows[0])):
            above.rows, above.skipped = above.rows + block.rows, block.skipped
        else:
            merged.append(block)
    return merged


def _strip_foreign_ends(block: _Block) -> None:
    """Removes the rows at the ends of a block whose first number breaks the order of all others: sizes, scales."""
    if len(block.rows) < _MIN_ROWS_TO_STRIP:
        return
    first = np.array([row.values[0] for row in block.rows])
    start, end = 0, first.size
    for _ in range(_MAX_FOREIGN_ROWS):
        if end - start < _MIN_ROWS_TO_STRIP:
            break
        finite = first[start + 1:end - 1]
        finite = finite[np.isfinite(finite)]
        step = np.sign(np.diff(finite))
        direction = 1 if np.sum(step) > 0 else -1
        if finite.size < 2 or np.mean(step == direction) < 0.95:
            break
        at_start, at_end = first[start:start + 4] * direction, first[end - 4:end] * direction
        inner = block.rows[end - 6:end - 1] if direction > 0 else block.rows[start + 5:start:-1]
        last = block.rows[end - 1] if direction > 0 else block.rows[start]
        far_ahead = (last.values[0] > 3 * inner[-1].values[0] > 0 and not _continues(inner, last)
                     and last.values[0] < _MAX_Q_OVER_MEDIAN * np.median(finite))
        if at_start[0] > at_start[3] or (far_ahead and direction < 0):
            start += 1
        elif at_end[3] < at_end[0] or far_ahead:
            end -= 1
        else:
            break
    block.left_out += [row.line_number for row in block.rows[:start] + block.rows[end:]]
    block.rows = block.rows[start:end]


def _make_table(block: _Block) -> TextTable:
    """Returns the table of a block, with the number of columns that most of its rows have."""
    counts = [len(row.values) for row in block.rows]
    count = collections.Counter(counts)
    columns = max(sorted(count), key=lambda width: count[width])
    values = np.full((len(counts), columns), np.nan)
    for target, row in zip(values, block.rows, strict=True):
        target[:len(row.values)] = row.values[:columns]
    return TextTable(values, (block.rows[0].line_number, block.rows[-1].line_number), tuple(block.headers),
                     block.skipped, tuple(sorted(block.left_out)))


def _parse_row(line_number: int, line: str, decimal_comma: bool) -> _Row | None:
    """Returns the row that a line holds, or None if the line does not begin with two numbers."""
    line = _TRAILING_COMMENT.sub("", line).strip()
    if not line or not (line[0] in "+-.\"'*" or line[0].isalnum()):
        return None
    line = _unquote(line)
    if decimal_comma:
        line = re.sub(r"(?<=\d),(?=\d)", ".", line)
    tokens = [token.strip("\"'") for token in _SEPARATOR.split(line.rstrip(",; \t"))]
    values: list[float] = []
    for token in tokens:
        value = float("nan") if not token and values else parse_number(token)
        if value is None:
            break
        values.append(value)
    return _Row(line_number, values, len(values) < len(tokens)) if len(values) >= 2 else None


def _unquote(line: str) -> str:
    """Returns a line with a point for the comma of each quoted number ("0,5"), if two or more cells are quoted."""
    if line.count('"') < 4 and line.count("'") < 4:
        return line
    return _QUOTED_DECIMAL_COMMA.sub(r"\2.\3", line)


def _uses_decimal_comma(lines: list[str]) -> bool:
    """Returns whether most rows of numbers read like "0,01 1,5" or "0;1,5", with a comma as decimal point."""
    votes = 0
    if not any("," in line for line in lines):
        return False
    for line in lines:
        if _COMMENT.match(line) or not line.strip() or len(line) > MAX_LINE_CHARACTERS:
            continue
        tokens = [token.strip("\"',") for token in re.split(r"[;\s]+", line.strip().rstrip(";"))]
        with_comma = sum(_DECIMAL_COMMA.fullmatch(token) is not None for token in tokens)
        numbers = with_comma + sum(re.fullmatch(r"[+-]?\d+", token) is not None for token in tokens)
        others = any("," in token or parse_number(token) is not None for token in tokens
                     if not _DECIMAL_COMMA.fullmatch(token) and not re.fullmatch(r"[+-]?\d+", token))
        if others:
            votes -= parse_number(tokens[0].split(",")[0]) is not None
        elif with_comma and numbers >= 2:
            votes += 1
    return votes > 0
