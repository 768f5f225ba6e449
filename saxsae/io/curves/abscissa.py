"""Converts the first column of a curve to q = 4 pi sin(theta) / lambda where a file states another quantity.

A scattering angle 2 theta is converted with the wavelength or photon energy that the file states; s = 2 sin(theta) /
lambda, which is 1/d, is multiplied by 2 pi. Called by `columns.read_columns`.
"""

import re
from typing import NamedTuple

import numpy as np

_KEV_ANGSTROM = 12.398419843  # photon energy times wavelength
_TO_ANGSTROM = {"m": 1e10, "nm": 10.0, "a": 1.0, "ang": 1.0, "å": 1.0, "pm": 0.01}
_LAMBDA = r"(?:wave[ _-]?length|lambda|\bwl\b|λ)"
_NUMBER = r"(\d{1,12}(?:[.,]\d{1,15})?(?:[eE][+-]?\d{1,3})?)"
_LENGTH_UNIT = r"(nm|pm|m|ang|[aåÅ])"
_WAVELENGTH = re.compile(
    rf"{_LAMBDA}\w{{0,10}}[\s:=,;_]{{0,6}}(?:[(\[]\s*{_LENGTH_UNIT}\w{{0,8}}\s*[)\]])?[\s:=,;]{{0,12}}{_NUMBER}"
    rf"\s{{0,4}}[(\[]?(?:{_LENGTH_UNIT}(?:str\w{{0,8}})?(?![a-z]))?", re.IGNORECASE)
_ENERGY = re.compile(
    rf"energy\w{{0,10}}[\s:=,;_]{{0,6}}(?:[(\[]\s*(k?eV)\s*[)\]])?[\s:=,;]{{0,12}}{_NUMBER}\s{{0,4}}[(\[]?(k?eV)?",
    re.IGNORECASE)
_SINE = r"sin\s?\(?\s?(?:theta|θ|th)\s?\)?"
# The symbol that is defined, then 2 sin(theta) / lambda or 1 / d.
_S_DEFINED = re.compile(
    rf"(?:\b([A-Za-z])\s?(?:\([^()]{{0,20}}\)\s?)?[=:]\s?)?\b(?:2\s?[*·×]?\s?{_SINE}\s?/\s?{_LAMBDA}"
    rf"|2\s?/\s?{_LAMBDA}\s?[*·×]?\s?{_SINE}|q\s?/\s?\(?2\s?[*·×]?\s?(?:pi|π)\)?)"
    r"|\b([A-Za-z])\s?=\s?1\s?/\s?d\b", re.IGNORECASE)
# 2 theta as instruments name it, and no formula, no value and no part of an instrument.
_TWO_THETA_WORD = re.compile(
    r"(?:(?<!sin\()(?<![\w.])(?:2|two)[ _*-]?(?:theta|θ|th)(?![a-z])|°\s?2\s?th|\btth\b|\btwotheta\b)"
    r"(?=\s*(?:$|[,;|\])>.\"_]|[/(]\s*(?:deg|rad|°)|I\b|int|counts))(?!\W{0,6}\d)", re.IGNORECASE)
_ONLY_SPACING = re.compile(r"\W*[A-Za-z]\s?=\s?1\s?/\s?d\W*")  # a line that says nothing but s = 1/d
_TWO_THETA_PHRASE = re.compile(
    r"(?:(?<![\w.])(?:2|two)[ _*-]?(?:theta|θ)|\bscattering angle)"
    r"(?= ?(?:$|[,;|(\[]|in (?:deg|rad)|I\b|int|counts|err|sigma|vs\b))", re.IGNORECASE)


class Wavelength(NamedTuple):
    """A wavelength (A) and the words of the file that state it."""

    angstrom: float
    stated: str


def find_wavelength(text: str) -> Wavelength | None:
    """Returns the wavelength that a text states in m, nm, A or pm, or by the photon energy in keV or eV.

    Returns None if the text states none, none with a unit, or several that differ.

    Args:
      text: the lines around a table.
    """
    text = " ".join(text.split())
    found = []
    for match in _WAVELENGTH.finditer(text):
        value, unit = _parse_float(match[2]), (match[3] or match[1] or "").lower()
        if not unit and 1e-12 < value < 1e-8:
            unit = "m"  # no other unit gives a wavelength
        if unit:
            found.append(Wavelength(value * _TO_ANGSTROM[unit], match[0].strip(" ([])")))
    for match in _ENERGY.finditer(text):
        value, unit = _parse_float(match[2]), (match[3] or match[1] or "").lower()
        if unit and value > 0:
            energy_kev = value * (1.0 if unit == "kev" else 1e-3)
            found.append(Wavelength(_KEV_ANGSTROM / max(energy_kev, 1e-30), match[0].strip(" ([])")))
    found = [one for one in found if 0.01 < one.angstrom < 100]
    if not found or max(one.angstrom for one in found) > 1.01 * min(one.angstrom for one in found):
        return None
    return found[0]


def names_two_theta(text: str) -> bool:
    """Returns whether a line calls the first column 2 theta; a value of 2 theta in the header does not count.

    Args:
      text: the lines right above a table.
    """
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return any(_TWO_THETA_PHRASE.search(line) or _TWO_THETA_WORD.search(line) for line in lines)


def defines_s(text: str, q_name: str | None) -> bool:
    """Returns whether a text says that the first column is s = 2 sin(theta) / lambda = 1 / d.

    Args:
      text: the lines above a table.
      q_name: the name of the first column in the line of column names; None if there is no such line.
    """
    lines, text = text.splitlines(), " ".join(text.split())
    for match in _S_DEFINED.finditer(text):
        if re.search(r"(?:pi|π)\s?[*·×]?\s?$", text[max(match.start() - 6, 0):match.start()], re.IGNORECASE):
            continue  # 2 pi times s is q
        if match[2] and q_name is None and not any(_ONLY_SPACING.fullmatch(line) for line in lines):
            continue  # a remark, such as on the resolution
        symbol = (match[1] or match[2] or "").lower()
        if q_name is None or not symbol or q_name.lower().startswith(symbol):
            return True
    return False


def convert_two_theta(two_theta: np.ndarray, unit: str, wavelength_angstrom: float) -> np.ndarray:
    """Returns q (N,) in 1/A; NaN for angles outside 0 to 180 degrees.

    Args:
      two_theta: (N,) scattering angles.
      unit: their unit, "deg", "rad" or "mrad".
      wavelength_angstrom: the wavelength.
    """
    two_theta = np.where(np.isfinite(two_theta) & (np.abs(two_theta) < 1e6), two_theta, np.nan)
    radian = two_theta * {"deg": np.pi / 180, "rad": 1.0, "mrad": 1e-3}[unit]
    radian[~((radian >= 0) & (radian <= np.pi))] = np.nan
    return 4 * np.pi * np.sin(radian / 2) / wavelength_angstrom


def find_angle_unit(name: str) -> str:
    """Returns "rad" or "mrad" if the name of an angle says so, else "deg".

    Args:
      name: the name of the column, with its unit, or the line that names it.
    """
    name = name.lower()
    return "mrad" if "mrad" in name else "rad" if re.search(r"(?<![a-z])rad", name) else "deg"


def _parse_float(number: str) -> float:
    """Returns the value of a match of `_NUMBER`."""
    return float(number.replace(",", "."))
