"""Losses of Patterson networks over their trainings, from the metrics of their workdirs."""

import functools
import pathlib
from collections.abc import Callable
from typing import NamedTuple

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

# The paper's experiments, and their colours.
RUNS = {"baseline": style.BLUE, "single10": style.ORANGE, "single20": style.RED, "box18": style.GREEN,
        "box24": style.ORANGE, "batch_norm": style.ORANGE}
_EXAMPLES = 16  # whose maps say what an empty map costs
_MOST_POINTS = 400  # of a curve
_UNIT = 1e4  # losses are of the order of its inverse: few voxels hold atoms


class TrainingRun(NamedTuple):
    """A training: what it was of, and its losses by step, as mean squared errors.

    epoch: steps until it has seen as many examples as there are at a time; 0 where each was new.
    """

    name: str
    problem: synthesis.Problem
    architecture: pretrained.Architecture
    epoch: float
    steps: np.ndarray
    loss: np.ndarray
    eval_steps: np.ndarray
    eval_loss: np.ndarray


def read_run(name: str, workdir: str) -> TrainingRun:
    """Reads a workdir. Raises InputError where it holds no losses, or no weights, which say what they are losses of."""
    folder = pathlib.Path(workdir)
    if not (folder / "metrics.jsonl").is_file():
        raise InputError(f"{workdir}: not a workdir of launch.train, it has no metrics.jsonl")
    try:
        rows = read_metrics(folder)
        series = [np.array([(row["step"], row[key]) for row in rows if key in row], float).reshape(-1, 2).T
                  for key in ("loss", "eval/loss")]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder / 'metrics.jsonl'}: not rows of a training ({error})") from error
    if not series[0].size:
        raise InputError(f"{folder / 'metrics.jsonl'}: no losses in it yet")
    if not (folder / "weights" / "config.json").is_file():
        raise InputError(f"{workdir}: no weights in it yet (they come with the first evaluation)")
    weights = pretrained.load(str(folder))
    config = {"loss_factor": 1.0, "batch_size": 1, "examples": {"count": 0}} | weights.info.get("config", {})
    factor, epoch = config["loss_factor"], config["examples"]["count"] / config["batch_size"]
    (steps, loss), (eval_steps, eval_loss) = series
    return TrainingRun(name, weights.problem, weights.architecture, epoch, steps, loss / factor, eval_steps, eval_loss / factor)


def patterson7(path: pathlib.Path, run: TrainingRun) -> None:
    """Training and validation loss of one run."""
    with style.figure(path, 5.2, 3.4) as figure:
        axes = figure.subplots()
        _curves(axes, run, style.RED, style.BLUE)
        _finish(axes, run)
        axes.legend(handles=[Line2D([], [], color=style.RED, label="training"),
                             Line2D([], [], color=style.BLUE, linestyle="--", label="validation"), *_named(axes)])


def patterson8(path: pathlib.Path, runs: list[TrainingRun]) -> None:
    """With and without the inverses of the atoms in the answer."""
    def label(run, factor):
        what = "atoms and inverses" if run.problem.target == "pair" else "no inverses"
        return f"{run.problem.atoms.num_atoms} atoms, {what}{f', loss x {factor:g}' if factor != 1 else ''}"
    _compare(path, runs, label)


def patterson9(path: pathlib.Path, runs: list[TrainingRun]) -> None:
    """Inner boxes of several sizes."""
    _compare(path, runs, lambda run, _: f"inner box {run.problem.atoms.inner_box:g} of {run.problem.grid}")


def patterson9b(path: pathlib.Path, runs: list[TrainingRun]) -> None:
    """With and without batch normalization."""
    def label(run, _):
        return f"{'with' if getattr(run.architecture, 'batch_norm', False) else 'without'} batch normalization"

    _compare(path, runs, label)


def _compare(path: pathlib.Path, runs: list[TrainingRun], label: Callable[[TrainingRun, float], str]) -> None:
    with style.figure(path, 5.2, 3.9) as figure:
        axes = figure.subplots()
        handles = []
        for run in runs:
            colour = RUNS[run.name]
            # As in the paper: per as many atoms as the first run's, so that losses compare.
            factor = _atoms(runs[0].problem) / _atoms(run.problem)
            _curves(axes, run, colour, colour, factor)
            handles.append(Line2D([], [], color=colour, label=label(run, factor)))
        _finish(axes, runs[0])
        handles += [Line2D([], [], linestyle="none", label=" ")] * (3 - len(runs))  # the runs fill the first column
        handles += [Line2D([], [], color=style.GREY, label="training"),
                    Line2D([], [], color=style.GREY, linestyle="--", label="validation"), *_named(axes)]
        axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)


def _curves(axes: Axes, run: TrainingRun, training: str, validation: str, factor: float = 1.0) -> None:
    factor = factor * _UNIT
    per = run.epoch or 1.0
    axes.plot(*_thinned(run.steps / per, factor * run.loss), color=training, linewidth=1.1, alpha=0.75)
    axes.plot(run.eval_steps / per, factor * run.eval_loss, color=validation, linestyle="--", linewidth=1.4, zorder=3,
              marker="o" if len(run.eval_steps) == 1 else None, markersize=3)


def _finish(axes: Axes, run: TrainingRun) -> None:
    # What is not below it was not learned.
    axes.axhline(_UNIT * _empty_loss(run.problem), color=style.GREY, linewidth=1, linestyle=":", label="an empty map")
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
    axes.set_title(scale(run))


def _named(axes: Axes) -> list:
    return axes.get_legend_handles_labels()[0]


def _atoms(problem: synthesis.Problem) -> int:
    """How many atoms the network's answer holds."""
    return problem.atoms.num_atoms * (2 if problem.target == "pair" else 1)


def scale(run: TrainingRun) -> str:
    """What a run is of, in two lines; said first where it is smaller than the published experiment."""
    problem, arch, published = run.problem, run.architecture, synthesis.Problem()
    small = problem.grid < published.grid or problem.atoms.num_atoms < published.atoms.num_atoms
    if isinstance(arch, DenseArchitecture):
        network = f"dense network, {arch.width} wide, {arch.blocks} blocks"
    elif arch._replace(batch_norm=False) == model.PUBLISHED:
        network = "the published network"
    else:
        network = (f"{arch.features} features, kernels {arch.outer_kernel}$^3$ and {arch.inner_kernel}$^3$, "
                   f"{arch.inner_layers} inner layers{', shortcuts' if arch.skip else ''}")
        small |= arch.features < model.PUBLISHED.features
    return (f"{'at a small scale: ' if small else ''}{problem.atoms.num_atoms} atoms in "
            f"{problem.atoms.inner_box:g}$^3$ of {problem.grid}$^3$ voxels,\n{network}")


def _thinned(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of neighbours, so that no curve is a band of noise."""
    each = -(-len(steps) // _MOST_POINTS)
    kept = len(steps) // each * each
    return steps[:kept].reshape(-1, each)[:, -1], values[:kept].reshape(-1, each).mean(1)


@functools.lru_cache
def _empty_loss(problem: synthesis.Problem) -> float:
    keys = jax.random.split(jax.random.key(0), _EXAMPLES)
    positions = jax.lax.map(lambda key: synthesis.make_example(key, problem).positions, keys)
    return float(np.mean([np.square(synthesis.target(atoms, problem)).mean() for atoms in positions]))
