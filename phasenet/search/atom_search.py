"""A Patterson map to atoms without a network: starts refined coarse to fine, wrong atoms moved, until it is certain.

One walk a map: the best of some starts is taken to full resolution; then come rounds of relocation (`relocation`) and
refinement, each kept only if it pays. What ends in the wrong valley is kicked, at last given up for new starts. An
answer counts when the exact refinement leaves nothing but noise (`certificate`).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from phasenet.maps import point_atoms, reflections, synthesis
from phasenet.maps.atoms import random_atoms
from phasenet.maps.point_atoms import PointModel
from phasenet.maps.synthesis import Problem
from phasenet.search import certificate, refinement, relocation
from phasenet.search.certificate import FitQuality
from phasenet.search.refinement import Atoms, Level, Observations

# What found the answer: starts from elsewhere or the first random ones, as they were refined; moves of their wrong
# atoms; the same after a kick or with other random starts.
STAGES = ("none", "given", "random", "repair", "restart")
NONE, GIVEN, RANDOM, REPAIR, RESTART = range(len(STAGES))

# |s| of the point atoms' reflections, cycles a voxel; finer ones cost more than they tell.
_FINEST = 0.3
# Misfit that the missing aliases cause: seldom more than the first, which is tried with voxels at once; at most the
# second (atoms that all lie alike in their voxels), which is tried where moves gain no more.
_ALIASES, _MOST_ALIASES = 1e-3, 5e-2
# Share of the smallest distance that atoms keep from a place where another is put.
_ROOM = 0.95
# Floor of the standard deviations in the last refinement: below it the point atoms' slopes are wrong.
_SLOPE_FLOOR = 0.05
_EXACT_STEPS = 6
# Noisy reflections for each coordinate below which other atoms may fit as well: then answers are confirmed so often.
_FEW_REFLECTIONS, _CONFIRMATIONS = 30, 2


class SearchSettings(NamedTuple):
    """All static.

    Attributes:
      levels: of the refinement of starts.
      starts_per_level: starts that are refined at each level, the best of the one before; the best of the last begins the walk.
      moves_per_trial: moves made together in each of a round's trials.
      steps: of the refinement of a trial.
      min_relative_gain: least gain of a round, relative, below which the walk is stuck.
      perturbed_fraction: share of the atoms that are put somewhere else where it is stuck.
      max_perturbations: so often without a better end before new starts are drawn.
      rounds: of relocation, in all; a kick and new starts count as one.
      confirmations: how many more answers, each from new starts, must agree with the first; where one that fits as
        well differs, the answer is ambiguous. With few and noisy reflections two at least.
      batch_size: starts or trials refined at once; 1 fits a CPU's cache, more fill a GPU.
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
      atoms: positions (n, 3) voxels about their mean, in one hand, and the scale of their intensities.
      deviations: (n, 3) standard deviations of the positions, voxels.
      quality: of their fit to all reflections.
    """

    atoms: Atoms
    deviations: jax.Array
    quality: FitQuality


class SearchResult(NamedTuple):
    """What was found for one map.

    Attributes:
      answer: the best there is, where it is not solved.
      status: () index into certificate.STATUSES.
      other: (n, 3) a different set that fits as well, where ambiguous; NaN where none was met, and ambiguous are only
        the places of some atoms, by their deviations.
      stage: () index into STAGES: what found the answer.
      rounds, restarts: () of relocation, and kicks and new starts, until it was found or given up.
    """

    answer: RefinedAtoms
    status: jax.Array
    other: jax.Array
    stage: jax.Array
    rounds: jax.Array
    restarts: jax.Array


class SearchState(NamedTuple):
    """One search on its way. Costs are E relative to the sum of the squared intensities.

    Attributes:
      key: of what is yet to be drawn.
      positions, cost: (n, 3), () where it is.
      stuck: () whether the last round gained too little.
      best, best_cost: where it returns to for a kick.
      perturbations: () since that was found.
      tried: () cost at which the exact refinement was last tried in vain.
      drawn: () how many times starts were drawn.
      stage, rounds, restarts: () as in `SearchResult`.
      answer, answer_stage: the best after exact refinement, and the stage in which it was found.
      passed: () how many answers passed.
      other: as in `SearchResult`.
      ambiguous: () whether there is one.
    """

    key: jax.Array
    positions: jax.Array
    cost: jax.Array
    stuck: jax.Array
    best: jax.Array
    best_cost: jax.Array
    perturbations: jax.Array
    tried: jax.Array
    drawn: jax.Array
    stage: jax.Array
    rounds: jax.Array
    restarts: jax.Array
    answer: RefinedAtoms
    answer_stage: jax.Array
    passed: jax.Array
    other: jax.Array
    ambiguous: jax.Array


class SearchProblem(NamedTuple):
    """What stays as it is during a walk: point model and data of the search, those of the exact refinement.

    given: (S, n, 3) starts from elsewhere; noise: () of an intensity relative to itself.
    """

    problem: Problem
    settings: SearchSettings
    model: PointModel
    data: Observations
    exact_model: PointModel
    exact_data: Observations
    given: jax.Array
    noise: jax.Array


def search_atoms(key: jax.Array, patterson_map: jax.Array, problem: Problem, settings: SearchSettings = SearchSettings(),
           given: jax.Array | None = None, noise: jax.Array | float | None = None) -> SearchResult:
    """A Patterson map to atoms; `jax.lax.map` over maps, for each ends in its own time.

    Args:
      key: of the random starts and kicks.
      patterson_map: (N, N, N), N = problem.grid, origin at voxel 0, on the atoms' scale.
      problem: problem.atoms.num_atoms atoms are sought.
      given: (S, n, 3) starts from elsewhere, tried before random ones, the first first; one with a NaN is absent.
      noise: standard deviation of an intensity relative to itself, where it is not the problem's; that of the problem
        still says whether there is any.
    """
    case = make_problem(patterson_map, problem, settings, given, noise)

    few = len(case.exact_model.index) < _FEW_REFLECTIONS * 3 * problem.atoms.num_atoms
    confirmations = max(settings.confirmations, _CONFIRMATIONS if problem.noise and few else 0)

    def cond_fun(walk):
        done = (walk.passed > confirmations) | walk.ambiguous
        spent = walk.rounds >= settings.rounds
        return ~done & ~(spent & jnp.isfinite(walk.answer.quality.misfit))

    walk = jax.lax.while_loop(cond_fun, lambda walk: step(walk, case), init(key, case))
    vague = walk.ambiguous | ~certificate.positions_determined(walk.answer.deviations, walk.answer.quality)
    status = jnp.where(walk.passed == 0, certificate.NOT_SOLVED,
                       jnp.where(vague, certificate.AMBIGUOUS, certificate.SOLVED))
    return SearchResult(walk.answer, status, walk.other, walk.answer_stage, walk.rounds, walk.restarts)


def make_problem(patterson_map: jax.Array, problem: Problem, settings: SearchSettings = SearchSettings(),
              given: jax.Array | None = None, noise: jax.Array | float | None = None) -> SearchProblem:
    """Arguments as of `search_atoms`."""
    limit = math.inf if problem.h_max is None else problem.h_max / problem.grid
    shape = (problem.form_factor, problem.b_factor)
    # Fewer reflections, which tell the same.
    small = synthesis.crop_to_patterson(problem._replace(noise=0.0))
    model = point_atoms.point_model(small.grid, min(_FINEST, limit), *shape)
    exact = model
    if problem.noise:
        # Every reflection counts, and those of the smaller grid are not independent.
        exact = point_atoms.point_model(problem.grid, min(0.5, limit), *shape)
    observed, exact_observed = (reflections.observed_intensities(patterson_map, which) for which in (model, exact))
    # With these weights E is the misfit.
    data = Observations(observed, jnp.full(len(observed), jax.lax.rsqrt(jnp.square(observed).sum())))
    if given is None:
        given = jnp.zeros((0, problem.atoms.num_atoms, 3))
    return SearchProblem(problem, settings, model, data, exact, Observations(exact_observed, jnp.ones_like(exact_observed)), given,
                jnp.asarray(problem.noise if noise is None else noise, jnp.float32))


def init(key: jax.Array, case: SearchProblem) -> SearchState:
    """A walk that has yet to draw its first starts."""
    zero, far, false = jnp.int32(0), jnp.float32(jnp.inf), jnp.array(False)
    nowhere = jnp.zeros((case.problem.atoms.num_atoms, 3))
    nothing = RefinedAtoms(refinement.atoms_at(nowhere), nowhere, FitQuality(far, far, far, far))
    return SearchState(key, nowhere, far, ~false, nowhere, far, jnp.int32(case.settings.max_perturbations), far, zero, zero, zero,
                jnp.int32(-1), nothing, zero, zero, jnp.full_like(nowhere, jnp.nan), false)


def step(walk: SearchState, case: SearchProblem) -> SearchState:
    """One thing: the exact refinement of what may be right, a kick or new starts if stuck, or else a round of moves."""
    limit = jnp.where(walk.stuck, _MOST_ALIASES, _ALIASES) + 1.5 * jnp.square(case.noise)
    promising = (walk.cost < limit) & (walk.cost < 0.99 * walk.tried)
    spent = (walk.rounds >= case.settings.rounds) & (walk.drawn > 0)  # and nothing was promising
    leaves = walk.perturbations >= case.settings.max_perturbations
    leaves &= ~(walk.cost < walk.best_cost)
    what = jnp.where(promising | spent, 0, jnp.where(~walk.stuck, 1, jnp.where(leaves, 3, 2)))
    return jax.lax.switch(what, [lambda w: _refine_and_test(w, case), lambda w: _relocate(w, case),
                                 lambda w: _perturb(w, case), lambda w: _draw_starts(w, case)], walk)


def _relocate(walk: SearchState, case: SearchProblem) -> SearchState:
    """A round of relocation: some trials, the best of them if it is better."""
    distance = _ROOM * case.problem.atoms.min_distance
    moves = relocation.find_moves(walk.positions, case.data, case.model, distance)
    moves_per_trial = tuple(count for count in case.settings.moves_per_trial if count <= len(walk.positions))
    trials = relocation.apply_moves(walk.positions, moves, case.model.grid, moves_per_trial, distance)

    def refined(trial):
        atoms, normal = refinement.refine(refinement.atoms_at(trial), case.data, case.model, case.settings.steps)
        return atoms.positions, normal.cost

    positions, costs = _each(refined, trials, case)
    best = costs.argmin()
    better = costs[best] < walk.cost
    return walk._replace(
        positions=jnp.where(better, positions[best], walk.positions), cost=jnp.minimum(costs[best], walk.cost),
        stuck=~(costs[best] < (1 - case.settings.min_relative_gain) * walk.cost),
        stage=jnp.where(better, jnp.maximum(walk.stage, REPAIR), walk.stage), rounds=walk.rounds + 1)


def _perturb(walk: SearchState, case: SearchProblem) -> SearchState:
    """The best end since the last new starts, a share of its atoms put anywhere between the others."""
    key, key_which, key_where = jax.random.split(walk.key, 3)
    better = walk.cost < walk.best_cost
    best = jnp.where(better, walk.positions, walk.best)
    count = max(1, round(case.settings.perturbed_fraction * len(best)))
    which = jax.random.permutation(key_which, len(best))[:count]
    places = jax.random.uniform(key_where, (count, 3), minval=best.min(0), maxval=best.max(0))
    return walk._replace(
        key=key, positions=best.at[which].set(places), cost=jnp.float32(jnp.inf), stuck=jnp.array(False), best=best,
        best_cost=jnp.minimum(walk.cost, walk.best_cost), perturbations=jnp.where(better, 1, walk.perturbations + 1),
        tried=jnp.float32(jnp.inf), stage=jnp.int32(RESTART), rounds=walk.rounds + 1, restarts=walk.restarts + 1)


def _draw_starts(walk: SearchState, case: SearchProblem) -> SearchState:
    """New starts, given ones as long as there are any, then random ones; the best of them to full resolution."""
    key, key_starts = jax.random.split(walk.key)
    levels = refinement.levels_up_to(case.settings.levels, float(case.model.radius[-1]))
    starts_per_level = case.settings.starts_per_level
    # Where the starts lie matters little; that none clash does.
    rules = case.problem.atoms._replace(stay_inside=False, corner_rule="any")
    positions = jax.vmap(lambda key: random_atoms(key, rules)[0])(jax.random.split(key_starts, starts_per_level[0]))
    given = jnp.zeros(len(positions), bool)
    share = -(-len(case.given) // starts_per_level[0])
    if share:
        padded = jnp.pad(case.given, ((0, share * starts_per_level[0] - len(case.given)), (0, 0), (0, 0)), constant_values=jnp.nan)
        low = jnp.minimum(walk.drawn, share - 1) * starts_per_level[0]
        chunk = jax.lax.dynamic_slice_in_dim(padded, low, starts_per_level[0])
        given = jnp.isfinite(chunk).all((1, 2)) & (walk.drawn < share)
        positions = jnp.where(given[:, None, None], chunk, positions)
    costs = jnp.zeros(len(positions))
    for level, count in zip(levels, starts_per_level, strict=False):
        costs, chosen = jax.lax.top_k(-costs, min(count, len(costs)))
        given = given[chosen]
        positions, costs = _each(lambda start, level=level: refinement.refine_level(start, case.data, case.model,
                                                                                   level), positions[chosen], case)
    best = costs.argmin()
    stage = jnp.where(given[best], GIVEN, jnp.where(walk.drawn <= share, RANDOM, RESTART))
    return walk._replace(
        key=key, positions=positions[best], cost=costs[best], stuck=jnp.array(False), best=positions[best],
        best_cost=jnp.float32(jnp.inf), perturbations=jnp.int32(0), tried=jnp.float32(jnp.inf), drawn=walk.drawn + 1,
        stage=stage.astype(jnp.int32), rounds=walk.rounds + (walk.drawn > 0), restarts=walk.restarts + 1)


def _each(refined, positions: jax.Array, case: SearchProblem) -> tuple[jax.Array, jax.Array]:
    """(S, n, 3) refined, and their costs, infinite where something broke."""
    batch_size = case.settings.batch_size
    positions, costs = jax.lax.map(refined, positions, **({"batch_size": batch_size} if batch_size > 1 else {}))
    return positions, jnp.where(jnp.isfinite(costs), costs, jnp.inf)


def _refine_and_test(walk: SearchState, case: SearchProblem) -> SearchState:
    """The exact refinement of where the walk is, and whether it passes."""
    new = refine_and_test(walk.positions, case)
    passes = certificate.fits_within_noise(new.quality, len(case.exact_model.index))
    first = passes & (walk.passed == 0)
    old = walk.answer
    better = first | ((walk.passed == 0) & ~(new.quality.misfit >= old.quality.misfit))
    other = passes & (walk.passed > 0) & certificate.are_distinct(new.atoms.positions, old.atoms.positions)
    return walk._replace(
        answer=jax.tree.map(lambda a, b: jnp.where(better, a, b), new, old),
        answer_stage=jnp.where(better, walk.stage, walk.answer_stage), passed=walk.passed + passes,
        ambiguous=walk.ambiguous | other, other=jnp.where(other, new.atoms.positions, walk.other), tried=walk.cost,
        # Confirmation comes from new starts.
        stuck=walk.stuck | passes, perturbations=jnp.where(passes, case.settings.max_perturbations, walk.perturbations),
        best_cost=jnp.where(passes, -jnp.inf, walk.best_cost))


def refine_and_test(positions: jax.Array, case: SearchProblem) -> RefinedAtoms:
    """Atoms (n, 3), near the truth or not, refined with voxels, and how well they then fit."""
    model = case.exact_model
    start = refinement.atoms_at(point_atoms.unwrapped(positions, case.model.grid))
    cosines, sines = point_atoms.waves(start.positions, model)
    deviations = certificate.standard_deviations(cosines.sum(0) ** 2 + sines.sum(0) ** 2, case.noise, _SLOPE_FLOOR)
    weights = jnp.where(case.noise > 0, 1 / deviations, 1.0)
    weights = weights * jax.lax.rsqrt(jnp.square(weights * case.exact_data.intensities).sum())
    data = case.exact_data._replace(weights=weights)
    atoms, _ = refinement.refine_exact(start, data, model, case.problem, _EXACT_STEPS)
    atoms = atoms._replace(positions=atoms.positions - atoms.positions.mean(0))
    calculated = refinement.exact_intensities(atoms, case.problem, model)
    quality = certificate.assess_fit(calculated, case.exact_data.intensities, case.noise)
    # A search without end would follow from NaN.
    quality = quality._replace(misfit=jnp.nan_to_num(quality.misfit, nan=1e30, posinf=1e30))
    noise = certificate.standard_deviations(calculated, case.noise) * jnp.sqrt(jnp.maximum(quality.chi_squared, 1.0))
    return RefinedAtoms(atoms, refinement.standard_deviations(atoms, data, model, noise), quality)
