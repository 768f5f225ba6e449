"""The noise of a curve from its own scatter, where the file's sigmas are missing or impossible.

Each point is compared with the cubic through four others, two on each side. What a smooth curve
leaves is noise. Measured curves are often interpolated or smoothed, so that neighbours share their
noise and differ too little: the others are taken a few points apart, as far as the curve's own bend
allows.
"""

from typing import NamedTuple

import numpy as np

_MAX_STRIDE = 4
# Longer steps, in q_half (where I has fallen to one half), show the curve's bend, not its noise.
_STEP_OF_HALF_WIDTH = 0.07
_FLOOR = 0.002   # of the intensity: no instrument measures better


class Scatter(NamedTuple):
    """residual: (M,) deviation of a point from its neighbours, of unit gain: its sd is the noise's.

    expected: (M,) the sd of that residual if `sigma` were right (1 where none was given).
    centre: (M,) index of the point.   stride: how many points apart the neighbours are.
    """

    residual: np.ndarray
    expected: np.ndarray
    centre: np.ndarray
    stride: int


def scatter(q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray | None = None) -> Scatter:
    """Residuals of the points of a curve from their neighbours.

    Args:
        q, intensity: (N,) with q ascending, N >= 5, any unit.
        sigma: (N,) standard deviations to compare with, or None.
    """
    stride = _stride(q, intensity)
    size = q.size - 4 * stride
    take = np.arange(size)[:, None] + stride * np.arange(5)
    offset = q[take] - q[take[:, 2]][:, None]
    offset = offset / (offset[:, -1:] - offset[:, :1])
    # Divided difference of order four: it annihilates cubics, on any spacing.
    gap = offset[:, :, None] - offset[:, None, :] + np.eye(5)
    weight = 1 / np.prod(gap, axis=2)
    weight /= np.sqrt(np.sum(weight**2, axis=1, keepdims=True))
    residual = np.sum(weight * intensity[take], axis=1)
    expected = np.ones(size)
    if sigma is not None:
        expected = np.sqrt(np.sum((weight * sigma[take]) ** 2, axis=1))
    return Scatter(residual, expected, take[:, 2], stride)


def scatter_over_sigma(q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray) -> float:
    """How many times the points scatter more than sigma says: 1 for honest sigmas (robust)."""
    found = scatter(q, intensity, sigma)
    return float(1.4826 * np.median(np.abs(found.residual) / found.expected))


def estimate_sigma(q: np.ndarray, intensity: np.ndarray) -> tuple[np.ndarray, bool]:
    """Standard deviation of every point, smooth in q, from the scatter around it.

    Args:
        q, intensity: (N,) with q ascending, N >= 5.

    Returns:
        sigma (N,), never below 0.2 % of the local intensity; and whether that floor holds for most
        points, as in a computed curve without noise.
    """
    found = scatter(q, intensity)
    width = int(np.clip(q.size // 8, 15, 151)) | 1
    # The median absolute deviation resists a hot pixel; averaged as a logarithm it stays positive.
    local = 1.4826 * _running(np.median, np.abs(found.residual), width)
    smallest = 1e-5 * np.max(np.abs(intensity))
    local = np.exp(_running(np.mean, np.log(np.maximum(local, 1e-3 * smallest + 1e-300)), width))
    sigma = np.interp(np.arange(q.size), found.centre, local)
    floor = _FLOOR * _running(np.median, np.abs(intensity), 5) + smallest
    return np.maximum(sigma, floor), bool(np.mean(sigma < floor) > 0.5)


def _stride(q: np.ndarray, intensity: np.ndarray) -> int:
    smooth = _running(np.median, intensity, 5)
    peak = int(np.argmax(smooth[:max(5, q.size // 2)]))
    below = np.flatnonzero(smooth[peak:] < 0.5 * smooth[peak])
    q_half = q[peak + below[0]] if below.size else q[-1]
    step = np.median(np.diff(q[q <= max(3 * q_half, q[4])]))
    most = min(_MAX_STRIDE, (q.size - 1) // 8)
    return int(np.clip(_STEP_OF_HALF_WIDTH * q_half / step, 1, max(most, 1)))


def _running(statistic, values: np.ndarray, width: int) -> np.ndarray:
    """Running median or mean over `width` (odd) values, mirrored at the ends."""
    width = min(width, (values.size - 1) | 1)
    if width < 3:
        return values
    padded = np.pad(values, width // 2, mode="reflect")
    return statistic(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1)
