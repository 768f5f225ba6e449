"""The measurement of made crystals: structure factors as gemmi's, and conditions that do what they say."""

import gemmi
import numpy as np
import pytest

from phasenet.crystal import lattice
from phasenet.crystal.made import crystals, measurement

PERFECT = measurement.MeasurementConditions(
    "xray", 1.0, 1e-6, 1e-6, 0.0, 1.0, 1e3, 0.0, np.array([0.0, 0, 1]), 0.0, True)


@pytest.fixture(scope="module")
def crystal():
    return crystals.draw_crystal(np.random.default_rng(7), (700.0, 900.0), ("P 1 21/c 1",), "organic")


def measure(crystal, **changes):
    return measurement.measure(np.random.default_rng(0), crystal, PERFECT._replace(**changes))


@pytest.mark.parametrize(("radiation", "calculator"), [("xray", gemmi.StructureFactorCalculatorX),
                                                       ("electron", gemmi.StructureFactorCalculatorE)])
def test_structure_factors_are_those_of_a_direct_sum_by_gemmi(crystal, radiation, calculator):
    structure = gemmi.SmallStructure()
    structure.cell = gemmi.UnitCell(*crystal.cell)
    structure.spacegroup = gemmi.SpaceGroup(crystal.operators.symbol)
    atoms = [*zip(crystal.elements, crystal.positions, crystal.b_iso, strict=True),
             *zip(["H"] * len(crystal.hydrogens), crystal.hydrogens, crystal.hydrogen_b_iso, strict=True)]
    for element, position, b in atoms:
        site = gemmi.SmallStructure.Site()
        site.element, site.fract, site.occ = gemmi.Element(element), gemmi.Fractional(*position), 1.0
        site.u_iso = b / (8 * np.pi**2)
        structure.add_site(site)
    structure.setup_cell_images()
    hkl = np.array([[1, 0, 0], [0, 2, 1], [-3, 1, 2], [2, 5, 0], [-1, -2, 4]])
    sums = calculator(structure.cell)
    expected = [sums.calculate_sf_from_small_structure(structure, list(map(int, index))) for index in hkl]
    found = measurement.structure_factors(crystal, hkl, radiation)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3 * np.abs(expected).max())


def test_every_unique_reflection_is_measured_once_and_no_absent_one(crystal):
    group = gemmi.SpaceGroup(crystal.operators.symbol)
    expected = gemmi.make_miller_array(gemmi.UnitCell(*crystal.cell), group, 1.0)
    reflections = measure(crystal)
    assert len(reflections.hkl) == len(expected)
    assert not lattice.find_absences(reflections.hkl, crystal.operators).any()
    np.testing.assert_allclose(reflections.intensity, np.abs(
        measurement.structure_factors(crystal, reflections.hkl)) ** 2, rtol=1e-4, atol=0.02)


def test_what_the_conditions_remove_is_missing(crystal):
    everything = measure(crystal)
    s = lattice.inverse_spacing(everything.hkl, crystal.cell)
    assert len(measure(crystal, completeness=0.5).hkl) == pytest.approx(0.5 * len(s), rel=0.1)
    assert len(measure(crystal, largest_d=4.0).hkl) == (s > 0.25).sum()
    strong = measure(crystal, weakest=0.2)
    assert 0 < len(strong.hkl) < len(s) and strong.intensity.min() >= 0.2 * everything.intensity.mean() * 0.999
    unmerged = measure(crystal, merged=False)
    assert len(unmerged.hkl) > 1.7 * len(s)
    assert lattice.find_absences(unmerged.hkl, crystal.operators).any()
    with_cone = measure(crystal, merged=False, missing_cone=40.0)
    directions = with_cone.hkl @ np.linalg.inv(lattice.orthogonalization_matrix(crystal.cell))
    angle = np.rad2deg(np.arccos(np.abs(directions[:, 2]) / np.linalg.norm(directions, axis=1)))
    assert angle.min() >= 40 and len(with_cone.hkl) < 0.85 * len(unmerged.hkl)


def test_errors_are_as_large_as_their_standard_deviations_say(crystal):
    exact, noisy = measure(crystal), measure(crystal, relative_noise=0.08, background_noise=0.02)
    pull = (noisy.intensity - exact.intensity) / noisy.sigma
    assert 0.9 < pull.std() < 1.1 and abs(pull.mean()) < 0.15
    shaken = measure(crystal, model_error=0.2)
    assert np.log(shaken.intensity / exact.intensity)[exact.intensity > 1].std() == pytest.approx(0.2, rel=0.2)


@pytest.mark.parametrize("seed", range(5))
def test_drawn_conditions_give_data_that_can_be_used(crystal, seed):
    rng = np.random.default_rng(seed)
    conditions = measurement.draw_conditions(rng, electron_share=0.5)
    reflections = measurement.measure(rng, crystal, conditions)
    assert len(reflections.hkl) > 20 and (reflections.sigma > 0).all() and np.isfinite(reflections.intensity).all()
    assert (lattice.inverse_spacing(reflections.hkl, crystal.cell) <= 1 / conditions.d_min).all()
