"""Suite "phasing": `phasenet.search.atom_search` without a network, against classical methods on the same amplitudes.

The peer is one file, `classical_phasing.py`, found on Python's path:

    PYTHONPATH=FOLDER python -m launch.benchmark --suite=phasing [--cases=200]

The peer tries Patterson superposition, least squares from random starts and relaxed reflections (RRR) in this order,
repairs single atoms, and stops at the first structure that fits. Ours takes all cases in one batch, compiled for one
core. A case counts as solved where every atom lies within a voxel of its true position. Rows give times for one case.
"""

import functools
import importlib
import time
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from launch.benchmarks import bars
from launch.benchmarks.timing import Row
from launch.machine.single_core_compilation import compiling_for_one_core
from phasenet import metrics
from phasenet.maps import point_atoms, synthesis
from phasenet.maps.atoms import AtomRules, draw_atoms
from phasenet.maps.synthesis import Problem
from phasenet.search import atom_search, certificate

# Bounds: processor seconds a case, mean error in voxels (both on the paper's problem), wrong results called solved.
MOST_SECONDS, MOST_ERROR, MOST_WRONG = 0.03, 0.001, 0
SEED = 7
_JUDGED_WITHIN = 1.0  # voxels


class Regime(NamedTuple):
    """A kind of cases.

    Attributes:
      name: name of the row.
      problem: number of atoms, grid, resolution and noise of the cases.
      short: number of cases by default.
      most: largest number of cases with `--cases`.
      least_solved: required fraction of solved cases.
    """

    name: str
    problem: Problem
    short: int
    most: int
    least_solved: float


def _problem(num_atoms: int, box: float, **more: Any) -> Problem:
    """Returns the problem of so many atoms in a box (voxels); `more` are further fields of `Problem`."""
    return Problem(atoms=AtomRules(num_atoms=num_atoms, inner_box=box), **more)


REGIMES = (
    Regime("paper: 10 atoms, box 12", _problem(10, 12.0), 10, 500, 1.0),
    Regime("10 atoms, box 18", _problem(10, 18.0), 5, 200, 1.0),
    Regime("10 atoms, box 24", _problem(10, 24.0), 5, 200, 1.0),
    Regime("10 atoms, box 12, noise 10%", _problem(10, 12.0, noise=0.1), 5, 200, 1.0),
    Regime("20 atoms, box 12", _problem(20, 12.0), 5, 200, 1.0),
    Regime("10 atoms, box 12, h <= 10", _problem(10, 12.0, h_max=10.0), 5, 200, 0.99),
    Regime("10 atoms, box 12, h <= 7", _problem(10, 12.0, h_max=7.0), 5, 200, 0.99),
    Regime("10 atoms, box 12, h <= 5", _problem(10, 12.0, h_max=5.0), 5, 200, 0.95),
    Regime("20 atoms, box 20, h <= 10", _problem(20, 20.0, h_max=10.0), 2, 200, 0.6),
    Regime("40 atoms, box 20", _problem(40, 20.0), 1, 20, 0.99),
    Regime("40 atoms, box 12", _problem(40, 12.0), 1, 20, 0.8),
)


class Outcome(NamedTuple):
    """The results of one program on the C cases of a regime.

    Attributes:
      solved: (C,) bool.
      errors: (C,) mean distance of the atoms from the true ones, voxels; NaN where not solved.
      cpu_seconds: mean processor time of a case.
      wall_seconds: mean wall time of a case.
    """

    solved: np.ndarray
    errors: np.ndarray
    cpu_seconds: float
    wall_seconds: float


def run(report: Callable[[Row], None], cases: int | None = None, regimes: tuple[Regime, ...] = REGIMES,
        ) -> dict[str, Any]:
    """Measures the regimes one after another.

    Args:
      report: receives each row as soon as it is measured.
      cases: number of cases of each regime, at most its `most`; by default its `short`.
      regimes: the kinds of cases.

    Returns:
      The fraction of solved cases by regime, the number of wrong structures called solved, and bars.
    """
    peer = importlib.import_module("classical_phasing")
    summary: dict[str, float] = {}
    held: list[bars.Bar] = []
    wrong = 0
    for regime in regimes:
        count = regime.short if cases is None else min(cases, regime.most)
        true, maps = make_cases(regime.problem, count)
        own, found = ours(regime.problem, true, maps)
        other = theirs(peer, regime.problem, true, maps)
        called = np.asarray(found.status) == certificate.SOLVED
        wrong += int((called & ~own.solved).sum())
        shares = {"solved": float(own.solved.mean()), "peer_solved": float(other.solved.mean())}
        errors = {"mean_error_voxels": _mean(own), "peer_mean_error_voxels": _mean(other)}
        stages = {name: int((called & (np.asarray(found.stage) == number)).sum())
                  for number, name in enumerate(atom_search.STAGES) if number}
        name = f"{regime.name}: {shares['solved']:.0%}, peer {shares['peer_solved']:.0%}"
        report(Row(name, "classical", own.wall_seconds, other.wall_seconds, other.wall_seconds / own.wall_seconds,
                   own.cpu_seconds, other.cpu_seconds, None, count,
                   {**shares, **errors, "called_solved": int(called.sum()), "found_by": stages,
                    "statuses": np.asarray(found.status).tolist(), "right": own.solved.tolist(),
                    **{key: np.asarray(value).tolist() for key, value in found.answer.quality._asdict().items()}}))
        summary[regime.name] = shares["solved"]
        held.append(bars.at_least(f"solved, {regime.name}", shares["solved"], regime.least_solved))
        if regime is REGIMES[0]:
            held += [bars.at_most("mean error, the paper's problem", errors["mean_error_voxels"], MOST_ERROR),
                     bars.at_most("CPU s a case, the paper's problem", own.cpu_seconds, MOST_SECONDS)]
    held.append(bars.at_most("wrong answers called solved", wrong, MOST_WRONG))
    return summary | {"wrong_called_solved": wrong, "bars": held}


