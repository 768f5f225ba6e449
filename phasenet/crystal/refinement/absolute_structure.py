"""Tells a structure from its inverse by anomalous scattering, which makes Friedel mates unequal.

The Flack parameter x is the share of the inverse in the crystal (Flack, Acta Cryst. A39, 876, 1983). It is fitted here
to quotients of Friedel mates, which do not depend on the scale and little on what the model lacks (Parsons, Flack,
Wagner, Acta Cryst. B69, 249, 2013):

    Q = (I(h) - I(-h)) / (I(h) + I(-h)),    Q_obs = (1 - 2 x) Q_calc

f' and f'' are those of Cromer and Liberman, from gemmi.
"""

from collections.abc import Sequence
from typing import NamedTuple

import gemmi
import numpy as np

from phasenet.crystal.form_factors import atomic_number, form_factors, scattering
from phasenet.crystal.lattice import (
    Intensities,
    SpaceGroupOperators,
    group_of,
    has_inversion,
    inverse_spacing,
    operators_of,
)
from phasenet.crystal.measured.merging import find_rows, merge
from phasenet.crystal.measured.space_groups import find_origin_shift

_MIN_PAIRS = 20
_MAX_QUOTIENT_ERROR = 0.25  # pairs whose Q is less certain say nothing
_OUTLIER_SIGMAS = 5.0
# Largest standard deviations of x that determine the hand: in general, and of a crystal that is known to hold one hand
# (Flack, Bernardinelli, J. Appl. Cryst. 33, 1143, 2000).
SAFE_SIGMA, MAX_SIGMA = 0.04, 0.1


class FlackParameter(NamedTuple):
    """Share of the inverse structure in the crystal.

    Attributes:
      x: 0 for the structure as it is, 1 for its inverse, 0.5 for equal shares.
      sigma: standard deviation of x.
      num_pairs: number of Friedel pairs in the fit.
    """

    x: float
    sigma: float
    num_pairs: int


def fit_flack_parameter(reflections: Intensities, cell: np.ndarray, operators: SpaceGroupOperators,
                        positions: np.ndarray, elements: Sequence[str], b_iso: np.ndarray, occupancies: np.ndarray,
                        wavelength: float) -> FlackParameter | None:
    """Fits x to the Friedel pairs of X-ray data.

    Args:
      reflections: N measurements, Friedel mates not merged.
      cell: (6,) Angstrom and degrees.
      operators: of the space group.
      positions: (n, 3) fractional, symmetry-unique atoms.
      elements: n symbols.
      b_iso: (n,) Angstrom^2.
      occupancies: (n,) with the crystallographic share.
      wavelength: Angstrom.

    Returns:
      None in a centrosymmetric group, without a wavelength, or where fewer than 20 pairs were measured.
    """
    if has_inversion(operators) or not wavelength > 0:
        return None
    merged = merge(reflections, operators.rotations, keep_friedel_mates=True)
    mates = find_rows(merged.hkl, -merged.hkl)
    first = np.flatnonzero(~merged.centric & (mates > np.arange(len(mates))))
    second = mates[first]
    total = merged.intensity[first] + merged.intensity[second]
    error = np.hypot(merged.sigma[first], merged.sigma[second]) / np.maximum(total, 1e-30)
    known = (total > 0) & (error < _MAX_QUOTIENT_ERROR)
    first, second, total, error = first[known], second[known], total[known], error[known]
    if len(first) < _MIN_PAIRS:
        return None
    observed = (merged.intensity[first] - merged.intensity[second]) / total
    calculated = _calculated_quotients(merged.hkl[first], cell, operators, positions, elements, b_iso, occupancies,
                                       wavelength)
    for _ in range(2):  # again without the pairs that fit no x
        weight = error**-2.0
        norm = max(float((weight * calculated**2).sum()), 1e-30)
        num_pairs = len(observed)
        slope = float((weight * calculated * observed).sum()) / norm
        residual = (observed - slope * calculated) / error
        spread = max(1.0, float(np.sqrt(np.square(residual).mean())))
        kept = np.abs(residual) < _OUTLIER_SIGMAS * spread
        observed, calculated, error = observed[kept], calculated[kept], error[kept]
    return FlackParameter((1 - slope) / 2, spread / (2 * norm**0.5), num_pairs)


def invert(positions: np.ndarray, operators: SpaceGroupOperators) -> tuple[np.ndarray, SpaceGroupOperators]:
    """Returns the inverse structure, and its group: the same one, or the other of a pair like P 41 and P 43.

    Args:
      positions: (n, 3) fractional.
      operators: of the group.
    """
    inverted = group_of(operators._replace(translations=-operators.translations))
    # Where a shift of the origin turns the group into its inverse, the atoms at shift - x obey the group itself.
    shift = find_origin_shift(operators, operators_of(inverted))
    if shift is not None:
        return _move_to_cell(shift - positions), operators
    named = gemmi.find_spacegroup_by_ops(inverted)
    return _move_to_cell(-positions), operators_of(inverted, named.xhm() if named is not None else "")


def _move_to_cell(positions: np.ndarray) -> np.ndarray:
    """Returns positions (n, 3) moved together, so that molecules stay whole, until their mean lies in the cell."""
    return positions - np.floor(positions.mean(0))


def _calculated_quotients(hkl: np.ndarray, cell: np.ndarray, operators: SpaceGroupOperators, positions: np.ndarray,
                          elements: Sequence[str], b_iso: np.ndarray, occupancies: np.ndarray,
                          wavelength: float) -> np.ndarray:
    """Returns Q_calc, (N,), of the reflections (N, 3) and their mates; see `fit_flack_parameter`."""
    s = inverse_spacing(hkl, cell)
    rows = np.array([sorted(set(elements)).index(element) for element in elements])
    normal = scattering(form_factors(sorted(set(elements))), s)
    anomalous = np.array([complex(*gemmi.cromer_liberman(z=atomic_number(element), energy=gemmi.hc / wavelength))
                          for element in sorted(set(elements))])
    waves = np.zeros((len(hkl), len(elements)), complex)
    for turn, shift in zip(operators.rotations, operators.translations, strict=True):
        waves += np.exp(2j * np.pi * (hkl @ (positions @ turn.T + shift).T))
    waves *= np.exp(-np.square(s)[:, None] * b_iso / 4) * occupancies
    factors = (normal + anomalous[:, None])[rows].T
    plus, minus = np.abs((waves * factors).sum(1))**2, np.abs((np.conj(waves) * factors).sum(1))**2
    return (plus - minus) / np.maximum(plus + minus, 1e-30)
