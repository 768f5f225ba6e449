"""Estimates the molecular mass of a protein from a curve on any scale, by four methods, with 90% intervals.

Three methods are published; all use integrals over the curve, whose part below the Guinier region is the Guinier line.
The fourth is ours: the logarithm of the mass is linear in those of Porod volume, volume of correlation and Rg, fitted
to simulated curves of proteins in water by `launch.datasets.calibrate_curve_numbers`, which also sets all intervals.
The median of the four is the consensus, because their errors have different causes. No method holds for nucleic acids,
which scatter more for their mass. `mass_by_concentration` needs a known scale.
"""

import math
from typing import NamedTuple

import numpy as np

from saxsae.profiles.guinier import GuinierFit
from saxsae.profiles.rebinning import CurveLike

_FEWEST_Q_RG = 3.0  # smallest q Rg to which a curve has to reach, because the integrals are those of surface and volume
_FEWEST_POINTS = 20
_NORMAL_90 = 1.645  # standard deviations on each side of a 90% interval
_GUINIER_STEPS = 64

POROD, CORRECTED_POROD, CORRELATION_VOLUME, CALIBRATED, CONSENSUS = METHODS = (
    "porod", "corrected_porod", "correlation_volume", "calibrated", "consensus")
_FEWEST_METHODS = 3  # that must give a mass for a consensus
# From `launch.datasets.calibrate_curve_numbers`: the logarithm of the mass by `mass_features`, and the 5% and 95%
# quantiles of the true mass over each estimate.
_CALIBRATION = np.array([-6.2986, 0.5491, 0.9665, -0.5583])
_TRUTH_OVER_ESTIMATE = {
    POROD: (0.767, 1.254),
    CORRECTED_POROD: (0.769, 1.619),
    CORRELATION_VOLUME: (0.764, 1.230),
    CALIBRATED: (0.776, 1.175),
    CONSENSUS: (0.804, 1.183),
}
_KDA_PER_ANGSTROM3 = 0.83e-3  # mean density of a protein, as Piiadov and others use it
_POROD_DIVISOR = 1.6e3  # A^3 of Porod volume for a kDa
_CORRELATION_CONSTANT = 123.1  # A^3 of (V_c^2 / Rg) for a kDa
_POROD_Q_RG, _POROD_Q_RANGE = 8.0, (0.1, 0.5)  # end of Porod integrals: this q Rg, within this range of q
_CORRELATION_Q_MAX = 0.3  # 1/A, end of the integral of the volume of correlation
# End of the integrals of the calibrated mass, the larger of the two; a larger q does not improve the mass.
_CALIBRATED_Q_MAX, _CALIBRATED_Q_RG = 0.2, 4.0


class CurveIntegrals(NamedTuple):
    """Integrals of I(q) / I(0) over q from 0 to a largest q.

    Attributes:
      q_max_inv_angstrom: the largest q, 1/A.
      first_moment: integral of q I / I(0), 1/A^2.
      first_moment_error: its relative standard deviation.
      second_moment: integral of q^2 I / I(0), 1/A^3.
      second_moment_error: its relative standard deviation.
      tail: integral of q^2 I / I(0) from the largest q to infinity by Porod's law, 1/A^3.
    """

    q_max_inv_angstrom: float
    first_moment: float
    first_moment_error: float
    second_moment: float
    second_moment_error: float
    tail: float


class MassEstimate(NamedTuple):
    """A molecular mass.

    Attributes:
      method: one of `METHODS`, or of a `mass_by_concentration.MassScale`.
      mass_kda: kDa; NaN if it is not determined.
      interval_kda: the limits between which the mass lies with a probability of 90%, kDa.
      reason: why the mass is not determined; "" if it is.
    """

    method: str
    mass_kda: float
    interval_kda: tuple[float, float]
    reason: str


