"""Figures of merit of a refined crystal, and what they prove.

R1 and wR2 are those of the International Union of Crystallography's CIF dictionary (refine_ls_R_factor_gt, with F > 4
sigma(F), and refine_ls_wR_factor_ref). How low R1 must be to prove a structure depends on the number of reflections per
parameter: few reflections are fitted by wrong atoms, too.
"""

from typing import NamedTuple

import numpy as np

from phasenet.crystal.normalisation import UniqueReflections
from phasenet.crystal.refinement.least_squares import MeasuredAmplitudes, RefinementResult

# Reflections per parameter, the highest R1 that proves a structure and the lowest that disproves it; between these
# points the limits are linear. Of 41 measured crystals at 0.84 to 2 A, hydrogens not placed, wrong models (below 90% of
# the atoms) ended at R1 from 0.21 on with more than 8 reflections per parameter, 0.235 with 5 to 8, 0.096 with 3.5 to 5
# and 0.082 with 2.5 to 3.5.
_R1_LIMITS = ((2.5, 0.075, 0.17), (3.5, 0.091, 0.20), (5.0, 0.152, 0.26), (6.5, 0.178, 0.29), (9.0, 0.20, 0.32),
              (14.0, 0.22, 0.32))
_FREE_SHARE = 0.9  # of the limits where the numbers of atoms and their elements were fitted, too
_NEVER_PROVEN = (0.0, 0.17)  # with fewer reflections per parameter


class FiguresOfMerit(NamedTuple):
    """How well atoms fit.

    Attributes:
      r1: sum | |F_obs| - k |F| | / sum |F_obs|, over F_obs > 4 sigma(F_obs).
      wr2: root of sum w (F_obs^2 - k^2 F^2)^2 / sum w F_obs^4, all reflections; 1/w = sigma^2 + (0.1 P)^2 with
        P = (max(F_obs^2, 0) + 2 k^2 F^2) / 3.
      num_strong: number of reflections in R1.
      reflections_per_parameter: all reflections, over the free coordinates, a B for each atom, and the scale.
    """

    r1: float
    wr2: float
    num_strong: int
    reflections_per_parameter: float


def judge_fit(result: RefinementResult, reflections: UniqueReflections, observed: MeasuredAmplitudes) -> FiguresOfMerit:
    """Returns the figures of merit of refined atoms against N unique reflections."""
    calculated = result.scale * result.amplitude
    strong = reflections.intensity > 2 * reflections.sigma  # F > 4 sigma(F)
    if not strong.any():
        strong = np.ones_like(strong)
    misfit = np.abs(observed.amplitude - calculated)[strong].sum()
    r1 = misfit / max(observed.amplitude[strong].sum(), 1e-30)
    mean_intensity = (np.maximum(reflections.intensity, 0.0) + 2 * calculated**2) / 3
    weight = 1 / (reflections.sigma**2 + (0.1 * mean_intensity)**2)
    wr2 = np.sqrt((weight * (reflections.intensity - calculated**2)**2).sum()
                  / max((weight * reflections.intensity**2).sum(), 1e-30))
    coordinates = np.trace(result.atoms.projections.sum(0)) if result.atoms.elements else 0.0
    parameters = coordinates + len(result.atoms.elements) + 1
    return FiguresOfMerit(float(r1), float(wr2), int(strong.sum()), float(len(reflections.hkl) / parameters))


def r1_in_shells(amplitude: np.ndarray, calculated: np.ndarray, reflections: UniqueReflections,
                 num_shells: int = 10) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns R1 over F > 4 sigma(F) in shells with equal numbers of reflections.

    Args:
      amplitude: (N,) measured |F|.
      calculated: (N,) |F| of the atoms, on the same scale.
      reflections: N unique reflections.
      num_shells: at most; a shell has at least 20 reflections where there are so many.

    Returns:
      The smallest spacing in each shell in Angstrom, descending; R1, NaN in a shell without strong reflections; the
      number of strong reflections. Each (K,).
    """
    order = np.argsort(reflections.inverse_spacing, kind="stable")
    strong = reflections.intensity > 2 * reflections.sigma
    ends, r1, counts = [], [], []
    for shell in np.array_split(order, int(np.clip(len(order) // 20, 1, num_shells))):
        used = shell[strong[shell]]
        ends.append(1 / reflections.inverse_spacing[shell].max())
        total = amplitude[used].sum()
        r1.append(np.abs(amplitude - calculated)[used].sum() / total if total > 0 else np.nan)
        counts.append(len(used))
    return np.array(ends), np.array(r1), np.array(counts)


def decide_status(figures: FiguresOfMerit, composition_known: bool = True, twin_fraction: float = 0.0) -> str:
    """Returns "solved", "ambiguous" or "not solved".

    Args:
      figures: of a model.
      composition_known: whether the numbers of atoms of each element were given; if they were fitted, more is asked.
      twin_fraction: share of the second component of a twin.
    """
    highest, lowest = r1_limits(figures.reflections_per_parameter, composition_known, twin_fraction)
    if figures.r1 <= highest:
        return "solved"
    return "ambiguous" if figures.r1 < lowest else "not solved"


def r1_limits(reflections_per_parameter: float, composition_known: bool = True,
              twin_fraction: float = 0.0) -> tuple[float, float]:
    """Returns the highest R1 that proves a structure, 0 where none does, and the lowest that disproves it.

    Args:
      reflections_per_parameter: as in `FiguresOfMerit`.
      composition_known: see `decide_status`.
      twin_fraction: see `decide_status`.
    """
    given, highest, lowest = np.array(_R1_LIMITS).T
    spread = spread_of_twin(twin_fraction)
    if reflections_per_parameter < given[0]:
        return _NEVER_PROVEN[0], spread * _NEVER_PROVEN[1]
    proves = spread * float(np.interp(reflections_per_parameter, given, highest))
    return proves if composition_known else _FREE_SHARE * proves, spread * float(
        np.interp(reflections_per_parameter, given, lowest))


def spread_of_twin(fraction: float) -> float:
    """Returns the standard deviation of a twin's intensities over that of one component's: 1, or 0.71 at one half.

    Intensities that vary less are fitted better by wrong atoms: R1 of random atoms is 0.83 (centrosymmetric) or 0.59,
    of a twin of equal components 0.59 or 0.40. With the limits of R1 multiplied by this number, models of made twins of
    equal components with permuted intensities, at 1.0 to 1.6 A, ended at R1 of 1.45 times the limit or more.
    """
    return float(np.hypot(1 - fraction, fraction))
