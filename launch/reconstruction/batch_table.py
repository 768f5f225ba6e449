"""Makes the table of a batch of `launch.reconstruct`: as CSV, as a page, as JSON and as text for the terminal."""

import csv
import dataclasses
import io
import pathlib
import urllib.parse
from collections import Counter
from collections.abc import Sequence
from typing import Any

from launch import app
from launch.pages import page, table
from launch.plotting.style import ANGSTROM
from launch.reconstruction.input_files import RESERVED_NAMES, CurveFile
from saxsae.analysis.mass_by_concentration import MassScale, contradicts_shape, mass_from_i0
from saxsae.analysis.molecular_mass import CONSENSUS
from saxsae.verdict import DOUBTFUL, NO_SHAPE, SHAPE

CSV, PAGE = RESERVED_NAMES
FAILED = "failed"
RESULTS = (SHAPE, DOUBTFUL)  # statuses with a shape
_STATUSES = (SHAPE, DOUBTFUL, NO_SHAPE, FAILED)
_GUIDE = (
    "Rg and I(0) are those of the Guinier region, r_max is the largest distance of an atom from the centroid, and "
    "RSC is the real-space correlation of the models with their mean (after evolve: with the best). chi^2 near 1 and "
    "RSC above 0.9 are good. The expected correlation is that of the map with the true shape, with its 90% interval.")
_GUIDE_TO_SERIES = (
    " For I(0)/c the intensities of a file are assumed not to be divided by the concentration, unless the series below "
    "says that they are.")
_GUIDE_TO_MASSES = " Masses from I(0) and c have the standard deviation of I(0) alone; an error of c adds to it."


@dataclasses.dataclass(frozen=True)
class BatchRow:
    """The row of a curve; None where a number was not determined.

    Attributes:
      name: name of the curve and of its folder.
      file: the file of the curve.
      status: "shape", "doubtful", "no shape" or "failed".
      reason: why it is not "shape"; "" if it is.
      rg_angstrom: Guinier Rg, A.
      rg_sigma_angstrom: its standard deviation, A.
      i0: I(0), in the unit of the file.
      i0_sigma: its standard deviation.
      r_max_angstrom: largest distance of an atom of the result from the centroid, A.
      chi_squared: chi^2 of the best model.
      rsc: mean real-space correlation of the models with their mean, after `evolve` with the best.
      expected_correlation: of the map with the true shape, where a confidence is stated.
      expected_correlation_low, expected_correlation_high: its 90% interval.
      q_min_inv_angstrom: smallest q of the curve, 1/A.
      q_max_inv_angstrom: largest q of the curve, 1/A.
      seconds: wall time.
      report: the report, relative to the output folder; "" without a result.
      concentration_mg_per_ml: concentration of the sample.
      i0_per_concentration: I(0) over the concentration; I(0) itself where the file's intensities are divided already.
      mass_by_shape_kda: mass by the shape of the curve, kDa, which needs no concentration.
      masses_kda: mass and standard deviation from I(0) and the concentration, kDa, by the method of each `MassScale`.
    """

    name: str
    file: str
    status: str
    reason: str
    rg_angstrom: float | None = None
    rg_sigma_angstrom: float | None = None
    i0: float | None = None
    i0_sigma: float | None = None
    r_max_angstrom: float | None = None
    chi_squared: float | None = None
    rsc: float | None = None
    expected_correlation: float | None = None
    expected_correlation_low: float | None = None
    expected_correlation_high: float | None = None
    q_min_inv_angstrom: float | None = None
    q_max_inv_angstrom: float | None = None
    seconds: float | None = None
    report: str = ""
    concentration_mg_per_ml: float | None = None
    i0_per_concentration: float | None = None
    mass_by_shape_kda: float | None = None
    masses_kda: dict[str, tuple[float, float] | None] = dataclasses.field(default_factory=dict)


