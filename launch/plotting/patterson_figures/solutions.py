"""Draws figures 11 and 12 of the Patterson paper: the annealer's error by swaps, and distances from the true atoms."""

import pathlib
from typing import Any

import jax
import numpy as np

from launch.plotting import style
from phasenet.errors import InputError
from phasenet.maps import synthesis
from phasenet.pretrained import Pretrained
from phasenet.search import network_stage

_CASES = 7  # of figure 11
_BIN = 0.05  # voxels, of figure 12
# From dark to light, so that the colours differ in grey too.
_COLOURS = ("#440154", "#443983", "#31688e", "#21918c", "#35b779", "#8fd744", "#d9b400")


def patterson11(path: pathlib.Path, weights: Pretrained, seed: int,
                settings: network_stage.NetworkSettings = network_stage.NetworkSettings()) -> None:
    """Draws the error of the Patterson map while the annealer swaps atoms: the best chain of each of 7 cases.

    Good: the line drops to a low level. Bad: the line stays at its first level.

    Args:
      path: the picture to write.
      weights: weights of the network that gives the candidates; the cases are drawn from their problem.
      seed: seed of the cases.
      settings: settings of the network stage.
    """
    problem = weights.problem

    def errors(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        key_case, key_noise, key_solver = jax.random.split(key, 3)
        atoms = synthesis.make_example(key_case, problem).positions
        measured = synthesis.simulate_patterson(key_noise, atoms, problem)
        found = network_stage.solve_with_network(key_solver, measured, weights.compute_occupancy, problem, settings)
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


def patterson12(path: pathlib.Path, results: list[dict[str, Any]]) -> None:
    """Draws histograms of the distances of matched atoms from the true ones.

    Good: the mean is a small part of a voxel, and all atoms are matched.

    Args:
      path: the picture to write.
      results: contents of JSON files of `launch.evaluate --task=phasing`, one panel each.

    Raises:
      InputError: if a result is not from that evaluation, or matched no atom.
    """
    with style.figure(path, 4.8, 2.9 * len(results)) as figure:
        for axes, result in zip(np.ravel(figure.subplots(len(results), 1)), results, strict=True):
            distances, matched, atoms = matched_distances(result)
            # The last bin holds everything beyond it.
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
            axes.set_title(f"{matched:,} of {atoms:,} atoms matched in {len(result['items'])} maps"
                           f"{_describe_problem(result)}")
            axes.set_xlabel("distance from the true atom (voxels)")
            axes.set_ylabel("atoms")


def matched_distances(result: dict[str, Any]) -> tuple[np.ndarray, int, int]:
    """Returns the distances (n,) of the matched atoms, voxels, the number n, and the number of all atoms.

    Args:
      result: as in `patterson12`.

    Raises:
      InputError: if the result is not from `launch.evaluate --task=phasing`, or matched no atom.
    """
    items = result["items"]
    try:
        distances = np.concatenate([np.asarray(item["distances"], float) for item in items])
        atoms = int(result["summary"]["atoms"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"--results: not what launch.evaluate --task=phasing writes ({error})") from error
    if not len(distances):
        raise InputError("--results: no atom was matched")
    return distances, len(distances), atoms


def _describe_problem(result: dict[str, Any]) -> str:
    """Returns a second line with the problem and the stages that solved it; empty where the file lacks them."""
    try:
        problem, way = result["problem"], [*result["stages"], f"atoms by {result['settings']['picker']}"]
        return (f"\n{problem['atoms']['num_atoms']} atoms in {problem['atoms']['inner_box']:g}$^3$ of "
                f"{problem['grid']}$^3$ voxels; {', '.join(way)}")
    except (KeyError, TypeError, ValueError):
        return ""
