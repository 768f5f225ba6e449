"""Presses a grown crystal together until it is as dense as real crystals: `compress`.

The unit cell shrinks in small steps. After each step, atoms that are too near are moved apart, and distances of up to
two bonds, and across rings, are restored (position-based dynamics: Mueller et al., J. Vis. Commun. Image Represent. 18
(2007) 109). The densest cell without clashes is kept.
"""

from typing import NamedTuple

import numpy as np

from phasenet.crystal import lattice
from phasenet.crystal.lattice import SpaceGroupOperators
from phasenet.crystal.made.chemistry import contacts
from phasenet.crystal.made.growth import GrowingCrystal

_KEPT_DISTANCE = 3.05  # Angstrom; shorter distances within a molecule stay
_SAME_ATOM = 0.3  # Angstrom; an atom on a special position is its own image
_STEPS, _ROUNDS_PER_STEP, _LAST_ROUNDS = 14, 4, 24
_BOND_SWEEPS = 3
# Fractions of an overlap and of a stretch that one move removes; an atom in many bonds moves less for each of them.
_PUSH, _PULL, _PULL_POWER = 0.35, 0.75, 0.75
_SKIN = 0.9  # Angstrom, how far atoms may come nearer before the list of neighbours is made anew
# Largest overlap and largest change of a kept distance that are accepted, in Angstrom.
MAX_OVERLAP, MAX_STRAIN = 0.2, 0.06


class PackedAtoms(NamedTuple):
    """Atoms of the asymmetric unit in their unit cell.

    Attributes:
      cell: (6,) Angstrom and degrees.
      elements: n symbols; "Hp" is hydrogen on nitrogen or oxygen.
      positions: (n, 3) Angstrom.
      overlap: by how much two atoms that are not bound are too near to each other, the largest of all pairs, Angstrom.
      strain: the largest change of a distance that was to be kept within a molecule, Angstrom.
    """

    cell: np.ndarray
    elements: list[str]
    positions: np.ndarray
    overlap: float
    strain: float

    @property
    def volume(self) -> float:
        """Volume of the unit cell, A^3."""
        return float(np.linalg.det(lattice.orthogonalization_matrix(self.cell)))


class _Pairs(NamedTuple):
    """Directed pairs of an atom and an image of an atom: numbers (p,), (p,), of the operator (p,), cells (p, 3)."""

    atoms: np.ndarray
    others: np.ndarray
    operators: np.ndarray
    translations: np.ndarray

    def select(self, chosen: np.ndarray) -> "_Pairs":
        """Returns some of the pairs."""
        return _Pairs(*(column[chosen] for column in self))


def compress(crystal: GrowingCrystal, cell: np.ndarray, volume: float) -> PackedAtoms:
    """Returns the atoms in a cell of the volume given, A^3, or in the densest cell that was reached without clashes.

    Args:
      crystal: the atoms.
      cell: (6,) of the crystal, Angstrom and degrees.
      volume: wanted volume of the unit cell, at most that of `cell`, A^3.
    """
    alive = np.flatnonzero(crystal.alive)
    elements = [crystal.elements[atom] for atom in alive]
    molecules = np.array(crystal.molecules)[alive]
    positions = np.array(crystal.positions)[alive]
    model = _Model(crystal, elements, molecules, positions, cell)
    start = float(np.linalg.det(lattice.orthogonalization_matrix(cell)))
    scales = np.cbrt(np.minimum(1.0, volume / start)) ** (np.arange(1, _STEPS + 1) / _STEPS)
    best: PackedAtoms | None = None
    current = np.asarray(cell, float)
    for scale in [1.0, *scales]:
        new = np.concatenate([cell[:3] * scale, cell[3:]])
        positions = model.carry(positions, current, new)
        current = new
        trial = model.relax(positions, current, _ROUNDS_PER_STEP)
        if trial.overlap > MAX_OVERLAP or trial.strain > MAX_STRAIN:
            trial = model.relax(trial.positions, current, _LAST_ROUNDS)
        positions = trial.positions
        if best is None or (trial.overlap <= MAX_OVERLAP and trial.strain <= MAX_STRAIN):
            best = trial
        else:
            break
    assert best is not None
    return best


