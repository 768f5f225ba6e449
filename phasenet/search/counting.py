"""How many atoms: what a map's sum and power tell, settled by the certificate.

The origin peak is the power of all atoms together, the sum their total squared; their ratio tells the number to some
percent, where noise, resolution or overlap blur it. A wrong number leaves chi^2 in the thousands (`certificate`), so
the likely ones are tried, the likeliest first.
"""

import jax

from phasenet.maps.synthesis import Problem
from phasenet.search import atom_search, certificate
from phasenet.search.atom_search import SearchResult, SearchSettings


def likely_counts(estimate: float, tolerance: float = 0.1) -> tuple[int, ...]:
    """Whole numbers within an estimate's tolerance, one at each side at least; the nearest first."""
    reach = max(1.0, tolerance * estimate)
    numbers = range(max(1, int(estimate - reach)), int(estimate + reach) + 2)
    return tuple(sorted((n for n in numbers if abs(n - estimate) <= reach), key=lambda n: (abs(n - estimate), n)))


def search_counts(key: jax.Array, patterson_map: jax.Array, problem: Problem, counts: tuple[int, ...], *,
                  has_f000: bool, settings: SearchSettings = SearchSettings()) -> tuple[int, SearchResult]:
    """The first of some numbers of atoms with which a map is solved, and what was found.

    Args:
      patterson_map: (N, N, N) on the scale of problem.atoms.num_atoms atoms (`absolute_scale.put_on_absolute_scale`).
      counts: numbers to try, in this order; each compiles a program of its own.
      has_f000: as it was for that scale: the squared total goes as the number's square, the power as the number.

    Where none solves it, the number and answer whose misfit is least.
    """
    best = None
    for number in counts:
        ratio = number / problem.atoms.num_atoms
        tried = problem._replace(atoms=problem.atoms._replace(num_atoms=number))
        scaled = patterson_map * (ratio**2 if has_f000 else ratio)
        found = jax.jit(lambda key, scaled, tried=tried: atom_search.search_atoms(key, scaled, tried, settings))(key, scaled)
        if int(found.status) != certificate.NOT_SOLVED:
            return number, found
        if best is None or found.answer.quality.misfit < best[1].answer.quality.misfit:
            best = number, found
    if best is None:
        raise ValueError("counts=(): expected one number at least")
    return best
