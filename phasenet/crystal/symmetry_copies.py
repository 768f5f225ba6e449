"""Makes symmetry copies of atoms: all atoms of a unit cell, and for pictures the surroundings of the atoms shown."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from phasenet.crystal.connectivity import BondList, find_bonds, find_neighbours, longest_bonds
from phasenet.crystal.lattice import SpaceGroupOperators, orthogonalization_matrix

_SAME_SITE = 0.6  # Angstrom
_SAME_COPY = 0.4  # Angstrom
_SAME_PLACE = 0.05  # Angstrom
_MAX_COMPLETION = 12  # times as many atoms: what grows beyond is a chain or a network
_CONTACT = 3.6  # Angstrom between molecules that are neighbours
_FACE = 1e-4  # of an edge; an atom so near to a face lies on it
_STEPS = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)


class UniqueAtoms(NamedTuple):
    """n symmetry-unique atoms, assembled, and their surroundings.

    Attributes:
      positions: (n, 3) fractional.
      elements: n symbols.
      molecules: (n,) int, the connected fragment of each atom.
      cell: (6,) Angstrom and degrees.
      operators: all of the space group.
      bonds: those that make molecules.
      contacts: copies nearer than 3.6 A.
    """

    positions: np.ndarray
    elements: tuple[str, ...]
    molecules: np.ndarray
    cell: np.ndarray
    operators: SpaceGroupOperators
    bonds: BondList
    contacts: BondList


class CopiedAtoms(NamedTuple):
    """A atoms of a picture, each at turn @ position + move of a symmetry-unique atom.

    Attributes:
      sources: (A,) int, the unique atom that an atom is a copy of.
      turns: (A, 3, 3) on fractional coordinates.
      moves: (A, 3) fractional.
      positions: (A, 3) fractional.
    """

    sources: np.ndarray
    turns: np.ndarray
    moves: np.ndarray
    positions: np.ndarray


def expand_to_cell(positions: np.ndarray, operators: SpaceGroupOperators,
                   cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns all atoms of a unit cell; copies of one atom within 0.4 A of each other are one.

    Args:
      positions: (n, 3) fractional.
      operators: all of the space group.
      cell: (6,) Angstrom and degrees.

    Returns:
      The m atoms of the cell, (m, 3) fractional in [0, 1), and the row of `positions` that each is a copy of, (m,) int.
    """
    matrix = orthogonalization_matrix(cell)
    images = np.einsum("mij,nj->nmi", operators.rotations, positions) + operators.translations
    kept = np.zeros(images.shape[:2], bool)
    for number in range(images.shape[1]):
        offset = images[:, number, None] - images[:, :number]
        near = np.linalg.norm((offset - np.rint(offset)) @ matrix.T, axis=-1) < _SAME_COPY
        kept[:, number] = ~(near & kept[:, :number]).any(1)
    sources, numbers = np.nonzero(kept)
    return images[sources, numbers] % 1, sources


def prepare_unique(positions: np.ndarray, molecules: np.ndarray, elements: Sequence[str], cell: np.ndarray,
                   operators: SpaceGroupOperators) -> UniqueAtoms:
    """Returns unique atoms with their bonds and contacts.

    Args:
      positions: (n, 3) fractional, assembled.
      molecules: (n,) int, the connected fragment of each atom.
      elements: n symbols.
      cell: (6,) Angstrom and degrees.
      operators: all of the space group.
    """
    bonds = find_bonds(positions, elements, cell, operators, with_cations=False)
    contacts = find_neighbours(positions, np.full((len(elements),) * 2, _CONTACT), cell, operators)
    return UniqueAtoms(positions, tuple(elements), molecules, cell, operators, bonds, contacts)


def show_unique(unique: UniqueAtoms) -> CopiedAtoms:
    """Returns the picture of the n unique atoms where they are."""
    n = len(unique.elements)
    return CopiedAtoms(np.arange(n), np.tile(np.eye(3), (n, 1, 1)), np.zeros((n, 3)), unique.positions)


def fill_cell(unique: UniqueAtoms) -> CopiedAtoms:
    """Returns every molecule whose centre lies in the unit cell, whole; atoms on special positions once.

    A molecule that symmetry completes is completed first. For chains and networks, which have no end, and for single
    atoms, all atoms in the cell are shown, with every copy on its faces, edges and corners.
    """
    copies = []
    start, operators = show_unique(unique), unique.operators
    for number in range(unique.molecules.max(initial=-1) + 1):
        piece = _take(start, np.flatnonzero(unique.molecules == number))
        whole = _complete(piece, unique)
        is_molecule = whole is not None and len(piece.sources) > 1
        piece = piece if whole is None else whole
        for rotation, translation in zip(operators.rotations, operators.translations, strict=True):
            moved = CopiedAtoms(piece.sources, rotation @ piece.turns, piece.moves @ rotation.T + translation,
                                piece.positions @ rotation.T + translation)
            if is_molecule:
                copies.append(_shift(moved, -np.floor(moved.positions.mean(0) + _FACE)))
                continue
            moved = _shift(moved, -np.floor(moved.positions + _FACE))
            for step in _STEPS:
                inside = (moved.positions + step < 1 + _FACE).all(1)
                copies.append(_shift(_take(moved, inside), step))
    return _distinct(copies, unique)


