"""Shortest distances between atoms of made crystals, within a molecule and between molecules."""

import functools
from collections.abc import Callable, Sequence

import numpy as np

# A hydrogen atom on nitrogen or oxygen, which comes nearer to acceptors; "H" is any other.
POLAR_HYDROGEN = "Hp"
# Half of the shortest usual distance between atoms of two molecules, Angstrom.
_RADII = {"H": 1.06, POLAR_HYDROGEN: 0.95, "C": 1.66, "N": 1.53, "O": 1.49, "F": 1.43, "P": 1.80, "S": 1.74,
          "Cl": 1.70, "Br": 1.77, "I": 1.90, "Si": 1.95, "B": 1.72}
_OTHER_RADIUS = 1.95  # metals
_ACCEPTORS = ("N", "O", "F", "Cl", "Br", "S")
_HYDROGEN_TO_ACCEPTOR, _HYDROGEN_TO_HALIDE, _DONOR_TO_ACCEPTOR = 1.75, 2.2, 2.62
# Distances within a molecule: of atoms two bonds apart, and of atoms farther apart.
_TWO_BONDS, _TWO_BONDS_TO_HYDROGEN = 2.05, 1.75
_FARTHER, _FARTHER_TO_HYDROGEN, _FARTHER_BETWEEN_HYDROGENS = 2.70, 2.30, 1.80
_TO_METAL_WITHIN, _HYDROGEN_TO_METAL_WITHIN = 2.5, 2.2
_LONGEST_BOND, _LONGEST_BOND_OF_METAL = 2.12, 2.95
# Radii of ions as Shannon and Prewitt find them (Acta Cryst. B25 (1969) 925), with the usual numbers of neighbours.
IONIC_RADII = {
    "O": 1.36, "F": 1.29, "S": 1.80, "Cl": 1.79, "Br": 1.94, "I": 2.18, "N": 1.46, "Si": 0.26, "P": 0.18, "B": 0.12,
    "Al": 0.52, "Li": 0.68, "Na": 1.04, "K": 1.45, "Rb": 1.56, "Cs": 1.72, "Mg": 0.72, "Ca": 1.06, "Sr": 1.22,
    "Ba": 1.42, "Ti": 0.61, "V": 0.54, "Cr": 0.62, "Mn": 0.80, "Fe": 0.68, "Co": 0.72, "Ni": 0.69, "Cu": 0.68,
    "Zn": 0.67, "Ga": 0.55, "Ge": 0.42, "Zr": 0.78, "Nb": 0.64, "Mo": 0.50, "Ag": 1.10, "Cd": 0.95, "Sn": 0.69,
    "Sb": 0.76, "Te": 0.97, "W": 0.55, "Pb": 1.22, "Bi": 1.05, "La": 1.10, "Ce": 1.07, "Nd": 1.04, "Gd": 1.00,
    "Y": 0.96, "U": 0.90, "Hg": 1.02, "Tl": 1.55,
}  # fmt: skip
ANIONS = ("O", "F", "S", "Cl", "Br", "I", "N")
_BETWEEN_ANIONS, _BETWEEN_CATIONS = 0.93, 2.85  # of the sum of radii; Angstrom
# The longest of all distances.
REACH = 3.95


def is_hydrogen(element: str) -> bool:
    """Returns whether an element is hydrogen, polar or not."""
    return element in ("H", POLAR_HYDROGEN)


def limits_between_molecules(elements: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """Returns the shortest distances in Angstrom, (n, k), between n and k atoms of different molecules."""
    return _lookup(_between, elements, others)


def limits_between_ions(elements: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """Returns the shortest distances in Angstrom, (n, k), between n and k ions."""
    return _lookup(_between_ions, elements, others)


def limits_within_molecule(elements: Sequence[str], others: Sequence[str], two_bonds: bool = False) -> np.ndarray:
    """Returns the shortest distances in Angstrom, (n, k), between n and k atoms of one molecule that are not bound.

    Args:
      elements: n symbols.
      others: k symbols.
      two_bonds: of atoms that are bound to the same atom; otherwise of atoms farther apart.
    """
    return _lookup(_two_bonds_within if two_bonds else _farther_within, elements, others)


def longest_bonds_to(elements: Sequence[str], other: str) -> np.ndarray:
    """Returns the distances (n,) in Angstrom below which atoms are taken to be bound to one atom.

    Args:
      elements: n symbols.
      other: symbol of the one atom.
    """
    return np.array([_LONGEST_BOND if {element, other} <= _RADII.keys() else _LONGEST_BOND_OF_METAL
                     for element in elements])


def _lookup(function: Callable[[str, str], float], elements: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """Returns a function's values (n, k) of pairs of elements; it is asked once for each pair of kinds."""
    kinds, places = np.unique(elements, return_inverse=True)
    other_kinds, other_places = np.unique(others, return_inverse=True) if len(others) else (np.zeros(0), [])
    table = np.array([[function(str(one), str(other)) for other in other_kinds] for one in kinds])
    return table.reshape(len(kinds), len(other_kinds))[np.ix_(places, np.asarray(other_places, int))]


@functools.cache
def _between(element: str, other: str) -> float:
    """Returns the shortest distance of two atoms of different molecules."""
    for one, two in ((element, other), (other, element)):
        if one == POLAR_HYDROGEN and two in _ACCEPTORS:
            return _HYDROGEN_TO_ACCEPTOR if two in ("N", "O", "F") else _HYDROGEN_TO_HALIDE
        if one in ("N", "O") and two in ("N", "O", "F"):
            return _DONOR_TO_ACCEPTOR
        if one in ("N", "O") and two in ("Cl", "Br", "S"):
            return _RADII[one] + _RADII[two] - 0.2
    return _RADII.get(element, _OTHER_RADIUS) + _RADII.get(other, _OTHER_RADIUS)


@functools.cache
def _between_ions(element: str, other: str) -> float:
    """Returns the shortest distance of two ions; anions around a small cation come nearer than their radii allow."""
    radii = IONIC_RADII[element] + IONIC_RADII[other]
    anions = (element in ANIONS) + (other in ANIONS)
    return (_BETWEEN_CATIONS, radii, _BETWEEN_ANIONS * radii)[anions]


@functools.cache
def _two_bonds_within(element: str, other: str) -> float:
    """Returns the shortest distance of two atoms bound to one atom."""
    hydrogens = is_hydrogen(element) + is_hydrogen(other)
    return (_TWO_BONDS, _TWO_BONDS_TO_HYDROGEN, 1.4)[hydrogens]


@functools.cache
def _farther_within(element: str, other: str) -> float:
    """Returns the shortest distance of two atoms of one molecule, at least three bonds apart."""
    hydrogens = is_hydrogen(element) + is_hydrogen(other)
    if not {element, other} <= _RADII.keys():
        return _HYDROGEN_TO_METAL_WITHIN if hydrogens else _TO_METAL_WITHIN
    if hydrogens:
        return _FARTHER_BETWEEN_HYDROGENS if hydrogens == 2 else _FARTHER_TO_HYDROGEN
    heavy = sum(symbol not in ("C", "N", "O", "F", "B") for symbol in (element, other))
    return _FARTHER + 0.2 * heavy
