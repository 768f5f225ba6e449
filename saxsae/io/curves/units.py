"""Decides whether the q of a measured curve is in 1/A or in 1/nm.

The unit that the file states is used. If it states none, the unit is chosen under which the Guinier radius and the q
range are more typical of proteins and instruments (a likelihood ratio). Called by the readers of curves.
"""

import re

import numpy as np

from phasenet.errors import InputError
from saxsae.profiles.guinier import fit_guinier

UNITS = ("1/A", "1/nm")
TO_INVERSE_ANGSTROM = {"1/A": 1.0, "1/nm": 0.1}
RG_RANGE_ANGSTROM = (8.0, 300.0)  # possible Guinier radii of a protein or complex in solution

# Log-normal distributions of three measured values: median (A or 1/A) and standard deviation of the logarithm. `rg` is
# the Guinier radius; `q_min` and `q_max` are the ends of the q range of cameras for solution scattering.
_TYPICAL = {"rg": (28.0, 0.7), "q_max": (0.35, 0.6), "q_min": (0.012, 0.6)}
_MIN_LEAD = 2.0  # difference of log-likelihoods; below it the choice of the unit is uncertain

_MINUS_ONE = r"\s*\^?\s*[({]?\s*(?:[-\u2212\u2013]\s*1|\u207b\s*\u00b9)"
_ANGSTROM = "[\u00c5\u212b]"
_UNIT_PATTERNS = {
    "1/nm": re.compile(
        rf"(?<![\w/.])1\s*/\s*nm\b|(?<![a-z])nm{_MINUS_ONE}|nano-?met(?:er|re)s?{_MINUS_ONE}"
        r"|(?:inverse|reciprocal|per)[ _]nano-?met|(?<![a-z])q_?nm\b", re.IGNORECASE),
    # A bare A-1 is often the name of a sample, so it counts only in brackets or with a caret.
    "1/A": re.compile(
        rf"(?<![\w/.])1\s*/\s*(?:{_ANGSTROM}|A(?![\w/.])|Ang(?:str|\b))|{_ANGSTROM}{_MINUS_ONE}"
        rf"|(?<![a-zA-Z0-9])A\s*\^{_MINUS_ONE}|[(\[]\s*A\s*-\s*1\s*[)\]]|(?i:angstr\w{{0,8}}{_MINUS_ONE})"
        r"|(?i:(?:inverse|reciprocal|per)[ _]angstr)|(?<![a-zA-Z])[qQ]_?(?:inv_?)?A(?![a-zA-Z])"),
}


def check_unit(unit: str) -> str:
    """Returns the unit unchanged, after a check that it is known.

    Args:
      unit: a unit of q.

    Raises:
      InputError: the unit is not one of `UNITS`.
    """
    if unit not in UNITS:
        raise InputError(f"unit {unit!r} is not known: give 1/A or 1/nm")
    return unit


def find_stated_unit(text: str) -> str | None:
    """Returns the unit of q that a text names, "1/A" or "1/nm"; None if the text names neither or both."""
    text = " ".join(text.split())  # on a long run of blanks the patterns would backtrack for hours
    named = [unit for unit, pattern in _UNIT_PATTERNS.items() if pattern.search(text)]
    return named[0] if len(named) == 1 else None


def decide_unit(q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray, stated: str | None) -> tuple[str, str]:
    """Returns the unit of q, "1/A" or "1/nm", and a note that says what decided the unit.

    Args:
      q: (N,) ascending, in the unit that is sought; N is at least `cleaning.MIN_POINTS`.
      intensity: (N,), any unit.
      sigma: (N,) standard deviations of `intensity`.
      stated: the unit that the file states, or None. A stated unit is always used; if the data clearly contradict the
        stated unit, the note says so.
    """
    guinier = fit_guinier(q, intensity, sigma)
    raw = {"q_min": q[0], "q_max": q[-1]} | ({"rg": guinier.rg_angstrom} if guinier.valid else {})
    log_likelihood = {unit: _log_likelihood(raw, TO_INVERSE_ANGSTROM[unit]) for unit in UNITS}
    likely, other = sorted(UNITS, key=lambda unit: log_likelihood[unit], reverse=True)
    lead = log_likelihood[likely] - log_likelihood[other]
    if stated is not None:
        note = f"q in {stated}, as the file says"
        if stated != likely and lead > _MIN_LEAD:
            note += f"; but {_describe_in_unit(raw, stated)} would be unusual: is it {likely}?"
        return stated, note
    note = f"unit of q not stated: {likely} assumed ({_describe_in_unit(raw, likely)}"
    if lead > _MIN_LEAD:
        return likely, note + f"; in {other} {_describe_in_unit(raw, other)})"
    return likely, note + f"), but {other} is possible ({_describe_in_unit(raw, other)}): give the unit of q"


def warn_about_radius(rg_angstrom: float) -> str | None:
    """Returns a note if a Guinier radius (A) lies outside `RG_RANGE_ANGSTROM`, else None."""
    if RG_RANGE_ANGSTROM[0] <= rg_angstrom <= RG_RANGE_ANGSTROM[1]:
        return None
    return (f"Guinier Rg of {rg_angstrom:.3g} A is outside {RG_RANGE_ANGSTROM[0]:g} to {RG_RANGE_ANGSTROM[1]:g} A: "
            "is the unit of q right?")


def _log_likelihood(raw: dict[str, float], to_inverse_angstrom: float) -> float:
    """Returns the log-likelihood of the values of a curve under `_TYPICAL`, up to a constant.

    `raw` has the keys of `_TYPICAL`, possibly without `rg`, and values in the unit of the file; a q times
    `to_inverse_angstrom` is in 1/A.
    """
    total = 0.0
    for name, value in raw.items():
        median, spread = _TYPICAL[name]
        factor = 1 / to_inverse_angstrom if name == "rg" else to_inverse_angstrom
        total -= 0.5 * (np.log(value * factor / median) / spread) ** 2
    return float(total)


def _describe_in_unit(raw: dict[str, float], unit: str) -> str:
    """Returns the Guinier radius (A), if there is one, and q_max (1/A) as text, for a file in this unit."""
    factor = TO_INVERSE_ANGSTROM[unit]
    q_max = f"q_max {raw['q_max'] * factor:.3g} 1/A"
    return f"Guinier Rg {raw['rg'] / factor:.3g} A, {q_max}" if "rg" in raw else q_max
