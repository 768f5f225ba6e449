"""The numbers of a curve together: a sphere, a chain, curves that allow none or some."""

import types

import numpy as np
import pytest

from saxsae.analysis.curve_report import compute_curve_numbers, find_kratky_peak
from saxsae.analysis.molecular_mass import METHODS

Q = np.linspace(0.008, 0.35, 300)
RADIUS = 28.0


def curve(intensity, relative=2e-3, q=Q):
    sigma = relative * np.sqrt(np.abs(intensity) + 0.02)
    return types.SimpleNamespace(q_inv_angstrom=q, sigma=sigma,
                                 intensity=intensity + sigma * np.random.default_rng(0).standard_normal(q.size))


def sphere(q=Q):
    x = q * RADIUS
    return (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2


def chain(q=Q, rg=30.0):
    """P. Debye's Gaussian chain."""
    x = (q * rg) ** 2
    return 2 * (np.exp(-x) + x - 1) / x**2


@pytest.fixture(scope="module")
def of_sphere():
    return compute_curve_numbers(curve(sphere()))


def test_a_sphere_has_its_numbers(of_sphere):
    rg = np.sqrt(0.6) * RADIUS
    assert of_sphere.notes == ()
    assert of_sphere.guinier.rg_angstrom == pytest.approx(rg, rel=0.02)
    assert of_sphere.pair_distances.rg_angstrom == pytest.approx(rg, rel=0.005)
    low, high = of_sphere.d_max_interval_angstrom
    assert of_sphere.d_max_angstrom == pytest.approx(2 * RADIUS, rel=0.08) and low < 2 * RADIUS < high
    assert of_sphere.porod_volume_angstrom3 == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.04)
    assert of_sphere.porod_invariant == pytest.approx(2 * np.pi**2 / of_sphere.porod_volume_angstrom3)
    assert of_sphere.porod_q_max_inv_angstrom == pytest.approx(min(8 / rg, Q[-1]), rel=0.03)


def test_the_kratky_peak_of_a_sphere(of_sphere):
    x = np.arange(0.5, 4.0, 0.001)
    u = x / np.sqrt(0.6)
    exact = x**2 * (3 * (np.sin(u) - u * np.cos(u)) / u**3) ** 2
    assert of_sphere.kratky_peak_q_rg == pytest.approx(x[exact.argmax()], abs=0.05)
    assert of_sphere.kratky_peak_height == pytest.approx(exact.max(), rel=0.02)


def test_a_chain_has_no_kratky_peak():
    numbers = compute_curve_numbers(curve(chain()))
    assert numbers.pair_distances.reason == ""
    assert np.isnan(numbers.kratky_peak_height) or numbers.kratky_peak_height > 1.5


def test_channels_count_range_and_size(of_sphere):
    first = Q[of_sphere.guinier.first]
    assert of_sphere.shannon_channels == pytest.approx((Q[-1] - first) * of_sphere.d_max_angstrom / np.pi)
    assert of_sphere.significant_channels == of_sphere.pair_distances.good_parameters


def test_a_mass_has_a_name(of_sphere):
    assert [mass.method for mass in of_sphere.masses] == list(METHODS)
    assert of_sphere.mass("porod") is of_sphere.masses[0] and of_sphere.mass() is of_sphere.masses[-1]


def test_files_list_every_number_under_its_own_name(of_sphere):
    listed = of_sphere.flatten()
    assert listed["rg_real_angstrom"] == of_sphere.pair_distances.rg_angstrom
    assert listed["p_r_end_angstrom"] == of_sphere.pair_distances.d_max_angstrom != listed["d_max_angstrom"]
    for name in {"d_max_angstrom", "d_max_interval_angstrom", "porod_volume_angstrom3", "porod_invariant",
                 "kratky_peak_q_rg", "kratky_peak_height", "shannon_channels", "significant_channels"}:
        assert listed[name] == getattr(of_sphere, name)
    for mass in of_sphere.masses:
        assert listed[f"mass_kda_{mass.method}"] == mass.mass_kda
        assert listed[f"mass_interval_kda_{mass.method}"] == mass.interval_kda


@pytest.mark.parametrize("intensity", [
    np.ones_like(Q), np.zeros_like(Q), -sphere(), np.full_like(Q, np.nan), 1e-300 * sphere(), Q])
def test_unfit_curves_have_notes_and_no_numbers(intensity):
    numbers = compute_curve_numbers(types.SimpleNamespace(
        q_inv_angstrom=Q, intensity=intensity, sigma=np.full_like(Q, 1e-2)))
    assert len(numbers.notes) == 1 and numbers.notes[0].startswith("no Guinier region: ")
    assert np.isnan([numbers.d_max_angstrom, numbers.porod_volume_angstrom3, numbers.shannon_channels]).all()
    assert np.isnan(find_kratky_peak(numbers.pair_distances)).all()
    assert set(numbers.flatten().values()) == {None}


def test_a_short_curve_has_some_numbers():
    short = np.linspace(0.005, 2.4 / RADIUS, 150)
    numbers = compute_curve_numbers(curve(sphere(short), q=short))
    assert numbers.pair_distances.rg_angstrom == pytest.approx(np.sqrt(0.6) * RADIUS, rel=0.03)
    assert np.isnan(numbers.mass().mass_kda) and any(note.startswith("no mass by calibrated") for note in numbers.notes)


def test_the_numbers_do_not_depend_on_chance():
    first, second = (compute_curve_numbers(curve(sphere())) for _ in range(2))
    assert first.d_max_angstrom == second.d_max_angstrom and first.masses == second.masses


@pytest.mark.parametrize("scale", [1e-250, 1e150])
def test_the_unit_of_the_intensities_does_not_matter(of_sphere, scale):
    one = curve(sphere())
    numbers = compute_curve_numbers(types.SimpleNamespace(
        q_inv_angstrom=Q, intensity=scale * one.intensity, sigma=scale * one.sigma))
    assert numbers.d_max_angstrom == pytest.approx(of_sphere.d_max_angstrom, rel=1e-6)
    assert numbers.mass().mass_kda == pytest.approx(of_sphere.mass().mass_kda, rel=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_spoilt_points_are_no_traceback(seed):
    rng = np.random.default_rng(seed)
    one = curve(sphere())
    some = rng.integers(0, Q.size, 30)
    if seed % 2:
        one.intensity[some] *= rng.normal(0, 100, 30)
    else:
        one.sigma[some] = (0.0, np.nan, 1e-300, np.inf)[seed // 2]
    numbers = compute_curve_numbers(one)
    assert bool(numbers.pair_distances.reason) == np.isnan(numbers.d_max_angstrom)
