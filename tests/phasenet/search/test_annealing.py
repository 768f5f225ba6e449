"""The annealer: its error against maps made by FFT, its rules swap by swap, its answer against all subsets."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasenet.maps import density, patterson, reflections
from phasenet.search import annealing
from phasenet.search.annealing import Schedule

GRID, ATOMS = 12, 3


@pytest.fixture(scope="module")
def problem():
    """Three atoms of five candidates and two places that are none: candidates' maps, data, the true set."""
    positions = np.array([[1.2, 0.3, -0.5], [-1.9, 0.4, 1.1], [0.7, -0.7, 2.4], [-1.2, 2.3, 0.5], [1.9, -2.4, -1.1]],
                         np.float32)
    maps = np.array(jax.jit(jax.vmap(lambda p: density.density(p[None], GRID)))(positions))
    # In the middle, to see that order does not matter; a place that is none has no factors.
    maps = np.stack([maps[0], 0 * maps[0], *maps[1:4], 0 * maps[0], maps[4]])
    valid = np.array([True, False, True, True, True, False, True])
    which = reflections.select_reflections(GRID)
    factors = jax.vmap(lambda m: reflections.structure_factors(m, which))(maps)
    true = (0, 3, 6)
    observed = reflections.observed_intensities(patterson.patterson(maps[list(true)].sum(0)), which)
    data = annealing.AnnealingInput(factors, jnp.asarray(valid), observed, jnp.asarray(which.weights))
    return maps, data, true


@pytest.fixture(scope="module")
def anneal():
    """Compiled once: temperatures are traced."""
    @functools.partial(jax.jit, static_argnames=("num_atoms", "num_swaps"))
    def run(key, data, start, end, num_atoms, num_swaps):
        return annealing.anneal(key, data, num_atoms, Schedule(num_swaps, start, end))

    return lambda key, data, start=0.01, end=1e-5, num_atoms=ATOMS, num_swaps=60: run(
        key, data, start, end, num_atoms, num_swaps)


def error_by_fft(maps, members, observed_map):
    """The sum over voxels of the squared difference of the two Patterson maps."""
    found = np.fft.ifftn(np.abs(np.fft.fftn(maps[list(members)].sum(0).astype(float))) ** 2).real
    return ((found - observed_map) ** 2).sum()


def test_the_error_is_that_of_the_patterson_maps(problem):
    maps, data, true = problem
    observed = np.asarray(patterson.patterson(maps[list(true)].sum(0)), float)
    for members in itertools.combinations([0, 2, 3, 4, 6], ATOMS):
        total = data.factors[np.array(members)].sum(0)
        got = float(annealing.patterson_error(total, data))
        expected = error_by_fft(maps, members, observed)
        assert got == pytest.approx(expected, rel=1e-4, abs=1e-3)
        assert (members == true) == (expected < 1e-6)


def test_the_answer_is_the_best_of_all_subsets(problem, anneal):
    """Against intensities that no subset explains, so that the best one has an error of its own."""
    maps, data, true = problem
    rough = data.observed * (1 + 0.3 * np.random.default_rng(0).standard_normal(data.observed.shape).astype(np.float32))
    for observed in (data.observed, rough):
        data = data._replace(observed=observed)
        subsets = list(itertools.combinations([0, 2, 3, 4, 6], ATOMS))
        errors = [float(annealing.patterson_error(data.factors[np.array(s)].sum(0), data)) for s in subsets]
        best = subsets[int(np.argmin(errors))]
        for seed in range(3):
            state, _ = anneal(jax.random.key(seed), data, start=0.1)
            assert tuple(sorted(np.asarray(state.members).tolist())) == best
            assert float(state.error) == pytest.approx(min(errors), rel=1e-4, abs=1e-2)


def test_candidates_that_are_none_are_never_chosen(problem, anneal):
    _, data, _ = problem
    none = [1, 5]
    for seed in range(4):
        start = annealing.init(jax.random.key(seed), data, ATOMS)
        assert not np.isin(start.members, none).any() and set(start.others[-2:].tolist()) == set(none)
        # So hot that every proposal is taken.
        state, info = anneal(jax.random.key(seed), data, start=1e6, end=1e6)
        assert info.accepted.mean() > 0.95
        assert not np.isin(state.members, none).any() and set(state.others[-2:].tolist()) == set(none)
        assert sorted([*state.members.tolist(), *state.others.tolist()]) == list(range(7))


