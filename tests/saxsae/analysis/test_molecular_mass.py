"""Volumes and masses of curves whose answer is known, their intervals, and curves that have none."""

import types

import numpy as np
import pytest

from saxsae.analysis import molecular_mass
from saxsae.analysis.molecular_mass import (
    METHODS,
    correct_porod_volume,
    estimate_masses,
    integrate_curve,
    porod_q_max,
    porod_volume,
)
from saxsae.profiles import simulation
from saxsae.profiles.guinier import fit_guinier
from saxsae.shapes.densities import ATOM_VOLUME_ANGSTROM3

Q = np.linspace(0.008, 0.4, 400)
RADIUS = 25.0
VOLUME = 4 / 3 * np.pi * RADIUS**3


def sphere(q=Q, radius=RADIUS):
    x = q * radius
    return (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2


def curve(intensity, relative=1e-3, q=Q):
    return types.SimpleNamespace(q_inv_angstrom=q, intensity=50.0 * intensity,
                                 sigma=50.0 * relative * np.sqrt(np.abs(intensity) + 0.01))


def fit(one):
    return fit_guinier(one.q_inv_angstrom, one.intensity, one.sigma)


def masses(one):
    return dict(zip(METHODS, estimate_masses(one, fit(one)), strict=True))


def test_the_integrals_of_a_sphere_are_known():
    one = curve(sphere())
    found = integrate_curve(one, fit(one), 0.4)
    # The integral of q^2 I is 2 pi^2 / V, and of q I, with I(0) = 1, 9 / (4 R^2).
    assert porod_volume(found) == pytest.approx(VOLUME, rel=0.03)
    assert porod_volume(found, tail=False) > 1.05 * VOLUME
    assert found.first_moment == pytest.approx(9 / (4 * RADIUS**2), rel=0.03)
    assert 0 < found.second_moment_error < 0.02 and 0 < found.first_moment_error < 0.02


def test_the_intensity_may_have_any_scale():
    one, other = curve(sphere()), curve(1e-6 * sphere())
    other.sigma = 1e-6 * one.sigma
    for a, b in zip(estimate_masses(one, fit(one)), estimate_masses(other, fit(other)), strict=True):
        assert a.mass_kda == pytest.approx(b.mass_kda, rel=1e-6)


def test_the_correction_of_the_porod_volume_is_the_published_one():
    # At 0.3 1/A the polynomials give an offset of -6063.4 A^3 and a factor of 0.68033.
    assert correct_porod_volume(50_000.0, 0.3) == pytest.approx(-6063.4 + 0.68033 * 50_000, abs=1.0)
    assert porod_q_max(20.0) == pytest.approx(0.4) and porod_q_max(10.0) == 0.5 and porod_q_max(500.0) == 0.1


def test_masses_grow_with_the_volume():
    """Of bodies of one shape; the published correction, which is not proportional, is left out."""
    small, large = (masses(curve(sphere(Q / k, k * RADIUS), q=Q / k)) for k in (1.0, 1.5))
    for method in ("porod", "correlation_volume", "calibrated"):
        assert large[method].mass_kda == pytest.approx(1.5**3 * small[method].mass_kda, rel=0.15), method


def test_the_methods_agree_on_a_body_of_protein_density():
    """A smooth dry body scatters less than a protein of its mass at high q, so all of them are low together."""
    spacing = ATOM_VOLUME_ANGSTROM3 ** (1 / 3)
    axis = spacing * np.arange(-20, 21)
    lattice = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3)
    lattice = lattice + np.random.default_rng(0).normal(0, 0.5, lattice.shape)
    atoms = lattice[((lattice / [30, 35, 40]) ** 2).sum(1) < 1]
    found = masses(simulation.simulate_curve(atoms, 0, q_inv_angstrom=np.linspace(0.01, 0.4, 300)))
    mass = 0.83e-3 * len(atoms) * ATOM_VOLUME_ANGSTROM3
    values = np.array([found[method].mass_kda for method in METHODS])
    assert (0.55 * mass < values).all() and (values < mass).all() and values.std() < 0.15 * values.mean()
    for one in found.values():
        assert one.interval_kda[0] < one.mass_kda < one.interval_kda[1]


