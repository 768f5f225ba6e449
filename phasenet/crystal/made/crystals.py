"""Made crystals: atoms of a unit cell, as those of measured crystals are, whose truth is known.

1. A volume, a space group and a unit cell (`unit_cells`).
2. Molecules grown in it (`packing`, `growth`, of `fragments`), and pressed together (`compression`).
3. Displacements: a mean B of the crystal, larger at the ends of molecules, and their spread.

No structure of nature enters: only bond lengths, contact distances and frequencies of space groups.
"""

from typing import NamedTuple

import numpy as np

from phasenet.crystal import lattice
from phasenet.crystal.lattice import SpaceGroupOperators
from phasenet.crystal.made import compression, contacts, packing, unit_cells
from phasenet.crystal.made.compression import PackedAtoms
from phasenet.errors import InputError

MIN_VOLUME, MAX_VOLUME = 100.0, 4000.0
# A^3 for each non-hydrogen atom: where a crystal is grown, and where the pressing may end.
_GROWN_AT, _VOLUME_PER_ATOM = 22.5, (15.0, 19.0)
_LOOSEST = 24.0
_VOLUME_POWER = 1.5  # half of the volumes lie in the lower third of the range
_MIN_ATOMS = 3
_MAX_TRIES = 300
_SAME_POSITION_ANGSTROM = 0.3


class MadeCrystal(NamedTuple):
    """A crystal of n independent atoms and h independent hydrogen atoms.

    Attributes:
      cell: (6,) Angstrom and degrees.
      operators: of the space group.
      positions: (n, 3) fractional coordinates in [0, 1).
      elements: n symbols.
      b_iso: (n,) Angstrom^2.
      hydrogens: (h, 3) fractional coordinates in [0, 1); hydrogen scatters, but is not part of the answer.
      hydrogen_b_iso: (h,) Angstrom^2.
      composition: atoms of each element in the unit cell, hydrogen among them.
      kind: "organic".
    """

    cell: np.ndarray
    operators: SpaceGroupOperators
    positions: np.ndarray
    elements: tuple[str, ...]
    b_iso: np.ndarray
    hydrogens: np.ndarray
    hydrogen_b_iso: np.ndarray
    composition: dict[str, float]
    kind: str


def draw_crystal(rng: np.random.Generator, volumes: tuple[float, float] = (MIN_VOLUME, MAX_VOLUME),
                 space_groups: tuple[str, ...] = ()) -> MadeCrystal:
    """Returns a crystal of organic molecules.

    Args:
      rng: source of random numbers.
      volumes: smallest and largest volume of the unit cell that is drawn, A^3; cells end up to a third smaller.
      space_groups: symbols to choose from; by default all of `unit_cells.FREQUENCIES`.

    Raises:
      InputError: no crystal was found, because the volumes are too small for the groups.
    """
    for _ in range(_MAX_TRIES):
        volume = volumes[0] + (volumes[1] - volumes[0]) * rng.random() ** _VOLUME_POWER
        operators = unit_cells.draw_space_group(rng, volume, space_groups)
        volume_per_atom = rng.uniform(*_VOLUME_PER_ATOM)
        num_atoms = round(volume / (len(operators.rotations) * volume_per_atom))
        if num_atoms < _MIN_ATOMS:
            continue
        grown = num_atoms * len(operators.rotations) * _GROWN_AT
        cell = unit_cells.draw_cell(rng, grown, operators)
        crystal = packing.fill_cell(rng, cell, operators, num_atoms, _draw_molecule_sizes(rng, num_atoms))
        if crystal is not None:
            wanted = volume_per_atom * crystal.count_heavy() * len(operators.rotations)
            packed = compression.compress(crystal, cell, wanted)
            volume_per_atom = packed.volume / (crystal.count_heavy() * len(operators.rotations))
            if packed.overlap <= compression.MAX_OVERLAP and volume_per_atom < _LOOSEST:
                return finish(rng, packed, operators)
    raise InputError(f"no molecules fit cells of {volumes[0]:g} to {volumes[1]:g} A^3; raise the volume")


