"""Computes the numbers that a SAXS curve gives without a model: size, P(r), mass, compactness and information content.

`launch.evaluate --task=curves` compares the numbers with known structures. A number that the curve does not determine
is NaN, with the reason beside it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from saxsae.analysis import molecular_mass
from saxsae.analysis.mass_by_concentration import MassScale, estimate_masses_from_i0
from saxsae.analysis.molecular_mass import MassEstimate
from saxsae.analysis.pair_distances import (
    PairDistances,
    compute_pair_distances,
    last_significant_distance,
    transform_to_intensity,
)
from saxsae.profiles.guinier import GuinierFit, fit_guinier
from saxsae.profiles.rebinning import CurveLike

# From `launch.datasets.calibrate_curve_numbers`: the largest distance between two atoms over the distance at which P(r)
# falls to `_TAIL_SHARE` of its maximum; the median, and the 5% and 95% quantiles.
_TAIL_SHARE = 0.02  # with less, traces of aggregates count; with more, thin ends of a particle do not
_D_MAX_OVER_TAIL, _D_MAX_QUANTILES = 1.112, (1.001, 1.208)
_KRATKY_RANGE = np.arange(0.5, 4.0, 0.01)  # q Rg at which the peak is sought: 1.7 for a sphere, farther for a chain


class CurveNumbers(NamedTuple):
    """The numbers of a curve; NaN where the curve does not determine one.

    Attributes:
      guinier: Rg (A) and I(0) of the Guinier line, with standard deviations.
      pair_distances: P(r), with Rg (A), I(0) and the end of P(r) (A), with standard deviations.
      d_max_angstrom: estimate of the largest distance between two atoms, A.
      d_max_interval_angstrom: the limits between which it lies with a probability of 90%, A.
      porod_invariant: integral of q^2 I(q) / I(0) from 0 to infinity, 1/A^3: the Guinier line below the Guinier region,
        the points up to `porod_q_max_inv_angstrom`, Porod's law K / q^4 beyond.
      porod_q_max_inv_angstrom: 8 / Rg, from 0.1 to 0.5 1/A, or the end of the curve.
      porod_volume_angstrom3: 2 pi^2 over the invariant, A^3.
      kratky_peak_q_rg: q Rg of the maximum of (q Rg)^2 I / I(0), below q Rg = 4; 1.73 for a compact particle.
      kratky_peak_height: the maximum; 1.10 for a compact particle.
      masses: the mass by each of `molecular_mass.METHODS`, then by each scale of I(0)/c, with 90% intervals, kDa.
      shannon_channels: (q_max - q_min) D_max / pi of the points from the Guinier region on (P. Moore, J. Appl. Cryst.
        13, 168, 1980).
      significant_channels: how many parameters of P(r) the noise leaves up to 0.3 1/A, `PairDistances.good_parameters`.
      notes: why numbers are missing.
    """

    guinier: GuinierFit
    pair_distances: PairDistances
    d_max_angstrom: float
    d_max_interval_angstrom: tuple[float, float]
    porod_invariant: float
    porod_q_max_inv_angstrom: float
    porod_volume_angstrom3: float
    kratky_peak_q_rg: float
    kratky_peak_height: float
    masses: tuple[MassEstimate, ...]
    shannon_channels: float
    significant_channels: float
    notes: tuple[str, ...]

    def mass(self, method: str = molecular_mass.CONSENSUS) -> MassEstimate:
        """Returns the mass by one of the methods of `masses`."""
        return next(mass for mass in self.masses if mass.method == method)

    def flatten(self) -> dict[str, float | tuple[float, float] | None]:
        """Returns the numbers and intervals by the names under which files list them; None where one is not determined.

        The Guinier line and the points of P(r) are not among them.
        """
        pairs = self.pair_distances
        found: dict[str, float | tuple[float, float]] = {
            "d_max_angstrom": self.d_max_angstrom, "d_max_interval_angstrom": self.d_max_interval_angstrom,
            "p_r_end_angstrom": pairs.d_max_angstrom, "p_r_end_sigma": pairs.d_max_sigma,
            "rg_real_angstrom": pairs.rg_angstrom, "rg_real_sigma": pairs.rg_sigma, "i0_real": pairs.i0,
            "i0_real_sigma": pairs.i0_sigma, "p_r_chi_squared": pairs.chi_squared,
            "porod_volume_angstrom3": self.porod_volume_angstrom3, "porod_invariant": self.porod_invariant,
            "kratky_peak_q_rg": self.kratky_peak_q_rg, "kratky_peak_height": self.kratky_peak_height,
            "shannon_channels": self.shannon_channels, "significant_channels": self.significant_channels}
        for mass in self.masses:
            found |= {f"mass_kda_{mass.method}": mass.mass_kda, f"mass_interval_kda_{mass.method}": mass.interval_kda}
        return {name: value if np.isfinite(value).all() else None for name, value in found.items()}


def compute_curve_numbers(curve: CurveLike, concentration_mg_per_ml: float | None = None,
                          scales: Sequence[MassScale] = ()) -> CurveNumbers:
    """Returns the numbers of a curve; nothing is raised.

    Args:
      curve: the measured curve.
      concentration_mg_per_ml: concentration of the sample, mg/ml; 1 if the intensities are divided by it; None if not
        known.
      scales: by which masses are computed from I(0) and the concentration.
    """
    q, intensity, sigma = (np.asarray(a, np.float64) for a in (curve.q_inv_angstrom, curve.intensity, curve.sigma))
    guinier = fit_guinier(q, intensity, sigma)
    pairs = compute_pair_distances(curve, guinier)
    d_max, interval = _estimate_d_max(pairs)
    masses = (*molecular_mass.estimate_masses(curve, guinier),
              *estimate_masses_from_i0(guinier, concentration_mg_per_ml, scales))
    nan = float("nan")
    invariant, porod_end, volume, channels = nan, nan, nan, nan
    notes = []
    if not guinier.valid:
        notes.append(f"no Guinier region: {guinier.reason}")
    else:
        channels = (float(q[-1]) - float(q[guinier.first])) * d_max / math.pi
        integrals = molecular_mass.integrate_curve(
            curve, guinier, molecular_mass.porod_q_max(guinier.rg_angstrom))
        if not isinstance(integrals, str):
            invariant, porod_end = integrals.second_moment + integrals.tail, integrals.q_max_inv_angstrom
            volume = molecular_mass.porod_volume(integrals)
        notes += [f"no P(r): {pairs.reason}"] if pairs.reason else []
        notes += [f"no mass by {mass.method}: {mass.reason}" for mass in masses if mass.reason]
    return CurveNumbers(
        guinier, pairs, d_max, interval, invariant, porod_end, volume, *find_kratky_peak(pairs), masses, channels,
        pairs.good_parameters, tuple(notes))


def tail_distance(pairs: PairDistances) -> float:
    """Returns the distance (A) at which P(r) has fallen to `_TAIL_SHARE` of its maximum; NaN if there is no P(r)."""
    return last_significant_distance(pairs, _TAIL_SHARE)


def _estimate_d_max(pairs: PairDistances) -> tuple[float, tuple[float, float]]:
    """Returns the largest distance between two atoms (A), and the limits of its 90% interval.

    The last distances are too rare to show in a curve, and bound water adds some; the calibration corrects for both.
    """
    tail = tail_distance(pairs)
    error = pairs.d_max_sigma / pairs.d_max_angstrom
    return _D_MAX_OVER_TAIL * tail, molecular_mass.calibrated_interval(tail, _D_MAX_QUANTILES, error)


def find_kratky_peak(pairs: PairDistances) -> tuple[float, float]:
    """Returns q Rg and height of the peak of the dimensionless Kratky plot; NaN if there is no peak or no P(r).

    The plot is that of the smooth curve of P(r), below q Rg = 4 (D. Durand et al., J. Struct. Biol. 169, 45, 2010). A
    chain has no peak there.

    Args:
      pairs: P(r) of the curve.
    """
    nan = float("nan")
    if pairs.reason:
        return nan, nan
    x = _KRATKY_RANGE[_KRATKY_RANGE <= pairs.q_max_inv_angstrom * pairs.rg_angstrom]
    if not x.size:
        return nan, nan
    kratky = x**2 * transform_to_intensity(pairs, x / pairs.rg_angstrom) / pairs.i0
    peak = int(np.argmax(kratky))
    return (float(x[peak]), float(kratky[peak])) if 0 < peak < x.size - 1 else (nan, nan)
