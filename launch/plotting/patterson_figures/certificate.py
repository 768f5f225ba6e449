"""Draws histograms of chi^2 of right and of wrong results of the search, with the limit of the certificate.

The histograms show that the limit of `phasenet.search.certificate` separates right from wrong results. The paper has no
such figure.
"""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch.machine.single_core_compilation import compiling_for_one_core
from launch.plotting import style
from phasenet import metrics
from phasenet.maps import synthesis
from phasenet.maps.atoms import AtomRules, draw_atoms
from phasenet.maps.synthesis import Problem
from phasenet.search import atom_search, certificate
from phasenet.search.atom_search import SearchSettings

_PROBLEMS = {
    "10 atoms, box 12": Problem(AtomRules(10, 12.0)),
    "the same, 10% noise": Problem(AtomRules(10, 12.0), noise=0.1),
    "20 atoms, box 20, |h| <= 10": Problem(AtomRules(20, 20.0), h_max=10.0),
    "40 atoms, box 12": Problem(AtomRules(40, 12.0)),
}
# Short searches, so that many of them end with wrong atoms.
_HASTY = SearchSettings(starts_per_level=(1, 1, 1, 1), rounds=2)


def draw(path: pathlib.Path, seed: int, cases: int = 30, searches: int = 10) -> dict[str, dict[str, Any]]:
    """Draws, for each problem, histograms of chi^2 of right and of wrong results.

    Good: the right results lie left of the dashed limit and the wrong ones right of it.

    Args:
      path: the picture to write.
      seed: of the cases and of the searches.
      cases: random sets of atoms for each problem.
      searches: searches for each case.

    Returns:
      By problem: the numbers of right results, of wrong results, of right results that are not called solved and of
      wrong results that are; the largest chi^2 of a right result, and the smallest of a wrong one.
    """
    counted = {}
    with style.figure(path, 7.2, 5.0) as figure:
        for axes, (name, problem) in zip(figure.subplots(2, 2).flat, _PROBLEMS.items(), strict=True):
            right, chi_squared, status = _run_searches(problem, seed, cases, searches)
            limit = float(certificate.max_chi_squared(_num_reflections(problem)))
            edges = np.geomspace(1e-8, max(1e6, chi_squared.max()), 57)
            for chosen, colour, label in ((right, style.BLUE, "right"), (~right, style.LIGHT, "wrong")):
                axes.hist(np.maximum(chi_squared[chosen], 1e-8), edges, color=colour,
                          label=f"{label}: {chosen.sum()}")
            axes.axvline(limit, color="black", linewidth=0.8, linestyle="--")
            axes.set_xscale("log")
            axes.set_title(name)
            axes.legend(loc="upper center")
            called = status == certificate.SOLVED
            counted[name] = {"right": int(right.sum()), "wrong": int((~right).sum()),
                             "right_not_called": int((right & ~called).sum()),
                             "wrong_called_solved": int((~right & called).sum()),
                             "largest_right": float(chi_squared[right].max(initial=0.0)),
                             "least_wrong": float(chi_squared[~right].min(initial=np.inf))}
        figure.supxlabel(r"mean of $(I_{calc} - I_{obs})^2 / \sigma^2$; dashed: the most that is called solved")
        figure.supylabel("searches")
    return counted


def _num_reflections(problem: Problem) -> int:
    """Returns the number of independent reflections that the exact model of a problem is compared with."""
    maps = jax.eval_shape(lambda: jnp.zeros((problem.grid,) * 3))
    return len(atom_search.make_search_problem(jnp.ones(maps.shape), problem).exact_model.flat_index)


def _run_searches(problem: Problem, seed: int, cases: int, searches: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns, (cases * searches,) each, whether every atom is within a voxel of a true one, chi^2, and the status."""
    def one(number: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        key = jax.random.fold_in(jax.random.key(seed), number // searches)  # the same for all searches of a case
        key_atoms, key_noise, key_search = jax.random.split(key, 3)
        true, _ = draw_atoms(key_atoms, problem.atoms)
        measured = synthesis.simulate_patterson(key_noise, true, problem)
        found = atom_search.search_atoms(jax.random.fold_in(key_search, number), measured, problem, _HASTY)
        matching = metrics.match(found.answer.atoms.positions, true, cutoff=1.0)
        return matching.matched.all(), found.answer.quality.chi_squared, found.status

    run = jax.jit(lambda numbers: jax.lax.map(one, numbers))
    numbers = jnp.arange(cases * searches)
    with compiling_for_one_core():
        compiled = run.lower(numbers).compile()
    right, chi_squared, status = map(np.asarray, compiled(numbers))
    return right, chi_squared, status
