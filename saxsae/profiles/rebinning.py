"""Selects the points of a curve in a range of q, and averages them to a fixed number of points.

With a fixed number of points one compiled program serves curves of any length. `saxsae.preparation` calls `rebin`; the
fits to all measured points (`saxsae.profiles.fitting`, `saxsae.profiles.structure_fit`) call `select_points`.
"""

from typing import NamedTuple, Protocol

import numpy as np

from phasenet.errors import InputError


class CurveLike(Protocol):
    """Any object with the points of a measured curve, such as `saxsae.io.curves.measured_curves.Curve`."""

    @property
    def q_inv_angstrom(self) -> np.ndarray:
        """The scattering vectors (N,), ascending, 1/A."""

    @property
    def intensity(self) -> np.ndarray:
        """The intensities (N,), any unit."""

    @property
    def sigma(self) -> np.ndarray:
        """The standard deviations (N,) of the intensities, positive."""


class RebinnedCurve(NamedTuple):
    """A curve of a fixed number of points, padded at the end.

    Attributes:
      q_inv_angstrom: (num_points,) float64, 1/A, ascending; the padding repeats the last value.
      intensity: (num_points,) float64, in the unit of the curve; 0 in the padding.
      sigma: (num_points,) float64, standard deviations of `intensity`; infinite in the padding.
      weight: (num_points,) float64, 1 / sigma^2, for `scattering.chi_squared`; 0 in the padding.
    """

    q_inv_angstrom: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    weight: np.ndarray


def select_points(curve: CurveLike, q_range: tuple[float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns q (1/A), intensity and sigma, (M,) float64 each, of the points of a curve in a range of q.

    Args:
      curve: the measured curve.
      q_range: smallest and largest q, 1/A, both included.
    """
    q, intensity, sigma = (np.asarray(a, np.float64) for a in (curve.q_inv_angstrom, curve.intensity, curve.sigma))
    inside = (q >= q_range[0]) & (q <= q_range[1])
    return q[inside], intensity[inside], sigma[inside]


def rebin(curve: CurveLike, q_max: float = 0.2, num_points: int = 128, q_min: float = 0.0) -> RebinnedCurve:
    """Returns the part of a curve between q_min and q_max, averaged to at most `num_points` points and padded.

    A part of more than `num_points` points is averaged in equal bins of q. Points are weighted by 1 / sigma^2, and the
    sigma of a bin is that of the weighted mean, so that chi^2 per bin has the meaning of chi^2 per point. Empty bins
    are left out. A part of fewer points is not averaged.

    Args:
      curve: the measured curve.
      q_max: largest q, 1/A, included.
      num_points: length of the result.
      q_min: smallest q, 1/A, included.

    Raises:
      InputError: fewer than five points lie in the range.
    """
    q, intensity, sigma = select_points(curve, (q_min, q_max))
    if q.size < 5:
        raise InputError(
            f"only {q.size} points between q = {q_min:g} and {q_max:g} 1/A (the curve spans "
            f"{curve.q_inv_angstrom[0]:.4g} to {curve.q_inv_angstrom[-1]:.4g} 1/A): at least 5 are needed; check q_max "
            "and the unit of q")
    if q.size > num_points:
        width = (q[-1] - q[0]) / num_points
        bins = np.minimum(((q - q[0]) / width).astype(int), num_points - 1)
        weight = sigma**-2
        total = np.bincount(bins, weight, minlength=num_points)
        filled = total > 0
        total = total[filled]
        q = np.bincount(bins, weight * q, minlength=num_points)[filled] / total
        intensity = np.bincount(bins, weight * intensity, minlength=num_points)[filled] / total
        sigma = total**-0.5
    padding = (0, num_points - q.size)
    return RebinnedCurve(
        np.pad(q, padding, mode="edge"), np.pad(intensity, padding),
        np.pad(sigma, padding, constant_values=np.inf), np.pad(sigma**-2, padding))
