"""Computes the pair distance distribution P(r) of a curve by Bayesian indirect transform.

I(q) = 4 pi integral of P(r) sin(qr) / (qr) dr from 0 to D_max, with a smooth P(r) >= 0. D_max and the weight of
smoothness are those of the highest evidence (S. Hansen, J. Appl. Cryst. 33, 1415, 2000), as freesas computes it.

1. The points from the Guinier region on are averaged to at most 100.
2. The evidence is computed over the smoothness, then over D_max, then on a grid of both about the maximum.
3. P(r) and its numbers are means over all D_max and smoothnesses of step 2, weighted by evidence. Their variances are
   those over the grid plus those of the most probable P(r) at fixed D_max and smoothness.
"""

import math
from typing import NamedTuple

import numpy as np

from saxsae.profiles.guinier import GuinierFit
from saxsae.profiles.rebinning import CurveLike, rebin

_POINTS = 100  # points of the curve after averaging; more points and intervals do not improve D_max
_INTERVALS = 50  # largest number of intervals of r between 0 and D_max
_FEWEST_POINTS = 20
_SMALLEST_SIGMA = 1e-7  # of I(0); it keeps the sums of weights in range
_Q_MAX = 0.3  # 1/A; beyond it the inside of a protein scatters, which P(r) of few intervals cannot show
_FEWEST_FALL = 0.3  # fraction of I(0) to which the curve has to fall for D_max to show
# D_max of the scans, in units of Rg: a sphere has D_max = 2.6 Rg, a thin rod 3.5, an unfolded chain 5 or more.
_FIRST_D_MAX, _D_MAX_RANGE, _D_MAX_STEPS = 3.3, (2.0, 5.5), 18
_SMOOTHNESS_DECADES, _SMOOTHNESS_STEPS = 7, 8  # of the first scan, below the largest sensible value
_FINE_RANGE, _FINE_STEPS = 0.25, (9, 5)  # grid: D_max within this part of Rg, smoothness within a factor of ten


class PairDistances(NamedTuple):
    """P(r) of a curve. If it is not determined, the arrays are empty and the floats NaN.

    Attributes:
      r_angstrom: (R,) A, equally spaced from 0.
      distribution: (R,) P(r), unit of I(q) per A: 4 pi times its integral is I(0).
      sigma: (R,) standard deviations of P(r).
      d_max_angstrom: end of P(r), A. That of an ideal curve is the largest distance in the particle; see `CurveNumbers`
        for an estimate that is corrected for what the curve does not show.
      d_max_sigma: its standard deviation given the method, A.
      rg_angstrom: radius of gyration, the square root of half the mean square distance, A.
      rg_sigma: its standard deviation, A.
      i0: I(0), in the unit of the intensities.
      i0_sigma: its standard deviation.
      chi_squared: mean square of the residuals of the averaged points, in units of their variances.
      good_parameters: number of parameters of P(r) that the points determine rather than the smoothness
        (B. Vestergaard, S. Hansen, J. Appl. Cryst. 39, 797, 2006).
      q_max_inv_angstrom: the largest q that was used, 1/A.
      reason: why P(r) is not determined; "" if it is.
    """

    r_angstrom: np.ndarray
    distribution: np.ndarray
    sigma: np.ndarray
    d_max_angstrom: float
    d_max_sigma: float
    rg_angstrom: float
    rg_sigma: float
    i0: float
    i0_sigma: float
    chi_squared: float
    good_parameters: float
    q_max_inv_angstrom: float
    reason: str


class _Points(NamedTuple):
    """Averaged points (N,) of a curve, in units of I(0)."""

    q: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray


def compute_pair_distances(curve: CurveLike, guinier: GuinierFit, q_max: float = _Q_MAX) -> PairDistances:
    """Returns P(r) of a curve; nothing is raised.

    Args:
      curve: the measured curve.
      guinier: its Guinier fit, which gives the first guess of the size; points before its region are not used.
      q_max: largest q that is used, 1/A.
    """
    if not guinier.valid:
        return _not_determined(f"no Guinier region: {guinier.reason}")
    points = _choose_points(curve, guinier, q_max)
    if isinstance(points, str):
        return _not_determined(points)
    try:
        found = _transform(points, guinier)
        if found.chi_squared > 1:
            # Sigmas that are too small would let P(r) follow the noise: its tail then has waves.
            points = points._replace(sigma=points.sigma * math.sqrt(found.chi_squared))
            found = _transform(points, guinier)._replace(chi_squared=found.chi_squared)
        return found
    except ImportError:
        return _not_determined("P(r) needs the package freesas: pip install 'phasenet-saxsae[pr]'")
    except (ArithmeticError, LookupError, RuntimeError, ValueError) as error:  # of freesas, on curves that it cannot do
        return _not_determined(f"the transform fails on this curve ({error or type(error).__name__})")


