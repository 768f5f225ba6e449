"""Formats what `launch.evaluate` prints: progress lines, tables of items and summaries, beside the papers' results."""

from collections.abc import Iterable, Mapping
from typing import Any

from launch import app

_NUM_WORST = 5  # number of the worst items that are shown

# key -> (heading, format)
_ENCODED = {
    "id": ("id", "{}"), "correlation": ("corr", "{:.3f}"), "pca200": ("PCA", "{:.3f}"),
    "filled_fraction": ("filled", "{:.3f}"), "rg_over_r_max": ("Rg/r_max", "{:.2f}"),
    "surface_fraction": ("surface", "{:.2f}"), "pieces": ("pieces", "{}"),
    "cavity_fraction": ("cavities", "{:.3f}"), "centre_filled": ("centre", "{:.2f}"),
    "shape": ("shape", "{}")}
_ENCODED_SUMMARY = {
    "what": ("", "{}"), "mean_correlation": ("mean corr", "{:.3f}"),
    "median_correlation": ("median", "{:.3f}"), "fraction_above_0.90": ("> 0.90", "{:.0%}")}
_SHAPES = {
    "id": ("id", "{}"), "correlation": ("corr", "{:.3f}"), "best_single": ("single", "{:.3f}"),
    "sphere_correlation": ("sphere", "{:.3f}"),
    "fitted_ellipsoid_correlation": ("ell.fit", "{:.3f}"),
    "ellipsoid_correlation": ("ell.true", "{:.3f}"), "published_correlation": ("publ.", "{:.3f}"),
    "published_map_correlation": ("publ.map", "{:.3f}"), "chi_squared": ("chi^2", "{:.2f}"),
    "relative_residual": ("residual", "{:.3f}"), "radius_angstrom": ("r_max", "{:.1f}"),
    "reference_radius_angstrom": ("r_ref", "{:.1f}"), "cpu_seconds": ("CPU s", "{:.0f}"),
    "shape": ("shape", "{}")}


def format_table(rows: Iterable[Mapping], columns: Mapping[str, tuple[str, str]]) -> str:
    """Returns a table with right-aligned columns; columns without any value are left out.

    Args:
      rows: values by key; a missing value, or None, is shown as "-".
      columns: key -> (heading, format of a value, such as "{:.3f}").
    """
    rows = list(rows)
    used = [key for key in columns if any(row.get(key) is not None for row in rows)]
    cells = [[columns[key][0] for key in used]]
    for row in rows:
        cells.append(["-" if row.get(key) is None else columns[key][1].format(row[key])
                      for key in used])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
                     for line in cells)


def format_autoencoder(items: list[dict[str, Any]], summary: Mapping[str, Any]) -> str:
    """Returns the structures with the lowest correlations, what makes them difficult, and the summary."""
    keys = list(_ENCODED_SUMMARY)[1:]
    means = [{"what": what, **{key: summary[f"{prefix}{key}"] for key in keys}}
             for what, prefix in (("network", ""), ("its encoder alone", "encoder_alone_"), ("PCA-200", "pca200_"),
                                  ("PCA-200, refined", "pca200_refined_"))]
    paper = {"what": "paper (its 542 models)", "mean_correlation": 0.88,
             "fraction_above_0.90": 0.561}
    worst = sorted(items, key=lambda item: item["correlation"])[:_NUM_WORST]
    return (f"\nthe lowest correlations, and what makes these structures difficult:\n"
            f"{format_table(worst, _ENCODED)}\n\n"
            f"{format_table([*means, paper], _ENCODED_SUMMARY)}")


def format_reconstruction(item: Mapping[str, Any]) -> str:
    """Returns the text of a reconstruction's progress line."""
    return (f"correlation {item['correlation']:.3f} (sphere {item['sphere_correlation']:.3f}), "
            f"chi^2 {item['chi_squared']:.2f}, r_max {item['radius_angstrom']:.1f} A "
            f"(reference {item['reference_radius_angstrom']:.1f})")


def format_reconstructions(items: list[dict[str, Any]], summary: Mapping[str, Any]) -> str:
    """Returns the table of all reconstructions, the worst first, with means and medians, then what failed."""
    done = [item for item in items if "error" not in item]
    rows = sorted(done, key=lambda item: item["correlation"])
    for statistic in ("mean", "median"):
        rows.append({key: summary.get(f"{statistic}_{key}") for key in _SHAPES} | {"id": statistic})
    lines = ["", format_table(rows, _SHAPES), ""]
    lines += [f"failed: {item['id']}: {item['error']}" for item in items if "error" in item]
    if summary["count"]:
        words = f"{summary['fraction_above_0.70']:.0%} above 0.70 (published: 52 to 55%)"
        if summary["median_radius_error"] > 1e-4:  # else the radius was given
            error = summary["median_radius_error"]
            words += f"; median error of r_max {error:.1%} (published: 15%)"
        lines += [words, "verdicts: " + ", ".join(f"{n} {status}" for status, n in summary["verdicts"].items())]
        lines += [f"{item['id']}: {item['status']}: {'; '.join(item['reasons'])}" for item in done if item["reasons"]]
    return "\n".join(lines)


class PhasingProgress:
    """Prints the fraction solved so far after each tenth of the cases."""

    def __init__(self, num_cases: int) -> None:
        self.num_cases, self.done, self.solved = num_cases, 0, 0

    def __call__(self, item: Mapping[str, Any]) -> None:
        """Counts an item, and prints a line where a tenth is complete."""
        self.done += 1
        self.solved += item["solved"]
        if self.done * 10 // self.num_cases > (self.done - 1) * 10 // self.num_cases:
            app.print_line(f"[{self.done}/{self.num_cases}] solved so far: {self.solved / self.done:.1%}")


def format_phasing(summary: Mapping[str, Any]) -> str:
    """Returns the summary over all cases, with the paper's results in brackets."""
    error = summary["mean_error_voxels"]
    lines = [
        f"\nmatched          {summary['matched']} of {summary['atoms']} atoms (paper: 4994 of 5000)",
        f"within 1 voxel   {summary['matched_within_1_voxel']}",
        f"mean error       {'-' if error is None else f'{error:.3f}'} voxel (paper: 0.283)",
        f"solved           {summary['fraction_solved']:.1%} of {summary['cases']} cases (all atoms within 1 voxel)",
        f"Patterson map    correlation {summary['mean_patterson_correlation']:.4f} on average",
        f"processor time   {summary['mean_cpu_seconds']:.3f} s a case"]
    if "found_by" in summary:
        found_by = ", ".join(f"{count} by {stage}" for stage, count in summary["found_by"].items() if count)
        lines += [f"called solved    {summary['fraction_called_solved']:.1%}, {summary['wrong_called_solved']} of them "
                  f"wrong ({found_by})", f"ambiguous        {summary['fraction_ambiguous']:.1%}"]
    return "\n".join(lines)
