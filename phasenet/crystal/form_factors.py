"""Form factors of elements as sums of Gaussians, for X-rays, electrons and neutrons.

X-rays: International Tables for Crystallography C (1992), table 6.1.1.4. Electrons: the same volume (1999), table
4.3.2.2. Neutrons: bound coherent scattering lengths of Sears, Neutron News 3 (1992) 26. All are taken from gemmi.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import gemmi
import numpy as np

from phasenet.errors import InputError

RADIATIONS = ("xray", "electron", "neutron")
_NUM_GAUSSIANS = 5


class GaussianFormFactors(NamedTuple):
    """f(s) = sum_k amplitudes_k exp(-widths_k s^2 / 4), s = 1/d. E elements.

    Attributes:
      elements: E symbols.
      amplitudes: (E, 5) electrons for X-rays, Angstrom for electrons, 10^-15 m for neutrons.
      widths: (E, 5) Angstrom^2.
    """

    elements: tuple[str, ...]
    amplitudes: np.ndarray
    widths: np.ndarray


def form_factors(elements: Sequence[str], radiation: str = "xray") -> GaussianFormFactors:
    """Returns the form factors of neutral elements.

    Args:
      elements: symbols; "D" is deuterium.
      radiation: "xray", "electron" or "neutron".

    Raises:
      InputError: an element or a radiation is unknown, or a table has no values for an element.
    """
    if radiation not in RADIATIONS:
        raise InputError(f"radiation {radiation!r}: expected one of {', '.join(RADIATIONS)}")
    amplitudes = np.zeros((len(elements), _NUM_GAUSSIANS))
    widths = np.zeros((len(elements), _NUM_GAUSSIANS))
    for row, symbol in enumerate(elements):
        a, b = _coefficients(symbol, radiation)
        amplitudes[row, :len(a)], widths[row, :len(b)] = a, b
    return GaussianFormFactors(tuple(elements), amplitudes, widths)


def scattering(factors: GaussianFormFactors, inverse_spacing: np.ndarray) -> np.ndarray:
    """Returns f, (E, N), of E elements at N reflections of `inverse_spacing` (N,) in 1/A."""
    exponents = -factors.widths[:, :, None] * np.square(inverse_spacing)[None, None] / 4
    return (factors.amplitudes[:, :, None] * np.exp(exponents)).sum(1)


def sum_of_squared_form_factors(
    inverse_spacing: np.ndarray, composition: Mapping[str, float], radiation: str = "xray"
) -> np.ndarray:
    """Returns the sum of f^2 over the atoms of a cell, (N,), at 1/d (N,) in 1/A; its unit is that of f squared.

    Args:
      inverse_spacing: 1/d of each reflection.
      composition: atoms in the unit cell by element symbol.
      radiation: "xray", "electron" or "neutron".

    Raises:
      InputError: no atoms, or an element or kind of radiation that has no form factor.
    """
    factors = form_factors(tuple(composition), radiation)
    total = np.array(list(composition.values()), float) @ scattering(factors, inverse_spacing)**2
    if not (total > 0).all():
        raise InputError("composition: expected at least one atom")
    return total


def atomic_number(symbol: str) -> int:
    """Returns the number of protons of an element.

    Raises:
      InputError: the element is unknown.
    """
    number = gemmi.Element(symbol).atomic_number
    if number < 1:
        raise InputError(f"element {symbol!r}: no such element")
    return number


def _coefficients(symbol: str, radiation: str) -> tuple[list[float], list[float]]:
    """Returns amplitudes and widths of one element, at most five of each."""
    atomic_number(symbol)
    element = gemmi.Element("H" if symbol == "D" and radiation != "neutron" else symbol)
    if radiation == "neutron":
        return [element.neutron92.get_coefs()[0]], [0.0]
    if radiation == "electron":
        if element.c4322 is None:
            raise InputError(f"element {symbol}: no electron form factor in the tables")
        return list(element.c4322.a), list(element.c4322.b)
    if element.it92 is None:
        raise InputError(f"element {symbol}: no X-ray form factor in the tables")
    return [*element.it92.a, element.it92.c], [*element.it92.b, 0.0]
