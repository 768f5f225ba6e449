"""Reads rows h k l I sigma: SHELX's HKLF 3 and 4, and the same rows as other programs write them.

1. Layout: each line is read by width (3I4, 2F8, I4, where numbers may run together) and by its blanks or commas. The
   file has the layout that reads more lines; lines that this layout cannot read are read in the other one.
2. Head: what precedes the first row is text. Names of columns in it (Tonto, XD, comma-separated tables) are used.
3. End: a row 0 0 0 ends the data. The text behind it is returned, because some programs put instructions there.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from phasenet.errors import InputError

_MAX_INDEX, _MAX_VALUE = 999, 1e15
# A file in which more than this part of the lines between the rows cannot be read is no reflection file.
_MAX_UNREADABLE = 0.2
_AMPLITUDE_NAMES = re.compile(r"f|fo|fobs|f_?exp|f_?meas|f_?obs|fp|\|f\||/fo/", re.IGNORECASE)


def count_lines(lines: Iterable[str]) -> str:
    """Returns how many lines hold anything, in words: "1 line", "3 lines"."""
    count = sum(bool(line.strip()) for line in lines)
    return f"{count} line{'s' * (count != 1)}"


class ReflectionRows(NamedTuple):
    """Rows of a reflection file, as they are in it.

    Attributes:
      hkl: (N, 3) int64.
      values: (N,) float64, F^2 or F; NaN where the file has none.
      sigma: (N,) float64, standard deviations of the values; NaN where the file has none.
      batch: (N,) int64, batch numbers; None if the file has none.
      is_amplitude: whether the values are F; None if the file does not say.
      tail: text behind the end row.
      notes: what was assumed or passed over, one line each.
    """

    hkl: np.ndarray
    values: np.ndarray
    sigma: np.ndarray
    batch: np.ndarray | None
    is_amplitude: bool | None
    tail: str
    notes: tuple[str, ...]


# A row as read from a line: h, k, l, value, sigma, batch. Batch is None where there is none.
_Row = tuple[int, int, int, float, float, int | None]


def read_rows(text: str, path: str, first_line: int = 1) -> ReflectionRows:
    """Reads the rows of a text.

    Args:
      text: what a file .hkl, or an item `_shelx_hkl_file` of a CIF, holds.
      path: path for errors.
      first_line: number of the first line of the text in the file, for messages.

    Raises:
      InputError: there are no rows, many lines cannot be read, or rows are of several twin components (HKLF 5).
    """
    lines = text.splitlines()
    fixed = [_read_by_width(line) for line in lines]
    by_blanks = [_read_by_blanks(line) for line in lines]
    # A number that the width cuts in two looks like another number: a line counts for the width only if the blanks
    # give the same or nothing.
    agree = [row is not None and (other is None or _are_same(row, other))
             for row, other in zip(fixed, by_blanks, strict=True)]
    is_fixed = sum(agree) >= sum(row is not None for row in by_blanks)
    rows = [(row or other) if is_fixed else (other or row) for row, other in zip(fixed, by_blanks, strict=True)]
    first = next((number for number, row in enumerate(rows) if row is not None), None)
    if first is None:
        raise InputError(f"{path}: no rows of h k l F^2 sigma in the file; expected fixed columns (3I4, 2F8.2) or "
                         "numbers with blanks between them")
    head = "\n".join(lines[:first])
    notes = []
    is_amplitude, value_column = _read_head(head)
    if head.strip():
        named = {None: " not used", True: ": amplitudes F are named", False: ": intensities are named"}[is_amplitude]
        notes.append(f"{count_lines(lines[:first])} of text before the first row{named}")
    if value_column == 4:  # XD: h, k, l, number of the scale factor, value, sigma
        rows = [_read_by_blanks(line, 4) for line in lines]
        notes.append("XD: the fourth column is taken for the number of the scale factor")
    kept, tail, row_notes = _take_rows(rows, lines, first, path, first_line)
    notes += row_notes
    if is_fixed and any("." not in lines[place][12:20] for place in kept):
        count = sum("." not in lines[place][12:20] for place in kept)
        notes.append(f"{count} values without a decimal point are read as SHELX does, with two decimals (F8.2)")
    notes.append("read by width: 3I4, 2F8, I4" if is_fixed else "read by the blanks between the numbers")
    taken = [row for row in (rows[place] for place in kept) if row is not None]
    batch = None
    if all(row[5] is not None for row in taken):
        batch = np.array([row[5] for row in taken], np.int64)
    result = ReflectionRows(np.array([row[:3] for row in taken], np.int64).reshape(-1, 3),
                            np.array([row[3] for row in taken], float), np.array([row[4] for row in taken], float),
                            batch, is_amplitude, tail, ())
    notes += _note_negative_batches(result, path)
    return result._replace(notes=tuple(notes))


def count_fixed_rows(lines: Iterable[str]) -> int:
    """Returns how many lines are rows in SHELX's fixed columns and not at odds with the blanks between the numbers."""
    count = 0
    for line in lines:
        row, other = _read_by_width(line), _read_by_blanks(line)
        count += row is not None and (other is None or _are_same(row, other))
    return count


