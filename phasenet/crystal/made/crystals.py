"""Draws made crystals, which resemble measured ones and whose atoms are known: `draw_crystal`.

1. Draw a volume, a space group and a unit cell (`unit_cells`).
2. Let molecules grow in the cell (`packing`, `growth`, `complexes`), or pack ions (`minerals`), and press them together
   (`compression`).
3. Draw displacements: a mean B of the crystal, larger B at the ends of molecules, and a spread.

No measured structure enters, only bond lengths, contact distances and frequencies of space groups.
"""

from typing import NamedTuple

import gemmi
import numpy as np

from phasenet.crystal import lattice
from phasenet.crystal.lattice import SpaceGroupOperators
from phasenet.crystal.made import compression, minerals, packing, unit_cells
from phasenet.crystal.made.chemistry import contacts, fragments
from phasenet.crystal.made.chemistry.fragments import Fragment
from phasenet.crystal.made.compression import PackedAtoms
from phasenet.crystal.made.growth import GrowingCrystal
from phasenet.crystal.made.packing import Contents
from phasenet.crystal.symmetry_copies import expand_to_cell
from phasenet.errors import InputError

MIN_VOLUME, MAX_VOLUME = 100.0, 4000.0
# A^3 for each non-hydrogen atom: of a crystal as it is grown, and the range that is wanted after the compression.
_GROWN_AT, _VOLUME_PER_ATOM = 22.5, (15.0, 19.0)
_LOOSEST = 1.35  # largest accepted volume over the wanted one
_VOLUME_POWER = 1.5  # half of the volumes lie in the lower third of the range
_MIN_ATOMS = 3
_LARGEST_MOLECULE = 60
# Crystals with solvent, with counter-ions, and with a molecule on a special position.
_SOLVENT_SHARE, _ION_SHARE, _ION_SHARE_OF_COMPLEXES = 0.2, 0.1, 0.3
_SPECIAL_SHARE, _SPECIAL_SHARE_OF_COMPLEXES = 0.08, 0.35
_MIN_ATOMS_WITH_GUESTS = 8
# Volume of a cell of ions over that of a cell of molecules; volume for each operator that ions need, A^3.
_SHARE_OF_IONS, _ROOM_OF_AN_ION = 0.4, 8.0
_LAST_LIGHT_ELEMENT = 18  # atomic number
_MAX_TRIES = 300
# What is made, and how often.
KINDS = {"organic": 0.7, "complex": 0.22, "mineral": 0.08}


