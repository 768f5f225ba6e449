"""Reads the curve of `launch.reconstruct` and judges it before the search; writes the log of a curve without a shape.

This module does not import JAX, because a mistake in a file should show before the slow imports.
"""

import os
from typing import Any

from launch import app
from phasenet.errors import InputError
from saxsae.io.curves.measured_curves import Curve, read_curve
from saxsae.io.curves.units import UndecidedUnitError
from saxsae.profiles.guinier import fit_guinier
from saxsae.verdict import NO_SHAPE, Verdict, judge_curve


class NoShapeError(InputError):
    """A curve, or a file that is no curve, for which there is no shape.

    Attributes:
      verdict: the verdict, with the reasons.
      notes: assumptions until then, one line each.
      curve: the curve; None for a file that is no curve.
    """

    def __init__(self, message: str, verdict: Verdict, notes: tuple[str, ...], curve: Curve | None) -> None:
        super().__init__(message)
        self.verdict, self.notes, self.curve = verdict, notes, curve


def read_and_judge(path: str, unit: str | None, radius: float | None, background: bool) -> Curve:
    """Returns the curve of a file, after printing what was read and what speaks against a shape.

    Args:
      path: the file.
      unit: unit of q in the file, "1/A" or "1/nm"; None lets the reader decide.
      radius: r_max in A, if it is known.
      background: whether a constant background will be fitted.

    Raises:
      NoShapeError: the file is no curve, or the curve has no shape.
      UndecidedUnitError: the unit must be given; the same curve may have a shape then.
      InputError: there is no such file.
    """
    try:
        curve = read_curve(path, unit)
    except UndecidedUnitError:
        raise
    except InputError as error:
        if not os.path.isfile(path):
            raise
        verdict = Verdict(NO_SHAPE, (str(error).removeprefix(f"{path}: "),), (), {})
        raise NoShapeError(str(error), verdict, (), None) from error
    from launch.reconstruction import report  # not at the top of the file, because it imports JAX

    guinier = fit_guinier(curve.q_inv_angstrom, curve.intensity, curve.sigma)
    verdict = judge_curve(curve, guinier, radius, background)
    for line in (*report.describe_curve(curve, guinier), *(f"  {remark}" for remark in verdict.remarks)):
        app.print_line(line)
    if verdict.status == NO_SHAPE:
        raise NoShapeError(f"{curve.path}: {verdict.sentence}", verdict, curve.notes, curve)
    for reason in verdict.reasons:
        app.print_line(f"  doubtful: {reason}")
    return curve


def write_refusal(refusal: NoShapeError, path: str, output: str, description: dict[str, Any],
                  keep: tuple[str | None, ...] = (), json_path: str | None = None) -> dict[str, Any]:
    """Writes log.json, with the reasons why there is no shape, in place of the results of an earlier run.

    Args:
      refusal: why there is no shape.
      path: the file of the curve.
      output: the output folder.
      description: what the log says about the run, see `provenance.describe_run`.
      keep: files that stay, such as the curve's own file.
      json_path: a second file for the log; None for none.

    Returns:
      The content of log.json.
    """
    from launch.reconstruction import files  # not at the top of the file, because it imports JAX

    folder = app.prepare_folder(output)
    files.remove_old_results(folder, keep=(path, *keep))
    log = {"profile": path, **refusal.verdict._asdict(), "notes": refusal.notes, **description}
    app.write_log(folder / files.LOG, log, json_path)
    return log
