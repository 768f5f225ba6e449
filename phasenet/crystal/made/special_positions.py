"""Special positions of a space group: points that some operators leave where they are."""

from typing import NamedTuple

import numpy as np

from phasenet.crystal.lattice import SpaceGroupOperators

_MAX_ORDER = 6
_TOLERANCE = 1e-3  # fractional
_NEIGHBOURS = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)


class SiteSymmetry(NamedTuple):
    """Operators that map a molecule onto itself: numbers (s,) of operators, and lattice translations (s, 3) int."""

    operators: np.ndarray
    translations: np.ndarray

    @property
    def order(self) -> int:
        """Number of operators, the identity among them."""
        return len(self.operators)

    def contains(self, operators: np.ndarray, translations: np.ndarray) -> np.ndarray:
        """Returns (k,) whether numbers of operators (k,) with lattice translations (k, 3) are of this symmetry."""
        found = np.zeros(len(operators), bool)
        for number, shift in zip(*self, strict=True):
            found |= (operators == number) & (translations == shift).all(1)
        return found


GENERAL_POSITION = SiteSymmetry(np.zeros(1, int), np.zeros((1, 3), int))


def site_symmetry(position: np.ndarray, operators: SpaceGroupOperators) -> SiteSymmetry:
    """Returns the operators that leave a position (3,), fractional, where it is."""
    moved = operators.rotations @ position + operators.translations - position
    translations = -np.round(moved).astype(int)
    fixed = np.flatnonzero((np.abs(moved + translations) < _TOLERANCE).all(1))
    return SiteSymmetry(fixed, translations[fixed])


def draw_special_position(rng: np.random.Generator,
                          operators: SpaceGroupOperators) -> tuple[np.ndarray, SiteSymmetry] | None:
    """Returns a point (3,), fractional, that a randomly drawn operator leaves where it is, with its site symmetry.

    On an axis or a plane the place of the point is random, too. Returns None if no operator leaves a point where it is.
    """
    for number in rng.permutation(np.arange(1, len(operators.rotations))):
        rotation, shift = operators.rotations[number].astype(float), operators.translations[number]
        start = rng.random(3)
        for translation in rng.permutation(_NEIGHBOURS):
            powers = [start]
            for _ in range(_MAX_ORDER):
                powers.append(rotation @ powers[-1] + shift + translation)
                if np.abs(powers[-1] - start).max() < _TOLERANCE:
                    place = np.mean(powers[:-1], 0)
                    place = place - np.floor(place)
                    symmetry = site_symmetry(place, operators)
                    if symmetry.order > 1:
                        return place, symmetry
                    break
    return None


def cartesian_rotations(symmetry: SiteSymmetry, operators: SpaceGroupOperators,
                        orthogonalization: np.ndarray) -> np.ndarray:
    """Returns the rotations (s, 3, 3) of a site's operators in Cartesian axes."""
    return orthogonalization @ operators.rotations[symmetry.operators] @ np.linalg.inv(orthogonalization)
