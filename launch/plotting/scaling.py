"""Draws how the cost grows with the size of a problem: the picture of `launch.benchmark --suite=scaling`."""

import os
from typing import Any

import numpy as np

from launch.plotting import style

_PANELS = (("maps of a grid", ("grid_patterson", "grid_synthesis"), "voxels an edge"),
           ("atoms of an example", ("atoms_drawn", "atoms_maps"), "atoms"),
           ("genes and curves of a search", ("population", "curves"), "genes, or curves of 30 genes"))
_NAMES = {"grid_patterson": "Patterson maps", "grid_synthesis": "whole examples", "atoms_drawn": "drawing atoms",
          "atoms_maps": "their maps", "population": "population", "curves": "curves"}


def draw(path: str | os.PathLike, items: list[dict[str, Any]], exponents: dict[str, float]) -> None:
    """Draws the cost of each size, in units of that of the smallest size of its family, on logarithmic axes.

    An exponent of 1 means that the cost is proportional to the size; above 1, that it grows faster.

    Args:
      path: the picture to write.
      items: what `launch.benchmarks.suites.scaling` measured, one for each size.
      exponents: fitted exponent of each family, the slope of log cost against log size.
    """
    with style.figure(path, 7.6, 2.9) as figure:
        for axes, (title, families, label) in zip(figure.subplots(1, 3), _PANELS, strict=True):
            ticks: list[float] = []
            highest = 1.0
            for name in families:
                sizes, costs = points(items, name)
                axes.loglog(sizes, costs, "o-", markersize=3.5, label=f"{_NAMES[name]}, exponent {exponents[name]:.2f}")
                ticks, highest = sorted({*ticks, *sizes}), max(highest, costs.max())
            axes.set(title=title, xlabel=label, ylim=(0.85, 4 * highest))  # room for the legend
            ticks = [tick for tick, left in zip(ticks, [0, *ticks], strict=False) if tick > 1.15 * left]
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], rotation=45)
            axes.set_xticks([], minor=True)
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("")
            axes.legend(loc="upper left")
        figure.axes[0].set_ylabel("cost relative to the smallest")


def points(items: list[dict[str, Any]], family: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sizes (S,) of a family and their costs (S,) in units of the smallest size's cost.

    Args:
      items: as in `draw`.
      family: name of the family, a key of `_NAMES`.
    """
    rows = [item for item in items if item["details"].get("family") == family]
    sizes = [rows[0]["details"]["smallest"], *(item["details"]["size"] for item in rows)]
    return np.array(sizes, float), np.array([1.0, *(item["ratio"] for item in rows)])
