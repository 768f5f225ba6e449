"""Curves of one fixed length, so that one compiled program serves every curve."""

from typing import NamedTuple

import numpy as np

from phasenet.errors import InputError


class Rebinned(NamedTuple):
    """A curve of fixed length, padded at the end. All (num_points,) float64.

    Attributes:
      q_inv_angstrom: 1/A, ascending; the padding repeats the last.
      intensity: 0 in the padding.
      sigma: infinite in the padding.
      weight: 1 / sigma^2, 0 in the padding: what `scattering.chi_squared` takes.
    """

    q_inv_angstrom: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    weight: np.ndarray


def rebin(curve, q_max: float = 0.2, num_points: int = 128, q_min: float = 0.0) -> Rebinned:
    """The part of a curve between q_min and q_max on `num_points` points.

    A curve with more points is averaged in equal bins of q, each point weighted by 1 / sigma^2, the
    sigma of a bin that of its mean: chi^2 per bin keeps the meaning of chi^2 per point. A curve
    with fewer points stays as it is. Empty bins are closed up.

    Args:
        curve: anything with `q_inv_angstrom`, `intensity`, `sigma` of shape (N,), q ascending.
        q_max, q_min: 1/A, inclusive.

    Raises:
        InputError: fewer than five points lie in the range.
    """
    q, intensity, sigma = (np.asarray(a, np.float64) for a in (
        curve.q_inv_angstrom, curve.intensity, curve.sigma))
    inside = (q >= q_min) & (q <= q_max)
    if inside.sum() < 5:
        raise InputError(
            f"only {inside.sum()} points between q = {q_min:g} and {q_max:g} 1/A (the curve spans "
            f"{q[0]:.4g} to {q[-1]:.4g} 1/A): at least 5 are needed")
    q, intensity, sigma = q[inside], intensity[inside], sigma[inside]
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
    return Rebinned(
        np.pad(q, padding, mode="edge"), np.pad(intensity, padding),
        np.pad(sigma, padding, constant_values=np.inf), np.pad(sigma**-2, padding))
