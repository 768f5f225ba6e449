"""Fits the profile of a model to the points of a measured curve, and tests whether the residuals are noise.

`saxsae.reconstruction` calls it with the best model, `saxsae.profiles.structure_fit` with the curve of a known
structure, `saxsae.verdict` for the test of residuals.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from saxsae.profiles.rebinning import CurveLike, select_points

_CORMAP_BINS = 128  # bins in which residuals are summed, so that the probabilities of all curves are comparable


def fit_measured_points(curve: CurveLike, q_range: tuple[float, float], profile: Callable[[np.ndarray], np.ndarray],
                        background: bool) -> dict[str, Any]:
    """Returns the fit of the profile of a model to the measured points, unbinned.

    Args:
      curve: the measured curve.
      q_range: smallest and largest q used, 1/A.
      profile: q (Q,) in 1/A -> I(q) (Q,) of the model.
      background: fit a constant as well.

    Returns:
      The fields of `Reconstruction` that describe the fit: the points used, `fit`, `scale`, `background`,
      `chi_squared` and `relative_residual`.
    """
    q, intensity, sigma = select_points(curve, q_range)
    # The profile is computed on a table of fixed length and interpolated: one program serves curves of any length.
    table = np.linspace(0.0, q[-1], 512)
    model = np.interp(q, table, profile(table))
    weight = sigma**-2
    scale, constant = fit_scale_to_points(model, intensity, sigma, background)
    fit = scale * model + constant
    residual_weight = weight * fit**2
    return {"q_inv_angstrom": q, "intensity": intensity, "sigma": sigma, "fit": fit, "scale": scale,
            "background": constant,
            "chi_squared": float(np.mean(weight * (intensity - fit) ** 2)),
            "relative_residual": float(np.average(np.abs(intensity - fit) / np.abs(fit), weights=residual_weight))}


def fit_scale_to_points(profile: np.ndarray, intensity: np.ndarray, sigma: np.ndarray,
                        background: bool) -> tuple[float, float]:
    """Returns the scale of a profile, at least 0, and the constant that together fit best.

    Without a background the constant is 0, and the scale takes the sign of the intensities. The fit is in float64 and
    takes any number of points; the searches use `scattering.fit_scale`, which is compiled and in float32.

    Args:
      profile: (N,) I(q) of the model on any scale.
      intensity: (N,) measured.
      sigma: (N,) standard deviations of the intensities.
      background: whether a constant is fitted.
    """
    design = np.stack([profile, np.ones_like(profile)], 1)[:, : 1 + background]
    solution = np.linalg.lstsq(design / sigma[:, None], intensity / sigma, rcond=None)[0]
    if not background:
        return float(solution[0]), 0.0
    if solution[0] > 0:
        return float(solution[0]), float(solution[1])
    return 0.0, float(np.average(intensity, weights=sigma**-2.0))  # a negative scale explains nothing


def cormap_probability(residual: np.ndarray) -> float:
    """Returns the probability that noise alone gives a run of equal signs as long as the longest in residuals (N,).

    It is the probability of CorMap (Franke, Jeffries, Svergun, 2015), which needs no standard deviations.
    """
    changes = np.flatnonzero(np.diff(np.sign(residual) >= 0))
    longest = int(np.diff(np.concatenate([[-1], changes, [residual.size - 1]])).max())
    # N tosses have a run of `longest` equal ones if N - 1 pairs of neighbours have a run of `longest - 1` equal pairs.
    run, pairs = longest - 1, residual.size - 1
    if run == 0:
        return 1.0
    found = np.zeros(pairs + 1)  # probability that the first n pairs have such a run
    found[run] = 0.5**run
    for n in range(run + 1, pairs + 1):
        found[n] = found[n - 1] + 0.5 ** (run + 1) * (1 - found[n - run - 1])
    return float(found[pairs])


def sum_in_bins(q_inv_angstrom: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Returns residuals (N,) in standard deviations, summed in at most 128 equal bins of q (N,), ascending."""
    q = q_inv_angstrom
    if q.size <= _CORMAP_BINS:
        return residual
    bins = np.minimum(((q - q[0]) / (q[-1] - q[0]) * _CORMAP_BINS).astype(int), _CORMAP_BINS - 1)
    filled = np.bincount(bins, minlength=_CORMAP_BINS) > 0
    return np.bincount(bins, residual, minlength=_CORMAP_BINS)[filled]
