"""Turns the columns of a file into a curve that can be fitted: drops, sorts and averages points, estimates sigmas.

Every step that changes something adds a note with the number of points. Called by `measured_curves.read_curve`.

1. Drop the points without a finite q or intensity, those with q <= 0 and those far outside the range of q; sort by q.
2. Drop single points without a positive sigma. If more than half of the points lack one, estimate all sigmas in step 5.
3. Average the points of equal q. Drop single points far above all their neighbours (hot pixels, cosmic rays).
4. Drop zeros that fill either end of the table, and the leading points in the beamstop's shadow.
5. Estimate the sigmas (`saxsae.profiles.noise`) if they are missing or contradict the scatter of the points.
6. Drop the points whose intensity lies further below zero than noise explains.
"""

from typing import NamedTuple

import numpy as np

from saxsae.profiles.noise import estimate_sigma, scatter_over_sigma

MIN_POINTS = 10
# Ratios of the points' scatter to sigma. Above 3, where a perfect model has a chi^2 of about 9, sigma is not an
# uncertainty and is replaced. Below, sigma is kept with a note: if it is wrong by a constant factor, the relative
# weights of the points are still right.
_IMPOSSIBLE_SCATTER, _DOUBTFUL_SCATTER, _LOW_SCATTER = 3.0, 1.5, 0.25
_MAX_SIGMAS_BELOW_ZERO = 5.0  # noise does not explain an intensity further below zero
_MAX_Q_OVER_MEDIAN = 1e4  # a larger q is a misprint
_LARGEST, _SMALLEST = 1e60, 1e-60  # larger magnitudes count as overflow, smaller ones as zero; their squares are finite
# Fraction of the intensity of the plateau at low q. Leading points that lie further below the plateau than this are in
# the beamstop's shadow.
_SHADOW_FRACTION = 0.5
_SPIKE_SCATTER = 8.0  # a spike rises above its neighbours by this many times the median scatter of neighbours
_MAX_SPIKES, _MIN_SPIKES = 0.01, 2  # at most this fraction of the points, or this number, are spikes
# A shadow covers at most this fraction of the points, or `_MIN_SHADOW` of them. A longer rise is not a shadow but says
# that the numbers are no intensities, or that the particles repel each other; it is kept for `saxsae.verdict` to see.
_MAX_SHADOW, _MIN_SHADOW = 0.05, 5


class CleanedCurve(NamedTuple):
    """A curve after cleaning, possibly with fewer than `MIN_POINTS` points; the caller checks the number.

    Attributes:
      q: (N,) float64, unit of the file, positive, ascending, each value once.
      intensity: (N,) float64, unit of the file; negative values within noise are kept.
      sigma: (N,) float64, standard deviation of the intensity, positive; may be NaN if N < `MIN_POINTS`.
      sigma_estimated: whether sigma is missing or unusable in the file, and therefore estimated.
      negative_share: sum of the intensities that were dropped because they lie further below zero than noise explains,
        relative to the sum of the positive ones and positive.
      notes: what was dropped, changed or estimated, one line each.
    """

    q: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    sigma_estimated: bool
    negative_share: float
    notes: tuple[str, ...]