def make_cases(problem: Problem, count: int) -> tuple[jax.Array, jax.Array]:
    """Returns positions (C, n, 3), voxels, and Patterson maps (C, N, N, N) of C = `count` cases."""
    def make(number: jax.Array) -> tuple[jax.Array, jax.Array]:
        key_atoms, key_noise = jax.random.split(jax.random.fold_in(jax.random.key(SEED), number))
        positions, _ = draw_atoms(key_atoms, problem.atoms)
        return positions, synthesis.simulate_patterson(key_noise, positions, problem)

    return jax.jit(lambda numbers: jax.lax.map(make, numbers))(jnp.arange(count))


def ours(problem: Problem, true: jax.Array, maps: jax.Array) -> tuple[Outcome, atom_search.SearchResult]:
    """Runs our search on all maps in one call; compiling is not timed.

    Args:
      problem: of the cases.
      true: (C, n, 3) true positions, voxels.
      maps: (C, N, N, N) Patterson maps.

    Returns:
      The outcome, and the search's own results with a leading axis C.
    """
    @jax.jit
    def solve(keys: jax.Array, maps: jax.Array) -> atom_search.SearchResult:
        return jax.lax.map(lambda pair: atom_search.search_atoms(pair[0], pair[1], problem), (keys, maps))

    keys = jax.random.split(jax.random.key(0), len(maps))
    with compiling_for_one_core():
        compiled = solve.lower(keys, maps).compile()
    cpu, wall = time.process_time(), time.perf_counter()
    found = jax.block_until_ready(compiled(keys, maps))
    cpu, wall = (time.process_time() - cpu) / len(maps), (time.perf_counter() - wall) / len(maps)
    solved, errors = zip(*map(judge, found.answer.atoms.positions, true), strict=True)
    return Outcome(np.array(solved), np.array(errors), cpu, wall), jax.device_get(found)


def theirs(peer: types.ModuleType, problem: Problem, true: jax.Array, maps: jax.Array) -> Outcome:
    """Runs the peer on one map after another. The peer is given the box and the smallest distance of two atoms.

    Args:
      peer: the module `classical_phasing`.
      problem: of the cases.
      true: (C, n, 3) true positions, voxels.
      maps: (C, N, N, N) Patterson maps.
    """
    outcomes, cpu_seconds, wall_seconds = [], 0.0, 0.0
    radius = np.fft.fftfreq(problem.grid, 1 / problem.grid) ** 2
    radius = np.sqrt(radius[:, None, None] + radius[:, None] + radius)
    mask = radius <= (problem.h_max or np.inf)
    for number, (positions, values) in enumerate(zip(true, np.asarray(maps), strict=True)):
        amplitudes = np.sqrt(np.maximum(np.fft.fftn(values).real, 0.0)) * mask
        cpu, wall = time.process_time(), time.perf_counter()
        found = peer.SOLVERS["best"](amplitudes, problem.atoms.num_atoms, seed=number, mask=mask,
                                     box=problem.atoms.inner_box, dmin=problem.atoms.min_distance).positions
        cpu_seconds += time.process_time() - cpu
        wall_seconds += time.perf_counter() - wall
        outcomes.append(judge(np.full_like(positions, np.nan) if len(found) != len(positions) else found, positions,
                               problem.grid))
    solved, errors = zip(*outcomes, strict=True)
    return Outcome(np.array(solved), np.array(errors), cpu_seconds / len(maps), wall_seconds / len(maps))


def judge(found: Any, true: jax.Array, period: int = 0) -> tuple[bool, float]:
    """Judges found atoms, in the better of both hands.

    Args:
      found: (n, 3) positions, voxels.
      true: (n, 3) true positions, voxels, in any order.
      period: the map's edge (voxels) where the found atoms may lie anywhere in the periodic map; 0 where they are
        centred on their mean.

    Returns:
      Whether every atom lies within a voxel of its true position, and the mean distance (voxels; NaN where not).
    """
    distance = _distances(jnp.asarray(found, jnp.float32), jnp.asarray(true), period)
    solved = bool(np.all(np.asarray(distance) < _JUDGED_WITHIN))
    return solved, float(distance.mean()) if solved else float("nan")


@functools.partial(jax.jit, static_argnums=2)
def _distances(found: jax.Array, true: jax.Array, period: int) -> jax.Array:
    """Returns the distance (n,) of each atom from its match, voxels; infinite without a match."""
    if period:
        found = point_atoms.unwrap(found, period)
    matching = metrics.match(found, true)
    return jnp.where(matching.matched, matching.distance, jnp.inf)


def _mean(outcome: Outcome) -> float:
    """Returns the mean error of the solved cases, voxels; NaN where none is solved."""
    return float(outcome.errors[outcome.solved].mean()) if outcome.solved.any() else float("nan")
