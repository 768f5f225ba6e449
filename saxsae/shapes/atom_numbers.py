"""Computes the numbers of a known structure that a curve can be compared with: radius of gyration, size and mass.

`launch.evaluate --task=curves` and `launch.datasets.calibrate_curve_numbers` call this module.
"""

import numpy as np

_BLOCK = 512  # atoms whose distances to others are computed at a time
_DALTON = {6: 12.011, 7: 14.007, 8: 15.999, 15: 30.974, 16: 32.06, 34: 78.971}
_HYDROGEN_DALTON = 1.008
_NUCLEOTIDE_EXCESS = 8.5  # heavy atoms over hydrogens of a nucleotide, which has one phosphorus


def weighted_rg(xyz_angstrom: np.ndarray, weight: np.ndarray) -> float:
    """Returns the radius of gyration (A) of atoms at (N, 3) A about their centre, weighted by (N,), such as Z."""
    xyz, weight = np.asarray(xyz_angstrom, np.float64), np.asarray(weight, np.float64)
    centre = weight @ xyz / weight.sum()
    return float(np.sqrt(weight @ ((xyz - centre) ** 2).sum(1) / weight.sum()))


def largest_distance(xyz_angstrom: np.ndarray) -> float:
    """Returns the largest distance (A) between two of the points (N, 3).

    Two points are never farther apart than the sum of their distances from the centroid, so of points in descending
    order of that distance only the first ones are compared.
    """
    xyz = np.asarray(xyz_angstrom, np.float64)
    xyz = xyz - xyz.mean(0)
    radius = np.linalg.norm(xyz, axis=1)
    order = np.argsort(-radius)
    xyz, radius = xyz[order], radius[order]
    best = 0.0
    for start in range(0, len(xyz), _BLOCK):
        if radius[start] + radius[0] <= best:
            break
        block = slice(start, start + _BLOCK)
        others = xyz[:start + _BLOCK]  # later ones meet this block when it is their turn
        squares = (xyz[block]**2).sum(1)[:, None] + (others**2).sum(1) - 2 * xyz[block] @ others.T
        best = max(best, float(np.sqrt(max(float(squares.max()), 0.0))))
    return best


def atom_mass(atomic_number: np.ndarray) -> float:
    """Returns the mass (kDa) of the heavy atoms (N,) of proteins and nucleic acids with their hydrogens.

    A `Structure` has no hydrogens. A mean residue has as many of them as heavy atoms (7.8), a mean nucleotide 12 for
    20.5 heavy atoms. The error is below 1% for a protein. Atoms of other elements count twice their atomic number.
    """
    numbers, counts = np.unique(np.asarray(atomic_number, int), return_counts=True)
    heavy = sum(_DALTON.get(int(number), 2.0 * number) * count for number, count in zip(numbers, counts, strict=True))
    nucleotides = int(counts[numbers == 15].sum())
    hydrogens = max(float(counts.sum()) - _NUCLEOTIDE_EXCESS * nucleotides, 0.0)
    return (float(heavy) + _HYDROGEN_DALTON * hydrogens) / 1e3
