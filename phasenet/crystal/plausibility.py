"""Tests what a right model shows beside a low R1: usual bond lengths, and no inversion that its space group lacks.

`phasenet.crystal_pipeline` lowers the verdict on a model that fails a test.
"""

import numpy as np

from phasenet.crystal.lattice import SpaceGroupOperators, has_inversion, orthogonalization_matrix
from phasenet.crystal.solve import CandidateModel, CrystalSolution

_BOND_ANGSTROM = (1.05, 1.75)  # between C, N and O; to a metal or a halogen it is longer
_SAME_SITE_ANGSTROM = 0.6
_MIN_LIGHT = 4  # C, N and O atoms; fewer tell nothing
# Usual medians of the shortest bonds of C, N and O atoms, and a narrower range for cells whose volume is unusual, too:
# right models have 1.26 (acetates) to 1.49 (sp3 carbon).
_USUAL_MEDIAN_ANGSTROM, _NARROW_MEDIAN_ANGSTROM = (1.22, 1.51), (1.30, 1.46)
_SHARP_ANGSTROM = 1.1  # the worst resolution at which bond lengths are exact enough
# An inversion maps more than this fraction of the atoms on atoms within this distance.
_INVERTED_FRACTION, _INVERTED_ANGSTROM = 0.65, 0.6
_MIN_INVERTED = 5  # atoms of the cell; fewer are related by an inversion by chance
_MAX_INVERTED = 60  # about so many atoms of a large cell are tested
_ANCHORS = 2  # atoms, one of which has its inverse among the atoms


def has_extra_inversion(solution: CrystalSolution, cell: np.ndarray, operators: SpaceGroupOperators) -> bool:
    """Returns whether an inversion maps most atoms on atoms, whatever their elements, although the group has none.

    Args:
      solution: the atoms.
      cell: (6,) Angstrom and degrees.
      operators: of the group.
    """
    if has_inversion(operators) or len(solution.elements) * len(operators.rotations) < _MIN_INVERTED:
        return False
    matrix = orthogonalization_matrix(cell)
    positions = _images(solution, operators)
    some = positions[:: max(1, len(positions) // _MAX_INVERTED)]
    for anchor in positions[:_ANCHORS]:
        for partner in positions:
            offset = some[:, None] + positions[None] - (anchor + partner)
            near = np.linalg.norm((offset - np.rint(offset)) @ matrix.T, axis=-1) < _INVERTED_ANGSTROM
            if near.any(1).mean() > _INVERTED_FRACTION:
                return True
    return False


def fraction_bonded(solution: CrystalSolution | CandidateModel, cell: np.ndarray,
                    operators: SpaceGroupOperators) -> float:
    """Returns the share of C, N and O atoms whose nearest atom lies at the length of a bond; 0 without carbon.

    Args:
      solution: the atoms.
      cell: (6,) Angstrom and degrees.
      operators: of the group.
    """
    if "C" not in solution.elements:
        return 0.0
    nearest = _nearest_distances(solution, cell, operators)
    return float(_is_bond(nearest).mean()) if len(nearest) >= _MIN_LIGHT else 1.0


def has_unusual_bonds(solution: CrystalSolution, cell: np.ndarray, operators: SpaceGroupOperators, *,
                      unusual_volume: bool) -> bool:
    """Returns whether the bonds of C, N and O are too short or too long as a whole: the cell may be wrong.

    A cell with all edges wrong by 10% is seen in most crystals to 1.1 A, smaller errors are not.

    Args:
      solution: the atoms.
      cell: (6,) Angstrom and degrees.
      operators: of the group.
      unusual_volume: whether the volume of the cell does not suit its contents; fewer lengths are then taken as usual.
    """
    nearest = _nearest_distances(solution, cell, operators)
    bonds = nearest[_is_bond(nearest)]
    if len(bonds) < _MIN_LIGHT or solution.d_min > _SHARP_ANGSTROM:
        return False
    low, high = _NARROW_MEDIAN_ANGSTROM if unusual_volume else _USUAL_MEDIAN_ANGSTROM
    return not low <= float(np.median(bonds)) <= high


def _nearest_distances(solution: CrystalSolution | CandidateModel, cell: np.ndarray,
                       operators: SpaceGroupOperators) -> np.ndarray:
    """Returns the distances (m,) of the C, N and O atoms from their nearest atoms, Angstrom."""
    light = np.array([element in ("C", "N", "O") for element in solution.elements])
    offset = _images(solution, operators)[:, None] - solution.positions[light]
    distances = np.linalg.norm((offset - np.rint(offset)) @ orthogonalization_matrix(cell).T, axis=-1)
    return np.where(distances > _SAME_SITE_ANGSTROM, distances, np.inf).min(0)


def _is_bond(distances: np.ndarray) -> np.ndarray:
    """Returns whether distances (m,) are lengths of bonds between C, N and O."""
    return (distances > _BOND_ANGSTROM[0]) & (distances < _BOND_ANGSTROM[1])


def _images(solution: CrystalSolution | CandidateModel, operators: SpaceGroupOperators) -> np.ndarray:
    """Returns the copies of all atoms by all operators, (m n, 3) fractional."""
    images = np.einsum("mij,nj->mni", operators.rotations, solution.positions) + operators.translations[:, None]
    return images.reshape(-1, 3)
