"""Finds the number of atoms, for the product: searches with several numbers until the certificate confirms one.

The origin peak of a Patterson map is the power of all atoms together, and the sum of the map is F000^2, the square of
their total. `preparation` estimates the number of atoms from the ratio of these values, which noise, limited resolution
and overlaps change by some percent. With a wrong number chi^2 stays far above the limit of the certificate.
`pipeline.solve` calls this module.
"""

import jax
import numpy as np

from phasenet.maps.synthesis import Problem
from phasenet.search import atom_search, certificate
from phasenet.search.atom_search import SearchResult, SearchSettings


def likely_counts(estimate: float, tolerance: float = 0.1) -> tuple[int, ...]:
    """Returns the numbers of atoms to try for an estimate, the nearest first.

    Args:
      estimate: estimated number of atoms.
      tolerance: largest distance from the estimate, relative to the estimate; a distance of 1 atom is always allowed.

    Returns:
      Whole numbers, 1 or more.
    """
    reach = max(1.0, tolerance * estimate)
    numbers = range(max(1, int(estimate - reach)), int(estimate + reach) + 2)
    return tuple(sorted((n for n in numbers if abs(n - estimate) <= reach), key=lambda n: (abs(n - estimate), n)))


def search_counts(key: jax.Array, patterson_map: jax.Array | np.ndarray, problem: Problem, counts: tuple[int, ...], *,
                  has_f000: bool, settings: SearchSettings = SearchSettings()) -> tuple[int, SearchResult]:
    """Searches with one number of atoms after another until the map is solved or ambiguous.

    Args:
      key: random key, the same for each number.
      patterson_map: (N, N, N), its origin at voxel 0, on the scale of problem.atoms.num_atoms atoms
        (`absolute_scale.put_on_absolute_scale`).
      problem: what the atoms and the map are like; its number of atoms only tells the scale of `patterson_map`.
      counts: numbers to try, in this order. Each one compiles a program.
      has_f000: whether the scale of the map comes from F000. If so, the scale for another number of atoms grows as the
        square of that number, otherwise in proportion to it.
      settings: settings of each search.

    Returns:
      The first number for which the status is not "not solved", or else the number with the smallest misfit; and the
      result of its search.

    Raises:
      ValueError: there are no numbers to try.
    """
    best = None
    for number in counts:
        ratio = number / problem.atoms.num_atoms
        tried = problem._replace(atoms=problem.atoms._replace(num_atoms=number))
        scaled = patterson_map * (ratio**2 if has_f000 else ratio)
        found = jax.jit(lambda key, scaled, tried=tried: atom_search.search_atoms(key, scaled, tried, settings))(
            key, scaled)
        if int(found.status) != certificate.NOT_SOLVED:
            return number, found
        if best is None or found.answer.quality.misfit < best[1].answer.quality.misfit:
            best = number, found
    if best is None:
        raise ValueError("counts=(): expected at least one number of atoms")
    return best
