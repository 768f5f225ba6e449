"""Masses from I(0)/c: published numbers, closed forms, errors, and curves without a mass."""

import types

import numpy as np
import pytest

from saxsae.analysis.curve_report import compute_curve_numbers
from saxsae.analysis.mass_by_concentration import (
    ABSOLUTE_SCALE,
    contradicts_shape,
    estimate_masses_from_i0,
    mass_from_i0,
    scale_of_standard,
)
from saxsae.analysis.molecular_mass import METHODS
from saxsae.profiles.guinier import fit_guinier

Q = np.linspace(0.008, 0.35, 300)
LYSOZYME_KDA = 14.3


def curve(i0, radius=28.0):
    x = Q * radius
    intensity = i0 * (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2
    sigma = 2e-3 * np.sqrt(i0 * intensity + 0.02 * i0**2)
    return types.SimpleNamespace(q_inv_angstrom=Q, intensity=intensity, sigma=sigma)


def test_lysozyme_on_absolute_scale():
    """N_A I(0) / (c drho_M^2), with drho_M of Orthaber and others: 2.0854e10 cm/g."""
    drho = (3.22e23 - 3.34e23 * 0.7425) * 2.8179e-13
    assert drho == pytest.approx(2.0854e10, rel=1e-4)
    i0 = LYSOZYME_KDA * 1e3 * 1e-3 * drho**2 / 6.02214076e23  # of 1 mg/ml, 1/cm
    assert i0 == pytest.approx(0.0103, abs=5e-5)
    mass, _ = mass_from_i0(i0, 0.0, 1.0, ABSOLUTE_SCALE)
    assert mass == pytest.approx(LYSOZYME_KDA, rel=1e-12)
    assert mass_from_i0(5 * i0, 0.0, 5.0, ABSOLUTE_SCALE)[0] == pytest.approx(LYSOZYME_KDA, rel=1e-12)


def test_a_standard_that_is_the_sample_has_its_own_mass():
    scale = scale_of_standard(66.4, 82.0, 4.1)
    assert mass_from_i0(82.0, 1.0, 4.1, scale)[0] == pytest.approx(66.4, rel=1e-12)
    assert mass_from_i0(30.0, 1.0, 2.0, scale)[0] == pytest.approx(30 / 2 * 66.4 / (82 / 4.1), rel=1e-12)


def test_a_standard_on_absolute_scale_agrees_with_the_absolute_scale():
    i0 = 20.0 * 3.0 / ABSOLUTE_SCALE.kda_per_i0_over_concentration
    scale = scale_of_standard(20.0, i0, 3.0)
    assert scale.kda_per_i0_over_concentration == pytest.approx(ABSOLUTE_SCALE.kda_per_i0_over_concentration)


def test_the_error_of_i0_propagates():
    mass, sigma = mass_from_i0(0.05, 0.001, 4.0, ABSOLUTE_SCALE)
    assert sigma / mass == pytest.approx(0.02, rel=1e-12)
    draws = np.random.default_rng(0).normal(0.05, 0.001, 20_000)
    assert np.std([mass_from_i0(i0, 0.0, 4.0, ABSOLUTE_SCALE)[0] for i0 in draws]) == pytest.approx(sigma, rel=0.02)


def test_the_interval_is_that_of_i0_alone():
    guinier = fit_guinier(Q, curve(0.1).intensity, curve(0.1).sigma)
    (found,) = estimate_masses_from_i0(guinier, 2.0, (ABSOLUTE_SCALE,))
    half = 1.645 * guinier.i0_sigma / guinier.i0
    assert np.log(np.array(found.interval_kda) / found.mass_kda) == pytest.approx([-half, half])


@pytest.mark.parametrize("numbers", [(0.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, np.nan), (np.inf, 1.0, 1.0)])
def test_an_impossible_standard_is_refused(numbers):
    with pytest.raises(ValueError, match="must be positive"):
        scale_of_standard(*numbers)


def test_a_curve_has_these_masses_beside_the_others():
    i0 = 2.0 * 30.0 / ABSOLUTE_SCALE.kda_per_i0_over_concentration
    scales = ABSOLUTE_SCALE, scale_of_standard(30.0, i0, 2.0)
    without, found = compute_curve_numbers(curve(i0)), compute_curve_numbers(curve(i0), 2.0, scales)
    assert [mass.method for mass in found.masses] == [*METHODS, "absolute_scale", "standard"]
    for method in ("absolute_scale", "standard"):
        assert found.mass(method).mass_kda == pytest.approx(30.0, rel=0.01)
        assert found.flatten()[f"mass_kda_{method}"] == found.mass(method).mass_kda
        assert found.flatten()[f"mass_interval_kda_{method}"] == found.mass(method).interval_kda
    # Nothing else changes, and without the scales nothing is added.
    assert found.masses[:len(METHODS)] == without.masses and found.mass() == without.mass()
    assert {name for name in found.flatten() if name not in without.flatten()} == {
        f"mass_{kind}_{method}" for kind in ("kda", "interval_kda") for method in ("absolute_scale", "standard")}


def test_without_a_guinier_region_or_a_concentration_there_is_no_mass():
    flat = types.SimpleNamespace(q_inv_angstrom=Q, intensity=np.ones_like(Q), sigma=np.full_like(Q, 0.01))
    numbers = compute_curve_numbers(flat, 1.0, (ABSOLUTE_SCALE,))
    assert numbers.mass("absolute_scale").reason.startswith("no Guinier region")
    assert numbers.flatten()["mass_kda_absolute_scale"] is None and len(numbers.notes) == 1
    numbers = compute_curve_numbers(curve(1.0), None, (ABSOLUTE_SCALE,))
    assert numbers.notes == ("no mass by absolute_scale: the concentration is not known",)


@pytest.mark.parametrize(("mass", "contradicts"), [(20.0, False), (39.9, False), (40.1, True), (9.9, True),
                                                   (55_000.0, True), (float("nan"), False)])
def test_a_mass_off_by_more_than_two_contradicts_the_shape(mass, contradicts):
    assert contradicts_shape(mass, 20.0) == contradicts and not contradicts_shape(mass, float("nan"))
