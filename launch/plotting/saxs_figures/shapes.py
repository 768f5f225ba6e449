"""Pictures of a shape: shaded views along its principal axes, and sections through it."""

from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from launch.plotting import style
from launch.plotting.saxs_figures import render

_MAX_BALLS = 6000
_SIDES = {"front": np.eye(3), "top": render.turn("x", 90), "right": render.turn("y", -90)}


class Balls(NamedTuple):
    """A structure as balls: xyz (N, 3) in A from the map's centre, and their radius (A)."""

    xyz: np.ndarray
    radius: float


class Frame(NamedTuple):
    """Where pictures look from: rotation (3, 3) to the principal axes, and what is shown: from low
    (3,) to high (3,), A along each of them."""

    rotation: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def limits(self, side: str) -> np.ndarray:
        """What the picture of a side spans: ((left, right), (bottom, top)) in A."""
        return np.sort(_SIDES[side] @ np.stack([self.low, self.high], -1))[:2]


def equal_volume_level(density: np.ndarray) -> float:
    """The level above which a mean of models holds as many voxels as they do on average.

    The paper's fixed 0.3 makes beads larger than any model where the models disagree.
    """
    count = int(np.clip(np.rint(density.sum()), 1, density.size - 1))
    return float(-np.partition(-density.reshape(-1), count)[count])


def as_balls(xyz: np.ndarray, spacing: float | None, most: int = _MAX_BALLS) -> Balls:
    """Atoms, or beads of the given spacing (A); large structures thinned out to at most so many."""
    step = -(-len(xyz) // most)
    return Balls(xyz[::step], (1.7 if spacing is None else 0.5 * spacing) * step ** (1 / 3))


def principal_frame(density: np.ndarray, pitch: float, level: float,
                    balls: Balls | None = None) -> Frame:
    """The longest axis across, the shortest towards the viewer: of the balls, else of the map."""
    positions = _positions(density, pitch)
    values = density.reshape(-1)
    filled = values > 0.6 * level
    shown = positions[filled] if balls is None else np.concatenate([positions[filled], balls.xyz])
    if balls is None:
        _, rotation = render.principal_axes(positions[filled], values[filled])
    else:
        _, rotation = render.principal_axes(balls.xyz, np.ones(len(balls.xyz)))
    turned = shown @ rotation.T
    return Frame(rotation, turned.min(0) - 2.5 * pitch, turned.max(0) + 2.5 * pitch)


def view(axes: Axes, frame: Frame, side: str, density: np.ndarray, pitch: float, level: float,
         balls: Balls | None = None, pixels: int = 420, colour: str = style.BLUE) -> None:
    """The isosurface from the front, top or right, over the balls where given."""
    half_width = float(np.abs([frame.low, frame.high]).max())
    looking = render.View(_SIDES[side] @ frame.rotation, half_width, pixels)
    surface = render.surface(render.smoothed(density, pitch), level, looking, colour)
    if balls is None:
        image = render.paint(looking, [surface])
    else:
        solid = render.spheres(balls.xyz, balls.radius, looking, rainbow(len(balls.xyz)))
        image = render.paint(looking, [solid], veil=surface)
    axes.imshow(image, extent=(-half_width, half_width) * 2)
    across, up = frame.limits(side)
    axes.set_xlim(across)
    axes.set_ylim(up)
    style.picture(axes)


def section(axes: Axes, frame: Frame, side: str, density: np.ndarray, pitch: float, level: float):
    """The cut through the map's centre of mass in the plane of a view; returns the image."""
    (left, right), (bottom, top) = frame.limits(side)
    x, y = np.meshgrid(np.linspace(left, right, 160), np.linspace(bottom, top, 160))
    rotation = _SIDES[side] @ frame.rotation
    centre = density.reshape(-1) @ _positions(density, pitch) / density.sum()
    plane = np.stack([x, y, np.full_like(x, rotation[2] @ centre)], -1).reshape(-1, 3) @ rotation
    exact = render.FineMap(density, pitch, -(density.shape[0] - 1) / 2 * pitch)
    values = render.sample(exact, plane).reshape(x.shape)
    image = axes.imshow(values, origin="lower", extent=(left, right, bottom, top),
                        cmap="Blues", vmin=0, vmax=1, interpolation="bilinear")
    if values.max() > level > values.min():
        axes.contour(x, y, values, [level], colors=style.RED, linewidths=1)
    return image


def shape(figure: Figure, density: np.ndarray, pitch: float, level: float,
          balls: Balls | None = None) -> None:
    """Three shaded views above the sections in the same planes."""
    frame = principal_frame(density, pitch, level, balls)
    extent = frame.high - frame.low
    widths = [np.ptp(frame.limits(side)[0]) for side in _SIDES]
    inches = (figure.get_figwidth() - 1.6) / sum(widths)
    figure.set_figheight(2 * inches * max(extent[1:]) + 1.25)
    panels = figure.subplots(2, 3, width_ratios=widths)
    for side, upper, lower in zip(_SIDES, *panels):
        view(upper, frame, side, density, pitch, level, balls)
        upper.set_title(side)
        image = section(lower, frame, side, density, pitch, level)
        lower.set_xlabel(style.ANGSTROM, labelpad=1)
    panels[1, 0].set_ylabel(style.ANGSTROM, labelpad=1)
    bar = figure.colorbar(image, ax=panels[1], shrink=0.9, pad=0.01, aspect=14)
    bar.set_label("share of the models")
    bar.ax.axhline(level, color=style.RED, linewidth=1.5)
    style.scale_bar(panels[0, 0])


def _positions(density: np.ndarray, pitch: float) -> np.ndarray:
    """Positions (N^3, 3) in A of a map's voxels from its centre."""
    return (np.indices(density.shape).reshape(3, -1).T - (density.shape[0] - 1) / 2) * pitch


def rainbow(count: int) -> np.ndarray:
    """Colours (count, 3) along a chain, light enough to shine through."""
    return 0.75 * colormaps["turbo"](np.linspace(0.08, 0.92, count))[:, :3] + 0.25
