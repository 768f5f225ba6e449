"""The whole way: a Patterson map to atom positions and how well they explain it."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from phasenet.maps import reflections, synthesis
from phasenet.maps.synthesis import Problem
from phasenet.search import annealing, fitting, peaks

# A Patterson map (N, N, N) as the network takes it to its answer (N, N, N).
Network = Callable[[jax.Array], jax.Array]

PICKERS = ("fit", "peaks")


class NetworkSettings(NamedTuple):
    """All static.

    Attributes:
      picker: "fit": atoms fitted to the network's map (`fitting.fit_atoms`); "peaks": its local
        maxima, the paper's way.
      threshold: smallest of these peaks, of at most 0.5 for a lone atom.
      merge_distance: of candidates closer than this one stays, voxels.
      most_peaks: highest peaks that are used, or 4 an atom if that is more.
      schedule: of the annealer.
      num_chains: independent ones, of which the best counts.
    """

    picker: str = "fit"
    threshold: float = 0.25
    merge_distance: float = 0.0
    most_peaks: int = peaks.MOST_PEAKS
    schedule: annealing.Schedule = annealing.Schedule()
    num_chains: int = 4


class SelectedAtoms(NamedTuple):
    """One map's answer, or a batch's with a leading axis. n atoms, M candidates.

    Attributes:
      positions: (n, 3) voxels about their mean, in one of the two hands, which the data cannot tell apart.
      valid: (n,) False where there were fewer candidates than atoms.
      candidates: what the annealer chose from.
      agreement: of the atoms' Patterson map with the measured one.
      errors: (chains, swaps) the annealer's error E after each swap; (1, 1) where there is nothing to choose.
    """

    positions: jax.Array
    valid: jax.Array
    candidates: peaks.Candidates
    agreement: reflections.Agreement
    errors: jax.Array


def solve_with_network(key: jax.Array, patterson_map: jax.Array, network: Network, problem: Problem,
          settings: NetworkSettings = NetworkSettings()) -> SelectedAtoms:
    """A Patterson map, origin at voxel 0, to atoms: network, peaks, inverses, annealer (paper, section 2.4.4).

    Args:
      key: of the annealer.
      patterson_map: (N, N, N), N = problem.grid, on the atoms' scale (`absolute_scale.put_on_absolute_scale`).
      network: maps a prepared Patterson map to the density of atoms and inverse.
      problem: what the atoms are like; atoms.num_atoms of them are sought.
    """
    answer = network(synthesis.network_input(patterson_map, problem))
    return select_atoms(key, patterson_map, find_candidates(answer, problem, settings), problem, settings)


def find_candidates(answer: jax.Array, problem: Problem, settings: NetworkSettings = NetworkSettings()) -> peaks.Candidates:
    """Where the network's answer (N, N, N) shows atoms, and the inverses of these places if it shows both hands."""
    if settings.picker == "fit":
        found = fitting.fit_atoms(answer, problem)
    elif settings.picker == "peaks":
        # Atoms and inverses are two peaks each; a cut would part them.
        most = max(settings.most_peaks, 4 * problem.atoms.num_atoms)
        found = peaks.find_peaks(answer, threshold=settings.threshold, most=most)
    else:
        raise ValueError(f"picker={settings.picker!r}: expected one of {', '.join(PICKERS)}")
    return found if problem.target == "single" else peaks.with_inverses(found, merge_distance=settings.merge_distance)


def select_atoms(key: jax.Array, patterson_map: jax.Array, candidates: peaks.Candidates, problem: Problem,
             settings: NetworkSettings = NetworkSettings()) -> SelectedAtoms:
    """The atoms among the candidates, by the annealer; the Patterson map on the atoms' scale."""
    which = compared_reflections(problem)
    # The annealer needs a place more than atoms; those added are not valid, and leave it nothing to swap.
    spare = max(problem.atoms.num_atoms + 1 - len(candidates.valid), 0)
    schedule, num_chains = settings.schedule, settings.num_chains
    if spare:
        schedule, num_chains = schedule._replace(num_swaps=1), 1
    candidates = jax.tree.map(lambda leaf: jnp.pad(leaf, ((0, spare),) + ((0, 0),) * (leaf.ndim - 1)), candidates)
    data = annealing_data(patterson_map, candidates, problem)
    state, info = annealing.select_atoms(key, data, problem.atoms.num_atoms, schedule, num_chains)
    positions, valid = candidates.positions[state.members], candidates.valid[state.members]
    mean = jnp.where(valid[:, None], positions, 0.0).sum(0) / jnp.maximum(valid.sum(), 1)
    fit = reflections.agreement(jnp.square(state.total).sum(0), data.observed, which)
    return SelectedAtoms(jnp.where(valid[:, None], positions - mean, jnp.nan), valid, candidates, fit, info.error)


def annealing_data(patterson_map: jax.Array, candidates: peaks.Candidates, problem: Problem) -> annealing.AnnealingInput:
    """What the annealer works on."""
    which = compared_reflections(problem)
    crop = problem._replace(grid=which.grid)

    def factors(position, valid):
        return valid * reflections.structure_factors(synthesis.atom_map(position[None], crop), which)

    # One candidate after another: all their maps at once would not fit a cache.
    columns = jax.lax.map(lambda pair: factors(*pair), (candidates.positions, candidates.valid))
    observed = reflections.observed_intensities(patterson_map, which)
    return annealing.AnnealingInput(columns, candidates.valid, observed, jnp.asarray(which.weights))


def compared_reflections(problem: Problem) -> reflections.Reflections:
    """Those that the annealer compares: on the smallest grid that holds the whole Patterson map."""
    return reflections.reflections(synthesis.crop_to_patterson(problem).grid, problem.h_max)