@pytest.mark.parametrize(("q_max", "radius", "count"), [(0.4, RADIUS, 4), (0.08, 60.0, 3)])
def test_the_consensus_is_the_median_of_the_methods(q_max, radius, count):
    q = np.linspace(0.004, q_max, 300)
    *others, consensus = estimate_masses(one := curve(sphere(q, radius), q=q), fit(one))
    determined = [mass.mass_kda for mass in others if np.isfinite(mass.mass_kda)]
    assert len(determined) == count and consensus.method == "consensus"
    assert consensus.mass_kda == np.median(determined)


def test_two_methods_are_no_consensus():
    nan = (float("nan"), float("nan"))
    two = [molecular_mass.MassEstimate("porod", 20.0, (18.0, 22.0), ""),
           molecular_mass.MassEstimate("corrected_porod", nan[0], nan, "too short"),
           molecular_mass.MassEstimate("calibrated", 21.0, (18.0, 22.0), "")]
    found = molecular_mass._find_consensus(two, 0.01)
    assert np.isnan(found.mass_kda) and found.reason == "too short"


@pytest.mark.parametrize(("method", "factor"), [("calibrated", 1.1), ("consensus", 1.05)])
def test_noise_enlarges_the_interval(method, factor):
    quiet, noisy = (masses(curve(sphere(), relative))[method] for relative in (1e-3, 0.1))
    width = [np.log(one.interval_kda[1] / one.interval_kda[0]) for one in (quiet, noisy)]
    assert width[1] > factor * width[0]


@pytest.mark.parametrize("intensity", [-sphere(), np.ones_like(Q), np.full_like(Q, np.nan)])
def test_without_a_guinier_region_there_is_no_mass(intensity):
    for one in masses(curve(intensity, 0.01)).values():
        assert np.isnan(one.mass_kda) and np.isnan(one.interval_kda).all()
        assert one.reason.startswith("no Guinier region")


def test_a_curve_that_ends_early_has_no_mass():
    short = Q[Q * RADIUS < 3.0]
    dense = np.linspace(short[0], short[-1] * 0.7, 200)
    for one in masses(curve(sphere(dense), q=dense)).values():
        assert np.isnan(one.mass_kda) and "ends at q Rg" in one.reason


def test_few_points_have_no_mass():
    few = np.linspace(0.01, 0.3, 15)
    assert all("points from the Guinier region" in one.reason for one in masses(curve(sphere(few), q=few)).values())


def test_a_negative_volume_is_no_mass():
    """The correction may be larger than the volume of a particle of a few kDa."""
    assert correct_porod_volume(5_000.0, 0.3) < 0
    tiny = np.linspace(0.02, 0.31, 300)
    found = masses(curve(sphere(tiny, 12.5), q=tiny))
    assert found["corrected_porod"].mass_kda < 0.8 * found["porod"].mass_kda
    found = molecular_mass._with_interval("corrected_porod", -1.0, 0.01)
    assert np.isnan(found.mass_kda) and found.reason == "the volume is not positive"


def test_over_subtracted_intensities_are_no_traceback():
    found = masses(curve(sphere() - 0.05))
    assert all(np.isnan(one.mass_kda) == bool(one.reason) for one in found.values())
    assert any(one.reason == "the intensities sum to less than zero" for one in found.values())


def test_the_porod_tail_is_never_negative():
    one = curve(np.where(Q < 0.2, sphere(), -1e-3))
    found = integrate_curve(one, fit(one), 0.4)
    assert isinstance(found, str) or found.tail == 0.0
    assert molecular_mass.calibrated_q_max(40.0) == 0.2 and molecular_mass.calibrated_q_max(10.0) == 0.4
