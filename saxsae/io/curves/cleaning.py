"""From the numbers of a file to a curve that can be fitted: what is left out, averaged, estimated.

Every step that changes something leaves a note with its count.
"""

from typing import NamedTuple

import numpy as np

from saxsae.profiles.noise import estimate_sigma, scatter_over_sigma

MIN_POINTS = 10
# Scatter over sigma. Beyond 3 (chi^2 of a perfect model about 9) sigma is no uncertainty at all and
# is replaced; below, it is kept, with a note: wrong by a factor, it still weighs points rightly.
_IMPOSSIBLE, _DOUBTFUL, _GENEROUS = 3.0, 1.5, 0.25
_BELOW_ZERO = 5.0   # sigmas: a more negative intensity is no noise
_Q_OUTLIER = 1e4    # times the median q: a misprint, not a point
_LARGEST, _SMALLEST = 1e60, 1e-60   # beyond stands for overflow and for zero: their squares still are numbers
_SHADOW = 0.5       # of the low-q plateau: lower leading points are in the beamstop's shadow


class Cleaned(NamedTuple):
    """q (unit of the file), intensity, sigma: (N,) float64, q ascending; N may be too small."""

    q: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    sigma_estimated: bool
    notes: tuple[str, ...]


def clean(q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray | None) -> Cleaned:
    """A fittable curve from the columns of a file.

    In this order: points without a finite q or intensity, and q <= 0, are dropped; the rest sorted;
    single points without a usable sigma are dropped, but where most lack one all are estimated;
    points of equal q averaged; leading points in the beamstop's shadow dropped; sigmas that are
    absent or contradict the scatter of the points estimated (`saxsae.profiles.noise`); intensities further
    below zero than noise dropped.
    """
    notes = []
    data = np.stack([q, intensity, np.full(np.shape(q), np.nan) if sigma is None else sigma])
    data = np.asarray(data, np.float64)

    def drop(bad, what):
        nonlocal data
        if bad.any():
            notes.append(f"{_count(bad.sum())} {what} dropped")
            data = data[:, ~bad]

    data[np.abs(data) > _LARGEST] = np.nan
    data[np.abs(data) < _SMALLEST] = 0
    drop(~np.isfinite(data[:2]).all(axis=0), "without a finite q or intensity")
    drop(data[0] <= 0, "with q <= 0")
    if data.size:
        drop(data[0] > _Q_OUTLIER * np.median(data[0]), "far outside the range of q")
    data = _sort(data, notes)
    usable = np.isfinite(data[2]) & (data[2] > 0)
    missing = None   # why sigma must be estimated
    if sigma is None:
        missing = "the file has no sigma"
    elif usable.sum() < 0.5 * usable.size:
        missing = (f"sigma is zero, negative or not a number at {(~usable).sum()} of "
                   f"{usable.size} points")
    else:
        drop(~usable, "without a positive sigma")
    if missing:
        data[2] = np.nan
    data = _average_duplicates(data, notes)
    drop(_padding(data[1]), "of zero intensity at the end of the table")
    drop(_in_shadow(data[1], data[2]), "in the beamstop's shadow at the smallest q")
    if data.shape[1] >= MIN_POINTS:
        missing = missing or _judge(data, notes)
        if missing:
            data[2], noiseless = estimate_sigma(data[0], data[1])
            notes.append(f"{missing}: " + (
                "no noise to be seen (a computed curve?), 0.2 % of the intensity taken" if noiseless
                else "estimated from the curve's own noise"))
        drop(data[1] < -_BELOW_ZERO * data[2],
             f"more than {_BELOW_ZERO:g} sigma below zero (over-subtracted buffer?)")
        negative = int(np.sum(data[1] <= 0))
        if negative:
            notes.append(f"{_count(negative)} with intensity <= 0 within noise kept")
    return Cleaned(*data, missing is not None, tuple(notes))


