"""Symmetry copies of a structure for pictures: the whole cell, and what is bonded or near to the atoms shown."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from phasenet.crystal.connectivity import longest_bonds
from phasenet.crystal.lattice import SpaceGroupOperators, orthogonalization_matrix

_SAME_SITE = 0.6  # Angstrom
_SAME_PLACE = 0.05  # Angstrom
_MAX_COMPLETION = 12  # times as many atoms: what grows beyond is a chain or a network
_CONTACT = 3.6  # Angstrom between molecules that are neighbours
_FACE = 1e-4  # of an edge; an atom so near to a face lies on it
_STEPS = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)
_SHIFTS = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)


class CopiedAtoms(NamedTuple):
    """Atoms of a picture, which are copies of n symmetry-unique atoms. A atoms.

    Attributes:
      sources: (A,) int, the unique atom that an atom is a copy of.
      positions: (A, 3) fractional.
    """

    sources: np.ndarray
    positions: np.ndarray


def fill_cell(positions: np.ndarray, molecules: np.ndarray, elements: Sequence[str], cell: np.ndarray,
              operators: SpaceGroupOperators) -> CopiedAtoms:
    """Returns every molecule whose centre lies in the unit cell, whole; atoms on special positions once.

    A molecule that symmetry completes is completed first. Of chains and networks, which have no end, and of single
    atoms, all atoms in the cell are shown, those on its faces, edges and corners each time.

    Args:
      positions: (n, 3) fractional, assembled.
      molecules: (n,) int, the connected fragment of each atom.
      elements: n symbols.
      cell: (6,) Angstrom and degrees.
      operators: all of the space group.
    """
    images = _images(positions, operators)
    sources, places = [], []
    for number in range(molecules.max(initial=-1) + 1):
        own = np.flatnonzero(molecules == number)
        piece = CopiedAtoms(own, positions[own])
        whole = _complete(piece, images, elements, cell)
        piece = piece if whole is None else whole
        for rotation, translation in zip(operators.rotations, operators.translations, strict=True):
            moved = piece.positions @ rotation.T + translation
            if whole is not None and len(own) > 1:
                sources.append(piece.sources)
                places.append(moved - np.floor(moved.mean(0) + _FACE))
                continue
            inside = (moved - np.floor(moved + _FACE))[:, None] + _STEPS
            shown = (inside < 1 + _FACE).all(2)
            sources.append(np.repeat(piece.sources, len(_STEPS)).reshape(shown.shape)[shown])
            places.append(inside[shown])
    return _distinct(CopiedAtoms(np.concatenate(sources), np.concatenate(places)), cell)


def site_multiplicities(positions: np.ndarray, cell: np.ndarray, operators: SpaceGroupOperators) -> np.ndarray:
    """Returns how many copies of each atom (n,) the cell has: fewer than operators on a special position.

    Args:
      positions: (n, 3) fractional.
      cell: (6,) Angstrom and degrees.
      operators: all of the space group.
    """
    offset = _images(positions, operators) - positions
    distances = np.linalg.norm((offset - np.rint(offset)) @ orthogonalization_matrix(cell).T, axis=-1)
    return len(operators.rotations) // (distances < _SAME_PLACE).sum(0)


def grow(shown: CopiedAtoms, positions: np.ndarray, molecules: np.ndarray, elements: Sequence[str], cell: np.ndarray,
         operators: SpaceGroupOperators) -> CopiedAtoms:
    """Returns the atoms shown and those of the next step of growth.

    Molecules that symmetry completes are completed; a chain or a network gets the atoms bonded to those shown; where
    no bond is open, the neighbouring molecules are added.

    Args:
      shown: atoms of the picture.
      positions: (n, 3) fractional of the unique atoms, assembled.
      molecules: (n,) int, the connected fragment of each unique atom.
      elements: n symbols of the unique atoms.
      cell: (6,) Angstrom and degrees.
      operators: all of the space group.
    """
    images = _images(positions, operators)
    grown = _complete(shown, images, elements, cell)
    if grown is None:
        return _add_bonded(shown, images, elements, cell)
    if len(grown.sources) > len(shown.sources):
        return grown
    more = _add_touching(shown, images, molecules, cell)
    complete = _complete(more, images, elements, cell)
    return more if complete is None else complete


def bonded_pairs(shown: CopiedAtoms, elements: Sequence[str], cell: np.ndarray) -> np.ndarray:
    """Returns the pairs (B, 2) of atoms of a picture that are bonded.

    Args:
      shown: atoms of the picture.
      elements: n symbols of the unique atoms.
      cell: (6,) Angstrom and degrees.
    """
    places = shown.positions @ orthogonalization_matrix(cell).T
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    longest = longest_bonds(elements, elements)[np.ix_(shown.sources, shown.sources)]
    bonded = (distances > _SAME_SITE) & (distances < longest)
    return np.argwhere(np.triu(bonded))


def _complete(shown: CopiedAtoms, images: np.ndarray, elements: Sequence[str],
              cell: np.ndarray) -> CopiedAtoms | None:
    """Returns the atoms shown with all that is bonded to them; None where that has no end."""
    grown = shown
    while len(grown.sources) <= _MAX_COMPLETION * len(shown.sources):
        more = _add_bonded(grown, images, elements, cell)
        if len(more.sources) == len(grown.sources):
            return grown
        grown = more
    return None


def _add_bonded(shown: CopiedAtoms, images: np.ndarray, elements: Sequence[str], cell: np.ndarray) -> CopiedAtoms:
    """Returns the atoms shown with those that are bonded to one of them."""
    longest = longest_bonds(elements, elements, with_cations=False)
    sources, places = [shown.sources], [shown.positions]
    for source, place in zip(shown.sources, shown.positions, strict=True):
        copies, distances = _around(place, images, cell)
        near = np.argwhere(distances < longest[source][None, :, None])
        sources.append(near[:, 1])
        places.append(copies[tuple(near.T)])
    return _distinct(CopiedAtoms(np.concatenate(sources), np.concatenate(places)), cell)


def _add_touching(shown: CopiedAtoms, images: np.ndarray, molecules: np.ndarray, cell: np.ndarray) -> CopiedAtoms:
    """Returns the atoms shown with the fragments of which an atom touches one of them."""
    found: set[tuple[int, ...]] = set()  # operator, fragment and lattice translation
    for place in shown.positions:
        copies, distances = _around(place, images, cell)
        for operator, atom, shift in np.argwhere(distances < _CONTACT).tolist():
            step = np.rint(copies[operator, atom, shift] - images[operator, atom]).astype(int)
            found.add((operator, int(molecules[atom]), *step.tolist()))
    sources, places = [shown.sources], [shown.positions]
    for operator, molecule, *step in sorted(found):
        own = np.flatnonzero(molecules == molecule)
        sources.append(own)
        places.append(images[operator, own] + step)
    return _distinct(CopiedAtoms(np.concatenate(sources), np.concatenate(places)), cell)


def _images(positions: np.ndarray, operators: SpaceGroupOperators) -> np.ndarray:
    """Returns positions (n, 3) moved by all operators, (m, n, 3)."""
    return np.einsum("mij,nj->mni", operators.rotations, positions) + operators.translations[:, None]


def _around(place: np.ndarray, images: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the copies of all atoms in the cells about a place (3,), (m, n, 27, 3), and their distances in A."""
    copies = (images - np.rint(images - place))[:, :, None] + _SHIFTS
    return copies, np.linalg.norm((copies - place) @ orthogonalization_matrix(cell).T, axis=-1)


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
