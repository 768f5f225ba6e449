"""Draws figures 1, 4, 5 and 6 of the Patterson paper: what a Patterson map tells and what it does not.

The figures show the pixels that atoms cover, two sets of atoms with one map, the box of the atoms within the box of the
map, and the corner of the cell that each vector belongs to.
"""

import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle

from launch.plotting import style
from phasenet.maps import density, patterson, synthesis

_FINE = 200  # samples along a pixel's edge, for measuring its covered part
_SETS = (style.BLUE, style.ORANGE)  # colours of two sets of atoms, which have different marks too
# Three atoms in a cell of 40 pixels. With the third moved by the edge of the cell, the atoms fit in a box of the same
# size.
_AMBIGUOUS = np.array([[0.0, 0.0], [8.0, 15.0], [24.0, 21.0]])
_STEP = np.array([-1.0, 0.0])  # shift of the third atom, in edges of the cell
_AMBIGUOUS_BOX = 0.7  # edge of the inner box, in edges of the cell
_TRIANGLE = np.array([[-5.0, -3.5], [4.5, -1.0], [0.5, 4.5]])  # atoms of figure 6, within 12 of 40 pixels


def patterson1(path: pathlib.Path) -> None:
    """Draws the fraction of each pixel that discs of radius 1 cover, and of each voxel that a sphere covers.

    Args:
      path: the picture to write.
    """
    size = 7
    centres = np.array([[2.10, 2.25], [4.65, 5.05], [5.20, 1.70]])
    place = np.array([0.30, 0.65, 0.40])  # centre of a sphere within its voxel, 0 to 1
    layers = np.asarray(density.covered_fractions(jnp.asarray(place)))
    with style.figure(path, 6.6, 3.2) as figure:
        left, *right = figure.subplots(1, 4, width_ratios=(2.3, 1, 1, 1))
        _pixels(left, covered_pixels(centres, size))
        for centre in centres:
            left.add_patch(Circle((centre[0], centre[1]), 1, fill=False, edgecolor=style.RED))
            left.plot(*centre, "+", color=style.RED, markersize=4)
        left.set_title("discs of radius 1 pixel")
        style.add_panel_letter(left, "a")
        for number, axes in enumerate(right):
            _pixels(axes, layers[:, :, number])
            nearest = np.clip(place[2] + 1, number, number + 1) - (place[2] + 1)
            radius = np.sqrt(max(1 - nearest**2, 0))
            axes.add_patch(Circle((1 + place[0], 1 + place[1]), radius, fill=False, edgecolor=style.RED))
            axes.set_title(f"layer {number + 1}", fontsize=8)
        style.add_panel_letter(right[0], "b")
        right[1].set_xlabel("a sphere of radius 1 voxel in its 27 voxels;\n"
                            "red: its widest section in the layer", fontsize=8)


def covered_pixels(centres: np.ndarray, size: int) -> np.ndarray:
    """Returns the fraction of each pixel that discs of radius 1 cover, (size, size), exact to about 1e-3.

    Args:
      centres: (n, 2) x and y of the discs, pixels.
      size: pixels along an edge of the square, whose corner is (0, 0).
    """
    axis = (np.arange(size * _FINE) + 0.5) / _FINE
    inside = np.zeros((len(axis),) * 2, bool)
    for x, y in centres:
        inside |= (axis[:, None] - x) ** 2 + (axis - y) ** 2 <= 1
    return inside.reshape(size, _FINE, size, _FINE).mean((1, 3))


def _pixels(axes: Axes, values: np.ndarray) -> None:
    """Draws values (size, size), indexed (x, y), each written in its pixel."""
    size = len(values)
    axes.imshow(values.T, origin="lower", extent=(0, size) * 2, cmap="Greys", vmin=0, vmax=1.6)
    for x, y in np.ndindex(values.shape):
        shown = {"0.00": "0", "1.00": "1"}.get(value := f"{values[x, y]:.2f}", value.lstrip("0"))
        axes.text(x + 0.5, y + 0.5, shown, ha="center", va="center", fontsize=7,
                  color=style.LIGHT if shown == "0" else "black")
    for at in range(size + 1):
        axes.axhline(at, color=style.LIGHT, linewidth=0.5)
        axes.axvline(at, color=style.LIGHT, linewidth=0.5)
    axes.set_xlim(-0.02, size + 0.02)
    axes.set_ylim(-0.02, size + 0.02)
    style.hide_axes(axes)


