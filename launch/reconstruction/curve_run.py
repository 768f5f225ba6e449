"""Finds the shape of one curve and writes its output folder.

`launch.reconstruct` calls the functions in this order, for one curve or, by `launch.reconstruction.batch`, for many:

1. `choose_method` finds the weights and the stages.
2. `load_weights` loads the weights, once for all curves.
3. `curve_reading.read_and_judge` reads a curve.
4. `run_curve` reconstructs the curve and writes the results.
"""

import pathlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from launch import app
from launch.machine import cpu_devices, provenance
from launch.plotting.saxs_figures import shapes
from launch.reconstruction import curve_rows, files, page, report, stream
from launch.reconstruction import reference as known
from launch.reconstruction.curve_reading import NoShapeError
from launch.reconstruction.reference import Reference, ScoredReference
from phasenet.errors import InputError
from saxsae import genetic, pretrained
from saxsae.analysis.curve_report import CurveNumbers, compute_curve_numbers
from saxsae.analysis.mass_by_concentration import MassScale
from saxsae.bank.descent import DescentSettings
from saxsae.io.curves.measured_curves import Curve
from saxsae.pretrained import Pretrained
from saxsae.profiles import hydration
from saxsae.reconstruction import EVOLVED_MODELS, Reconstruction, choose_stages, reconstruct
from saxsae.verdict import NO_SHAPE


class RunSettings(NamedTuple):
    """The settings of a run, the same for all curves of a batch.

    Attributes:
      weights: name or folder of the auto-encoder's weights.
      stages: names of the stages; None for those that the weights allow.
      unit: unit of q in the files, "1/A" or "1/nm"; None lets the reader decide.
      radius: r_max in Angstrom; None if it is not known.
      q_max: largest q that is fitted, 1/A.
      num_models: number of models; None for the default of the stages.
      contrasts: contrasts of the shell of bound water, e/A^3; None for the default.
      equal_atoms: whether the curves were computed from atoms or beads of equal weight.
      background: whether a constant background is fitted.
      initial: first generation of evolve, "bank" or "distribution".
      generations: largest number of generations or of gradient steps; None for the released settings.
      seed: seed of evolve.
      symmetry: Schoenflies symbol of the point group that is imposed; None for none.
    """

    weights: str = "lean"
    stages: Sequence[str] | None = None
    unit: str | None = None
    radius: float | None = None
    q_max: float = 0.2
    num_models: int | None = None
    contrasts: tuple[float, ...] | None = None
    equal_atoms: bool = False
    background: bool = False
    initial: str = "bank"
    generations: int | None = None
    seed: int = 0
    symmetry: str | None = None


class Method(NamedTuple):
    """How models are found.

    Attributes:
      folder: the folder of the weights.
      stages: the stages, see `saxsae.reconstruction.STAGES`.
      evolution: settings of the genetic algorithm.
      descent: settings of the gradient steps.
    """

    folder: pathlib.Path
    stages: tuple[str, ...]
    evolution: genetic.EvolutionSettings
    descent: DescentSettings

    @property
    def iteration(self) -> genetic.EvolutionSettings | DescentSettings:
        """The settings of the iteration that the stages end with."""
        return self.evolution if "evolve" in self.stages else self.descent


class LoadedWeights(NamedTuple):
    """The auto-encoder, and the description of its weights for the log.

    Attributes:
      pretrained: the auto-encoder.
      description: see `provenance.describe_weights`.
    """

    pretrained: Pretrained
    description: dict[str, Any]


def choose_method(settings: RunSettings) -> Method:
    """Returns how models are found; prepares JAX's devices and its cache of compiled programs.

    It must be called before JAX makes its first array.

    Raises:
      InputError: there are no such weights, or the settings contradict each other.
    """
    folder = pretrained.find_weights(settings.weights)
    stages = choose_stages(settings.stages, pretrained.has_bank(folder))
    if stages == ("evolve",) and settings.contrasts is not None:
        raise InputError("--shell_contrast has no meaning for --stages=evolve, whose models have no shell")
    if stages == ("evolve",) and settings.equal_atoms:
        raise InputError("--equal_atoms has no meaning for --stages=evolve, whose shapes are of uniform density")
    if "evolve" in stages and settings.symmetry is not None:
        raise InputError(f"--symmetry is imposed with --stages=bank or bank,search, not with {','.join(stages)}")
    if "evolve" in stages:
        cpu_devices.split_cpu(settings.num_models or EVOLVED_MODELS)
    app.enable_compilation_cache()
    evolution, descent = genetic.EvolutionSettings(), DescentSettings()
    if settings.generations is not None:
        evolution = evolution._replace(generations=settings.generations)
        descent = descent._replace(steps=settings.generations)
    return Method(folder, stages, evolution, descent)


def load_weights(method: Method, name: str) -> LoadedWeights:
    """Returns the auto-encoder of this name, and prints which stages follow; raises InputError for damaged files."""
    network = pretrained.load(name)
    app.print_line(f"stages {', '.join(method.stages)} with weights {name}; the first run compiles programs for up "
                   "to a minute")
    return LoadedWeights(network, provenance.describe_weights(name, method.folder, network.info))


