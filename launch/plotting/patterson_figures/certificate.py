"""What the certificate goes by: the misfit of right answers beside that of wrong ones, after exact refinement."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from launch.machine.single_core_compilation import compiling_for_one_core
from launch.plotting import style
from phasenet import metrics
from phasenet.maps import synthesis
from phasenet.maps.atoms import AtomRules, random_atoms
from phasenet.maps.synthesis import Problem
from phasenet.search import atom_search, certificate
from phasenet.search.atom_search import SearchSettings

_PROBLEMS = {
    "10 atoms, box 12": Problem(AtomRules(10, 12.0)),
    "the same, 10% noise": Problem(AtomRules(10, 12.0), noise=0.1),
    "20 atoms, box 20, |h| <= 10": Problem(AtomRules(20, 20.0), h_max=10.0),
    "40 atoms, box 12": Problem(AtomRules(40, 12.0)),
}
# Searches that end long before they must, so that many end wrong.
_HASTY = SearchSettings(starts_per_level=(1, 1, 1, 1), rounds=2)


def draw(path: pathlib.Path, seed: int, cases: int = 30, searches: int = 10) -> dict[str, dict]:
    """For each problem histograms of (I_calc - I_obs)^2 over what is allowed. Returns what is counted, by problem."""
    counted = {}
    with style.figure(path, 7.2, 5.0) as figure:
        for axes, (name, problem) in zip(figure.subplots(2, 2).flat, _PROBLEMS.items(), strict=True):
            right, chi_squared, status = _ended(problem, seed, cases, searches)
            limit = float(certificate.max_chi_squared(_reflections(problem)))
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


def _reflections(problem: Problem) -> int:
    maps = jax.eval_shape(lambda: jnp.zeros((problem.grid,) * 3))
    return len(atom_search.make_problem(jnp.ones(maps.shape), problem).exact_model.index)


def _ended(problem: Problem, seed: int, cases: int, searches: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of all searches: whether all atoms are within a voxel, chi^2, and the status."""
    def one(number):
        key = jax.random.fold_in(jax.random.key(seed), number // searches)  # of the case
        key_atoms, key_noise, key_search = jax.random.split(key, 3)
        true, _ = random_atoms(key_atoms, problem.atoms)
        measured = synthesis.measure_patterson(key_noise, true, problem)
        found = atom_search.search_atoms(jax.random.fold_in(key_search, number), measured, problem, _HASTY)
        matching = metrics.match(found.answer.atoms.positions, true, cutoff=1.0)
        return matching.matched.all(), found.answer.quality.chi_squared, found.status

    run = jax.jit(lambda numbers: jax.lax.map(one, numbers))
    numbers = jnp.arange(cases * searches)
    with compiling_for_one_core():
        compiled = run.lower(numbers).compile()
    return tuple(map(np.asarray, compiled(numbers)))
