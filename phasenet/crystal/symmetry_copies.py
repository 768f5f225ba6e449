"""Symmetry copies of a structure for pictures: the whole cell, and what is bonded or near to the atoms shown."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from phasenet.crystal.connectivity import longest_bonds
from phasenet.crystal.lattice import SpaceGroupOperators, orthogonalization_matrix

_SAME_SITE = 0.6  # Angstrom
_CONTACT = 3.6  # Angstrom between molecules that are neighbours
_SHIFTS = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)


class CopiedAtoms(NamedTuple):
    """Atoms of a picture, which are copies of n symmetry-unique atoms. A atoms.

    Attributes:
      sources: (A,) int, the unique atom that an atom is a copy of.
      positions: (A, 3) fractional.
    """

    sources: np.ndarray
    positions: np.ndarray


def fill_cell(positions: np.ndarray, molecules: np.ndarray, cell: np.ndarray,
              operators: SpaceGroupOperators) -> CopiedAtoms:
    """Returns every molecule whose centre lies in the unit cell, whole; atoms on special positions once.

    Args:
      positions: (n, 3) fractional, assembled.
      molecules: (n,) int, the connected fragment of each atom.
      cell: (6,) Angstrom and degrees.
      operators: all of the space group.
    """
    sources, places = [], []
    for number in range(molecules.max(initial=-1) + 1):
        own = np.flatnonzero(molecules == number)
        for rotation, translation in zip(operators.rotations, operators.translations, strict=True):
            moved = positions[own] @ rotation.T + translation
            sources.append(own)
            places.append(moved - np.floor(moved.mean(0) + 1e-6))
    return _distinct(CopiedAtoms(np.concatenate(sources), np.concatenate(places)), cell)


def grow(shown: CopiedAtoms, positions: np.ndarray, molecules: np.ndarray, elements: Sequence[str], cell: np.ndarray,
         operators: SpaceGroupOperators) -> CopiedAtoms:
    """Returns the atoms shown, with those bonded to them, or else with the molecules that touch them.

    Molecules that symmetry completes, chains and networks grow by their bonds; where all bonds are complete, the
    neighbouring molecules are added, whole.

    Args:
      shown: atoms of the picture.
      positions: (n, 3) fractional of the unique atoms, assembled.
      molecules: (n,) int, the connected fragment of each unique atom.
      elements: n symbols of the unique atoms.
      cell: (6,) Angstrom and degrees.
      operators: all of the space group.
    """
    matrix = orthogonalization_matrix(cell)
    images = np.einsum("mij,nj->mni", operators.rotations, positions) + operators.translations[:, None]
    longest = longest_bonds(elements, elements)
    bonded_sources, bonded, near_molecules, near = [], [], [], []
    for source, place in zip(shown.sources, shown.positions, strict=True):
        copies = images[:, :, None] - np.rint(images - place)[:, :, None] + _SHIFTS  # (m, n, 27, 3)
        distances = np.linalg.norm((copies - place) @ matrix.T, axis=-1)
        is_bonded = np.argwhere(distances < longest[source][None, :, None])
        bonded_sources.append(is_bonded[:, 1])
        bonded.append(copies[tuple(is_bonded.T)])
        for operator, atom, shift in np.argwhere(distances < _CONTACT):
            own = np.flatnonzero(molecules == molecules[atom])
            step = copies[operator, atom, shift] - images[operator, atom]
            near_molecules.append(own)
            near.append(images[operator, own] + step)
    grown = _joined(shown, bonded_sources, bonded, cell)
    return grown if len(grown.sources) > len(shown.sources) else _joined(shown, near_molecules, near, cell)


def bonded_pairs(shown: CopiedAtoms, elements: Sequence[str], cell: np.ndarray) -> np.ndarray:
    """Returns the pairs (B, 2) of atoms of a picture that are bonded.

    Args:
      shown: atoms of the picture.
      elements: n symbols of the unique atoms.
      cell: (6,) Angstrom and degrees.
    """
    named = [elements[source] for source in shown.sources]
    places = shown.positions @ orthogonalization_matrix(cell).T
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    bonded = (distances > _SAME_SITE) & (distances < longest_bonds(named, named))
    return np.argwhere(np.triu(bonded))


def _joined(shown: CopiedAtoms, sources: list[np.ndarray], positions: list[np.ndarray],
            cell: np.ndarray) -> CopiedAtoms:
    """Returns the atoms shown and others, each place once."""
    return _distinct(CopiedAtoms(np.concatenate([shown.sources, *sources]),
                                 np.concatenate([shown.positions, *positions])), cell)


def _distinct(atoms: CopiedAtoms, cell: np.ndarray) -> CopiedAtoms:
    """Returns the first of the atoms at each place; copies of one unique atom within 0.6 A are one atom."""
    places = atoms.positions @ orthogonalization_matrix(cell).T
    kept: list[int] = []
    by_source: dict[int, list[int]] = {}
    for number, source in enumerate(atoms.sources.tolist()):
        same = by_source.setdefault(source, [])
        if not same or np.linalg.norm(places[same] - places[number], axis=1).min() > _SAME_SITE:
            same.append(number)
            kept.append(number)
    return CopiedAtoms(atoms.sources[kept], atoms.positions[kept])
