"""Draws figure 2 of the Patterson paper: the network layer by layer."""

import pathlib

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from launch.plotting import style
from phasenet.errors import InputError
from phasenet.maps import synthesis
from phasenet.networks import published as model
from phasenet.networks.dense import DenseArchitecture
from phasenet.networks.dual_space import DualSpaceArchitecture
from phasenet.pretrained import Pretrained

_GAP = 1.35  # between layers, in the drawing's units


def patterson2(path: pathlib.Path, weights: Pretrained) -> None:
    """Draws the published network, and below it the network of the weights where this is another.

    Args:
      path: the picture to write.
      weights: weights of a convolutional or a dense network.

    Raises:
      InputError: the network is a dual-space network, which has no layers of this kind.
    """
    arch, grid = weights.architecture, weights.problem.grid
    if isinstance(arch, DualSpaceArchitecture):
        raise InputError("--network: patterson2 draws a convolutional or dense network, not a dual-space network; "
                         "give --network=small")
    count = sum(leaf.size for leaf in jax.tree.leaves(weights.params))
    published = (model.PUBLISHED, synthesis.Problem().grid)
    rows: list[tuple[str, model.ConvolutionalArchitecture | DenseArchitecture, int, int]] = [
        ("published network", *published, model.PUBLISHED_WEIGHTS)]
    if (arch, grid) != published:
        rows.append(("network of these weights", arch, grid, count))
    heights = [1.7 if isinstance(row[1], DenseArchitecture) else 2.6 for row in rows]
    with style.figure(path, 7.2, sum(heights)) as figure:
        panels = np.ravel(figure.subplots(len(rows), 1, height_ratios=heights))
        for axes, (name, architecture, size, number) in zip(panels, rows, strict=True):
            if isinstance(architecture, DenseArchitecture):
                _draw_dense(axes, architecture, size)
            else:
                _draw_convolutional(axes, architecture, size)
            axes.set_title(f"{name}: {number:,} weights")


def _draw_dense(axes: Axes, architecture: DenseArchitecture, grid: int) -> None:
    """Draws a row of boxes, each a layer with the number of its outputs."""
    read = ((2 * architecture.patterson_reach + 1) ** 3 - 1) // 2
    written = (2 * architecture.density_reach) ** 3 // 2
    boxes = [f"Patterson map\n{grid}$^3$", f"half within\n{architecture.patterson_reach} of origin\n{read:,}",
             f"dense\n{architecture.width:,}", f"normalize,\ndense, ReLU,\ndense {architecture.width:,}",
             f"ReLU, dense,\ntanh\n{written:,}", f"with inverse:\nmap of atoms\n{grid}$^3$"]
    half = 0.41
    for number, text in enumerate(boxes):
        ends = number in (0, len(boxes) - 1)
        axes.add_patch(Rectangle((number - half, -0.5), 2 * half, 1, edgecolor=style.GREY, linewidth=0.7,
                                 facecolor=style.ORANGE if ends else "#dfe8f3"))
        axes.text(number, 0, text, ha="center", va="center", fontsize=8)
        if number:
            _arrow(axes, number - 1 + half, number - half, style.GREY)
    block, reach = 3, half + 0.09
    axes.plot(block + reach * np.array([-1, -1, 1, 1]), [0, 0.72, 0.72, 0], color=style.GREEN, linewidth=1)
    axes.text(block, 0.76, f"added; {architecture.blocks} times", color=style.GREEN, ha="center", fontsize=7)
    axes.set_xlim(-0.5, len(boxes) - 0.5)
    axes.set_ylim(-0.6, 1.05)
    style.hide_axes(axes)


def _arrow(axes: Axes, start: float, end: float, colour: str) -> None:
    """Draws a horizontal arrow at height 0."""
    axes.annotate("", (end, 0), (start, 0), arrowprops={
        "arrowstyle": "-|>,head_width=0.12,head_length=0.25", "color": colour, "linewidth": 1, "shrinkA": 0,
        "shrinkB": 0})


def _draw_convolutional(axes: Axes, architecture: model.ConvolutionalArchitecture, grid: int) -> None:
    """Draws each map as a bar with its number of channels, and on the arrows the layers between the maps."""
    outer, inner = (f"{kernel}$^3$" for kernel in (architecture.outer_kernel, architecture.inner_kernel))
    features = architecture.features
    # (voxels along an edge, channels, the layer before it)
    layers = [(grid, 1, ""), (grid, features, outer), (grid, features, outer), (grid // 2, features, "pool")]
    layers += [(grid // 2, features, inner)] * architecture.inner_layers
    layers += [(grid, features, "up"), (grid, features, outer), (grid, 1, outer)]
    for number, (resolution, channels, how) in enumerate(layers):
        x, height, width = number * _GAP, _height(resolution == grid), _width(channels)
        colour = style.ORANGE if channels == 1 else "#bcd0e8" if resolution == grid else "#dfe8f3"
        axes.add_patch(Rectangle((x - width / 2, -height / 2), width, height, edgecolor=style.GREY, linewidth=0.7,
                                 facecolor=colour))
        axes.text(x, 0, f"{channels}", ha="center", va="center", fontsize=8)
        if number:
            start, end = x - _GAP + _width(layers[number - 1][1]) / 2, x - width / 2
            colour = style.RED if how in ("pool", "up") else style.GREY
            _arrow(axes, start, end, colour)
            axes.text((start + end) / 2, 0.08, how, ha="center", va="bottom", fontsize=7, color=colour)
    last = (len(layers) - 1) * _GAP
    for x, y, text in ((0, -1.1, f"Patterson map\n{grid}$^3$"), (last, -1.1, f"map of atoms\n{grid}$^3$"),
                       ((3 + architecture.inner_layers / 2) * _GAP, -0.6, f"{grid // 2}$^3$ voxels")):
        axes.text(x, y, text, ha="center", va="top", fontsize=8)
    if architecture.skip:
        _skips(axes, architecture.inner_layers)
    normal = "batch normalization and " if architecture.batch_norm else ""
    added = "; green: added" if architecture.skip else ""
    axes.set_xlabel(f"bars: channels; grey: convolution of that kernel, then {normal}ReLU, the last tanh;\n"
                    f"pool: largest of 2$^3$ voxels; up: each voxel 2$^3$ times{added}", fontsize=8)
    axes.set_xlim(-1.2, last + 1.2)
    axes.set_ylim(-1.8, 1.3)
    style.hide_axes(axes)


def _height(full_resolution: bool) -> float:
    """Returns the height of a bar, in the drawing's units."""
    return 2.0 if full_resolution else 1.0


def _width(channels: int) -> float:
    """Returns the width of a bar, in the drawing's units."""
    return 0.3 if channels == 1 else 0.56


def _skips(axes: Axes, inner_layers: int) -> None:
    """Draws the shortcuts: from the input of each pair of inner layers to its output, and across all inner layers."""
    spans = [(3 + at, 5 + at, False) for at in range(0, inner_layers - 1, 2)] + [(2, 4 + inner_layers, True)]
    for start, end, outer in spans:
        foot = _height(outer) / 2
        x = np.array([start + 0.07, start + 0.07, end - 0.07, end - 0.07]) * _GAP
        axes.plot(x, [foot, foot + 0.2, foot + 0.2, foot], color=style.GREEN, linewidth=1)
