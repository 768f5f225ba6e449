"""Recognizes by its numbers what a table holds if not I(q): logarithms, transforms of I(q), p(r), points of a plane.

Each test is strict: a table is refused only where no scattering curve has such numbers. Called by
`column_roles.assign_roles`, after the names of the columns.
"""

import numpy as np

_MIN_ROWS = 20
_MAX_LOG = 30.0  # larger numbers are no logarithms of intensities

_LOGARITHM = "looks like log10 (or ln) of the intensity: give the intensity itself, or name the column log10(I)"
_GUINIER = "looks like a Guinier plot (q^2, ln I): give q and I"


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # numbers of any size are tested
def find_transform(q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray | None, named: bool = False) -> str | None:
    """Returns what the columns of a table are if not I(q), and what to give instead; None if they may be I(q).

    Args:
      q: (N,) the first column.
      intensity: (N,) the column that would be the intensity.
      sigma: (N,) the column that would be its standard deviation, or None.
      named: whether the file calls the first column q.
    """
    usable = np.isfinite(q) & np.isfinite(intensity) & (np.abs(q) < 1e60) & (np.abs(intensity) < 1e60)
    q, intensity = q[usable], intensity[usable]
    sigma = None if sigma is None else sigma[usable]
    if q.size < _MIN_ROWS or np.ptp(intensity) == 0:
        return None
    order = np.argsort(q, kind="stable")
    q, intensity, sigma = q[order], intensity[order], None if sigma is None else sigma[order]
    if is_pair_distribution(q, intensity):
        return "looks like a pair distance distribution p(r): give the measured I(q)"
    if not named and _is_squared(q):
        return _GUINIER if np.abs(intensity).max() < _MAX_LOG else "has q^2 in the first column: give q and I"
    if _is_logarithm(intensity, sigma):
        return _LOGARITHM
    power = _initial_power(q, intensity)
    if 1.7 < power < 2.1 and q[np.argmax(intensity)] < 0.8 * q[-1]:
        return "looks like a Kratky plot (q, q^2 I): give q and I"
    if 3.5 < power < 4.1:
        return "looks like a Porod plot (q, q^4 I): give q and I"
    return None


def is_plane(values: np.ndarray) -> bool:
    """Returns whether the first two columns are the coordinates of points in a plane, such as Qx and Qy.

    Args:
      values: (N, C) the numbers of a table.
    """
    if values.shape[1] < 3 or len(values) < _MIN_ROWS:
        return False
    x, y = values[:, 0], values[:, 1]
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or max(np.abs(x).max(), np.abs(y).max()) > 1e60:
        return False
    return (_cycles(x, y) or _cycles(y, x)
            or bool(_is_centred(x) and _is_centred(y) and not is_mostly_monotonic(x) and not is_mostly_monotonic(y)))


def is_pair_distribution(r: np.ndarray, p: np.ndarray) -> bool:
    """Returns whether a table begins at r = 0 with p = 0, rises gradually to a peak and ends near zero.

    Args:
      r: (N,) ascending.
      p: (N,) finite.
    """
    if r.size < 10 or r[0] != 0 or not p.max() > 0:
        return False
    peak = int(np.argmax(p))
    rising = np.diff(p[:peak + 1])
    return bool(abs(p[0]) <= 1e-3 * p.max() and abs(p[-1]) <= 0.05 * p.max() and peak >= max(3, 0.1 * r.size)
                and p[1] > 0 and np.mean(rising > 0) > 0.8)


def is_as_large_as(column: np.ndarray, intensity: np.ndarray, min_ratio: float = 0.6) -> bool:
    """Returns whether a column is as large as the intensity where that is strong, so it is no standard deviation.

    Args:
      column: (N,) NaN allowed.
      intensity: (N,) NaN allowed.
      min_ratio: of the column to the intensity.
    """
    usable = np.isfinite(column) & np.isfinite(intensity)
    if not usable.any():
        return False
    column, intensity = np.abs(column[usable]), np.abs(intensity[usable])
    strongest = (intensity >= np.quantile(intensity, 0.75)) & (intensity > 0)
    return bool(strongest.any() and np.median(column[strongest] / intensity[strongest]) >= min_ratio)


def is_proportional(q: np.ndarray, column: np.ndarray) -> bool:
    """Returns whether a column is in proportion to q, as a width of q is.

    Args:
      q: (N,) NaN allowed.
      column: (N,) NaN allowed.
    """
    q, column = _positive_pairs(q, column)
    if q.size < 10 or q.max() < 2 * q.min():
        return False
    ratio = column / q
    return bool(np.ptp(ratio) < 0.02 * ratio.max())


def is_resolution(q: np.ndarray, column: np.ndarray) -> bool:
    """Returns whether a column is the width of q: in proportion to q, or rising evenly with it and always smaller.

    Args:
      q: (N,) NaN allowed.
      column: (N,) NaN allowed.
    """
    if is_proportional(q, column):
        return True
    q, column = _positive_pairs(q, column)
    if q.size < 10 or q.max() < 2 * q.min():
        return False
    ratio = column / q
    order = np.argsort(q, kind="stable")
    rise = np.diff(column[order])
    return bool((rise >= 0).all() and (column < q).all() and ratio[order][0] >= ratio[order][-1]
                and column.max() > 1.5 * column.min() and _is_smooth(column[order]))


