"""`phasenet.solve`: a measured Patterson map to atoms, in one call. `launch.solve` calls it.

The stages, in order:

1. `preparation`: check the map, bring it to a grid and to the scale of its atoms, estimate their number.
2. `search.network_stage`: network (`networks`) -> candidates (`search.fitting` or `search.peaks`) -> annealer
   (`search.annealing`), which chooses among the candidates and their inverses where the network shows both.
3. `search.atom_search`: refine the network's atoms and random starts (`search.refinement`), move wrong atoms
   (`search.relocation`), and test the result against the noise (`search.certificate`).
4. `search.counting`: if that fails and the number of atoms was estimated, try stage 3 with other numbers near it.

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

# Largest number of other counts of atoms that are tried. Each one compiles a program.
_MAX_OTHER_COUNTS = 4


class Solution(NamedTuple):
    """The atoms found for a map, the verdict, and the results of the stages.

    Attributes:
      positions: (n, 3) the atoms, voxels, relative to their mean, in one of the two hands.
      standard_deviations: (n, 3) of the positions, voxels; None if the positions are those of the network stage.
      agreement: of the atoms' Patterson map with the prepared one.
      status: "solved": nothing but the allowed noise is left; "ambiguous": another set of atoms fits as well, or the
        data do not determine every position; "not solved"; None without refinement.
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
    """Returns the atoms behind a Patterson map, and whether they are proven.

    Args:
      patterson_map: (M, M, M) on any scale, its origin at voxel 0 or in the middle.
      weights: of `pretrained.load`. A dual-space network works on the map's own grid if M is a multiple of 4; otherwise
        the map is brought to the grid of the weights.
      num_atoms: number of atoms; by default estimated from the map's sum and power if the map holds F000, otherwise the
        number of the weights.
      seed: of the annealer and the search; the same seed gives the same result.
      settings: of the network stage.
      refine: whether stages 3 and 4 run; without them there is no verdict.
      noise: standard deviation of the squared amplitudes, relative to themselves, that the certificate allows for.
      name: the map's name in messages.

    Returns:
      The atoms of the search, or those of the network stage if the search has not solved the map and fits no better.

    Raises:
      InputError: the map is not a Patterson map or does not fit the weights, or so many atoms do not fit into the box.
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
    # The problem is static and says whether there is noise; the amount is traced, so it needs no new compilation.
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
    """Raises InputError, its message with a prefix, for a problem that is not possible."""
    try:
        synthesis.check_problem(problem)
    except ValueError as error:
        raise InputError(f"{prefix}{error}") from None


def _try_other_counts(key: jax.Array, found: atom_search.SearchResult, prepared: preparation.PreparedMap,
                      estimate: float, noise: float) -> tuple[atom_search.SearchResult, preparation.PreparedMap]:
    """Searches with other numbers of atoms near the estimate; returns the solution if there is one, else `found`."""
    problem = prepared.problem
    before = problem.atoms.num_atoms
    others = tuple(number for number in counting.likely_counts(estimate) if number != before)[:_MAX_OTHER_COUNTS]
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
    network = Pretrained(architecture, params, problem, {}).answer
    return network_stage.solve_with_network(key, patterson_map, network, problem, settings)


_run_atom_search = jax.jit(atom_search.search_atoms, static_argnames=("problem", "settings"))