def finish(rng: np.random.Generator, packed: PackedAtoms, operators: SpaceGroupOperators) -> MadeCrystal:
    """Returns a crystal of packed atoms with displacements drawn for each."""
    matrix = lattice.orthogonalization_matrix(packed.cell)
    fractional = packed.positions @ np.linalg.inv(matrix).T % 1
    heavy = np.array([not contacts.is_hydrogen(element) for element in packed.elements])
    elements = tuple(element for element in packed.elements if not contacts.is_hydrogen(element))
    b_iso = _draw_b(rng, packed.positions[heavy])
    carriers = np.linalg.norm(packed.positions[~heavy][:, None] - packed.positions[heavy], axis=-1).argmin(1) \
        if (~heavy).any() else np.zeros(0, int)
    crystal = MadeCrystal(packed.cell, operators, fractional[heavy], elements, b_iso, fractional[~heavy],
                          1.3 * b_iso[carriers], {}, "organic")
    return crystal._replace(composition=count_atoms(crystal))


def count_atoms(crystal: MadeCrystal) -> dict[str, float]:
    """Returns the atoms of each element in the unit cell: carbon first, hydrogen last."""
    counts = {element: 0.0 for element in sorted(set(crystal.elements), key=lambda symbol: (symbol != "C", symbol))}
    for place in expand(crystal.positions, crystal.operators, crystal.cell)[1]:
        counts[crystal.elements[place]] += 1
    if len(crystal.hydrogens):
        counts["H"] = float(len(expand(crystal.hydrogens, crystal.operators, crystal.cell)[1]))
    return counts


def expand(positions: np.ndarray, operators: SpaceGroupOperators, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns all atoms of a unit cell; images that fall together are one atom.

    Args:
      positions: (n, 3) fractional coordinates.
      operators: of the space group.
      cell: (6,) Angstrom and degrees.

    Returns:
      Fractional coordinates (m, 3), and the independent atom of each, (m,).
    """
    matrix = lattice.orthogonalization_matrix(cell)
    images = np.einsum("mij,nj->nmi", operators.rotations, positions) + operators.translations
    difference = images[:, :, None] - images[:, None]
    distance = np.linalg.norm((difference - np.round(difference)) @ matrix.T, axis=-1)
    # The first of the images that fall together stays.
    first = (distance < _SAME_POSITION_ANGSTROM).argmax(2) == np.arange(images.shape[1])
    atoms, operator = np.nonzero(first)
    return images[atoms, operator] % 1, atoms


def _draw_molecule_sizes(rng: np.random.Generator, num_atoms: int) -> list[int]:
    """Returns the atoms of each molecule that is wanted: one in most crystals, at times two, and some solvent."""
    solvent = int(rng.integers(1, 6)) if num_atoms > 12 and rng.random() < 0.25 else 0
    main = num_atoms - solvent
    copies = rng.choice([1, 2, 3], p=[0.72, 0.22, 0.06]) if main > 20 else 1
    if main > 60:
        copies = max(copies, -(-main // 60))
    sizes = [main // copies] * copies
    return [*sizes, solvent] if solvent else sizes


def _draw_b(rng: np.random.Generator, positions: np.ndarray) -> np.ndarray:
    """Returns B (n,), Angstrom^2, of atoms (n, 3): larger far from the centre, with a spread of its own."""
    mean = rng.uniform(1.0, 5.0)
    distance = np.linalg.norm(positions - positions.mean(0), axis=1)
    relative = (distance / max(distance.max(), 1e-6)) ** 2
    growth, spread = rng.uniform(0.0, 0.7), rng.uniform(0.05, 0.25)
    drawn = mean * (1 + growth * (relative - relative.mean())) * np.exp(spread * rng.normal(size=len(positions)))
    return np.clip(drawn, 0.6, 12.0)
