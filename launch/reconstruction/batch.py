"""Reconstructs many curves one after another, each into a folder of its own, with a table of all.

`launch.reconstruct` calls `run_batch`. One process runs all curves, so that programs are compiled once.

1. A curve whose log.json was made from the same file with the same settings is not computed again.
2. Every other curve is reconstructed. An error becomes the row of its curve, and the next curve follows.
3. The table is written after each curve, so that an interruption loses the current curve only.
"""

import contextlib
import functools
import hashlib
import json
import os
import pathlib
import time
import traceback
from collections.abc import Sequence
from typing import Any

from launch import app
from launch.machine import provenance
from launch.pages import page
from launch.reconstruction import batch_table, curve_run, files, series
from launch.reconstruction.batch_table import FAILED, BatchRow
from launch.reconstruction.curve_reading import NoShapeError, read_and_judge, write_refusal
from launch.reconstruction.curve_run import LoadedWeights, Method, RunSettings
from launch.reconstruction.input_files import CurveFile, SkippedFile, summarize_skipped
from launch.reconstruction.series import SeriesPoint
from phasenet.errors import InputError, one_line
from saxsae.analysis.mass_by_concentration import MassScale
from saxsae.io.curves.measured_curves import Curve
from saxsae.io.curves.units import UndecidedUnitError
from saxsae.profiles.guinier import fit_guinier

# Flags on which the result of a curve does not depend.
_FREE_FLAGS = ("profile", "output", "json", "progress")
_PACKAGE = "phasenet-saxsae"


def run_batch(curves: Sequence[CurveFile], skipped: Sequence[SkippedFile], output: str, settings: RunSettings,
              flags: dict[str, Any], concentrations: Sequence[float] | None, json_path: str | None,
              scales: Sequence[MassScale] = ()) -> None:
    """Reconstructs the curves, writes a folder for each, batch.csv and batch.html, and prints a table.

    Args:
      curves: the curves.
      skipped: files that are left out, for the page.
      output: the output folder; the curves' folders lie in it.
      settings: the settings of all curves.
      flags: the flags that the logs record, those of a launch with one curve.
      concentrations: of the curves' samples, mg/ml; None takes those that the files state.
      json_path: file for the table as JSON; None for none.
      scales: by which the table gives masses from I(0) and the concentrations.

    Raises:
      InputError: the weights or the settings cannot be used, or masses need a concentration; or, after all is written,
        curves have no result.
    """
    known = series.find_concentrations(curves, concentrations, scales)
    by_name = {curve.name: value for curve, value in zip(curves, known, strict=True)}
    method = curve_run.choose_method(settings)
    folder = app.prepare_folder(output)
    weights = curve_run.load_weights(method, settings.weights)
    common = {"flags": flags, **provenance.describe_code(), "batch": {"weights_sha256": weights.description["sha256"]}}

    rows: dict[str, BatchRow] = {}
    write_tables = functools.partial(_write_tables, folder, curves, rows, skipped, concentrations is not None, scales)
    for curve in curves:
        log = _read_finished(folder / curve.name, _describe(curve, folder, common))
        if log is not None:
            rows[curve.name] = batch_table.make_row(curve, log, by_name[curve.name])
    if rows:
        app.print_line(f"{len(rows)} of {len(curves)} curves are finished with these settings and are not computed "
                       f"again: {', '.join(rows)}")
    write_tables()
    for number, curve in enumerate(curves, 1):
        if curve.name not in rows:
            app.print_line(f"\n[{number}/{len(curves)}] {curve.name}")
            log = _run_or_fail(curve, folder, settings, method, weights, _describe(curve, folder, common))
            rows[curve.name] = batch_table.make_row(curve, log, by_name[curve.name])
            write_tables()
    _print_end(folder, *write_tables(json_path))


def _describe(curve: CurveFile, folder: pathlib.Path, common: dict[str, Any]) -> dict[str, Any]:
    """Returns the description of the run for a curve's log: flags to repeat it alone, code, and digests in "batch".

    A curve is not computed again if the digests, the code and the flags, without `_FREE_FLAGS`, are the same.

    Args:
      curve: the curve.
      folder: the output folder of the batch.
      common: what the descriptions of all curves share.
    """
    try:
        digest = hashlib.sha256(pathlib.Path(curve.path).read_bytes()).hexdigest()
    except OSError:  # reading the curve will say what is wrong
        digest = None
    flags = common["flags"] | {"profile": curve.path, "output": str(folder / curve.name), "json": None}
    return common | {"flags": flags, "batch": common["batch"] | {"profile_sha256": digest}}


