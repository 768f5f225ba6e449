"""Draws a shape: shaded views along its principal axes, and sections through it.

`launch.reconstruct` draws shape.png with `draw_shape`; the figures of the SAXS paper use the other functions.
"""

from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from launch.plotting import style
from launch.plotting.saxs_figures import render

_MAX_BALLS = 6000  # largest number of balls of a structure; larger structures are thinned out
_PIXELS = 420  # along an edge of the picture of a view
_SIDES = {"front": np.eye(3), "top": render.rotation_about("x", 90), "right": render.rotation_about("y", -90)}


class Balls(NamedTuple):
    """A structure as balls of one size.

    Attributes:
      xyz: (N, 3) centres, Angstrom from the centre of the map.
      radius: radius of each ball, Angstrom.
    """

    xyz: np.ndarray
    radius: float


class Frame(NamedTuple):
    """The orientation and the limits of the pictures of a shape.

    Attributes:
      rotation: (3, 3) rotation that takes positions to the principal axes.
      low: (3,) lower limits along these axes, Angstrom.
      high: (3,) upper limits, Angstrom.
    """

    rotation: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def limits(self, side: str) -> np.ndarray:
        """Returns the limits ((left, right), (bottom, top)), (2, 2), of the picture of a side, Angstrom."""
        return np.sort(_SIDES[side] @ np.stack([self.low, self.high], -1))[:2]


def equal_volume_level(density: np.ndarray) -> float:
    """Returns the level above which a mean of models has the volume of the models.

    The paper's fixed level of 0.3 gives a volume larger than that of every model where the models disagree.

    Where voxels are equal there may be fewer, but at least one voxel lies above the level.

    Args:
      density: (N, N, N) mean of models that are near 1 inside the protein and 0 outside; not constant.
    """
    count = int(np.clip(np.rint(density.sum()), 1, density.size - 1))
    level = -np.partition(-density.reshape(-1), count)[count]
    if level == density.max():  # more voxels than `count` have the largest value
        level = density[density < level].max()
    return float(level)


