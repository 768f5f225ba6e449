"""Searches latent codes and radii by a genetic algorithm (section 2.3 of the paper, iScience 23, 100906, 2020).

A gene is a latent code of K numbers and a radius r_max (`saxsae.shapes.voxels`). `draw_first_generation` and `evolve`
treat one population; `saxsae.genetic_search` vmaps both over independent runs and gives the score function. If
`CodePrior.bank` is empty, the search is that of the paper. A generation is bred in four steps:

1. Tournaments of two select the parents (`select_parents`).
2. Neighbouring parents exchange segments of their codes (`cross_over`).
3. Latent numbers and radii are redrawn at random (`mutate`, `mutate_radii`).
4. The children are scored; with the elites, which stay unchanged, they are the next generation.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


class EvolutionSettings(NamedTuple):
    """The sizes and rates of the algorithm; the defaults are those of the paper and its public code, where stated.

    Attributes:
      population: number of genes in each generation (static).
      elites: number of best genes that stay unchanged (static).
      generations: largest number of generations, the first included (static: it is the length of the history).
      tournament_win: probability that the fitter of two genes is selected.
      crossing: probability that a pair of codes exchanges two segments.
      mutation: probability that a latent number is redrawn.
      radius_mutation: probability that a radius is redrawn.
      radius_spread: standard deviation of a radius redrawn near the elites, relative to their mean radius.
      stop_chi_squared: a run ends when the mean chi^2 of the elites is at most this value.
      patience: a run ends after this number of generations without progress.
      progress: smallest relative fall of the elites' mean chi^2, below the lowest so far, that counts as progress.
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
    """The distribution that genes are drawn from.

    Attributes:
      quantiles: (Q, K) quantiles of each latent number over the training maps, at Q probabilities equally spaced from
        0 to 1. Mutations are drawn from them.
      bank: (M, K) codes of training maps, from which the first generation is drawn. With M = 0 each number of the
        first generation is drawn from `quantiles`, as in the paper.
      radius_low: () smallest r_max in Angstrom.
      radius_high: () largest r_max in Angstrom.
    """

    quantiles: jax.Array
    bank: jax.Array
    radius_low: jax.Array
    radius_high: jax.Array


# A jax.Array while a run is traced; a np.ndarray in its results.
RunArray = Any


class GenerationRecord(NamedTuple):
    """The summary of one generation. The fields are scalars (); in a history, they have an axis of generations.

    Attributes:
      best: chi^2 of the best gene.
      elites: mean chi^2 of the elites.
      median: median chi^2 of the population.
      radius: r_max of the best gene in Angstrom.
    """

    best: RunArray
    elites: RunArray
    median: RunArray
    radius: RunArray


class EvolutionState(NamedTuple):
    """The state of one run: a population of P genes, sorted by chi^2, the best first.

    Attributes:
      latents: (P, K) codes.
      radii: (P,) r_max in Angstrom.
      chi_squared: (P,) chi^2.
      generation: () int, number of generations since the first.
      stale_generations: () int, number of generations since the last progress.
      best_mean: () lowest mean chi^2 of the elites so far.
      history: the `GenerationRecord` of all generations so far, each field (EvolutionSettings.generations,); NaN for
        generations to come.
    """

    latents: RunArray
    radii: RunArray
    chi_squared: RunArray
    generation: RunArray
    stale_generations: RunArray
    best_mean: RunArray
    history: GenerationRecord


# (latents (P, K), radii (P,)) -> (chi_squared (P,), radii (P,)). A score function may try several radii near each given
# one, and returns the best of them.
ScoreFunction = Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


def score_in_chunks(score: ScoreFunction, parts: int) -> ScoreFunction:
    """Returns a score function that scores a population in chunks, one after another.

    This saves time on a CPU in two ways. First, a chunk stays in the processor's cache. Second, the radii are the input
    of a loop, so the compiler stores them; without the loop it would recompute each mutated radius for every number of
    its profile, which takes a quarter of the time of a generation.

    Args:
      score: the function to call for each chunk.
      parts: number of chunks. If it does not divide the population size, the greatest common divisor of the two is
        used instead.
    """
    def score_all(latents, radii):
        count = len(radii)
        shape = math.gcd(count, parts), -1
        genes = (a.reshape(*shape, *a.shape[1:]) for a in (latents, radii))
        return tuple(a.reshape(count) for a in jax.lax.map(lambda part: score(*part), tuple(genes)))

    return score_all


