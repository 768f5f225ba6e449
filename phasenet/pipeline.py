"""`phasenet.solve`, which finds the atoms of a measured Patterson map in one call. `launch.solve` calls it.

The stages, in order:

1. `preparation`: check the map, bring it to a grid and to the scale of its atoms, estimate the number of atoms.
2. `search.network_stage`: network (`networks`) -> candidates (`search.fitting` or `search.peaks`) -> annealer
   (`search.annealing`), which chooses among the candidates and their inverses where the network shows both.
3. `search.atom_search`: refine the network's atoms and random starts (`search.refinement`), move wrong atoms
   (`search.relocation`), and test the result against the noise (`search.certificate`).
4. `search.counting`: if stage 3 fails and the number of atoms was estimated, repeat stage 3 with other numbers near
   the estimate.

The product is all four stages with the dual-space network. The paper's own pipeline (D. Hurwitz, arXiv:2003.13767) is
stage 2 with a network of the paper's kind, `picker="peaks"` and `refine=False`.
"""

import functools
from typing import Any, NamedTuple

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

# Largest number of other atom counts that stage 4 tries. Each count compiles a program.
_MAX_OTHER_COUNTS = 4


class Solution(NamedTuple):
    """The atoms found for a map, the verdict, and the results of the stages.

    Attributes:
      positions: (n, 3) the atoms, voxels, relative to their mean, in one of the two hands. If they are those of the
        network stage, rows are NaN where there were fewer candidates than atoms.
      standard_deviations: (n, 3) of the positions, voxels; None if the positions are those of the network stage.
      agreement: agreement of the atoms' Patterson map with the prepared one.
      status: "solved": the atoms leave nothing but the allowed noise; "ambiguous": another set of atoms fits as well,
        or the data do not determine every position; "not solved": the search found no such atoms; None without
        refinement.
      selected: result of the network stage.
      search: result of the atom search; None without refinement.
      prepared: the map and the problem that were solved, and notes on what was assumed.
    """

    positions: np.ndarray
    standard_deviations: np.ndarray | None
    agreement: reflections.Agreement
    status: str | None
    selected: network_stage.SelectedAtoms
    search: atom_search.SearchResult | None
    prepared: preparation.PreparedMap


def solve(patterson_map: np.ndarray, weights: Pretrained, *, num_atoms: int | None = None, seed: int = 0,
          settings: network_stage.NetworkSettings = network_stage.NetworkSettings(), refine: bool = True,
          noise: float = 0.0, name: str = "the map") -> Solution:
    """Returns the atoms of a Patterson map, and the verdict on whether they are proven.

    Args:
      patterson_map: (M, M, M) on any scale, its origin at voxel 0 or in the middle.
      weights: result of `pretrained.load`. A dual-space network works on the map's own grid if M is a multiple of 4 and
        at least 8; otherwise the map is cut or padded to the grid of the weights.
      num_atoms: number of atoms; by default estimated from the map's sum and power if the map holds F000, otherwise the
        number that the weights were trained for.
      seed: seed of the annealer and the search; the same seed gives the same result.
      settings: settings of the network stage.
      refine: whether stages 3 and 4 run; without them there is no verdict.
      noise: standard deviation of each squared amplitude, relative to its value, that the certificate allows for.
      name: the map's name in messages.

    Returns:
      The solution. Its atoms are those of the search. They are those of the network stage without refinement, or if the
      search has not solved the map and its atoms correlate no better.

    Raises:
      InputError: the map is not a Patterson map or does not fit the weights, or the atoms do not fit into the box.
      ValueError: the picker of the settings is unknown.
    """
    problem = weights.problem
    if num_atoms is not None:
        problem = problem._replace(atoms=problem.atoms._replace(num_atoms=num_atoms))
    _check_problem(problem, "")
    prepared = preparation.prepare(patterson_map, problem, name, estimate_num_atoms=num_atoms is None,
                                   adapt_problem=isinstance(weights.architecture, DualSpaceArchitecture))
    problem = prepared.problem
    _check_problem(problem, f"{name}: ")
    key = jax.random.key(seed)
    selected = _run_network_stage(key, prepared.patterson, weights.params, weights.architecture, problem, settings)
    if not refine:
        return Solution(np.asarray(selected.positions), None, selected.agreement, None, selected, None, prepared)
    # The problem is static and says whether there is noise; the amount is traced, so another amount needs no new
    # compilation.
    found = _run_atom_search(key, prepared.patterson, problem=problem._replace(noise=float(noise > 0)),
                             given_starts=selected.positions[None], noise=jnp.float32(noise))
    if num_atoms is None and prepared.estimate is not None and int(found.status) == certificate.NOT_SOLVED:
        found, prepared = _try_other_counts(key, found, prepared, prepared.estimate, noise)
    quality = found.answer.quality
    status = certificate.STATUSES[int(found.status)]
    if status == "not solved" and not quality.correlation > selected.agreement.correlation:
        return Solution(np.asarray(selected.positions), None, selected.agreement, status, selected, found, prepared)
    return Solution(np.asarray(found.answer.atoms.positions), np.asarray(found.answer.standard_deviations),
                  reflections.Agreement(quality.correlation, quality.r_factor), status, selected, found, prepared)


def _check_problem(problem: Problem, prefix: str) -> None:
    """Raises InputError, its message with a prefix, if a field of the problem is out of its range."""
    try:
        synthesis.check_problem(problem)
    except ValueError as error:
        raise InputError(f"{prefix}{error}") from None


def _try_other_counts(key: jax.Array, found: atom_search.SearchResult, prepared: preparation.PreparedMap,
                      estimate: float, noise: float) -> tuple[atom_search.SearchResult, preparation.PreparedMap]:
    """Searches with other numbers of atoms near the estimate.

    Returns the first result whose status is not "not solved", or else `found`; and the prepared map with a note.
    """
    problem = prepared.problem
    before = problem.atoms.num_atoms
    others = tuple(number for number in counting.likely_counts(estimate) if number != before)[:_MAX_OTHER_COUNTS]
    if not others:  # an estimate just below 1 leaves no other number
        return found, prepared
    number, found_again = counting.search_counts(
        key, prepared.patterson, problem._replace(noise=noise), others, has_f000=True)
    if int(found_again.status) == certificate.NOT_SOLVED:
        tried = " or ".join(map(str, others))
        return found, prepared._replace(notes=(*prepared.notes, f"{tried} atoms do not solve the map either"))
    counted = problem._replace(atoms=problem.atoms._replace(num_atoms=number))
    return found_again, prepared._replace(
        patterson=prepared.patterson * np.float32((number / before) ** 2), problem=counted,
        notes=(*prepared.notes, f"{before} atoms do not solve the map, {number} atoms do"))


# The parameters are a traced argument, so that they are not compiled into the program as constants.
@functools.partial(jax.jit, static_argnames=("architecture", "problem", "settings"))
def _run_network_stage(key: jax.Array, patterson_map: jax.Array, params: dict[str, Any], architecture: Architecture,
                       problem: Problem, settings: network_stage.NetworkSettings) -> network_stage.SelectedAtoms:
    """Returns the atoms of the network stage for one prepared map."""
    network = Pretrained(architecture, params, problem, {}).compute_occupancy
    return network_stage.solve_with_network(key, patterson_map, network, problem, settings)


_run_atom_search = jax.jit(atom_search.search_atoms, static_argnames=("problem", "settings"))
