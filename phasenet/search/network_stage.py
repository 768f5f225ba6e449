"""The network stage: finds atoms from a Patterson map with a network, and how well they explain the map.

1. The network takes the prepared map to a map of atoms, in one hand or in both together (`Problem.target`).
2. Candidates: atoms fitted to that map (`fitting`, the default) or its peaks (`peaks`, the paper's way).
3. If the network shows both hands, the inverses of the candidates join them.
4. The annealer chooses the atoms among the candidates (`annealing`).

`pipeline.solve` calls this stage: in the product its atoms are a start of `atom_search`; in the reproduction of the
paper (D. Hurwitz, arXiv:2003.13767, section 2.4.4) its atoms are the result.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from phasenet.maps import reflections, synthesis
from phasenet.maps.synthesis import Problem
from phasenet.search import annealing, fitting, peaks

# Takes a prepared Patterson map (N, N, N) to a map of atoms (N, N, N).
Network = Callable[[jax.Array], jax.Array]

PICKERS = ("fit", "peaks")


class NetworkSettings(NamedTuple):
    """How atoms are taken from the network's map. All fields are static.

    Attributes:
      picker: "fit" fits atoms to the network's map (`fitting.fit_atoms`); "peaks" takes its local maxima
        (`peaks.find_peaks`), as the paper does.
      threshold: smallest height of a peak of "peaks"; a lone atom on a true map has at most 0.5.
      merge_distance: of candidates closer than this, voxels, only the highest stays.
      most_peaks: number of peaks that "peaks" uses, the highest ones; never fewer than 4 per atom.
      schedule: length and temperatures of each chain of the annealer.
      num_chains: number of independent chains of the annealer; the best one counts.
    """

    picker: str = "fit"
    threshold: float = 0.25
    merge_distance: float = 0.0
    most_peaks: int = peaks.MOST_PEAKS
    schedule: annealing.Schedule = annealing.Schedule()
    num_chains: int = 4


class SelectedAtoms(NamedTuple):
    """Result of the network stage for one map, or for a batch with a leading axis. n atoms, M candidates.

    Attributes:
      positions: (n, 3), voxels, relative to their mean, in one of the two hands, which the data cannot distinguish; NaN
        where not valid.
      valid: (n,) bool, False where there were fewer candidates than atoms.
      candidates: the M candidates from which the annealer chose.
      agreement: agreement of the atoms' Patterson map with the measured one.
      errors: (chains, swaps) E after each swap; (1, 1) if there were no more candidates than atoms.
    """

    positions: jax.Array
    valid: jax.Array
    candidates: peaks.Candidates
    agreement: reflections.Agreement
    errors: jax.Array


def solve_with_network(key: jax.Array, patterson_map: jax.Array, network: Network, problem: Problem,
                       settings: NetworkSettings = NetworkSettings()) -> SelectedAtoms:
    """Returns the atoms that a network and the annealer find for a Patterson map.

    Args:
      key: random key of the annealer.
      patterson_map: (N, N, N), N = problem.grid, its origin at voxel 0, on the scale of the atoms
        (`absolute_scale.put_on_absolute_scale`).
      network: takes the prepared map (N, N, N) to a map of atoms (N, N, N), its origin at its centre.
      problem: static; problem.atoms.num_atoms atoms are chosen.
      settings: static.

    Returns:
      The atoms (n, 3), voxels, n = problem.atoms.num_atoms, and their agreement with the map.

    Raises:
      ValueError: the picker is unknown.
    """
    network_map = network(synthesis.network_input(patterson_map, problem))
    return select_atoms(key, patterson_map, find_candidates(network_map, problem, settings), problem, settings)


def find_candidates(network_map: jax.Array, problem: Problem,
                    settings: NetworkSettings = NetworkSettings()) -> peaks.Candidates:
    """Returns where a network's map shows atoms, and the inverses of these places if it shows both hands.

    Args:
      network_map: (N, N, N), its origin at its centre.
      problem: static; what the atoms are like, and what the network shows.
      settings: static.

    Returns:
      M candidates: n atoms or the peaks, twice as many with their inverses; positions (M, 3), voxels.

    Raises:
      ValueError: the picker is unknown.
    """
    if settings.picker == "fit":
        found = fitting.fit_atoms(network_map, problem)
    elif settings.picker == "peaks":
        # Each atom makes two peaks, its own and its inverse's. A small number could keep only one peak of a pair.
        most = max(settings.most_peaks, 4 * problem.atoms.num_atoms)
        found = peaks.find_peaks(network_map, threshold=settings.threshold, most=most)
    else:
        raise ValueError(f"picker={settings.picker!r}: expected one of {', '.join(PICKERS)}")
    return found if problem.target == "single" else peaks.add_inverses(found, merge_distance=settings.merge_distance)


def select_atoms(key: jax.Array, patterson_map: jax.Array, candidates: peaks.Candidates, problem: Problem,
                 settings: NetworkSettings = NetworkSettings()) -> SelectedAtoms:
    """Returns the atoms that the annealer chooses among candidates.

    Args:
      key: random key.
      patterson_map: (N, N, N), its origin at voxel 0, on the scale of the atoms.
      candidates: M candidates; M may be less than the number of atoms.
      problem: static; problem.atoms.num_atoms atoms are chosen.
      settings: static.

    Returns:
      The atoms (n, 3), voxels, n = problem.atoms.num_atoms, and their agreement with the map.
    """
    which = select_compared_reflections(problem)
    # The annealer needs more candidates than atoms. The candidates added here are not valid, so no swap is accepted.
    spare = max(problem.atoms.num_atoms + 1 - len(candidates.valid), 0)
    schedule, num_chains = settings.schedule, settings.num_chains
    if spare:
        schedule, num_chains = schedule._replace(num_swaps=1), 1
    candidates = jax.tree.map(lambda leaf: jnp.pad(leaf, ((0, spare),) + ((0, 0),) * (leaf.ndim - 1)), candidates)
    data = make_annealing_input(patterson_map, candidates, problem)
    state, info = annealing.select_atoms(key, data, problem.atoms.num_atoms, schedule, num_chains)
    positions, valid = candidates.positions[state.members], candidates.valid[state.members]
    mean = jnp.where(valid[:, None], positions, 0.0).sum(0) / jnp.maximum(valid.sum(), 1)
    agreement = reflections.agreement(jnp.square(state.total).sum(0), data.observed, which)
    return SelectedAtoms(jnp.where(valid[:, None], positions - mean, jnp.nan), valid, candidates, agreement, info.error)


def make_annealing_input(patterson_map: jax.Array, candidates: peaks.Candidates,
                         problem: Problem) -> annealing.AnnealingInput:
    """Returns the structure factors of candidates and the measured intensities, on which the annealer works.

    Args:
      patterson_map: (N, N, N), its origin at voxel 0, on the scale of the atoms.
      candidates: M candidates.
      problem: static.

    Returns:
      Structure factors (M, 2, R) and intensities (R,) at the reflections of `select_compared_reflections`.
    """
    which = select_compared_reflections(problem)
    crop = problem._replace(grid=which.grid)

    def factors(position, valid):
        return valid * reflections.structure_factors(synthesis.atom_map(position[None], crop), which)

    # One candidate after another, because the maps of all at once would not fit into a cache.
    columns = jax.lax.map(lambda pair: factors(*pair), (candidates.positions, candidates.valid))
    observed = reflections.observed_intensities(patterson_map, which)
    return annealing.AnnealingInput(columns, candidates.valid, observed, jnp.asarray(which.weights))


def select_compared_reflections(problem: Problem) -> reflections.Reflections:
    """Returns the reflections that the annealer compares, those of the smallest grid that holds the Patterson map."""
    return reflections.select_reflections(synthesis.crop_to_patterson(problem).grid, problem.h_max)
