"""Fits the Guinier line of a curve: the radius of gyration and the forward intensity from the lowest angles.

ln I(q) = ln I(0) - (q Rg)^2 / 3 holds for q Rg < 1.3 (A. Guinier, Ann. Phys. 11(12), 161, 1939). The window of the fit
is chosen automatically: a straight part at low q, without the points that aggregation raises or that repulsion and the
beamstop lower. No unit of length is assumed: q in 1/nm gives Rg in nm. Called by `saxsae.reconstruction` and by the
readers of curves.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

MEDIAN_RADIUS_OVER_RG = 1.86  # r_max over Rg of deposited models, see `radius_bounds`
Q_RG_LIMIT = 1.3  # end of the straight part for compact particles
_MAX_START = 1.0  # largest q Rg at which a window may begin; beyond it I(0) is mostly an extrapolation
_MIN_POINTS = 5  # smallest number of points in a window, except for coarse curves
_COARSE_POINTS = (4, 3)  # numbers of first points that are tried for a coarse curve, if no other window is allowed
_MAX_COARSE_ERROR = 0.1  # largest expected relative error of Rg from so few points
_COARSE_START = 1.5  # largest first q of such a curve, in steps of q: no point nearer to q = 0 may be missing
_MAX_RELATIVE_ERROR = 0.2  # largest relative standard deviation of Rg in a valid fit
_STARTS, _ENDS = 60, 150  # numbers of first and of last points that are tried, at most
_SMALLEST_ERROR = 1e-6  # smallest standard deviation of ln I that is used; it keeps the sums of weights in range


class GuinierFit(NamedTuple):
    """The Guinier line of a curve. If no window is found, `first` and `last` are 0 and the floats are NaN.

    Attributes:
      rg_angstrom: radius of gyration, in A if q is in 1/A.
      rg_sigma: standard deviation of Rg in the same unit; it includes the choice of the window.
      i0: forward intensity I(0), in the unit of the intensities.
      i0_sigma: standard deviation of I(0).
      first: index of the first point of the window, in the arrays given.
      last: index of the last point plus one.
      q_rg_min: q Rg of the first point.
      q_rg_max: q Rg of the last point.
      chi_squared: reduced chi^2 of the line in the window.
      r_squared: fraction of the variance of ln I that the line explains.
      valid: whether Rg and I(0) can be used.
      reason: why Rg and I(0) cannot be used; "" if they can.
    """

    rg_angstrom: float
    rg_sigma: float
    i0: float
    i0_sigma: float
    first: int
    last: int
    q_rg_min: float
    q_rg_max: float
    chi_squared: float
    r_squared: float
    valid: bool
    reason: str


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # windows without a finite line are not used
def fit_guinier(q_inv_angstrom: ArrayLike, intensity: ArrayLike, sigma: ArrayLike,
                q_rg_limit: float = Q_RG_LIMIT) -> GuinierFit:
    """Returns the radius of gyration and I(0) of a curve, from the window with the smallest expected error of Rg.

    The expected relative error of Rg in a window has three parts: the statistical error of the weighted line,
    increased where the scatter of the points exceeds sigma; the curvature, which is the difference between the slopes
    at q = 0 of a line and of a parabola, less twice the standard deviation of that difference; and a small part that
    grows with the distance of the window from q = 0.

    A window has at least five points. A coarse curve, such as a computed one in steps of 0.01 1/A, may have fewer below
    q Rg = 1.3. If it begins one step from q = 0, the window is that of its first four or three points, provided that
    Rg is expected to be accurate to 10 %.

    Args:
      q_inv_angstrom: (N,) ascending, 1/A (or any inverse length).
      intensity: (N,), any unit. Points that are not positive or not finite are ignored.
      sigma: (N,) standard deviations of `intensity`. Points whose sigma is not positive or not finite are ignored.
      q_rg_limit: largest q Rg of the window.

    Returns:
      The `GuinierFit`. For a curve without a Guinier region `valid` is False and `reason` says why; nothing is raised.
    """
    q, intensity, sigma = (np.asarray(a, np.float64) for a in (q_inv_angstrom, intensity, sigma))
    usable = np.isfinite(q) & np.isfinite(intensity) & np.isfinite(sigma)
    usable &= (intensity > 0) & (sigma > 0) & (q > 0)
    index = np.flatnonzero(usable)
    if index.size < _MIN_POINTS:
        return _invalid(f"only {index.size} points have positive q, intensity and sigma; {_MIN_POINTS} are needed")
    q, intensity, sigma = q[index], intensity[index], sigma[index]
    size = _initial_region(intensity)
    x_scale = q[size - 1] ** 2
    x = q[:size] ** 2 / x_scale
    log_intensity = np.log(intensity[:size])
    weight = np.maximum(sigma[:size] / intensity[:size], _SMALLEST_ERROR) ** -2.0
    first, last = _windows(size)
    line = _judge_windows(q, x, log_intensity, weight, first, last, q_rg_limit)
    if not np.isfinite(line["score"]).any():
        reason = _why_none(line["slope"] < 0, line["q_rg_min"], line["q_rg_max"], q_rg_limit)
        if q[0] > _COARSE_START * (q[1] - q[0]):
            return _invalid(reason)
        first = np.array([0])
        for points in _COARSE_POINTS:
            last = np.array([points])
            line = _judge_windows(q, x, log_intensity, weight, first, last, q_rg_limit)
            if np.isfinite(line["score"][0]):
                break
        if not (np.isfinite(line["score"][0]) and line["error"][0] < _MAX_COARSE_ERROR):
            return _invalid(reason)
    rg, error, score = line["rg"], line["error"], line["score"]
    best = int(np.argmin(score))
    # The standard deviation of Rg includes the scatter of Rg over the windows that are nearly as good and overlap the
    # best one. Windows farther out may show the slope of a domain.
    nearly_as_good = (score <= 2 * score[best]) & (first < last[best]) & (last > first[best])
    relative_error = float(np.hypot(error[best], np.std(rg[nearly_as_good]) / rg[best]))

    inside = slice(first[best], last[best])
    i0 = float(np.exp(line["intercept"][best]))
    spread = weight[inside] * (log_intensity[inside] - np.average(
        log_intensity[inside], weights=weight[inside])) ** 2
    degrees = last[best] - first[best] - 2
    reason = ""
    if relative_error > _MAX_RELATIVE_ERROR:
        reason = (f"the standard deviation of Rg is {100 * relative_error:.0f} % in the best window: "
                  "the curve is too noisy or too curved at low q")
    return GuinierFit(
        rg_angstrom=float(rg[best]), rg_sigma=float(rg[best] * relative_error), i0=i0,
        i0_sigma=float(i0 * line["intercept_error"][best]), first=int(index[first[best]]),
        last=int(index[last[best] - 1]) + 1, q_rg_min=float(line["q_rg_min"][best]),
        q_rg_max=float(line["q_rg_max"][best]), chi_squared=float(line["chi_squared"][best] / degrees),
        r_squared=float(1 - line["chi_squared"][best] / max(spread.sum(), 1e-300)),
        valid=not reason, reason=reason)


def radius_bounds(rg_angstrom: float) -> tuple[float, float]:
    """Returns the bounds of r_max (largest distance from the centroid, A) for a particle of this Rg (A).

    A solid sphere has r_max = sqrt(5/3) Rg = 1.29 Rg, a long rod 1.73 Rg, and a flexible tail increases the ratio. The
    lower bound is 10 % below that of the sphere, because bound water increases a measured Rg; the upper bound is 3.2
    Rg. More than 99 % of 60 deposited SAXS models and 1,400 protein structures lie within the bounds (median 1.86 Rg);
    a thin hollow shell (1.0 Rg) does not. D_max is at most twice r_max.
    """
    return 0.9 * float(np.sqrt(5 / 3)) * rg_angstrom, 3.2 * rg_angstrom


def _initial_region(intensity: np.ndarray) -> int:
    """Returns the number of points before I falls to a tenth of its peak; the Guinier line ends at 0.57 I(0)."""
    padded = np.pad(intensity, 2, mode="edge")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    peak = int(np.argmax(smooth[:max(10, intensity.size // 4)]))
    low = np.flatnonzero(smooth[peak:] < 0.1 * smooth[peak])
    return min(intensity.size, max(10, peak + low[0])) if low.size else intensity.size


def _windows(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the windows to try: arrays (W,) of the first point, and of the last point plus one.

    A window starts in the first half and has at least `_MIN_POINTS` points.
    """
    starts = np.unique(np.linspace(0, size // 2, _STARTS).astype(int))
    ends = np.unique(np.linspace(_MIN_POINTS, size, _ENDS).astype(int))
    first, last = (grid.ravel() for grid in np.meshgrid(starts, ends, indexing="ij"))
    keep = last - first >= _MIN_POINTS
    return first[keep], last[keep]


def _judge_windows(q: np.ndarray, x: np.ndarray, y: np.ndarray, weight: np.ndarray, first: np.ndarray,
                   last: np.ndarray, q_rg_limit: float) -> dict[str, np.ndarray]:
    """Returns what `_fit_windows` does and, for each window (W,), Rg and whether it can be used.

    Args:
      q: (M,) ascending, M >= N; only the first N are used.
      x: (N,) q^2 over that of the last of the N points.
      y: (N,) ln I.
      weight: (N,) inverse variances of y.
      first: (W,) first point of each window.
      last: (W,) last point plus one.
      q_rg_limit: largest q Rg of a window.

    Returns:
      "rg"; "q_rg_min" and "q_rg_max" of the first and last point; "error", the expected relative error of Rg; "score",
      the square of the error and of a part that grows with the distance from q = 0, infinite for a window that cannot
      be used; and the arrays of `_fit_windows`.
    """
    line = _fit_windows(x, y, weight, first, last)
    slope = line["slope"]
    falling = slope < 0
    rg = np.sqrt(np.where(falling, -3 * slope / q[len(x) - 1] ** 2, 1.0))
    q_rg_min, q_rg_max = q[first] * rg, q[last - 1] * rg
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        statistical = line["slope_error"] / (2 * np.abs(slope))
        curvature = line["slope_bias"] / (2 * np.abs(slope))
        error = np.sqrt(statistical**2 + curvature**2)
        score = error**2 + (0.02 * q_rg_min**2) ** 2
    allowed = falling & (q_rg_max < q_rg_limit) & (q_rg_min < _MAX_START) & np.isfinite(score)
    return line | {"rg": rg, "q_rg_min": q_rg_min, "q_rg_max": q_rg_max, "error": error,
                   "score": np.where(allowed, score, np.inf)}


def _fit_windows(x: np.ndarray, y: np.ndarray, weight: np.ndarray, first: np.ndarray,
                 last: np.ndarray) -> dict[str, np.ndarray]:
    """Fits a weighted line and a parabola to y(x) in all W windows at once, by cumulative sums.

    Args:
      x: (N,) abscissae, ascending.
      y: (N,) ordinates.
      weight: (N,) inverse variances of y.
      first: (W,) first point of each window.
      last: (W,) last point plus one.

    Returns:
      Arrays (W,): "slope", "intercept" and "chi_squared" of the line; "slope_error" and "intercept_error", their
      standard deviations; "slope_bias", the difference between the slopes of line and parabola at x = 0, less twice
      its standard deviation, at least 0.
    """
    origin = y.mean()
    y = y - origin

    def window_sums(values):
        total = np.concatenate([[0.0], np.cumsum(values)])
        return total[last] - total[first]

    s = [window_sums(weight * x**k) for k in range(5)]
    t = [window_sums(weight * y * x**k) for k in range(3)]
    square = window_sums(weight * y * y)
    determinant = s[0] * s[2] - s[1] ** 2
    determinant = np.where(determinant > 1e-12 * s[0] * s[2], determinant, np.nan)  # all x are nearly equal
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (s[0] * t[1] - s[1] * t[0]) / determinant
        intercept = (t[0] - slope * s[1]) / s[0]
        slope_variance, intercept_variance = s[0] / determinant, s[2] / determinant
    chi_squared = np.maximum(square - intercept * t[0] - slope * t[1], 0.0)

    # The normal equations of the parabola are scaled, because x^4 is many decades below 1 in windows near q = 0.
    scale = np.sqrt(np.stack([s[0], s[2], s[4]], axis=-1))
    normal = np.stack([np.stack(s[k:k + 3], axis=-1) for k in range(3)], axis=-2)
    normal = normal / scale[:, :, None] / scale[:, None, :] + 1e-12 * np.eye(3)
    right = np.stack(t, axis=-1) / scale
    inverse = np.linalg.inv(normal)
    solution = np.einsum("wij,wj->wi", inverse, right)
    chi_squared_parabola = np.maximum(square - np.sum(right * solution, axis=-1), 0.0)
    slope_at_zero = solution[:, 1] / scale[:, 1]
    slope_at_zero_variance = inverse[:, 1, 1] / scale[:, 1] ** 2

    inflation = np.maximum(chi_squared_parabola / np.maximum(last - first - 3, 1), 1.0)
    slope_variance = slope_variance * inflation
    difference_variance = np.maximum(slope_at_zero_variance * inflation - slope_variance, 0.0)
    bias = np.abs(slope_at_zero - slope) - 2 * np.sqrt(difference_variance)
    return {
        "slope": slope, "slope_error": np.sqrt(slope_variance), "slope_bias": np.maximum(bias, 0.0),
        "intercept": intercept + origin,
        "intercept_error": np.sqrt(intercept_variance * inflation), "chi_squared": chi_squared}


def _why_none(falling: np.ndarray, q_rg_min: np.ndarray, q_rg_max: np.ndarray, limit: float) -> str:
    """Returns why no window is allowed, given whether each line falls (W,) and its range of q Rg (W,)."""
    if not falling.any():
        return "the intensity does not fall with q at low angles"
    spans = f"{q_rg_min[falling][0]:.2f} to {q_rg_max[falling][0]:.2f}"
    return (f"the curve starts at too large a q: no {_MIN_POINTS} points on a falling line below "
            f"q Rg = {limit:g} (the first falling line spans q Rg {spans})")


def _invalid(reason: str) -> GuinierFit:
    """Returns the fit of a curve without a window."""
    nan = float("nan")
    return GuinierFit(nan, nan, nan, nan, 0, 0, nan, nan, nan, nan, False, reason)
