"""A measured map to atoms in one call: what `phasenet.solve` is."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phasenet import preparation
from phasenet.errors import InputError
from phasenet.maps import reflections, synthesis
from phasenet.maps.synthesis import Problem
from phasenet.networks.dual_space import DualSpaceArchitecture
from phasenet.pretrained import Architecture, Pretrained
from phasenet.search import atom_search, certificate, counting, network_stage

# Other numbers of atoms that are tried, each with a program of its own.
_MOST_COUNTS = 4


class Solution(NamedTuple):
    """What was made of a map.

    Attributes:
      positions: (n, 3) the atoms, voxels about their mean, in one of the two hands.
      deviations: (n, 3) their standard deviations, voxels; None where the refined ones are not the answer.
      agreement: how well these atoms explain the map.
      status: "solved" where nothing but the expected noise is left, "ambiguous" where another set of atoms fits as
        well, "not solved"; None without refinement.
      selected: of the network and the annealer.
      search: of the search that refined it; None without.
      prepared: the map as it was solved, what the atoms were taken to be like, and what was assumed.
    """

    positions: np.ndarray
    deviations: np.ndarray | None
    agreement: reflections.Agreement
    status: str | None
    selected: network_stage.SelectedAtoms
    search: atom_search.SearchResult | None
    prepared: preparation.PreparedMap


def solve(patterson_map: np.ndarray, weights: Pretrained, *, num_atoms: int | None = None, seed: int = 0,
          settings: network_stage.NetworkSettings = network_stage.NetworkSettings(), refine: bool = True, noise: float = 0.0,
          name: str = "the map") -> Solution:
    """The atoms behind a Patterson map.

    Args:
      patterson_map: (M, M, M) of any scale, its origin at voxel 0 or in the middle.
      weights: see `pretrained.load`; the map is brought to their grid where that loses nothing.
      num_atoms: by default what the map's sum and power tell, if F000 is in it; otherwise that of the weights.
      seed: of the annealer and the search; the same one gives the same answer.
      settings: of the network's and the annealer's part.
      refine: whether the atoms are refined, wrong ones moved, and the answer certified.
      noise: standard deviation of the squared amplitudes, relative to themselves, that the certificate allows for.
      name: what messages call the map.

    Raises InputError for what is not a Patterson map or does not fit the weights, in one line.
    """
    problem = weights.problem
    if num_atoms is not None:
        problem = problem._replace(atoms=problem.atoms._replace(num_atoms=num_atoms))
    _check(problem, "")
    prepared = preparation.prepare(patterson_map, problem, name, estimate_num_atoms=num_atoms is None,
                                   adapt_problem=isinstance(weights.architecture, DualSpaceArchitecture))
    problem = prepared.problem
    _check(problem, f"{name}: ")
    key = jax.random.key(seed)
    solution = _solve(key, prepared.patterson, weights.params, weights.architecture, problem, settings)
    if not refine:
        return Solution(np.asarray(solution.positions), None, solution.agreement, None, solution, None, prepared)
    # Whether there is noise is compiled in, how much is not.
    found = _search(key, prepared.patterson, problem=problem._replace(noise=float(noise > 0)),
                    given=solution.positions[None], noise=jnp.float32(noise))
    if num_atoms is None and prepared.estimate is not None and int(found.status) == certificate.NOT_SOLVED:
        found, prepared = _recounted(key, found, prepared, noise)
    quality = found.answer.quality
    status = certificate.STATUSES[int(found.status)]
    if status == "not solved" and not quality.correlation > solution.agreement.correlation:
        return Solution(np.asarray(solution.positions), None, solution.agreement, status, solution, found, prepared)
    return Solution(np.asarray(found.answer.atoms.positions), np.asarray(found.answer.deviations),
                  reflections.Agreement(quality.correlation, quality.r_factor), status, solution, found, prepared)


def _check(problem: Problem, prefix: str) -> None:
    try:
        synthesis.check_problem(problem)
    except ValueError as error:
        raise InputError(f"{prefix}{error}") from None


def _recounted(key: jax.Array, found: atom_search.SearchResult, prepared: preparation.PreparedMap, noise: float,
               ) -> tuple[atom_search.SearchResult, preparation.PreparedMap]:
    """What was found for a number of atoms near the estimate if that solves the map, else what was found before."""
    problem = prepared.problem
    before = problem.atoms.num_atoms
    others = tuple(number for number in counting.likely_counts(prepared.estimate) if number != before)[:_MOST_COUNTS]
    number, again = counting.search_counts(
        key, prepared.patterson, problem._replace(noise=noise), others, has_f000=True)
    if int(again.status) == certificate.NOT_SOLVED:
        tried = " or ".join(map(str, others))
        return found, prepared._replace(notes=(*prepared.notes, f"nor do {tried} atoms solve it"))
    counted = problem._replace(atoms=problem.atoms._replace(num_atoms=number))
    return again, prepared._replace(
        patterson=prepared.patterson * np.float32((number / before) ** 2), problem=counted,
        notes=(*prepared.notes, f"{before} atoms do not solve it, {number} do"))


# The parameters are an argument: as constants they would be compiled into the program.
@functools.partial(jax.jit, static_argnames=("architecture", "problem", "settings"))
def _solve(key: jax.Array, patterson_map: jax.Array, params: dict, architecture: Architecture, problem: Problem,
           settings: network_stage.NetworkSettings) -> network_stage.SelectedAtoms:
    answer = Pretrained(architecture, params, problem, {}).answer
    return network_stage.solve_with_network(key, patterson_map, answer, problem, settings)


_search = jax.jit(atom_search.search_atoms, static_argnames=("problem", "settings"))