def draw_latents(key: jax.Array, prior: CodePrior, shape: tuple[int, ...]) -> jax.Array:
    """Returns codes (*shape, K), each number drawn independently from its distribution over the training maps.

    Args:
      key: random key.
      prior: its `quantiles` are interpolated linearly.
      shape: shape of the result without its last axis.
    """
    size = prior.quantiles.shape[-1]
    position = jax.random.uniform(key, (*shape, size)) * (prior.quantiles.shape[0] - 1)
    below = position.astype(jnp.int32)
    column = jnp.arange(size)
    low, high = prior.quantiles[below, column], prior.quantiles[below + 1, column]
    return low + (position - below) * (high - low)


def draw_first_generation(key: jax.Array, prior: CodePrior, score: ScoreFunction,
                          settings: EvolutionSettings) -> EvolutionState:
    """Returns the first generation, scored.

    Args:
      key: random key.
      prior: source of the codes (the bank or, if that is empty, the quantiles) and bounds of the uniform radii.
      score: score function.
      settings: `population`, `elites`, `generations` and `progress` are used (static).
    """
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
    state = EvolutionState(*_sort_by_chi_squared(latents, radii, chi_squared), jnp.int32(0), jnp.int32(0),
                           jnp.float32(jnp.inf), GenerationRecord(empty, empty, empty, empty))
    return _record_generation(state, settings)


def select_parents(key: jax.Array, chi_squared: jax.Array, count: int, win: float) -> jax.Array:
    """Returns indices (count,) of parents, chosen by tournaments of two.

    Args:
      key: random key.
      chi_squared: (P,) of the population.
      count: number of parents, with repetitions.
      win: probability that the gene of lower chi^2 wins.
    """
    key_pair, key_win = jax.random.split(key)
    pair = jax.random.randint(key_pair, (2, count), 0, chi_squared.shape[0])
    fitter_first = chi_squared[pair[0]] <= chi_squared[pair[1]]
    keep_order = fitter_first == (jax.random.uniform(key_win, (count,)) < win)
    return jnp.where(keep_order, pair[0], pair[1])


