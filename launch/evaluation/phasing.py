"""Random atoms, their Patterson maps, and what the solver makes of them."""

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from launch.machine.single_core_compilation import compiling_for_one_core
from phasenet import metrics
from phasenet.errors import InputError
from phasenet.maps import synthesis
from phasenet.maps.synthesis import Problem
from phasenet.pretrained import Pretrained
from phasenet.search import atom_search, certificate, network_stage, peaks

STAGES = (("network", "anneal"), ("network", "anneal", "refine"), ("refine",), ("anneal",))
# Cases solved in one call on each device.
_SHARE = 5
SOLVED_WITHIN = 1.0  # voxels, every atom


def check(problem: Problem, stages: list[str], weights: Pretrained) -> None:
    """Raises InputError for a problem or stages that cannot be, or that the network cannot take."""
    try:
        synthesis.check_problem(problem)
    except ValueError as error:
        raise InputError(str(error)) from error
    if tuple(stages) not in STAGES:
        raise InputError(f"--stages={','.join(stages)}: expected one of "
                         + "; ".join(",".join(known) for known in STAGES))
    if "network" not in stages:
        return
    try:
        jax.eval_shape(weights._replace(problem=problem).answer, jax.ShapeDtypeStruct((problem.grid,) * 3, jnp.float32))
    except ValueError as error:
        raise InputError(f"--grid={problem.grid}: {error}") from error


class PhasingSummary(NamedTuple):
    """What was found for a case.

    Attributes:
      search: what the search made of it, None without that stage.
      in_deviations: (n, 3) error of each coordinate in units of its standard deviation as stated, None likewise.
    """

    matching: metrics.Matching
    correlation: jax.Array
    r_factor: jax.Array
    candidates: jax.Array
    valid: jax.Array
    search: atom_search.SearchResult | None
    in_deviations: jax.Array | None


