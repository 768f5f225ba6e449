"""Simulated curves: the Debye sum against closed forms and a brute twin, the noise its sigma."""

import numpy as np
import pytest

from saxsae.profiles import simulation
from saxsae.profiles.guinier import fit_guinier

Q = np.linspace(0.01, 0.3, 60)


def ball(count: int, radius: float, seed: int = 0) -> np.ndarray:
    """Points spread evenly at random in a ball."""
    points = np.random.default_rng(seed).uniform(-radius, radius, (4 * count, 3))
    return points[np.linalg.norm(points, axis=-1) <= radius][:count]


def brute_debye(xyz, q, mass=None):
    mass = np.ones(len(xyz)) if mass is None else mass
    distance = np.linalg.norm(xyz[:, None] - xyz, axis=-1)
    waves = np.sinc(q[:, None, None] * distance / np.pi)
    return np.einsum("qij,i,j->q", waves, mass, mass) / mass.sum() ** 2


def test_two_scatterers_have_the_closed_form():
    intensity = simulation.debye_intensity(np.array([[5.0, 0, 0], [45.1, 0, 0]]), Q, 1e-9)
    np.testing.assert_allclose(intensity, (1 + np.sinc(Q * 40.1 / np.pi)) / 2, atol=1e-4)


def test_the_histogram_is_the_debye_sum(monkeypatch):
    monkeypatch.setattr(simulation, "_BLOCK_PAIRS", 1000)  # many blocks, each with its own triangle
    xyz = ball(300, 40) + 100.0
    intensity = simulation.debye_intensity(xyz, Q, 1e-9)
    np.testing.assert_allclose(intensity, brute_debye(xyz, Q), rtol=1e-3, atol=1e-6)


def test_a_filled_ball_scatters_as_a_ball():
    axis = np.arange(-30, 31, 3.0)
    lattice = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3)
    lattice = lattice[np.linalg.norm(lattice, axis=-1) <= 28]
    radius = (3 * 27 * len(lattice) / (4 * np.pi)) ** (1 / 3)
    x = Q[Q < 0.2] * radius
    ideal = (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2
    np.testing.assert_allclose(simulation.debye_intensity(lattice, Q[Q < 0.2], 27.0), ideal,
                               rtol=0.05, atol=2e-4)


def test_merging_neighbours_changes_little(monkeypatch):
    axis = np.arange(-20, 21, 2.0)
    xyz = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3)
    xyz = xyz[np.linalg.norm(xyz, axis=-1) <= 20]
    whole = simulation.debye_intensity(xyz, Q, 8.0)
    monkeypatch.setattr(simulation, "_MAX_SCATTERERS", len(xyz) // 3)
    merged = simulation.debye_intensity(xyz, Q, 8.0)
    low = Q < 0.15
    np.testing.assert_allclose(merged[low], whole[low], rtol=0.02, atol=1e-4)


def test_the_noise_has_its_sigma_and_its_seed():
    xyz = ball(20, 30)
    curves = [simulation.simulate_curve(xyz, [7, i], q_inv_angstrom=Q) for i in range(200)]
    deviation = np.stack([(curve.intensity - curve.exact) / curve.sigma for curve in curves])
    assert abs(deviation.mean()) < 0.03
    assert deviation.std() == pytest.approx(1, abs=0.03)
    again = simulation.simulate_curve(xyz, [7, 0], q_inv_angstrom=Q)
    np.testing.assert_array_equal(again.intensity, curves[0].intensity)


def test_the_noise_is_that_of_a_measured_curve():
    curve = simulation.simulate_curve(ball(3000, 24), 0)
    relative = curve.sigma / curve.exact
    assert len(curve.q_inv_angstrom) == 250
    assert 0.004 < relative[curve.q_inv_angstrom < 0.08].min() < 0.01
    assert 0.02 < np.median(relative[curve.q_inv_angstrom > 0.2]) < 0.5


@pytest.mark.parametrize("radius", [15.0, 150.0])
def test_the_curve_shows_its_radius_of_gyration(radius):
    xyz = ball(2000, radius)
    curve = simulation.simulate_curve(xyz, 1)
    found = fit_guinier(curve.q_inv_angstrom, curve.intensity, curve.sigma)
    centred = xyz - xyz.mean(0)
    assert found.valid
    assert found.rg_angstrom == pytest.approx(np.sqrt((centred**2).sum(-1).mean()), rel=0.05)


def test_beads_fill_a_close_packing():
    # The face-centred cubic lattice of cube edge a: four beads in a^3, a / sqrt(2) apart.
    assert simulation.bead_volume(10 / np.sqrt(2)) == pytest.approx(1000 / 4)
