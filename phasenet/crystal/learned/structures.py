"""Made crystals as arrays, from which the training of the learned iteration makes its examples.

Each crystal is the whole content of its unit cell without symmetry, its axes in the order of their lengths. A program
is compiled for each shape of grid, so only a few shapes are used; a crystal is used with each shape that fits its cell
at some resolution (`find_resolutions`).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from phasenet.crystal import lattice
from phasenet.crystal.form_factors import atomic_number
from phasenet.crystal.made.crystals import MadeCrystal
from phasenet.crystal.symmetry_copies import expand_to_cell
from phasenet.errors import InputError

# Grid points per d_min: the least that `grids.choose_shape` gives, and the most that a grid of the training may have.
_MIN_POINTS, _MAX_POINTS = 2.74, 3.4
_RESOLUTIONS = (0.95, 2.1)
_MIN_RANGE = 0.02
_MAX_ELEMENTS = 8


class TrainingStructures(NamedTuple):
    """S crystals of at most A atoms in the unit cell, hydrogen among them.

    Attributes:
      reciprocal: (S, 3, 3) float32; indices (h, k, l) @ reciprocal are Cartesian, 1/A.
      positions: (S, A, 3) float32, fractional.
      elements: (S, 9) int32, atomic numbers of the elements, hydrogen among them; the first is 0, no atom.
      kinds: (S, A) int32, the place of an atom's element among `elements`.
      independent: (S, A) int32, the independent atom of which an atom is an image.
      b_iso: (S, A) float32, Angstrom^2.
    """

    reciprocal: np.ndarray
    positions: np.ndarray
    elements: np.ndarray
    kinds: np.ndarray
    independent: np.ndarray
    b_iso: np.ndarray


def pack_structures(made: Iterable[MadeCrystal], max_atoms: int,
                    shapes: Sequence[tuple[int, int, int]]) -> TrainingStructures:
    """Returns the crystals that fit a grid and have at most `max_atoms` atoms in the cell.

    Args:
      made: crystals.
      max_atoms: A.
      shapes: (X, Y, Z) of each grid.

    Raises:
      InputError: no crystal does.
    """
    packed = (_pack(crystal, max_atoms) for crystal in made)
    rows = [row for row in packed if row is not None and find_resolutions(row.reciprocal[None], shapes).any()]
    if not rows:
        raise InputError("none of the made crystals fits a grid of the training; make more, or of other volumes")
    return TrainingStructures(*(np.array(column) for column in zip(*rows, strict=True)))


def find_resolutions(reciprocal: np.ndarray, shapes: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Returns the range of resolutions in which each shape of grid fits each cell.

    Args:
      reciprocal: (S, 3, 3), see `TrainingStructures`.
      shapes: G shapes.

    Returns:
      (S, G, 2) float32, the smallest and the largest d_min in Angstrom; both 0 where a shape does not fit.
    """
    edges = np.linalg.norm(np.linalg.inv(reciprocal), axis=1)
    spacing = edges[:, None] / np.array(shapes)
    low = np.maximum(_MIN_POINTS * spacing.max(-1), _RESOLUTIONS[0])
    high = np.minimum(_MAX_POINTS * spacing.min(-1), _RESOLUTIONS[1])
    fits = high - low > _MIN_RANGE
    return np.where(fits[..., None], np.stack([low, high], -1), 0.0).astype(np.float32)


def _pack(crystal: MadeCrystal, max_atoms: int) -> TrainingStructures | None:
    """Returns the arrays of one crystal, without the axis S; None where it has too many atoms or elements."""
    order = np.argsort(crystal.cell[:3], kind="stable")
    places, sources = expand_to_cell(np.concatenate([crystal.positions, crystal.hydrogens]), crystal.operators,
                                     crystal.cell)
    numbers = np.array([atomic_number(element) for element in (*crystal.elements, *["H"] * len(crystal.hydrogens))])
    elements, kinds = np.unique(numbers, return_inverse=True)
    free = max_atoms - len(places)
    if free < 0 or len(elements) > _MAX_ELEMENTS:
        return None
    b_iso = np.concatenate([crystal.b_iso, crystal.hydrogen_b_iso])[sources]
    reciprocal = np.linalg.inv(lattice.orthogonalization_matrix(crystal.cell))[order]
    return TrainingStructures(
        reciprocal.astype(np.float32), np.pad(places[:, order], ((0, free), (0, 0))).astype(np.float32),
        np.pad(elements, (1, _MAX_ELEMENTS - len(elements))).astype(np.int32),
        np.pad(kinds.ravel()[sources] + 1, (0, free)).astype(np.int32), np.pad(sources, (0, free)).astype(np.int32),
        np.pad(b_iso, (0, free)).astype(np.float32))
