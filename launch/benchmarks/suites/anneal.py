"""Suite "anneal": phasenet.search.annealing against the paper's loop written in NumPy, swaps a second.

The plain loop does what section 2.4.4 of the paper tells: for each swap it changes the test density
by one atom out and one in, makes its Patterson map with complex transforms of 40^3, and compares the
maps. Ours keeps structure factors, and runs many chains in one program: that row is what counts.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch.benchmarks.timing import Row, compare
from phasenet.maps import synthesis
from phasenet.search import annealing, network_stage, peaks

_PLAIN_SWAPS = 20
_SWAPS = 1000
_CHAINS = 32


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """The paper's problem: 10 of 20 candidates, the atoms and their inverse, maps of 40."""
    problem = synthesis.Problem()
    example = jax.jit(lambda key: synthesis.make_example(key, problem))(jax.random.key(0))
    exact = peaks.Candidates(example.positions, jnp.full(10, 0.5), jnp.ones(10, bool))
    candidates = peaks.with_inverses(exact)
    patterson_map = synthesis.measure_patterson(jax.random.key(0), example.positions, problem)
    data = jax.jit(lambda: network_stage.annealing_data(patterson_map, candidates, problem))()
    schedule = annealing.Schedule(_SWAPS, 0.0)
    maps = np.asarray(jax.vmap(lambda place: synthesis.atom_map(place[None], problem))(candidates.positions))
    plain = _Plain(maps, np.asarray(patterson_map), 10)
    summary = {}
    for chains in (1, _CHAINS):
        ours = _compiled(data, schedule, chains)
        row = compare(f"{chains} chain(s)", "NumPy", ours, plain.run, seconds=8)
        # What is compared are swaps, not calls.
        ratio = row.ratio * chains * _SWAPS / _PLAIN_SWAPS
        rate, peer_rate = chains * _SWAPS / row.seconds, _PLAIN_SWAPS / row.peer_seconds
        row = row._replace(seconds=1 / rate, peer_seconds=1 / peer_rate, ratio=ratio,
                           cpu_seconds=row.cpu_seconds / (chains * _SWAPS),
                           peer_cpu_seconds=row.peer_cpu_seconds / _PLAIN_SWAPS)
        report(row)
        summary |= {f"swaps_per_second_{chains}": rate, f"ratio_{chains}": ratio}
    if not plain.agrees(data, problem):
        raise AssertionError("the two ways give the same atoms different errors: their times mean nothing")
    return summary | {"numpy_swaps_per_second": peer_rate}


def _compiled(data, schedule, chains):
    key = jax.random.key(1)
    run = jax.jit(lambda key, data: annealing.select_atoms(key, data, 10, schedule, chains)[0].error)
    compiled = run.lower(key, data).compile()
    return lambda: compiled(key, data)


class _Plain:
    """The paper's loop, zero temperature, in NumPy."""

    def __init__(self, maps: np.ndarray, patterson_map: np.ndarray, num_atoms: int) -> None:
        self.maps, self.true, self.random = maps, patterson_map, np.random.default_rng(0)
        order = self.random.permutation(len(maps))
        self.members, self.others = order[:num_atoms], order[num_atoms:]
        self.density = maps[self.members].sum(0)
        self.error = self.score(self.density)

    def score(self, density: np.ndarray) -> float:
        factors = np.fft.fftn(density)
        test = np.fft.ifftn(factors * factors.conj()).real
        return float(np.square(test - self.true).sum())

    def run(self) -> float:
        for _ in range(_PLAIN_SWAPS):
            out, into = self.random.integers(len(self.members)), self.random.integers(len(self.others))
            density = self.density - self.maps[self.members[out]] + self.maps[self.others[into]]
            error = self.score(density)
            if error < self.error:
                self.density, self.error = density, error
                self.members[out], self.others[into] = self.others[into], self.members[out]
        return self.error

    def agrees(self, data: annealing.AnnealingInput, problem: synthesis.Problem) -> bool:
        """Whether both ways give its atoms the same error."""
        ours = float(annealing.patterson_error(data.factors[self.members].sum(0), data))
        first = float(np.square(self.true).sum())
        return abs(ours - self.error) < 1e-4 * first
