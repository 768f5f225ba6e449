"""Unit cell, symmetry operators and reflections as arrays, shared by all modules of `phasenet.crystal`.

Fractional coordinates `x` are columns; an operator moves an atom to `rotation @ x + translation`. Reciprocal lattice
vectors `h` are rows of integers; the structure factor is F(h) = sum_j f_j exp(2 pi i h . x_j).
"""

from typing import NamedTuple

import gemmi
import numpy as np

from phasenet.errors import InputError


class SpaceGroupOperators(NamedTuple):
    """All operators of a space group modulo lattice translations, those of centring included, the identity first.

    Attributes:
      rotations: (n, 3, 3) int32, on fractional coordinates.
      translations: (n, 3) float64, in [0, 1).
      symbol: extended Hermann-Mauguin symbol as in the International Tables ("P 1 21/c 1"); "" for a setting without
        one.
    """

    rotations: np.ndarray
    translations: np.ndarray
    symbol: str


class Intensities(NamedTuple):
    """Measured intensities, as they were read or merged.

    Attributes:
      hkl: (N, 3) int32.
      intensity: (N,) float64, F^2 on any scale; may be negative.
      sigma: (N,) float64, its standard deviation, positive.
    """

    hkl: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray


def orthogonalization_matrix(cell: np.ndarray) -> np.ndarray:
    """Returns the matrix (3, 3) from fractional coordinates to Angstrom: x along a, y in the plane of a and b.

    Args:
      cell: (6,) a, b, c in Angstrom, alpha, beta, gamma in degrees.

    Raises:
      InputError: the cell has no volume.
    """
    matrix = np.array(gemmi.UnitCell(*np.asarray(cell, np.float64)).orth.mat.tolist())
    if not np.isfinite(matrix).all() or np.linalg.det(matrix) < 1:
        raise InputError(f"cell {' '.join(f'{value:g}' for value in cell)}: no such cell exists")
    return matrix


def inverse_spacing(hkl: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Returns 1/d = 2 sin(theta) / lambda, (N,) in 1/A, of reflections (N, 3) of a cell (6,)."""
    return np.linalg.norm(np.asarray(hkl) @ np.linalg.inv(orthogonalization_matrix(cell)), axis=-1)


def find_absences(hkl: np.ndarray, operators: SpaceGroupOperators) -> np.ndarray:
    """Returns which reflections (..., 3) a space group forbids, (...) bool: centring, glide planes and screw axes."""
    hkl = np.asarray(hkl, np.int64)
    absent = np.zeros(hkl.shape[:-1], bool)
    for rotation, translation in zip(operators.rotations, operators.translations, strict=True):
        if not translation.any():
            continue
        phase = hkl @ translation
        absent |= (hkl @ rotation.astype(np.int64) == hkl).all(-1) & (np.abs(phase - np.round(phase)) > 1e-3)
    return absent


def has_inversion(operators: SpaceGroupOperators) -> bool:
    """Returns whether a space group is centrosymmetric, wherever its inversion centre lies."""
    return bool((operators.rotations == -np.eye(3, dtype=int)).all((1, 2)).any())


def operators_of(group: gemmi.SpaceGroup | gemmi.GroupOps, symbol: str = "") -> SpaceGroupOperators:
    """Returns the operators of a gemmi space group, or of a list of gemmi operators, which has no name of its own."""
    if isinstance(group, gemmi.SpaceGroup):
        symbol, group = group.xhm(), group.operations()
    operators = sorted(group, key=lambda op: op.triplet() != "x,y,z")
    rotations = np.array([op.rot for op in operators], np.int32) // gemmi.Op.DEN
    translations = np.array([op.tran for op in operators], np.float64) / gemmi.Op.DEN % 1
    return SpaceGroupOperators(rotations, translations, symbol)


def group_of(operators: SpaceGroupOperators) -> gemmi.GroupOps:
    """Returns operators as a gemmi group, from which gemmi finds the space group; the inverse of `operators_of`."""
    listed = []
    for rotation, translation in zip(operators.rotations, operators.translations, strict=True):
        op = gemmi.Op()
        op.rot = (rotation * gemmi.Op.DEN).tolist()
        op.tran = (np.rint(translation * gemmi.Op.DEN).astype(int) % gemmi.Op.DEN).tolist()
        listed.append(op)
    return gemmi.GroupOps(listed)
