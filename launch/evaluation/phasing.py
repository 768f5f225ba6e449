"""Solves the Patterson maps of random atoms and compares the atoms found with the true ones.

`launch.evaluate --task=phasing` calls this module. The stages are those of `phasenet.solve`, those of the paper's
pipeline, or a single stage.
"""

import operator
import time
from collections.abc import Callable
from typing import Any, NamedTuple

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
_CASES_PER_CALL = 5  # on each device
SOLVED_WITHIN = 1.0  # a case is solved when each atom is found within this distance, voxels


def check_flags(problem: Problem, stages: list[str], weights: Pretrained) -> None:
    """Checks the problem and the stages that the flags of `launch.evaluate` describe.

    Args:
      problem: the problem of all cases.
      stages: names of the stages, one of `STAGES`.
      weights: the network that has to take the problem's maps, if "network" is among the stages.

    Raises:
      InputError: a field of the problem is out of range, the stages are unknown, or the grid does not fit the network.
    """
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
        jax.eval_shape(weights._replace(problem=problem).compute_occupancy,
                       jax.ShapeDtypeStruct((problem.grid,) * 3, jnp.float32))
    except ValueError as error:
        raise InputError(f"--grid={problem.grid}: {error}") from error


class CaseResult(NamedTuple):
    """What was found for a case of n atoms.

    Attributes:
      matching: the true atoms matched with those found.
      correlation: () Pearson correlation of the Patterson map with that of the atoms found.
      r_factor: () R factor of the amplitudes.
      candidates: () int, number of candidate positions from the network's map.
      valid: () bool, whether the true atoms meet the problem's rules.
      search: result of the search, None without the stage "refine".
      in_deviations: (n, 3) error of each coordinate in units of its stated standard deviation, None without "refine".
    """

    matching: metrics.Matching
    correlation: jax.Array
    r_factor: jax.Array
    candidates: jax.Array
    valid: jax.Array
    search: atom_search.SearchResult | None
    in_deviations: jax.Array | None


def evaluate(problem: Problem, settings: network_stage.NetworkSettings, weights: Pretrained | None, stages: list[str],
             num_cases: int, seed: int, report: Callable[[dict[str, Any]], None]) -> list[dict[str, Any]]:
    """Solves cases of random atoms, in parallel on all devices.

    Args:
      problem: the problem of all cases.
      settings: settings of the network stage.
      weights: weights of the network; not used without the stage "network".
      stages: one of `STAGES`. With "anneal" alone, the annealer starts from the exact atoms and their inverses.
      num_cases: number of cases.
      seed: seed of the cases, which depend on the seed and the problem only.
      report: is called with each item as soon as the item is done.

    Returns:
      An item for each case, in JSON's types: distances in voxels, times in seconds per case without compilation.

    Raises:
      InputError: the random atoms of a case do not meet the problem's rules.
    """
    devices = jax.local_devices()
    share = max(1, min(_CASES_PER_CALL, -(-num_cases // len(devices))))
    # The parameters are an argument, because constants would be compiled into the program.
    def solve_share(keys: jax.Array, params: Any) -> CaseResult:
        network = weights and weights._replace(params=params, problem=problem)
        return jax.lax.map(lambda key: _solve_case(key, problem, settings, network, stages), keys)

    # Without a name, JAX names the axis by the address of an object, and the cache never finds the program again.
    solve = jax.pmap(solve_share, axis_name="devices", in_axes=(0, None))
    weights = weights if "network" in stages else None
    params = weights.params if weights else {}
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))
    size = share * len(devices)
    items: list[dict[str, Any]] = []
    compiled: Any = None
    for start in range(0, num_cases, size):
        chunk = keys(jnp.arange(start, start + size)).reshape(len(devices), share)  # the last may hold surplus cases
        if compiled is None:
            with compiling_for_one_core():
                compiled = solve.lower(chunk, params).compile()
        cpu, wall = time.process_time(), time.perf_counter()
        results = jax.device_get(compiled(chunk, params))
        seconds = {"cpu_seconds": (time.process_time() - cpu) / size,
                   "wall_seconds": (time.perf_counter() - wall) / size}
        flat = jax.tree.map(lambda leaf: leaf.reshape(size, *leaf.shape[2:]), results)  # no axis of devices
        for number in range(start, min(start + size, num_cases)):
            one = jax.tree.map(operator.itemgetter(number - start), flat)
            items.append(_make_item(number, one, problem) | seconds)
            report(items[-1])
    return items


def summarize(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns counts, means and fractions over all cases; with "refine" also how often the stated status is right.

    Args:
      items: what `evaluate` returns; errors are in voxels, times in seconds per case.
    """
    distances = np.concatenate([item["distances"] for item in items])
    summary: dict[str, Any] = {
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


def _solve_case(key: jax.Array, problem: Problem, settings: network_stage.NetworkSettings, weights: Pretrained | None,
                stages: list[str]) -> CaseResult:
    """Draws a case, solves it with the stages and compares the result with the true atoms."""
    key_example, key_noise, key_solver = jax.random.split(key, 3)
    example = synthesis.make_example(key_example, problem)
    patterson_map = synthesis.simulate_patterson(key_noise, example.positions, problem)
    solution: network_stage.SelectedAtoms | None = None
    given = None  # (1, n, 3) positions from which the search starts
    if weights is not None:
        solution = network_stage.solve_with_network(
            key_solver, patterson_map, weights.compute_occupancy, problem, settings)
        given = solution.positions[None]
    elif "anneal" in stages:
        count = problem.atoms.num_atoms
        exact = peaks.Candidates(example.positions, jnp.full(count, 0.5), jnp.ones(count, bool))
        solution = network_stage.select_atoms(key_solver, patterson_map, peaks.add_inverses(exact), problem, settings)
    candidates = jnp.int32(0) if solution is None else solution.candidates.valid.sum()
    if "refine" not in stages:
        assert solution is not None  # `check_flags` demands a stage that gives one
        matching = metrics.match(solution.positions, example.positions, found_valid=solution.valid)
        agreement = solution.agreement
        return CaseResult(matching, agreement.correlation, agreement.r_factor, candidates, example.valid, None, None)
    found = atom_search.search_atoms(key_solver, patterson_map, problem, given_starts=given)
    matching = metrics.match(found.answer.atoms.positions, example.positions)
    quality, nearest = found.answer.quality, matching.nearest
    hand = jnp.where(matching.inverted, -1, 1)
    errors = hand * found.answer.atoms.positions[nearest] - example.positions
    return CaseResult(matching, quality.correlation, quality.r_factor, candidates, example.valid, found,
                      errors / found.answer.standard_deviations[nearest])


def _make_item(number: int, result: CaseResult, problem: Problem) -> dict[str, Any]:
    """Returns the item of a case in JSON's types; raises InputError where the true atoms do not meet the rules."""
    if not result.valid:
        raise InputError(f"case {number}: no {problem.atoms.num_atoms} random atoms meet the rules: give a larger "
                         "--inner_box, fewer --num_atoms or a smaller --min_distance")
    distances = [float(d) for d in result.matching.distance[result.matching.matched]]
    near = sum(d < SOLVED_WITHIN for d in distances)
    item: dict[str, Any] = {
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