def _choose_points(curve: CurveLike, guinier: GuinierFit, q_max: float) -> _Points | str:
    """Returns the points that are transformed, or why there are none."""
    q, intensity, sigma = (np.asarray(a, np.float64)[guinier.first:] for a in (
        curve.q_inv_angstrom, curve.intensity, curve.sigma))
    used = np.isfinite(q) & np.isfinite(intensity) & np.isfinite(sigma) & (sigma > 0) & (q <= q_max)
    if used.sum() < _FEWEST_POINTS:
        return f"{used.sum()} points from the Guinier region to q = {q_max:g} 1/A; {_FEWEST_POINTS} are needed"
    scaled = _Curve(q[used], intensity[used] / guinier.i0, np.maximum(sigma[used] / guinier.i0, _SMALLEST_SIGMA))
    binned = rebin(scaled, q_max, _POINTS)
    filled = np.isfinite(binned.sigma)
    points = _Points(*(a[filled] for a in binned[:3]))
    if not (points.intensity < _FEWEST_FALL).any():
        return f"the curve ends before the intensity has fallen to {_FEWEST_FALL:g} of I(0)"
    return points


class _Curve(NamedTuple):
    """A curve for `rebin`, in units of I(0)."""

    q_inv_angstrom: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray


def _transform(points: _Points, guinier: GuinierFit) -> PairDistances:
    """Returns P(r) of averaged points; the steps 2 and 3 of the module's head."""
    from freesas.bift import BIFT  # not at the top, because it imports scipy
    from freesas.containers import RG_RESULT

    intervals = min(_INTERVALS, points.q.size - 2)
    search = BIFT(*points)
    half = 1 + int(np.argmax(points.intensity < 0.5))
    search.set_Guinier(RG_RESULT(guinier.rg_angstrom, guinier.rg_sigma, 1.0, guinier.i0_sigma / guinier.i0,
                                 0, max(half, 3), 1.0, 0.0))
    most = search.guess_alpha_max(intervals)
    if not (np.isfinite(most) and most > 0):
        raise ValueError("no smoothness to begin with")
    rg = guinier.rg_angstrom
    first = _FIRST_D_MAX * rg
    best = search.grid_scan(first, first, 1, most / 10**_SMOOTHNESS_DECADES, most, _SMOOTHNESS_STEPS, intervals)
    low, high = (ratio * rg for ratio in _D_MAX_RANGE)
    best = search.grid_scan(low, high, _D_MAX_STEPS, best.alpha, best.alpha, 1, intervals)
    search.grid_scan(best.Dmax - _FINE_RANGE * rg, best.Dmax + _FINE_RANGE * rg, _FINE_STEPS[0], best.alpha / 10,
                     best.alpha * 10, _FINE_STEPS[1], intervals)
    found = [(key, value) for key, value in search.evidence_cache.items()
             if value.converged and np.isfinite(value.evidence) and np.sum(value.density) > 0]
    if not found:
        raise ValueError("no P(r) has converged")
    evidence = np.array([value.evidence for _, value in found])
    share = np.exp(evidence - evidence.max())
    share /= share.sum()
    best, value = found[int(np.argmax(evidence))]
    r = np.asarray(value.radius)
    every = np.array([np.interp(r, other.radius, other.density, right=0.0) for _, other in found])
    transform, products, _ = search.get_transformation_matrix(best.Dmax, intervals, True)[:3]
    products = np.asarray(products)
    covariance = _posterior_covariance(value.density, products, best.alpha)
    return _summarize(r, every, share, np.array([key.Dmax for key, _ in found]), points, guinier.i0,
                      np.asarray(transform), products, covariance)


