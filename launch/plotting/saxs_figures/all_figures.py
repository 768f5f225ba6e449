"""Draws the figures of the SAXS paper, one function for each; `launch.figures` calls them."""

import functools
import pathlib
from typing import Any, NamedTuple

import numpy as np

from launch.plotting import runs, style
from launch.plotting.missing import MissingInput
from launch.plotting.saxs_figures import render, shapes
from launch.reconstruction import reference as references
from phasenet.io.ccp4 import read_map
from saxsae import pretrained
from saxsae.genetic import EvolutionState
from saxsae.genetic_search import decode_shapes
from saxsae.io.curves.measured_curves import read_curve
from saxsae.reconstruction import Reconstruction, reconstruct
from saxsae.shapes import voxels

_ELITES = 20  # models whose correlations figure 2a averages, as in the paper
_CORRELATION_STEP = 0.025  # of the histogram of figure 2d
_LEVELS = (0.95, 0.90, 0.85, 0.75)  # figure 2f shows the case whose correlation is nearest to each


class ReconstructionRun(NamedTuple):
    """A reconstruction and the correlation of its elites with the reference by generation, for figures 2a to 2c.

    Attributes:
      reference: the known structure.
      found: the reconstruction.
      placed: the mean map superposed on the reference.
      generations: (C,) numbers of the generations that the search reported.
      correlations: (C,) mean correlation of the best run's elites with the reference in each of these generations.
    """

    reference: references.Reference
    found: Reconstruction
    placed: references.PlacedMap
    generations: np.ndarray
    correlations: np.ndarray

    @staticmethod
    @functools.lru_cache(maxsize=1)
    def of(profile: str, structure: str, weights_name: str, num_models: int | None, seed: int) -> "ReconstructionRun":
        """Reconstructs a curve, and compares the elites of each reported generation with the reference.

        Args:
          profile: file of the curve.
          structure: file of the known structure.
          weights_name: name or folder of the auto-encoder's weights.
          num_models: number of models; None for the default of `reconstruct`.
          seed: seed of the searches.
        """
        curve, reference = read_curve(profile), references.read_reference(structure)
        weights = pretrained.load(weights_name)
        stages: list[EvolutionState] = []
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
        placed = comparison.place(found.density, found.pitch_angstrom)
        return ReconstructionRun(reference, found, placed, np.array(generations), np.array(correlations))


def saxs1a(path: pathlib.Path, structure: str) -> None:
    """Draws a structure, and the voxels near its atoms.

    Args:
      path: the picture to write.
      structure: file of the structure.
    """
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
        left.imshow(render.paint(view, [render.render_spheres(balls.xyz, balls.radius, view, colours)]))
        right.imshow(render.paint(view, [render.render_cubes(occupancy, pitch, view, style.BLUE)]))
        left.set_title(f"{len(xyz)} atoms or beads")
        right.set_title(f"{int(occupancy.sum())} of 31$^3$ voxels of {pitch:.2f} {style.ANGSTROM}")
        for axes in (left, right):
            style.hide_axes(axes)


def saxs1b(path: pathlib.Path, weights_name: str) -> None:
    """Draws the published and the lean network layer by layer.

    Args:
      path: the picture to write.
      weights_name: name or folder of weights; the title marks the network that they belong to.
    """
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
            style.hide_axes(axes)


def saxs1c(path: pathlib.Path, results: list[dict[str, Any]]) -> None:
    """Draws histograms of the correlation between input and decoded map, for the auto-encoder and for a linear code.

    1 is a perfect copy. Good: the auto-encoder's histogram lies right of that of the 200 principal components.

    Args:
      path: the picture to write.
      results: contents of JSON files of `launch.evaluate`; the first of `--task=autoencoder` is drawn.

    Raises:
      MissingInput: if no result is of that task.
    """
    items = _only(results, "autoencoder")[0]["items"]
    with style.figure(path, 4.4, 3.2) as figure:
        axes = figure.subplots()
        edges = np.linspace(0.3, 1, 29).tolist()
        for key, colour, label in (("pca200", style.LIGHT, "200 principal components"),
                                   ("correlation", style.BLUE, "auto-encoder")):
            values = [item[key] for item in items]
            axes.hist(values, edges, color=colour, alpha=0.75, label=f"{label}, mean {np.mean(values):.3f}")
        axes.set_xlabel("correlation of input and decoded map")
        axes.set_ylabel("structures")
        axes.legend(loc="upper left")


