"""Reads curves from text columns: .dat, .csv, .fit, .int, .sub, .txt and their dialects.

Called by `measured_curves.read_curve`.

1. Parse the text into its tables (`tables`).
2. Find the columns of q, intensity and sigma of each table, by name or by number (`column_roles`).
3. Choose the table that is the measured I(q): by its names, else by its numbers, then by its length.
4. Convert 2 theta or s to q (`abscissa`) and logarithms to intensities.
"""

import re
from typing import NamedTuple

import numpy as np

from phasenet.errors import InputError
from saxsae.io.curves.abscissa import convert_two_theta, defines_s, find_wavelength
from saxsae.io.curves.column_roles import RANK_CURVE, RANK_DOUBTFUL, RANK_FIT, SESANS, ColumnRoles, assign_roles
from saxsae.io.curves.stated_units import find_stated_unit
from saxsae.io.curves.tables import TextTable, parse_tables

_MIN_ROWS_OF_SECOND_TABLE = 10
MAX_HEADER_CHARACTERS = 6000  # of the text around a table that are kept
_SESANS = re.compile(r"\bSESANS\b|\bspin[ _-]?echo[ _-]?length", re.IGNORECASE)


class CurveTable(NamedTuple):
    """The numbers of a curve as they stand in a file, before cleaning; NaN where a number is missing.

    Attributes:
      q: (N,) in the unit of the file, in any order.
      intensity: (N,), unit of the file.
      sigma: (N,) standard deviations of the intensities; None if the file has no such column.
      unit: unit of q that the file states, a key of `units.TO_INVERSE_ANGSTROM`; None if it states none.
      columns: number of columns in the file.
      notes: what was left out or assumed, one line each.
      header_text: the text around the table, at most some thousand characters.
      from_angle: whether q was computed from 2 theta and the wavelength; `unit` is then certain.
    """

    q: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray | None
    unit: str | None
    columns: int
    notes: tuple[str, ...]
    header_text: str = ""
    from_angle: bool = False


class _Candidate(NamedTuple):
    """A table and what its columns are, or why the table is not I(q)."""

    table: TextTable
    roles: ColumnRoles | str


