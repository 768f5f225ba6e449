"""Defines the settings, colours and small parts that all figures share; `launch.pages` uses the same colours."""

import contextlib
import math
import os
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, RED, GREY, GREEN, ORANGE = "#2765a8", "#c23b2a", "#6d7278", "#2e8b57", "#d98a1f"
LIGHT = "#c9ced4"
ANGSTROM = "\N{LATIN CAPITAL LETTER A WITH RING ABOVE}"
INVERSE_ANGSTROM = f"{ANGSTROM}$^{{-1}}$"

_SETTINGS: dict[Any, Any] = {
    "font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9, "legend.fontsize": 8,
    "xtick.labelsize": 8, "ytick.labelsize": 8, "axes.spines.top": False,
    "axes.spines.right": False, "axes.linewidth": 0.8, "lines.linewidth": 1.4,
    "legend.frameon": False, "savefig.dpi": 200, "figure.facecolor": "white",
    "mathtext.default": "regular"}


@contextlib.contextmanager
def figure(path: str | os.PathLike, width: float, height: float) -> Iterator[Figure]:
    """Yields an empty figure in this style, and writes it at the end of the `with` block.

    Args:
      path: the picture to write; its folder is made where it is missing.
      width: width of the figure, inches.
      height: height of the figure, inches.
    """
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # A glyph that the font lacks is drawn as a box, which is warning enough.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        drawn = Figure((width, height), layout="constrained")
        yield drawn
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(path)


def hide_axes(axes: Axes) -> None:
    """Removes the ticks and the frame of the axes, so that only their content is seen."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def add_panel_letter(axes: Axes, letter: str) -> None:
    """Writes a bold letter at the upper left, outside the axes."""
    axes.set_title(letter, loc="left", fontweight="bold", fontsize=11)


def add_scale_bar(axes: Axes) -> None:
    """Draws a bar of a round length, at most a third of the width, below a picture whose limits are in Angstrom."""
    left, right = axes.get_xlim()
    longest = (right - left) / 3
    decade = 10.0 ** math.floor(math.log10(longest))
    length = next(step * decade for step in (5, 2, 1, 0.5) if step * decade <= longest)  # 0.5 in case log10 rounds up
    share = length / (right - left)
    axes.plot([0, share], [-0.03, -0.03], color="black", linewidth=2, solid_capstyle="butt",
              transform=axes.transAxes, clip_on=False)
    axes.text(share + 0.02, -0.03, f"{length:g} {ANGSTROM}", va="center", fontsize=8,
              transform=axes.transAxes)