def integrate_curve(curve: CurveLike, guinier: GuinierFit, q_max: float) -> CurveIntegrals | str:
    """Returns the integrals of a curve up to q_max (1/A) or its end, or why there are none.

    Args:
      curve: the measured curve.
      guinier: its valid Guinier fit. Below its region the intensity is that of the line.
      q_max: the largest q, 1/A.
    """
    q, intensity, sigma = (np.asarray(a, np.float64)[guinier.first:] for a in (
        curve.q_inv_angstrom, curve.intensity, curve.sigma))
    used = np.isfinite(q) & np.isfinite(intensity) & np.isfinite(sigma) & (q <= q_max)
    q, intensity, sigma = q[used], intensity[used] / guinier.i0, sigma[used] / guinier.i0
    rg = guinier.rg_angstrom
    if q.size < _FEWEST_POINTS:
        return f"{q.size} points from the Guinier region to q = {q_max:.2g} 1/A; {_FEWEST_POINTS} are needed"
    if q[-1] * rg < _FEWEST_Q_RG:
        return f"the curve ends at q Rg = {q[-1] * rg:.2g}; {_FEWEST_Q_RG:g} is needed"
    below = np.linspace(0.0, q[0], _GUINIER_STEPS)
    line = np.exp(-((below * rg) ** 2) / 3)
    widths = np.diff(q, prepend=q[0], append=q[-1])
    weights = 0.5 * (widths[:-1] + widths[1:])  # of the trapezoidal rule
    scale_error = guinier.i0_sigma / guinier.i0
    moments: list[tuple[float, float]] = []
    for power in (1, 2):
        total = np.trapezoid(below**power * line, below) + float(np.sum(weights * q**power * intensity))
        if not total > 0:
            return "the intensities sum to less than zero"
        noise = math.sqrt(float(np.sum((weights * q**power * sigma) ** 2))) / total
        moments.append((float(total), math.hypot(noise, scale_error)))
    (first, first_error), (second, second_error) = moments
    return CurveIntegrals(
        float(q[-1]), first, first_error, second, second_error, _porod_tail(q, intensity, sigma))


def _porod_tail(q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray) -> float:
    """Returns the integral of q^2 I beyond the last point if I = K / q^4 there; at least 0.

    K comes from the last third of the range of q, over which oscillations average out; points weigh by 1 / sigma^2.
    """
    last = q >= q[-1] - (q[-1] - q[0]) / 3
    model, weight = q[last] ** -4.0, np.maximum(sigma[last], 1e-12) ** -2.0
    constant = float(np.sum(weight * model * intensity[last]) / np.sum(weight * model**2))
    return max(constant, 0.0) / float(q[-1])


def porod_volume(integrals: CurveIntegrals, tail: bool = True) -> float:
    """Returns the Porod volume 2 pi^2 I(0) / (integral of q^2 I), A^3 (G. Porod, Kolloid-Z. 124, 83, 1951).

    Args:
      integrals: of the curve.
      tail: whether the integral goes on to infinity by Porod's law.
    """
    return 2 * np.pi**2 / (integrals.second_moment + (integrals.tail if tail else 0.0))


def porod_q_max(rg_angstrom: float) -> float:
    """Returns the largest q (1/A) of Porod integrals: 8 / Rg, from 0.1 to 0.5 (Piiadov and others)."""
    return float(np.clip(_POROD_Q_RG / rg_angstrom, *_POROD_Q_RANGE))


def calibrated_q_max(rg_angstrom: float) -> float:
    """Returns the largest q (1/A) of the integrals of the calibrated mass."""
    return max(_CALIBRATED_Q_MAX, _CALIBRATED_Q_RG / rg_angstrom)


def correct_porod_volume(volume_angstrom3: float, q_max: float) -> float:
    """Returns the volume (A^3) of a protein from its Porod volume without a tail, integrated up to q_max (1/A).

    The correction is linear, with coefficients that are polynomials in q_max: V. Piiadov et al., Protein Sci. 28, 454
    (2019), after H. Fischer et al., J. Appl. Cryst. 43, 101 (2010). They hold from 0.1 to 0.5 1/A.
    """
    offset = np.polyval([-2.114e6, 2.920e6, -1.472e6, 3.349e5, -3.577e4], q_max)
    return float(offset + np.polyval([12.09, -9.39, 3.03, 0.29], q_max) * volume_angstrom3)