def is_mostly_monotonic(column: np.ndarray) -> bool:
    """Returns whether nine of ten steps of a column have one sign.

    Args:
      column: (N,) NaN allowed.
    """
    step = np.sign(np.diff(column[np.isfinite(column)]))
    return bool(max(np.mean(step >= 0), np.mean(step <= 0)) > 0.9) if step.size else True


def _positive_pairs(q: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of two columns (N,) in which both are numbers; none if one of them is not positive."""
    usable = np.isfinite(q) & np.isfinite(column) & (np.abs(q) < 1e60) & (np.abs(column) < 1e60)
    q, column = q[usable], column[usable]
    return (q, column) if (q > 1e-60).all() and (column > 1e-60).all() else (q[:0], column[:0])


def _is_smooth(column: np.ndarray) -> bool:
    """Returns whether the steps of a rising column (N,) change little from one to the next."""
    step = np.diff(column)
    return bool(np.median(np.abs(np.diff(step))) <= 0.2 * np.median(step))


def _is_squared(q: np.ndarray) -> bool:
    """Returns whether the square roots of a column (N,) are evenly spaced, but the numbers themselves are not."""
    if not q[0] > 0 or q[-1] < 9 * q[0]:
        return False
    step, root_step = np.diff(q), np.diff(np.sqrt(q))
    return bool(root_step.min() > 0 and np.ptp(root_step) < 0.02 * root_step.max() and step.max() > 2 * step.min())


def _is_logarithm(y: np.ndarray, sigma: np.ndarray | None) -> bool:
    """Returns whether numbers (N,) fall through zero as the logarithms of intensities do.

    Their range is small, the last are as far from zero as the first, and their noise grows while they fall. An
    intensity from which too much was subtracted ends in a plateau near zero, with less noise than at the start.
    """
    if np.abs(y).max() > _MAX_LOG:
        return False
    tenth, third = max(y.size // 10, 2), y.size // 3
    start, end = np.median(y[:tenth]), np.median(y[-tenth:])
    if not (end < -0.1 and end < start and (start < 0 or -end > 0.1 * start)):
        return False
    medians = np.array([np.median(part) for part in np.array_split(y, 8)])
    if np.sum(np.diff(medians) <= 0.05 * (start - end)) < 6 or np.argmax(medians) > 1 or np.argmin(medians) < 4:
        return False
    bend = np.abs(np.diff(y, 2))
    noise = np.array([np.median(bend[:third]), np.median(bend[-third:])]) / 2.0
    usable = sigma is not None and np.isfinite(sigma).all() and (sigma > 0).all()
    if sigma is not None and usable:
        grows = np.median(sigma[-third:]) > 3 * np.median(sigma[:third])
        significant = np.mean(y < -5 * sigma) if start > 0 else 1.0
    else:
        is_noise = np.median(np.abs(np.diff(y[-third:], 3))) > np.median(bend[-third:])  # a smooth curve has less
        grows = (noise[1] > 3 * noise[0] and is_noise) or medians[-2] - medians[-1] > 0.05 * (start - end)
        significant = np.mean(y < -5 * noise[1]) if start > 0 else 1.0
    return bool(grows and (significant > 0.1 or medians[-3] < -3 * np.median(bend) < 0))


def _initial_power(q: np.ndarray, y: np.ndarray) -> float:
    """Returns the power of q in which a peaked curve (N,) begins, or NaN if it does not begin in a power of q."""
    peak = int(np.argmax(y))
    first = np.flatnonzero((q <= 2.5 * max(q[0], 0)) & (np.arange(q.size) < 0.7 * peak))
    if not 0 < 3 * q[0] < q[peak]:
        return float("nan")
    if first.size < 4 or y[first].min() <= 0 or q[first[-1]] < 1.8 * q[0]:
        return float("nan")
    x, log_y = np.log(q[first]), np.log(y[first])
    x -= x.mean()
    power = float(np.sum(x * log_y) / np.sum(x * x))
    scatter = np.std(log_y - log_y.mean() - power * x)
    return power if scatter < 0.1 else float("nan")


def _cycles(fast: np.ndarray, slow: np.ndarray) -> bool:
    """Returns whether one column (N,) runs through its range three times or more while the other hardly changes."""
    step = np.diff(fast)
    restarts = np.flatnonzero(np.abs(step) > 0.5 * np.ptp(fast)) + 1 if np.ptp(fast) > 0 else np.zeros(0, int)
    if restarts.size < 2 or fast.size < 4 * restarts.size or np.ptp(slow) == 0:
        return False
    runs = [run for run in np.split(np.arange(fast.size), restarts) if run.size > 2]
    if len(runs) < 3:
        return False
    within = np.median([np.ptp(slow[run]) for run in runs])
    monotonic = np.mean([is_mostly_monotonic(fast[run]) for run in runs])
    return bool(within < 0.2 * np.ptp(slow) and monotonic > 0.8)


def _is_centred(column: np.ndarray) -> bool:
    """Returns whether numbers (N,) spread to both sides of zero about equally."""
    low, high = column.min(), column.max()
    negative = np.mean(column < 0)
    return bool(low < 0 < high and 0.2 < -low / high < 5 and 0.2 < negative < 0.8)
