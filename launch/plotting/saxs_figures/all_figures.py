"""The figures of the SAXS paper, one function each: it takes where to write and what to draw."""

import functools
import pathlib
from typing import NamedTuple

import numpy as np

from launch.plotting import runs, style
from launch.plotting.missing import Missing
from launch.plotting.saxs_figures import render, shapes
from launch.reconstruction import reference as references
from phasenet.io.ccp4 import read_map
from saxsae import pretrained
from saxsae.io.curves.measured_curves import read_curve
from saxsae.reconstruction import Reconstruction, decode_shapes, reconstruct
from saxsae.shapes import voxels

_ELITES = 20  # whose correlations figure 2a averages, as in the paper
_LEVELS = (0.95, 0.90, 0.85, 0.75)  # of correlation, shown in figure 2f where there is a case near


class ReconstructionRun(NamedTuple):
    """A reconstruction with its populations on the way: generation and (latents, radii) of the best run's elites."""

    reference: references.Reference
    found: Reconstruction
    placed: references.Placed
    generations: np.ndarray
    correlations: np.ndarray

    @staticmethod
    @functools.lru_cache(maxsize=1)
    def of(profile: str, structure: str, weights_name: str, num_models: int, seed: int) -> "ReconstructionRun":
        """Reconstructs the curve and compares the elites of each stage with the reference."""
        curve, reference = read_curve(profile), references.read_reference(structure)
        weights, stages = pretrained.load(weights_name), []
        found = reconstruct(curve, weights, num_models=num_models, seed=seed, progress=stages.append)
        comparison = references.Comparison(reference)
        best = int(np.argmin(stages[-1].chi_squared[:, 0]))
        generations, correlations = [], []
        for stage in stages:
            maps = np.asarray(decode_shapes(weights.network, weights.params, weights.threshold,
                                            stage.latents[best, :_ELITES]), np.float32)
            pitches = voxels.pitch(stage.radii[best, :_ELITES])
            scores = [comparison.correlation(one, float(pitch)) for one, pitch in zip(maps, pitches, strict=True)]
            generations.append(int(stage.generation[best]))
            correlations.append(np.mean(scores))
        return ReconstructionRun(reference, found, comparison.place(found.density, found.pitch_angstrom), np.array(generations),
                   np.array(correlations))


def saxs1a(path: pathlib.Path, structure: str) -> None:
    """A structure, and the voxels near any of its atoms."""
    reference = references.read_reference(structure)
    xyz, r_max = voxels.centre_and_radius(reference.structure.xyz_angstrom)
    occupancy, _ = voxels.voxelize_structure(xyz, reference.spacing)
    pitch = float(voxels.pitch(r_max))
    balls = shapes.as_balls(xyz, reference.spacing)
    _, rotation = render.principal_axes(xyz, np.ones(len(xyz)))
    view = render.View(rotation, 1.15 * r_max)
    with style.figure(path, 6.4, 3.4) as figure:
        left, right = figure.subplots(1, 2)
        colours = shapes.rainbow(len(balls.xyz))
        left.imshow(render.paint(view, [render.spheres(balls.xyz, balls.radius, view, colours)]))
        right.imshow(render.paint(view, [render.cubes(occupancy, pitch, view, style.BLUE)]))
        left.set_title(f"{len(xyz)} atoms or beads")
        right.set_title(f"{int(occupancy.sum())} of 31$^3$ voxels of {pitch:.2f} {style.ANGSTROM}")
        for axes in (left, right):
            style.picture(axes)


