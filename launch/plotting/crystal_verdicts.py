"""Draws R1 of right and of wrong structures against the reflections per parameter, with the limits of the verdict."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from launch.plotting import style
from launch.plotting.missing import MissingInput
from phasenet.crystal.refinement import verdict

_RANGE = (1.0, 100.0)  # reflections per parameter that are shown
_HIGHEST_R1 = 0.8


def draw(path: pathlib.Path, results: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Draws every structure of evaluations of crystals.

    Good: the right ones lie below the lower line, the wrong ones and those of permuted intensities above the upper one.

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
    with style.figure(path, 5.6, 4.2) as figure:
        axes = figure.subplots()
        for (name, items), colour, marker in zip(groups.items(), (style.BLUE, style.RED, style.GREY), "o^x",
                                                 strict=True):
            # What lies outside the frame is drawn at its edge.
            axes.scatter(np.clip([item["reflections_per_parameter"] for item in items], *_RANGE),
                         np.clip([item["r1"] for item in items], 0.0, _HIGHEST_R1), s=14, color=colour,
                         marker=marker, alpha=0.7, linewidths=0.8, label=f"{name}: {len(items)}")
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
    counts = {}
    for name, items in groups.items():
        counts[name] = len(items)
        counts[f"{name}, called solved"] = sum(item["status"] == "solved" for item in items)
    return counts