def _read_finished(folder: pathlib.Path, description: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the log of a finished curve if it was made from the same file with the same settings, else None."""
    try:
        log = json.loads((folder / files.LOG).read_text(encoding="utf-8"))
        same = _identify(log) == _identify(app.to_json_types(description))
        whole = log["status"] not in batch_table.RESULTS or (folder / page.NAME).is_file()
        finished = same and whole and log["status"] != FAILED and log["batch"]["profile_sha256"] is not None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # no log, or not of this program
        return None
    return log if finished else None


def _identify(log: dict[str, Any]) -> tuple[Any, ...]:
    """Returns the part of a log, in JSON's types, on which the result depends."""
    flags = {name: value for name, value in log["flags"].items() if name not in _FREE_FLAGS}
    batch = log["batch"]
    return flags, log["versions"][_PACKAGE], log["revision"], batch["profile_sha256"], batch["weights_sha256"]


def _run_or_fail(curve: CurveFile, folder: pathlib.Path, settings: RunSettings, method: Method,
                 weights: LoadedWeights, description: dict[str, Any]) -> dict[str, Any]:
    """Returns the log of a curve in JSON's types; of one that failed, "status", "reasons" and "timing" at least."""
    started = time.perf_counter(), time.process_time()
    try:
        log = _run(curve, folder / curve.name, settings, method, weights, description, started)
    except Exception as error:
        reason = app.describe_error(error)
        known = reason is not None
        reason = one_line(reason if known else f"{type(error).__name__}: {error}")
        app.print_line(f"failed: {reason}")
        log = {"profile": curve.path, "status": FAILED, "reasons": [reason.removeprefix(f"{curve.path}: ")],
               "timing": _measure_time(started), **description}
        # Earlier results are kept where the file is missing for the moment or the user must give the unit.
        if not known or (os.path.isfile(curve.path) and not isinstance(error, UndecidedUnitError)):
            if not known:  # a bug
                log |= {"traceback": traceback.format_exc()}
            with contextlib.suppress(OSError, InputError):
                _write_failure(folder / curve.name, log)
    return app.to_json_types(log)


def _run(curve: CurveFile, folder: pathlib.Path, settings: RunSettings, method: Method, weights: LoadedWeights,
         description: dict[str, Any], started: tuple[float, float]) -> dict[str, Any]:
    """Returns the log of a curve, with a shape or without; any other error is raised."""
    try:
        read = read_and_judge(curve.path, settings.unit, settings.radius, settings.background)
        return curve_run.run_curve(read, app.prepare_folder(str(folder)), settings, method, weights,
                                   _with_curve(description, read), started)
    except NoShapeError as refusal:
        app.print_line(str(refusal))
        described = _with_curve(description, refusal.curve) | {"timing": _measure_time(started)}
        return write_refusal(refusal, curve.path, str(folder), described)


def _write_failure(folder: pathlib.Path, log: dict[str, Any]) -> None:
    """Writes the log of a curve that failed, in place of the results of an earlier run."""
    files.remove_old_results(app.prepare_folder(str(folder)), keep=(log["profile"],))
    app.write_log(folder / files.LOG, log, None)


def _with_curve(description: dict[str, Any], curve: Curve | None) -> dict[str, Any]:
    """Returns the description with the numbers of the curve itself that the table shows, also without a shape."""
    if curve is None:
        return description
    guinier = fit_guinier(curve.q_inv_angstrom, curve.intensity, curve.sigma)
    facts = {"guinier": guinier if guinier.valid else None, "q_inv_angstrom": curve.q_inv_angstrom[[0, -1]]}
    return description | {"batch": description["batch"] | facts}


def _measure_time(started: tuple[float, float]) -> dict[str, float]:
    """Returns the wall and processor time since `started`: values of `time.perf_counter` and `time.process_time`."""
    return {"wall_seconds": time.perf_counter() - started[0], "cpu_seconds": time.process_time() - started[1]}


def _write_tables(folder: pathlib.Path, curves: Sequence[CurveFile], rows: dict[str, BatchRow],
                  skipped: Sequence[SkippedFile], given: bool, scales: Sequence[MassScale],
                  json_path: str | None = None) -> tuple[list[BatchRow], tuple[str, ...]]:
    """Writes the table of the curves that are done, in the order of the curves.

    Args:
      folder: the output folder.
      curves: the curves.
      rows: the rows of the curves that are done, by name.
      skipped: files that are left out.
      given: whether the user gave the concentrations.
      scales: by which masses are computed from I(0) and the concentrations.
      json_path: file for the table as JSON; None for none.

    Returns:
      The rows as they were written, and the lines about the series and the masses.
    """
    done = [rows[curve.name] for curve in curves if curve.name in rows]
    found = series.SeriesReport()
    if len(done) == len(curves):
        found = series.find_series([point for point in map(_as_point, done) if point is not None], given)
    done = [batch_table.complete_row(row, found.divided, scales) for row in done]
    lines = found.lines
    if scales:
        concentrations = [row.concentration_mg_per_ml for row in done]
        lines = (*lines, series.describe_masses(
            concentrations, given, found.divided, batch_table.count_contradicted(done)))
    batch_table.write_csv(folder, done)
    batch_table.write_page(folder, done, len(curves), lines, summarize_skipped(skipped))
    if json_path is not None:
        app.write_json(json_path, {
            "items": batch_table.as_items(done), "summary": batch_table.count_statuses(done),
            "series": None if found.series is None else {
                **found.series._asdict(), "divided_by_concentration": found.divided, "text": found.lines},
            "skipped": skipped, **provenance.describe_run()})
    return done, lines


def _as_point(row: BatchRow) -> SeriesPoint | None:
    """Returns the point of a curve in a concentration series; None without a concentration or a Guinier region."""
    concentration, numbers = row.concentration_mg_per_ml, (row.rg_angstrom, row.rg_sigma_angstrom, row.i0, row.i0_sigma)
    known = [number for number in numbers if number is not None]
    return None if concentration is None or len(known) < len(numbers) else SeriesPoint(concentration, *known)


def _print_end(folder: pathlib.Path, rows: Sequence[BatchRow], lines: Sequence[str]) -> None:
    """Prints the table; raises InputError if curves have no result."""
    app.print_line("\n" + "\n".join([batch_table.format_table(rows), *([""] if lines else []), *lines]))
    app.print_line(f"\nwritten to {folder}:\n  {batch_table.CSV}  {batch_table.PAGE}  and a folder for each curve\n\n"
                   f"{batch_table.format_counts(rows)}")
    missing = [row for row in rows if row.status not in batch_table.RESULTS]
    if missing:
        raise InputError(f"{len(missing)} of {len(rows)} curves have no result ({batch_table.format_counts(missing)}): "
                         f"{folder / batch_table.CSV} says why")