def saxs1b(path: pathlib.Path, weights_name: str) -> None:
    """The published network and the one of the weights, layer by layer."""
    columns = [("published", [
        "32$^3$ occupancy", "conv 3$^3$ 64, 64, ReLU, pool", "conv 3$^3$ 128, 128, ReLU, pool",
        "conv 3$^3$ 128, 128, 128, ReLU", "dense, ReLU", "200 numbers", "dense 16,384, ReLU: 8$^3$ x 32",
        "transposed conv 5$^3$ 64, ReLU: 16$^3$", "transposed conv 5$^3$ 128, ReLU: 32$^3$", "conv 3$^3$ 1, sigmoid"]),
        ("lean", [
            "32$^3$ occupancy", "mean of 2$^3$ blocks in the sphere: 2,046",
            "dense 1024, ReLU, dense 512, ReLU, dense", "+ linear", "200 numbers",
            "dense 1024, ReLU, dense 256, ReLU", "dense to 14,147 voxels of the sphere", "+ linear, sigmoid"])]
    used = pretrained.load(weights_name).info["kind"]
    with style.figure(path, 6.8, 4.4) as figure:
        for axes, (name, layers) in zip(figure.subplots(1, 2), columns, strict=True):
            for row, text in enumerate(layers):
                y = 1 - (row + 0.5) / 10
                latent = text == "200 numbers"
                axes.text(0.5, y, text, ha="center", va="center", fontsize=8, bbox={
                    "boxstyle": "round,pad=0.35", "facecolor": style.ORANGE if latent else "#e8eef6",
                    "edgecolor": style.GREY, "linewidth": 0.6})
                if row:
                    axes.annotate("", (0.5, y + 0.032), (0.5, y + 0.07),
                                  arrowprops={"arrowstyle": "-|>", "color": style.GREY, "linewidth": 0.8})
            axes.set_title(f"{name} (these weights)" if name == used else name)
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1)
            style.picture(axes)


def saxs1c(path: pathlib.Path, results: list[dict]) -> None:
    """Histogram of the auto-encoder's correlations beside the linear code's."""
    items = _only(results, "autoencoder")[0]["items"]
    with style.figure(path, 4.4, 3.2) as figure:
        axes = figure.subplots()
        edges = np.linspace(0.3, 1, 29)
        for key, colour, label in (("pca200", style.LIGHT, "200 principal components"),
                                   ("correlation", style.BLUE, "auto-encoder")):
            values = [item[key] for item in items]
            axes.hist(values, edges, color=colour, alpha=0.75, label=f"{label}, mean {np.mean(values):.3f}")
        axes.set_xlabel("correlation of input and decoded map")
        axes.set_ylabel("structures")
        axes.legend(loc="upper left")


def saxs1d(path: pathlib.Path, weights_name: str) -> None:
    """The first four latent numbers over the training maps."""
    bank = pretrained.load(weights_name).latents.bank
    with style.figure(path, 6.6, 2.0) as figure:
        for number, axes in enumerate(figure.subplots(1, 4, sharey=True)):
            axes.hist(bank[:, number], 40, color=style.BLUE)
            axes.set_xlabel(f"latent number {number + 1}")
            axes.set_yticks([])


def saxs2a(path: pathlib.Path, run: ReconstructionRun) -> None:
    """chi^2 by generation, and the mean correlation of the best run's top 20."""
    with style.figure(path, 5.2, 3.6) as figure:
        history = run.found.history
        runs.convergence(figure.subplots(), history.best, history.elites, (run.generations, run.correlations),
                         f"mean of the best run's top {_ELITES}")


def saxs2b(path: pathlib.Path, run: ReconstructionRun) -> None:
    """The best model's curve on the measured one."""
    found = run.found
    with style.figure(path, 5.2, 4.6) as figure:
        runs.fit(figure, found.q_inv_angstrom, found.intensity, found.sigma, found.fit, found.chi_squared,
                 found.guinier)


def saxs2c(path: pathlib.Path, run: ReconstructionRun) -> None:
    """The mean map over the reference, in two orientations."""
    with style.figure(path, 6.4, 3.4) as figure:
        _on_reference(figure.subplots(1, 2), run.reference, run.placed, run.found.pitch_angstrom)


