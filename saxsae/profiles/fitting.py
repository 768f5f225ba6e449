"""Fits the profile of a model to all points of a measured curve: the scale, and a constant background if asked for.

`saxsae.reconstruction` calls it with the best model.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from saxsae.profiles.rebinning import CurveLike


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
    q, intensity, sigma = (np.asarray(a, np.float64) for a in (
        curve.q_inv_angstrom, curve.intensity, curve.sigma))
    used = (q >= q_range[0]) & (q <= q_range[1])
    q, intensity, sigma = q[used], intensity[used], sigma[used]
    # The profile is computed on a table of fixed length and interpolated: one program serves curves of any length.
    table = np.linspace(0.0, q[-1], 512)
    model = np.interp(q, table, profile(table))
    weight = sigma**-2
    design = np.stack([model, np.ones_like(model)], 1)[:, : 1 + background]
    solution = np.linalg.lstsq(design * np.sqrt(weight)[:, None], intensity * np.sqrt(weight), rcond=None)[0]
    fit = design @ solution
    residual_weight = weight * fit**2
    return {"q_inv_angstrom": q, "intensity": intensity, "sigma": sigma, "fit": fit, "scale": float(solution[0]),
            "background": float(solution[1]) if background else 0.0,
            "chi_squared": float(np.mean(weight * (intensity - fit) ** 2)),
            "relative_residual": float(np.average(np.abs(intensity - fit) / np.abs(fit), weights=residual_weight))}
