"""Draws figures 7 to 9b of the Patterson paper: losses of trainings, read from their workdirs."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter

from launch.plotting import style
from launch.training.writers import read_metrics
from phasenet import pretrained
from phasenet.errors import InputError
from phasenet.maps import synthesis
from phasenet.networks import published as model
from phasenet.networks.dense import DenseArchitecture
from phasenet.networks.dual_space import DualSpaceArchitecture

# The paper's experiments by the names of their configs, and their colours.
RUNS = {"baseline": style.BLUE, "single10": style.ORANGE, "single20": style.RED, "box18": style.GREEN,
        "box24": style.ORANGE, "batch_norm": style.ORANGE}
_EXAMPLES = 16  # examples whose maps give the loss of an empty map
_MAX_POINTS = 400  # largest number of points of a curve
_UNIT = 1e4  # losses are of the order of 1 / _UNIT, because few voxels hold atoms


class TrainingRun(NamedTuple):
    """A training and its losses, mean squared errors per voxel.

    Attributes:
      name: a key of `RUNS`.
      problem: the problem whose maps the network was trained on.
      architecture: architecture of the network.
      edge: voxels per edge of the part of the maps over which the losses are means.
      epoch: steps for as many examples as the training set has; 0 where every example was new.
      steps: (n,) steps at which the training loss was written.
      loss: (n,) training loss.
      eval_steps: (m,) steps at which the validation loss was written.
      eval_loss: (m,) validation loss.
    """

    name: str
    problem: synthesis.Problem
    architecture: pretrained.Architecture
    edge: int
    epoch: float
    steps: np.ndarray
    loss: np.ndarray
    eval_steps: np.ndarray
    eval_loss: np.ndarray


def read_run(name: str, workdir: str) -> TrainingRun:
    """Reads the losses of a training.

    Args:
      name: a key of `RUNS`.
      workdir: folder that `launch.train` wrote, or the name of released weights with the losses of their training.

    Raises:
      InputError: the folder has no losses, or no weights (from which the problem and the network are read).
    """
    folder = pathlib.Path(workdir)
    path = next((path for path in (pretrained.WEIGHTS / workdir / "training.jsonl", folder / "metrics.jsonl",
                                   folder / "training.jsonl") if path.is_file()), None)
    if path is None:
        raise InputError(f"{workdir}: not a workdir of launch.train: it has no metrics.jsonl")
    try:
        rows = read_metrics(path.parent, path.name)
        series = [np.array([(row["step"], row[key]) for row in rows if key in row], float).reshape(-1, 2).T
                  for key in ("loss", "eval/loss")]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not rows of a training ({error})") from error
    if not series[0].size:
        raise InputError(f"{path}: no losses in it yet")
    if path.name == "metrics.jsonl" and not (folder / "weights" / "config.json").is_file():
        raise InputError(f"{workdir}: no weights in it yet (they come with the first evaluation)")
    weights = pretrained.load(workdir)
    config = {"loss_factor": 1.0, "batch_size": 1, "examples": {"count": 0}, "model": {}} | weights.info.get(
        "config", {})
    edge = weights.problem.grid
    if config["model"].get("symmetry", "none") != "none":  # then the losses are means over the window
        edge = min(getattr(weights.architecture, "window", 0) or edge, edge)
    factor, epoch = config["loss_factor"], config["examples"]["count"] / config["batch_size"]
    (steps, loss), (eval_steps, eval_loss) = series
    return TrainingRun(name, weights.problem, weights.architecture, edge, epoch, steps, loss / factor, eval_steps,
                       eval_loss / factor)


def patterson7(path: pathlib.Path, run: TrainingRun) -> None:
    """Draws training and validation loss of one run.

    Good: both losses fall far below the dotted line of an empty map, and stay together. Bad: the validation loss rises.

    Args:
      path: the picture to write.
      run: the training.
    """
    with style.figure(path, 5.2, 3.4) as figure:
        axes = figure.subplots()
        _curves(axes, run, style.RED, style.BLUE)
        _finish(axes, run)
        axes.legend(handles=[Line2D([], [], color=style.RED, label="training"),
                             Line2D([], [], color=style.BLUE, linestyle="--", label="validation"), *_named(axes)])


def patterson8(path: pathlib.Path, runs: list[TrainingRun]) -> None:
    """Draws the losses of networks that show atoms with and without their inverses.

    Args:
      path: the picture to write.
      runs: the trainings, the baseline first; losses are scaled to the number of atoms of the baseline.
    """
    def label(run: TrainingRun, factor: float) -> str:
        what = "atoms and inverses" if run.problem.target == "pair" else "no inverses"
        return f"{run.problem.atoms.num_atoms} atoms, {what}{f', loss x {factor:g}' if factor != 1 else ''}"
    _compare(path, runs, label)


def patterson9(path: pathlib.Path, runs: list[TrainingRun]) -> None:
    """Draws the losses for inner boxes of several sizes.

    Args:
      path: the picture to write.
      runs: the trainings, the baseline first.
    """
    _compare(path, runs, lambda run, _: f"inner box {run.problem.atoms.inner_box:g} of {run.problem.grid}")


def patterson9b(path: pathlib.Path, runs: list[TrainingRun]) -> None:
    """Draws the losses with and without batch normalization.

    Args:
      path: the picture to write.
      runs: the trainings, the baseline first.
    """
    def label(run: TrainingRun, _: float) -> str:
        return f"{'with' if getattr(run.architecture, 'batch_norm', False) else 'without'} batch normalization"

    _compare(path, runs, label)


def _compare(path: pathlib.Path, runs: list[TrainingRun], label: Callable[[TrainingRun, float], str]) -> None:
    """Draws the losses of several runs; label(run, factor) names a run whose losses are multiplied by a factor."""
    with style.figure(path, 5.2, 3.9) as figure:
        axes = figure.subplots()
        handles = []
        for run in runs:
            colour = RUNS[run.name]
            # Scaled to the first run's number of atoms, as in the paper, so that the losses can be compared.
            factor = _atoms(runs[0].problem) / _atoms(run.problem)
            _curves(axes, run, colour, colour, factor)
            handles.append(Line2D([], [], color=colour, label=label(run, factor)))
        _finish(axes, runs[0])
        handles += [Line2D([], [], linestyle="none", label=" ")] * (3 - len(runs))  # the runs fill the first column
        handles += [Line2D([], [], color=style.GREY, label="training"),
                    Line2D([], [], color=style.GREY, linestyle="--", label="validation"), *_named(axes)]
        axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)


def _curves(axes: Axes, run: TrainingRun, training: str, validation: str, factor: float = 1.0) -> None:
    """Draws training and validation loss of a run in two colours, multiplied by a factor."""
    factor = factor * _UNIT
    per = run.epoch or 1.0
    axes.plot(*_thinned(run.steps / per, factor * run.loss), color=training, linewidth=1.1, alpha=0.75)
    axes.plot(run.eval_steps / per, factor * run.eval_loss, color=validation, linestyle="--", linewidth=1.4, zorder=3,
              marker="o" if len(run.eval_steps) == 1 else None, markersize=3)


def _finish(axes: Axes, run: TrainingRun) -> None:
    """Draws the loss of an empty map, and sets scales, labels and title."""
    # A network whose loss stays above this line has learned nothing.
    empty_loss = _empty_loss(run.problem) * (run.problem.grid / run.edge) ** 3  # the target is 0 outside that part
    axes.axhline(_UNIT * empty_loss, color=style.GREY, linewidth=1, linestyle=":", label="an empty map")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7) if high < 30 * low else (1, 3)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("mean squared error ($10^{-4}$)")
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel("epochs" if run.epoch else "training step")
    axes.margins(x=0.02)
    axes.set_title(describe_run(run))


def _named(axes: Axes) -> list[Any]:
    """Returns the lines that have a label."""
    return axes.get_legend_handles_labels()[0]


def _atoms(problem: synthesis.Problem) -> int:
    """Returns the number of atoms in the network's map."""
    return problem.atoms.num_atoms * (2 if problem.target == "pair" else 1)


