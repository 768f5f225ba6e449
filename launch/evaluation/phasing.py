"""Random atoms, their Patterson maps, and what the solver makes of them."""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from phasenet import metrics, peaks, reflections, solver, synthesis
from phasenet.errors import InputError
from phasenet.pretrained import Pretrained
from phasenet.synthesis import Problem

STAGES = (("network", "anneal"), ("anneal",))
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
                         + ", ".join(",".join(known) for known in STAGES))
    if "network" not in stages:
        return
    try:
        jax.eval_shape(weights._replace(problem=problem).answer, jax.ShapeDtypeStruct((problem.grid,) * 3, jnp.float32))
    except ValueError as error:
        raise InputError(f"--grid={problem.grid}: {error}") from error


def evaluate(problem: Problem, settings: solver.Settings, weights: Pretrained | None, num_cases: int, seed: int,
             report: Callable[[dict], None]) -> list[dict]:
    """An item for each case.

    Args:
      weights: of the network; None starts the annealer from the exact atoms and their inverses.
      seed: of the cases, which depend on nothing else but the problem.
      report: called with each item as it is done.
    """
    devices = jax.local_devices()
    share = max(1, min(_SHARE, -(-num_cases // len(devices))))
    # The parameters are an argument: as constants they would be compiled into the program.
    def solve_share(keys, params):
        known = weights and weights._replace(params=params, problem=problem)
        return jax.lax.map(lambda key: _case(key, problem, settings, known), keys)

    # A nameless axis would be called by an object's address: no program could be kept for the next process.
    solve = jax.pmap(solve_share, axis_name="devices", in_axes=(0, None))
    params = weights.params if weights else {}
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))
    size = share * len(devices)
    items, compiled = [], None
    for start in range(0, num_cases, size):
        chunk = keys(jnp.arange(start, start + size)).reshape(len(devices), share)  # the last ones may be surplus
        compiled = compiled or solve.lower(chunk, params).compile()
        cpu, wall = time.process_time(), time.perf_counter()
        results = jax.device_get(compiled(chunk, params))
        seconds = {"cpu_seconds": (time.process_time() - cpu) / size,
                   "wall_seconds": (time.perf_counter() - wall) / size}
        for number in range(start, min(start + size, num_cases)):
            one = jax.tree.map(lambda leaf: leaf.reshape(size, *leaf.shape[2:])[number - start], results)
            items.append(_item(number, *one, problem) | seconds)
            report(items[-1])
    return items


def summarize(items: list[dict]) -> dict:
    """The figures over all cases."""
    distances = np.concatenate([item["distances"] for item in items])
    return {
        "cases": len(items), "atoms": sum(item["atoms"] for item in items),
        "matched": sum(item["matched"] for item in items),
        "matched_within_1_voxel": sum(item["matched_within_1_voxel"] for item in items),
        "mean_error_voxels": float(distances.mean()) if len(distances) else None,
        "fraction_solved": float(np.mean([item["solved"] for item in items])),
        "mean_patterson_correlation": float(np.mean([item["certificate"]["correlation"] for item in items])),
        "mean_cpu_seconds": float(np.mean([item["cpu_seconds"] for item in items]))}


def _case(key, problem, settings, weights):
    key_example, key_noise, key_solver = jax.random.split(key, 3)
    example = synthesis.example(key_example, problem)
    patterson_map = synthesis.measure(key_noise, example.positions, problem)
    if weights is None:
        count = problem.atoms.num_atoms
        exact = peaks.Candidates(example.positions, jnp.full(count, 0.5), jnp.ones(count, bool))
        candidates = peaks.with_inverses(exact)
        solution = solver.separate(key_solver, patterson_map, candidates, problem, settings)
    else:
        solution = solver.solve(key_solver, patterson_map, weights.answer, problem, settings)
    matching = metrics.match(solution.positions, example.positions, found_valid=solution.valid)
    return matching, solution.agreement, solution.candidates.valid.sum(), example.valid


def _item(number: int, matching: metrics.Matching, agreement: reflections.Agreement, candidates: int, valid: bool,
          problem: Problem) -> dict:
    if not valid:
        raise InputError(f"case {number}: no {problem.atoms.num_atoms} atoms were found that meet the rules")
    distances = [float(d) for d in matching.distance[matching.matched]]
    near = sum(d < SOLVED_WITHIN for d in distances)
    return {
        "id": f"{number:04d}", "atoms": problem.atoms.num_atoms, "matched": len(distances),
        "matched_within_1_voxel": near, "mean_error_voxels": float(np.mean(distances)) if distances else None,
        "solved": near == problem.atoms.num_atoms, "candidates": int(candidates),
        "certificate": {"correlation": float(agreement.correlation), "r_factor": float(agreement.r_factor)},
        "distances": distances}