class _Model:
    """The distances to keep, and the shortest distances that all other pairs may have."""

    def __init__(self, crystal: GrowingCrystal, elements: list[str], molecules: np.ndarray, positions: np.ndarray,
                 cell: np.ndarray) -> None:
        self.elements, self.molecules = elements, molecules
        self.operators: SpaceGroupOperators = crystal.operators
        self.site_symmetries = crystal.site_symmetries
        self.between = crystal.limits_between(elements, elements)
        self.within = contacts.limits_within_molecule(elements, elements)
        self.reach = np.maximum(self.between, _KEPT_DISTANCE) + _SKIN
        matrix = lattice.orthogonalization_matrix(cell)
        pairs = self._pairs_near(positions, matrix)
        own = self._is_own(pairs)
        distance = np.linalg.norm(self._differences(pairs, positions, matrix), axis=1)
        itself = own & (pairs.atoms == pairs.others) & (distance < _SAME_ATOM)
        kept = own & (distance < _KEPT_DISTANCE) & ~itself
        self.itself, self.kept, self.lengths = pairs.select(itself), pairs.select(kept), distance[kept]
        self.kept_keys = self._keys(self.kept)
        self.counts = np.maximum(np.bincount(self.kept.atoms, minlength=len(elements)), 1)[:, None]

    def carry(self, positions: np.ndarray, cell: np.ndarray, new: np.ndarray) -> np.ndarray:
        """Returns positions (n, 3) after a change of cell that moves molecules without deforming them."""
        before, after = lattice.orthogonalization_matrix(cell), lattice.orthogonalization_matrix(new)
        moved = positions.copy()
        for molecule in np.unique(self.molecules):
            members = self.molecules == molecule
            centre = positions[members].mean(0)
            symmetry = self.site_symmetries[molecule]
            if len(symmetry.operators) > 1:
                # The centre of the whole molecule, its images included.
                fractional = np.linalg.inv(before) @ centre
                centre = before @ np.mean([self.operators.rotations[k] @ fractional + self.operators.translations[k] + t
                                           for k, t in zip(*symmetry, strict=True)], 0)
            moved[members] += after @ np.linalg.inv(before) @ centre - centre
        return moved

    def relax(self, positions: np.ndarray, cell: np.ndarray, rounds: int) -> PackedAtoms:
        """Returns the atoms after some rounds of moves, with the overlap and the strain that remain."""
        matrix = lattice.orthogonalization_matrix(cell)
        count = len(positions)
        pairs = self._contacts(positions, matrix)
        limits = self._limits(pairs)
        listed = positions
        for _ in range(rounds):
            if np.abs(positions - listed).max() > _SKIN / 2:
                pairs, listed = self._contacts(positions, matrix), positions
                limits = self._limits(pairs)
            difference = self._differences(pairs, positions, matrix)
            distance = np.linalg.norm(difference, axis=1)
            lack = np.maximum(limits - distance, 0.0)
            pushed = lack > 0
            move = difference[pushed] * (lack[pushed] / np.maximum(distance[pushed], 0.1))[:, None]
            positions = positions - _PUSH * _sum_rows(pairs.atoms[pushed], move, count)
            for _ in range(_BOND_SWEEPS):
                difference = self._differences(self.kept, positions, matrix)
                distance = np.linalg.norm(difference, axis=1)
                stretch = (distance - self.lengths) / np.maximum(distance, 0.1)
                pull = _sum_rows(self.kept.atoms, difference * stretch[:, None], count)
                positions = positions + _PULL * pull / self.counts**_PULL_POWER
            positions = self._on_special_positions(positions, matrix)
        overlap, strain = self._measure(positions, matrix)
        return PackedAtoms(np.asarray(cell, float), self.elements, positions, overlap, strain)

    def _measure(self, positions: np.ndarray, matrix: np.ndarray) -> tuple[float, float]:
        """Returns the largest overlap and the largest strain."""
        pairs = self._contacts(positions, matrix)
        distance = np.linalg.norm(self._differences(pairs, positions, matrix), axis=1)
        overlap = float((self._limits(pairs) - distance).max(initial=0.0))
        distance = np.linalg.norm(self._differences(self.kept, positions, matrix), axis=1)
        return overlap, float(np.abs(distance - self.lengths).max(initial=0.0))

    def _contacts(self, positions: np.ndarray, matrix: np.ndarray) -> _Pairs:
        """Returns the pairs that are near and whose distance is not kept."""
        pairs = self._pairs_near(positions, matrix)
        itself = (pairs.atoms == pairs.others) & self._is_own(pairs)
        return pairs.select(~np.isin(self._keys(pairs), self.kept_keys) & ~itself)

    def _limits(self, pairs: _Pairs) -> np.ndarray:
        """Returns the shortest distance (p,) that each pair may have, Angstrom."""
        return np.where(self._is_own(pairs), self.within[pairs.atoms, pairs.others],
                        self.between[pairs.atoms, pairs.others])

    def _is_own(self, pairs: _Pairs) -> np.ndarray:
        """Returns (p,) whether the two of a pair are of one molecule."""
        own = np.zeros(len(pairs.atoms), bool)
        for molecule, symmetry in enumerate(self.site_symmetries):
            here = np.flatnonzero((self.molecules[pairs.atoms] == molecule)
                                  & (self.molecules[pairs.others] == molecule))
            own[here] = symmetry.contains(pairs.operators[here], pairs.translations[here])
        return own

    def _keys(self, pairs: _Pairs) -> np.ndarray:
        """Returns one integer for each pair, (p,)."""
        key = pairs.atoms * len(self.elements) + pairs.others
        key = key * len(self.operators.rotations) + pairs.operators
        for axis in range(3):
            key = key * 64 + pairs.translations[:, axis] + 32
        return key

    def _images(self, fractional: np.ndarray) -> np.ndarray:
        """Returns the images (operators, n, 3) of fractional positions (n, 3) by all operators."""
        return np.einsum("mij,nj->mni", self.operators.rotations, fractional) + self.operators.translations[:, None]

    def _differences(self, pairs: _Pairs, positions: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """Returns the vectors (p, 3), Angstrom, from the atoms to the images."""
        fractional = positions @ np.linalg.inv(matrix).T
        images = self._images(fractional)
        return (images[pairs.operators, pairs.others] + pairs.translations - fractional[pairs.atoms]) @ matrix.T

    def _pairs_near(self, positions: np.ndarray, matrix: np.ndarray) -> _Pairs:
        """Returns all pairs nearer than `reach`, an atom and itself left out."""
        inverse = np.linalg.inv(matrix)
        fractional = positions @ inverse.T
        images = self._images(fractional)
        cells = np.ceil(self.reach.max() * np.linalg.norm(inverse, axis=1) - 0.5).astype(int).clip(0)
        shifts = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in cells], indexing="ij"), -1).reshape(-1, 3)
        difference = images[:, None] - fractional[None, :, None]  # operator, atom, other
        nearest = -np.round(difference)
        base = (difference + nearest) @ matrix.T
        found = []
        for shift in shifts:
            moved = base + matrix @ shift
            close = np.nonzero(np.einsum("mijk,mijk->mij", moved, moved) < self.reach**2)
            found.append((close[1], close[2], close[0], nearest[close].astype(int) + shift))
        atoms, others, operators, translations = (np.concatenate(column) for column in zip(*found, strict=True))
        keep = (atoms != others) | (operators != 0) | translations.any(1)
        return _Pairs(atoms, others, operators, translations).select(keep)

    def _on_special_positions(self, positions: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """Returns positions (n, 3) with atoms on special positions put back there."""
        if not len(self.itself.atoms):
            return positions
        difference = self._differences(self.itself, positions, matrix)
        share = np.bincount(self.itself.atoms, minlength=len(positions)) + 1.0
        return positions + _sum_rows(self.itself.atoms, difference, len(positions)) / share[:, None]


def _sum_rows(rows: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Returns sums (count, 3) of values (p, 3) that belong to rows (p,)."""
    return np.stack([np.bincount(rows, values[:, axis], minlength=count) for axis in range(3)], 1)
