"""Guinier analysis: exact lines, spheres, disturbed starts, and the measured collection."""

import csv

import numpy as np
import pytest

from saxsae.io.curves.measured_curves import read_curve
from saxsae.profiles.guinier import fit_guinier, radius_bounds


def sphere(q, radius):
    x = q * radius
    return (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2


def noisy_sphere(modulation=1.0, radius=26.0, noise=0.005, seed=0):
    q = np.linspace(0.008, 0.3, 400)
    exact = sphere(q, radius)
    sigma = noise * np.sqrt(exact + 0.01)
    if callable(modulation):
        exact = exact * modulation(q)
    return q, exact + sigma * np.random.default_rng(seed).normal(size=q.size), sigma


def test_exact_gaussian_is_recovered_in_any_unit():
    q = np.linspace(0.01, 0.15, 60)
    intensity = 7.0 * np.exp(-(q * 20.0) ** 2 / 3)
    found = fit_guinier(q, intensity, 0.01 * intensity)
    assert found.valid and found.reason == ""
    assert found.rg_angstrom == pytest.approx(20.0, rel=1e-6)
    assert found.i0 == pytest.approx(7.0, rel=1e-6)
    assert found.chi_squared == pytest.approx(0.0, abs=1e-6)
    assert found.r_squared == pytest.approx(1.0, abs=1e-6)
    assert found.q_rg_max < 1.3 and found.first == 0
    assert found.q_rg_min == pytest.approx(0.2, rel=1e-6)
    assert q[found.last - 1] * 20 == pytest.approx(found.q_rg_max, rel=1e-6)
    in_nm = fit_guinier(10 * q, 1e-6 * intensity, 1e-8 * intensity)
    assert in_nm.rg_angstrom == pytest.approx(2.0, rel=1e-6)
    assert (in_nm.first, in_nm.last) == (found.first, found.last)


@pytest.mark.parametrize("radius", [12.0, 30.0, 60.0, 100.0])
def test_spheres_and_honest_errors(radius):
    q = np.linspace(0.008, 0.3, 400)
    exact = sphere(q, radius)
    sigma = 0.01 * np.sqrt(exact + 0.01)
    rng = np.random.default_rng(1)
    found = [fit_guinier(q, exact + sigma * rng.normal(size=q.size), sigma) for _ in range(10)]
    assert all(f.valid for f in found)
    rg = np.array([f.rg_angstrom for f in found])
    # The Guinier line of a solid sphere itself runs about 1 to 2 % high.
    np.testing.assert_allclose(rg, radius * np.sqrt(0.6), rtol=0.06)
    assert rg.std() < 3 * np.mean([f.rg_sigma for f in found])
    np.testing.assert_allclose([f.i0 for f in found], 1.0, rtol=0.03)


@pytest.mark.parametrize("modulation", [
    lambda q: 1 + np.exp(-(q / 0.012) ** 2),          # aggregates
    lambda q: 1 + 3 * np.exp(-(q / 0.010) ** 2),
    lambda q: 1 - 0.4 * np.exp(-(q / 0.015) ** 2),    # repulsion
    lambda q: np.clip((q - 0.008) / 0.004, 0, 1),     # beamstop
])
def test_disturbed_starts_are_skipped(modulation):
    found = fit_guinier(*noisy_sphere(modulation))
    assert found.valid and found.first > 3
    assert found.rg_angstrom == pytest.approx(26 * np.sqrt(0.6), rel=0.05)
    assert found.i0 == pytest.approx(1.0, rel=0.03)


def test_a_curve_that_begins_late_still_serves():
    q, intensity, sigma = noisy_sphere()
    start = np.searchsorted(q, 0.8 / (26 * np.sqrt(0.6)))
    found = fit_guinier(q[start:], intensity[start:], sigma[start:])
    assert found.valid and found.q_rg_min == pytest.approx(0.8, abs=0.05)
    assert found.rg_angstrom == pytest.approx(26 * np.sqrt(0.6), rel=0.06)


def test_indices_refer_to_the_arrays_given():
    q, intensity, sigma = noisy_sphere()
    reference = fit_guinier(q, intensity, sigma)
    bad = np.array([np.nan, -1.0, 0.0])
    found = fit_guinier(np.concatenate([[0.001, 0.002, 0.003], q]), np.concatenate([bad, intensity]),
                    np.concatenate([np.ones(3), sigma]))
    assert (found.first, found.last) == (reference.first + 3, reference.last + 3)
    assert found.rg_angstrom == reference.rg_angstrom


def test_no_guinier_region_is_an_answer():
    q = np.linspace(0.01, 0.3, 200)
    rng = np.random.default_rng(0)
    flat = fit_guinier(q, np.ones(200), np.full(200, 0.01))
    assert not flat.valid and flat.reason == "the intensity does not fall with q at low angles"
    late = fit_guinier(q, np.exp(-(q * 200) ** 2 / 3) + 1e-4, np.full(200, 1e-5))
    assert not late.valid and "the curve starts at too large a q: no 5 points" in late.reason
    few = fit_guinier(q[:4], np.ones(4), np.ones(4))
    assert not few.valid and few.reason == "only 4 points have positive q, intensity and sigma; 5 are needed"
    noise = fit_guinier(q, rng.normal(size=200), np.ones(200))
    assert not noise.valid and noise.reason
    rising = fit_guinier(q, 1 - 0.5 * np.exp(-(q / 0.05) ** 2), np.full(200, 0.01))
    assert not rising.valid


@pytest.mark.parametrize(("rg", "points"), [(25.0, 5), (28.0, 4), (31.0, 4), (36.0, 3), (40.0, 3)])
@pytest.mark.parametrize("noise", [1e-4, 0.01])
def test_a_computed_curve_in_wide_steps_serves_with_fewer_points(rg, points, noise):
    q = 0.01 * np.arange(51)  # from q = 0, as CRYSOL and WAXSiS write it
    exact = np.ones(51)
    exact[1:] = sphere(q[1:], rg * np.sqrt(5 / 3)) + 1e-4
    sigma = noise * (exact + 0.003)
    found = fit_guinier(q, exact + sigma * np.random.default_rng(0).normal(size=51), sigma)
    assert found.valid and (found.first, found.last) == (1, 1 + points)
    assert found.rg_angstrom == pytest.approx(rg, rel=0.05)
    # The curvature is in the error, also of a curve without noise: the line of a sphere runs 2 % high.
    assert abs(found.rg_angstrom - rg) < 3 * found.rg_sigma and 0.002 * rg < found.rg_sigma < 0.1 * rg
    in_nm = fit_guinier(10 * q, exact, sigma)
    assert in_nm.valid and in_nm.rg_angstrom == pytest.approx(rg / 10, rel=0.05)


def test_few_points_do_not_serve_where_more_may_be_missing_or_the_line_is_bent():
    q = 0.01 * np.arange(1, 51)
    exact = sphere(q, 40.0) + 1e-4
    sigma = 0.01 * exact
    assert fit_guinier(q, exact, sigma).valid
    late = fit_guinier(q[1:], exact[1:], sigma[1:])  # the curve begins at two steps
    assert not late.valid and "no 5 points" in late.reason
    aggregated = exact * (1 + np.exp(-((q / 0.012) ** 2)))
    assert not fit_guinier(q, aggregated, sigma).valid
    noisy = exact * (1 + 0.3 * np.random.default_rng(0).normal(size=50))
    assert not fit_guinier(q, noisy, 0.3 * exact).valid


def test_radius_bounds_hold_a_sphere_and_a_rod():
    low, high = radius_bounds(20.0)
    assert low < np.sqrt(5 / 3) * 20 < high and low < np.sqrt(3) * 20 < high
    assert (low, high) == pytest.approx((23.2379, 64.0), rel=1e-5)


def test_measured_curves_agree_with_their_sources(data_dir):
    with open(data_dir / "saxs" / "index.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        curve = read_curve(data_dir / "saxs" / row["id"] / row["profile_file"])
        found = fit_guinier(curve.q_inv_angstrom, curve.intensity, curve.sigma)
        assert found.valid, row["id"]
        assert found.rg_angstrom == pytest.approx(float(row["rg_guinier"]), rel=0.06), row["id"]
        low, high = radius_bounds(found.rg_angstrom)
        assert low < float(row["dmax_model"]) and float(row["dmax_model"]) / 2 < high


def test_the_slope_of_a_domain_does_not_blur_that_of_the_whole():
    q = np.linspace(0.01, 0.35, 400)  # two spheres of 15 A, 50 A apart: Rg 27.6 A
    x = 15 * q
    exact = (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2 * (1 + np.sinc(50 * q / np.pi)) / 2
    sigma = 0.02 * np.sqrt((exact + 0.15) * 0.05 / q)
    for seed in range(5):
        found = fit_guinier(q, exact + sigma * np.random.default_rng(seed).standard_normal(400), sigma)
        assert found.valid and abs(found.rg_angstrom - 27.6) < 3 and found.rg_sigma < 2
