"""Finds the bonds of a crystal structure by distance, and assembles its unique atoms into connected molecules.

Two atoms are bonded if their distance is below the sum of their covalent radii (Cordero et al., Dalton Trans. 2008,
2832, from gemmi) plus 0.4 A. Bonds to cations of alkali and alkaline-earth metals do not join molecules. `solve`
assembles the atoms that it found; `symmetry_copies` uses the same bonds.
"""

from collections.abc import Sequence
from typing import NamedTuple

import gemmi
import numpy as np

from phasenet.crystal.lattice import SpaceGroupOperators, orthogonalization_matrix

_TOLERANCE = 0.4  # Angstrom
_SAME_SITE = 0.6  # Angstrom; nearer atoms are alternatives of one site, or one atom on a special position
# Cations of these metals lie near other electropositive atoms at distances at which their radii would make a bond.
_CATIONS = frozenset("Li Na K Rb Cs Be Mg Ca Sr Ba".split())
_BONDED_TO_CATIONS = frozenset("H D C N O F P S Cl Se Br I".split())
_SHIFTS = np.stack(np.meshgrid(*[[0, -1, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)


class BondList(NamedTuple):
    """B bonds, each from a symmetry-unique atom to a copy of one. A bond between two atoms is listed from both.

    Attributes:
      first: (B,) int, the unique atom; it stays at its given position.
      second: (B,) int, the unique atom whose copy is bonded to `first`.
      operators: (B,) int, number of the operator that makes the copy.
      shifts: (B, 3) int, lattice translation of the copy after the operator.
      lengths: (B,) Angstrom.
    """

    first: np.ndarray
    second: np.ndarray
    operators: np.ndarray
    shifts: np.ndarray
    lengths: np.ndarray


class AssembledAtoms(NamedTuple):
    """Where each of n unique atoms is moved to, so that bonded atoms lie together.

    Attributes:
      positions: (n, 3) fractional, the copies that were chosen.
      rotations: (n, 3, 3) int, of the operator that makes the copy.
      molecules: (n,) int, number of the connected fragment, from 0.
    """

    positions: np.ndarray
    rotations: np.ndarray
    molecules: np.ndarray


def covalent_radii(elements: Sequence[str]) -> np.ndarray:
    """Returns the covalent radii (n,) of elements in Angstrom."""
    return np.array([gemmi.Element(element).covalent_r for element in elements], float)


def longest_bonds(elements: Sequence[str], others: Sequence[str], with_cations: bool = True) -> np.ndarray:
    """Returns the distance (n, m) in Angstrom below which atoms of two lists of elements are bonded; 0 for never.

    Args:
      elements: n symbols.
      others: m symbols.
      with_cations: whether cations of alkali and alkaline-earth metals are bonded to non-metals; they are never bonded
        to other atoms.
    """
    never = np.array([[bool({one, other} & _CATIONS) and not (with_cations and {one, other} & _BONDED_TO_CATIONS)
                       for other in others] for one in elements]).reshape(len(elements), len(others))
    return np.where(never, 0.0, covalent_radii(elements)[:, None] + covalent_radii(others) + _TOLERANCE)


def find_bonds(positions: np.ndarray, elements: Sequence[str], cell: np.ndarray,
               operators: SpaceGroupOperators, with_cations: bool = True) -> BondList:
    """Returns the bonds of unique atoms with all copies around them.

    Args:
      positions: (n, 3) fractional.
      elements: n symbols.
      cell: (6,) Angstrom and degrees.
      operators: all of the space group.
      with_cations: see `longest_bonds`.
    """
    return find_neighbours(positions, longest_bonds(elements, elements, with_cations), cell, operators)


def find_neighbours(positions: np.ndarray, reach: np.ndarray, cell: np.ndarray,
                    operators: SpaceGroupOperators) -> BondList:
    """Returns all copies that are nearer than `reach` to a unique atom, sorted by distance for each unique atom.

    Args:
      positions: (n, 3) fractional.
      reach: (n, n) Angstrom, for each pair of unique atoms.
      cell: (6,) Angstrom and degrees.
      operators: all of the space group.
    """
    matrix = orthogonalization_matrix(cell)
    images = np.einsum("mij,nj->nmi", operators.rotations, positions) + operators.translations
    found: list[tuple[int, int, int, np.ndarray, float]] = []
    for first, position in enumerate(positions):
        nearest = -np.rint(images - position).astype(int)
        shifts = nearest[:, :, None] + _SHIFTS  # (n, m, 27, 3)
        distances = np.linalg.norm((images[:, :, None] + shifts - position) @ matrix.T, axis=-1)
        near = np.argwhere((distances > _SAME_SITE) & (distances < reach[first][:, None, None]))
        for second, operator, shift in near[np.argsort(distances[tuple(near.T)], kind="stable")]:
            found.append((first, second, operator, shifts[second, operator, shift],
                          distances[second, operator, shift]))
    columns = list(zip(*found, strict=True)) or [()] * 5
    bonds = BondList(np.array(columns[0], int), np.array(columns[1], int), np.array(columns[2], int),
                     np.array(columns[3], int).reshape(-1, 3), np.array(columns[4], float))
    return _one_of_each_copy(bonds, images)


def assemble(positions: np.ndarray, elements: Sequence[str], cell: np.ndarray,
             operators: SpaceGroupOperators) -> AssembledAtoms:
    """Returns the unique atoms moved to symmetry copies that lie together as molecules near the middle of the cell.

    1. A molecule begins at an atom and grows by the copies that are bonded to its atoms, until there are no more.
    2. The first molecule is moved into the cell by lattice translations; each further one becomes the copy that lies
       nearest to the molecules before it.

    Args:
      positions: (n, 3) fractional.
      elements: n symbols.
      cell: (6,) Angstrom and degrees.
      operators: all of the space group, the identity first.
    """
    n = len(elements)
    bonds = find_bonds(positions, elements, cell, operators, with_cations=False)
    rotations, translations = operators.rotations.astype(float), operators.translations
    turns, moves = np.tile(np.eye(3), (n, 1, 1)), np.zeros((n, 3))  # x -> turn @ x + move
    molecules = np.full(n, -1)
    for start in range(n):
        if molecules[start] >= 0:
            continue
        number = molecules.max() + 1
        molecules[start] = number
        reached = [start]
        for first in reached:
            for bond in np.flatnonzero(bonds.first == first):
                second = bonds.second[bond]
                if molecules[second] >= 0:
                    continue
                operator = bonds.operators[bond]
                turns[second] = turns[first] @ rotations[operator]
                moves[second] = turns[first] @ (translations[operator] + bonds.shifts[bond]) + moves[first]
                molecules[second] = number
                reached.append(second)
    placed = np.einsum("nij,nj->ni", turns, positions) + moves
    matrix = orthogonalization_matrix(cell)
    for number in range(molecules.max(initial=-1) + 1):
        own, before = molecules == number, (molecules >= 0) & (molecules < number)
        centre = placed[own].mean(0)
        target = placed[before].mean(0) if before.any() else np.full(3, 0.5)
        choices = rotations @ centre + translations if before.any() else centre[None]
        steps = np.rint(target - choices)
        best = int(np.linalg.norm((choices + steps - target) @ matrix.T, axis=1).round(3).argmin())
        turn, move = (rotations[best], translations[best]) if before.any() else (np.eye(3), np.zeros(3))
        placed[own] = placed[own] @ turn.T + move + steps[best]
        turns[own] = turn @ turns[own]
    return AssembledAtoms(placed, np.rint(turns).astype(int), molecules)


def _one_of_each_copy(bonds: BondList, images: np.ndarray) -> BondList:
    """Returns each bond once, where several operators make the same copy (special positions).

    Args:
      bonds: of unique atoms.
      images: (n, m, 3) fractional, all atoms moved by all operators.
    """
    seen: set[tuple[int, ...]] = set()
    kept = []
    for number in range(len(bonds.first)):
        place = images[bonds.second[number], bonds.operators[number]] + bonds.shifts[number]
        key = (int(bonds.first[number]), int(bonds.second[number]), *np.rint(place * 1000).astype(int).tolist())
        if key not in seen:
            seen.add(key)
            kept.append(number)
    return BondList(*(column[kept] for column in bonds))