def _posterior_covariance(distribution: np.ndarray, products: np.ndarray, smoothness: float) -> np.ndarray:
    """Returns the covariance (R, R) of P(r) at fixed D_max and smoothness, that of Hansen's posterior.

    Args:
      distribution: (R,) the most probable P(r); its ends are 0 and have no variance.
      products: (R, R) A' W A, with the matrix A of the transform and the weights W of the points.
      smoothness: factor of the squared distance of P(r) from the mean of its neighbours, over P(r).
    """
    inner = slice(1, len(distribution) - 1)
    size = len(distribution) - 2
    roughness = np.eye(size) - 0.5 * (np.eye(size, k=1) + np.eye(size, k=-1))
    neighbours = np.convolve(distribution, [0.5, 0.0, 0.5], "same")[inner]
    scale = np.maximum(np.abs(neighbours), 1e-6 * np.max(distribution))
    precision = products[inner, inner] + 2 * smoothness * (roughness.T / scale) @ roughness
    covariance = np.zeros((len(distribution),) * 2)
    covariance[inner, inner] = np.linalg.pinv(precision, hermitian=True)
    return covariance


def _summarize(r: np.ndarray, every: np.ndarray, share: np.ndarray, d_max: np.ndarray, points: _Points, i0: float,
               transform: np.ndarray, products: np.ndarray, covariance: np.ndarray) -> PairDistances:
    """Returns the means over all P(r), with standard deviations.

    Args:
      r: (R,) A.
      every: (N, R) all P(r), in units of I(0).
      share: (N,) their probabilities.
      d_max: (N,) their ends, A.
      points: the points that were transformed.
      i0: I(0) of the Guinier fit, the unit of the points.
      transform: (points, R) matrix A from P(r) to I(q).
      products: (R, R) A' W A.
      covariance: (R, R) of the most probable P(r).
    """
    step = r[1] - r[0]
    mean = share @ every
    variance = share @ (every - mean) ** 2 + np.diag(covariance)
    areas, moments = every.sum(1) * step, every @ r**2 * step
    area, moment = mean.sum() * step, mean @ r**2 * step
    i0_variance = share @ (areas - area) ** 2 + covariance.sum() * step**2
    rg = math.sqrt(moment / area / 2)
    slope = (r**2 / (2 * area) - rg**2 / area) * step / (2 * rg)  # of Rg with P(r)
    rg_variance = share @ (np.sqrt(moments / areas / 2) - rg) ** 2 + slope @ covariance @ slope
    end = float(share @ d_max)
    residual = (points.intensity - transform @ mean) / points.sigma
    return PairDistances(
        r_angstrom=r, distribution=i0 * mean, sigma=i0 * np.sqrt(np.maximum(variance, 0.0)), d_max_angstrom=end,
        d_max_sigma=math.sqrt(float(share @ (d_max - end) ** 2)), rg_angstrom=rg,
        rg_sigma=math.sqrt(float(rg_variance)),
        i0=float(4 * np.pi * area * i0), i0_sigma=float(4 * np.pi * math.sqrt(float(i0_variance)) * i0),
        chi_squared=float(np.mean(residual**2)), good_parameters=float((covariance * products).sum()),
        q_max_inv_angstrom=float(points.q[-1]), reason="")


def last_significant_distance(pairs: PairDistances, share: float) -> float:
    """Returns the distance (A) beyond which P(r) stays below a share of its maximum; NaN if it is not determined."""
    if pairs.reason:
        return float("nan")
    level = share * pairs.distribution.max()
    last = int(np.flatnonzero(pairs.distribution > level)[-1])
    if last + 1 == pairs.r_angstrom.size:
        return float(pairs.r_angstrom[-1])
    return float(np.interp(-level, -pairs.distribution[last:last + 2], pairs.r_angstrom[last:last + 2]))


def transform_to_intensity(pairs: PairDistances, q_inv_angstrom: np.ndarray) -> np.ndarray:
    """Returns the intensity (Q,) of P(r) at q (Q,) in 1/A, in the unit of the curve's."""
    waves = np.sinc(np.asarray(q_inv_angstrom)[:, None] * pairs.r_angstrom / np.pi)
    return 4 * np.pi * (pairs.r_angstrom[1] - pairs.r_angstrom[0]) * waves @ pairs.distribution


def _not_determined(reason: str) -> PairDistances:
    """Returns the result for a curve without P(r)."""
    nan, none = float("nan"), np.zeros(0)
    return PairDistances(none, none, none, nan, nan, nan, nan, nan, nan, nan, nan, nan, reason)