def saxs1d(path: pathlib.Path, weights_name: str) -> None:
    """Draws histograms of the first four latent numbers of the training maps.

    Args:
      path: the picture to write.
      weights_name: name or folder of the auto-encoder's weights.
    """
    bank = pretrained.load(weights_name).latents.bank
    with style.figure(path, 6.6, 2.0) as figure:
        for number, axes in enumerate(figure.subplots(1, 4, sharey=True)):
            axes.hist(bank[:, number], 40, color=style.BLUE)
            axes.set_xlabel(f"latent number {number + 1}")
            axes.set_yticks([])


def saxs2a(path: pathlib.Path, run: ReconstructionRun) -> None:
    """Draws chi^2 by generation, and the mean correlation of the best run's 20 elites with the reference.

    Args:
      path: the picture to write.
      run: the reconstruction.
    """
    with style.figure(path, 5.2, 3.6) as figure:
        history = run.found.history
        runs.plot_convergence(figure.subplots(), history.best, history.elites, (run.generations, run.correlations),
                              f"mean of the best run's top {_ELITES}")


def saxs2b(path: pathlib.Path, run: ReconstructionRun) -> None:
    """Draws the best model's curve on the measured one.

    Args:
      path: the picture to write.
      run: the reconstruction.
    """
    found = run.found
    with style.figure(path, 5.2, 4.6) as figure:
        runs.plot_fit(figure, found.q_inv_angstrom, found.intensity, found.sigma, found.fit, found.chi_squared,
                      found.guinier)


def saxs2c(path: pathlib.Path, run: ReconstructionRun) -> None:
    """Draws the mean map over the reference, in two orientations.

    Args:
      path: the picture to write.
      run: the reconstruction.
    """
    with style.figure(path, 6.4, 3.4) as figure:
        _on_reference(figure.subplots(1, 2), run.reference, run.placed, run.found.pitch_angstrom)


def saxs2d(path: pathlib.Path, results: list[dict[str, Any]]) -> None:
    """Draws histograms of the correlation of map and reference, with the radius given and without.

    Results of `--published` show decodeSAXS's maps beside ours, measured alike.

    Args:
      path: the picture to write.
      results: contents of JSON files of `launch.evaluate --task=reconstruction` or `simulated`.

    Raises:
      MissingInput: if no result is of these tasks.
    """
    found = _only(results, "reconstruction", "simulated")
    named = ("correlation", "published_map_correlation")
    lowest = min((value for result in found for name in named for value in _values(result, name)), default=0.0)
    bins = (np.arange(np.floor(lowest / _CORRELATION_STEP), 1 / _CORRELATION_STEP + 1) * _CORRELATION_STEP).tolist()
    with style.figure(path, 4.4, 3.2) as figure:
        axes = figure.subplots()
        for result in found:
            given = result.get("given_radius")
            colour, radius = style.BLUE if given else style.RED, f"radius {'given' if given else 'free'}"
            ours, published = (_values(result, name) for name in named)
            axes.hist(ours, bins, alpha=0.6, color=colour,
                      label=f"saxsae, {_name_curves(result)}, {radius}, mean {np.mean(ours):.3f}")
            if published:
                axes.hist(published, bins, histtype="step", color=colour,
                          label=f"decodeSAXS's maps, {radius}, mean {np.mean(published):.3f}")
        axes.set_xlabel("correlation of map and reference")
        axes.set_ylabel("curves")
        axes.set_ylim(top=1.25 * axes.get_ylim()[1])  # room for the legend
        axes.legend(loc="upper left")


def _values(result: dict[str, Any], name: str) -> list[float]:
    """Returns one number of each item that has it."""
    return [item[name] for item in result["items"] if item.get(name) is not None]