def run_curve(curve: Curve, folder: pathlib.Path, settings: RunSettings, method: Method, weights: LoadedWeights,
              description: dict[str, Any], started: tuple[float, float], *, references: Sequence[Reference] = (),
              concentration: float | None = None, scales: Sequence[MassScale] = (),
              progress_path: str | None = None, json_path: str | None = None) -> dict[str, Any]:
    """Reconstructs a curve, writes its output folder and prints a table and the verdict.

    Args:
      curve: the curve, from `curve_reading.read_and_judge`.
      folder: the output folder; it must exist.
      settings: the settings of the run.
      method: from `choose_method`.
      weights: from `load_weights`.
      description: what the log says about the run, see `provenance.describe_run`.
      started: `time.perf_counter()` and `time.process_time()` when the work on this curve began.
      references: known structures, with which curve and result are compared; the one whose curve fits best is drawn.
      concentration: of the sample, mg/ml; 1 if the intensities are divided by it; None if not known.
      scales: by which masses are computed from I(0) and the concentration.
      progress_path: file for the progress of the search, see `stream.progress_writer`.
      json_path: a second file for the log.

    Returns:
      The content of log.json.

    Raises:
      NoShapeError: the result is no shape.
    """
    network = weights.pretrained
    write_progress = stream.progress_writer(progress_path, network) if progress_path is not None else None
    searches = ("",) if settings.symmetry is None else (f"symmetry {settings.symmetry}", "without symmetry")
    progress = report.ProgressReport(method.iteration, app.print_line, write_progress, searches)
    found = reconstruct(
        curve, network, radius=settings.radius, q_max=settings.q_max, num_models=settings.num_models,
        seed=settings.seed, background=settings.background, stages=method.stages, initial=settings.initial,
        contrasts=settings.contrasts or hydration.CONTRASTS, equal_atoms=settings.equal_atoms,
        settings=method.evolution, descent=method.descent, symmetry=settings.symmetry, progress=progress)
    for note in found.notes[len(curve.notes):]:
        app.print_line(f"  {note}")
    if found.verdict.status == NO_SHAPE:
        raise NoShapeError(f"{curve.path}: {found.verdict.sentence}", found.verdict, found.notes, curve)

    scored = _score(references, curve, found, settings)
    placed = correlations = single = reference = None
    if scored:
        reference, comparison = scored[0].reference, scored[0].comparison
        placed = comparison.place(found.density, found.pitch_angstrom, scored[0].superposition)
        single = comparison.correlation(found.models[0], found.pitch_angstrom)
        if not found.sources:  # the snapshots of densities are not kept as such
            correlations = report.correlation_history(progress.snapshots, network, comparison)
    level = shapes.equal_volume_level(found.density)
    files.remove_old_results(folder)
    files.write_results(folder, found, level, placed)
    if scored:
        files.write_reference_fit(folder, scored[0])
    files.draw(folder, curve, found, level, reference, placed, correlations)
    timing = {"wall_seconds": time.perf_counter() - started[0], "cpu_seconds": time.process_time() - started[1]}
    numbers = report.summary(found, placed, single)
    of_curve = compute_curve_numbers(curve, concentration, scales)
    log = report.log(curve, found, numbers, correlations, level) | {"curve_numbers": curve_rows.log(of_curve)}
    log |= {"weights": weights.description, "stages": method.stages,
            "settings": None if method.stages == ("bank",) else method.iteration, "timing": timing, **description}
    if scored:
        log |= known.log(scored) | {"notes": (*found.notes, *known.notes(scored))}
    page.write(folder, curve, found, log, level, reference, placed, of_curve, scored)
    app.write_log(folder / files.LOG, log, json_path)
    _print_result(found, numbers, timing, folder, of_curve, scored)
    return log


def _score(references: Sequence[Reference], curve: Curve, found: Reconstruction,
           settings: RunSettings) -> list[ScoredReference]:
    """Returns the known structures ranked by the fit of their curves, and prints the notes on them."""
    scored = known.score_references(
        references, curve, (float(found.q_inv_angstrom[0]), settings.q_max), found.density, found.pitch_angstrom,
        contrasts=settings.contrasts, equal_atoms=settings.equal_atoms, background=settings.background)
    for note in known.notes(scored):
        app.print_line(f"  {note}")
    return scored


def _print_result(found: Reconstruction, numbers: dict[str, Any], timing: dict[str, float],
                  folder: pathlib.Path, of_curve: CurveNumbers, scored: Sequence[ScoredReference]) -> None:
    """Prints the table of a result, the names of its files and the verdict."""
    table = report.format_table(found, numbers, timing, of_curve, scored)
    app.print_line(f"\n{table}\n\nwritten to {folder}:\n  {files.listing(folder)}\n\n{found.verdict.sentence}")
