"""Suite "anneal": swaps per second of `phasenet.search.annealing`, against the paper's loop written in NumPy.

The loop follows section 2.4.4 of the paper: each swap takes one atom out of the test density and puts one in, computes
the Patterson map by complex transforms of 40^3, and compares it with the measured map. Ours updates structure factors
and runs many chains in one program; the row of many chains is the one to read.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch.benchmarks.timing import Row, compare
from phasenet.maps import synthesis
from phasenet.search import annealing, network_stage, peaks

_PLAIN_SWAPS = 20  # in a timed run of the loop in NumPy
_SWAPS = 1000  # of each chain in a timed run of ours
_CHAINS = 32  # in one program


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """Times the paper's problem: 10 atoms among 20 candidates (the atoms and their inverses), maps of 40^3.

    Args:
      report: receives each row as soon as it is measured.

    Returns:
      Swaps per second and ratios, by the number of chains.

    Raises:
      AssertionError: both programs give the same atoms different errors.
    """
    problem = synthesis.Problem()
    example = jax.jit(lambda key: synthesis.make_example(key, problem))(jax.random.key(0))
    exact = peaks.Candidates(example.positions, jnp.full(10, 0.5), jnp.ones(10, bool))
    candidates = peaks.add_inverses(exact)
    patterson_map = synthesis.simulate_patterson(jax.random.key(0), example.positions, problem)
    data = jax.jit(lambda: network_stage.make_annealing_input(patterson_map, candidates, problem))()
    schedule = annealing.Schedule(_SWAPS, 0.0)
    maps = np.asarray(jax.vmap(lambda place: synthesis.atom_map(place[None], problem))(candidates.positions))
    plain = _Plain(maps, np.asarray(patterson_map), 10)
    summary: dict[str, float] = {}
    for chains in (1, _CHAINS):
        ours = _compiled(data, schedule, chains)
        row = compare(f"{chains} chain(s)", "NumPy", ours, plain.run, seconds=8)
        # The row compares swaps, not calls.
        ratio = row.ratio * chains * _SWAPS / _PLAIN_SWAPS
        rate, peer_rate = chains * _SWAPS / row.seconds, _PLAIN_SWAPS / row.peer_seconds
        row = row._replace(seconds=1 / rate, peer_seconds=1 / peer_rate, ratio=ratio,
                           cpu_seconds=row.cpu_seconds / (chains * _SWAPS),
                           peer_cpu_seconds=row.peer_cpu_seconds / _PLAIN_SWAPS)
        report(row)
        summary |= {f"swaps_per_second_{chains}": rate, f"ratio_{chains}": ratio}
    if not plain.agrees(data, problem):
        raise AssertionError("both programs give the same atoms different errors: their times cannot be compared")
    return summary | {"numpy_swaps_per_second": peer_rate}


def _compiled(data: annealing.AnnealingInput, schedule: annealing.Schedule, chains: int) -> Callable[[], jax.Array]:
    """Returns the compiled annealing in `chains` chains; it returns their errors."""
    key = jax.random.key(1)
    run = jax.jit(lambda key, data: annealing.select_atoms(key, data, 10, schedule, chains)[0].error)
    compiled = run.lower(key, data).compile()
    return lambda: compiled(key, data)


class _Plain:
    """The paper's loop at temperature zero, in NumPy.

    Args:
      maps: (M, N, N, N) densities of the single candidates.
      patterson_map: (N, N, N) the measured map.
      num_atoms: how many of the M candidates are atoms.
    """

    def __init__(self, maps: np.ndarray, patterson_map: np.ndarray, num_atoms: int) -> None:
        self.maps, self.true, self.random = maps, patterson_map, np.random.default_rng(0)
        order = self.random.permutation(len(maps))
        self.members, self.others = order[:num_atoms], order[num_atoms:]
        self.density = maps[self.members].sum(0)
        self.error = self.score(self.density)

    def score(self, density: np.ndarray) -> float:
        """Returns the squared difference of a density's Patterson map from the measured one."""
        factors = np.fft.fftn(density)
        test = np.fft.ifftn(factors * factors.conj()).real
        return float(np.square(test - self.true).sum())

    def run(self) -> float:
        """Tries `_PLAIN_SWAPS` more swaps, keeps those that lower the error, and returns the error."""
        for _ in range(_PLAIN_SWAPS):
            out, into = self.random.integers(len(self.members)), self.random.integers(len(self.others))
            density = self.density - self.maps[self.members[out]] + self.maps[self.others[into]]
            error = self.score(density)
            if error < self.error:
                self.density, self.error = density, error
                self.members[out], self.others[into] = self.others[into], self.members[out]
        return self.error

    def agrees(self, data: annealing.AnnealingInput, problem: synthesis.Problem) -> bool:
        """Returns whether ours and the loop give the loop's atoms the same error, to 1e-4 of an empty map's error."""
        ours = float(annealing.patterson_error(data.factors[self.members].sum(0), data))
        empty = float(np.square(self.true).sum())
        return abs(ours - self.error) < 1e-4 * empty
