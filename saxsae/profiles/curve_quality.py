"""Measures whether a curve looks like the scattering of one kind of particle in solution, before any shape is sought.

The measures are those that a beamline scientist looks at: the Guinier region and the points before it, the signal at
low q, the level that the intensity reaches at high q, the dimensionless Kratky plot (D. Durand et al., J. Struct. Biol.
169, 45, 2010). `saxsae.verdict` compares them with its limits.
"""

from typing import NamedTuple

import numpy as np

from saxsae.profiles.guinier import Q_RG_LIMIT, GuinierFit
from saxsae.profiles.rebinning import CurveLike

# The level at high q is taken from the last sixth of the range up to this q (1/A), or up to this q Rg if that is
# farther: beyond, a protein's own fine structure shows.
_LEVEL_Q, _LEVEL_Q_RG = 0.35, 4.0
_MIN_LEVEL_Q_RG = 2.5  # below it every particle still falls steeply, so a level cannot be told from a particle
_ROD_SLOPE = -0.8  # of ln I against ln q; that of a thin rod is -1, and no particle falls more slowly
_SIGNIFICANT = 5.0  # standard deviations beyond which a deviation counts
_FLARE_SIGMAS = 3.0  # standard deviations by which a flare is steeper than a particle
_KRATKY_RANGE = (3.0, 5.0)  # q Rg at which a folded particle has fallen from its peak of 1.1 at 1.7


class CurveQuality(NamedTuple):
    """The measures of a curve; NaN where the curve does not allow one.

    Attributes:
      rg_angstrom: Guinier radius of gyration, A.
      rg_error: its standard deviation, relative.
      q_rg_start: q Rg of the first point of the Guinier region.
      low_q_signal: mean intensity of the first tenth of the points, in units of its standard deviation.
      low_q_excess: deviation from the Guinier line of the first third of the points before the Guinier region, as a
        fraction of I(0); 0 if there are none, or the deviation is within noise.
      guinier_curvature: quadratic part of ln I in (q Rg)^2 at q Rg = 1.3, of all points below it; positive where the
        Guinier plot turns up towards q = 0; 0 within noise.
      level: mean intensity at high q over I(0) or, without a Guinier region, over the mean intensity of the first tenth
        of the points; NaN if that mean is not positive, 0 within noise.
      plateau: `level` where the intensity falls more slowly than that of a thin rod, else 0.
      kratky: mean of (q Rg)^2 I / I(0) at q Rg from 3 to 5.
      negative_share: sum of the intensities further below zero than noise explains, over the sum of the positive ones.
      points: number of points.
    """

    rg_angstrom: float
    rg_error: float
    q_rg_start: float
    low_q_signal: float
    low_q_excess: float
    guinier_curvature: float
    level: float
    plateau: float
    kratky: float
    negative_share: float
    points: int


