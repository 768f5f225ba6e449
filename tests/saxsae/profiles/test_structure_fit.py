"""The curve of a known structure, against the exact sum over pairs of atoms and shell, and its fit to noisy curves."""

import types

import numpy as np
import pytest
from made_bodies import make_atoms

from phasenet.errors import InputError
from saxsae.profiles import fitting, hydration, simulation, structure_fit
from saxsae.profiles.structure_fit import fit_structure, structure_profiles

pytestmark = pytest.mark.optimized

Q = np.linspace(0.01, 0.3, 150)
BODIES = {"flat": (30, 26, 12), "long": (40, 14, 13), "round": (24, 22, 20)}
# The shell of the exact sum, and one that lies between two of those tried.
CONTRASTS = (0.0, 0.013, 0.03)


def protein_like(axes, seed=0):
    """Atoms at any place, and elements of which the polar ones are more frequent near the surface."""
    xyz, _ = make_atoms(axes, seed)
    rng = np.random.default_rng(seed)
    polar = rng.random(len(xyz)) < 0.1 + 0.35 * np.sqrt(((xyz / axes) ** 2).sum(1))
    apolar = rng.choice((6, 16), len(xyz), p=(0.99, 0.01))
    return xyz + [30, -7, 12], np.where(polar, rng.choice((7, 8), len(xyz)), apolar)


def measured(xyz, numbers, contrast, seed=None, scale=5.0, constant=0.0):
    """The exact curve with the noise of a good measurement; without noise if there is no seed."""
    intensity = simulation.solution_intensity(xyz, numbers, np.concatenate([[0.0], Q]), contrast)
    exact = intensity[1:] / intensity[0]
    sigma = simulation.noise_sigma(Q, exact, 17.2 * len(xyz))
    noise = 0 if seed is None else sigma * np.random.default_rng(seed).normal(size=len(Q))
    return types.SimpleNamespace(q_inv_angstrom=Q, intensity=scale * (exact + noise) + constant, sigma=scale * sigma)


@pytest.mark.parametrize("contrast", CONTRASTS)
@pytest.mark.parametrize("name", BODIES)
def test_it_is_the_exact_sum_within_two_percent_and_far_within_the_noise(name, contrast):
    xyz, numbers = protein_like(BODIES[name])
    curve = measured(xyz, numbers, contrast)
    found = fit_structure(curve, xyz, numbers, (0.01, 0.3))
    assert found.chi_squared < 0.1
    assert found.contrast == pytest.approx(contrast, abs=0.002)
    error = np.abs(found.fit / curve.intensity - 1)[Q < 0.25]
    assert np.median(error) < 0.01 and np.quantile(error, 0.9) < 0.02


def test_the_elements_own_amplitudes_are_better_than_a_common_growth():
    xyz, numbers = protein_like(BODIES["long"])
    xyz, r_max = xyz - xyz.mean(0), 45.0
    q = np.concatenate([[0.0], Q])
    exact = simulation.solution_intensity(xyz, numbers, q, 0.0)
    own = structure_profiles(xyz, numbers, q, r_max)[0]
    _, shell, excess = hydration.densities_of_structure(xyz, numbers, r_max).astype(np.float32)
    parts = hydration.profiles_of_parts(excess, shell, q.astype(np.float32), np.float32(r_max), 30, False)
    common = np.asarray(parts[0])
    error, error_of_common = (np.median(np.abs(each * exact[0] / each[0] / exact - 1)[q > 0.2])
                              for each in (own, common))
    assert error < 0.01 and error < 0.5 * error_of_common


@pytest.mark.parametrize("name", BODIES)
def test_a_structure_fits_its_own_noisy_curve_and_no_other(name):
    bodies = {each: protein_like(axes) for each, axes in BODIES.items()}
    curve = measured(*bodies[name], 0.02, seed=3)
    found = {each: fit_structure(curve, *body, (0.01, 0.3)) for each, body in bodies.items()}
    assert 0.7 < found[name].chi_squared < 1.4
    assert found[name].cormap_p > 1e-3
    for other in BODIES.keys() - {name}:
        assert found[other].chi_squared > 5 and found[other].cormap_p < 1e-6


