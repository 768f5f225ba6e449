"""Finds the element of each atom from the density at its place, its bonds, and the volume of the cell.

The strength of an atom is its refined occupancy times the mean form factor of the element assumed.

1. `calibrate`: finds the factor from strengths to form factors, where the numbers of atoms are not known. With this
   factor each strength is near the form factor of an element, and the atoms fill the cell.
2. `bond_evidence`: rates C, N and O by the lengths and the number of bonds. Lengths are means of F. H. Allen et al.,
   J. Chem. Soc. Perkin Trans. 2 (1987) S1.
3. `choose_elements`: chooses the likeliest element of each atom by strength and bonds; `exchange_by_evidence`: does so
   where the number of atoms of each element is known.

`completion` and `free_composition` call these functions.
"""

from collections.abc import Sequence

import numpy as np

from phasenet.crystal.measured.packing import element_volume

_STRENGTH_ERROR = 0.09  # standard deviation of the logarithm of a strength; 0.05 in the mean of 41 measured crystals
_MAX_MISFIT = 8.0  # in log likelihood; beyond it a misfit counts by its logarithm, as the strength may be wrong
_VOLUME_ERROR = {True: 0.12, False: 0.4}  # of the logarithm of the cell's volume, for organic crystals and others
_HYDROGENS_PER_CARBON = 1.0
_CARBON_PRIOR = {"C": 0.0, "O": -1.4, "N": -1.8}  # log frequencies in organic crystals
_OTHER_PRIOR = -3.0
_FACTORS = np.exp(np.linspace(-1.5, 1.5, 151))
_ORGANIC = ("C", "N", "O")
_SAME_ATOM = 0.6  # Angstrom
_LONGEST_BOND = 1.75  # Angstrom between two of C, N and O
_LENGTH_ERROR = 0.03  # Angstrom
# Mean lengths in Angstrom of the kinds of bonds between two elements, with the share of each kind.
_LENGTHS = {
    ("C", "C"): ((1.53, 0.45), (1.39, 0.4), (1.46, 0.08), (1.33, 0.05), (1.19, 0.02)),
    ("C", "N"): ((1.47, 0.4), (1.34, 0.4), (1.38, 0.1), (1.29, 0.06), (1.14, 0.04)),
    ("C", "O"): ((1.42, 0.4), (1.22, 0.3), (1.25, 0.1), (1.30, 0.05), (1.36, 0.15)),
    ("N", "N"): ((1.40, 0.5), (1.35, 0.3), (1.25, 0.2)),
    ("N", "O"): ((1.22, 0.7), (1.40, 0.2), (1.30, 0.1)),
    ("O", "O"): ((1.48, 1.0),),
}
# Log frequency of a bond between two elements.
_PAIR_FREQUENCY = {("C", "C"): 0.0, ("C", "N"): 0.0, ("C", "O"): 0.0, ("N", "N"): -1.5, ("N", "O"): -1.5,
                   ("O", "O"): -5.0}
# Log frequency of 0, 1, 2, ... bonds to C, N and O.
_NUMBER_OF_BONDS = {
    "C": (-4.0, -1.5, -0.9, -0.6, -2.0), "N": (-2.0, -1.3, -0.9, -0.9, -4.0), "O": (-1.5, -0.2, -1.8, -9.0, -12.0)}
_UNLIKELY = -12.0
_BOND_ROUNDS = 4  # in each round, bonds are rated with the elements of the round before
_MIN_EXCHANGE_GAIN = 1.0  # of log likelihood

Bonds = list[list[tuple[int, float]]]  # of each atom the (atom, length in Angstrom) of its neighbours


def calibrate(strengths: np.ndarray, mates: np.ndarray, powers: np.ndarray, symbols: Sequence[str],
              volumes: np.ndarray, cell_volume: float) -> float:
    """Returns the factor that brings strengths to the unit of `powers`.

    Args:
      strengths: (n,) of the atoms, on any scale.
      mates: (n,) how many atoms of the cell each stands for.
      powers: (E,) mean form factors of the elements.
      symbols: E elements.
      volumes: (E,) volume that an atom of each usually takes, Angstrom^3.
      cell_volume: Angstrom^3.
    """
    logs = np.log(np.maximum(strengths, 1e-6))
    prior = _frequencies(symbols)
    organic = "C" in symbols
    room = volumes + np.array([_HYDROGENS_PER_CARBON * element_volume("H") * (symbol == "C") for symbol in symbols])
    best, chosen = -np.inf, 1.0
    for factor in _FACTORS:
        evidence = _strength_evidence(logs + np.log(factor), powers) + prior
        row = evidence.argmax(1)
        filled = float((mates * room[row]).sum())
        score = evidence.max(1).sum() - 0.5 * len(logs)**0.5 * (
            np.log(filled / cell_volume) / _VOLUME_ERROR[organic])**2
        if score > best:
            best, chosen = score, float(factor)
    return chosen


