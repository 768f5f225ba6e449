"""Finds the laws and fractions of twins whose lattices coincide, and detwins their intensities.

A crystal twinned by a rotation of its lattice that its Laue group lacks (by merohedry or pseudo-merohedry) shows

    I(h) = (1 - a) J(h) + a J(M h),

J the intensities of one component, a the fraction of the second (Yeates, Acta Cryst. A44, 142, 1988). M, the twin law,
acts on columns h, as that of SHELXL's TWIN does. `solve` and `twin_refinement` call these functions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from phasenet.crystal.lattice import Intensities, SpaceGroupOperators, has_inversion, inverse_spacing
from phasenet.crystal.measured.intensity_statistics import estimate_twin_fraction
from phasenet.crystal.measured.laue_symmetry import centring_letter, lattice_rotations
from phasenet.crystal.measured.merging import find_rows, laue_rotations, merge, unique_indices
from phasenet.crystal.normalisation import UniqueReflections
from phasenet.crystal.refinement import least_squares
from phasenet.crystal.refinement.least_squares import OverlappingReflections

_SHELL = 40  # reflections in a shell of the mean intensity
_MODEL_ERROR = 0.1  # of an intensity, as in wR2
_MIN_REFLECTIONS = 20
_UNDETERMINED = 1e-6  # smallest eigenvalue of the normal matrix of unit columns


class Twin(NamedTuple):
    """A crystal of two components.

    Attributes:
      law: (3, 3) int, M; the second component reflects with the indices M h where the first does with h.
      fraction: a, share of the second component.
      sigma: standard deviation of the fraction.
    """

    law: np.ndarray
    fraction: float
    sigma: float


class FractionFit(NamedTuple):
    """The fraction that a model shows.

    Attributes:
      fraction: a, 0 to 1.
      sigma: its standard deviation; infinite where nothing tells both components apart.
      significance: intensity of the second component over its standard deviation.
    """

    fraction: float
    sigma: float
    significance: float


def find_twin_laws(cell: np.ndarray, operators: SpaceGroupOperators) -> tuple[np.ndarray, ...]:
    """Returns the laws (3, 3) int by which a crystal may be twinned: one for each coset of its Laue group.

    The law of a coset is its rotation of lowest order, the simplest of these. A law that does not map the Laue group
    onto itself is left out: the intensities of such a twin do not have the symmetry of the group.

    Args:
      cell: (6,) Angstrom and degrees.
      operators: of the space group.
    """
    letter = centring_letter(operators)
    group = laue_rotations(operators.rotations).astype(np.int64)
    group = group[np.linalg.det(group) > 0]
    members = {rotation.tobytes() for rotation in group}
    if not letter:
        return ()
    laws = []
    for rotation in lattice_rotations(cell, letter).astype(np.int64):
        if rotation.tobytes() in members:
            continue
        coset = [rotation @ member for member in group]
        members |= {one.tobytes() for one in coset}
        inverse = np.round(np.linalg.inv(rotation)).astype(np.int64)
        if {(rotation @ member @ inverse).tobytes() for member in group} == {member.tobytes() for member in group}:
            laws.append(min(coset, key=_complexity).T)
    return tuple(laws)


def _complexity(rotation: np.ndarray) -> tuple[int, int, list[int]]:
    """Returns a sort key of rotations (3, 3), the simplest first: the order, then the entries."""
    order = next(power for power in range(1, 7)
                 if np.array_equal(np.linalg.matrix_power(rotation, power), np.eye(3, dtype=int)))
    return order, int(np.abs(rotation).sum()), (-rotation.T).ravel().tolist()


def describe_law(law: np.ndarray) -> str:
    """Returns a law (3, 3) int as "h' = h, k' = -k, l' = -h-l"."""
    terms = []
    for name, row in zip("hkl", np.asarray(law).tolist(), strict=True):
        signed = "".join(("-" if value < 0 else "+") + ("" if abs(value) == 1 else str(abs(value))) + letter
                         for value, letter in zip(row, "hkl", strict=True) if value)
        terms.append(f"{name}' = {signed.removeprefix('+') or '0'}")
    return ", ".join(terms)


def build_partner(reflections: UniqueReflections, law: np.ndarray, cell: np.ndarray, operators: SpaceGroupOperators,
                  elements: Sequence[str], radiation: str) -> OverlappingReflections:
    """Returns the reflections M h that overlap with N unique reflections, whether they were measured or not.

    Args:
      reflections: of the twin.
      law: (3, 3) int.
      cell: (6,) Angstrom and degrees.
      operators: of the space group.
      elements: symbols that atoms may have.
      radiation: "xray", "electron" or "neutron".
    """
    hkl = (reflections.hkl @ law.T).astype(np.int32)
    moved = reflections._replace(hkl=hkl, inverse_spacing=inverse_spacing(hkl, cell))
    model = least_squares.build_model(moved, cell, operators, elements, radiation)
    return OverlappingReflections(model.mates, model.cartesian_mates, model.phases, model.squared_spacing,
                                  model.scattering)


def estimate_fraction(reflections: UniqueReflections, operators: SpaceGroupOperators, law: np.ndarray) -> float:
    """Returns the fraction by the H-test, 0 to 0.5; 0 with too few pairs of strong reflections.

    Args:
      reflections: of the group.
      operators: of the space group, which need not be the group that the intensities show.
      law: (3, 3) int.
    """
    merged = merge(Intensities(*reflections[:3]), operators.rotations)
    test = estimate_twin_fraction(merged, operators.rotations, law.T, float(has_inversion(operators)))
    return test.fraction if test.num_pairs >= _MIN_REFLECTIONS else 0.0


def detwin(reflections: UniqueReflections, operators: SpaceGroupOperators, law: np.ndarray,
           fraction: float) -> UniqueReflections:
    """Returns the intensities of the first component; a reflection is left out if its partner was not measured.

    Args:
      reflections: of the twin.
      operators: of the space group.
      law: (3, 3) int.
      fraction: a, below 0.5.
    """
    rows = find_rows(unique_indices(reflections.hkl, operators.rotations),
                     unique_indices(reflections.hkl @ law.T, operators.rotations))
    kept = np.flatnonzero(rows >= 0)
    own, other = kept, rows[kept]
    first, second = (1 - fraction) / (1 - 2 * fraction), fraction / (1 - 2 * fraction)
    intensity = first * reflections.intensity[own] - second * reflections.intensity[other]
    sigma = np.hypot(first * reflections.sigma[own], second * reflections.sigma[other])
    # A reflection that the law leaves where it is was measured as it is.
    same = own == other
    intensity[same], sigma[same] = reflections.intensity[own[same]], reflections.sigma[own[same]]
    return UniqueReflections(reflections.hkl[own], intensity, sigma, *(column[own] for column in reflections[3:]))


def fit_fraction(reflections: UniqueReflections, first: np.ndarray, second: np.ndarray) -> FractionFit:
    """Fits the fraction to the intensities of a model, by linear least squares.

    A third term, the mean intensity at the resolution, takes up what any atoms would explain. Without this term a wrong
    or incomplete model always seems to show a second component.

    Args:
      reflections: N unique ones.
      first: (N,) |F(h)|^2 of the model, on any scale.
      second: (N,) |F(M h)|^2, on the same scale.
    """
    mean = _mean_by_resolution(first, reflections)
    scale = float((reflections.intensity * first).sum()) / max(float((first**2).sum()), 1e-30)
    expected = (np.maximum(reflections.intensity, 0.0) + abs(scale) * (first + second + mean)) / 4
    weight = 1 / np.hypot(reflections.sigma, _MODEL_ERROR * expected + 1e-9 * expected.max())
    design = np.stack([first, second, mean], 1) * weight[:, None]
    design, norms = design / np.linalg.norm(design, axis=0), np.linalg.norm(design, axis=0)
    target = reflections.intensity * weight
    matrix = design.T @ design
    if len(target) < _MIN_REFLECTIONS or np.linalg.eigvalsh(matrix)[0] < _UNDETERMINED:
        return FractionFit(0.0, np.inf, 0.0)
    inverse = np.linalg.inv(matrix)
    solution = inverse @ (design.T @ target)
    variance = np.square(target - design @ solution).sum() / (len(target) - 3)
    covariance = (variance * inverse / np.outer(norms, norms))[:2, :2]
    one, two = solution[:2] / norms[:2]
    if one < 0 or one + two <= 0:
        return FractionFit(0.0, np.inf, 0.0)
    gradient = np.array([-two, one]) / (one + two)**2
    return FractionFit(float(np.clip(two / (one + two), 0.0, 1.0)), float(np.sqrt(gradient @ covariance @ gradient)),
                       float(two / np.sqrt(covariance[1, 1])))


def _mean_by_resolution(intensity: np.ndarray, reflections: UniqueReflections) -> np.ndarray:
    """Returns the mean intensity (N,) at the resolution of each reflection, times its epsilon."""
    s = reflections.inverse_spacing
    shells = np.array_split(np.argsort(s, kind="stable"), max(1, len(s) // _SHELL))
    means = [(intensity[shell] / reflections.epsilon[shell]).mean() for shell in shells]
    return np.interp(s, [s[shell].mean() for shell in shells], means) * reflections.epsilon
