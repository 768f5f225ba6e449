"""Draws figures 3 and 10 of the Patterson paper: the maps that a network is trained on, and the maps that it makes."""

import pathlib

import jax
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from launch.plotting import style
from launch.plotting.patterson_figures import voxels
from phasenet.maps import synthesis
from phasenet.maps.atoms import invert
from phasenet.pretrained import Pretrained

_CASES = 3  # of figure 10
_MARGIN = 2  # voxels added to the inner box's edge, for the atoms at its faces


def patterson3(path: pathlib.Path, problem: synthesis.Problem, seed: int) -> None:
    """Draws the atoms, their inverses, and both together with the voxels that both occupy.

    Args:
      path: the picture to write.
      problem: of the random example.
      seed: of the random example.
    """
    example = synthesis.make_example(jax.random.key(seed), problem)
    first, second = _both(example.positions, problem)
    nothing = np.zeros_like(first)
    panels = (("A: the atoms", first, nothing), ("B: their inverses", nothing, second), ("A + B", first, second))
    with style.figure(path, 7.2, 2.9) as figure:
        for letter, axes, (title, red, blue) in zip("abc", figure.subplots(1, 3), panels, strict=True):
            voxels.draw_voxels(axes, *voxels.colour_sets(red, blue), title)
            style.add_panel_letter(axes, letter)
        voxels.add_edge_length(axes, first.shape[0])
        _legend(figure)


def patterson10(path: pathlib.Path, weights: Pretrained, seed: int) -> None:
    """Draws true maps beside those of the network, for random cases that are in no training.

    The correlation beside each network map is 1 where both are equal.

    Args:
      path: the picture to write.
      weights: weights of the network; the cases are drawn from their problem.
      seed: of the cases.
    """
    problem = weights.problem
    network = jax.jit(weights.compute_occupancy)
    with style.figure(path, 4.8, 2.45 * _CASES + 0.3) as figure:
        for key, (left, right) in zip(_unseen(seed), figure.subplots(_CASES, 2), strict=True):
            example = synthesis.make_example(key, problem)
            found = np.asarray(network(example.patterson))
            first, second = _both(example.positions, problem)
            correlation = np.corrcoef(found.ravel(), np.asarray(example.target).ravel())[0, 1]
            if problem.target != "pair":
                second = np.zeros_like(first)
            voxels.draw_voxels(left, *voxels.colour_sets(first, second))
            # A lone atom reaches 0.5 in the network's map.
            voxels.draw_voxels(right, np.clip(2 * voxels.crop(found, first.shape[0]), 0, 1), voxels.ANSWER)
            right.text(1, 0.99, f"correlation\n{correlation:.3f}", transform=right.transAxes, ha="right", va="top",
                       fontsize=8)
            if left.get_subplotspec().is_first_row():
                left.set_title("true")
                right.set_title("network")
        voxels.add_edge_length(left, first.shape[0])
        _legend(figure, (voxels.ANSWER, "network"))


def _unseen(seed: int) -> jax.Array:
    """Returns the random keys (_CASES,) of the cases."""
    return jax.random.split(jax.random.fold_in(jax.random.key(seed), 10), _CASES)


def _both(positions: jax.Array, problem: synthesis.Problem) -> tuple[np.ndarray, np.ndarray]:
    """Returns the occupancies (n, n, n) of atoms (m, 3), voxels, and of their inverses, around the inner box."""
    edge = min(problem.grid, 2 * int(np.ceil(problem.atoms.inner_box / 2)) + _MARGIN)
    first, second = (voxels.crop(np.asarray(synthesis.atom_map(some, problem)), edge)
                     for some in (positions, invert(positions)))
    return first, second


def _legend(figure: Figure, *more: tuple[str, str]) -> None:
    """Draws the legend below the panels, with further entries (colour, name)."""
    entries = ((voxels.ATOMS, "atoms"), (voxels.INVERSES, "inverses"), (voxels.CLASHES, "both"), *more)
    marks = [Patch(facecolor=colour, label=name) for colour, name in entries]
    marks.append(Patch(facecolor=style.GREY, alpha=0.35, label="partly filled"))
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), columnspacing=1.2, handlelength=1.2)