def has_rows_first(text: str) -> bool:
    """Returns whether a row precedes the instruction CELL: then instructions stand behind the reflections."""
    for line in text.splitlines():
        if line.strip()[:4].upper() == "CELL":
            return False
        if _read_by_width(line) is not None or _read_by_blanks(line) is not None:
            return True
    return False


def _read_by_width(line: str) -> _Row | None:
    """Returns the row of a line in the columns 3I4, 2F8.2, I4, or None."""
    if len(line) < 21 or "\t" in line[:28] or "_" in line[:28]:
        return None
    try:
        h, k, l = int(line[:4]), int(line[4:8]), int(line[8:12])
        value, sigma = _fortran_float(line[12:20]), _fortran_float(line[20:28])
    except ValueError:
        return None
    if not (abs(value) < _MAX_VALUE and abs(sigma) < _MAX_VALUE):
        return None
    try:
        batch = int(line[28:32])
    except ValueError:
        batch = None
    return h, k, l, value, sigma, batch


def _fortran_float(field: str) -> float:
    """Returns the number in a field F8.2: without a point, the last two digits are decimals."""
    text = field.strip().replace("D", "E").replace("d", "e")
    number = float(text)
    return number / 100 if "." not in text and "e" not in text.lower() else number


def _read_by_blanks(line: str, value_column: int = 3) -> _Row | None:
    """Returns the row of a line with blanks, commas or semicolons between the numbers, or None."""
    words = line.replace(",", " ").replace(";", " ").split(maxsplit=value_column + 3)
    if len(words) < value_column + 2 or "_" in line[:80]:
        return None
    try:
        h, k, l = (int(word) for word in words[:3])
        value, sigma = float(words[value_column]), float(words[value_column + 1])
    except ValueError:
        return None
    if max(abs(h), abs(k), abs(l)) > _MAX_INDEX or not (abs(value) < _MAX_VALUE and abs(sigma) < _MAX_VALUE):
        return None
    batch = None
    if value_column == 3 and len(words) > 5 and re.fullmatch(r"[-+]?\d{1,9}", words[5]):
        batch = int(words[5])
    return h, k, l, value, sigma, batch


def _are_same(row: _Row, other: _Row) -> bool:
    """Returns whether two readings of a line agree, up to the factor 100 of numbers without a point."""
    return row[:3] == other[:3] and all(a == b or np.isclose(100 * a, b) for a, b in zip(row[3:5], other[3:5],
                                                                                        strict=True))


