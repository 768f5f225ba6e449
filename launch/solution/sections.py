"""Sections of a Patterson map, the given one beside that of the atoms found."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Nearer to the origin than this, in voxels, the origin peak outshines all that tells of positions.
_ORIGIN_PEAK = 3.0
_COUNT, _GAP = 3, 3


def heights(given: np.ndarray) -> list[int]:
    """The w of three sections of a map with its origin in the middle: 0 and the two that hold most, apart from it."""
    size = len(given)
    middle = size // 2
    # By w, from 0 up: u and -u say the same.
    power = np.where(_distance(size) > _ORIGIN_PEAK, given, 0.0)[:, :, middle:]
    power = np.square(power).sum((0, 1))
    chosen = [0]
    while len(chosen) < _COUNT:
        # Neighbouring sections through the same peaks say little anew.
        gap = np.abs(np.arange(len(power))[:, None] - chosen).min(1)
        chosen.append(int((power * np.minimum(gap, _GAP)).argmax()))
    return sorted(chosen)


def span(given: np.ndarray, fitted: np.ndarray) -> tuple[float, float, int]:
    """What to show of two maps (N, N, N), origin in the middle: values from low to top, the highest interatomic peak of
    the given one, and how many voxels from the middle anything is."""
    size = len(given)
    # A lone atom has an origin peak and nothing else.
    top = max(float(given[_distance(size) > _ORIGIN_PEAK].max()), 0.05 * float(given.max()))
    low = min(0.0, float(given.min()), float(fitted.min()))
    content = np.abs(given) > 0.05 * top
    reach = int(np.abs(np.indices(given.shape) - size // 2).max(0)[content].max()) + 2
    return low, top, min((size - 1) // 2, reach)


def draw(figure: Figure, given: np.ndarray, fitted: np.ndarray, correlation: float, r_factor: float) -> None:
    """Three sections perpendicular to z; the given map above, the fitted one below, one colour scale.

    given, fitted: (N, N, N) on one scale, origin at voxel 0. What exceeds the highest interatomic
    peak of the given map, the origin peak above all, has the brightest colour.
    """
    given, fitted = np.fft.fftshift(given), np.fft.fftshift(fitted)
    size = len(given)
    low, top, reach = span(given, fitted)
    shown = heights(given)
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
    """Voxels from the middle, (N, N, N)."""
    return np.sqrt(np.square(np.indices((size,) * 3) - size // 2).sum(0))