def as_balls(xyz: np.ndarray, spacing: float | None, most: int = _MAX_BALLS) -> Balls:
    """Returns a structure as balls; a large structure becomes fewer balls of the same total volume.

    Args:
      xyz: (N, 3) positions, Angstrom.
      spacing: distance of neighbouring beads, Angstrom; None for atoms.
      most: largest number of balls.
    """
    step = -(-len(xyz) // most)
    return Balls(xyz[::step], (1.7 if spacing is None else 0.5 * spacing) * step ** (1 / 3))


def principal_frame(density: np.ndarray, pitch: float, level: float,
                    balls: Balls | None = None) -> Frame:
    """Returns the frame with the longest axis to the right and the shortest towards the viewer.

    Args:
      density: (N, N, N), its centre at the origin.
      pitch: edge of a voxel, Angstrom.
      level: value of the map on the surface that is to be seen.
      balls: a structure that is to be seen too; where given, the axes are those of the structure, not of the map.
    """
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


def draw_view(axes: Axes, frame: Frame, side: str, density: np.ndarray, pitch: float, level: float,
              balls: Balls | None = None, pixels: int = _PIXELS, colour: str = style.BLUE) -> None:
    """Draws the isosurface of a map as seen from one side, translucent over the balls where given.

    Args:
      axes: receives the picture.
      frame: what `principal_frame` returns.
      side: "front", "top" or "right".
      density: (N, N, N), its centre at the origin.
      pitch: edge of a voxel, Angstrom.
      level: value of the map on the surface.
      balls: a structure to show inside the surface.
      pixels: number of pixels along an edge of the picture.
      colour: colour of the surface, #rrggbb.
    """
    _draw_surface(axes, frame, side, render.smooth(density, pitch), level, balls, pixels, colour)


def _draw_surface(axes: Axes, frame: Frame, side: str, fine: render.FineMap, level: float, balls: Balls | None,
                  pixels: int, colour: str) -> None:
    """Draws what `draw_view` draws, of a map that is already sampled finely."""
    half_width = float(np.abs([frame.low, frame.high]).max())
    looking = render.View(_SIDES[side] @ frame.rotation, half_width, pixels)
    surface = render.render_surface(fine, level, looking, colour)
    if balls is None:
        image = render.paint(looking, [surface])
    else:
        solid = render.render_spheres(balls.xyz, balls.radius, looking, rainbow(len(balls.xyz)))
        image = render.paint(looking, [solid], veil=surface)
    axes.imshow(image, extent=(-half_width, half_width) * 2)
    across, up = frame.limits(side)
    axes.set_xlim(across)
    axes.set_ylim(up)
    style.hide_axes(axes)


def draw_section(axes: Axes, frame: Frame, side: str, density: np.ndarray, pitch: float,
                 level: float) -> AxesImage:
    """Draws the section through the map's centre of mass in the plane of a view.

    Args:
      axes: receives the picture.
      frame: what `principal_frame` returns.
      side: "front", "top" or "right".
      density: (N, N, N), its centre at the origin.
      pitch: edge of a voxel, Angstrom.
      level: value of the map that is drawn as a line in the section.

    Returns:
      The image, for a colour bar.
    """
    (left, right), (bottom, top) = frame.limits(side)
    x, y = np.meshgrid(np.linspace(left, right, 160), np.linspace(bottom, top, 160))
    rotation = _SIDES[side] @ frame.rotation
    centre = density.reshape(-1) @ _positions(density, pitch) / density.sum()
    plane = np.stack([x, y, np.full_like(x, rotation[2] @ centre)], -1).reshape(-1, 3) @ rotation
    exact = render.FineMap(density, pitch, -(density.shape[0] - 1) / 2 * pitch)
    values = render.interpolate(exact, plane).reshape(x.shape)
    image = axes.imshow(values, origin="lower", extent=(left, right, bottom, top),
                        cmap="Blues", vmin=0, vmax=1, interpolation="bilinear")
    if values.max() > level > values.min():
        axes.contour(x, y, values, [level], colors=style.RED, linewidths=1)
    return image


def draw_shape(figure: Figure, density: np.ndarray, pitch: float, level: float,
               balls: Balls | None = None) -> None:
    """Draws three shaded views of a map above the sections in the same planes.

    Good: the sections are dark inside the red line and white outside it, so the models agree. Bad: wide pale parts.

    Args:
      figure: an empty figure; its height is changed to fit.
      density: (N, N, N) mean of the models, 0 to 1.
      pitch: edge of a voxel, Angstrom.
      level: value of the map on the surface and on the red line.
      balls: a structure to show inside the surface.
    """
    frame = principal_frame(density, pitch, level, balls)
    extent = frame.high - frame.low
    widths = [np.ptp(frame.limits(side)[0]) for side in _SIDES]
    inches = (figure.get_figwidth() - 1.6) / sum(widths)
    figure.set_figheight(2 * inches * max(extent[1:]) + 1.25)
    panels = figure.subplots(2, 3, width_ratios=widths)
    fine = render.smooth(density, pitch)
    for side, upper, lower in zip(_SIDES, *panels, strict=True):
        _draw_surface(upper, frame, side, fine, level, balls, _PIXELS, style.BLUE)
        upper.set_title(side)
        image = draw_section(lower, frame, side, density, pitch, level)
        lower.set_xlabel(style.ANGSTROM, labelpad=1)
    panels[1, 0].set_ylabel(style.ANGSTROM, labelpad=1)
    bar = figure.colorbar(image, ax=panels[1], shrink=0.9, pad=0.01, aspect=14)
    bar.set_label("value of the map")
    bar.ax.axhline(level, color=style.RED, linewidth=1.5)
    style.add_scale_bar(panels[0, 0])


def _positions(density: np.ndarray, pitch: float) -> np.ndarray:
    """Returns the positions (N^3, 3) of the voxels of a map (N, N, N) relative to its centre, Angstrom."""
    return (np.indices(density.shape).reshape(3, -1).T - (density.shape[0] - 1) / 2) * pitch


def rainbow(count: int) -> np.ndarray:
    """Returns colours (count, 3) from blue to red for the balls of a chain, light enough to be seen under a surface."""
    return 0.75 * colormaps["turbo"](np.linspace(0.08, 0.92, count))[:, :3] + 0.25
