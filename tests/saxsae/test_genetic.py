"""saxsae.genetic: its operators, and the loop on a score whose optimum is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saxsae import genetic

SIZE = 12
SETTINGS = genetic.EvolutionSettings(population=60, elites=5, generations=40, patience=40)
cross = jax.jit(genetic.cross_over)
TARGET = np.linspace(-1.0, 1.0, SIZE, dtype=np.float32)


def make_prior(bank=0) -> genetic.CodePrior:
    """Latent number k is uniform between -2 - k / 10 and 2 + k / 10."""
    half = 2 + np.arange(SIZE) / 10
    quantiles = np.linspace(-1, 1, 101)[:, None] * half
    codes = np.random.default_rng(0).uniform(-1, 1, (bank, SIZE)) * half
    return genetic.CodePrior(*(jnp.asarray(a, jnp.float32) for a in (quantiles, codes, 10.0, 90.0)))


def toy_score(latents, radii):
    """Zero at TARGET and 42 A; looks 1% around each radius, as the real score does."""
    tried = radii[:, None] * jnp.array([0.99, 1.0, 1.01])
    chi_squared = ((latents - TARGET) ** 2).mean(1)[:, None] + (tried / 42 - 1) ** 2
    best = chi_squared.argmin(1)[:, None]
    return (jnp.take_along_axis(chi_squared, best, 1)[:, 0],
            jnp.take_along_axis(tried, best, 1)[:, 0])


@functools.cache
def programs(settings=SETTINGS):
    prior = make_prior()
    begin = jax.jit(lambda key: genetic.draw_first_generation(key, prior, toy_score, settings))
    go_on = jax.jit(lambda key, state, until: genetic.evolve(
        key, state, until, prior, toy_score, settings))
    return begin, go_on


@pytest.fixture(scope="module")
def finished():
    begin, go_on = programs()
    return go_on(jax.random.key(1), begin(jax.random.key(0)), SETTINGS.generations)


@pytest.mark.parametrize("win", [1.0, 0.9, 0.5])
def test_tournaments_favour_the_fitter_as_often_as_they_should(win):
    count, size = 200_000, 10
    chi_squared = jnp.asarray(np.random.default_rng(0).permutation(size), jnp.float32)
    chosen = np.asarray(genetic.select_parents(jax.random.key(0), chi_squared, count, win))
    rank = np.asarray(chi_squared)[chosen].astype(int)
    found = np.bincount(rank, minlength=size) / count
    better, worse = size - 1 - np.arange(size), np.arange(size)
    expected = (1 + 2 * (win * better + (1 - win) * worse)) / size**2
    np.testing.assert_allclose(found, expected, atol=5 * np.sqrt(expected.max() / count))


def test_crossing_exchanges_two_segments_and_loses_no_gene():
    count = 2000
    latents = np.arange(count * SIZE, dtype=np.float32).reshape(count, SIZE)
    crossed = np.asarray(cross(jax.random.key(0), latents, 1.0))
    pairs, before = crossed.reshape(-1, 2, SIZE), latents.reshape(-1, 2, SIZE)
    np.testing.assert_array_equal(np.sort(pairs, axis=1), before)  # each column keeps its two genes
    moved = pairs[:, 0] != before[:, 0]
    assert 0.25 < moved.mean() < 0.55  # two segments between four random cuts
    segments = (np.diff(np.pad(moved.astype(int), ((0, 0), (1, 0))), axis=1) == 1).sum(1)
    assert segments.max() == 2
    assert moved.any(0).all()  # no place is spared


def test_crossing_happens_with_its_probability():
    latents = jnp.arange(4000 * SIZE, dtype=jnp.float32).reshape(4000, SIZE)
    never = cross(jax.random.key(0), latents, 0.0)
    np.testing.assert_array_equal(never, latents)
    always, often = (np.asarray(cross(jax.random.key(0), latents, p)) != latents
                     for p in (1.0, 0.8))
    share = often.any(1).sum() / always.any(1).sum()
    assert share == pytest.approx(0.8, abs=0.03)


def test_mutation_rate_and_distribution():
    prior = make_prior()
    latents = jnp.full((20_000, SIZE), 99.0)
    mutated = np.asarray(genetic.mutate(jax.random.key(0), latents, prior, 0.05))
    changed = mutated != 99.0
    assert changed.mean() == pytest.approx(0.05, abs=0.002)
    for column in (0, SIZE - 1):
        drawn = np.sort(mutated[changed[:, column], column])
        at = np.interp(drawn, np.asarray(prior.quantiles)[:, column], np.linspace(0, 1, 101))
        # Kolmogorov-Smirnov: uniform where the quantiles are.
        assert np.abs(at - np.linspace(0, 1, len(at))).max() < 1.8 / np.sqrt(len(at))


def test_draws_follow_quantiles_that_are_not_uniform():
    quantiles = np.linspace(0, 1, 101)[:, None] ** np.arange(1, SIZE + 1)
    prior = make_prior()._replace(quantiles=jnp.asarray(quantiles, jnp.float32))
    drawn = np.asarray(genetic.draw_latents(jax.random.key(0), prior, (50_000,)))
    np.testing.assert_allclose(drawn.mean(0), 1 / np.arange(2, SIZE + 2), atol=0.01)


def test_mutated_radii_stay_in_bounds_and_gather_about_the_elites():
    prior = make_prior()
    settings = SETTINGS._replace(radius_mutation=0.5, radius_spread=0.05)
    radii = jnp.full(40_000, 80.0)
    mutated = np.asarray(genetic.mutate_radii(jax.random.key(0), radii, 30.0, prior, settings))
    assert mutated.min() >= 10 and mutated.max() <= 90
    assert (mutated != 80).mean() == pytest.approx(0.5, abs=0.01)
    redrawn = mutated[mutated != 80]
    near = np.abs(redrawn / 30 - 1) < 0.15  # three standard deviations, and some of the wide half
    assert near.mean() == pytest.approx(0.5 + 0.5 * 9 / 80, abs=0.02)
    edge = np.asarray(genetic.mutate_radii(jax.random.key(0), radii, 90.0, prior, settings))
    assert edge.max() == 90


def test_first_generation_comes_from_the_bank_or_the_distribution():
    def first(bank):
        prior = make_prior(bank)
        begin = jax.jit(lambda key, prior: genetic.draw_first_generation(key, prior, toy_score, SETTINGS))
        return prior, begin(jax.random.key(0), prior)

    prior, state = first(100)
    rows = {tuple(row) for row in np.asarray(prior.bank)}
    drawn = {tuple(row) for row in np.asarray(state.latents)}
    assert drawn <= rows and len(drawn) == SETTINGS.population  # none twice
    _, few = first(7)
    assert len({tuple(row) for row in np.asarray(few.latents)}) <= 7
    prior, free = first(0)
    assert len({tuple(row) for row in np.asarray(free.latents)}) == SETTINGS.population
    low, high = np.asarray(prior.quantiles)[[0, -1]]
    assert (free.latents >= low).all() and (free.latents <= high).all()


def test_population_is_sorted_and_its_best_never_lost(finished):
    chi_squared = np.asarray(finished.chi_squared)
    assert (np.diff(chi_squared) >= 0).all()
    again, _ = toy_score(finished.latents, finished.radii)
    assert (np.asarray(again) <= chi_squared + 1e-6).all()  # the score may still better a radius
    reached = int(finished.generation) + 1
    for series in (finished.history.best, finished.history.elites):
        assert (np.diff(np.asarray(series)[:reached]) <= 0).all()


def test_a_known_optimum_is_found(finished):
    start = float(finished.history.median[0])
    assert finished.chi_squared[0] < 0.03 * start
    assert finished.radii[0] == pytest.approx(42, rel=0.03)
    assert np.abs(np.asarray(finished.latents[0]) - TARGET).mean() < 0.3


def test_a_run_in_parts_is_the_run_in_one():
    begin, go_on = programs()
    key = jax.random.key(1)
    state = begin(jax.random.key(0))
    at_once = go_on(key, state, 10)
    in_parts = go_on(key, go_on(key, go_on(key, state, 3), 3), 10)
    assert int(at_once.generation) == 10
    jax.tree.map(np.testing.assert_array_equal, at_once, in_parts)


@pytest.mark.slow
def test_vmapped_runs_are_the_single_ones():
    begin, go_on = programs()
    keys = jax.random.split(jax.random.key(5), 3)
    together = jax.jit(jax.vmap(lambda key: go_on(key, begin(key), 6)))(keys)
    for number, key in enumerate(keys):
        alone = go_on(key, begin(key), 6)
        jax.tree.map(lambda a, b, number=number: np.testing.assert_allclose(a[number], b, rtol=1e-5), together, alone)


def test_limit_of_generations_and_odd_numbers_of_children():
    settings = SETTINGS._replace(population=20, elites=5, generations=4)
    begin, go_on = programs(settings)
    state = go_on(jax.random.key(0), begin(jax.random.key(0)), 1000)
    assert state.latents.shape == (20, SIZE) and int(state.generation) == 3
    assert np.isfinite(np.asarray(state.history.best)).all()
    assert not genetic.is_running(state, settings)


def test_a_stagnant_run_ends_and_its_history_with_it():
    settings = SETTINGS._replace(patience=3, progress=0.5)  # only a halving counts
    begin, go_on = programs(settings)
    state = go_on(jax.random.key(1), begin(jax.random.key(0)), 1000)
    last, elites = int(state.generation), np.asarray(state.history.elites)
    assert int(state.stale_generations) == 3 and 3 <= last < settings.generations - 1
    assert np.isfinite(elites[:last + 1]).all() and np.isnan(elites[last + 1:]).all()
    assert elites[last] > 0.5 * elites[last - 3]
    # What has ended stays as it is.
    jax.tree.map(np.testing.assert_array_equal, state, go_on(jax.random.key(1), state, 1000))


@pytest.mark.parametrize("generation, stale, best_mean, goes_on", [
    (0, 1, 5.0, True), (38, 0, 5.0, True), (39, 0, 5.0, False), (5, 39, 5.0, True),
    (5, 40, 5.0, False), (5, 0, 0.5, False), (5, 0, 0.4, False)])
def test_when_a_run_goes_on(generation, stale, best_mean, goes_on):
    state = genetic.EvolutionState(None, None, None, np.int32(generation), np.int32(stale),
                          np.float32(best_mean), None)
    assert genetic.is_running(state, SETTINGS._replace(stop_chi_squared=0.5)) == goes_on


@pytest.mark.slow
def test_empty_shapes_sink_to_the_bottom():
    def score(latents, radii):
        chi_squared, radii = toy_score(latents, radii)
        return jnp.where(latents[:, 0] > 0, jnp.inf, chi_squared), radii

    prior = make_prior()
    state = genetic.draw_first_generation(jax.random.key(0), prior, score, SETTINGS)
    state = jax.jit(lambda s: genetic.evolve(jax.random.key(1), s, 3, prior, score, SETTINGS))(state)
    assert np.isfinite(state.chi_squared[0]) and np.isfinite(state.best_mean)
    assert not np.isnan(np.asarray(state.chi_squared)).any()


@pytest.mark.parametrize(("count", "parts"), [(6, 2), (6, 4), (5, 2)])
def test_a_score_in_parts_is_the_score(count, parts):
    seen = []

    def score(latents, radii):
        seen.append(len(radii))
        return latents.sum(1) * radii, radii + 1

    latents, radii = jnp.arange(2.0 * count).reshape(count, 2), jnp.arange(1.0, count + 1)
    for found, whole in zip(genetic.score_in_chunks(score, parts)(latents, radii), score(latents, radii), strict=True):
        np.testing.assert_array_equal(found, whole)
    assert seen[0] == count // np.gcd(count, parts)