def saxs2e(path: pathlib.Path, results: list[dict[str, Any]]) -> None:
    """Draws the radii found against those of the references; a right radius lies on the line.

    Args:
      path: the picture to write.
      results: as in `saxs2d`.

    Raises:
      MissingInput: no result of these tasks has a free radius.
    """
    free = [result for result in _only(results, "reconstruction", "simulated") if not result.get("given_radius")]
    if not free:
        raise MissingInput("--results holds no evaluation with a free radius")
    with style.figure(path, 3.6, 3.4) as figure:
        axes = figure.subplots()
        top = 0.0
        for result, colour in zip(free, (style.RED, style.BLUE, style.GREEN, style.ORANGE), strict=False):
            x, y = (np.array([item[key] for item in result["items"] if "correlation" in item])
                    for key in ("reference_radius_angstrom", "radius_angstrom"))
            axes.plot(x, y, "o", markersize=4, color=colour, label=f"saxsae, {_name_curves(result)}")
            top = max(top, x.max(), y.max())
            published = [(item["reference_radius_angstrom"], item["published_radius_angstrom"])
                         for item in result["items"] if item.get("published_radius_angstrom")]
            if published:
                axes.plot(*zip(*published, strict=True), "x", markersize=3, color=style.GREY, label="decodeSAXS")
                top = max(top, np.max(published))
        axes.plot([0, 1.05 * top], [0, 1.05 * top], color=style.GREY, linewidth=0.8)
        axes.set_xlabel(f"$r_{{max}}$ of the reference ({style.ANGSTROM})")
        axes.set_ylabel(f"$r_{{max}}$ found ({style.ANGSTROM})")
        axes.set_aspect("equal")
        axes.legend(loc="upper left")


def saxs2f(path: pathlib.Path, results: list[dict[str, Any]], pairs: str | None, maps: str | None) -> None:
    """Draws maps over their references at several levels of correlation.

    Args:
      path: the picture to write.
      results: contents of JSON files of `launch.evaluate`; the first of `--task=reconstruction` is drawn.
      pairs: folder of the evaluated pairs, ID/reference.* each.
      maps: folder that the evaluation wrote, ID.ccp4 each.

    Raises:
      MissingInput: `pairs`, `maps` or a result of that task was not given.
    """
    if pairs is None or maps is None:
        raise MissingInput("needs --pairs, and --maps: the --maps_dir of the evaluation")
    items = [item for item in _only(results, "reconstruction")[0]["items"] if "correlation" in item]
    values = np.array([item["correlation"] for item in items])
    chosen = list(dict.fromkeys(int(np.abs(values - level).argmin()) for level in _LEVELS))
    with style.figure(path, 2.2 * len(chosen), 4.6) as figure:
        panels = figure.subplots(2, len(chosen), squeeze=False)
        for column, index in enumerate(chosen):
            name = items[index]["id"]
            density, pitches, _ = read_map(pathlib.Path(maps) / f"{name}.ccp4")
            pitch = float(np.ravel(pitches)[0])
            reference = references.read_reference(str(next((pathlib.Path(pairs) / name).glob("reference.*"))))
            placed = references.Comparison(reference).place(density, pitch)
            _on_reference(panels[:, column], reference, placed, pitch)
            panels[0, column].set_title(f"{name}\ncorrelation {values[index]:.2f}")


def _on_reference(panels: np.ndarray, reference: references.Reference, placed: references.PlacedMap,
                  pitch: float) -> None:
    """Draws a placed map over its reference from the front and from the top; panels: the two axes."""
    balls = shapes.as_balls(reference.structure.xyz_angstrom - placed.centre, reference.spacing)
    level = shapes.equal_volume_level(placed.density)
    frame = shapes.principal_frame(placed.density, pitch, level, balls)
    for axes, side in zip(panels, ("front", "top"), strict=True):
        shapes.draw_view(axes, frame, side, placed.density, pitch, level, balls)
    style.add_scale_bar(panels[0])


def _name_curves(result: dict[str, Any]) -> str:
    """Returns what the curves of an evaluation are."""
    if result["task"] == "reconstruction":
        return "curves of the models" if result.get("from_models") else "measured curves"
    return "simulated curves"


def _only(results: list[dict[str, Any]], *tasks: str) -> list[dict[str, Any]]:
    """Returns the results of these tasks. Raises MissingInput if there are none."""
    kept = [result for result in results if result["task"] in tasks]
    if not kept:
        raise MissingInput(f"needs --results=FILE.json of launch.evaluate --task={' or '.join(tasks)}")
    return kept