def test_every_swap_is_equally_likely(problem):
    _, data, _ = problem
    keys = jax.random.split(jax.random.key(1), 600)
    proposals = jax.vmap(lambda key: annealing.propose(key, data, ATOMS))(keys)
    counts = np.zeros((ATOMS, 4), int)
    np.add.at(counts, (np.asarray(proposals.place_out), np.asarray(proposals.place_in)), 1)
    assert not counts[:, 2:].any()  # only two of the others are candidates
    np.testing.assert_allclose(counts[:, :2], 100, atol=45)


def test_zero_temperature_takes_improvements_alone(problem, anneal):
    _, data, _ = problem
    for seed in range(4):
        state, info = anneal(jax.random.key(seed), data, start=0.0)
        errors = np.asarray(info.error)
        assert (np.diff(errors) <= 1e-3).all() and errors[-1] == state.error
        falls = np.diff(errors) < -1e-3
        np.testing.assert_array_equal(falls, np.asarray(info.accepted)[1:])


def test_metropolis(problem):
    _, data, _ = problem
    keys = jax.random.split(jax.random.key(0), 4000)
    slack = jax.vmap(lambda key: annealing.propose(key, data, ATOMS).slack)(keys)

    def rate(change, temperature):
        return float(annealing.accept(jnp.float32(change), jnp.float32(temperature), slack).mean())

    assert rate(-1.0, 0.0) == rate(-1e9, 1e-3) == 1
    assert rate(1e-3, 0.0) == rate(0.0, 0.0) == rate(jnp.nan, 1.0) == rate(1e9, 1.0) == 0
    for change, temperature in ((1.0, 1.0), (2.0, 1.0), (30.0, 100.0)):
        assert rate(change, temperature) == pytest.approx(np.exp(-change / temperature), abs=0.035)


def test_errors_updated_swap_by_swap_are_those_computed_anew(problem, anneal, monkeypatch):
    _, data, _ = problem
    for refresh in (500, 7):
        monkeypatch.setattr(annealing, "_SWAPS_PER_REFRESH", refresh)
        num_swaps = 130 + refresh % 2  # compiled anew for each
        state, info = anneal(jax.random.key(5), data, start=10.0, end=1.0, num_swaps=num_swaps)
        assert info.accepted.sum() > 40
        total = data.factors[state.members].sum(0)
        np.testing.assert_allclose(state.total, total, atol=1e-3)
        assert float(state.error) == pytest.approx(float(annealing.patterson_error(total, data)), rel=1e-3)
        assert info.error.shape == (num_swaps,) and float(info.error[-1]) == float(state.error)


def test_a_step_is_a_proposal_accepted_or_not(problem):
    _, data, _ = problem
    start = annealing.init(jax.random.key(0), data, ATOMS)
    for temperature in (0.0, 1e9):
        proposal = annealing.propose(jax.random.key(3), data, ATOMS)
        state, info = annealing.step(start, data, proposal, jnp.float32(temperature))
        swapped = sum(int(a != b) for a, b in zip(start.members, state.members, strict=True))
        assert swapped == int(info.accepted) and float(info.error) == float(state.error)
        total = data.factors[state.members].sum(0)
        assert float(state.error) == pytest.approx(float(annealing.patterson_error(total, data)), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("count", [3, 2, 0])
def test_no_more_candidates_than_atoms(problem, anneal, count):
    """Nothing can be swapped: all that there are come first, places that are none fill up."""
    _, data, _ = problem
    valid = np.arange(7) < count
    data = data._replace(valid=jnp.asarray(valid), factors=data.factors * valid[:, None, None])
    state, info = anneal(jax.random.key(0), data, start=1e6, end=1e6)
    assert not info.accepted.any() and np.isfinite(state.error)
    assert valid[np.asarray(state.members)].sum() == count and len(state.members) == ATOMS


def test_no_place_more_than_atoms_is_refused(problem):
    _, data, _ = problem
    with pytest.raises(ValueError, match="7 atoms of 7 candidates: expected more candidates"):
        annealing.init(jax.random.key(0), data, 7)


def test_the_best_of_several_chains(problem):
    _, data, true = problem
    run = jax.jit(functools.partial(annealing.select_atoms, num_atoms=ATOMS, schedule=Schedule(3, 0.0), num_chains=6))
    state, info = run(jax.random.key(2), data)
    assert info.error.shape == info.accepted.shape == (6, 3)
    assert float(state.error) == float(info.error[:, -1].min()) < float(info.error[:, -1].max())
    again, _ = run(jax.random.key(2), data)
    np.testing.assert_array_equal(again.members, state.members)
