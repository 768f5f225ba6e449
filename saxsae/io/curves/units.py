"""Is q in 1/A or in 1/nm? As the file says, else from what proteins and instruments are like."""

import re

import numpy as np

from phasenet.errors import InputError
from saxsae.profiles.guinier import guinier

UNITS = ("1/A", "1/nm")
TO_INVERSE_ANGSTROM = {"1/A": 1.0, "1/nm": 0.1}
RG_RANGE = (8.0, 300.0)   # A: what a protein or complex in solution can have

# What is measured, as log-normal (median in A or 1/A, spread in e-folds): the Guinier Rg, and the
# ends of the q range that cameras for solution scattering cover.
_TYPICAL = {"rg": (28.0, 0.7), "q_max": (0.35, 0.6), "q_min": (0.012, 0.6)}
_SURE = 2.0   # a smaller lead in log-likelihood is called uncertain

_MINUS_ONE = r"\s*\^?\s*[({]?\s*(?:[-\u2212\u2013]\s*1|\u207b\s*\u00b9)"
_ANGSTROM = "[\u00c5\u212b]"
_STATED = {
    "1/nm": re.compile(
        rf"(?<![\w/.])1\s*/\s*nm\b|(?<![a-z])nm{_MINUS_ONE}|nano-?met(?:er|re)s?{_MINUS_ONE}"
        r"|(?:inverse|reciprocal|per)[ _]nano-?met|(?<![a-z])q_?nm\b", re.IGNORECASE),
    # A bare A-1 is also the name of many a sample: it counts in brackets or with a caret.
    "1/A": re.compile(
        rf"(?<![\w/.])1\s*/\s*(?:{_ANGSTROM}|A(?![\w/.])|Ang(?:str|\b))|{_ANGSTROM}{_MINUS_ONE}"
        rf"|(?<![a-zA-Z0-9])A\s*\^{_MINUS_ONE}|[(\[]\s*A\s*-\s*1\s*[)\]]|(?i:angstr\w{{0,8}}{_MINUS_ONE})"
        r"|(?i:(?:inverse|reciprocal|per)[ _]angstr)|(?<![a-zA-Z])[qQ]_?(?:inv_?)?A(?![a-zA-Z])"),
}


def check_unit(unit: str) -> str:
    """The unit itself, or InputError unless it is one of `UNITS`."""
    if unit not in UNITS:
        raise InputError(f"unit {unit!r} is not known: give 1/A or 1/nm")
    return unit


def stated_unit(text: str) -> str | None:
    """The unit of q that a header names, None where it names none or both."""
    text = " ".join(text.split())  # the patterns try all ways to share out a run of blanks
    named = [unit for unit, pattern in _STATED.items() if pattern.search(text)]
    return named[0] if len(named) == 1 else None


def decide_unit(q, intensity, sigma, stated: str | None) -> tuple[str, str]:
    """Unit of q and a note that says why.

    Args:
        q, intensity, sigma: (N,) the cleaned curve, q ascending, in the unit sought.
        stated: the unit that the file names, if any. It is believed, and doubted aloud where the
            data speak clearly against it.
    """
    found = guinier(q, intensity, sigma)
    raw = {"q_min": q[0], "q_max": q[-1]} | ({"rg": found.rg_angstrom} if found.valid else {})
    likelihood = {unit: _log_likelihood(raw, TO_INVERSE_ANGSTROM[unit]) for unit in UNITS}
    likely, other = sorted(UNITS, key=likelihood.get, reverse=True)
    lead = likelihood[likely] - likelihood[other]
    if stated is not None:
        note = f"q in {stated}, as the file says"
        if stated != likely and lead > _SURE:
            note += f"; but {_describe(raw, stated)} would be unusual: is it {likely}?"
        return stated, note
    note = f"unit of q not stated: {likely} assumed ({_describe(raw, likely)}"
    if lead > _SURE:
        return likely, note + f"; in {other} {_describe(raw, other)})"
    return likely, note + f"), but {other} is possible ({_describe(raw, other)}): give the unit"


def radius_warning(rg_angstrom: float) -> str | None:
    """A note when the Guinier Rg is none of a protein's, None otherwise."""
    if RG_RANGE[0] <= rg_angstrom <= RG_RANGE[1]:
        return None
    return (f"Guinier Rg of {rg_angstrom:.3g} A is outside {RG_RANGE[0]:g} to {RG_RANGE[1]:g} A: "
            "is the unit of q right?")


def _log_likelihood(raw: dict[str, float], to_inverse_angstrom: float) -> float:
    total = 0.0
    for name, value in raw.items():
        median, spread = _TYPICAL[name]
        factor = 1 / to_inverse_angstrom if name == "rg" else to_inverse_angstrom
        total -= 0.5 * (np.log(value * factor / median) / spread) ** 2
    return float(total)


def _describe(raw: dict[str, float], unit: str) -> str:
    factor = TO_INVERSE_ANGSTROM[unit]
    q_max = f"q_max {raw['q_max'] * factor:.3g} 1/A"
    return f"Guinier Rg {raw['rg'] / factor:.3g} A, {q_max}" if "rg" in raw else q_max
