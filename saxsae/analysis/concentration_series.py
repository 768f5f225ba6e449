"""Fits Rg and I(0)/c of one sample against its concentration c; at c = 0 the particles do not interact.

Repulsion between particles lowers both numbers at higher c; attraction or association raises them (D. Svergun, M. Koch,
P. Timmins, R. May, Small Angle X-Ray and Neutron Scattering from Solutions of Biological Macromolecules, 2013). The
fits are weighted lines. Called by `launch.reconstruction.series`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

SIGNIFICANT = 2.0  # standard errors; a smaller slope counts as zero
_LEAST_RATIO = 1.3  # smallest ratio of concentrations that determines a power of c
NONE_SEEN, REPULSION, ATTRACTION = "no interaction seen", "repulsion", "attraction or association"
MIXED = "no simple interaction"


class ConcentrationLine(NamedTuple):
    """A weighted line of a quantity against the concentration.

    Attributes:
      at_zero: the value at c = 0, in the unit of the quantity.
      at_zero_error: its standard error.
      slope: change per unit of concentration.
      slope_error: its standard error.
      reduced_chi_squared: chi^2 over N - 2; NaN for two points.
    """

    at_zero: float
    at_zero_error: float
    slope: float
    slope_error: float
    reduced_chi_squared: float

    @property
    def direction(self) -> int:
        """1 or -1 if the quantity rises or falls by more than `SIGNIFICANT` standard errors, else 0."""
        return int(np.sign(self.slope)) if abs(self.slope) > SIGNIFICANT * self.slope_error else 0


class ConcentrationSeries(NamedTuple):
    """How a sample changes with its concentration.

    Attributes:
      rg_angstrom: the line of the radius of gyration, A.
      i0_per_concentration: the line of I(0)/c, unit of the intensity over that of the concentration.
      interaction: `NONE_SEEN`, `REPULSION`, `ATTRACTION`, or `MIXED` if one of the two rises and the other falls.
    """

    rg_angstrom: ConcentrationLine
    i0_per_concentration: ConcentrationLine
    interaction: str


def fit_line(concentration: ArrayLike, value: ArrayLike, sigma: ArrayLike) -> ConcentrationLine:
    """Returns the line of weighted least squares through the values of a series.

    The standard errors follow from `sigma`, and are raised by the scatter about the line if that is larger.

    Args:
      concentration: (N,), N >= 2, not all equal.
      value: (N,), any unit.
      sigma: (N,) standard deviations of `value`, positive.

    Raises:
      ValueError: fewer than two different concentrations, or a standard deviation that is not positive.
    """
    c, y, sigma = (np.asarray(values, np.float64) for values in (concentration, value, sigma))
    if not (np.isfinite(c).all() and np.isfinite(y).all() and np.unique(c).size > 1):
        raise ValueError("a line needs finite values at two different concentrations at least")
    if not (np.isfinite(sigma) & (sigma > 0)).all():
        raise ValueError("standard deviations must be positive")
    weight = sigma**-2
    total = weight.sum()
    mean_c, mean_y = (weight * c).sum() / total, (weight * y).sum() / total
    spread = (weight * (c - mean_c) ** 2).sum()
    slope = (weight * (c - mean_c) * (y - mean_y)).sum() / spread
    at_zero = mean_y - slope * mean_c
    degrees = c.size - 2
    chi_squared = (weight * (y - at_zero - slope * c) ** 2).sum() / degrees if degrees else np.nan
    raised = max(1.0, float(np.sqrt(chi_squared))) if degrees else 1.0
    return ConcentrationLine(
        float(at_zero), float(raised * np.sqrt(1 / total + mean_c**2 / spread)), float(slope),
        float(raised / np.sqrt(spread)), float(chi_squared))


def is_divided_by_concentration(concentration: ArrayLike, i0: ArrayLike) -> bool:
    """Returns whether the intensities of a series were divided by the concentration before they were written.

    I(0) grows with a power of c near 0 if they were, and near 1 if not; interaction changes the power by far less than
    a half.

    Args:
      concentration: (N,) positive. If all lie within a factor of 1.3, False is returned.
      i0: (N,) forward intensities, positive.
    """
    c = np.log(np.asarray(concentration, np.float64))
    if np.ptp(c) < np.log(_LEAST_RATIO):
        return False
    deviation = c - c.mean()
    return bool((deviation * np.log(np.asarray(i0, np.float64))).sum() < 0.5 * (deviation**2).sum())


def analyze_series(concentration: ArrayLike, rg_angstrom: ArrayLike, rg_sigma: ArrayLike, i0: ArrayLike,
                   i0_sigma: ArrayLike) -> ConcentrationSeries:
    """Returns how Rg and I(0)/c depend on the concentration.

    Args:
      concentration: (N,), N >= 2, not all equal, positive, such as mg/ml.
      rg_angstrom: (N,) radii of gyration, A.
      rg_sigma: (N,) their standard deviations, positive.
      i0: (N,) forward intensities of curves that are not divided by the concentration.
      i0_sigma: (N,) their standard deviations, positive.

    Raises:
      ValueError: see `fit_line`; or a concentration is not positive.
    """
    c = np.asarray(concentration, np.float64)
    if not (c > 0).all():
        raise ValueError("concentrations must be positive")
    rg = fit_line(c, rg_angstrom, rg_sigma)
    forward = fit_line(c, np.asarray(i0, np.float64) / c, np.asarray(i0_sigma, np.float64) / c)
    return ConcentrationSeries(rg, forward, _name_interaction({rg.direction, forward.direction}))


def _name_interaction(directions: set[int]) -> str:
    """Returns the interaction that the directions of the slopes of Rg and I(0)/c show."""
    if {1, -1} <= directions:
        return MIXED
    return ATTRACTION if 1 in directions else REPULSION if -1 in directions else NONE_SEEN
