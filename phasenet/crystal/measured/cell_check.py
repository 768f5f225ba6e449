"""Checks a unit cell against the indices that were measured with it and against the symmetry it should have.

Data are measured to one scattering angle, so their indices fill a sphere in reciprocal space. With a wrong cell edge
the sphere becomes an ellipsoid: the edge that makes it a sphere again is the likely one.
"""

from typing import NamedTuple

import numpy as np

from phasenet.crystal.lattice import SpaceGroupOperators, find_absences, inverse_spacing, orthogonalization_matrix
from phasenet.crystal.measured.data_quality import possible_reflections
from phasenet.crystal.measured.merging import distinct_rotations, find_rows

# Intensities within this angle of a reciprocal axis tell how far the data reach along it.
_CONE_DEGREES = 25.0
_MIN_IN_CONE = 4
# The edges are scaled only where the data fill their sphere worse than this.
_FULL_SPHERE = 0.97
_FULL_AFTER_CHANGE, _GAIN = 0.96, 0.025  # of the overlap with the best edge, for a cell that looks wrong
_SCALES = np.exp(np.linspace(-0.3, 0.3, 31))
# With more reflections than this, every third scale is tried.
_MANY_REFLECTIONS = 10000


class AxisScale(NamedTuple):
    """How a change of one cell edge makes the measured indices fill a sphere.

    Attributes:
      axis: 0, 1, 2 for a, b, c.
      factor: factor by which the edge has to be multiplied; 1 if the data fill a sphere with the cell as given.
      overlap: share of the M measured reflections among the M possible ones of lowest angle, with the cell as given.
      best_overlap: the same with the edge changed.
    """

    axis: int
    factor: float
    overlap: float
    best_overlap: float


def suggests_wrong_cell(scale: AxisScale) -> bool:
    """Returns whether the data would fill a sphere with another length of one cell edge, but not with the given one."""
    return scale.best_overlap > max(_FULL_AFTER_CHANGE, scale.overlap + _GAIN)


def find_axis_scale(hkl: np.ndarray, cell: np.ndarray, operators: SpaceGroupOperators) -> AxisScale:
    """Returns the change of one cell edge that makes measured reflections fill a sphere best.

    Args:
      hkl: (M, 3) unique reflections, as `merging.unique_indices` chooses them.
      cell: (6,) Angstrom and degrees.
      operators: whose rotations and absences say what could have been measured.
    """
    hkl = hkl[~find_absences(hkl, operators)]
    if len(hkl) < 100:
        return AxisScale(0, 1.0, np.nan, np.nan)
    overlap = _sphere_overlap(hkl, cell, operators)
    best = AxisScale(0, 1.0, overlap, overlap)
    if overlap < _FULL_SPHERE:
        for axis in range(3):
            for factor in _SCALES if len(hkl) < _MANY_REFLECTIONS else _SCALES[::3]:
                scaled = np.array(cell, np.float64)
                scaled[axis] *= factor
                value = _sphere_overlap(hkl, scaled, operators)
                if value > best.best_overlap:
                    best = AxisScale(axis, float(factor), overlap, value)
    return best


def _sphere_overlap(hkl: np.ndarray, cell: np.ndarray, operators: SpaceGroupOperators) -> float:
    """Returns the share of reflections (M, 3) that are among the M possible ones of lowest angle."""
    num_operators = len(distinct_rotations(np.concatenate([operators.rotations, -operators.rotations])))
    num_lattice = int((operators.rotations == np.eye(3, dtype=int)).all((1, 2)).sum())
    volume = np.linalg.det(orthogonalization_matrix(cell))
    # A third more than M unique reflections of the sphere, so that M are left without the absences.
    d_min = (4 * np.pi / 3 * volume / (1.35 * (len(hkl) + 20) * num_operators * num_lattice)) ** (1 / 3)
    possible = possible_reflections(cell, operators, d_min)
    nearest = possible[np.argsort(inverse_spacing(possible, cell), kind="stable")[: len(hkl)]]
    return float((find_rows(hkl, nearest) >= 0).mean()) if len(nearest) else 0.0


def axis_limits(hkl: np.ndarray, cell: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Returns the smallest spacing in A measured near each reciprocal axis, (3,); NaN where little was measured.

    Data end at one scattering angle. If they end at different spacings along the axes, an axis of the cell may be
    wrong, or a part of reciprocal space was out of reach.

    Args:
      hkl: (N, 3) indices of what was measured.
      cell: (6,) Angstrom and degrees.
      rotations: (n, 3, 3) of the Laue group: equivalents count as measured.
    """
    hkl = np.concatenate([hkl @ rotation for rotation in distinct_rotations(rotations)])
    inverse = np.linalg.inv(orthogonalization_matrix(cell))
    vectors = hkl @ inverse
    lengths = np.linalg.norm(vectors, axis=1)
    limits = np.full(3, np.nan)
    for axis in range(3):
        direction = inverse[axis] / np.linalg.norm(inverse[axis])
        cosine = np.abs(vectors @ direction) / np.maximum(lengths, 1e-12)
        near = lengths[cosine > np.cos(np.radians(_CONE_DEGREES))]
        if len(near) >= _MIN_IN_CONE:
            limits[axis] = 1 / near.max()
    return limits


def metric_mismatch(cell: np.ndarray, rotations: np.ndarray) -> float:
    """Returns how much rotations (n, 3, 3) change the metric tensor of a cell (6,).

    It is the largest change of an element, relative to the product of its two edges.
    """
    matrix = orthogonalization_matrix(cell)
    metric = matrix.T @ matrix
    edges = np.sqrt(np.diag(metric))
    turned = np.asarray(rotations).transpose(0, 2, 1) @ metric @ np.asarray(rotations)
    return float((np.abs(turned - metric) / np.outer(edges, edges)).max())