def _read_head(head: str) -> tuple[bool | None, int]:
    """Returns whether the text before the rows names amplitudes (None if it names nothing), and the value's column."""
    keys = re.search(r"keys\s*=\s*\{([^}]*)\}", head)  # Tonto
    if keys:
        names = re.sub(r"[=,]", " ", keys[1]).split()
    else:
        xd = re.search(r"\b(F\^2|F)\s+NDAT\s+(\d+)", head)
        if xd:
            return xd[1] == "F", 4
        lines = [re.sub(r"[#,;\t]", " ", line).split() for line in head.splitlines()]
        names = next((words for words in lines[::-1] if [word.lower() for word in words[:3]] == ["h", "k", "l"]), [])
    return (bool(_AMPLITUDE_NAMES.fullmatch(names[3])) if len(names) > 3 else None), 3


def _take_rows(rows: list[_Row | None], lines: list[str], first: int, path: str,
               first_line: int) -> tuple[list[int], str, list[str]]:
    """Returns the places of the rows up to the end row, the text behind it, and notes."""
    kept: list[int] = []
    unreadable: list[int] = []
    stars: list[int] = []
    notes = []
    end = len(lines)
    origin = []
    for place in range(first, len(lines)):
        row = rows[place]
        if row is not None and row[:3] == (0, 0, 0):
            if kept or any(each is not None for each in rows[:place]):
                end = place
                break
            origin.append(place)
        elif row is not None:
            kept.append(place)
        elif lines[place].strip():
            (stars if "**" in lines[place][:32] else unreadable).append(place)
    last = kept[-1] if kept else first
    after = [place for place in unreadable if place > last]
    unreadable = [place for place in unreadable if place < last]
    if not kept:
        raise InputError(f"{path}, line {first_line + first}: no reflection before the end row 0 0 0")
    if len(unreadable) > max(3, _MAX_UNREADABLE * len(kept)):
        place = unreadable[0]
        raise InputError(f"{path}, line {first_line + place}: {lines[place].strip()[:60]!r} is no row h k l F^2 sigma, "
                         f"nor are {len(unreadable) - 1} other lines among the {len(kept)} rows; remove them")
    for places, what in ((unreadable, "no row"), (stars, "a row with stars, an overflow"),
                         (origin, "0 0 0 before the first reflection")):
        if places:
            notes.append(f"{count_lines(lines[place] for place in places)} left out ({what}), the first is line "
                         f"{first_line + places[0]}: {lines[places[0]].strip()[:40]!r}")
    tail_lines = lines[end + 1:] if end < len(lines) else [lines[place] for place in after]
    tail = "\n".join(tail_lines)
    if end == len(lines):
        notes.append("no end row 0 0 0: the last row is taken for the end")
    later = sum(row is not None and row[:3] != (0, 0, 0) for row in rows[end + 1:])
    if later:
        notes.append(f"{later} row{'s' * (later > 1)} behind the end row 0 0 0 in line {first_line + end} left out, as "
                     "SHELX does")
    elif tail.strip():
        where = f"the end row in line {first_line + end}" if end < len(lines) else "the last row"
        notes.append(f"{count_lines(tail_lines)} of text behind {where}: no data")
    return kept, tail, notes


def _note_negative_batches(rows: ReflectionRows, path: str) -> list[str]:
    """Returns notes on negative batch numbers.

    Raises:
      InputError: they mark reflections of twin components that overlap (HKLF 5).
    """
    if rows.batch is None or not (rows.batch < 0).any():
        return []
    negative = np.flatnonzero(rows.batch[:-1] < 0)
    # In HKLF 5 a row with a negative number is followed by the next component of the same intensity.
    joined = (rows.values[negative] == rows.values[negative + 1]) & (rows.hkl[negative]
                                                                     != rows.hkl[negative + 1]).any(1)
    if len(negative) and joined.mean() > 0.9:
        raise InputError(f"{path}: HKLF 5, reflections of several twin components that overlap ({len(negative)} rows "
                         "with negative batch numbers), is not read; write the reflections of one component as HKLF 4")
    return [f"{int((rows.batch < 0).sum())} rows with negative batch numbers are taken for an R(free) set, and kept"]