def describe_run(run: TrainingRun) -> str:
    """Returns the problem and the network of a run in two lines, marked where smaller than the published experiment."""
    problem, arch, published = run.problem, run.architecture, synthesis.Problem()
    small = problem.grid < published.grid or problem.atoms.num_atoms < published.atoms.num_atoms
    if isinstance(arch, DenseArchitecture):
        network = f"dense network, {arch.width} wide, {arch.blocks} blocks"
    elif isinstance(arch, DualSpaceArchitecture):
        network = f"dual-space network, {arch.width} wide, {arch.rounds} rounds"
    elif arch._replace(batch_norm=False, window=model.PUBLISHED.window) == model.PUBLISHED:
        network = "the published network"
    else:
        network = (f"{arch.features} features, kernels {arch.outer_kernel}$^3$ and {arch.inner_kernel}$^3$, "
                   f"{arch.inner_layers} inner layers{', shortcuts' if arch.skip else ''}")
        small |= arch.features < model.PUBLISHED.features
    return (f"{'at a small scale: ' if small else ''}{problem.atoms.num_atoms} atoms in "
            f"{problem.atoms.inner_box:g}$^3$ of {problem.grid}$^3$ voxels,\n{network}")


def _thinned(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns at most `_MAX_POINTS` means of neighbouring points, so that the noise does not hide the curve."""
    each = -(-len(steps) // _MAX_POINTS)
    kept = len(steps) // each * each
    return steps[:kept].reshape(-1, each)[:, -1], values[:kept].reshape(-1, each).mean(1)


@functools.lru_cache
def _empty_loss(problem: synthesis.Problem) -> float:
    """Returns the mean squared error of an empty map for random examples of a problem."""
    keys = jax.random.split(jax.random.key(0), _EXAMPLES)
    positions = jax.lax.map(lambda key: synthesis.make_example(key, problem).positions, keys)
    return float(np.mean([np.square(synthesis.network_target(atoms, problem)).mean() for atoms in positions]))