def saxs2d(path: pathlib.Path, results: list[dict]) -> None:
    """Histogram of correlations, with the radius given and without."""
    with style.figure(path, 4.4, 3.2) as figure:
        axes = figure.subplots()
        for result in _only(results, "reconstruction", "simulated"):
            values = [item["correlation"] for item in result["items"] if "correlation" in item]
            given = result.get("given_radius")
            axes.hist(values, np.linspace(0.4, 1, 25), alpha=0.6, color=style.BLUE if given else style.RED,
                      label=f"{result['task']}, radius {'given' if given else 'free'}, mean {np.mean(values):.3f}")
        axes.set_xlabel("correlation of map and reference")
        axes.set_ylabel("curves")
        axes.legend(loc="upper left")


def saxs2e(path: pathlib.Path, results: list[dict]) -> None:
    """Radii found against the references'."""
    free = [result for result in _only(results, "reconstruction", "simulated") if not result.get("given_radius")]
    if not free:
        raise Missing("--results holds no evaluation with a free radius")
    with style.figure(path, 3.6, 3.4) as figure:
        axes = figure.subplots()
        top = 0.0
        for result, colour in zip(free, (style.RED, style.BLUE, style.GREEN, style.ORANGE), strict=False):
            x, y = (np.array([item[key] for item in result["items"] if "correlation" in item])
                    for key in ("reference_radius_angstrom", "radius_angstrom"))
            axes.plot(x, y, "o", markersize=4, color=colour, label=result["task"])
            top = max(top, x.max(), y.max())
        axes.plot([0, 1.05 * top], [0, 1.05 * top], color=style.GREY, linewidth=0.8)
        axes.set_xlabel(f"$r_{{max}}$ of the reference ({style.ANGSTROM})")
        axes.set_ylabel(f"$r_{{max}}$ found ({style.ANGSTROM})")
        axes.set_aspect("equal")
        axes.legend(loc="upper left")


def saxs2f(path: pathlib.Path, results: list[dict], pairs: str | None, maps: str | None) -> None:
    """Maps over their references at several levels of correlation."""
    if pairs is None or maps is None:
        raise Missing("needs --pairs, and --maps: the --maps_dir of the evaluation")
    items = [item for item in _only(results, "reconstruction")[0]["items"] if "correlation" in item]
    values = np.array([item["correlation"] for item in items])
    chosen = list(dict.fromkeys(int(np.abs(values - level).argmin()) for level in _LEVELS))
    with style.figure(path, 2.2 * len(chosen), 4.6) as figure:
        panels = figure.subplots(2, len(chosen), squeeze=False)
        for column, index in enumerate(chosen):
            name = items[index]["id"]
            density, pitch, _ = read_map(pathlib.Path(maps) / f"{name}.ccp4")
            pitch = float(np.ravel(pitch)[0])
            reference = references.read_reference(str(next((pathlib.Path(pairs) / name).glob("reference.*"))))
            placed = references.Comparison(reference).place(density, pitch)
            _on_reference(panels[:, column], reference, placed, pitch)
            panels[0, column].set_title(f"{name}\ncorrelation {values[index]:.2f}")


def _on_reference(panels, reference: references.Reference, placed: references.Placed, pitch: float) -> None:
    balls = shapes.as_balls(reference.structure.xyz_angstrom - placed.centre, reference.spacing)
    level = shapes.equal_volume_level(placed.density)
    frame = shapes.principal_frame(placed.density, pitch, level, balls)
    for axes, side in zip(panels, ("front", "top"), strict=True):
        shapes.view(axes, frame, side, placed.density, pitch, level, balls)
    style.scale_bar(panels[0])


def _only(results: list[dict], *tasks: str) -> list[dict]:
    kept = [result for result in results if result["task"] in tasks]
    if not kept:
        raise Missing(f"needs --results=FILE.json of launch.evaluate --task={' or '.join(tasks)}")
    return kept
