"""From maps to atoms: how the annealer comes down, and how far the atoms lie from where they should."""

import pathlib

import jax
import numpy as np

from launch.plotting import style
from phasenet.errors import InputError
from phasenet.maps import synthesis
from phasenet.pretrained import Pretrained
from phasenet.search import network_stage

_CASES = 7  # of figure 11
_BIN = 0.05  # voxels, of figure 12
# Dark to light, told apart in grey too.
_COLOURS = ("#440154", "#443983", "#31688e", "#21918c", "#35b779", "#8fd744", "#d9b400")


def patterson11(path: pathlib.Path, weights: Pretrained, seed: int,
                settings: network_stage.NetworkSettings = network_stage.NetworkSettings()) -> None:
    """Error between true and found Patterson map while atoms are swapped: the best chain of each of 7 cases."""
    problem = weights.problem

    def errors(key):
        key_case, key_noise, key_solver = jax.random.split(key, 3)
        atoms = synthesis.make_example(key_case, problem).positions
        measured = synthesis.measure_patterson(key_noise, atoms, problem)
        found = network_stage.solve_with_network(key_solver, measured, weights.answer, problem, settings)
        return found.errors[found.errors[:, -1].argmin()], found.candidates.valid.sum()

    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 11), _CASES)
    curves, counts = jax.jit(lambda keys: jax.lax.map(errors, keys))(keys)
    curves = np.asarray(curves) / problem.grid**3
    with style.figure(path, 5.6, 3.4) as figure:
        axes = figure.subplots()
        swaps = np.arange(1, curves.shape[1] + 1)
        for number, (curve, count, colour) in enumerate(zip(curves, np.asarray(counts), _COLOURS, strict=True)):
            axes.plot(swaps, curve, color=colour, linewidth=1.2, drawstyle="steps-post", label=f"{number + 1}: {count}")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_yscale("log")
        axes.set_xlabel("swaps tried")
        axes.set_ylabel("mean squared error of the Patterson map")
        axes.set_title(f"{problem.atoms.num_atoms} atoms chosen from the candidates, best of {settings.num_chains} "
                       "chains")
        axes.margins(x=0.02)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), title="case: candidates", title_fontsize=8)


def patterson12(path: pathlib.Path, results: list[dict]) -> None:
    """Distances of matched atoms from the true ones, for each result of launch.evaluate --task=phasing."""
    with style.figure(path, 4.8, 2.9 * len(results)) as figure:
        for axes, result in zip(np.ravel(figure.subplots(len(results), 1)), results, strict=True):
            distances, matched, atoms = accuracy(result)
            # The last bin holds all beyond it.
            last = max(1.0, np.ceil(np.quantile(distances, 0.995) * 10) / 10)
            axes.hist(np.minimum(distances, last + _BIN / 2), np.arange(0, last + 1.5 * _BIN, _BIN), color=style.BLUE,
                      edgecolor="white", linewidth=0.3)
            mean = distances.mean()
            axes.axvline(mean, color=style.RED, linestyle="--", linewidth=1.2)
            axes.text(mean + 0.01 * last, 0.97, f"mean {mean:.3f}", color=style.RED, fontsize=8, va="top",
                      transform=axes.get_xaxis_transform())
            beyond = int((distances > last).sum())
            if beyond:
                axes.text(0.99, 0.12, f"{beyond} beyond {last:g}", fontsize=8, ha="right", transform=axes.transAxes)
            axes.set_title(f"{matched:,} of {atoms:,} atoms matched in {len(result['items'])} maps{_of(result)}")
            axes.set_xlabel("distance from the true atom (voxels)")
            axes.set_ylabel("atoms")


def accuracy(result: dict) -> tuple[np.ndarray, int, int]:
    """Distances of the matched atoms (voxels), how many there are, and of how many atoms."""
    items = result["items"]
    try:
        distances = np.concatenate([np.asarray(item["distances"], float) for item in items])
        atoms = int(result["summary"]["atoms"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"--results: not what launch.evaluate --task=phasing writes ({error})") from error
    if not len(distances):
        raise InputError("--results: no atom was matched")
    return distances, len(distances), atoms


def _of(result: dict) -> str:
    """A second line: the problem and the way to its solution; empty where the file does not tell."""
    try:
        problem, way = result["problem"], [*result["stages"], f"atoms by {result['settings']['picker']}"]
        return (f"\n{problem['atoms']['num_atoms']} atoms in {problem['atoms']['inner_box']:g}$^3$ of "
                f"{problem['grid']}$^3$ voxels; {', '.join(way)}")
    except (KeyError, TypeError, ValueError):
        return ""
