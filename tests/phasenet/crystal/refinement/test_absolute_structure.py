"""The Flack parameter of made data is the share of the inverse that they hold; the inverse obeys its own group."""

import gemmi
import numpy as np
import pytest
from made_crystals import make_crystal

from phasenet.crystal import lattice
from phasenet.crystal.lattice import Intensities
from phasenet.crystal.refinement import absolute_structure

COPPER, MOLYBDENUM = 1.54184, 0.71073


def measure(made, share, wavelength, noise=0.01):
    """Intensities of both Friedel mates of a crystal, a share of which is inverse; f' and f'' by gemmi's tables."""
    structure = made.structure
    calculator = gemmi.StructureFactorCalculatorX(structure.cell)
    for element in set(made.elements):
        fp, _ = gemmi.cromer_liberman(z=gemmi.Element(element).atomic_number, energy=gemmi.hc / wavelength)
        calculator.addends.set(gemmi.Element(element), fp)
    hkl = made.reflections.hkl
    hkl = np.concatenate([hkl, -hkl])
    # gemmi has no f'': the atoms' imaginary part is a second, real, structure factor of f'' alone.
    real = np.array([calculator.calculate_sf_from_small_structure(structure, list(map(int, h))) for h in hkl])
    imaginary = np.zeros(len(hkl), complex)
    s = lattice.inverse_spacing(hkl, made.cell)
    for position, element, b in zip(made.positions, made.elements, made.b_iso, strict=True):
        _, fpp = gemmi.cromer_liberman(z=gemmi.Element(element).atomic_number, energy=gemmi.hc / wavelength)
        for turn, shift in zip(made.operators.rotations, made.operators.translations, strict=True):
            imaginary += fpp * np.exp(-b * s**2 / 4) * np.exp(2j * np.pi * (hkl @ (turn @ position + shift)))
    intensity = np.abs(real + 1j * imaginary)**2
    half = len(hkl) // 2
    intensity = (1 - share) * intensity + share * np.roll(intensity, half)
    sigma = noise * intensity + 0.001 * intensity.mean()
    return Intensities(hkl, intensity + sigma * np.random.default_rng(1).normal(size=len(hkl)), sigma)


def fit(made, reflections, wavelength, positions=None):
    return absolute_structure.fit_flack_parameter(
        reflections, made.cell, made.operators, made.positions if positions is None else positions, made.elements,
        made.b_iso, np.ones(len(made.elements)), wavelength)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("symbol", ["P 1", "P 21 21 21"])
def test_the_share_of_the_inverse_is_found(symbol, share):
    made = make_crystal(symbol)
    found = fit(made, measure(made, share, COPPER), COPPER)
    assert abs(found.x - share) < max(4 * found.sigma, 0.02) and found.sigma < 0.05 and found.num_pairs > 100
    positions, _ = absolute_structure.invert(made.positions, made.operators)
    other = fit(made, measure(made, share, COPPER), COPPER, positions)
    assert abs(other.x - (1 - share)) < max(4 * found.sigma, 0.02)


def test_weak_anomalous_scattering_gives_a_large_error():
    made = make_crystal("P 21 21 21")
    assert (fit(made, measure(made, 0.0, MOLYBDENUM, 0.05), MOLYBDENUM).sigma
            > 5 * fit(made, measure(made, 0.0, COPPER, 0.005), COPPER).sigma)


def test_nothing_is_fitted_without_pairs_or_with_an_inversion():
    made = make_crystal("P 21 21 21")
    assert fit(made, made.reflections, COPPER) is None  # one of each set of mates
    made = make_crystal("P 1 21/c 1")
    assert fit(made, measure(made, 0.0, COPPER), COPPER) is None


@pytest.mark.parametrize(("symbol", "expected"), [
    ("P 1", "P 1"), ("P 21 21 21", "P 21 21 21"), ("P 41", "P 43"), ("P 31 2 1", "P 32 2 1"), ("I 41", "I 41"),
    ("F d d 2", "F d d 2"), ("I -4 2 d", "I -4 2 d"), ("P n a 21", "P n a 21"), ("P 41 3 2", "P 43 3 2"),
    ("I 41 2 2", "I 41 2 2"), ("R 3 :H", "R 3 :H"), ("F 41 3 2", "F 41 3 2")])
def test_the_inverse_obeys_the_group_that_is_returned(symbol, expected):
    operators = lattice.operators_of(gemmi.SpaceGroup(symbol))
    rng = np.random.default_rng(2)
    site = rng.random((1, 3))
    inverse, group = absolute_structure.invert(site, operators)
    assert group.symbol == gemmi.SpaceGroup(expected).xhm()

    def orbit(x, ops):
        return (x @ np.swapaxes(ops.rotations, 1, 2) + ops.translations[:, None]).reshape(-1, 3)

    # Distances between mates are those of the inverse orbit, which is -x up to a shift.
    first, second = orbit(site, operators), orbit(inverse, group)
    shifts = (second[:, None] + first[None, :1]).reshape(-1, 3)
    def matches(shift):
        difference = second[:, None] - (shift - first)[None]
        return (np.abs(difference - np.rint(difference)).max(-1).min(1) < 1e-6).all()
    assert any(matches(shift) for shift in shifts)