def test_a_background_is_found():
    xyz, numbers = protein_like(BODIES["round"])
    curve = measured(xyz, numbers, 0.02, seed=1, constant=0.05)
    without, found = (fit_structure(curve, xyz, numbers, (0.01, 0.3), background=fitted) for fitted in (False, True))
    assert found.background == pytest.approx(0.05, rel=0.1) and found.chi_squared < 1.4
    assert without.background == 0 and without.chi_squared > 2 * found.chi_squared


def test_the_range_ends_where_the_grid_and_the_method_end():
    xyz, numbers = protein_like(BODIES["flat"])
    curve = measured(xyz, numbers, 0.02)
    fitted = fit_structure(curve, xyz, numbers, (0.02, 1.0)).q_inv_angstrom
    assert fitted[[0, -1]] == pytest.approx([0.02, 0.3], abs=2e-3)
    large = fit_structure(curve, 5 * xyz, numbers, (0.0, 0.3))
    r_max = np.linalg.norm(5 * (xyz - xyz.mean(0)), axis=1).max()
    assert large.q_inv_angstrom[-1] <= structure_fit.largest_q(r_max) < 0.25
    assert structure_fit.largest_q(110.0) == 0.3 > structure_fit.largest_q(112.0)
    with pytest.raises(InputError, match="only 0 points"):
        fit_structure(curve, 200 * xyz, numbers, (0.0, 0.3))


def test_a_structure_and_a_model_are_fitted_to_the_same_points():
    xyz, numbers = protein_like(BODIES["flat"])
    curve, q_range = measured(xyz, numbers, 0.02), (Q[3], Q[90])  # both ends are included
    of_structure = fit_structure(curve, xyz, numbers, q_range)
    of_model = fitting.fit_measured_points(curve, q_range, lambda q: np.exp(-(q * 20) ** 2 / 3), False)
    for name in ("q_inv_angstrom", "intensity", "sigma"):
        np.testing.assert_array_equal(getattr(of_structure, name), getattr(curve, name)[3:91])
        np.testing.assert_array_equal(of_model[name], getattr(curve, name)[3:91])


def test_beads_count_alike_and_have_the_form_of_their_volume():
    axis = np.arange(-30, 31, 4.0)
    lattice = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3)
    beads = lattice[(lattice**2 / np.array([28, 20, 16]) ** 2).sum(-1) <= 1]
    volume = 64.0
    exact = simulation.debye_intensity(beads, Q, volume)
    curve = types.SimpleNamespace(q_inv_angstrom=Q, intensity=exact, sigma=0.01 * exact + 1e-3)
    found = fit_structure(curve, beads, np.full(len(beads), 6), (0.01, 0.3), contrasts=(0.0,),
                          scatterer_volume_angstrom3=volume)
    assert found.contrast == 0 and found.chi_squared < 0.2


def test_elements_without_an_amplitude_are_named():
    assert structure_fit.names_other_elements(np.array([6, 15, 7, 34])).tolist() == [False, True, False, True]


def test_the_fit_of_the_scale_is_that_of_least_squares():
    rng = np.random.default_rng(0)
    profile, sigma = rng.uniform(1, 2, 40), rng.uniform(0.1, 0.5, 40)
    scale, constant = fitting.fit_scale_to_points(profile, 3 * profile + 0.5, sigma, True)
    assert (scale, constant) == (pytest.approx(3), pytest.approx(0.5))
    assert fitting.fit_scale_to_points(profile, 3 * profile, sigma, False) == (pytest.approx(3), 0.0)


def test_a_curve_upside_down_is_no_fit():
    """A rising curve is not explained by a scale below zero and a constant."""
    xyz, numbers = protein_like(BODIES["round"])
    curve = types.SimpleNamespace(q_inv_angstrom=Q, intensity=1 + 10 * Q, sigma=np.full(len(Q), 0.01))
    found = fit_structure(curve, xyz, numbers, (0.01, 0.3), background=True)
    assert found.scale == 0 and found.background == pytest.approx(np.mean(1 + 10 * Q)) and found.chi_squared > 100
