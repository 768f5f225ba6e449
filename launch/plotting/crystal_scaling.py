"""Draws what solving a crystal costs: the picture of `launch.benchmark --suite=crystal_scaling`."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from launch.plotting import style
from launch.plotting.missing import MissingInput

_SUITE = "crystal_scaling"
_PANELS = (("cpu_seconds", "CPU time of solving (s)"), ("compile_cpu_seconds", "CPU time of compiling (s)"),
           ("peak_gigabytes", "peak memory of the process (GB)"))
_COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.RED, style.GREY)  # of the resolutions, the finest first
# How a crystal was solved: marker and whether it is filled.
_MARKERS = {"from the first start": ("o", True), "from a later start": ("^", False), "not solved": ("x", True)}
_TICKS = (5, 10, 20, 50, 100, 200, 500)


def draw(path: pathlib.Path, results: Sequence[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Draws processor time, time of compiling, and peak memory of each crystal against its independent atoms.

    Lines are power laws fitted to the times of the crystals solved from their first start, with their exponents. The
    number beside a crystal that was solved later is that of the start.

    Args:
      path: the picture to write.
      results: what `launch.evaluate` and `launch.benchmark` wrote; only the items of the suite are drawn.

    Returns:
      By resolution, such as "1.2 A", the number of crystals solved "from the first start", "from a later start", and
      "not solved".

    Raises:
      MissingInput: no result is one of the suite.
    """
    items = [item["details"] for result in results if result["task"] == "benchmark" for item in result["items"]
             if item["suite"] == _SUITE]
    if not items:
        raise MissingInput(f"needs --results=FILE.json of launch.benchmark --suite={_SUITE}")
    resolutions = sorted({item["d_min"] for item in items})
    colours = {d_min: _COLOURS[min(place, len(_COLOURS) - 1)] for place, d_min in enumerate(resolutions)}
    with style.figure(path, 10.0, 3.6) as figure:
        panels = figure.subplots(1, len(_PANELS))
        for axes, (key, label), letter in zip(panels, _PANELS, "abc", strict=True):
            _draw_points(axes, items, key, colours)
            axes.set_xlabel("independent non-hydrogen atoms")
            axes.set_ylabel(label)
            style.add_panel_letter(axes, letter)
        _draw_times(panels[0], items, colours)
        for axes, (key, _) in zip(panels[1:], _PANELS[1:], strict=True):
            axes.set_ylim(0, 1.1 * max(item[key] for item in items))
        handles = [Line2D([], [], color=colour, linewidth=3, label=f"{d_min:.1f} {style.ANGSTROM}")
                   for d_min, colour in colours.items()]
        handles += [_marker(name, style.GREY, label=f"solved {name}" if name != "not solved" else name)
                    for name in _MARKERS]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return {f"{d_min:.1f} A": {name: sum(item["d_min"] == d_min and describe_start(item) == name for item in items)
                               for name in _MARKERS} for d_min in resolutions}


def describe_start(item: dict[str, Any]) -> str:
    """Returns "from the first start", "from a later start" or "not solved", of the details of a row of the suite."""
    if not item["solved"]:
        return "not solved"
    return "from the first start" if item["start"] == 1 else "from a later start"


def _draw_points(axes: Axes, items: Sequence[dict[str, Any]], key: str, colours: dict[float, str]) -> None:
    """Draws one quantity of all crystals against their atoms, on a logarithmic axis of atoms."""
    for d_min, colour in colours.items():
        for name in _MARKERS:
            group = [item for item in items if item["d_min"] == d_min and describe_start(item) == name]
            marker = _marker(name, colour)
            marker.set_data([item["atoms"] for item in group], [item[key] for item in group])
            axes.add_line(marker)
    axes.autoscale_view()
    axes.set_xscale("log")
    low, high = min(item["atoms"] for item in items), max(item["atoms"] for item in items)
    axes.set_xlim(low / 1.2, high * 1.2)
    ticks = [tick for tick in _TICKS if low / 1.2 <= tick <= high * 1.2]
    axes.set_xticks(ticks, [f"{tick}" for tick in ticks])
    axes.set_xticks([], minor=True)


def _draw_times(axes: Axes, items: Sequence[dict[str, Any]], colours: dict[float, str]) -> None:
    """Makes the axis of processor times logarithmic, and adds the power laws and the numbers of later starts."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    for d_min, colour in colours.items():
        group = [item for item in items if item["d_min"] == d_min]
        atoms, seconds = (np.array([item[key] for item in group if describe_start(item) == "from the first start"])
                          for key in ("atoms", "cpu_seconds"))
        if len(set(atoms.tolist())) > 1:
            exponent, offset = np.polyfit(np.log(atoms), np.log(seconds), 1)
            ends = np.array([atoms.min(), atoms.max()])
            axes.plot(ends, np.exp(offset) * ends**exponent, color=colour, linewidth=0.8,
                      label=f"{d_min:.1f} {style.ANGSTROM}: exponent {exponent:.1f}")
        for item in group:
            if describe_start(item) == "from a later start":
                axes.annotate(f"{item['start']}", (item["atoms"], item["cpu_seconds"]), (4, 2),
                              textcoords="offset points", fontsize=7, color=colour)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left")


def _marker(name: str, colour: str, label: str | None = None) -> Line2D:
    """Returns the symbol of how a crystal was solved, a key of `_MARKERS`, without a place."""
    marker, is_filled = _MARKERS[name]
    return Line2D([], [], marker=marker, linestyle="", color=colour, markersize=5, alpha=0.8,
                  markerfacecolor=colour if is_filled else "none", label=label)