def cross_over(key: jax.Array, latents: jax.Array, probability: float) -> jax.Array:
    """Returns codes (C, K) of which neighbouring rows have exchanged two random segments of numbers.

    Args:
      key: random key.
      latents: (C, K), C even; rows 2i and 2i + 1 are a pair.
      probability: probability that a pair exchanges its segments.
    """
    count, size = latents.shape
    key_cut, key_do = jax.random.split(key)
    cuts = jnp.sort(jax.random.randint(key_cut, (count // 2, 4), 0, size + 1), axis=-1)
    index = jnp.arange(size)
    exchanged = ((index >= cuts[:, :1]) & (index < cuts[:, 1:2])) | ((index >= cuts[:, 2:3]) & (index < cuts[:, 3:]))
    exchanged &= jax.random.uniform(key_do, (count // 2, 1)) < probability
    pairs = latents.reshape(-1, 2, size)
    return jnp.where(exchanged[:, None], pairs[:, ::-1], pairs).reshape(count, size)


def mutate(key: jax.Array, latents: jax.Array, prior: CodePrior, probability: float) -> jax.Array:
    """Returns codes (C, K) in which each number is redrawn from its distribution with the given probability."""
    key_where, key_value = jax.random.split(key)
    redrawn = jax.random.uniform(key_where, latents.shape) < probability
    return jnp.where(redrawn, draw_latents(key_value, prior, latents.shape[:1]), latents)


def mutate_radii(key: jax.Array, radii: jax.Array, elite_radius: jax.Array, prior: CodePrior,
                 settings: EvolutionSettings) -> jax.Array:
    """Returns radii (C,) in Angstrom of which some are redrawn, always within the bounds of the prior.

    Args:
      key: random key.
      radii: (C,) r_max in Angstrom.
      elite_radius: () mean r_max of the elites in Angstrom.
      prior: its bounds are used. A redrawn radius is, with probability 1/2, uniform between the bounds.
      settings: `radius_mutation` is the probability that a radius is redrawn. A redrawn radius that is not uniform is
        normal about `elite_radius`, with the relative standard deviation `radius_spread`.
    """
    key_where, key_kind, key_wide, key_near = jax.random.split(key, 4)
    wide = jax.random.uniform(key_wide, radii.shape, minval=prior.radius_low, maxval=prior.radius_high)
    near = elite_radius * (1 + settings.radius_spread * jax.random.normal(key_near, radii.shape))
    redrawn = jnp.where(jax.random.bernoulli(key_kind, 0.5, radii.shape), wide, near)
    radii = jnp.where(jax.random.uniform(key_where, radii.shape) < settings.radius_mutation, redrawn, radii)
    return jnp.clip(radii, prior.radius_low, prior.radius_high)


def breed_next_generation(key: jax.Array, state: EvolutionState, prior: CodePrior, score: ScoreFunction,
                          settings: EvolutionSettings) -> EvolutionState:
    """Returns the next generation: the elites, and children in place of all other genes."""
    key_select, key_cross, key_mutate, key_radius = jax.random.split(key, 4)
    elites = settings.elites
    children = settings.population - elites
    parents = select_parents(key_select, state.chi_squared, children + children % 2, settings.tournament_win)
    latents = cross_over(key_cross, state.latents[parents], settings.crossing)[:children]
    latents = mutate(key_mutate, latents, prior, settings.mutation)
    radii = mutate_radii(key_radius, state.radii[parents][:children], state.radii[:elites].mean(), prior, settings)
    chi_squared, radii = score(latents, radii)

    def append_to_elites(old, new):
        return jnp.concatenate([old[:elites], new])

    population = _sort_by_chi_squared(append_to_elites(state.latents, latents), append_to_elites(state.radii, radii),
                                      append_to_elites(state.chi_squared, chi_squared))
    state = state._replace(latents=population[0], radii=population[1], chi_squared=population[2],
                           generation=state.generation + 1)
    return _record_generation(state, settings)


def is_running(state: EvolutionState, settings: EvolutionSettings) -> Any:
    """Returns whether a run continues: its chi^2 is still too high, it makes progress, and it has generations left.

    Args:
      state: the state of one run, traced; or of several runs, as NumPy arrays with leading axes of runs.
      settings: `generations`, `patience` and `stop_chi_squared` are used.

    Returns:
      Booleans () or, for NumPy arrays, with the leading axes.
    """
    return ((state.generation < settings.generations - 1) & (state.stale_generations < settings.patience)
            & (state.best_mean > settings.stop_chi_squared))


def evolve(key: jax.Array, state: EvolutionState, until: ArrayLike, prior: CodePrior, score: ScoreFunction,
           settings: EvolutionSettings) -> EvolutionState:
    """Returns the state after generation `until`, or at the end of the run if that comes first.

    A run can be stopped and continued with the same result, because the random numbers of a generation depend only on
    the key and the number of the generation.

    Args:
      key: random key of the run, the same at each call.
      state: from `draw_first_generation` or an earlier call.
      until: () int, generation to stop at (traced).
      prior: source of mutations.
      score: score function.
      settings: settings of the algorithm (static).
    """
    def cond_fun(state):
        return is_running(state, settings) & (state.generation < until)

    def body_fun(state):
        return breed_next_generation(jax.random.fold_in(key, state.generation), state, prior, score, settings)

    return jax.lax.while_loop(cond_fun, body_fun, state)


def _sort_by_chi_squared(latents: jax.Array, radii: jax.Array,
                         chi_squared: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns the three arrays of a population, sorted by ascending chi^2."""
    order = jnp.argsort(chi_squared)
    return latents[order], radii[order], chi_squared[order]


def _record_generation(state: EvolutionState, settings: EvolutionSettings) -> EvolutionState:
    """Returns the state after its generation is entered in `history`, `stale_generations` and `best_mean`."""
    mean = state.chi_squared[: settings.elites].mean()
    improved = mean < (1 - settings.progress) * state.best_mean
    now = GenerationRecord(state.chi_squared[0], mean, jnp.median(state.chi_squared), state.radii[0])
    history = jax.tree.map(lambda series, value: series.at[state.generation].set(value), state.history, now)
    return state._replace(stale_generations=jnp.where(improved, 0, state.stale_generations + 1),
                          best_mean=jnp.minimum(mean, state.best_mean), history=history)
