"""Form factors, unique reflections, the Wilson plot and normalised amplitudes."""

import gemmi
import numpy as np
import pytest

from phasenet.crystal import form_factors, lattice, normalisation
from phasenet.crystal.lattice import Intensities
from phasenet.errors import InputError

SPACING = np.array([0.0, 0.2, 0.5, 0.9])


def test_form_factors_are_those_of_gemmi():
    symbols = ("C", "Cl", "Cu")
    xray = form_factors.scattering(form_factors.form_factors(symbols), SPACING)
    electron = form_factors.scattering(form_factors.form_factors(symbols, "electron"), SPACING)
    neutron = form_factors.scattering(form_factors.form_factors(("H", "D"), "neutron"), SPACING)
    for row, symbol in enumerate(symbols):
        element = gemmi.Element(symbol)
        np.testing.assert_allclose(xray[row], [element.it92.calculate_sf(s**2 / 4) for s in SPACING], rtol=1e-5)
        np.testing.assert_allclose(electron[row], [element.c4322.calculate_sf(s**2 / 4) for s in SPACING], rtol=1e-5)
    np.testing.assert_allclose(neutron, [[-3.739] * 4, [6.671] * 4], rtol=1e-3)


@pytest.mark.parametrize(("symbol", "radiation"), [("Xx", "xray"), ("C", "light"), ("Quartz", "xray")])
def test_an_unknown_element_or_radiation_is_refused_by_name(symbol, radiation):
    with pytest.raises(InputError, match="Xx|light|Quartz"):
        form_factors.form_factors((symbol,), radiation)


def test_mates_are_averaged_and_absences_dropped(made_crystal):
    crystal = made_crystal("P 1 21/c 1")
    data = crystal.reflections
    mates = data.hkl @ crystal.operators.rotations[1]
    absent = np.array([[0, 1, 0], [0, 3, 0], [1, 0, 1]], np.int32)
    doubled = Intensities(np.concatenate([data.hkl, -mates, absent]).astype(np.int32),
                          np.concatenate([data.intensity - data.sigma, data.intensity + data.sigma, [9, 9, 9]]),
                          np.concatenate([data.sigma, data.sigma, [1, 1, 1]]))
    unique = normalisation.merge_equivalents(doubled, crystal.cell, crystal.operators)
    once = normalisation.merge_equivalents(data, crystal.cell, crystal.operators)
    np.testing.assert_array_equal(unique.hkl, once.hkl)
    np.testing.assert_allclose(unique.intensity, once.intensity)
    np.testing.assert_allclose(unique.sigma, once.sigma / 2**0.5)


def test_epsilon_and_multiplicity_of_known_reflections(made_crystal):
    crystal = made_crystal("P 1 21/c 1")
    hkl = np.array([[1, 2, 3], [0, 2, 0], [2, 0, 4], *[[1, k, 1] for k in range(1, 9)]], np.int32)
    unique = normalisation.merge_equivalents(
        Intensities(hkl, np.ones(len(hkl)), np.ones(len(hkl))), crystal.cell, crystal.operators)
    found = {tuple(np.abs(index)): (epsilon, multiplicity) for index, epsilon, multiplicity
             in zip(unique.hkl, unique.epsilon, unique.multiplicity, strict=True)}
    assert found[1, 2, 3] == (1, 4)
    assert found[0, 2, 0] == (2, 2)
    assert found[2, 0, 4] == (2, 2)


def test_too_few_reflections_are_refused(made_crystal):
    crystal = made_crystal("P 1")
    few = Intensities(*(part[:4] for part in crystal.reflections))
    with pytest.raises(InputError, match="4 reflections"):
        normalisation.merge_equivalents(few, crystal.cell, crystal.operators)


def test_wilson_scale_and_b_are_recovered_from_random_atoms():
    rng = np.random.default_rng(1)
    cell = np.array([9.0, 10.0, 11.0, 90.0, 90.0, 90.0])
    operators = lattice.operators_of(gemmi.SpaceGroup("P 1"))
    hkl = np.asarray(gemmi.make_miller_array(gemmi.UnitCell(*cell), gemmi.SpaceGroup("P 1"), 0.9), np.int32)
    s = lattice.inverse_spacing(hkl, cell)
    composition = {"Si": 30.0, "O": 60.0}
    factors = form_factors.scattering(form_factors.form_factors(tuple(composition)), s)
    x = rng.random((90, 3))
    waves = np.exp(2j * np.pi * hkl @ x.T)
    total = factors[0] * waves[:, :30].sum(1) + factors[1] * waves[:, 30:].sum(1)
    intensity = 7.0 * np.abs(total)**2 * np.exp(-2.5 * s**2 / 2)
    unique = normalisation.merge_equivalents(Intensities(hkl, intensity, 0.01 * intensity + 1), cell, operators)
    fit = normalisation.fit_scale_and_b(unique, composition, "xray")
    assert fit.b_iso == pytest.approx(2.5, abs=0.35)
    assert fit.scale == pytest.approx(7.0, rel=0.2)
    assert not fit.with_debye_curve
    amplitudes = normalisation.normalise(unique, composition, "xray")
    assert np.square(amplitudes.normalised).mean() == pytest.approx(1, abs=0.05)
    assert amplitudes.mean_e2_minus_1 == pytest.approx(0.74, abs=0.05)  # no centre


def test_sharpened_amplitudes_are_those_of_gaussian_atoms(made_crystal):
    crystal = made_crystal("P -1", noise=1e-4)
    unique = normalisation.merge_equivalents(crystal.reflections, crystal.cell, crystal.operators)
    amplitudes = normalisation.normalise(unique, crystal.composition, "xray")
    numbers = np.array([form_factors.atomic_number(element) for element in crystal.elements])
    waves = np.cos(2 * np.pi * unique.hkl @ crystal.positions.T)
    points = np.abs(2 * waves @ numbers) * normalisation.taper(unique.inverse_spacing, amplitudes.d_min)
    assert np.corrcoef(points, amplitudes.sharpened)[0, 1] > 0.97
    assert amplitudes.mean_e2_minus_1 > 0.85  # a centre


def test_intensities_that_are_all_zero_are_refused(made_crystal):
    crystal = made_crystal("P 1")
    with pytest.raises(InputError, match="positive intensity"):
        normalisation.merge_equivalents(crystal.reflections._replace(intensity=np.zeros(len(crystal.reflections.hkl))),
                                        crystal.cell, crystal.operators)