def site_multiplicities(positions: np.ndarray, cell: np.ndarray, operators: SpaceGroupOperators) -> np.ndarray:
    """Returns how many copies of each atom (n,) the cell has: fewer than operators on a special position.

    Args:
      positions: (n, 3) fractional.
      cell: (6,) Angstrom and degrees.
      operators: all of the space group.
    """
    images = np.einsum("mij,nj->mni", operators.rotations, positions) + operators.translations[:, None]
    offset = images - positions
    distances = np.linalg.norm((offset - np.rint(offset)) @ orthogonalization_matrix(cell).T, axis=-1)
    return len(operators.rotations) // (distances < _SAME_PLACE).sum(0)


def grow(shown: CopiedAtoms, unique: UniqueAtoms) -> CopiedAtoms:
    """Returns the atoms shown and those of the next step of growth.

    Molecules that symmetry completes are completed; a chain or a network gets the atoms bonded to those shown; where
    no bond is open, the neighbouring molecules are added.

    Args:
      shown: atoms of the picture.
      unique: the atoms that they are copies of.
    """
    grown = _complete(shown, unique)
    if grown is None:
        return _add_bonded(shown, unique)
    if len(grown.sources) > len(shown.sources):
        return grown
    more = _add_touching(shown, unique)
    complete = _complete(more, unique)
    return more if complete is None else complete


def bonded_pairs(shown: CopiedAtoms, unique: UniqueAtoms) -> np.ndarray:
    """Returns the pairs (B, 2) int of atoms of a picture that are bonded, cations and their neighbours among them.

    Args:
      shown: atoms of the picture.
      unique: the atoms that they are copies of.
    """
    places = shown.positions @ orthogonalization_matrix(unique.cell).T
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    longest = longest_bonds(unique.elements, unique.elements)[np.ix_(shown.sources, shown.sources)]
    return np.argwhere(np.triu((distances > _SAME_SITE) & (distances < longest)))


def _complete(shown: CopiedAtoms, unique: UniqueAtoms) -> CopiedAtoms | None:
    """Returns the atoms shown with all that is bonded to them; None where that has no end."""
    grown = shown
    while len(grown.sources) <= _MAX_COMPLETION * len(shown.sources):
        more = _add_bonded(grown, unique)
        if len(more.sources) == len(grown.sources):
            return grown
        grown = more
    return None


def _add_bonded(shown: CopiedAtoms, unique: UniqueAtoms) -> CopiedAtoms:
    """Returns the atoms shown with those that are bonded to one of them."""
    return _distinct([shown, _surroundings(shown, unique, unique.bonds)], unique)


def _add_touching(shown: CopiedAtoms, unique: UniqueAtoms) -> CopiedAtoms:
    """Returns the atoms shown with the fragments of which an atom touches one of them."""
    near = _surroundings(shown, unique, unique.contacts)
    molecules = unique.molecules[near.sources]
    keys = np.concatenate([molecules[:, None], near.turns.reshape(-1, 9), near.moves * 1000], 1)
    _, first = np.unique(np.rint(keys).astype(int), axis=0, return_index=True)
    added = [shown]
    for copy in np.sort(first):
        own = np.flatnonzero(unique.molecules == molecules[copy])
        turn, move = near.turns[copy], near.moves[copy]
        added.append(CopiedAtoms(own, np.tile(turn, (len(own), 1, 1)), np.tile(move, (len(own), 1)),
                                 unique.positions[own] @ turn.T + move))
    return _distinct(added, unique)


def _surroundings(shown: CopiedAtoms, unique: UniqueAtoms, neighbours: BondList) -> CopiedAtoms:
    """Returns the neighbours of all atoms shown, as often as they are neighbours."""
    copies = []
    for source, turn, move in zip(shown.sources, shown.turns, shown.moves, strict=True):
        own = neighbours.first == source
        second, operators = neighbours.second[own], neighbours.operators[own]
        turns = turn @ unique.operators.rotations[operators]
        moves = (unique.operators.translations[operators] + neighbours.shifts[own]) @ turn.T + move
        copies.append(CopiedAtoms(second, turns, moves,
                                  np.einsum("aij,aj->ai", turns, unique.positions[second]) + moves))
    return _joined(copies)


def _take(atoms: CopiedAtoms, places: np.ndarray) -> CopiedAtoms:
    """Returns some of the atoms, by number or by a mask."""
    return CopiedAtoms(*(column[places] for column in atoms))


def _shift(atoms: CopiedAtoms, step: np.ndarray) -> CopiedAtoms:
    """Returns the atoms after lattice translations, (3,) or (A, 3)."""
    return atoms._replace(moves=atoms.moves + step, positions=atoms.positions + step)


def _joined(copies: Sequence[CopiedAtoms]) -> CopiedAtoms:
    """Returns the atoms of all parts."""
    return CopiedAtoms(*(np.concatenate(columns) for columns in zip(*copies, strict=True)))


def _distinct(copies: Sequence[CopiedAtoms], unique: UniqueAtoms) -> CopiedAtoms:
    """Returns the first of the atoms at each place; copies of one unique atom within 0.6 A are one atom."""
    atoms = _joined(copies)
    _, first = np.unique(np.column_stack([atoms.sources, np.rint(atoms.positions * 1e4)]), axis=0, return_index=True)
    atoms = _take(atoms, np.sort(first))
    places = atoms.positions @ orthogonalization_matrix(unique.cell).T
    kept: list[int] = []
    by_source: dict[int, list[int]] = {}
    for number, source in enumerate(atoms.sources.tolist()):
        same = by_source.setdefault(source, [])
        if not same or np.linalg.norm(places[same] - places[number], axis=1).min() > _SAME_SITE:
            same.append(number)
            kept.append(number)
    return _take(atoms, np.array(kept, int))