def clean_curve(q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray | None) -> CleanedCurve:
    """Returns a curve that can be fitted, from the columns of a file, by the steps at the head of this module.

    Args:
      q: (N,) in any unit and order; NaN and infinity allowed, as in the other columns.
      intensity: (N,), any unit.
      sigma: (N,) standard deviations of the intensities; None if the file has none.

    Returns:
      The curve, in the units of the arguments.
    """
    notes: list[str] = []
    data = np.stack([q, intensity, np.full(np.shape(q), np.nan) if sigma is None else sigma])
    data = np.asarray(data, np.float64)

    def drop(bad: np.ndarray, description: str) -> None:
        nonlocal data
        if bad.any():
            notes.append(f"{_count_points(bad.sum())} {description} dropped")
            data = data[:, ~bad]

    data[np.abs(data) > _LARGEST] = np.nan
    data[np.abs(data) < _SMALLEST] = 0
    drop(~np.isfinite(data[:2]).all(axis=0), "without a finite q or intensity")
    drop(data[0] <= 0, "with q <= 0")
    if data.size:
        drop(data[0] > _MAX_Q_OVER_MEDIAN * np.median(data[0]), "far outside the range of q")
    data = _sort_by_q(data, notes)
    usable = np.isfinite(data[2]) & (data[2] > 0)
    why_estimate = None
    if sigma is None:
        why_estimate = "the file has no sigma"
    elif usable.sum() < 0.5 * usable.size:
        why_estimate = f"sigma is zero, negative or not a number at {(~usable).sum()} of {usable.size} points"
    else:
        drop(~usable, "without a positive sigma")
    if why_estimate:
        data[2] = np.nan
    data = _average_duplicates(data, notes)
    drop(_is_padding(data[1]), "of zero intensity at an end of the table")
    drop(_is_spike(data[1]), "far above all neighbours (a hot pixel or a cosmic ray?)")
    drop(_is_shadowed(data[1], data[2]), "in the beamstop's shadow at the smallest q")
    negative_share = 0.0
    if data.shape[1] >= MIN_POINTS:
        why_estimate = why_estimate or _examine_sigma(data, notes)
        if why_estimate:
            data[2], noiseless = estimate_sigma(data[0], data[1])
            notes.append(f"{why_estimate}: " + (
                "no noise found (a computed curve?), 0.2 % of the intensity taken as sigma" if noiseless
                else "sigma estimated from the scatter of the points"))
        too_negative = data[1] < -_MAX_SIGMAS_BELOW_ZERO * data[2]
        negative_share = float(-data[1, too_negative].sum() / max(np.maximum(data[1], 0).sum(), _SMALLEST))
        drop(too_negative, f"more than {_MAX_SIGMAS_BELOW_ZERO:g} sigma below zero (over-subtracted buffer?)")
        negative = int(np.sum(data[1] <= 0))
        if negative:
            notes.append(f"{_count_points(negative)} with intensity <= 0 within noise kept")
    return CleanedCurve(data[0], data[1], data[2], why_estimate is not None, negative_share, tuple(notes))


def _sort_by_q(data: np.ndarray, notes: list[str]) -> np.ndarray:
    """Returns the rows q, intensity, sigma (3, N) in ascending order of q."""
    step = np.diff(data[0])
    if not np.any(step < 0):
        return data
    if np.all(step <= 0):
        notes.append("q in descending order: reversed")
        return data[:, ::-1]
    notes.append(f"q out of order at {_count_points(np.sum(step < 0))}: sorted")
    return data[:, np.argsort(data[0], kind="stable")]


def _average_duplicates(data: np.ndarray, notes: list[str]) -> np.ndarray:
    """Returns (3, M) with one point for each q: equal rows once, others averaged with the weights 1 / sigma^2."""
    q = data[0]
    if q.size < 2 or np.all(np.diff(q) > 0):
        return data
    repeated = np.concatenate([[False], np.all(
        (data[:, 1:] == data[:, :-1]) | np.isnan(data[:, 1:]), axis=0)])
    if repeated.any():
        notes.append(f"{_count_points(repeated.sum())} repeated in the file: each used once")
        data = data[:, ~repeated]
    unique_q, inverse = np.unique(data[0], return_inverse=True)
    if unique_q.size < data.shape[1]:
        weighted = np.isfinite(data[2]).all()
        weight = data[2] ** -2 if weighted else np.ones(data.shape[1])
        total = np.bincount(inverse, weight)
        mean = np.bincount(inverse, weight * data[1]) / total
        sigma = total**-0.5 if weighted else np.full(unique_q.size, np.nan)
        notes.append(f"{_count_points(data.shape[1] - unique_q.size)} averaged with another of the same q")
        data = np.stack([unique_q, mean, sigma])
    return data


