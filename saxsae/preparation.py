"""Prepares a curve for a search: where it begins and ends, its radius of gyration, its rebinned points.

`saxsae.reconstruction` calls `prepare_curve` before its stages.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from saxsae import genetic_search
from saxsae.bank import scoring
from saxsae.profiles import hydration, scattering
from saxsae.profiles.curve_quality import count_flare_points
from saxsae.profiles.guinier import MEDIAN_RADIUS_OVER_RG, GuinierFit, radius_bounds
from saxsae.profiles.rebinning import CurveLike, rebin
from saxsae.profiles.scattering import WeightedCurve

NUM_POINTS = 128  # length of every rebinned curve, so that one compiled program serves all curves
_LONGEST_OVER_RG = 2.3  # largest r_max over Rg of all but a few deposited models


class PreparedCurve(NamedTuple):
    """The part of a curve that is fitted, and the numbers that all stages need.

    Attributes:
      curve: the rebinned curve.
      curve_for_bank: the same points, with the error of the bank's profiles in the weights.
      guinier: the Guinier fit.
      q_range: smallest and largest q that is fitted, 1/A.
      rg_angstrom: radius of gyration by the Guinier fit, or a guess from the known r_max.
      radii: smallest and largest r_max, A.
      radius: r_max in A, if it is known.
      notes: assumptions and left-out points, one line each.
    """

    curve: WeightedCurve
    curve_for_bank: WeightedCurve
    guinier: GuinierFit
    q_range: tuple[float, float]
    rg_angstrom: float
    radii: tuple[float, float]
    radius: float | None
    notes: list[str]


def prepare_curve(curve: CurveLike, guinier: GuinierFit, radius: float | None, q_max: float,
                  densities: bool) -> PreparedCurve:
    """Returns the part of a curve that is fitted, rebinned.

    Args:
      curve: the curve, as `saxsae.reconstruction.reconstruct` takes it.
      guinier: its Guinier fit.
      radius: r_max in A, if it is known.
      q_max: largest q that the caller allows, 1/A.
      densities: whether densities of the bank are fitted rather than binary shapes.
    """
    notes = list(getattr(curve, "notes", ()))
    radii = (radius, radius) if radius is not None else radius_bounds(guinier.rg_angstrom)
    first = guinier.first if guinier.valid else count_flare_points(curve, radii[1])
    q_min = float(curve.q_inv_angstrom[first])
    if first:
        notes.append(f"the first {first} point{'s' * (first > 1)}, to q = {curve.q_inv_angstrom[first - 1]:.4g} 1/A, "
                     f"{'before the Guinier region' if guinier.valid else 'too steep for this size'}, not fitted")
    resolved = scattering.resolved_q_max(curve.q_inv_angstrom[first:], q_max, largest_tried(radii))
    if densities:
        longest = _LONGEST_OVER_RG * guinier.rg_angstrom if radius is None else radius
        resolved = min(resolved, hydration.largest_q(longest))
    if resolved < min(q_max, float(curve.q_inv_angstrom[-1])):
        q_max = resolved
        notes.append(f"points above q = {q_max:.4g} 1/A are not fitted: at radii up to {radii[1]:.0f} A the maps do "
                     "not resolve them")
    binned = rebin(curve, q_max=q_max, num_points=NUM_POINTS, q_min=q_min)
    # Intensities are divided by the largest, so that float32 does not overflow, whatever their unit.
    unit = float(np.max(np.abs(binned.intensity)))
    fitted = WeightedCurve(*(jnp.asarray(a, jnp.float32) for a in (
        binned.q_inv_angstrom, binned.intensity / unit, binned.weight * unit**2)))
    rg = guinier.rg_angstrom if guinier.valid else radii[1] / MEDIAN_RADIUS_OVER_RG
    return PreparedCurve(fitted, scoring.add_model_error(fitted), guinier, (q_min, q_max), rg, radii, radius, notes)


def largest_tried(radii: tuple[float, float]) -> float:
    """Returns the largest r_max (A) that a search within bounds (A) may try."""
    return radii[1] * (1 + max(genetic_search.RADIUS_STEPS))
