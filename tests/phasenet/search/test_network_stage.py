"""From candidates to atoms: the right set from exact places, the same error on the cropped grid, the absolute scale."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasenet import metrics
from phasenet.maps import absolute_scale, atoms, synthesis
from phasenet.maps.atoms import AtomRules
from phasenet.maps.synthesis import Problem
from phasenet.search import annealing, network_stage, peaks

# The Patterson map fills 15 of the 20 voxels: 16 are compared.
PROBLEM = Problem(atoms=AtomRules(num_atoms=4, inner_box=6.0), grid=20)
SETTINGS = network_stage.NetworkSettings(picker="peaks", schedule=annealing.Schedule(num_swaps=400, start=0.3),
                                         num_chains=6,
                           most_peaks=8)
CASES = 8
# Well separated, also from their inverses.
APART = np.array([[2.6, 1.4, 0.3], [-2.3, 2.2, -2.1], [-1.9, -0.7, 2.4], [1.6, -2.9, -0.6]], np.float32)


def pairs(positions, valid=True):
    """Candidates of known atoms and their inverses."""
    found = peaks.Candidates(positions, jnp.full(len(positions), 0.5), jnp.full(len(positions), valid))
    return peaks.add_inverses(found)


@pytest.fixture(scope="module")
def measure():
    return jax.jit(functools.partial(synthesis.simulate_patterson, jax.random.key(0), problem=PROBLEM))


@pytest.fixture(scope="module")
def separate():
    return jax.jit(functools.partial(network_stage.select_atoms, problem=PROBLEM, settings=SETTINGS))


@pytest.mark.slow
def test_from_exact_places_the_right_set_up_to_inversion(measure, separate):
    key_atoms, key_solver = jax.random.split(jax.random.key(1))
    drawn, valid = jax.jit(jax.vmap(functools.partial(atoms.draw_atoms, rules=PROBLEM.atoms)))(
        jax.random.split(key_atoms, CASES))
    assert valid.all()
    match = jax.jit(metrics.match)
    for true, key in zip(drawn, jax.random.split(key_solver, CASES), strict=True):
        found = separate(key, measure(true), jax.jit(pairs)(true))
        matching = match(found.positions, true)
        assert matching.matched.all() and matching.distance.max() < 1e-3
        assert found.valid.all() and found.candidates.valid.sum() == 8
        assert float(found.agreement.correlation) > 0.9999 and float(found.agreement.r_factor) < 1e-2
        assert found.errors.shape == (6, 400)
        np.testing.assert_allclose(found.positions.mean(0), 0, atol=1e-5)


@pytest.mark.slow
def test_the_answer_is_the_best_of_all_subsets(measure, separate):
    """Candidates that are all somewhat off: the least error is not zero."""
    rng = np.random.default_rng(0)
    candidates = pairs(APART + rng.normal(0, 0.3, APART.shape).astype(np.float32))
    found = separate(jax.random.key(2), measure(APART), candidates)
    data = jax.jit(functools.partial(network_stage.make_annealing_input, problem=PROBLEM))(measure(APART), candidates)
    subsets = np.array(list(itertools.combinations(range(8), 4)))
    errors = np.asarray(jax.jit(jax.vmap(lambda s: annealing.patterson_error(data.factors[s].sum(0), data)))(subsets))
    assert float(found.errors[:, -1].min()) == pytest.approx(errors.min(), rel=1e-3)
    assert errors.min() > 1
    assert metrics.match(found.positions, APART, cutoff=1.0).matched.all()


def test_the_cropped_grid_gives_the_error_of_the_whole_one(measure):
    candidates = pairs(APART)
    # Noise, were there any, would lie outside the atoms' part of the map: all of it is compared.
    whole = PROBLEM._replace(noise=0.1)
    assert network_stage.select_compared_reflections(PROBLEM).grid == 16
    assert network_stage.select_compared_reflections(whole).grid == 20
    both = [jax.jit(functools.partial(network_stage.make_annealing_input, problem=problem))(measure(APART), candidates)
            for problem in (PROBLEM, whole)]
    for subset in ([0, 2, 4, 6], [0, 1, 2, 3], [0, 3, 5, 6], [1, 3, 5, 7]):
        errors = [float(annealing.patterson_error(data.factors[np.array(subset)].sum(0), data)) for data in both]
        assert errors[0] == pytest.approx(errors[1], rel=1e-3, abs=2e-2)
    assert errors[0] != 0


def test_which_reflections_are_compared():
    def grid(**change):
        return network_stage.select_compared_reflections(Problem()._replace(**change)).grid

    assert grid() == 28 and grid(grid=24) == 24  # a paper's map lies within 27 voxels
    assert grid(atoms=AtomRules(inner_box=18.0)) == grid(atoms=AtomRules(stay_inside=False)) == 40
    assert grid(noise=0.1) == grid(form_factor="gaussian", b_factor=10.0) == grid(h_max=10.0) == 40
    few = network_stage.select_compared_reflections(Problem(h_max=5.0))
    more = network_stage.select_compared_reflections(Problem(h_max=6.0))
    assert len(few.flat_index) < 500 and len(few.flat_index) < len(more.flat_index)


@pytest.mark.slow
def test_from_the_map_that_a_perfect_network_answers(measure):
    settings = SETTINGS

    def network(patterson_map):
        # It gets the map as it was trained on: the origin in the middle.
        seen = jnp.unravel_index(patterson_map.argmax(), patterson_map.shape)
        centred = jnp.all(jnp.stack(seen) == PROBLEM.grid // 2)
        return jnp.where(centred, synthesis.network_target(jnp.asarray(APART), PROBLEM), 0.0)

    solve = jax.jit(functools.partial(network_stage.solve_with_network, network=network, problem=PROBLEM,
                                      settings=settings))
    found = solve(jax.random.key(3), measure(APART))
    matching = metrics.match(found.positions, APART - APART.mean(0))
    assert matching.matched.all() and matching.distance.max() < 0.3
    assert float(found.agreement.correlation) > 0.97
    again = solve(jax.random.key(3), measure(APART))
    np.testing.assert_array_equal(again.positions, found.positions)


def test_fewer_candidates_than_atoms(measure, separate):
    lone = peaks.Candidates(APART, jnp.full(4, 0.5), jnp.arange(4) < 1)
    found = separate(jax.random.key(4), measure(APART), peaks.add_inverses(lone))
    assert found.valid.sum() == 2 and found.positions.shape == (4, 3)
    np.testing.assert_array_equal(np.isnan(found.positions).all(-1), ~np.asarray(found.valid))
    assert np.isfinite(found.agreement.correlation) and np.isfinite(found.errors).all()
    # Fewer places than atoms, too.
    two = jax.tree.map(lambda leaf: leaf[:2], pairs(APART))
    found = jax.jit(functools.partial(network_stage.select_atoms, problem=PROBLEM, settings=SETTINGS))(
        jax.random.key(4), measure(APART), two)
    assert found.positions.shape == (4, 3) and found.valid.sum() == 2


def test_an_unknown_picker():
    with pytest.raises(ValueError, match="picker='best': expected one of fit, peaks"):
        network_stage.find_candidates(jnp.zeros((20,) * 3), PROBLEM, SETTINGS._replace(picker="best"))


def test_the_absolute_scale(measure):
    true = np.asarray(measure(APART))
    exact = jax.jit(functools.partial(absolute_scale.put_on_absolute_scale, problem=PROBLEM, has_f000=True))(true / 7)
    np.testing.assert_allclose(exact, true, rtol=1e-4, atol=1e-4)
    # Without F000, and with whatever is in its place.
    rough = jax.jit(functools.partial(absolute_scale.put_on_absolute_scale, problem=PROBLEM,
                                      has_f000=False))(true / 7 - 0.3)
    assert float((rough[0, 0, 0] - rough[10, 10, 10]) / (true[0, 0, 0] - true[10, 10, 10])) == pytest.approx(1, abs=0.1)
