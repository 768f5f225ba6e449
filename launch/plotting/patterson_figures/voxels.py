"""Draws the voxels of a map as cubes in a box, seen from its (+, +, +) corner; `maps` uses this module."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb

from launch.plotting import style

# The paper's colours: of the atoms, of their inverses, of voxels with both, and of a network's map.
ATOMS, INVERSES, CLASHES, ANSWER = style.RED, style.BLUE, style.GREEN, style.ORANGE
MIN_OCCUPANCY = 0.1  # a voxel with less is left empty, as in the paper

_AZIMUTH, _ELEVATION = np.radians(35), np.radians(24)
_TOWARD = np.array([np.cos(_ELEVATION) * np.cos(_AZIMUTH), np.cos(_ELEVATION) * np.sin(_AZIMUTH), np.sin(_ELEVATION)])
_RIGHT = np.array([-np.sin(_AZIMUTH), np.cos(_AZIMUTH), 0.0])
_SCREEN = np.stack([_RIGHT, np.cross(_TOWARD, _RIGHT)])  # (2, 3)
# The three visible faces of a unit cube, and the brightness of each.
_SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
_FACES = np.stack([np.insert(_SQUARE, axis, 1, axis=1) for axis in range(3)])
_SHADES = (0.80, 0.93, 1.0)


def colour_sets(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns occupancy (n, n, n) and colours (n, n, n, 3) of two maps in one, as `draw_voxels` takes them.

    Args:
      first: (n, n, n) occupancies of the atoms, 0 to 1; their voxels become red.
      second: (n, n, n) occupancies of the inverses, 0 to 1; their voxels become blue. Voxels of both become green.
    """
    filled = np.stack([first, second], -1) >= MIN_OCCUPANCY
    colours = np.where(first[..., None] > second[..., None], to_rgb(ATOMS), to_rgb(INVERSES))
    colours[filled.all(-1)] = to_rgb(CLASHES)
    return np.where(filled.any(-1), np.maximum(first, second), 0.0), colours


def draw_voxels(axes: Axes, occupancy: np.ndarray, colours: np.ndarray | str, title: str = "") -> None:
    """Draws the voxels of a map as cubes, more opaque where fuller, in a box with its far walls.

    Args:
      axes: receives the cubes.
      occupancy: (n, n, n), 0 to 1; voxels below `MIN_OCCUPANCY` are left empty.
      colours: (n, n, n, 3) red, green and blue, 0 to 1, or one colour for all.
      title: above the box.
    """
    occupancy = np.asarray(occupancy)
    size = occupancy.shape[0]
    _walls(axes, size)
    colours = np.broadcast_to(to_rgb(colours) if isinstance(colours, str) else colours, occupancy.shape + (3,))
    # The order of the indices is from far to near, so nearer cubes are drawn over farther ones.
    filled = np.argwhere(occupancy >= MIN_OCCUPANCY)
    place = tuple(filled.T)
    corners = filled[:, None, None] + _FACES  # (cube, face, corner, axis)
    polygons = (corners @ _SCREEN.T).reshape(-1, 4, 2)
    opacity = np.repeat(0.25 + 0.75 * np.clip(occupancy[place], 0, 1), 3)[:, None]
    shaded = (colours[place][:, None] * np.array(_SHADES)[:, None]).reshape(-1, 3)
    axes.add_collection(PolyCollection(
        list(polygons), facecolors=np.concatenate([shaded, opacity], 1),
        edgecolors=np.concatenate([0.55 * shaded, opacity], 1), linewidths=0.25))
    outline = np.array(np.meshgrid([0, size], [0, size], [0, size])).reshape(3, -1).T @ _SCREEN.T
    axes.set_xlim(outline[:, 0].min() - 0.3, outline[:, 0].max() + 0.3)
    axes.set_ylim(outline[:, 1].min() - 0.3, outline[:, 1].max() + 0.3)
    axes.set_aspect("equal")
    axes.set_title(title)
    style.hide_axes(axes)


def crop(volume: np.ndarray, edge: int) -> np.ndarray:
    """Returns the middle (edge, edge, edge) voxels of a map (N, N, N); N and edge are even."""
    low = (volume.shape[0] - edge) // 2
    return np.asarray(volume)[(slice(low, low + edge),) * 3]


def add_edge_length(axes: Axes, size: int) -> None:
    """Writes the length of the box, in voxels, along its lower right edge."""
    start, end = (np.array(corner) @ _SCREEN.T for corner in ([size, 0, 0], [size, size, 0]))
    angle = np.degrees(np.arctan2(*(end - start)[::-1]))
    x, y = (start + end) / 2
    axes.text(x, y - 0.04 * size, f"{size} voxels", rotation=angle, rotation_mode="anchor", ha="center", va="top",
              fontsize=8, color=style.GREY)


def _walls(axes: Axes, size: int) -> None:
    """Draws the far walls with a line at every second voxel, and the far edges of the box."""
    for axis in range(3):
        wall = size * np.insert(_SQUARE, axis, 0, axis=1) @ _SCREEN.T
        axes.add_collection(PolyCollection([wall], facecolors=["#f7f8f9"], edgecolors=[style.GREY], linewidths=0.6,
                                           zorder=0))
        lines = []
        for at in range(2, size, 2):
            for ends in ([[at, 0], [at, size]], [[0, at], [size, at]]):
                lines.append(np.insert(np.array(ends), axis, 0, axis=1) @ _SCREEN.T)
        axes.add_collection(LineCollection(lines, colors=[style.LIGHT], linewidths=0.35, zorder=0))
