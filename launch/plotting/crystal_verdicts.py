"""Draws how well R1 tells right structures of crystals from wrong ones.

Panel a shows R1 against the reflections per parameter, with the limits of the verdict. Panel b is a reliability
diagram: the share of right structures against R1 over the limit below which the verdict is "solved".
"""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from launch.plotting import style
from launch.plotting.missing import MissingInput
from phasenet.crystal.refinement import verdict

_RANGE = (1.0, 100.0)  # reflections per parameter that are shown
_HIGHEST_R1 = 0.8
_RATIO_EDGES = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, np.inf)  # of the bins of R1 over its limit
_TOO_FEW = "too few\nreflections"  # per parameter for any limit
_Z = 1.6449  # standard deviations of a two-sided interval of 90%


class ReliabilityBin(NamedTuple):
    """Structures with like R1 over the limit of the verdict.

    Attributes:
      label: range of R1 over the limit, the lower edge not included.
      right: number of right structures.
      total: number of structures.
    """

    label: str
    right: int
    total: int


def draw(path: pathlib.Path, results: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Draws every structure of evaluations of crystals, and the share of right ones by R1.

    Good: the right ones lie below the lower line, the wrong ones and those of permuted intensities above the upper one;
    below the limit, every structure is right.

    Args:
      path: the picture to write.
      results: what `launch.evaluate` wrote; those of other tasks are passed over.

    Returns:
      Numbers of right, of wrong, and of permuted ones, and how many of each are called solved.

    Raises:
      MissingInput: no result is one of crystals.
    """
    groups: dict[str, list[dict[str, Any]]] = {"right": [], "wrong": [], "intensities permuted": []}
    for result in results:
        if result["task"] != "crystals":
            continue
        for item in result["items"]:
            if "error" not in item:
                name = "intensities permuted" if result.get("permuted") else "right" if item["solved"] else "wrong"
                groups[name].append(item)
    if not any(groups.values()):
        raise MissingInput("needs --results=FILE.json of launch.evaluate --task=crystals")
    with style.figure(path, 10.0, 4.2) as figure:
        left, right = figure.subplots(1, 2)
        _draw_scatter(left, groups)
        _draw_reliability(right, count_by_ratio(results))
        for axes, letter in ((left, "a"), (right, "b")):
            style.add_panel_letter(axes, letter)
    counts = {}
    for name, items in groups.items():
        counts[name] = len(items)
        counts[f"{name}, called solved"] = sum(item["status"] == "solved" for item in items)
    return counts


def count_by_ratio(results: Sequence[dict[str, Any]]) -> list[ReliabilityBin]:
    """Returns right and all structures in bins of R1 over the limit of the verdict.

    The limit is lower where the solver was not given the numbers of atoms. Structures of permuted intensities, of which
    none can be right, do not count.

    Args:
      results: what `launch.evaluate` wrote; those of other tasks are passed over.

    Returns:
      The bins in ascending order; the last one holds the structures with too few reflections per parameter for any
      limit.
    """
    ratios, right = [], []
    for result in results:
        if result["task"] != "crystals" or result.get("permuted"):
            continue
        is_known = result.get("composition", "formula") == "formula"
        for item in result["items"]:
            if "error" not in item:
                fraction = item.get("twin_fraction") or 0.0
                limit = verdict.r1_limits(item["reflections_per_parameter"], is_known, fraction)[0]
                ratios.append(item["r1"] / limit if limit > 0 else np.nan)
                right.append(bool(item["solved"]))
    values, is_right = np.array(ratios, float), np.array(right, bool)
    bins = []
    for low, high in zip(_RATIO_EDGES[:-1], _RATIO_EDGES[1:], strict=True):
        # R1 at the limit itself is called solved.
        inside = (values > low if low > 0 else values >= 0) & (values <= high)
        label = f"{low:g} to {high:g}" if np.isfinite(high) else f"over {low:g}"
        bins.append(ReliabilityBin(label, int(is_right[inside].sum()), int(inside.sum())))
    inside = np.isnan(values)
    return [*bins, ReliabilityBin(_TOO_FEW, int(is_right[inside].sum()), int(inside.sum()))]


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """Returns the 90% interval of a share after Wilson, J. Am. Stat. Assoc. 1927, 22, 209.

    Args:
      right: number of successes.
      count: number of trials, at least 1.
    """
    share, z2 = right / count, _Z**2 / count
    middle = (share + z2 / 2) / (1 + z2)
    half = np.sqrt(share * (1 - share) * z2 + z2**2 / 4) / (1 + z2)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _draw_scatter(axes: Axes, groups: dict[str, list[dict[str, Any]]]) -> None:
    """Draws R1 of the items of each group against their reflections per parameter, and the limits."""
    for (name, items), colour, marker in zip(groups.items(), (style.BLUE, style.RED, style.GREY), "o^x", strict=True):
        # What lies outside the frame is drawn at its edge.
        axes.scatter(np.clip([item["reflections_per_parameter"] for item in items], *_RANGE),
                     np.clip([item["r1"] for item in items], 0.0, _HIGHEST_R1), s=14, color=colour, marker=marker,
                     alpha=0.7, linewidths=0.8, label=f"{name}: {len(items)}")
    grid = np.geomspace(*_RANGE, 400)
    limits = np.array([verdict.r1_limits(value) for value in grid])
    axes.plot(grid, np.where(limits[:, 0] > 0, limits[:, 0], np.nan), color="black", linewidth=0.8,
              label="solved below")
    axes.plot(grid, limits[:, 1], color="black", linewidth=0.8, linestyle="--", label="not solved above")
    axes.set_xscale("log")
    axes.set_xlim(*_RANGE)
    axes.set_ylim(0.0, _HIGHEST_R1)
    axes.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
    axes.set_xlabel("reflections per parameter")
    axes.set_ylabel("R1")
    axes.legend(loc="upper left", ncols=2)


def _draw_reliability(axes: Axes, bins: Sequence[ReliabilityBin]) -> None:
    """Draws the share of right structures in each bin with its 90% interval, and the number of structures."""
    labels = []
    for place, (label, right, total) in enumerate(bins):
        labels.append(label.replace(" to ", "\nto ").replace("over ", "over\n") + f"\nn = {total}")
        if total:
            low, high = wilson_interval(right, total)
            colour = style.GREY if place == len(bins) - 1 else style.BLUE
            axes.vlines(place, low, high, color=colour)
            axes.plot(place, right / total, "o", color=colour, markersize=5, clip_on=False)
    axes.axvline(_RATIO_EDGES.index(1.0) - 0.5, color="black", linewidth=0.8, label="solved to the left")
    axes.axvline(len(bins) - 1.5, color=style.LIGHT, linewidth=0.8)
    axes.set_xlim(-0.6, len(bins) - 0.4)
    axes.set_ylim(-0.03, 1.05)
    axes.set_xticks(range(len(bins)), labels)
    axes.set_xlabel("R1 over the limit below which a structure is called solved")
    axes.set_ylabel("share of right structures (bars: 90% interval)")
    axes.legend(loc="lower left")
