"""Estimates the standard deviations of a curve from its own scatter, for files in which they are missing or impossible.

Each point is compared with the cubic through four neighbours, two on each side; if the curve is smooth, the difference
is noise. Measured curves are often interpolated or smoothed: adjacent points then share their noise and differ too
little. Therefore the neighbours are chosen a few points apart, as far as the curvature of the curve allows. Called by
`saxsae.io.curves.cleaning`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_MAX_STRIDE = 4  # largest distance of neighbours, in points
# Largest distance of neighbours in q, relative to the q at which I has fallen to one half. Residuals over longer
# distances show the curvature of the curve, not its noise.
_STEP_OF_HALF_WIDTH = 0.07
_SMALLEST_GAP = 1e-60  # relative distance of neighbours; its fourth power is not zero
_FLOOR = 0.002  # smallest relative standard deviation; instruments do not measure better


class NeighbourResiduals(NamedTuple):
    """The residuals of the M = N - 4 stride inner points of a curve.

    Attributes:
      residual: (M,) difference between a point and the cubic through its neighbours, scaled so that the standard
        deviation of the residual is that of the noise of one point.
      expected: (M,) standard deviation of the residual if the given sigma is right; 1 if no sigma was given.
      centre: (M,) int, index of the point in the curve.
      stride: distance of the neighbours, in points.
    """

    residual: np.ndarray
    expected: np.ndarray
    centre: np.ndarray
    stride: int


def neighbour_residuals(q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray | None = None) -> NeighbourResiduals:
    """Returns the residuals of the points of a curve from the cubics through their neighbours.

    Args:
      q: (N,) ascending, N >= 5, any unit.
      intensity: (N,), any unit.
      sigma: (N,) standard deviations of `intensity`, or None.
    """
    stride = _stride(q, intensity)
    size = q.size - 4 * stride
    take = np.arange(size)[:, None] + stride * np.arange(5)
    offset = q[take] - q[take[:, 2]][:, None]
    offset = offset / (offset[:, -1:] - offset[:, :1])
    # The divided difference of order four is zero for cubics, whatever the spacing.
    gap = offset[:, :, None] - offset[:, None, :] + np.eye(5)
    gap = np.copysign(np.maximum(np.abs(gap), _SMALLEST_GAP), gap)
    weight = 1 / np.prod(gap, axis=2)
    weight /= np.sqrt(np.sum(weight**2, axis=1, keepdims=True))
    residual = np.sum(weight * intensity[take], axis=1)
    expected = np.ones(size)
    if sigma is not None:
        expected = np.sqrt(np.sum((weight * sigma[take]) ** 2, axis=1))
    return NeighbourResiduals(residual, expected, take[:, 2], stride)


def scatter_over_sigma(q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray) -> float:
    """Returns the median ratio of the scatter of the points to their sigma, which is 1 if sigma is right.

    Args:
      q: (N,) ascending, N >= 5, any unit.
      intensity: (N,), any unit.
      sigma: (N,) standard deviations of `intensity`.
    """
    found = neighbour_residuals(q, intensity, sigma)
    return float(1.4826 * np.median(np.abs(found.residual) / found.expected))


def estimate_sigma(q: np.ndarray, intensity: np.ndarray) -> tuple[np.ndarray, bool]:
    """Returns the standard deviation of every point, smooth in q, estimated from the scatter around it.

    Args:
      q: (N,) ascending, N >= 5, any unit.
      intensity: (N,), any unit.

    Returns:
      The standard deviations (N,), at least 0.2 % of the local intensity plus 1e-5 of the largest; and whether most
      points have that smallest value, as in a computed curve without noise.
    """
    found = neighbour_residuals(q, intensity)
    width = int(np.clip(q.size // 8, 15, 151)) | 1
    # The median absolute deviation is robust to a hot pixel. Its logarithm is averaged, so that the result is positive.
    local = 1.4826 * _running(np.median, np.abs(found.residual), width)
    smallest = 1e-5 * np.max(np.abs(intensity))
    local = np.exp(_running(np.mean, np.log(np.maximum(local, 1e-3 * smallest + 1e-300)), width))
    sigma = np.interp(np.arange(q.size), found.centre, local)
    floor = _FLOOR * _running(np.median, np.abs(intensity), 5) + smallest
    return np.maximum(sigma, floor), bool(np.mean(sigma < floor) > 0.5)


def _stride(q: np.ndarray, intensity: np.ndarray) -> int:
    """Returns the distance of neighbours in points, 1 to `_MAX_STRIDE`.

    It is the largest that spans at most `_STEP_OF_HALF_WIDTH` of the q at which I has fallen to one half, and at most
    an eighth of the points.
    """
    smooth = _running(np.median, intensity, 5)
    peak = int(np.argmax(smooth[:max(5, q.size // 2)]))
    below = np.flatnonzero(smooth[peak:] < 0.5 * smooth[peak])
    q_half = q[peak + below[0]] if below.size else q[-1]
    step = np.median(np.diff(q[q <= max(3 * q_half, q[4])]))
    most = min(_MAX_STRIDE, (q.size - 1) // 8)
    return int(np.clip(_STEP_OF_HALF_WIDTH * q_half / step, 1, max(most, 1)))


def _running(statistic: Callable[..., np.ndarray], values: np.ndarray, width: int) -> np.ndarray:
    """Returns the running `np.median` or `np.mean` (N,) of values (N,), mirrored at the ends; `width` is odd."""
    width = min(width, (values.size - 1) | 1)
    if width < 3:
        return values
    padded = np.pad(values, width // 2, mode="reflect")
    return statistic(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1)