def _is_padding(intensity: np.ndarray) -> np.ndarray:
    """Returns a mask (N,) of the exact zeros that fill either end of a table; fewer than three do not count."""
    nonzero, index = np.flatnonzero(intensity != 0), np.arange(intensity.size)
    first, last = (nonzero[0], nonzero[-1]) if nonzero.size else (intensity.size, -1)
    padding = np.zeros(intensity.size, bool)
    for zeros in (index < first, index > last):
        padding |= zeros & (zeros.sum() >= 3)
    return padding


def _is_spike(intensity: np.ndarray) -> np.ndarray:
    """Returns a mask (N,) of single points that are far above their neighbours; many of them are no spikes.

    The next two points on each side of a spike agree with each other to a quarter of its height above them.
    """
    spikes = np.zeros(intensity.size, bool)
    if intensity.size < MIN_POINTS:
        return spikes
    padded = np.pad(intensity, 2, mode="reflect")
    around = np.lib.stride_tricks.sliding_window_view(padded, 5)[:, [0, 1, 3, 4]]
    highest, lowest = around.max(axis=1), around.min(axis=1)
    rise = intensity - highest
    scatter = 1.4826 * np.median(np.abs(np.diff(intensity)))
    spikes = (rise > 0.5 * np.abs(highest)) & (rise > 4 * (highest - lowest)) & (rise > _SPIKE_SCATTER * scatter)
    return spikes if spikes.sum() <= max(_MIN_SPIKES, _MAX_SPIKES * intensity.size) else np.zeros_like(spikes)


def _is_shadowed(intensity: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Returns a mask (N,) of the leading points that lie significantly below the plateau that follows them."""
    shadow = np.zeros(intensity.size, bool)
    if intensity.size < MIN_POINTS:
        return shadow
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(intensity, 5), axis=1)
    peak = int(np.argmax(smooth[:max(5, intensity.size // 5)]))  # the window's centre is point peak + 2
    below = smooth[peak] - intensity[:peak + 2]
    significant = ~(below < 4 * sigma[:peak + 2])  # true where sigma is NaN
    low = np.flatnonzero((below > _SHADOW_FRACTION * smooth[peak]) & significant)
    points = low[-1] + 1 if low.size else 0
    if points <= max(_MIN_SHADOW, _MAX_SHADOW * intensity.size):
        shadow[:points] = smooth[peak] > 0
    return shadow


def _examine_sigma(data: np.ndarray, notes: list[str]) -> str | None:
    """Returns why the sigmas of the file cannot be right, or None; adds a note if they are only doubtful."""
    q, intensity, sigma = data
    ratio = scatter_over_sigma(q, intensity, sigma)
    if ratio > _IMPOSSIBLE_SCATTER:
        return f"sigma is {ratio:.1f} times smaller than the scatter of the points"
    constant = np.ptp(sigma) <= 1e-6 * sigma[0]
    if constant and not 0.5 < ratio < 2.0:
        return f"sigma is {sigma[0]:g} at every point, which contradicts the scatter of the points"
    strongest = np.abs(intensity) >= np.quantile(np.abs(intensity), 0.75)
    exceeds = sigma[strongest] >= 0.5 * np.abs(intensity[strongest])
    if ratio < _LOW_SCATTER and np.mean(exceeds) > 0.9:
        return "the third column is as large as the intensity, so it is not sigma"
    if ratio > _DOUBTFUL_SCATTER:
        notes.append(f"sigma looks {ratio:.1f} times too small for the scatter of the points: kept")
    elif ratio < _LOW_SCATTER:
        notes.append(f"the points scatter {1 / max(ratio, 1e-9):.1f} times less than sigma "
                     "(smoothed, or sigma too large): kept")
    return None


def _count_points(number: int) -> str:
    """Returns "1 point" or "3 points"."""
    return f"{number} point{'' if number == 1 else 's'}"