def ambiguous_sets(grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns two sets of 3 atoms with the same Patterson map, (3, 2) each, pixels relative to the mean of the set.

    One atom of the second set lies a whole cell from its place in the first. As crystals the two sets are the same.
    As atoms relative to their mean, which the network has to find, the sets differ.

    Args:
      grid: pixels along an edge of the cell.
    """
    first = _AMBIGUOUS * grid / 40
    second = first.copy()
    second[2] += _STEP * grid
    return first - first.mean(0), second - second.mean(0)


def vectors(atoms: np.ndarray) -> np.ndarray:
    """Returns the vectors (n (n - 1), d) from each of n atoms (n, d) to each other."""
    return (atoms[None] - atoms[:, None])[~np.eye(len(atoms), dtype=bool)]


def end_points(atoms: np.ndarray, grid: int) -> np.ndarray:
    """Returns the ends (n (n - 1), d), sorted, of the vectors between atoms (n, d) in the cell from 0 to `grid`."""
    ends = np.round(vectors(atoms) % grid, 6) % grid
    return ends[np.lexsort(ends.T)]


def _from_corners(axes: Axes, atoms: np.ndarray, grid: int, colour: str) -> None:
    """Draws each vector from the corner of the cell from which it ends within the cell."""
    for vector in vectors(atoms):
        corner = -np.floor(vector / grid) * grid
        _arrow(axes, corner, corner + vector, colour)


def _arrow(axes: Axes, start: np.ndarray, end: np.ndarray, colour: str, **more: Any) -> None:
    """Draws an arrow between two points (2,)."""
    axes.annotate("", (end[0], end[1]), (start[0], start[1]), arrowprops={
        "arrowstyle": "-|>,head_width=0.18,head_length=0.35", "color": colour, "linewidth": 1.0, "shrinkA": 0,
        "shrinkB": 0, **more})


def _cell(axes: Axes, low: float, high: float, title: str, letter: str) -> None:
    """Draws the square of a cell from `low` to `high` on both axes, with its title and panel letter."""
    axes.add_patch(Rectangle((low, low), high - low, high - low, fill=False, edgecolor=style.GREY, linewidth=1))
    reach = 0.05 * (high - low)
    axes.set_xlim(low - reach, high + reach)
    axes.set_ylim(low - reach, high + reach)
    axes.set_aspect("equal")
    axes.set_title(title, fontsize=8)
    style.add_panel_letter(axes, letter)
    style.hide_axes(axes)


def patterson4(path: pathlib.Path, problem: synthesis.Problem) -> None:
    """Draws two sets of atoms that fill a large part of the cell and whose vectors end at the same points.

    Args:
      path: the picture to write.
      problem: gives the grid.
    """
    grid = problem.grid
    sets = ambiguous_sets(grid)
    ends = [end_points(atoms, grid) for atoms in sets]
    # The figure claims that the end points are the same.
    assert np.array_equal(ends[0], ends[1]), "the two sets' vectors end at different points"
    with style.figure(path, 6.6, 4.7) as figure:
        panels = figure.subplots(2, 3)
        half = grid / 2
        for axes, letter, title, shown in zip(panels[0], "abc", ("both, about their means", "set 1", "set 2"),
                                              ((0, 1), (0,), (1,)), strict=True):
            _cell(axes, -half, half, title, letter)
            for number in shown:
                axes.fill(*sets[number].T, facecolor="none", edgecolor=_SETS[number], linewidth=0.8, linestyle=":")
                axes.plot(*sets[number].T, "os"[number], color=_SETS[number], markersize=7, label=f"set {number + 1}")
            side = _AMBIGUOUS_BOX * grid
            axes.add_patch(Rectangle((-side / 2, -side / 2), side, side, fill=False, edgecolor=style.LIGHT,
                                     linestyle="--", linewidth=0.8))
        for axes, letter, number in zip(panels[1, 1:], "ef", (0, 1), strict=True):
            _cell(axes, 0, grid, f"vectors of set {number + 1}", letter)
            axes.plot(*ends[number].T, "x", color="black", markersize=5, markeredgewidth=1.3, zorder=3)
            _from_corners(axes, sets[number], grid, _SETS[number])
        axes = panels[1, 0]
        _cell(axes, 0, grid, "their end points, the same", "d")
        axes.plot(*ends[0].T, "o", color=_SETS[0], markersize=9, fillstyle="none", label="set 1")
        axes.plot(*ends[1].T, "x", color=_SETS[1], markersize=6, markeredgewidth=1.5, label="set 2")
        axes.legend(loc="upper left", fontsize=7, handletextpad=0.2, borderaxespad=1.2)
        figure.supxlabel(f"cell of {grid} pixels, dashed: inner box of {_AMBIGUOUS_BOX * grid:g}; vectors start at the "
                         "corner from which they end within the cell", fontsize=8)


def patterson5(path: pathlib.Path, problem: synthesis.Problem) -> None:
    """Draws the box that holds the atoms within the box of the map.

    Args:
      path: the picture to write.
      problem: gives the grid and the inner box.
    """
    grid, inner = problem.grid, problem.atoms.inner_box
    with style.figure(path, 4.2, 3.7) as figure:
        axes = figure.subplots()
        for edge, colour in ((grid, style.GREY), (inner, style.BLUE)):
            _wireframe(axes, edge, colour)
        corner = np.array([-1, 1, 1]) * inner / 2
        ends = np.stack([corner, -corner])
        half_edge = np.array([[1, -1, -1], [1, 0, -1]]) * grid / 2
        for line in (ends, half_edge):
            axes.plot(*_flat(line).T, color=style.RED, linewidth=2, marker="o", markersize=3, zorder=4)
        diagonal = np.sqrt(3) * inner
        top = _flat(corner)
        axes.text(top[0], top[1] + 0.03 * grid, f"inner diagonal\n$\\sqrt{{3}}$ x {inner:g} = {diagonal:.1f}",
                  fontsize=8, color=style.RED, ha="center")
        near = _flat(half_edge)[0]
        axes.text(near[0] - 0.03 * grid, near[1] + 0.03 * grid, f"half the outer edge\n{grid} / 2 = {grid / 2:g}",
                  fontsize=8, color=style.RED, ha="right")
        axes.set_title(f"atoms' centres in {inner:g}$^3$, map of {grid}$^3$ voxels")
        axes.margins(0.06)
        axes.set_aspect("equal")
        style.hide_axes(axes)


def _flat(points: np.ndarray) -> np.ndarray:
    """Returns the cabinet projection (..., 2) of points (..., 3) with axes to the right, to the back and up."""
    points = np.asarray(points)
    return np.stack([points[..., 0] + 0.42 * points[..., 1], points[..., 2] + 0.28 * points[..., 1]], -1)


def _wireframe(axes: Axes, edge: float, colour: str) -> None:
    """Draws a cube about the origin, its hidden edges dashed."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * edge / 2
    for i, a in enumerate(corners):
        for b in corners[i + 1:]:
            if (a != b).sum() == 1:
                hidden = any((end == np.array([-1, 1, -1]) * edge / 2).all() for end in (a, b))
                axes.plot(*_flat(np.stack([a, b])).T, color=colour, linewidth=0.7 if hidden else 1.2,
                          linestyle="--" if hidden else "-")


def patterson6(path: pathlib.Path, problem: synthesis.Problem) -> None:
    """Draws atoms that are closer together than half the cell, and their Patterson map.

    Each peak of the map belongs to the corner of the cell that is nearest to it.

    Args:
      path: the picture to write.
      problem: gives the grid, the inner box and the form factor.
    """
    grid, inner = problem.grid, problem.atoms.inner_box
    atoms = _TRIANGLE * inner / 12
    flat = np.insert(atoms, 2, 0.0, axis=1)
    measured = np.asarray(patterson.patterson(synthesis.atom_map(jnp.asarray(flat), problem))).sum(2)
    with style.figure(path, 6.2, 3.2) as figure:
        left, right = figure.subplots(1, 2)
        _cell(left, -grid / 2, grid / 2, "atoms and the vectors between them", "a")
        left.add_patch(Rectangle((-inner / 2, -inner / 2), inner, inner, fill=False, edgecolor=style.BLUE))
        left.text(0, -inner / 2 - 0.02 * grid, f"inner box, {inner:g}", ha="center", va="top", fontsize=8,
                  color=style.BLUE)
        left.text(0, -grid / 2 + 0.02 * grid, f"cell, {grid}", ha="center", fontsize=8, color=style.GREY)
        for i, start in enumerate(atoms):
            for end in np.delete(atoms, i, 0):
                _arrow(left, start, end, style.ORANGE)
        left.plot(*atoms.T, "o", color=style.BLUE, markersize=6)
        _cell(right, 0, grid, "Patterson map and the vectors from its corners", "b")
        # Voxel 0 is the vector 0, so pixels are centred on whole numbers. The last row repeats the first.
        whole = np.pad(measured, (0, 1), mode="wrap")
        away = np.array([[min(x, grid - x) ** 2 + min(y, grid - y) ** 2 for y in range(grid + 1)]
                         for x in range(grid + 1)]) > 9
        right.imshow(whole.T, origin="lower", extent=(-0.5, grid + 0.5) * 2, cmap="Greys", vmin=0,
                     vmax=1.3 * whole[away].max())
        for x in (0, grid):
            for y in (0, grid):
                right.add_patch(Circle((x, y), grid / 2, fill=False, edgecolor=style.BLUE, linestyle="--",
                                       linewidth=0.8))
        _from_corners(right, atoms, grid, style.ORANGE)
        right.set_xlim(-0.5, grid + 0.5)
        right.set_ylim(-0.5, grid + 0.5)
        right.text(grid / 2, grid / 2, f"no vector is longer\nthan {grid / 2:g} (dashed)", ha="center", va="center",
                   fontsize=8, color=style.BLUE)
