"""A measured map to atoms in one call: what `phasenet.solve` is."""

import functools
from typing import NamedTuple

import jax
import numpy as np

from phasenet import preparation, solver, synthesis
from phasenet.dual_space import DualSpaceArchitecture
from phasenet.errors import InputError
from phasenet.pretrained import Architecture, Pretrained
from phasenet.synthesis import Problem


class Answer(NamedTuple):
    """What was made of a map.

    Attributes:
      solution: positions in voxels about their mean, candidates, agreement.
      prepared: the map as it was solved, what the atoms were taken to be like, and what was assumed.
    """

    solution: solver.Solution
    prepared: preparation.Prepared


def solve(patterson_map: np.ndarray, weights: Pretrained, *, num_atoms: int | None = None, seed: int = 0,
          settings: solver.Settings = solver.Settings(), name: str = "the map") -> Answer:
    """The atoms behind a Patterson map.

    Args:
      patterson_map: (M, M, M) of any scale, its origin at voxel 0 or in the middle.
      weights: see `pretrained.load`; the map is brought to their grid where that loses nothing.
      num_atoms: by default what the map's sum and power tell, if F000 is in it; otherwise that of the weights.
      seed: of the annealer; the same one gives the same answer.
      name: what messages call the map.

    Raises InputError for what is not a Patterson map or does not fit the weights, in one line.
    """
    problem = weights.problem
    if num_atoms is not None:
        problem = problem._replace(atoms=problem.atoms._replace(num_atoms=num_atoms))
    try:
        synthesis.check_problem(problem)
    except ValueError as error:
        raise InputError(str(error)) from None
    prepared = preparation.prepare(patterson_map, problem, name, count=num_atoms is None,
                                   adapt=isinstance(weights.architecture, DualSpaceArchitecture))
    problem = prepared.problem
    try:
        synthesis.check_problem(problem)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None
    solution = _solve(jax.random.key(seed), prepared.patterson, weights.params, weights.architecture, problem, settings)
    return Answer(solution, prepared)


# The parameters are an argument: as constants they would be compiled into the program.
@functools.partial(jax.jit, static_argnames=("architecture", "problem", "settings"))
def _solve(key: jax.Array, patterson_map: jax.Array, params: dict, architecture: Architecture, problem: Problem,
           settings: solver.Settings) -> solver.Solution:
    answer = Pretrained(architecture, params, problem, {}).answer
    return solver.solve(key, patterson_map, answer, problem, settings)
