"""The genetic algorithm over latent genes and the radius (section 2.3 of the paper), one run as one lax loop.

``init`` and ``step`` are written for one run of one population; ``evolve`` owns the loop. ``vmap`` over keys for
independent runs. How a gene becomes a chi^2 is not known here: ``score(latents, radii) -> (chi_squared, radii)`` is
given, and may improve a radius within its neighbourhood.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


class EvolutionSettings(NamedTuple):
    """Sizes and rates; the defaults are those of the paper and its public code where it states them.

    Attributes:
      population: genes kept in each generation (static).
      elites: best genes passed on untouched (static).
      generations: the loop's limit (static: it sizes the history).
      tournament_win: probability that the fitter of two is taken.
      crossing: probability that a pair exchanges two segments.
      mutation: probability that a latent number is redrawn.
      radius_mutation: probability that a radius is redrawn.
      radius_spread: standard deviation of a redrawn radius, relative to the elites' mean.
      stop_chi_squared: a run ends when the mean over the elites falls below it.
      patience: a run ends after so many generations without progress.
      progress: relative fall of the elites' mean chi^2 that counts as progress.
    """

    population: int = 300
    elites: int = 20
    generations: int = 30
    tournament_win: float = 0.9
    crossing: float = 0.8
    mutation: float = 0.05
    radius_mutation: float = 0.5
    radius_spread: float = 0.05
    stop_chi_squared: float = 0.0
    patience: int = 8
    progress: float = 0.01


class CodePrior(NamedTuple):
    """Where genes come from.

    Attributes:
      quantiles: (Q, K) quantiles of each latent number over the training maps, from 0 to 1: mutation draws from them.
      bank: (M, K) codes of training maps: the first generation is drawn from them; with M = 0 it is drawn number by
        number from ``quantiles``, as in the paper.
      radius_low, radius_high: bounds of r_max in Angstrom.
    """

    quantiles: jax.Array
    bank: jax.Array
    radius_low: jax.Array
    radius_high: jax.Array


class GenerationRecord(NamedTuple):
    """What one generation looked like: chi^2 of the best, the elites' mean and the population's median, and the best
    radius in Angstrom."""

    best: jax.Array
    elites: jax.Array
    median: jax.Array
    radius: jax.Array


class EvolutionState(NamedTuple):
    """One population, sorted by chi^2, the best first.

    Attributes:
      latents: (P, K).
      radii: (P,) r_max in Angstrom.
      chi_squared: (P,).
      generation: () int, generations done.
      stale: () int, generations since the elites' mean fell.
      best_mean: () lowest mean chi^2 of the elites so far.
      history: see ``GenerationRecord``, each field with a leading axis of ``Settings.generations``; NaN where not reached.
    """

    latents: jax.Array
    radii: jax.Array
    chi_squared: jax.Array
    generation: jax.Array
    stale: jax.Array
    best_mean: jax.Array
    history: GenerationRecord


Score = Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


def score_in_chunks(score: Score, parts: int) -> Score:
    """The same score for a population in so many parts, one after another; in fewer where they do not divide it.

    The parts stay in a processor's cache; and a loop's input is in memory, where the compiler would otherwise work
    out a mutated radius anew for each number of each profile that it enters: a quarter of a generation on a CPU.
    """
    def scored(latents, radii):
        count = len(radii)
        shape = math.gcd(count, parts), -1
        genes = (a.reshape(*shape, *a.shape[1:]) for a in (latents, radii))
        return tuple(a.reshape(count) for a in jax.lax.map(lambda part: score(*part), tuple(genes)))

    return scored


def draw_latents(key, prior: CodePrior, shape: tuple[int, ...]):
    """Latents (*shape, K), each number by itself from its distribution over the training maps."""
    size = prior.quantiles.shape[-1]
    position = jax.random.uniform(key, (*shape, size)) * (prior.quantiles.shape[0] - 1)
    below = position.astype(jnp.int32)
    column = jnp.arange(size)
    low, high = prior.quantiles[below, column], prior.quantiles[below + 1, column]
    return low + (position - below) * (high - low)


def init(key, prior: CodePrior, score: Score, settings: EvolutionSettings) -> EvolutionState:
    """The first generation, scored."""
    key_latent, key_radius = jax.random.split(key)
    if prior.bank.shape[0]:
        chosen = jax.random.choice(key_latent, prior.bank.shape[0], (settings.population,),
                                   replace=prior.bank.shape[0] < settings.population)
        latents = prior.bank[chosen]
    else:
        latents = draw_latents(key_latent, prior, (settings.population,))
    radii = jax.random.uniform(key_radius, (settings.population,), minval=prior.radius_low, maxval=prior.radius_high)
    chi_squared, radii = score(latents, radii)
    empty = jnp.full(settings.generations, jnp.nan)
    state = EvolutionState(*_sorted(latents, radii, chi_squared), jnp.int32(0), jnp.int32(0), jnp.float32(jnp.inf),
                  GenerationRecord(empty, empty, empty, empty))
    return _record(state, settings)


def select(key, chi_squared, count: int, win: float):
    """Indices (count,) of parents by tournaments of two; the fitter wins with probability ``win``."""
    key_pair, key_win = jax.random.split(key)
    pair = jax.random.randint(key_pair, (2, count), 0, chi_squared.shape[0])
    fitter_first = chi_squared[pair[0]] <= chi_squared[pair[1]]
    keep_order = fitter_first == (jax.random.uniform(key_win, (count,)) < win)
    return jnp.where(keep_order, pair[0], pair[1])


def cross(key, latents, probability: float):
    """Neighbouring rows (2i, 2i + 1) of (C, K) exchange the genes of two random segments, C even."""
    count, size = latents.shape
    key_cut, key_do = jax.random.split(key)
    cuts = jnp.sort(jax.random.randint(key_cut, (count // 2, 4), 0, size + 1), axis=-1)
    gene = jnp.arange(size)
    exchanged = ((gene >= cuts[:, :1]) & (gene < cuts[:, 1:2])) | ((gene >= cuts[:, 2:3]) & (gene < cuts[:, 3:]))
    exchanged &= jax.random.uniform(key_do, (count // 2, 1)) < probability
    pairs = latents.reshape(-1, 2, size)
    return jnp.where(exchanged[:, None], pairs[:, ::-1], pairs).reshape(count, size)


def mutate(key, latents, prior: CodePrior, probability: float):
    """Each number of (C, K) is redrawn from its distribution with the given probability."""
    key_where, key_value = jax.random.split(key)
    redrawn = jax.random.uniform(key_where, latents.shape) < probability
    return jnp.where(redrawn, draw_latents(key_value, prior, latents.shape[:1]), latents)


def mutate_radii(key, radii, elite_radius, prior: CodePrior, settings: EvolutionSettings):
    """Radii (C,), some redrawn: half of them anywhere within the bounds, half around the elites' mean."""
    key_where, key_kind, key_wide, key_near = jax.random.split(key, 4)
    wide = jax.random.uniform(key_wide, radii.shape, minval=prior.radius_low, maxval=prior.radius_high)
    near = elite_radius * (1 + settings.radius_spread * jax.random.normal(key_near, radii.shape))
    redrawn = jnp.where(jax.random.bernoulli(key_kind, 0.5, radii.shape), wide, near)
    radii = jnp.where(jax.random.uniform(key_where, radii.shape) < settings.radius_mutation, redrawn, radii)
    return jnp.clip(radii, prior.radius_low, prior.radius_high)