def _sort(data: np.ndarray, notes: list[str]) -> np.ndarray:
    step = np.diff(data[0])
    if not np.any(step < 0):
        return data
    if np.all(step <= 0):
        notes.append("q descended: reversed")
        return data[:, ::-1]
    notes.append(f"q out of order at {_count(np.sum(step < 0))}: sorted")
    return data[:, np.argsort(data[0], kind="stable")]


def _average_duplicates(data: np.ndarray, notes: list[str]) -> np.ndarray:
    """One point for each q: repeated rows once, others by their mean weighted with 1 / sigma^2."""
    q = data[0]
    if q.size < 2 or np.all(np.diff(q) > 0):
        return data
    repeated = np.concatenate([[False], np.all(
        (data[:, 1:] == data[:, :-1]) | np.isnan(data[:, 1:]), axis=0)])
    if repeated.any():
        notes.append(f"{_count(repeated.sum())} repeated in the file taken once")
        data = data[:, ~repeated]
    values, inverse = np.unique(data[0], return_inverse=True)
    if values.size < data.shape[1]:
        weighted = np.isfinite(data[2]).all()
        weight = data[2] ** -2 if weighted else np.ones(data.shape[1])
        total = np.bincount(inverse, weight)
        mean = np.bincount(inverse, weight * data[1]) / total
        sigma = total**-0.5 if weighted else np.full(values.size, np.nan)
        notes.append(f"{_count(data.shape[1] - values.size)} at the q of another averaged with it")
        data = np.stack([values, mean, sigma])
    return data


def _padding(intensity: np.ndarray) -> np.ndarray:
    """Zeros that fill up the end of a table: three or more exact ones."""
    last = np.flatnonzero(intensity != 0)
    zeros = np.arange(intensity.size) > (last[-1] if last.size else -1)
    return zeros & (zeros.sum() >= 3)


def _in_shadow(intensity: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Leading points that lie far below the plateau that follows them, and not by noise."""
    shadow = np.zeros(intensity.size, bool)
    if intensity.size < MIN_POINTS:
        return shadow
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(intensity, 5), axis=1)
    peak = int(np.argmax(smooth[:max(5, intensity.size // 5)]))   # centre is peak + 2
    below = smooth[peak] - intensity[:peak + 2]
    significant = ~(below < 4 * sigma[:peak + 2])   # also where sigma is not known
    low = np.flatnonzero((below > _SHADOW * smooth[peak]) & significant)
    shadow[:low[-1] + 1 if low.size else 0] = smooth[peak] > 0
    return shadow


def _judge(data: np.ndarray, notes: list[str]) -> str | None:
    """Why the sigmas as read cannot be, or None; a note where they are merely doubtful."""
    q, intensity, sigma = data
    ratio = scatter_over_sigma(q, intensity, sigma)
    if ratio > _IMPOSSIBLE:
        return f"sigma is {ratio:.1f} times smaller than the scatter of the points"
    constant = np.ptp(sigma) <= 1e-6 * sigma[0]
    if constant and not 0.5 < ratio < 2.0:
        return f"sigma is {sigma[0]:g} at every point, against the scatter of the points"
    strongest = np.abs(intensity) >= np.quantile(np.abs(intensity), 0.75)
    exceeds = sigma[strongest] >= 0.5 * np.abs(intensity[strongest])
    if ratio < _GENEROUS and np.mean(exceeds) > 0.9:
        return "the third column is as large as the intensity, so no sigma"
    if ratio > _DOUBTFUL:
        notes.append(f"sigma looks {ratio:.1f} times too small for the scatter of the points: kept")
    elif ratio < _GENEROUS:
        notes.append(f"the points scatter {1 / max(ratio, 1e-9):.1f} times less than sigma "
                     "(smoothed, or sigma too large): kept")
    return None


def _count(number) -> str:
    return f"{number} point{'' if number == 1 else 's'}"
