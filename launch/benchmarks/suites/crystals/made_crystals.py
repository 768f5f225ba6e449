"""Makes crystals of random branched molecules, for suite "crystals" without a folder of measured ones.

The atoms of a molecule are placed one after another at the length of a bond from an earlier one, where they touch
neither the molecule nor its images under the group. Unlike the crystals that `phasenet.crystal.made` draws, these have
cells and numbers of atoms that are known beforehand, and no hydrogen. The structure factors are those of
`phasenet.crystal.made.measurement`; noise is added to the intensities.
"""

import gemmi
import numpy as np

from launch.evaluation.crystals import PublishedCrystal
from phasenet.crystal import lattice
from phasenet.crystal.lattice import Intensities, SpaceGroupOperators
from phasenet.crystal.made import crystals, measurement
from phasenet.crystal.made.crystals import MadeCrystal

CELLS = {"P 1 21/c 1": (7.4, 11.3, 11.6, 90.0, 104.0, 90.0), "P 21 21 21": (7.2, 9.6, 13.3, 90.0, 90.0, 90.0)}
_ELEMENTS = ("C",) * 8 + ("O",) * 3 + ("N",) * 2
_BOND_ANGSTROM, _SECOND_NEIGHBOUR_ANGSTROM, _BETWEEN_MOLECULES_ANGSTROM = 1.45, 2.3, 2.8
_B_ANGSTROM2 = (2.0, 3.5)
_NOISE, _LEAST_NOISE = 0.03, 0.005  # standard deviation: this fraction of an intensity, and of the mean one
_TRIES = 4000  # directions tried for a molecule, before another is begun


def make_crystal(symbol: str, d_min: float, seed: int = 0) -> PublishedCrystal:
    """Returns a made crystal with its true atoms; the same arguments give the same one.

    Args:
      symbol: of the space group, a key of `CELLS`.
      d_min: resolution of the intensities, A.
      seed: of the molecule, its place and the noise.
    """
    rng = np.random.default_rng(seed)
    cell, group = np.array(CELLS[symbol]), gemmi.SpaceGroup(symbol)
    operators, matrix = lattice.operators_of(group), lattice.orthogonalization_matrix(cell)
    molecule = None
    while molecule is None:
        molecule = _grow_molecule(rng, operators, matrix)
    made = MadeCrystal(cell, operators, molecule % 1, _ELEMENTS, rng.uniform(*_B_ANGSTROM2, len(molecule)),
                       np.zeros((0, 3)), np.zeros(0), {}, "organic")
    hkl = np.asarray(gemmi.make_miller_array(gemmi.UnitCell(*cell), group, d_min), np.int32)
    true = np.abs(measurement.structure_factors(made, hkl)) ** 2
    sigma = _NOISE * true + _LEAST_NOISE * true.mean()
    reflections = Intensities(hkl, true + sigma * rng.normal(size=len(true)), sigma)
    positions = _images(molecule, operators).reshape(-1, 3) % 1  # all atoms of one operator after those of another
    return PublishedCrystal(f"made, {symbol}", reflections, cell, operators, crystals.count_atoms(made), "xray",
                            positions, _ELEMENTS * len(operators.rotations))


def _images(positions: np.ndarray, operators: SpaceGroupOperators) -> np.ndarray:
    """Returns all images (g, n, 3) of fractional positions (n, 3) under the g operators."""
    return np.einsum("gij,nj->gni", operators.rotations, positions) + operators.translations[:, None]


def _grow_molecule(rng: np.random.Generator, operators: SpaceGroupOperators, matrix: np.ndarray) -> np.ndarray | None:
    """Returns fractional positions (n, 3) of a molecule, None where it found no room.

    Args:
      rng: of the place and the directions of the bonds.
      operators: of the group.
      matrix: (3, 3) from fractional coordinates to Angstrom.
    """
    atoms = rng.random((1, 3))
    for _ in range(_TRIES):
        if len(atoms) == len(_ELEMENTS):
            return atoms
        direction = rng.normal(size=3)
        parent = rng.integers(len(atoms))
        candidate = atoms[parent] + np.linalg.solve(matrix, _BOND_ANGSTROM * direction / np.linalg.norm(direction))
        within = np.linalg.norm((np.delete(atoms, parent, 0) - candidate) @ matrix.T, axis=-1)
        if (within < _SECOND_NEIGHBOUR_ANGSTROM).any():
            continue
        offsets = _images(np.vstack([atoms, candidate]), operators) - candidate
        translations = np.rint(offsets)
        distances = np.linalg.norm((offsets - translations) @ matrix.T, axis=-1)
        foreign = np.ones(distances.shape, bool)
        foreign[0] = translations[0].any(-1)
        if distances[foreign].min(initial=np.inf) >= _BETWEEN_MOLECULES_ANGSTROM:
            atoms = np.vstack([atoms, candidate])
    return None