def measure_quality(curve: CurveLike, guinier: GuinierFit) -> CurveQuality:
    """Returns the measures of a curve.

    Args:
      curve: the measured curve. Its `negative_share`, if it has one, is that of the points that the reader dropped.
      guinier: its Guinier fit.
    """
    q, intensity, sigma = (np.asarray(a, np.float64) for a in (curve.q_inv_angstrom, curve.intensity, curve.sigma))
    nan = float("nan")
    rg, rg_error, q_rg_start, plateau, kratky, excess, curvature = (nan,) * 7
    low_mean, low_error = _weighted_mean(intensity, sigma, slice(0, max(3, q.size // 10)))
    level = _level_at_high_q(q, intensity, sigma, q[-1]) / low_mean if low_mean > 0 else nan
    if guinier.valid:
        rg, q_rg_start = guinier.rg_angstrom, guinier.q_rg_min
        rg_error, q_rg = guinier.rg_sigma / rg, q * rg
        intensity, sigma = intensity / guinier.i0, sigma / guinier.i0
        end = q[(q <= _LEVEL_Q) | (q_rg <= _LEVEL_Q_RG)][-1]
        level = _level_at_high_q(q, intensity, sigma, end)
        plateau = level if end * rg > _MIN_LEVEL_Q_RG and _is_level(q, intensity, sigma, end) else 0.0
        before = slice(0, min(guinier.first, max(3, guinier.first // 3)))
        excess = _significant_mean(intensity - np.exp(-(q_rg**2) / 3), sigma, before)
        curvature = _curvature(q_rg, intensity, sigma)
        middle = (q_rg >= _KRATKY_RANGE[0]) & (q_rg <= _KRATKY_RANGE[1])
        if middle.any():
            kratky = float(np.mean((q_rg**2 * intensity)[middle]))
    return CurveQuality(
        rg_angstrom=rg, rg_error=rg_error, q_rg_start=q_rg_start, low_q_signal=low_mean / low_error,
        low_q_excess=excess, guinier_curvature=curvature, level=level, plateau=plateau, kratky=kratky,
        negative_share=float(getattr(curve, "negative_share", 0.0)), points=q.size)


def count_flare_points(curve: CurveLike, r_max_angstrom: float) -> int:
    """Returns the number of leading points that fall more steeply than any particle of this size can.

    The slope of ln I against q^2 is at most r_max^2 / 3 in size up to q r_max = pi, even for a full sphere. A steeper
    fall is that of aggregates or of the direct beam. Beyond, near the first minimum, the slope has no limit, so nothing
    is dropped there. The function is for curves without a Guinier region.

    Args:
      curve: the measured curve.
      r_max_angstrom: largest distance from the centroid, A.
    """
    q, intensity, sigma = (np.asarray(a, np.float64) for a in (curve.q_inv_angstrom, curve.intensity, curve.sigma))
    width = max(5, q.size // 40)
    end = 0
    for start in range(0, q.size // 2, max(1, width // 2)):
        inside = slice(start, start + width)
        if (intensity[inside] <= 0).any() or q[inside][-1] * r_max_angstrom > np.pi:
            break
        slope, error = _weighted_slope(q[inside] ** 2, np.log(intensity[inside]), (sigma / intensity)[inside])
        if not -3 * slope - r_max_angstrom**2 > _FLARE_SIGMAS * 3 * error:
            break
        end = start + width
    return end


def _curvature(q_rg: np.ndarray, intensity: np.ndarray, sigma: np.ndarray) -> float:
    """Returns `guinier_curvature` of `CurveQuality`; NaN if fewer than six points can show it."""
    used = (q_rg < Q_RG_LIMIT) & (intensity > 0)
    if used.sum() < 6:
        return float("nan")
    x = (q_rg[used] / Q_RG_LIMIT) ** 2
    design = np.stack([np.ones_like(x), x, x**2], axis=1)
    weight = (intensity / sigma)[used]
    normal = np.linalg.pinv((design * weight[:, None]).T @ (design * weight[:, None]))
    solution = normal @ (design.T @ (weight**2 * np.log(intensity[used])))
    residual = weight * (np.log(intensity[used]) - design @ solution)
    error = np.sqrt(normal[2, 2] * max(float((residual**2).sum()) / (x.size - 3), 1.0))
    return float(solution[2]) if abs(solution[2]) > _SIGNIFICANT * error else 0.0


def _level_at_high_q(q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray, end: float) -> float:
    """Returns the mean intensity in the last sixth of the q range that ends at `end`; 0 within noise."""
    return _significant_mean(intensity, sigma, (q >= 5 / 6 * end) & (q <= end))


def _is_level(q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray, end: float) -> bool:
    """Returns whether the intensity falls more slowly than a thin rod's from the fifth to the last sixth of q."""
    last, before = (q >= 5 / 6 * end) & (q <= end), (q >= 4 / 6 * end) & (q < 5 / 6 * end)
    level, earlier = (_significant_mean(intensity, sigma, where) for where in (last, before))
    if level <= 0 or not before.any():
        return False
    return earlier <= 0 or np.log(level / earlier) / np.log(q[last].mean() / q[before].mean()) > _ROD_SLOPE


def _weighted_mean(values: np.ndarray, sigma: np.ndarray, where: slice | np.ndarray) -> tuple[float, float]:
    """Returns the mean of some values, weighted by 1 / sigma^2, and its standard deviation."""
    weight = sigma[where] ** -2.0
    total = float(weight.sum())
    return float((weight * values[where]).sum()) / total, total**-0.5


def _significant_mean(values: np.ndarray, sigma: np.ndarray, where: slice | np.ndarray) -> float:
    """Returns the weighted mean of some values, or 0 if it is within noise or there are none."""
    if not values[where].size:
        return 0.0
    mean, error = _weighted_mean(values, sigma, where)
    return mean if abs(mean) > _SIGNIFICANT * error else 0.0


def _weighted_slope(x: np.ndarray, y: np.ndarray, sigma: np.ndarray) -> tuple[float, float]:
    """Returns the slope of the weighted line through points, and its standard deviation."""
    weight = sigma**-2.0
    x = x - np.average(x, weights=weight)
    square = float((weight * x**2).sum())
    return float((weight * x * y).sum()) / square, square**-0.5
