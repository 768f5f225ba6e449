"""Many made crystals as a few arrays, which one file can hold: `pack`, `unpack`.

The atoms of all crystals stand one after another; those of crystal i are the rows offsets[i] to offsets[i + 1].
"""

from collections.abc import Mapping, Sequence

import gemmi
import numpy as np

from phasenet.crystal import lattice
from phasenet.crystal.made import crystals
from phasenet.crystal.made.crystals import MadeCrystal

NAMES = ("cell", "space_group", "kind", "offsets", "positions", "atomic_numbers", "b_iso", "hydrogen_offsets",
         "hydrogens", "hydrogen_b_iso")
_OFFSETS = ("offsets", "hydrogen_offsets")


def pack(made: Sequence[MadeCrystal]) -> dict[str, np.ndarray]:
    """Returns N crystals as the arrays `NAMES`.

    Args:
      made: N crystals with A independent atoms and H independent hydrogen atoms in all.

    Returns:
      cell (N, 6) float64, Angstrom and degrees; space_group (N,) extended Hermann-Mauguin symbols; kind (N,) strings;
      offsets (N + 1,) int64; positions (A, 3) float32, fractional; atomic_numbers (A,) uint8; b_iso (A,) float32,
      Angstrom^2; hydrogen_offsets (N + 1,) int64; hydrogens (H, 3) float32; hydrogen_b_iso (H,) float32.
    """
    return {
        "cell": np.array([crystal.cell for crystal in made]).reshape(-1, 6),
        "space_group": np.array([crystal.operators.symbol for crystal in made], str),
        "kind": np.array([crystal.kind for crystal in made], str),
        "offsets": np.cumsum([0, *(len(crystal.positions) for crystal in made)]),
        "positions": _rounded([crystal.positions for crystal in made]),
        "atomic_numbers": np.array([gemmi.Element(element).atomic_number for crystal in made
                                    for element in crystal.elements], np.uint8),
        "b_iso": np.concatenate([np.zeros(0), *(crystal.b_iso for crystal in made)]).astype(np.float32),
        "hydrogen_offsets": np.cumsum([0, *(len(crystal.hydrogens) for crystal in made)]),
        "hydrogens": _rounded([crystal.hydrogens for crystal in made]),
        "hydrogen_b_iso": np.concatenate(
            [np.zeros(0), *(crystal.hydrogen_b_iso for crystal in made)]).astype(np.float32),
    }


def unpack(arrays: Mapping[str, np.ndarray], index: int) -> MadeCrystal:
    """Returns one crystal of the arrays that `pack` made.

    Args:
      arrays: of N crystals, with the shapes and units that `pack` lists.
      index: of the crystal, from 0.
    """
    rows, hydrogen_rows = (slice(*arrays[name][index:index + 2]) for name in _OFFSETS)
    operators = lattice.operators_of(gemmi.SpaceGroup(str(arrays["space_group"][index])))
    elements = tuple(gemmi.Element(int(number)).name for number in arrays["atomic_numbers"][rows])
    crystal = MadeCrystal(
        arrays["cell"][index], operators, arrays["positions"][rows].astype(float), elements,
        arrays["b_iso"][rows].astype(float), arrays["hydrogens"][hydrogen_rows].astype(float),
        arrays["hydrogen_b_iso"][hydrogen_rows].astype(float), {}, str(arrays["kind"][index]))
    return crystal._replace(composition=crystals.count_atoms(crystal))


def _rounded(positions: Sequence[np.ndarray]) -> np.ndarray:
    """Returns all fractional coordinates (A, 3) as float32 in [0, 1); rounding may give 1, which becomes 0."""
    return np.concatenate([np.zeros((0, 3)), *positions]).astype(np.float32) % 1


def join(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Returns the arrays of the crystals of all parts, in order; shapes and units are those that `pack` lists."""
    joined = {name: np.concatenate([part[name] for part in parts]) for name in NAMES if name not in _OFFSETS}
    for name in _OFFSETS:
        joined[name] = np.concatenate([[0], np.cumsum(np.concatenate([np.diff(part[name]) for part in parts]))])
    return joined
