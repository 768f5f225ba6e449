"""P(r) of curves whose answer is known, its standard deviations, and curves that have none."""

import types

import numpy as np
import pytest

from saxsae.analysis.pair_distances import (
    compute_pair_distances,
    last_significant_distance,
    transform_to_intensity,
)
from saxsae.profiles import simulation
from saxsae.profiles.guinier import fit_guinier

Q = np.linspace(0.01, 0.3, 250)
RADIUS = 30.0


def sphere(q=Q, radius=RADIUS):
    x = q * radius
    return (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2


def curve(intensity, seed=0, q=Q, scale=1e3, noise=0.003):
    sigma = noise * np.sqrt((np.abs(intensity) + 0.05) * 0.05 / q)
    noisy = intensity + sigma * np.random.default_rng(seed).standard_normal(q.size)
    return types.SimpleNamespace(q_inv_angstrom=q, intensity=scale * noisy, sigma=scale * sigma)


def transform(one, **more):
    return compute_pair_distances(one, fit_guinier(one.q_inv_angstrom, one.intensity, one.sigma), **more)


@pytest.fixture(scope="module")
def repeated():
    return [transform(curve(sphere(), seed)) for seed in range(12)]


def test_a_sphere_has_its_known_distribution(repeated):
    found = repeated[0]
    u = np.minimum(found.r_angstrom / (2 * RADIUS), 1.0)
    exact = 12 * u**2 * (2 - 3 * u + u**3) / (2 * RADIUS) * 1e3 / (4 * np.pi)
    assert np.abs(found.distribution - exact).max() < 0.06 * exact.max()
    assert found.d_max_angstrom == pytest.approx(2 * RADIUS, rel=0.06)
    assert found.rg_angstrom == pytest.approx(np.sqrt(0.6) * RADIUS, rel=0.003)
    assert found.i0 == pytest.approx(1e3, rel=0.003)
    assert found.reason == "" and 0.6 < found.chi_squared < 1.5 and 4 < found.good_parameters < 15


def test_standard_deviations_are_those_of_repeated_noise(repeated):
    for value, sigma, exact in (("rg_angstrom", "rg_sigma", np.sqrt(0.6) * RADIUS), ("i0", "i0_sigma", 1e3)):
        values = np.array([getattr(one, value) for one in repeated])
        claimed = np.mean([getattr(one, sigma) for one in repeated])
        assert 0.4 * values.std() < claimed < 2.5 * values.std()
        assert abs(values.mean() - exact) < 2 * claimed
    claimed = np.mean([one.sigma.max() for one in repeated])
    at_peak = np.std([np.interp(RADIUS, one.r_angstrom, one.distribution) for one in repeated])
    assert at_peak < claimed < 10 * at_peak


def test_more_noise_makes_it_less_certain(repeated):
    noisy = transform(curve(sphere(), noise=0.03))
    assert noisy.rg_sigma > 3 * repeated[0].rg_sigma and noisy.good_parameters < repeated[0].good_parameters


def test_lengths_scale_with_the_particle():
    small, large = (transform(curve(sphere(Q / k, k * RADIUS), q=Q / k, noise=0.003 * np.sqrt(1 / k))) for k in (1, 2))
    assert large.rg_angstrom == pytest.approx(2 * small.rg_angstrom, rel=1e-3)
    assert large.d_max_angstrom == pytest.approx(2 * small.d_max_angstrom, rel=0.02)


def test_a_structure_has_the_rg_and_the_size_of_its_atoms():
    rng = np.random.default_rng(1)
    boxes = ([12, 15, 18], 4000, 0), ([10, 10, 10], 2000, 35)
    atoms = np.concatenate([rng.uniform(-1, 1, (count, 3)) * half + [0, 0, z] for half, count, z in boxes])
    simulated = simulation.simulate_curve(atoms, 0)
    found = transform(simulated)
    centred = atoms - atoms.mean(0)
    assert found.rg_angstrom == pytest.approx(np.sqrt((centred**2).sum(1).mean()), rel=0.02)
    largest = max(np.linalg.norm(one - atoms, axis=1).max() for one in atoms[::10])
    assert found.d_max_angstrom == pytest.approx(largest, rel=0.12)


def test_its_transform_is_the_curve(repeated):
    found = repeated[0]
    np.testing.assert_allclose(transform_to_intensity(found, Q), 1e3 * sphere(), atol=4.0)
    assert transform_to_intensity(found, np.zeros(1))[0] == pytest.approx(found.i0, rel=1e-6)


def test_the_last_significant_distance_of_a_triangle(repeated):
    r = np.linspace(0, 100, 11)
    triangle = repeated[0]._replace(r_angstrom=r, distribution=np.maximum(0, 50 - np.abs(r - 50)))
    assert last_significant_distance(triangle, 0.05) == pytest.approx(97.5)


def test_many_points_give_the_same_as_their_mean():
    dense = np.linspace(0.01, 0.3, 5000)
    found = transform(curve(sphere(dense), q=dense, noise=0.003 * np.sqrt(20)))
    assert found.r_angstrom.size <= 51 and found.rg_angstrom == pytest.approx(np.sqrt(0.6) * RADIUS, rel=0.005)


@pytest.mark.parametrize(("intensity", "reason"), [
    (-sphere(), "no Guinier region"),
    (np.ones_like(Q), "no Guinier region"),
    (np.full_like(Q, np.nan), "no Guinier region"),
    (np.exp(-((Q * 2) ** 2) / 3), "the curve ends before"),
])
def test_unfit_curves_say_why(intensity, reason):
    found = transform(types.SimpleNamespace(q_inv_angstrom=Q, intensity=intensity, sigma=np.full_like(Q, 1e-3)))
    assert found.reason.startswith(reason)
    assert found.r_angstrom.size == 0 and np.isnan([found.d_max_angstrom, found.rg_angstrom, found.i0_sigma]).all()
    assert np.isnan(last_significant_distance(found, 0.01))


def test_too_few_points_say_so():
    few = np.linspace(0.01, 0.3, 16)
    assert "points from the Guinier region" in transform(curve(sphere(few), q=few)).reason


def test_noise_alone_after_the_guinier_region_is_no_traceback():
    rng = np.random.default_rng(3)
    junk = np.where(Q < 0.04, sphere(), rng.normal(0, 5.0, Q.size))
    found = transform(types.SimpleNamespace(q_inv_angstrom=Q, intensity=junk, sigma=np.full_like(Q, 0.01)))
    assert found.reason or np.isfinite(found.rg_angstrom)