def evaluate(problem: Problem, settings: network_stage.NetworkSettings, weights: Pretrained | None, stages: list[str], num_cases: int,
             seed: int, report: Callable[[dict], None]) -> list[dict]:
    """An item for each case.

    Args:
      weights: of the network; without that stage the annealer starts from the exact atoms and their inverses.
      seed: of the cases, which depend on nothing else but the problem.
      report: called with each item as it is done.
    """
    devices = jax.local_devices()
    share = max(1, min(_SHARE, -(-num_cases // len(devices))))
    # The parameters are an argument: as constants they would be compiled into the program.
    def solve_share(keys, params):
        known = weights and weights._replace(params=params, problem=problem)
        return jax.lax.map(lambda key: _case(key, problem, settings, known, stages), keys)

    # A nameless axis would be called by an object's address: no program could be kept for the next process.
    solve = jax.pmap(solve_share, axis_name="devices", in_axes=(0, None))
    weights = weights if "network" in stages else None
    params = weights.params if weights else {}
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))
    size = share * len(devices)
    items, compiled = [], None
    for start in range(0, num_cases, size):
        chunk = keys(jnp.arange(start, start + size)).reshape(len(devices), share)  # the last ones may be surplus
        if compiled is None:
            with compiling_for_one_core():
                compiled = solve.lower(chunk, params).compile()
        cpu, wall = time.process_time(), time.perf_counter()
        results = jax.device_get(compiled(chunk, params))
        seconds = {"cpu_seconds": (time.process_time() - cpu) / size,
                   "wall_seconds": (time.perf_counter() - wall) / size}
        for number in range(start, min(start + size, num_cases)):
            one = jax.tree.map(lambda leaf: leaf.reshape(size, *leaf.shape[2:])[number - start], results)
            items.append(_item(number, one, problem) | seconds)
            report(items[-1])
    return items


def summarize(items: list[dict]) -> dict:
    """The figures over all cases."""
    distances = np.concatenate([item["distances"] for item in items])
    summary = {
        "cases": len(items), "atoms": sum(item["atoms"] for item in items),
        "matched": sum(item["matched"] for item in items),
        "matched_within_1_voxel": sum(item["matched_within_1_voxel"] for item in items),
        "mean_error_voxels": float(distances.mean()) if len(distances) else None,
        "fraction_solved": float(np.mean([item["solved"] for item in items])),
        "mean_patterson_correlation": float(np.mean([item["certificate"]["correlation"] for item in items])),
        "mean_cpu_seconds": float(np.mean([item["cpu_seconds"] for item in items]))}
    if "status" in items[0]["certificate"]:
        called = [item for item in items if item["certificate"]["status"] == "solved"]
        errors = np.abs(np.concatenate([np.ravel(item["in_deviations"]) for item in called] or [np.array([np.nan])]))
        summary |= {
            "within_1_deviation": float((errors < 1).mean()), "within_2_deviations": float((errors < 2).mean()),
            "fraction_called_solved": len(called) / len(items),
            "wrong_called_solved": sum(not item["solved"] for item in called),
            "fraction_ambiguous": float(np.mean([item["certificate"]["status"] == "ambiguous" for item in items])),
            "found_by": {stage: sum(item["stage"] == stage for item in called) for stage in atom_search.STAGES[1:]}}
    return summary


def _case(key: jax.Array, problem: Problem, settings: network_stage.NetworkSettings, weights: Pretrained | None,
          stages: list[str]) -> PhasingSummary:
    key_example, key_noise, key_solver = jax.random.split(key, 3)
    example = synthesis.make_example(key_example, problem)
    patterson_map = synthesis.measure_patterson(key_noise, example.positions, problem)
    solution, given = None, None
    if weights is not None:
        solution = network_stage.solve_with_network(key_solver, patterson_map, weights.answer, problem, settings)
        given = solution.positions[None]
    elif "anneal" in stages:
        count = problem.atoms.num_atoms
        exact = peaks.Candidates(example.positions, jnp.full(count, 0.5), jnp.ones(count, bool))
        solution = network_stage.select_atoms(key_solver, patterson_map, peaks.with_inverses(exact), problem, settings)
    candidates = jnp.int32(0) if solution is None else solution.candidates.valid.sum()
    if "refine" not in stages:
        matching = metrics.match(solution.positions, example.positions, found_valid=solution.valid)
        return PhasingSummary(matching, *solution.agreement, candidates, example.valid, None, None)
    found = atom_search.search_atoms(key_solver, patterson_map, problem, given=given)
    matching = metrics.match(found.answer.atoms.positions, example.positions)
    quality, nearest = found.answer.quality, matching.nearest
    hand = jnp.where(matching.inverted, -1, 1)
    errors = hand * found.answer.atoms.positions[nearest] - example.positions
    return PhasingSummary(matching, quality.correlation, quality.r_factor, candidates, example.valid, found,
                  errors / found.answer.deviations[nearest])


def _item(number: int, result: PhasingSummary, problem: Problem) -> dict:
    if not result.valid:
        raise InputError(f"case {number}: no {problem.atoms.num_atoms} atoms were found that meet the rules")
    distances = [float(d) for d in result.matching.distance[result.matching.matched]]
    near = sum(d < SOLVED_WITHIN for d in distances)
    item = {
        "id": f"{number:04d}", "atoms": problem.atoms.num_atoms, "matched": len(distances),
        "matched_within_1_voxel": near, "mean_error_voxels": float(np.mean(distances)) if distances else None,
        "solved": near == problem.atoms.num_atoms, "candidates": int(result.candidates),
        "certificate": {"correlation": float(result.correlation), "r_factor": float(result.r_factor)},
        "distances": distances}
    if result.search is not None:
        found = result.search
        item["certificate"] |= {"status": certificate.STATUSES[int(found.status)],
                                "chi_squared": float(found.answer.quality.chi_squared)}
        item |= {"stage": atom_search.STAGES[int(found.stage)], "rounds": int(found.rounds),
                 "in_deviations": np.asarray(result.in_deviations).tolist()}
    return item