def make_row(file: CurveFile, log: dict[str, Any], concentration: float | None) -> BatchRow:
    """Returns the row of a curve, without the numbers of `complete_row`.

    Args:
      file: the curve.
      log: its log.json; all entries but "status" and "reasons" may be missing.
      concentration: mg/ml; None if it is not known.
    """
    facts, summary = log.get("batch", {}), log.get("summary", {})
    guinier = facts.get("guinier") or {}
    q_min, q_max = facts.get("q_inv_angstrom") or (None, None)
    expected_low, expected_high = summary.get("expected_correlation_90") or (None, None)
    return BatchRow(
        file.name, file.path, log["status"], "; ".join(log["reasons"]), guinier.get("rg_angstrom"),
        guinier.get("rg_sigma"), guinier.get("i0"), guinier.get("i0_sigma"), summary.get("radius_angstrom"),
        summary.get("chi_squared"), summary.get("rsc"), summary.get("expected_correlation"), expected_low,
        expected_high, q_min, q_max, log.get("timing", {}).get("wall_seconds"),
        f"{file.name}/{page.NAME}" if log["status"] in RESULTS else "", concentration,
        mass_by_shape_kda=log.get("curve_numbers", {}).get(f"mass_kda_{CONSENSUS}"))


def complete_row(row: BatchRow, divided: bool, scales: Sequence[MassScale]) -> BatchRow:
    """Returns the row with the numbers that need the concentration.

    Args:
      row: from `make_row`.
      divided: whether the intensities are divided by the concentration already, which then counts as 1.
      scales: what turns I(0)/c into masses.
    """
    concentration, i0, sigma = row.concentration_mg_per_ml, row.i0, row.i0_sigma
    if concentration is None or i0 is None:
        return dataclasses.replace(row, masses_kda={scale.method: None for scale in scales})
    concentration = 1.0 if divided else concentration
    return dataclasses.replace(row, i0_per_concentration=i0 / concentration, masses_kda={
        scale.method: None if sigma is None else mass_from_i0(i0, sigma, concentration, scale) for scale in scales})


def count_contradicted(rows: Sequence[BatchRow]) -> int:
    """Returns how many curves have a mass from I(0) that contradicts the mass by the shape of the curve."""
    return sum(any(found is not None and row.mass_by_shape_kda is not None
                   and contradicts_shape(found[0], row.mass_by_shape_kda) for found in row.masses_kda.values())
               for row in rows)


def count_statuses(rows: Sequence[BatchRow]) -> dict[str, int]:
    """Returns the number of rows of each status that occurs."""
    counts = Counter(row.status for row in rows)
    return {status: counts[status] for status in _STATUSES if counts[status]}


def format_counts(rows: Sequence[BatchRow]) -> str:
    """Returns the number of rows of each status as text: "3 shape, 1 failed"."""
    return ", ".join(f"{count} {status}" for status, count in count_statuses(rows).items())


