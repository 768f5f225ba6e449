"""The certificate: figures of merit, what passes, which answers are different, how strong the noise is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasenet.maps import patterson, reflections, synthesis
from phasenet.maps.atoms import AtomRules, draw_atoms
from phasenet.maps.synthesis import Problem
from phasenet.search import certificate

PROBLEM = Problem(atoms=AtomRules(num_atoms=5, inner_box=8.0), grid=28)
ATOMS = draw_atoms(jax.random.key(0), PROBLEM.atoms)[0]


def intensities(positions):
    values = patterson.intensities(synthesis.atom_map(positions, PROBLEM)).ravel()[1:]
    return np.asarray(values)


def test_figures_of_merit_are_those_of_reflections():
    which = reflections.select_reflections(28)
    # Among those that stand for two mates there is no difference of weight.
    kept = (which.weights > 1.5 / 28**3) & (which.flat_index > 0)
    calculated, observed = (np.asarray(intensities(x)) for x in (ATOMS.at[0].add(1.0), ATOMS))
    pick = which.flat_index[kept] - 1
    found = certificate.assess_fit(calculated[pick], observed[pick], 0.1)
    only = which._replace(flat_index=which.flat_index[kept], weights=which.weights[kept])
    expected = reflections.agreement(jnp.asarray(calculated[pick]), jnp.asarray(observed[pick]), only)
    assert float(found.correlation) == pytest.approx(float(expected.correlation), rel=1e-4)
    assert float(found.r_factor) == pytest.approx(float(expected.r_factor), rel=1e-4)
    difference = np.square(calculated[pick] - observed[pick]).sum() / np.square(observed[pick]).sum()
    assert float(found.misfit) == pytest.approx(difference, rel=1e-4)


def test_expected_noise_gives_a_chi_squared_of_one():
    exact = intensities(ATOMS)
    noisy = exact * (1 + 0.1 * np.random.default_rng(0).standard_normal(len(exact)))
    found = certificate.assess_fit(exact, noisy, 0.1)
    assert 0.7 < float(found.chi_squared) < 1.05
    assert certificate.fits_within_noise(found, len(exact))
    assert not certificate.fits_within_noise(certificate.assess_fit(exact, noisy, 0.05), len(exact))
    assert not certificate.fits_within_noise(certificate.assess_fit(intensities(ATOMS.at[0].add(1.0)), noisy, 0.1),
                                             len(exact))
    assert not certificate.fits_within_noise(certificate.assess_fit(exact, noisy, 0.0), len(exact))
    assert certificate.fits_within_noise(certificate.assess_fit(exact, exact, 0.0), len(exact))


def test_nothing_explains_nothing():
    exact = intensities(ATOMS)
    assert not certificate.fits_within_noise(certificate.assess_fit(np.zeros_like(exact), exact, 0.1), len(exact))
    assert not certificate.fits_within_noise(certificate.assess_fit(np.full_like(exact, np.nan), exact, 0.1),
                                             len(exact))


def test_unmeasured_reflections_do_not_count():
    exact = intensities(ATOMS)
    measured = np.random.default_rng(0).random(len(exact)) > 0.3
    found = certificate.assess_fit(exact, np.where(measured, exact, 1e3), 0.0, measured.astype(np.float32))
    assert float(found.misfit) < 1e-10
    assert float(found.correlation) == pytest.approx(1.0)


def test_a_hand_and_an_order_make_no_other_answer():
    assert not certificate.are_distinct(-ATOMS[::-1], ATOMS)
    assert not certificate.are_distinct(ATOMS + 0.1, ATOMS)
    assert certificate.are_distinct(ATOMS.at[0].add(1.0), ATOMS)
    assert certificate.are_distinct(ATOMS.at[0].set(ATOMS[1]), ATOMS)


def test_atoms_that_the_data_do_not_fix_are_not_firm():
    found = certificate.FitQuality(*map(jnp.float32, (0.99, 0.05, 0.01, 1.0)))
    deviations = jnp.full((4, 3), 0.05)
    assert certificate.positions_determined(deviations, found)
    assert not certificate.positions_determined(deviations.at[2, 1].set(0.3), found)
    assert certificate.positions_determined(deviations.at[2, 1].set(0.3), found._replace(chi_squared=jnp.float32(1e-4)))


@pytest.mark.parametrize("noise", [0.0, 0.03, 0.1])
def test_noise_is_seen_where_the_map_should_be_empty(noise):
    measured = synthesis.simulate_patterson(jax.random.key(1), ATOMS, PROBLEM._replace(noise=noise))
    assert float(certificate.estimate_noise_level(measured, reach=8 + 3)) == pytest.approx(noise, rel=0.15, abs=1e-5)


def test_without_an_empty_part_no_noise_is_seen():
    measured = synthesis.simulate_patterson(jax.random.key(1), ATOMS, PROBLEM._replace(noise=0.1))
    assert float(certificate.estimate_noise_level(measured, reach=14)) == 0.0