def choose_elements(strengths: np.ndarray, powers: np.ndarray, symbols: Sequence[str], bonds: Bonds) -> tuple[str, ...]:
    """Returns the likeliest element of each of n atoms by its strength and its bonds.

    Args:
      strengths: (n,) in the unit of `powers`.
      powers: (E,) mean form factors.
      symbols: E elements.
      bonds: from `find_cno_bonds`.
    """
    evidence = _strength_evidence(np.log(np.maximum(strengths, 1e-6)), powers) + _frequencies(symbols)
    rows = evidence.argmax(1)
    for _ in range(_BOND_ROUNDS):
        renewed = (evidence + bond_evidence(bonds, [symbols[row] for row in rows], symbols)).argmax(1)
        if (renewed == rows).all():
            break
        rows = renewed
    return tuple(symbols[row] for row in rows)


def exchange_by_evidence(strengths: np.ndarray, mates: np.ndarray, powers: np.ndarray, symbols: Sequence[str],
                         bonds: Bonds, elements: Sequence[str]) -> tuple[str, ...]:
    """Returns the n elements after exchanges between atoms with equally many mates, as long as the likelihood rises.

    Args:
      strengths: (n,) in the unit of `powers`.
      mates: (n,) how many atoms of the cell each stands for.
      powers: (E,) mean form factors.
      symbols: E elements.
      bonds: from `find_cno_bonds`.
      elements: n symbols to begin with.
    """
    evidence = _strength_evidence(np.log(np.maximum(strengths, 1e-6)), powers)
    rows = np.array([list(symbols).index(element) for element in elements])
    for _ in range(len(rows)):
        total = evidence + bond_evidence(bonds, [symbols[row] for row in rows], symbols)
        own = total[np.arange(len(rows)), rows]
        other = total[:, rows]  # of atom i with the element of atom j
        gain = np.where(mates[:, None] == mates[None], other + other.T - own[:, None] - own[None], 0.0)
        first, second = np.unravel_index(gain.argmax(), gain.shape)
        if gain[first, second] < _MIN_EXCHANGE_GAIN:
            break
        rows[[first, second]] = rows[[second, first]]
    return tuple(symbols[row] for row in rows)


def find_cno_bonds(positions: np.ndarray, images: np.ndarray, site_orders: np.ndarray,
                   orthogonalization: np.ndarray) -> Bonds:
    """Returns for each of n atoms the (atom, length in Angstrom) of all within 1.75 A, the longest bond of C, N and O.

    Args:
      positions: (n, 3) fractional.
      images: (m, n, 3) fractional, the mates of each atom by all operators.
      site_orders: (n,) int, how many operators give one and the same mate.
      orthogonalization: (3, 3) from fractional coordinates to Angstrom.
    """
    bonds = []
    for position in positions:
        offset = images - position
        lengths = np.linalg.norm((offset - np.rint(offset)) @ orthogonalization.T, axis=-1)
        near = (lengths > _SAME_ATOM) & (lengths < _LONGEST_BOND)
        bonds.append([(int(other), float(length)) for other in np.flatnonzero(near.any(0))
                      for length in np.sort(lengths[near[:, other], other])[::site_orders[other]]])
    return bonds


def bond_evidence(bonds: Bonds, elements: Sequence[str], symbols: Sequence[str]) -> np.ndarray:
    """Returns the log likelihood (n, E) of each element by lengths and number of bonds.

    The row of an atom is 0 where the atom, or one that it is bonded to, is not C, N or O.

    Args:
      bonds: from `find_cno_bonds`.
      elements: n symbols of the atoms.
      symbols: E elements.
    """
    table = np.zeros((len(bonds), len(symbols)))
    for atom, partners in enumerate(bonds):
        near = [(elements[other], length) for other, length in partners if elements[other] in _ORGANIC]
        if elements[atom] not in _ORGANIC or len(near) != len(partners):
            continue  # bonds to other elements say little
        for column, symbol in enumerate(symbols):
            if symbol in _ORGANIC:
                counts = _NUMBER_OF_BONDS[symbol]
                table[atom, column] = counts[min(len(near), len(counts) - 1)] + sum(
                    _length_likelihood(symbol, other, length) for other, length in near)
            else:
                table[atom, column] = _UNLIKELY if near and min(length for _, length in near) < 1.3 else -3.0
    return table


def _length_likelihood(first: str, second: str, length: float) -> float:
    """Returns the log likelihood of a bond of two elements, relative to a bond at the best length."""
    pair = (first, second) if first <= second else (second, first)
    density = sum(share * np.exp(-0.5 * ((length - mean) / _LENGTH_ERROR)**2) for mean, share in _LENGTHS[pair])
    return float(np.log(density + 3e-3)) + _PAIR_FREQUENCY[pair]


def _strength_evidence(logs: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """Returns the log likelihood (n, E) of elements by the logarithms of strengths (n,)."""
    misfit = 0.5 * np.square((logs[:, None] - np.log(powers)[None]) / _STRENGTH_ERROR)
    return -np.minimum(misfit, _MAX_MISFIT + np.log1p(misfit))


def _frequencies(symbols: Sequence[str]) -> np.ndarray:
    """Returns log frequencies (E,) of elements: those of organic crystals where carbon is among them, else 0."""
    if "C" not in symbols:
        return np.zeros(len(symbols))
    return np.array([_CARBON_PRIOR.get(symbol, _OTHER_PRIOR) for symbol in symbols])
