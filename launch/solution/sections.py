"""Draws sections of two Patterson maps for `launch.solve`: the given one, and that of the atoms found."""

import jax
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_ORIGIN_PEAK_RADIUS = 3.0  # voxels; nearer to the origin, the origin peak is higher than all interatomic peaks
_NUM_SECTIONS = 3
_GAP = 3  # voxels; sections that lie closer show the same peaks


def choose_heights(given: np.ndarray) -> list[int]:
    """Returns the heights w of three sections: 0, and two others with much power in their interatomic peaks.

    Args:
      given: (N, N, N) Patterson map, origin in the middle.

    Returns:
      Three values of w, voxels from the origin, ascending, at least 0.
    """
    size = len(given)
    middle = size // 2
    # Only w >= 0, because the map is symmetric.
    power = np.where(_distance(size) > _ORIGIN_PEAK_RADIUS, given, 0.0)[:, :, middle:]
    power = np.square(power).sum((0, 1))
    chosen = [0]
    while len(chosen) < _NUM_SECTIONS:
        # Sections near one that is chosen get less weight.
        gap = np.abs(np.arange(len(power))[:, None] - chosen).min(1)
        chosen.append(int((power * np.minimum(gap, _GAP)).argmax()))
    return sorted(chosen)


def display_range(given: np.ndarray, fitted: np.ndarray) -> tuple[float, float, int]:
    """Returns the range of values and of positions that pictures of two Patterson maps show.

    Args:
      given: (N, N, N) the given Patterson map, origin in the middle.
      fitted: (N, N, N) the Patterson map of the atoms found.

    Returns:
      The lowest value; the highest one, that of the highest interatomic peak of the given map; and the largest
      distance from the middle along an axis, in voxels, that holds peaks.
    """
    size = len(given)
    # The map of a single atom has no interatomic peak, so a fraction of the origin peak is used.
    top = max(float(given[_distance(size) > _ORIGIN_PEAK_RADIUS].max()), 0.05 * float(given.max()))
    low = min(0.0, float(given.min()), float(fitted.min()))
    content = np.abs(given) > 0.05 * top
    reach = int(np.abs(np.indices(given.shape) - size // 2).max(0)[content].max()) + 2
    return low, top, min((size - 1) // 2, reach)


def draw(figure: Figure, given: jax.Array | np.ndarray, fitted: jax.Array | np.ndarray, correlation: float,
         r_factor: float) -> None:
    """Draws three sections perpendicular to w, the given map above, the fitted one below, with one colour scale.

    Values above the highest interatomic peak of the given map, mainly the origin peak, have the brightest colour.

    Args:
      figure: the figure to draw in.
      given: (N, N, N) the given Patterson map, origin at voxel 0.
      fitted: (N, N, N) the Patterson map of the atoms found, on the same scale.
      correlation: Pearson correlation of the two maps, for the title.
      r_factor: R factor of the amplitudes, for the title.
    """
    given, fitted = np.fft.fftshift(given), np.fft.fftshift(fitted)
    size = len(given)
    low, top, reach = display_range(given, fitted)
    shown = choose_heights(given)
    panels = figure.subplots(2, len(shown), sharex=True, sharey=True, squeeze=False)
    edges = (-(size // 2) - 0.5, size - size // 2 - 0.5) * 2
    for row, (name, values) in zip(panels, (("given", given), ("of the atoms found", fitted)), strict=True):
        for axes, height in zip(row, shown, strict=True):
            image = axes.imshow(values[:, :, size // 2 + height].T, origin="lower", extent=edges, cmap="magma",
                                vmin=low, vmax=top)
            axes.set_xlim(-reach, reach)
            axes.set_ylim(-reach, reach)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        row[0].set_ylabel(f"{name}\nv (voxels)")
    for axes, height in zip(panels[0], shown, strict=True):
        axes.set_title(f"w = {height}")
    for axes in panels[1]:
        axes.set_xlabel("u (voxels)")
    bar = figure.colorbar(image, ax=panels, shrink=0.8, pad=0.01, aspect=24, extend="max")
    bar.set_label("P(u, v, w)")
    figure.suptitle(f"Patterson map: correlation {correlation:.3f}, R {r_factor:.3f}", fontsize=10)


def _distance(size: int) -> np.ndarray:
    """Returns the distance of each voxel from the middle, (N, N, N), voxels."""
    return np.sqrt(np.square(np.indices((size,) * 3) - size // 2).sum(0))
