"""Judges good and unfit curves, and shows their measures beside the limits of `saxsae.verdict`.

`launch.evaluate --task=verdicts` calls this module. The verdicts are those before the search; no shape is searched for.
"""

import collections
import functools
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from launch.evaluation.cases import Case
from launch.evaluation.curve_tasks import made_curves
from launch.evaluation.report import format_table
from phasenet.errors import InputError
from saxsae.io.curves.measured_curves import read_curve
from saxsae.profiles.guinier import fit_guinier
from saxsae.profiles.rebinning import CurveLike
from saxsae.verdict import DOUBTFUL, LIMITS, NO_SHAPE, RESULT_MEASURES, SHAPE, Verdict, judge_curve

STATUSES = (SHAPE, DOUBTFUL, NO_SHAPE)


def judge_made_curves(seed: int) -> Iterator[dict[str, Any]]:
    """Yields the item of each synthetic curve, which is written to a file and read as any other curve."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "curve.dat"
        for kind in made_curves.KINDS:
            for i, body in enumerate(made_curves.BODIES):
                path.write_text(made_curves.make_text(kind, *body, seed + i), encoding="utf-8")
                yield {"group": f"made: {kind.name}", "id": f"{body[0]:g} x {body[1]:g} A", "fit": kind.fit,
                       **_judge(functools.partial(read_curve, path), str(path))}


def judge_cases(cases: Iterable[Case], group: str) -> Iterator[dict[str, Any]]:
    """Yields the item of each case; its curve is a good one, named after its group."""
    for case in cases:
        yield {"group": group, "id": case.id, "fit": True, **_judge(functools.partial(_load_curve, case), "")}


def _load_curve(case: Case) -> CurveLike:
    """Returns the curve of a case."""
    return case.load()[0]


def _judge(load: Callable[[], CurveLike], path: str) -> dict[str, Any]:
    """Returns the verdict on the curve that `load` returns, where a curve that cannot be read has no shape."""
    try:
        curve = load()
        verdict = judge_curve(curve, fit_guinier(curve.q_inv_angstrom, curve.intensity, curve.sigma))
    except InputError as error:
        verdict = Verdict(NO_SHAPE, (str(error).removeprefix(f"{path}: "),), (), {})
    return {"status": verdict.status, "reasons": verdict.reasons, "measures": verdict.measures}


def summarize(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the number of good curves of each status, and of unfit ones."""
    counted = collections.Counter((item["fit"], item["status"]) for item in items)
    return {name: {status: counted[fit, status] for status in STATUSES}
            for name, fit in (("good", True), ("unfit", False))}


def format_verdicts(items: list[dict[str, Any]], summary: dict[str, Any]) -> str:
    """Returns the limits beside what good curves reach, the verdicts by group, and the summary."""
    good = [item["measures"] for item in items if item["fit"] and item["measures"]]
    rows = []
    for name, limit in LIMITS.items():
        if name in RESULT_MEASURES:
            continue
        values = np.array([measures[name] for measures in good if np.isfinite(measures[name])])
        rows.append({"measure": name, "doubtful": format_range(limit.doubtful),
                     "no_shape": format_range(limit.no_shape), "lowest": values.min(), "highest": values.max()})
    limits = format_table(rows, {
        "measure": ("measure", "{}"), "doubtful": ("doubtful", "{}"), "no_shape": ("no shape", "{}"),
        "lowest": ("good: lowest", "{:.3g}"), "highest": ("highest", "{:.3g}")})
    groups: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for item in items:
        groups[item["group"]][item["status"]] += 1
    verdicts = format_table([{"group": group, **counted} for group, counted in groups.items()],
                            {"group": ("curves", "{}"), **{status: (status, "{}") for status in STATUSES}})
    notable = [f"{item['group']}, {item['id']}: {item['status']}: {'; '.join(item['reasons'])}" for item in items
               if item["fit"] and item["status"] != SHAPE]
    passed = [f"passed as a shape: {item['group']}, {item['id']}" for item in items
              if not item["fit"] and item["status"] == SHAPE]
    counts = [f"{sum(summary[name].values())} {name} curves: " + ", ".join(
        f"{summary[name][status]} {status}" for status in STATUSES) for name in ("good", "unfit")]
    return "\n".join(["", limits, "", verdicts, "", *notable, *passed, *counts])


def format_range(limits: tuple[float, float]) -> str:
    """Returns what lies outside a range as text, as saxsae/README.md writes it; "never" if nothing does."""
    ends = [f"{sign} {end:g}" for sign, end in zip("<>", limits, strict=True) if np.isfinite(end)]
    return " or ".join(ends) or "never"