class MadeCrystal(NamedTuple):
    """A crystal of n independent atoms and h independent hydrogen atoms.

    Attributes:
      cell: (6,) Angstrom and degrees.
      operators: of the space group.
      positions: (n, 3) fractional coordinates in [0, 1).
      elements: n symbols.
      b_iso: (n,) Angstrom^2.
      hydrogens: (h, 3) fractional coordinates in [0, 1); hydrogen scatters, but is not among the atoms to be found.
      hydrogen_b_iso: (h,) Angstrom^2.
      composition: atoms of each element in the unit cell, hydrogen among them.
      kind: one of `KINDS`.
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
                 space_groups: tuple[str, ...] = (), kind: str = "") -> MadeCrystal:
    """Returns a crystal of organic molecules, of molecules about metal atoms, or of ions.

    Args:
      rng: source of random numbers.
      volumes: smallest and largest volume of the unit cell that is drawn, A^3; cells end up to a third smaller, and
        those of ions are small.
      space_groups: symbols to choose from; by default all that are usual.
      kind: one of `KINDS`; by default one is drawn.

    Raises:
      InputError: the kind is not known, or no crystal was found, because the volumes are too small for the groups.
    """
    if kind and kind not in KINDS:
        raise InputError(f"kind {kind!r} of a made crystal is not known: give one of {', '.join(KINDS)}")
    kind = kind or str(rng.choice(list(KINDS), p=list(KINDS.values())))
    for _ in range(_MAX_TRIES):
        volume = volumes[0] + (volumes[1] - volumes[0]) * rng.random() ** _VOLUME_POWER
        drawn = _draw_ions(rng, volume, space_groups) if kind == "mineral" else _draw_molecules(
            rng, volume, space_groups, kind)
        if drawn is not None:
            return _with_displacements(rng, *drawn, kind)
    raise InputError(f"no {kind} crystal fits a unit cell of {volumes[0]:g} to {volumes[1]:g} A^3 in "
                     f"{' or '.join(space_groups) or 'any usual space group'}: raise the volume")


def _draw_molecules(rng: np.random.Generator, volume: float, space_groups: tuple[str, ...],
                    kind: str) -> tuple[PackedAtoms, SpaceGroupOperators] | None:
    """Returns packed molecules and their space group; None if they did not fit."""
    operators = unit_cells.draw_space_group(rng, volume, space_groups)
    volume_per_atom = rng.uniform(*_VOLUME_PER_ATOM)
    num_atoms = round(volume / (len(operators.rotations) * volume_per_atom))
    if num_atoms < _MIN_ATOMS:
        return None
    contents = _draw_contents(rng, num_atoms, kind == "complex")
    cell = unit_cells.draw_cell(rng, num_atoms * len(operators.rotations) * _GROWN_AT, operators)
    crystal = packing.fill_cell(rng, cell, operators, contents)
    if crystal is None:
        return None
    return _press(crystal, cell, volume_per_atom)


def _draw_ions(rng: np.random.Generator, volume: float,
               space_groups: tuple[str, ...]) -> tuple[PackedAtoms, SpaceGroupOperators] | None:
    """Returns packed ions and their space group; None if they did not fit."""
    volume = volume * _SHARE_OF_IONS
    operators = unit_cells.draw_space_group(rng, volume, space_groups, minerals.FREQUENCIES, _ROOM_OF_AN_ION)
    ions = minerals.draw_ions(rng)
    num_anions = volume / ions.volume_per_anion
    cell = unit_cells.draw_cell(rng, minerals.grown_volume(ions, num_anions), operators)
    crystal = minerals.pack_ions(rng, cell, operators, ions, num_anions)
    if crystal is None:
        return None
    return _press(crystal, cell, ions.volume_per_anion * ions.ratio / (1 + ions.ratio))


def _press(crystal: GrowingCrystal, cell: np.ndarray,
           volume_per_atom: float) -> tuple[PackedAtoms, SpaceGroupOperators] | None:
    """Returns the atoms of a grown crystal pressed together, and its operators; None if they clash or stay too loose.

    Args:
      crystal: as it was grown.
      cell: (6,) in which it was grown, Angstrom and degrees.
      volume_per_atom: wanted volume, A^3 for each non-hydrogen atom.
    """
    heavy = np.array([x for x, element in zip(crystal.positions, crystal.elements, strict=True)
                      if not contacts.is_hydrogen(element)])
    num_atoms = len(expand_to_cell(heavy @ crystal.fractionalization.T, crystal.operators, cell)[1])
    packed = compression.compress(crystal, cell, volume_per_atom * num_atoms)
    if packed.volume / num_atoms > _LOOSEST * volume_per_atom:
        return None
    fits = packed.overlap <= compression.MAX_OVERLAP and packed.strain <= compression.MAX_STRAIN
    return (packed, crystal.operators) if fits else None


def _with_displacements(rng: np.random.Generator, packed: PackedAtoms, operators: SpaceGroupOperators,
                        kind: str) -> MadeCrystal:
    """Returns a crystal of packed atoms with displacements drawn for each."""
    matrix = lattice.orthogonalization_matrix(packed.cell)
    fractional = packed.positions @ np.linalg.inv(matrix).T % 1
    heavy = np.array([not contacts.is_hydrogen(element) for element in packed.elements])
    elements = tuple(element for element in packed.elements if not contacts.is_hydrogen(element))
    b_iso = _draw_b(rng, packed.positions[heavy], elements)
    carriers = np.linalg.norm(packed.positions[~heavy][:, None] - packed.positions[heavy], axis=-1).argmin(1) \
        if (~heavy).any() else np.zeros(0, int)
    crystal = MadeCrystal(packed.cell, operators, fractional[heavy], elements, b_iso, fractional[~heavy],
                          1.3 * b_iso[carriers], {}, kind)
    return crystal._replace(composition=count_atoms(crystal))


def count_atoms(crystal: MadeCrystal) -> dict[str, float]:
    """Returns the atoms of each element in the unit cell: carbon first, hydrogen last."""
    counts = {element: 0.0 for element in sorted(set(crystal.elements), key=lambda symbol: (symbol != "C", symbol))}
    for place in expand_to_cell(crystal.positions, crystal.operators, crystal.cell)[1]:
        counts[crystal.elements[place]] += 1
    if len(crystal.hydrogens):
        counts["H"] = float(len(expand_to_cell(crystal.hydrogens, crystal.operators, crystal.cell)[1]))
    return counts


def _draw_contents(rng: np.random.Generator, num_atoms: int, has_metal: bool) -> Contents:
    """Returns the molecules of an asymmetric unit: one in most crystals, at times two, with solvent or counter-ions."""
    guests: list[Fragment] = []
    for share, library in ((_SOLVENT_SHARE, fragments.solvents),
                           (_ION_SHARE_OF_COMPLEXES if has_metal else _ION_SHARE, fragments.counter_ions)):
        if num_atoms > _MIN_ATOMS_WITH_GUESTS and rng.random() < share:
            molecules, weights = library()
            guests += [molecules[rng.choice(len(molecules), p=weights)]] * int(rng.choice([1, 2], p=[0.8, 0.2]))
    main = max(num_atoms - sum(len(guest.elements) for guest in guests), _MIN_ATOMS)
    copies = int(rng.choice([1, 2, 3], p=[0.75, 0.2, 0.05])) if main > 20 else 1
    copies = max(copies, -(-main // _LARGEST_MOLECULE))
    special = rng.random() < (_SPECIAL_SHARE_OF_COMPLEXES if has_metal else _SPECIAL_SHARE)
    return Contents((main // copies,) * copies, has_metal, special, tuple(guests))


def _draw_b(rng: np.random.Generator, positions: np.ndarray, elements: tuple[str, ...]) -> np.ndarray:
    """Returns B (n,), Angstrom^2, of atoms (n, 3): larger far from the centre, smaller of heavy atoms, and spread."""
    mean = rng.uniform(1.0, 5.0)
    distance = np.linalg.norm(positions - positions.mean(0), axis=1)
    relative = (distance / max(distance.max(), 1e-6)) ** 2
    growth, spread = rng.uniform(0.0, 0.7), rng.uniform(0.05, 0.25)
    drawn = mean * (1 + growth * (relative - relative.mean())) * np.exp(spread * rng.normal(size=len(positions)))
    heavy = np.array([gemmi.Element(element).atomic_number > _LAST_LIGHT_ELEMENT for element in elements])
    return np.clip(np.where(heavy, 0.75, 1.0) * drawn, 0.6, 12.0)
