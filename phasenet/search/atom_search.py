"""The atom search of the product: from a Patterson map to atoms that explain it within its noise.

`pipeline.solve` calls `search_atoms` with the network's atoms as a start; random starts alone work too
(`launch.evaluate --task=phasing --stages=refine`). Each call of `step` takes one of these actions:

1. Draw starts, given ones before random ones, refine them from coarse to fine (`refinement`), and keep the best.
2. Relocate: move single atoms to better places (`relocation`) and refine; again until a round gains too little.
3. Perturb a search that is stuck: put some of its atoms at random places. After several perturbations without a gain
   the search restarts with action 1.
4. Test atoms whose misfit is small: refine them against the exact density and compare the rest with the noise
   (`certificate`). The search ends here, or after `SearchSettings.rounds`.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from phasenet.maps import point_atoms, reflections, synthesis
from phasenet.maps.atoms import draw_atoms
from phasenet.maps.point_atoms import PointModel
from phasenet.maps.synthesis import Problem
from phasenet.search import certificate, refinement, relocation
from phasenet.search.certificate import FitQuality
from phasenet.search.refinement import Atoms, Level, Observations

# What led to the atoms. "given", "random": refinement of a given start or of one of the first random starts. "repair":
# moves of single atoms after that refinement. "restart": a perturbation, or later random starts.
STAGES = ("none", "given", "random", "repair", "restart")
NONE, GIVEN, RANDOM, REPAIR, RESTART = range(len(STAGES))

# Largest |s| of the search's reflections, cycles per voxel. Finer ones cost time and hardly improve the search.
_MAX_RESOLUTION = 0.3
# Misfit of the right point atoms, which lack the aliases of the density. This misfit is seldom above the first value:
# atoms below it are tested at once. It never exceeds the second value, which is reached if all atoms lie alike in their
# voxels: atoms below it are tested when moves gain no more.
_USUAL_ALIAS_MISFIT, _MAX_ALIAS_MISFIT = 1e-3, 5e-2
# An atom is moved no closer to another one than this fraction of the problem's smallest distance.
_DISTANCE_FRACTION = 0.95
# Standard deviations that weight the exact refinement are at least this fraction of the root mean square intensity,
# because the derivatives of that refinement, those of point atoms, are no more accurate.
_WEIGHT_FLOOR = 0.05
_EXACT_STEPS = 6
# With noise and fewer reflections per coordinate than the first value, other atoms may fit as well. Then the first
# solution must be confirmed from independent starts, as many times as the second value says.
_FEW_REFLECTIONS_PER_COORDINATE, _CONFIRMATIONS_IF_FEW = 30, 2


class SearchSettings(NamedTuple):
    """How much is tried. All fields are static.

    Attributes:
      levels: resolutions (cycles per voxel) and steps of the coarse-to-fine refinement of starts.
      starts_per_level: number of starts that are refined at each level, the best of the level before; the first one is
        the number of starts that are drawn.
      moves_per_trial: number of moves that each trial of a round makes together.
      steps: refinement steps of a trial.
      min_relative_gain: a search is stuck after a round that reduces the misfit by less than this fraction.
      perturbed_fraction: fraction of the atoms that a perturbation puts at random places.
      max_perturbations: number of perturbations without a gain after which the search restarts.
      rounds: largest number of rounds; a relocation, a perturbation and a restart count as one round each.
      confirmations: number of further solutions, each from new starts, that must agree with the first one. If one
        differs, the result is ambiguous. With noise and few reflections at least 2 are required.
      batch_size: number of starts or trials that are refined at once; 1 suits the cache of a CPU, more fill a GPU.
    """

    levels: tuple[Level, ...] = refinement.COARSE_TO_FINE
    starts_per_level: tuple[int, ...] = (6, 4, 2, 1)
    moves_per_trial: tuple[int, ...] = (1, 2, 4, 8)
    steps: int = 10
    min_relative_gain: float = 0.01
    perturbed_fraction: float = 0.25
    max_perturbations: int = 6
    rounds: int = 200
    confirmations: int = 0
    batch_size: int = 1


class RefinedAtoms(NamedTuple):
    """Atoms after the exact refinement.

    Attributes:
      atoms: positions (n, 3), voxels, relative to their mean, in one of the two hands; and the scale of their
        intensities.
      standard_deviations: (n, 3) of the positions, voxels.
      quality: fit of the atoms to all measured reflections.
    """

    atoms: Atoms
    standard_deviations: jax.Array
    quality: FitQuality


class SearchResult(NamedTuple):
    """Result of the search for one map.

    Attributes:
      answer: the first atoms that passed the test; if none did, those with the smallest misfit.
      status: () index into `certificate.STATUSES`.
      other_positions: (n, 3) voxels, other atoms that passed the test too; NaN if there are none. Then the status is
        ambiguous only if the data do not determine every position.
      stage: () index into `STAGES`, what led to the answer.
      rounds: () number of rounds in all.
      restarts: () number of perturbations and restarts in all.
    """

    answer: RefinedAtoms
    status: jax.Array
    other_positions: jax.Array
    stage: jax.Array
    rounds: jax.Array
    restarts: jax.Array


class SearchState(NamedTuple):
    """State of a search between two steps. Misfits are those of point atoms, see `FitQuality.misfit`.

    Attributes:
      key: random key of what is drawn later.
      positions: (n, 3) the current atoms, voxels.
      misfit: () misfit of the current atoms.
      stuck: () bool, whether the last round gained too little.
      best_positions: (n, 3) the atoms from which a perturbation starts: the best since the last restart.
      best_misfit: () misfit of `best_positions`.
      perturbations: () number of perturbations since `best_positions` were found.
      tested_misfit: () misfit of the atoms tested last since the last perturbation or restart; infinite if none were.
      num_draws: () how many times starts were drawn.
      stage: () index into `STAGES`, what led to the current atoms.
      rounds: () as in `SearchResult`.
      restarts: () as in `SearchResult`.
      answer: as in `SearchResult`.
      answer_stage: () the stage of the answer.
      num_passed: () how many times atoms have passed the test.
      other_positions: as in `SearchResult`.
      ambiguous: () bool, whether two different sets of atoms passed.
    """

    key: jax.Array
    positions: jax.Array
    misfit: jax.Array
    stuck: jax.Array
    best_positions: jax.Array
    best_misfit: jax.Array
    perturbations: jax.Array
    tested_misfit: jax.Array
    num_draws: jax.Array
    stage: jax.Array
    rounds: jax.Array
    restarts: jax.Array
    answer: RefinedAtoms
    answer_stage: jax.Array
    num_passed: jax.Array
    other_positions: jax.Array
    ambiguous: jax.Array


class SearchProblem(NamedTuple):
    """What does not change during a search.

    Attributes:
      problem: what the atoms and the map are like.
      settings: how much is tried.
      model: reflections of the search.
      observations: intensities of the map at these reflections, weighted such that E (`refinement`) is the misfit.
      exact_model: reflections of the exact refinement and the test.
      exact_observations: intensities of the map at these reflections; `refine_and_assess` sets the weights.
      given_starts: (S, n, 3), voxels.
      noise: () standard deviation of an intensity, relative to its value.
    """

    problem: Problem
    settings: SearchSettings
    model: PointModel
    observations: Observations
    exact_model: PointModel
    exact_observations: Observations
    given_starts: jax.Array
    noise: jax.Array


def search_atoms(key: jax.Array, patterson_map: jax.Array, problem: Problem,
                 settings: SearchSettings = SearchSettings(), given_starts: jax.Array | None = None,
                 noise: jax.Array | float | None = None) -> SearchResult:
    """Searches for the atoms of a Patterson map.

    For several maps use `jax.lax.map`, because with `jax.vmap` every search lasts as long as the longest one.

    Args:
      key: random key of the starts and perturbations.
      patterson_map: (N, N, N), N = problem.grid, its origin at voxel 0, on the scale of the atoms.
      problem: static; problem.atoms.num_atoms atoms are searched for.
      settings: static.
      given_starts: (S, n, 3), voxels, tried in this order before random ones; a start with a NaN counts as absent.
      noise: () standard deviation of an intensity, relative to its value; by default problem.noise. If `noise` is
        given, only whether problem.noise (static) is 0 matters: it says whether there is noise.

    Returns:
      The result; its positions are (n, 3), voxels, n = problem.atoms.num_atoms.
    """
    search_problem = make_search_problem(patterson_map, problem, settings, given_starts, noise)

    few = len(search_problem.exact_model.flat_index) < _FEW_REFLECTIONS_PER_COORDINATE * 3 * problem.atoms.num_atoms
    confirmations = max(settings.confirmations, _CONFIRMATIONS_IF_FEW if problem.noise and few else 0)

    def cond_fun(state):
        done = (state.num_passed > confirmations) | state.ambiguous
        spent = state.rounds >= settings.rounds
        return ~done & ~(spent & jnp.isfinite(state.answer.quality.misfit))

    state = jax.lax.while_loop(cond_fun, lambda state: step(state, search_problem), init(key, search_problem))
    answer = state.answer
    vague = state.ambiguous | ~certificate.positions_determined(answer.standard_deviations, answer.quality)
    status = jnp.where(state.num_passed == 0, certificate.NOT_SOLVED,
                       jnp.where(vague, certificate.AMBIGUOUS, certificate.SOLVED))
    return SearchResult(answer, status, state.other_positions, state.answer_stage, state.rounds, state.restarts)


def make_search_problem(patterson_map: jax.Array, problem: Problem, settings: SearchSettings = SearchSettings(),
                        given_starts: jax.Array | None = None, noise: jax.Array | float | None = None) -> SearchProblem:
    """Returns the `SearchProblem` of a map; the arguments are those of `search_atoms`."""
    limit = math.inf if problem.h_max is None else problem.h_max / problem.grid
    shape = (problem.form_factor, problem.b_factor)
    # The cropped grid has fewer reflections, which hold the same information about the atoms.
    small = synthesis.crop_to_patterson(problem._replace(noise=0.0))
    model = point_atoms.make_point_model(small.grid, min(_MAX_RESOLUTION, limit), *shape)
    exact = model
    if problem.noise:
        # On the whole grid the noise of each reflection is independent, so all reflections count in the test. On the
        # cropped grid the noise of neighbouring reflections is correlated.
        exact = point_atoms.make_point_model(problem.grid, min(0.5, limit), *shape)
    observed, exact_observed = (reflections.observed_intensities(patterson_map, which) for which in (model, exact))
    # With these weights E is the misfit.
    observations = Observations(observed, jnp.full(len(observed), jax.lax.rsqrt(jnp.square(observed).sum())))
    if given_starts is None:
        given_starts = jnp.zeros((0, problem.atoms.num_atoms, 3))
    return SearchProblem(problem, settings, model, observations, exact,
                         Observations(exact_observed, jnp.ones_like(exact_observed)), given_starts,
                         jnp.asarray(problem.noise if noise is None else noise, jnp.float32))


def init(key: jax.Array, search_problem: SearchProblem) -> SearchState:
    """Returns the state of a search before its first starts are drawn."""
    zero, infinite, false = jnp.int32(0), jnp.float32(jnp.inf), jnp.array(False)
    nowhere = jnp.zeros((search_problem.problem.atoms.num_atoms, 3))
    nothing = RefinedAtoms(refinement.atoms_at(nowhere), nowhere, FitQuality(infinite, infinite, infinite, infinite))
    return SearchState(
        key=key, positions=nowhere, misfit=infinite, stuck=~false, best_positions=nowhere, best_misfit=infinite,
        perturbations=jnp.int32(search_problem.settings.max_perturbations), tested_misfit=infinite, num_draws=zero,
        stage=zero, rounds=zero, restarts=jnp.int32(-1), answer=nothing, answer_stage=zero, num_passed=zero,
        other_positions=jnp.full_like(nowhere, jnp.nan), ambiguous=false)


def step(state: SearchState, search_problem: SearchProblem) -> SearchState:
    """Returns the state after one action: a test, a relocation, a perturbation or a restart (see the module)."""
    limit = jnp.where(state.stuck, _MAX_ALIAS_MISFIT, _USUAL_ALIAS_MISFIT) + 1.5 * jnp.square(search_problem.noise)
    promising = (state.misfit < limit) & (state.misfit < 0.99 * state.tested_misfit)
    # At the end of the rounds the current atoms are tested in any case, so that there is an answer.
    spent = (state.rounds >= search_problem.settings.rounds) & (state.num_draws > 0)
    restarts = state.perturbations >= search_problem.settings.max_perturbations
    restarts &= ~(state.misfit < state.best_misfit)
    action = jnp.where(promising | spent, 0, jnp.where(~state.stuck, 1, jnp.where(restarts, 3, 2)))
    return jax.lax.switch(action, [lambda s: _test_state(s, search_problem), lambda s: _relocate(s, search_problem),
                                   lambda s: _perturb(s, search_problem), lambda s: _draw_starts(s, search_problem)],
                          state)


def _relocate(state: SearchState, search_problem: SearchProblem) -> SearchState:
    """Returns the state after a round of moves: the best of the trials, if it is better than the current atoms."""
    model, observations, settings = search_problem.model, search_problem.observations, search_problem.settings
    distance = _DISTANCE_FRACTION * search_problem.problem.atoms.min_distance
    moves = relocation.find_moves(state.positions, observations, model, distance)
    moves_per_trial = tuple(count for count in settings.moves_per_trial if count <= len(state.positions))
    trials = relocation.apply_moves(state.positions, moves, model.grid, moves_per_trial, distance)

    def refine_trial(trial):
        atoms, normal = refinement.refine(refinement.atoms_at(trial), observations, model, settings.steps)
        return atoms.positions, normal.cost

    positions, misfits = _refine_all(refine_trial, trials, settings.batch_size)
    best = misfits.argmin()
    better = misfits[best] < state.misfit
    return state._replace(
        positions=jnp.where(better, positions[best], state.positions), misfit=jnp.minimum(misfits[best], state.misfit),
        stuck=~(misfits[best] < (1 - settings.min_relative_gain) * state.misfit),
        stage=jnp.where(better, jnp.maximum(state.stage, REPAIR), state.stage), rounds=state.rounds + 1)


def _perturb(state: SearchState, search_problem: SearchProblem) -> SearchState:
    """Returns the state with the best atoms since the last restart, some of them put at random places among them."""
    key, key_which, key_where = jax.random.split(state.key, 3)
    better = state.misfit < state.best_misfit
    best = jnp.where(better, state.positions, state.best_positions)
    count = max(1, round(search_problem.settings.perturbed_fraction * len(best)))
    which = jax.random.permutation(key_which, len(best))[:count]
    places = jax.random.uniform(key_where, (count, 3), minval=best.min(0), maxval=best.max(0))
    return state._replace(
        key=key, positions=best.at[which].set(places), misfit=jnp.float32(jnp.inf), stuck=jnp.array(False),
        best_positions=best, best_misfit=jnp.minimum(state.misfit, state.best_misfit),
        perturbations=jnp.where(better, 1, state.perturbations + 1), tested_misfit=jnp.float32(jnp.inf),
        stage=jnp.int32(RESTART), rounds=state.rounds + 1, restarts=state.restarts + 1)


def _draw_starts(state: SearchState, search_problem: SearchProblem) -> SearchState:
    """Returns the state with the best of new starts, refined from coarse to fine; given starts precede random ones."""
    key, key_starts = jax.random.split(state.key)
    model, observations, settings = search_problem.model, search_problem.observations, search_problem.settings
    levels = refinement.levels_up_to(settings.levels, float(model.radius[-1]))
    num_starts = settings.starts_per_level[0]
    # Refinement moves the starts anyway, so they need not lie within the box; but no two atoms may overlap.
    rules = search_problem.problem.atoms._replace(stay_inside=False, corner_rule="any")
    positions = jax.vmap(lambda key: draw_atoms(key, rules)[0])(jax.random.split(key_starts, num_starts))
    is_given = jnp.zeros(len(positions), bool)
    starts = search_problem.given_starts
    num_chunks = -(-len(starts) // num_starts)
    if num_chunks:
        padded = jnp.pad(starts, ((0, num_chunks * num_starts - len(starts)), (0, 0), (0, 0)), constant_values=jnp.nan)
        first = jnp.minimum(state.num_draws, num_chunks - 1) * num_starts
        chunk = jax.lax.dynamic_slice_in_dim(padded, first, num_starts)
        is_given = jnp.isfinite(chunk).all((1, 2)) & (state.num_draws < num_chunks)
        positions = jnp.where(is_given[:, None, None], chunk, positions)
    misfits = jnp.zeros(len(positions))
    for level, count in zip(levels, settings.starts_per_level, strict=False):
        misfits, chosen = jax.lax.top_k(-misfits, min(count, len(misfits)))
        is_given = is_given[chosen]
        refine_start = functools.partial(refinement.refine_level, observations=observations, model=model, level=level)
        positions, misfits = _refine_all(refine_start, positions[chosen], settings.batch_size)
    best = misfits.argmin()
    stage = jnp.where(is_given[best], GIVEN, jnp.where(state.num_draws <= num_chunks, RANDOM, RESTART))
    return state._replace(
        key=key, positions=positions[best], misfit=misfits[best], stuck=jnp.array(False),
        best_positions=positions[best], best_misfit=jnp.float32(jnp.inf), perturbations=jnp.int32(0),
        tested_misfit=jnp.float32(jnp.inf), num_draws=state.num_draws + 1, stage=stage.astype(jnp.int32),
        rounds=state.rounds + (state.num_draws > 0), restarts=state.restarts + 1)


def _refine_all(refine: Callable[[jax.Array], tuple[jax.Array, jax.Array]], positions: jax.Array,
                batch_size: int) -> tuple[jax.Array, jax.Array]:
    """Returns sets of atoms (S, n, 3) refined, and their misfits (S,), infinite where a refinement broke down."""
    positions, misfits = jax.lax.map(refine, positions, **({"batch_size": batch_size} if batch_size > 1 else {}))
    return positions, jnp.where(jnp.isfinite(misfits), misfits, jnp.inf)


def _test_state(state: SearchState, search_problem: SearchProblem) -> SearchState:
    """Returns the state after the test of its atoms; if they pass, the next action is a restart."""
    new, old = refine_and_assess(state.positions, search_problem), state.answer
    passes = certificate.fits_within_noise(new.quality, len(search_problem.exact_model.flat_index))
    first = passes & (state.num_passed == 0)
    better = first | ((state.num_passed == 0) & ~(new.quality.misfit >= old.quality.misfit))
    distinct = passes & (state.num_passed > 0) & certificate.are_distinct(new.atoms.positions, old.atoms.positions)
    return state._replace(
        answer=jax.tree.map(lambda a, b: jnp.where(better, a, b), new, old),
        answer_stage=jnp.where(better, state.stage, state.answer_stage), num_passed=state.num_passed + passes,
        ambiguous=state.ambiguous | distinct,
        other_positions=jnp.where(distinct, new.atoms.positions, state.other_positions), tested_misfit=state.misfit,
        # These three make the next step a restart, because only new starts confirm a solution.
        stuck=state.stuck | passes,
        perturbations=jnp.where(passes, search_problem.settings.max_perturbations, state.perturbations),
        best_misfit=jnp.where(passes, -jnp.inf, state.best_misfit))


def refine_and_assess(positions: jax.Array, search_problem: SearchProblem) -> RefinedAtoms:
    """Returns atoms (n, 3), voxels, refined against the exact density, and how well they then fit."""
    model, observations = search_problem.exact_model, search_problem.exact_observations
    noise = search_problem.noise
    start = refinement.atoms_at(point_atoms.unwrap(positions, search_problem.model.grid))
    real, imaginary = point_atoms.atom_structure_factors(start.positions, model)
    sigma = certificate.intensity_standard_deviations(real.sum(0) ** 2 + imaginary.sum(0) ** 2, noise, _WEIGHT_FLOOR)
    weights = jnp.where(noise > 0, 1 / sigma, 1.0)
    weights = weights * jax.lax.rsqrt(jnp.square(weights * observations.intensities).sum())
    observations = observations._replace(weights=weights)
    atoms, _ = refinement.refine_exact(start, observations, model, search_problem.problem, _EXACT_STEPS)
    atoms = atoms._replace(positions=atoms.positions - atoms.positions.mean(0))
    calculated = refinement.exact_intensities(atoms, search_problem.problem, model)
    quality = certificate.assess_fit(calculated, observations.intensities, noise)
    # The search ends only if the misfit of its answer is finite.
    quality = quality._replace(misfit=jnp.nan_to_num(quality.misfit, nan=1e30, posinf=1e30))
    # A chi^2 above 1 shows that the errors are larger than the noise that was allowed for.
    sigma = certificate.intensity_standard_deviations(calculated, noise)
    sigma = sigma * jnp.sqrt(jnp.maximum(quality.chi_squared, 1.0))
    return RefinedAtoms(atoms, refinement.position_standard_deviations(atoms, observations, model, sigma), quality)