def write_csv(folder: pathlib.Path, rows: Sequence[BatchRow]) -> None:
    """Writes batch.csv; the columns of the concentration are there if one is known, those of masses if asked for."""
    columns = list(_flatten(rows[0] if rows else BatchRow("", "", "", "")))
    if not _has_concentrations(rows):
        columns = [name for name in columns if name not in ("concentration_mg_per_ml", "i0_per_concentration")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = [_flatten(row)[name] for name in columns]
        writer.writerow(["" if value is None else f"{value:.6g}" if isinstance(value, float) else value
                         for value in values])
    app.write_text(folder / CSV, text.getvalue())


def write_page(folder: pathlib.Path, rows: Sequence[BatchRow], total: int, series: Sequence[str],
               skipped: Sequence[str]) -> None:
    """Writes batch.html.

    Args:
      folder: the output folder.
      rows: the rows of the curves that are done.
      total: number of curves of the batch.
      series: lines about the concentration series; () without one.
      skipped: lines about files that were left out.
    """
    with_concentrations = _has_concentrations(rows)
    methods = _mass_methods(rows)
    headings = ["Curve", "Verdict", f"Rg, {ANGSTROM}", "I(0)", f"r_max, {ANGSTROM}", "chi^2", "RSC",
                "Expected correlation", "q, 1/A", "s",
                *(["c, mg/ml", "I(0)/c"] if with_concentrations else []), *map(_name_mass, methods)]
    done = f"{len(rows)} of {total} curves are done" if len(rows) < total else f"{total} curves"
    table.write(
        folder / PAGE, "Shapes from scattering curves", done, format_counts(rows) + ".", headings,
        [_cells(row, with_concentrations) for row in rows],
        [("Concentration series", series), ("Files left out", skipped)],
        _GUIDE + _GUIDE_TO_SERIES * with_concentrations + _GUIDE_TO_MASSES * bool(methods))


def format_table(rows: Sequence[BatchRow]) -> str:
    """Returns the table that is printed at the end of a batch."""
    lines = [["", "verdict", "Rg", "r_max", "chi^2", "RSC", "expected correlation", "seconds"]]
    lines += [[row.name, row.status, _fixed(row.rg_angstrom, 1), _fixed(row.r_max_angstrom, 1),
               _fixed(row.chi_squared, 2), _fixed(row.rsc, 3), _expected(row), _fixed(row.seconds, 0)] for row in rows]
    if _has_concentrations(rows):
        shown = [_significant(row.concentration_mg_per_ml).text for row in rows]
        lines = [[*line, cell] for line, cell in zip(lines, ["mg/ml", *shown], strict=True)]
    for method in _mass_methods(rows):
        shown = [_mass_cell(row, method).text for row in rows]
        lines = [[*line, cell] for line, cell in zip(lines, [_name_mass(method), *shown], strict=True)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(f"{line[0]:<{widths[0]}}  {line[1]:<{widths[1]}}  " + "  ".join(
        f"{cell:>{width}}" for cell, width in zip(line[2:], widths[2:], strict=True)) for line in lines)


def as_items(rows: Sequence[BatchRow]) -> list[dict[str, Any]]:
    """Returns the rows for JSON, each with its name as "id"."""
    return [{"id": row.name} | {key: value for key, value in _flatten(row).items() if key != "name"} for row in rows]


def _flatten(row: BatchRow) -> dict[str, Any]:
    """Returns the columns of a row by name: its fields, and for each mass its value and its standard deviation."""
    values = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    if not row.masses_kda:
        del values["mass_by_shape_kda"]  # it stands beside the masses from I(0) alone
    for method, found in values.pop("masses_kda").items():
        values[f"mass_kda_{method}"], values[f"mass_sigma_kda_{method}"] = found or (None, None)
    return values


def _mass_methods(rows: Sequence[BatchRow]) -> list[str]:
    """Returns the methods by which masses were asked for, the same in all rows."""
    return list(rows[0].masses_kda) if rows else []


def _name_mass(method: str) -> str:
    """Returns the heading of the column of a mass."""
    return f"kDa, {method.replace('_', ' ')}"


def _mass_cell(row: BatchRow, method: str) -> table.Cell:
    """Returns the cell of a mass with its standard deviation."""
    mass, sigma = row.masses_kda[method] or (None, None)
    return _number(mass, 1, sigma)


def _has_concentrations(rows: Sequence[BatchRow]) -> bool:
    """Returns whether the concentration of a curve is known."""
    return any(row.concentration_mg_per_ml is not None for row in rows)


def _cells(row: BatchRow, with_concentrations: bool) -> list[table.Cell]:
    """Returns the cells of a row of the page."""
    q_range = "" if row.q_min_inv_angstrom is None else f"{row.q_min_inv_angstrom:.2g} to {row.q_max_inv_angstrom:.2g}"
    cells = [
        table.Cell(row.name, link=urllib.parse.quote(row.report), title=row.file),
        table.Cell(row.status, status=row.status, more=row.reason, order=_STATUSES.index(row.status)),
        _number(row.rg_angstrom, 2, row.rg_sigma_angstrom), _significant(row.i0), _number(row.r_max_angstrom, 1),
        _number(row.chi_squared, 2), _number(row.rsc, 3),
        table.Cell(_expected(row), order=row.expected_correlation),
        table.Cell(q_range, order=row.q_max_inv_angstrom), _number(row.seconds, 0)]
    if with_concentrations:
        cells += [_significant(row.concentration_mg_per_ml), _significant(row.i0_per_concentration)]
    return [*cells, *(_mass_cell(row, method) for method in row.masses_kda)]


def _expected(row: BatchRow) -> str:
    """Returns the expected correlation with its 90% interval, "" where none is stated."""
    if row.expected_correlation is None:
        return ""
    return (f"{row.expected_correlation:.2f} ({row.expected_correlation_low:.2f} to "
            f"{row.expected_correlation_high:.2f})")


def _number(value: float | None, digits: int, sigma: float | None = None) -> table.Cell:
    """Returns the cell of a number with `digits` decimals, and of its standard deviation if there is one."""
    more = "" if sigma is None else f" +- {sigma:.{digits}f}"
    return table.Cell(_fixed(value, digits) + more, order=value)


def _significant(value: float | None) -> table.Cell:
    """Returns the cell of a number with four significant digits."""
    return table.Cell("" if value is None else f"{value:.4g}", order=value)


def _fixed(value: float | None, digits: int) -> str:
    """Returns a number with `digits` decimals, "" for None."""
    return "" if value is None else f"{value:.{digits}f}"
