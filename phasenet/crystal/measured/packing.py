"""Compares the volume of a unit cell with what its contents usually need.

Volumes of the elements in crystals are those of Hofmann (Acta Cryst. B58, 489, 2002), means over the Cambridge
Structural Database at 298 K; for most organic crystals their sum is right within a few per cent.
"""

from collections.abc import Mapping
from typing import NamedTuple

import gemmi
import numpy as np

from phasenet.crystal.lattice import orthogonalization_matrix

_HOFMANN_VOLUMES = {
    "H": 5.08, "D": 5.08, "Li": 22.6, "Be": 36.0, "B": 13.24, "C": 13.87, "N": 11.8, "O": 11.39, "F": 11.17,
    "Na": 26.0, "Mg": 36.0, "Al": 39.6, "Si": 37.3, "P": 29.5, "S": 25.2, "Cl": 25.8, "K": 36.0, "Ca": 45.0,
    "Sc": 42.0, "Ti": 27.3, "V": 24.0, "Cr": 28.1, "Mn": 31.9, "Fe": 30.4, "Co": 29.4, "Ni": 26.0, "Cu": 26.9,
    "Zn": 39.0, "Ga": 37.8, "Ge": 41.6, "As": 36.4, "Se": 30.3, "Br": 32.7, "Rb": 42.0, "Sr": 47.0, "Zr": 27.0,
    "Nb": 37.0, "Mo": 38.0, "Ru": 37.3, "Rh": 31.2, "Pd": 35.0, "Ag": 35.0, "Cd": 51.0, "In": 55.0, "Sn": 52.8,
    "Sb": 48.0, "Te": 46.7, "I": 46.2,
}  # fmt: skip
_OTHER_ELEMENT = 40.0
# Ratio of the measured volume to the sum of the elements' volumes: usual for organic crystals and complexes, and for
# anything at all (minerals and alloys are far denser than these volumes, frameworks lighter).
_USUAL_ORGANIC = (0.82, 1.15)
_USUAL_ANY = (0.35, 1.35)
_USUAL_PER_ATOM = (8.0, 30.0)


class CellContents(NamedTuple):
    """Volume of the unit cell against its contents.

    Attributes:
      volume: of the cell, A^3.
      num_atoms: non-hydrogen atoms in the cell; without a composition volume / 18.
      volume_per_atom: A^3 per non-hydrogen atom.
      expected_volume: sum of the elements' usual volumes, A^3; NaN without a composition.
      ratio: volume / expected_volume.
      is_organic: the composition holds carbon and hydrogen; False without a composition.
      is_unusual: the ratio is outside what such crystals show.
    """

    volume: float
    num_atoms: float
    volume_per_atom: float
    expected_volume: float
    ratio: float
    is_organic: bool
    is_unusual: bool


def element_volume(symbol: str) -> float:
    """Returns the volume that an atom of an element usually takes in a crystal, Angstrom^3."""
    return _HOFMANN_VOLUMES.get(symbol, _OTHER_ELEMENT)


def assess_contents(cell: np.ndarray, composition: Mapping[str, float] | None = None) -> CellContents:
    """Returns the volume per non-hydrogen atom and the ratio to the volume that the elements usually take.

    Args:
      cell: (6,) Angstrom and degrees.
      composition: atoms in the whole unit cell by element symbol, hydrogen included if known.
    """
    volume = float(np.linalg.det(orthogonalization_matrix(cell)))
    present = {symbol: count for symbol, count in (composition or {}).items() if count > 0}
    heavy = {symbol: count for symbol, count in present.items() if not gemmi.Element(symbol).is_hydrogen}
    if not heavy:
        return CellContents(volume, volume / 18.0, 18.0, np.nan, np.nan, False, False)
    num_atoms = float(sum(heavy.values()))
    expected = sum(count * element_volume(symbol) for symbol, count in present.items())
    has_hydrogen = len(present) > len(heavy)
    is_organic = "C" in present and has_hydrogen
    ratio, per_atom = volume / expected, volume / num_atoms
    if "C" in present and not has_hydrogen:
        # The formula may leave hydrogens out: one and a half for each carbon are the most that is usual.
        low, high = _USUAL_ORGANIC[0], _USUAL_ORGANIC[1] * (1 + 1.5 * present["C"] * 5.08 / expected)
    else:
        low, high = _USUAL_ORGANIC if is_organic else _USUAL_ANY
    unusual = not (low <= ratio <= high) or not (_USUAL_PER_ATOM[0] <= per_atom <= 2 * _USUAL_PER_ATOM[1])
    return CellContents(volume, num_atoms, per_atom, float(expected), float(ratio), is_organic, unusual)
