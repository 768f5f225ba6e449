"""Finds the concentrations of curves, and describes how Rg and I(0)/c of a series change with them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from launch.reconstruction.input_files import CurveFile
from phasenet.errors import InputError
from saxsae.analysis import concentration_series
from saxsae.analysis.concentration_series import ConcentrationLine, ConcentrationSeries
from saxsae.analysis.mass_by_concentration import MassScale, scale_of_standard
from saxsae.io.curves.stated_concentration import read_stated_concentration

# Curves whose headers state concentrations are taken for one sample if they differ by no more than these factors.
_MOST_RG_RATIO, _MOST_I0_RATIO = 1.3, 2.0
_MEANINGS = {
    concentration_series.NONE_SEEN: "neither differs from zero by more than 2 standard errors: no interaction is seen",
    concentration_series.REPULSION: "repulsion: the particles keep apart, so that Rg and I(0) of a single curve are "
    "too small; the values at c = 0 are free of it",
    concentration_series.ATTRACTION: "attraction or association: the particles gather, so that Rg and I(0) of a single "
    "curve are too large; the values at c = 0 are free of it only if they do not bind",
    concentration_series.MIXED: "Rg and I(0)/c move in opposite directions: no simple interaction; check the "
    "concentrations, the buffers and radiation damage"}


class SeriesPoint(NamedTuple):
    """A curve of a concentration series.

    Attributes:
      concentration: mg/ml.
      rg_angstrom: Guinier Rg, A.
      rg_sigma: its standard deviation, A.
      i0: I(0), in the unit of the file.
      i0_sigma: its standard deviation.
    """

    concentration: float
    rg_angstrom: float
    rg_sigma: float
    i0: float
    i0_sigma: float


class SeriesReport(NamedTuple):
    """What is known of a concentration series.

    Attributes:
      series: how the sample changes with its concentration; None if the curves form no series.
      divided: whether the intensities are divided by the concentration already, so that their I(0) is I(0)/c.
      lines: the lines that are printed; () if there are none.
    """

    series: ConcentrationSeries | None = None
    divided: bool = False
    lines: tuple[str, ...] = ()


def parse_concentrations(words: Sequence[str], count: int | None) -> list[float]:
    """Returns the concentrations of `--concentrations`, mg/ml.

    Args:
      words: the numbers as text.
      count: number of curves; None if it is not known yet.

    Raises:
      InputError: a word is no positive number, or there is not one for each curve.
    """
    values = _parse_positive("concentrations", words, ", mg/ml")
    if count is not None and len(values) != count:
        raise InputError(f"--concentrations={','.join(words)}: {len(values)} numbers for {count} "
                         f"curve{'s' * (count > 1)}; one is needed for each, in the order of the files (those of a "
                         "folder in alphabetical order)")
    return values


def parse_standard(words: Sequence[str]) -> MassScale:
    """Returns the scale of `--standard`; raises InputError if its words are not three positive numbers."""
    values = _parse_positive("standard", words, "")
    if len(values) != 3:
        raise InputError(f"--standard={','.join(words)}: expected MASS,I0,CONCENTRATION: the mass of the standard in "
                         "kDa, its I(0) in the unit of the curve's intensities, and its concentration in mg/ml")
    return scale_of_standard(*values)


def _parse_positive(flag: str, words: Sequence[str], unit: str) -> list[float]:
    """Returns the numbers of a flag; raises InputError if one is not positive and finite."""
    given = ",".join(words)
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise InputError(f"--{flag}={given}: {error}") from error
    if not all(0 < value < float("inf") for value in values):
        raise InputError(f"--{flag}={given}: expected positive numbers{unit}")
    return values


def find_concentrations(files: Sequence[CurveFile], given: Sequence[float] | None,
                        scales: Sequence[MassScale]) -> list[float | None]:
    """Returns the concentrations of the curves, mg/ml; None where one is not known.

    Args:
      files: the curves.
      given: the concentrations that the user gave; None takes those that the files state.
      scales: what turns I(0)/c into masses.

    Raises:
      InputError: a mass is asked for, and no concentration is known.
    """
    known: list[float | None] = _read_concentrations(files) if given is None else [*given]
    if scales and not any(known):
        flags = " and ".join(f"--{scale.method}" for scale in scales)
        raise InputError(f"{flags}: a mass needs the concentration, and no header states one: give "
                         "--concentrations=NUMBER,... in mg/ml, one number for each curve (1 for intensities that are "
                         "divided by the concentration)")
    return known


def _read_concentrations(files: Sequence[CurveFile]) -> list[float | None]:
    """Returns the concentrations that the files state, mg/ml; None for a file that states none or cannot be read."""
    found: list[float | None] = []
    for file in files:
        try:
            found.append(read_stated_concentration(file.path))
        except OSError:
            found.append(None)
    return found


def find_series(points: Sequence[SeriesPoint], given: bool) -> SeriesReport:
    """Returns how Rg and I(0)/c change with the concentration, if the curves form a series.

    Args:
      points: the curves whose concentration is known and that have a Guinier region.
      given: whether the user gave the concentrations, and with them said that the curves are of one sample.
    """
    usable = [point for point in points if point.rg_sigma > 0 and point.i0_sigma > 0]
    if len({point.concentration for point in usable}) < 2:
        why = "no concentration series: fewer than two concentrations have a Guinier region"
        return SeriesReport(lines=(why,) if given else ())
    c, rg, rg_sigma, i0, i0_sigma = np.array(usable).T
    divided = concentration_series.is_divided_by_concentration(c, i0)
    whole = c if divided else 1.0
    i0, i0_sigma = whole * i0, whole * i0_sigma
    rg_ratio, i0_ratio = np.max(rg) / np.min(rg), np.max(i0 / c) / np.min(i0 / c)
    if not given and (rg_ratio > _MOST_RG_RATIO or i0_ratio > _MOST_I0_RATIO):
        return SeriesReport(lines=(
            f"the headers state concentrations, but Rg differs by a factor of {rg_ratio:.2f} and I(0)/c by "
            f"{i0_ratio:.2f}: not taken for one sample (--concentrations says that it is one)",))
    found = concentration_series.analyze_series(c, rg, rg_sigma, i0, i0_sigma)
    source = "as given" if given else (
        "from the headers of the files, which are taken for those of one sample, because Rg and I(0)/c agree within "
        f"factors of {_MOST_RG_RATIO:g} and {_MOST_I0_RATIO:g}")
    lines = [f"concentration series of {len(usable)} curves, {min(c):g} to {max(c):g} mg/ml, {source}; lines weighted "
             "by the standard deviations"]
    if divided:
        lines.append("I(0) does not grow with c: the intensities are taken for divided by c already")
    return SeriesReport(found, divided, (
        *lines, _describe_line("Rg", found.rg_angstrom, " A"),
        _describe_line("I(0)/c", found.i0_per_concentration, ""), _MEANINGS[found.interaction]))


def describe_masses(concentrations: Sequence[float | None], given: bool, divided: bool, contradicted: int) -> str:
    """Returns one line on the concentrations with which masses are computed from I(0).

    Args:
      concentrations: of the curves, mg/ml; None where one is not known.
      given: whether the user gave the concentrations.
      divided: whether the intensities are divided by the concentration already.
      contradicted: how many curves have a mass that contradicts the mass by the shape of the curve.
    """
    parts = [f"concentrations {'as given' if given else 'from the headers of the files'}"]
    if divided:
        parts.append("c counts as 1, because the intensities are taken for divided by c already")
    unknown = sum(concentration is None for concentration in concentrations)
    if unknown:
        parts.append(f"no mass for {unknown} of {len(concentrations)} curves, whose concentration is not known")
    if contradicted:
        parts.append(f"the mass of {contradicted} of {len(concentrations)} curves contradicts that by the shape of the "
                     "curve by more than a factor of 2: is the concentration right, and the unit of I(0)?")
    return f"masses from I(0) and c: {'; '.join(parts)}"


def _describe_line(name: str, line: ConcentrationLine, unit: str) -> str:
    """Returns one line for the value at c = 0 and for the slope, with their standard errors."""
    word = {1: "rises with c", -1: "falls with c", 0: "does not change"}[line.direction]
    return (f"{name} {word}: {line.at_zero:.4g} +- {line.at_zero_error:.2g}{unit} at c = 0, slope {line.slope:.3g} +- "
            f"{line.slope_error:.2g}{unit} per mg/ml ({abs(line.slope) / line.slope_error:.1f} standard errors)")
