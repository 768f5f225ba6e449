"""The search without a network: exact answers, in every regime small; stages; ambiguous and impossible maps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasenet import certificate, metrics, search, synthesis
from phasenet.atoms import AtomRules, random_atoms
from phasenet.refinement import Level
from phasenet.search import Settings
from phasenet.synthesis import Problem

PROBLEM = Problem(atoms=AtomRules(num_atoms=5, inner_box=8.0), grid=24)
# Fewer levels compile sooner.
SETTINGS = Settings(levels=(Level((0.08, 0.1), 20), Level((0.15, 0.2, 0.3), 10)), race=(3, 1), rounds=20)


@functools.lru_cache
def solver(problem, settings=SETTINGS, given=False):
    if given:
        return jax.jit(lambda key, measured, starts: search.search(key, measured, problem, settings, starts))
    return jax.jit(lambda key, measured: search.search(key, measured, problem, settings))


def case(seed, problem=PROBLEM):
    positions, valid = random_atoms(jax.random.key(seed), problem.atoms)
    assert valid
    return positions, synthesis.measure(jax.random.key(seed), positions, problem)


def worst_error(found, true):
    matching = metrics.match(found, true)
    return float(jnp.where(matching.matched, matching.distance, jnp.inf).max())


def status(found):
    return certificate.STATUSES[int(found.status)]


@pytest.mark.parametrize(("changes", "error"), [
    ({}, 1e-4), ({"h_max": 5.0}, 1e-2), ({"noise": 0.1}, 0.05), ({"form_factor": "gaussian", "b_factor": 40.0}, 1e-3),
], ids=["full", "low resolution", "noise", "gaussian"])
def test_random_starts_find_the_exact_answer(changes, error):
    problem = PROBLEM._replace(**changes)
    for seed in range(4):
        positions, measured = case(seed, problem)
        found = solver(problem)(jax.random.key(seed), measured)
        assert status(found) == "solved"
        assert worst_error(found.answer.atoms.positions, positions) < error
        assert float(found.answer.quality.correlation) > 0.99
        assert search.STAGES[int(found.stage)] in ("random", "repair", "restart")


def test_given_starts_come_first():
    positions, measured = case(1)
    near = positions + 0.3 * jax.random.normal(jax.random.key(0), positions.shape)
    absent = jnp.full_like(near, jnp.nan)
    solve = solver(PROBLEM, SETTINGS, given=True)
    for starts in ([near, absent, absent, absent], [absent, absent, absent, near]):
        found = solve(jax.random.key(3), measured, jnp.stack(starts))
        assert status(found) == "solved"
        assert worst_error(found.answer.atoms.positions, positions) < 1e-4
    assert search.STAGES[int(found.stage)] in ("given", "repair")


def test_a_wrong_atom_is_repaired():
    positions, measured = case(2)
    made = search.make_case(measured, PROBLEM, SETTINGS)
    walk = search.init(jax.random.key(0), made)
    wrong = positions.at[0].set(-positions[0])
    walk = walk._replace(positions=wrong, cost=jnp.float32(1.0), stuck=jnp.array(False))
    walk = jax.jit(lambda walk: search.step(walk, made))(walk)
    assert worst_error(walk.positions - walk.positions.mean(0), positions) < 0.1
    assert int(walk.rounds) == 1
    assert not walk.stuck


def homometric():
    """A * B and A * (-B) for two sets without symmetry: other sets of atoms, the same differences."""
    # All whole numbers, their means too: the voxels cut all atoms alike.
    a = np.array([[0.0, 0.0, 0.0], [3.0, 1.0, 0.0], [0.0, 2.0, 3.0]])
    b = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 6.0], [5.0, 3.0, 6.0]])
    first, second = ((a[:, None] + sign * b[None]).reshape(-1, 3) for sign in (1, -1))
    return jnp.asarray(first - first.mean(0)), jnp.asarray(second - second.mean(0))


def test_two_sets_that_fit_alike_are_ambiguous():
    first, second = homometric()
    problem = Problem(atoms=AtomRules(num_atoms=9, inner_box=14.0), grid=32)
    assert certificate.differ(first, second)
    measured = synthesis.measure(jax.random.key(0), first, problem)
    np.testing.assert_allclose(measured, synthesis.measure(jax.random.key(0), second, problem), atol=1e-3)
    found = solver(problem, SETTINGS._replace(confirmations=12, rounds=200))(jax.random.key(0), measured)
    assert status(found) == "ambiguous"
    answers = [found.answer.atoms.positions, found.other]
    assert certificate.differ(*answers)
    for true in (first, second):
        assert min(worst_error(answer, true) for answer in answers) < 0.01


def test_a_map_of_another_number_of_atoms_is_not_solved():
    _, measured = case(0, PROBLEM._replace(atoms=PROBLEM.atoms._replace(num_atoms=6)))
    found = solver(PROBLEM)(jax.random.key(0), measured)
    assert status(found) == "not solved"
    assert np.isfinite(found.answer.atoms.positions).all()
    assert int(found.rounds) == SETTINGS.rounds
    assert float(found.answer.quality.chi_squared) > 100


def test_nothing_in_a_map_is_not_solved():
    found = solver(PROBLEM)(jax.random.key(0), jnp.zeros((24,) * 3))
    assert status(found) == "not solved"


def test_confirmation_agrees_where_the_answer_is_unique():
    positions, measured = case(3)
    found = solver(PROBLEM, SETTINGS._replace(confirmations=2))(jax.random.key(0), measured)
    assert status(found) == "solved"
    assert not np.isfinite(found.other).any()
    assert int(found.restarts) >= 2
    assert worst_error(found.answer.atoms.positions, positions) < 1e-4
