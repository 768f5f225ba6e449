"""Compares the numbers of measured curves (`saxsae.analysis.curve_report`) with those of the atoms of their models.

`launch.evaluate --task=curves` calls this module. The beads of a dummy-atom model have no mass, so these models are
left out of the errors of the mass.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from launch.evaluation.cases import Case
from launch.evaluation.report import format_table
from phasenet.errors import InputError
from saxsae.analysis.curve_report import compute_curve_numbers
from saxsae.analysis.molecular_mass import METHODS
from saxsae.shapes import atom_numbers

_COLUMNS = {
    "id": ("id", "{}"), "rg_guinier_angstrom": ("Rg", "{:.1f}"), "rg_real_angstrom": ("Rg P(r)", "{:.1f}"),
    "reference_rg_angstrom": ("model", "{:.1f}"), "d_max_angstrom": ("D_max", "{:.0f}"),
    "d_max_interval": ("90%", "{}"), "reference_d_max_angstrom": ("model", "{:.0f}"),
    **{f"mass_kda_{method}": (heading, "{:.1f}") for method, heading in zip(
        METHODS, ("kDa: Porod", "corrected", "V_c", "regression", "consensus"), strict=True)},
    "mass_interval": ("90%", "{}"), "reference_mass_kda": ("model", "{:.1f}"),
    "kratky_peak_height": ("Kratky", "{:.2f}"), "shannon_channels": ("channels", "{:.1f}"),
    "significant_channels": ("signif.", "{:.1f}")}
# Numbers whose errors are summarized: name in the summary -> (key, key of the truth).
_ERRORS = {
    "rg_guinier": ("rg_guinier_angstrom", "reference_rg_angstrom"),
    "rg_real": ("rg_real_angstrom", "reference_rg_angstrom"),
    "d_max": ("d_max_angstrom", "reference_d_max_angstrom"),
    "p_r_end": ("p_r_end_angstrom", "reference_d_max_angstrom"),
    **{f"mass_{method}": (f"mass_kda_{method}", "reference_mass_kda") for method in METHODS}}
_INTERVALS = {"d_max": ("d_max_interval_angstrom", "reference_d_max_angstrom"),
              **{f"mass_{method}": (f"mass_interval_kda_{method}", "reference_mass_kda") for method in METHODS}}


def evaluate_cases(cases: Iterable[Case]) -> list[dict[str, Any]]:
    """Returns an item for each case: the numbers of its curve and, as "reference_...", those of its model.

    A number that the curve or the model does not give is None. A case whose files cannot be read has "id", "label" and
    "error".
    """
    items = []
    for case in cases:
        try:
            items.append({"id": case.id, "label": case.label, **_compare(case)})
        except InputError as error:
            items.append({"id": case.id, "label": case.label, "error": str(error)})
    return items


def _compare(case: Case) -> dict[str, Any]:
    """Returns the numbers of the curve of a case and of its model."""
    curve, structure = case.load()
    numbers = compute_curve_numbers(curve)
    of_line = {"rg_guinier_angstrom": numbers.guinier.rg_angstrom, "rg_guinier_sigma": numbers.guinier.rg_sigma}
    finite = {key: value if np.isfinite(value) else None for key, value in of_line.items()}
    atomic = structure.kind == "atoms"
    weight = structure.atomic_number.astype(np.float64)
    known = {"reference_rg_angstrom": atom_numbers.weighted_rg(structure.xyz_angstrom, weight),
             "reference_d_max_angstrom": atom_numbers.largest_distance(structure.xyz_angstrom),
             "reference_mass_kda": atom_numbers.atom_mass(structure.atomic_number) if atomic else None}
    return {"kind": structure.kind, **finite, **numbers.flatten(), **known, "notes": list(numbers.notes)}


def summarize(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns for each number the median relative error, the median ratio and the count of items that have it.

    "median_NAME_error", "median_NAME_ratio" (to the model's), "count_NAME"; "NAME_in_interval" is the fraction of the
    models' values in the 90% intervals.
    """
    summary: dict[str, Any] = {"count": len(items), "failed": sum("error" in item for item in items)}
    for name, (key, truth) in _ERRORS.items():
        ratio = np.array([item[key] / item[truth] for item in items if item.get(key) and item.get(truth)])
        summary[f"count_{name}"] = int(ratio.size)
        if ratio.size:
            summary[f"median_{name}_error"] = float(np.median(np.abs(ratio - 1)))
            summary[f"median_{name}_ratio"] = float(np.median(ratio))
    for name, (key, truth) in _INTERVALS.items():
        inside = [item[key][0] <= item[truth] <= item[key][1] for item in items if item.get(key) and item.get(truth)]
        if inside:
            summary[f"{name}_in_interval"] = float(np.mean(inside))
    return summary


def format_curves(items: list[dict[str, Any]], summary: dict[str, Any]) -> str:
    """Returns the table of all curves, what is missing, and the errors."""
    rows = [item | {"d_max_interval": _format_interval(item.get("d_max_interval_angstrom")),
                    "mass_interval": _format_interval(item.get(f"mass_interval_kda_{METHODS[-1]}"))}
            for item in items if "error" not in item]
    lines = ["", format_table(rows, _COLUMNS), ""]
    lines += [f"failed: {item['id']}: {item['error']}" for item in items if "error" in item]
    lines += [f"{item['id']}: {note}" for item in rows for note in item["notes"]]
    beads = sum(item["kind"] == "beads" for item in rows)
    if beads:
        lines.append(f"{beads} models of dummy beads have no mass: left out of its errors")
    errors = [{"name": name, "count": summary[f"count_{name}"], "error": summary[f"median_{name}_error"],
               "ratio": summary[f"median_{name}_ratio"], "inside": summary.get(f"{name}_in_interval")}
              for name in _ERRORS if summary[f"count_{name}"]]
    return "\n".join([*lines, "", format_table(errors, {
        "name": ("number", "{}"), "count": ("curves", "{}"), "error": ("median error", "{:.1%}"),
        "ratio": ("median ratio", "{:.3f}"), "inside": ("in the 90% interval", "{:.0%}")})])


def _format_interval(limits: tuple[float, float] | None) -> str | None:
    """Returns two limits as text; None without them."""
    return None if limits is None else f"{limits[0]:.0f}-{limits[1]:.0f}"
