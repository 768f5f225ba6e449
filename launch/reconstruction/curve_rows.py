"""Formats the numbers of the curve itself, without a model, for table, page and log of `launch.reconstruct`."""

import math
from typing import Any

from launch.pages import page
from saxsae.analysis import mass_by_concentration, molecular_mass
from saxsae.analysis.curve_report import CurveNumbers

_NAMES = {molecular_mass.POROD: "Porod", molecular_mass.CORRECTED_POROD: "corrected Porod",
          molecular_mass.CORRELATION_VOLUME: "V_c", molecular_mass.CALIBRATED: "regression"}
_NAMES_BY_CONCENTRATION = {mass_by_concentration.ON_ABSOLUTE_SCALE: "mass on absolute scale",
                           mass_by_concentration.BY_STANDARD: "mass by the standard"}
_ANGSTROM3_PER_DALTON = 1.21  # of a protein


def rows(numbers: CurveNumbers, map_volume_angstrom3: float | None) -> list[tuple[str, str, str]]:
    """Returns (name, value, remark) of each line of the table; a number that the curve does not give has no line.

    Args:
      numbers: of the curve.
      map_volume_angstrom3: volume of the reconstructed map, A^3; None without one.
    """
    pairs = numbers.pair_distances
    lines = []
    if math.isfinite(numbers.d_max_angstrom):
        low, high = numbers.d_max_interval_angstrom
        lines += [("D_max", f"{numbers.d_max_angstrom:.0f} A", f"90%: {low:.0f} to {high:.0f}; P(r) ends at "
                   f"{pairs.d_max_angstrom:.0f} +- {pairs.d_max_sigma:.0f}"),
                  ("Rg from P(r)", f"{pairs.rg_angstrom:.1f} A", f"+- {pairs.rg_sigma:.1f}; I(0) {pairs.i0:.5g} +- "
                   f"{pairs.i0_sigma:.2g}")]
    mass = numbers.mass()
    if math.isfinite(mass.mass_kda):
        others = [f"{name} {numbers.mass(method).mass_kda:.3g}" for method, name in _NAMES.items()
                  if math.isfinite(numbers.mass(method).mass_kda)]
        if map_volume_angstrom3 is not None:
            others.append(f"volume of the map {map_volume_angstrom3 / _ANGSTROM3_PER_DALTON / 1000:.3g}")
        lines.append(("molecular mass", f"{mass.mass_kda:.3g} kDa", f"90%: {mass.interval_kda[0]:.3g} to "
                      f"{mass.interval_kda[1]:.3g}; {', '.join(others)}"))
    for from_i0 in numbers.masses:
        if from_i0.method in _NAMES_BY_CONCENTRATION and math.isfinite(from_i0.mass_kda):
            low, high = from_i0.interval_kda
            doubt = ("; contradicts the molecular mass above: is the concentration right, and the unit of I(0)?"
                     if mass_by_concentration.contradicts_shape(from_i0.mass_kda, mass.mass_kda) else "")
            lines.append((_NAMES_BY_CONCENTRATION[from_i0.method], f"{from_i0.mass_kda:.3g} kDa",
                          f"90%: {low:.3g} to {high:.3g}, for the error of I(0) alone{doubt}"))
    if math.isfinite(numbers.porod_volume_angstrom3):
        lines.append(("Porod volume", f"{numbers.porod_volume_angstrom3:.3g} A^3",
                      f"q to {numbers.porod_q_max_inv_angstrom:.2g} 1/A"))
    if math.isfinite(numbers.kratky_peak_height):
        lines.append(("Kratky peak", f"{numbers.kratky_peak_height:.2f}", f"at q Rg = {numbers.kratky_peak_q_rg:.2f}"))
    if math.isfinite(numbers.shannon_channels):
        lines.append(("Shannon channels", f"{numbers.shannon_channels:.1f}",
                      f"{numbers.significant_channels:.1f} above the noise"
                      if math.isfinite(numbers.significant_channels) else ""))
    return lines


def log(numbers: CurveNumbers) -> dict[str, Any]:
    """Returns the numbers for log.json, None where one is not determined, and P(r)."""
    pairs = numbers.pair_distances
    return {**numbers.flatten(),
            "p_r": {"r_angstrom": pairs.r_angstrom, "distribution": pairs.distribution, "sigma": pairs.sigma},
            "notes": numbers.notes}


def payload(numbers: CurveNumbers) -> dict[str, Any]:
    """Returns what the page draws of P(r); {} if it is not determined, with the reason."""
    pairs = numbers.pair_distances
    if pairs.reason:
        return {"reason": pairs.reason}
    highest = float(pairs.distribution.max())
    return {"reason": "", "r": page.round_to_digits(pairs.r_angstrom),
            "distribution": page.round_to_digits(pairs.distribution / highest),
            "sigma": page.round_to_digits(pairs.sigma / highest), "end": pairs.d_max_angstrom}