def read_columns(text: str, name: str) -> CurveTable | None:
    """Returns q, intensity and sigma of the measured curve in a text, or None if there is no table.

    Args:
      text: the text of a file.
      name: name of the file, for messages.

    Raises:
      InputError: no table of the file is I(q), or its first column cannot be converted to q.
    """
    parsed = parse_tables(text)
    if not parsed.tables:
        return None
    if _SESANS.search(parsed.outside):
        raise InputError(f"{name}: {SESANS}")
    candidates = [_Candidate(table, assign_roles(table)) for table in parsed.tables
                  if table is parsed.tables[0] or len(table.values) >= _MIN_ROWS_OF_SECOND_TABLE]
    table, roles, note = _choose(candidates, name)
    notes = []
    if table.skipped:
        notes.append(f"{table.skipped} line{'s' * (table.skipped > 1)} of text between the rows skipped")
    notes += [note] if note else []
    if table.left_out:
        which = ", ".join(map(str, table.left_out[:5])) + ", ..." * (len(table.left_out) > 5)
        plural = "s" * (len(table.left_out) > 1)
        notes.append(f"{len(table.left_out)} line{plural} of numbers outside the table left out (line{plural} {which})")
    notes += roles.notes
    headers = [line for line in table.headers if line.strip()][:3]  # nearest first
    unit = next(filter(None, map(find_stated_unit, headers)), None) or find_stated_unit(parsed.outside)
    q, unit, note = _convert_abscissa(table, roles, unit, parsed.outside, name)
    notes += [note] if note else []
    intensity, sigma, note = _convert_logarithm(table.values, roles)
    notes += [note] if note else []
    around = "\n".join([*reversed(table.headers), parsed.outside])
    if len(around) > MAX_HEADER_CHARACTERS:
        around = around[:MAX_HEADER_CHARACTERS // 2] + "\n" + around[-MAX_HEADER_CHARACTERS // 2:]
    return CurveTable(q, intensity, sigma, unit, table.values.shape[1], tuple(notes), around,
                      roles.angle_unit is not None)


def _choose(candidates: list[_Candidate], name: str) -> tuple[TextTable, ColumnRoles, str | None]:
    """Returns the table that is the measured curve, its columns, and a note on the other tables if there are any.

    Args:
      candidates: the longest table, and the others of enough rows, by falling length.
      name: name of the file, for messages.
    """
    longest = candidates[0]
    curves = [(one.table, one.roles) for one in candidates if not isinstance(one.roles, str)]
    if isinstance(longest.roles, str):  # a table beside a longer one of another kind is often no curve
        shortest = len(longest.table.values) / 5
        curves = [(table, roles) for table, roles in curves
                  if roles.rank == RANK_CURVE or roles.rank > RANK_FIT and len(table.values) > shortest]
    if not curves:
        reason = longest.roles if isinstance(longest.roles, str) else ""
        first, last = longest.table.lines
        raise InputError(f"{name}: the table in lines {first} to {last} {reason}")
    size = len(curves[0][0].values)

    def key(curve: tuple[TextTable, ColumnRoles]) -> tuple[int, bool, int]:
        table, roles = curve
        small = roles.q_name is None and 5 * len(table.values) < size  # a list of other numbers may look like a curve
        rank = min(roles.rank, RANK_DOUBTFUL) if small else roles.rank
        return rank, roles.sigma is not None and 2 * len(table.values) >= size, len(table.values)

    table, roles = max(curves, key=key)
    if len(candidates) == 1:
        return table, roles, None
    where = f"(lines {table.lines[0]} to {table.lines[1]})"
    alike = [one for one, its in curves if its.rank == roles.rank and one.values.shape[1] == table.values.shape[1]]
    equal = sum(len(one.values) == len(table.values) for one in alike) > 1
    which = "the longest" if table is longest.table else "the measured curve"
    if len(alike) == len(candidates):
        return table, roles, (f"the file has {len(alike)} curves, one below the other: "
                              f"{'the first' if equal else which} was read {where}")
    return table, roles, f"the file has {len(candidates)} tables: {which} was read {where}"


def _convert_abscissa(table: TextTable, roles: ColumnRoles, unit: str | None, outside: str,
                      name: str) -> tuple[np.ndarray, str | None, str | None]:
    """Returns q (N,), its unit if it is known, and a note if the first column was something else."""
    q = table.values[:, roles.q]
    if roles.angle_unit is not None:
        wavelength = find_wavelength(outside)
        if wavelength is None:
            raise InputError(
                f"{name}: the table in lines {table.lines[0]} to {table.lines[1]} has the scattering angle 2 theta in "
                "its first column, and no wavelength with its unit is stated: give q, or add a line such as "
                "\"# wavelength 1.54 A\"")
        q = convert_two_theta(q, roles.angle_unit, wavelength.angstrom)
        return q, "1/A", (f"2 theta in {roles.angle_unit} converted to q by the wavelength of "
                          f"{wavelength.angstrom:.4g} A ({wavelength.stated[:40]})")
    if defines_s("\n".join([*reversed(table.headers), outside[:MAX_HEADER_CHARACTERS]]), roles.q_name):
        return 2 * np.pi * _finite(q), unit, "s = 2 sin(theta)/lambda, as the file says: multiplied by 2 pi to give q"
    return q, unit, None


def _convert_logarithm(values: np.ndarray, roles: ColumnRoles) -> tuple[np.ndarray, np.ndarray | None, str | None]:
    """Returns the intensity (N,) and its sigma, and a note if the file gives the logarithm of the intensity."""
    intensity = values[:, roles.intensity]
    sigma = None if roles.sigma is None else values[:, roles.sigma]
    if roles.scale == "linear":
        return intensity, sigma, None
    base = 10.0 if roles.scale == "log10" else np.e
    exponent = np.where(np.abs(intensity) < 100, intensity, np.nan)
    converted = base**exponent
    note = f"{roles.scale}(I), as the file says: converted to I"
    if sigma is not None and not roles.linear_sigma:
        sigma = converted * np.log(base) * _finite(sigma)
        note += f", and its sigma by sigma_I = I{' ln(10)' if base == 10.0 else ''} sigma_{roles.scale}"
    elif sigma is not None:
        note += "; sigma is taken as that of I"
    return converted, sigma, note


def _finite(column: np.ndarray) -> np.ndarray:
    """Returns a column (N,) with NaN for numbers too large to be multiplied."""
    return np.where(np.abs(column) < 1e60, column, np.nan)
