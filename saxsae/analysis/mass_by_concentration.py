"""Computes molecular masses from I(0)/c, on absolute scale or by a standard of known mass.

The mass is I(0)/c times a constant, `MassScale`. On absolute scale the constant follows from the scattering of a mean
protein in water (D. Orthaber, A. Bergmann, O. Glatter, J. Appl. Cryst. 33, 218, 2000), else from the curve of a
standard (E. Mylonas, D. Svergun, J. Appl. Cryst. 40, s245, 2007). `saxsae.analysis.curve_report` and
`launch.reconstruction.batch_table` call this module.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from saxsae.analysis.molecular_mass import MassEstimate, calibrated_interval
from saxsae.profiles.guinier import GuinierFit

# Orthaber and others: of a mean protein in water.
_ELECTRONS_PER_GRAM, _CM3_PER_GRAM = 3.22e23, 0.7425
_WATER_ELECTRONS_PER_CM3 = 3.34e23
_ELECTRON_RADIUS_CM = 2.8179e-13
_AVOGADRO = 6.02214076e23  # 1/mol
_SCATTERING_LENGTH_CM_PER_GRAM = (
    (_ELECTRONS_PER_GRAM - _WATER_ELECTRONS_PER_CM3 * _CM3_PER_GRAM) * _ELECTRON_RADIUS_CM)

_LARGEST_RATIO = 2.0  # of this mass and that by the curve's shape, whose own 90% intervals are within a quarter
ON_ABSOLUTE_SCALE, BY_STANDARD = "absolute_scale", "standard"  # also the names of the flags of `launch.reconstruct`


class MassScale(NamedTuple):
    """What turns I(0)/c into a mass.

    Attributes:
      method: `ON_ABSOLUTE_SCALE` or `BY_STANDARD`.
      kda_per_i0_over_concentration: the mass, kDa, of a protein whose I(0)/c is 1 unit of the curve's intensities per
        mg/ml.
    """

    method: str
    kda_per_i0_over_concentration: float


# For intensities in 1/cm. A mg/ml is 0.001 g/cm^3 and a kDa is 1000 g/mol, so no power of ten is left.
ABSOLUTE_SCALE = MassScale(ON_ABSOLUTE_SCALE, _AVOGADRO / _SCATTERING_LENGTH_CM_PER_GRAM**2)


def scale_of_standard(mass_kda: float, i0: float, concentration_mg_per_ml: float) -> MassScale:
    """Returns the scale that a standard of known mass gives, measured as the sample was; its numbers count as exact.

    Args:
      mass_kda: mass of the standard, kDa.
      i0: its I(0), in the unit of the sample's intensities.
      concentration_mg_per_ml: its concentration, mg/ml; 1 if its intensities are divided by the concentration.

    Raises:
      ValueError: a number is not positive and finite.
    """
    if not all(0 < value < math.inf for value in (mass_kda, i0, concentration_mg_per_ml)):
        raise ValueError("mass, I(0) and concentration of a standard must be positive numbers")
    return MassScale(BY_STANDARD, mass_kda * concentration_mg_per_ml / i0)


def mass_from_i0(i0: float, i0_sigma: float, concentration_mg_per_ml: float, scale: MassScale) -> tuple[float, float]:
    """Returns the mass and its standard deviation, kDa; the concentration counts as exact.

    Args:
      i0: I(0), in the unit that belongs to the scale.
      i0_sigma: its standard deviation.
      concentration_mg_per_ml: positive concentration of the sample, mg/ml; 1 if the intensities are divided by it.
      scale: the method.
    """
    kda_per_i0 = scale.kda_per_i0_over_concentration / concentration_mg_per_ml
    return kda_per_i0 * i0, kda_per_i0 * i0_sigma


def contradicts_shape(mass_kda: float, mass_by_shape_kda: float) -> bool:
    """Returns whether a mass from I(0) is off by more than a factor of 2 from the mass by the shape of the curve.

    Then the concentration, the unit of the intensities or the standard is wrong, or the sample is no protein. NaN
    contradicts nothing.

    Args:
      mass_kda: from I(0) and the concentration, kDa.
      mass_by_shape_kda: `molecular_mass.CONSENSUS`, kDa, which needs neither.
    """
    return max(mass_kda / mass_by_shape_kda, mass_by_shape_kda / mass_kda) > _LARGEST_RATIO


def estimate_masses_from_i0(guinier: GuinierFit, concentration_mg_per_ml: float | None,
                            scales: Sequence[MassScale]) -> tuple[MassEstimate, ...]:
    """Returns the mass by each scale, with a 90% interval that allows for the error of I(0) alone.

    Args:
      guinier: the Guinier fit of the curve. If it is not valid, no mass is determined.
      concentration_mg_per_ml: positive concentration of the sample, mg/ml; 1 if the intensities are divided by it;
        None if it is not known, and no mass is determined.
      scales: the methods.
    """
    masses = []
    for scale in scales:
        if concentration_mg_per_ml is None or not guinier.valid:
            reason = f"no Guinier region: {guinier.reason}" if guinier.reason else "the concentration is not known"
            masses.append(MassEstimate(scale.method, math.nan, (math.nan, math.nan), reason))
        else:
            mass, _ = mass_from_i0(guinier.i0, guinier.i0_sigma, concentration_mg_per_ml, scale)
            error = guinier.i0_sigma / guinier.i0
            masses.append(MassEstimate(scale.method, mass, calibrated_interval(mass, (1.0, 1.0), error), ""))
    return tuple(masses)