def step(key, state: EvolutionState, prior: CodePrior, score: Score, settings: EvolutionSettings) -> EvolutionState:
    """One generation: the elites stay, the rest are children."""
    key_select, key_cross, key_mutate, key_radius = jax.random.split(key, 4)
    elites = settings.elites
    children = settings.population - elites
    parents = select(key_select, state.chi_squared, children + children % 2, settings.tournament_win)
    latents = cross(key_cross, state.latents[parents], settings.crossing)[:children]
    latents = mutate(key_mutate, latents, prior, settings.mutation)
    radii = mutate_radii(key_radius, state.radii[parents][:children], state.radii[:elites].mean(), prior, settings)
    chi_squared, radii = score(latents, radii)

    def joined(old, new):
        return jnp.concatenate([old[:elites], new])

    population = _sorted(joined(state.latents, latents), joined(state.radii, radii),
                         joined(state.chi_squared, chi_squared))
    state = state._replace(latents=population[0], radii=population[1], chi_squared=population[2],
                           generation=state.generation + 1)
    return _record(state, settings)


def is_running(state: EvolutionState, settings: EvolutionSettings):
    """Whether a run goes on: neither good enough, nor stagnant, nor at its limit."""
    return ((state.generation < settings.generations - 1) & (state.stale < settings.patience)
            & (state.best_mean > settings.stop_chi_squared))


def evolve(key, state: EvolutionState, until, prior: CodePrior, score: Score, settings: EvolutionSettings) -> EvolutionState:
    """Steps until the run ends or ``until`` generations are done; resumable, for randomness hangs on the generation."""
    def cond_fun(state):
        return is_running(state, settings) & (state.generation < until)

    def body_fun(state):
        return step(jax.random.fold_in(key, state.generation), state, prior, score, settings)

    return jax.lax.while_loop(cond_fun, body_fun, state)


def _sorted(latents, radii, chi_squared):
    order = jnp.argsort(chi_squared)
    return latents[order], radii[order], chi_squared[order]


def _record(state: EvolutionState, settings: EvolutionSettings) -> EvolutionState:
    mean = state.chi_squared[: settings.elites].mean()
    improved = mean < (1 - settings.progress) * state.best_mean
    now = GenerationRecord(state.chi_squared[0], mean, jnp.median(state.chi_squared), state.radii[0])
    history = jax.tree.map(lambda series, value: series.at[state.generation].set(value), state.history, now)
    return state._replace(stale=jnp.where(improved, 0, state.stale + 1),
                          best_mean=jnp.minimum(mean, state.best_mean), history=history)
