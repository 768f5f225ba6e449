"""Maps of atoms in three dimensions: what the network is shown in training, and what it answers."""

import pathlib

import jax
import numpy as np
from matplotlib.patches import Patch

from launch.plotting import style
from launch.plotting.patterson_figures import voxels
from phasenet.maps import synthesis
from phasenet.maps.atoms import invert
from phasenet.pretrained import Pretrained

_CASES = 3  # of figure 10
_MARGIN = 2  # voxels around the inner box that atoms at its faces reach into, made even


def patterson3(path: pathlib.Path, problem: synthesis.Problem, seed: int) -> None:
    """The atoms, their inverses, and both with their clashes."""
    example = synthesis.make_example(jax.random.key(seed), problem)
    first, second = _both(example.positions, problem)
    nothing = np.zeros_like(first)
    panels = (("A: the atoms", first, nothing), ("B: their inverses", nothing, second), ("A + B", first, second))
    with style.figure(path, 7.2, 2.9) as figure:
        for letter, axes, (title, red, blue) in zip("abc", figure.subplots(1, 3), panels, strict=True):
            voxels.show(axes, *voxels.two_sets(red, blue), title)
            style.panel_letter(axes, letter)
        voxels.edge_length(axes, first.shape[0])
        _legend(figure)


def patterson10(path: pathlib.Path, weights: Pretrained, seed: int) -> None:
    """True maps beside the network's answers to their Patterson maps, for cases that no training has seen."""
    problem = weights.problem
    answer = jax.jit(weights.answer)
    with style.figure(path, 4.8, 2.45 * _CASES + 0.3) as figure:
        for key, (left, right) in zip(_unseen(seed), figure.subplots(_CASES, 2), strict=True):
            example = synthesis.make_example(key, problem)
            found = np.asarray(answer(example.patterson))
            first, second = _both(example.positions, problem)
            correlation = np.corrcoef(found.ravel(), np.asarray(example.target).ravel())[0, 1]
            if problem.target != "pair":
                second = np.zeros_like(first)
            voxels.show(left, *voxels.two_sets(first, second))
            # A lone atom fills a voxel of the answer to 0.5.
            voxels.show(right, np.clip(2 * voxels.cropped(found, first.shape[0]), 0, 1), voxels.ANSWER)
            right.text(1, 0.99, f"correlation\n{correlation:.3f}", transform=right.transAxes, ha="right", va="top",
                       fontsize=8)
            if left.get_subplotspec().is_first_row():
                left.set_title("true")
                right.set_title("network")
        voxels.edge_length(left, first.shape[0])
        _legend(figure, (voxels.ANSWER, "network"))


def _unseen(seed: int) -> jax.Array:
    return jax.random.split(jax.random.fold_in(jax.random.key(seed), 10), _CASES)


def _both(positions: jax.Array, problem: synthesis.Problem) -> tuple[np.ndarray, np.ndarray]:
    """Occupancies of the atoms and of their inverses around the inner box."""
    edge = min(problem.grid, 2 * int(np.ceil(problem.atoms.inner_box / 2)) + _MARGIN)
    return tuple(voxels.cropped(synthesis.atom_map(some, problem), edge) for some in (positions, invert(positions)))


def _legend(figure, *more: tuple[str, str]) -> None:
    entries = ((voxels.ATOMS, "atoms"), (voxels.INVERSES, "inverses"), (voxels.CLASHES, "both"), *more)
    marks = [Patch(facecolor=colour, label=name) for colour, name in entries]
    marks.append(Patch(facecolor=style.GREY, alpha=0.35, label="partly filled"))
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), columnspacing=1.2, handlelength=1.2)
