"""The search without a network: exact answers, in every regime small; stages; ambiguous and impossible maps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasenet import metrics
from phasenet.maps import synthesis
from phasenet.maps.atoms import AtomRules, draw_atoms
from phasenet.maps.synthesis import Problem
from phasenet.search import atom_search, certificate
from phasenet.search.atom_search import SearchSettings
from phasenet.search.refinement import Level

pytestmark = pytest.mark.optimized

PROBLEM = Problem(atoms=AtomRules(num_atoms=9, inner_box=14.0), grid=32)
# Fewer levels compile sooner; every answer is confirmed four times.
SETTINGS = SearchSettings(levels=(Level((0.08, 0.1), 20), Level((0.15, 0.2, 0.3), 10)), starts_per_level=(3, 1),
                          rounds=60,
                    confirmations=4)
ABSENT = jnp.full((9, 3), jnp.nan, jnp.float32)  # a weak type would be another program


@functools.lru_cache
def program(problem):
    return jax.jit(lambda key, measured, given: atom_search.search_atoms(key, measured, problem, SETTINGS, given))


def solve(seed, measured, problem=PROBLEM, given=(ABSENT,) * 4):
    # One program for all tests of a problem.
    return program(problem)(jax.random.key(seed), measured, jnp.stack(given))


@functools.lru_cache
def maker(problem):
    def make(key):
        positions, valid = draw_atoms(key, problem.atoms)
        return positions, valid, synthesis.simulate_patterson(key, positions, problem)

    return jax.jit(make)


def case(seed, problem=PROBLEM):
    positions, valid, measured = maker(problem)(jax.random.key(seed))
    assert valid
    return positions, measured


def worst_error(found, true):
    matching = metrics.match(found, true)
    return float(jnp.where(matching.matched, matching.distance, jnp.inf).max())


def status(found):
    return certificate.STATUSES[int(found.status)]


@pytest.mark.slow
@pytest.mark.parametrize(("changes", "error"), [({}, 1e-4), ({"h_max": 9.0, "noise": 0.1}, 0.1)],
                         ids=["full", "low resolution and noise"])
def test_random_starts_find_the_exact_answer(changes, error):
    problem = PROBLEM._replace(**changes)
    for seed in range(3):
        positions, measured = case(seed, problem)
        found = solve(seed, measured, problem)
        assert status(found) == "solved"
        assert worst_error(found.answer.atoms.positions, positions) < error
        assert float(found.answer.quality.correlation) > 0.99
        assert atom_search.STAGES[int(found.stage)] in ("random", "repair", "restart")
        # Confirmation comes from other starts, and agrees.
        assert int(found.restarts) >= 4
        assert not np.isfinite(found.other_positions).any()


@pytest.mark.slow
def test_given_starts_come_first():
    positions, measured = case(1)
    near = positions + 0.3 * jax.random.normal(jax.random.key(0), positions.shape)
    for given in ([near, ABSENT, ABSENT, ABSENT], [ABSENT, ABSENT, near, ABSENT]):
        found = solve(3, measured, given=given)
        assert status(found) == "solved"
        assert atom_search.STAGES[int(found.stage)] == "given"
        assert worst_error(found.answer.atoms.positions, positions) < 1e-4


def test_a_wrong_atom_is_repaired():
    positions, measured = case(2)
    made = atom_search.make_search_problem(measured, PROBLEM, SETTINGS)
    wrong = positions.at[0].set(-positions[0])
    state = atom_search.init(jax.random.key(0), made)._replace(positions=wrong, misfit=jnp.float32(1.0))
    state = jax.jit(lambda state: atom_search._relocate(state, made))(state)
    assert worst_error(state.positions - state.positions.mean(0), positions) < 0.1
    assert int(state.rounds) == 1
    assert not state.stuck


def homometric():
    """A * B and A * (-B) for two sets without symmetry: other sets of atoms, the same differences."""
    # All whole numbers, their means too: the voxels cut all atoms alike.
    a = np.array([[0.0, 0.0, 0.0], [3.0, 1.0, 0.0], [0.0, 2.0, 3.0]])
    b = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 6.0], [5.0, 3.0, 6.0]])
    first, second = ((a[:, None] + sign * b[None]).reshape(-1, 3) for sign in (1, -1))
    return jnp.asarray(first - first.mean(0)), jnp.asarray(second - second.mean(0))


def test_two_sets_that_fit_alike_are_ambiguous():
    first, second = homometric()
    assert certificate.are_distinct(first, second)
    measured = synthesis.simulate_patterson(jax.random.key(0), first, PROBLEM)
    np.testing.assert_allclose(measured, synthesis.simulate_patterson(jax.random.key(0), second, PROBLEM), atol=1e-3)
    found = solve(0, measured)
    assert status(found) == "ambiguous"
    answers = [found.answer.atoms.positions, found.other_positions]
    for true in (first, second):
        assert min(worst_error(answer, true) for answer in answers) < 0.01


def test_a_map_of_another_number_of_atoms_is_not_solved():
    _, measured = case(0, PROBLEM._replace(atoms=PROBLEM.atoms._replace(num_atoms=10)))
    found = solve(0, measured)
    assert status(found) == "not solved"
    assert np.isfinite(found.answer.atoms.positions).all()
    assert int(found.rounds) == SETTINGS.rounds
    assert float(found.answer.quality.chi_squared) > 100


def test_nothing_in_a_map_is_not_solved():
    assert status(solve(0, jnp.zeros((32,) * 3))) == "not solved"