def estimate_masses(curve: CurveLike, guinier: GuinierFit) -> tuple[MassEstimate, ...]:
    """Returns the masses by all of `METHODS`, in this order; nothing is raised.

    * "porod": Porod volume with its tail, over 1.6 A^3 / Da (M. Petoukhov et al., J. Appl. Cryst. 45, 342, 2012).
    * "corrected_porod": `correct_porod_volume` times 0.83 Da / A^3.
    * "correlation_volume": V_c^2 / Rg over 123.1 A^3 / kDa, V_c = I(0) / (integral of q I) up to 0.3 1/A (R. Rambo,
      J. Tainer, Nature 496, 477, 2013).
    * "calibrated": our regression.
    * "consensus": the median of those of the others that are determined, three at least.

    Args:
      curve: the measured curve.
      guinier: its Guinier fit.
    """
    if not guinier.valid:
        return tuple(_not_determined(method, f"no Guinier region: {guinier.reason}") for method in METHODS)
    rg, rg_error = guinier.rg_angstrom, guinier.rg_sigma / guinier.rg_angstrom
    to_porod, to_correlation, to_calibrated = (
        integrate_curve(curve, guinier, q_max) for q_max in (
            porod_q_max(rg), _CORRELATION_Q_MAX, calibrated_q_max(rg)))
    masses = []
    if isinstance(to_porod, str):
        masses += [_not_determined(method, to_porod) for method in (POROD, CORRECTED_POROD)]
    else:
        error = to_porod.second_moment_error
        masses.append(_with_interval(POROD, porod_volume(to_porod) / _POROD_DIVISOR, error))
        if to_porod.q_max_inv_angstrom < _POROD_Q_RANGE[0] - 0.01:
            masses.append(_not_determined(CORRECTED_POROD, f"the curve ends at {to_porod.q_max_inv_angstrom:.2g} 1/A; "
                                                           f"{_POROD_Q_RANGE[0]:g} is needed"))
        else:
            volume = correct_porod_volume(porod_volume(to_porod, tail=False), to_porod.q_max_inv_angstrom)
            masses.append(_with_interval(CORRECTED_POROD, _KDA_PER_ANGSTROM3 * volume, error))
    if isinstance(to_correlation, str):
        masses.append(_not_determined(CORRELATION_VOLUME, to_correlation))
    else:
        error = math.hypot(2 * to_correlation.first_moment_error, rg_error)
        mass = to_correlation.first_moment**-2 / rg / _CORRELATION_CONSTANT
        masses.append(_with_interval(CORRELATION_VOLUME, mass, error))
    if isinstance(to_calibrated, str):
        masses.append(_not_determined(CALIBRATED, to_calibrated))
    else:
        error = math.hypot(to_calibrated.first_moment_error, to_calibrated.second_moment_error, rg_error)
        mass = math.exp(float(mass_features(to_calibrated, rg) @ _CALIBRATION))
        masses.append(_with_interval(CALIBRATED, mass, error))
    return *masses, _find_consensus(masses, math.hypot(rg_error, guinier.i0_sigma / guinier.i0))


def _find_consensus(masses: list[MassEstimate], error: float) -> MassEstimate:
    """Returns the median of the masses that are determined.

    Args:
      masses: by all other methods.
      error: relative standard deviation that the noise of Rg and I(0) gives to all.
    """
    determined = [mass.mass_kda for mass in masses if math.isfinite(mass.mass_kda)]
    if len(determined) < _FEWEST_METHODS:
        return _not_determined(CONSENSUS, next(mass.reason for mass in masses if mass.reason))
    return _with_interval(CONSENSUS, float(np.median(determined)), error)


def mass_features(integrals: CurveIntegrals, rg_angstrom: float) -> np.ndarray:
    """Returns the features (4,) of the calibrated mass; its logarithm in kDa is their product with `_CALIBRATION`.

    Args:
      integrals: up to `calibrated_q_max` or the end of the curve.
      rg_angstrom: radius of gyration, A.
    """
    return np.array([1.0, math.log(porod_volume(integrals)), -math.log(integrals.first_moment), math.log(rg_angstrom)])


def _with_interval(method: str, mass_kda: float, error: float) -> MassEstimate:
    """Returns a mass with its interval, that of the calibration, enlarged by the curve's own noise.

    Args:
      method: one of `METHODS`.
      mass_kda: its estimate.
      error: relative standard deviation of the estimate by the noise.
    """
    if not (math.isfinite(mass_kda) and mass_kda > 0):
        return _not_determined(method, "the volume is not positive")
    return MassEstimate(method, mass_kda, calibrated_interval(mass_kda, _TRUTH_OVER_ESTIMATE[method], error), "")


def calibrated_interval(estimate: float, truth_over_estimate: tuple[float, float], error: float) -> tuple[float, float]:
    """Returns the limits of a 90% interval, in the unit of the estimate.

    Args:
      estimate: a positive estimate.
      truth_over_estimate: quantiles of 5% and 95% of the true value over the estimate, over structures.
      error: relative standard deviation of the estimate by the noise of the curve.
    """
    low, high = np.log(truth_over_estimate)
    half = math.hypot((high - low) / 2, _NORMAL_90 * error)
    middle = estimate * math.exp((low + high) / 2)
    return middle * math.exp(-half), middle * math.exp(half)


def _not_determined(method: str, reason: str) -> MassEstimate:
    """Returns the result of a method that cannot be used."""
    nan = float("nan")
    return MassEstimate(method, nan, (nan, nan), reason)
