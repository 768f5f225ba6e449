"""Finds the 3D shape whose computed SAXS curve fits a measured one.

    python -m launch.reconstruct --profile=FILE --output=DIR [--reference=PDB]

It writes to DIR:

    density.ccp4      the mean of the superposed models at about 15 A resolution, 0 to 1
    model_01.ccp4 ... the models, the best first, superposed on each other
    beads.pdb         the occupancy map as beads, as many as the models have filled voxels on average (beads.cif if
                      the shape is too large for the columns of a PDB file)
    fit.fit           q, I, sigma and the curve of the best model
    report.html       the result as one page for a browser, which works offline
    shape.png, fit.png, convergence.png   the shape, the fit, and the misfit by step
    density_on_reference.ccp4   with --reference: the map superposed on the reference, in the hand that fits better
    log.json          all numbers of the result, the flags, the versions and the weights

It ends with a verdict: shape, doubtful with the reasons, or no shape. Without a shape the program ends with exit code 1
and writes only log.json.
By default the models are the 32 structures of the corpus that fit the curve best, fitted to it by gradient steps in
their latent numbers and sizes. --stages=evolve is the paper's genetic algorithm over the latent numbers. Weights of the
paper's network come from a training of configs/saxs_paper; none are released here.
"""

import math
import os
import time
from typing import TYPE_CHECKING

from absl import flags

from launch import app
from phasenet.errors import InputError

if TYPE_CHECKING:  # a mistyped flag should fail before these slow imports
    from saxsae.io.curves.measured_curves import Curve
    from saxsae.verdict import Verdict

_PROFILE = flags.DEFINE_string(
    "profile", None, "File with the curve: text columns q, I, sigma (.dat, .csv), GNOM .out, sasCIF, canSAS "
    "XML or NXcanSAS HDF5.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the results; it is made where it is missing.", required=True)
_UNIT = flags.DEFINE_enum(
    "unit", None, ["1/A", "1/nm"], "Unit of q in the file. By default it is determined from the file.")
_RADIUS = flags.DEFINE_float(
    "radius", None, "Largest distance of an atom from the centroid, in Angstrom. By default it is searched for.")
_Q_MAX = flags.DEFINE_float(
    "q_max", 0.2, "Largest q that is fitted, in 1/A. Of large bodies less is fitted: what the voxels can resolve.")
_NUM_MODELS = flags.DEFINE_integer(
    "num_models", None, "Number of models: structures of the bank, by default 32; or independent runs with "
    "--stages=evolve, by default 8.")
_STAGES = flags.DEFINE_list(
    "stages", None, "How models are found: bank (the structures that fit best), bank,search (and gradient steps), "
    "evolve (the genetic algorithm) or bank,evolve. By default bank,search where the weights have a bank, else evolve.")
_SHELL_CONTRAST = flags.DEFINE_list(
    "shell_contrast", None, "Contrasts of the shell of bound water that are tried, in e/A^3; by default "
    "0.01,0.02,0.03. 0 for a curve without water.")
_EQUAL_ATOMS = flags.DEFINE_bool(
    "equal_atoms", False, "The curve was computed from atoms or beads that all count alike.")
_WEIGHTS = flags.DEFINE_string(
    "weights", "lean", "Weights of the auto-encoder: the name of released weights, their folder, or the workdir of a "
    "training.")
_REFERENCE = flags.DEFINE_string(
    "reference", None, "File with a known structure (PDB or mmCIF), with which the result is compared.")
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of the random numbers of evolve; the other stages have none.", lower_bound=0,
    upper_bound=2**31 - 1)
_BACKGROUND = flags.DEFINE_bool("background", False, "Fit a constant background together with the scale.")
_INITIAL = flags.DEFINE_enum(
    "initial", "bank", ["bank", "distribution"], "First generation of evolve: bank takes latent numbers of training "
    "shapes, distribution draws each number from its distribution.")
_GENERATIONS = flags.DEFINE_integer(
    "generations", None, "Largest number of generations, or of gradient steps. By default that of the released "
    "settings.",
    lower_bound=1, upper_bound=10_000)
_JSON = flags.DEFINE_string("json", None, "Second file to which the log is written.")
_PROGRESS = flags.DEFINE_string(
    "progress", None, "File for the progress of the search: lines of JSON with the best shape so far.")


def main(_: list[str]) -> None:
    """Reads the curve, finds its shape, writes the results and prints a table.

    Raises:
      InputError: a value is out of range, a file cannot be used, or the curve has no shape.
    """
    _check_flags()
    start, cpu_start = time.perf_counter(), time.process_time()
    # Imports are not at the top of the file, and files are read before the search, because a mistake should show early.
    curve = _read_curve()
    from launch.machine import cpu_devices, provenance
    from launch.plotting.saxs_figures import shapes
    from launch.reconstruction import files, page, report, stream
    from launch.reconstruction.reference import Comparison, read_reference
    from saxsae import genetic, pretrained
    from saxsae.bank.descent import DescentSettings
    from saxsae.profiles import hydration
    from saxsae.reconstruction import EVOLVED_MODELS, choose_stages, reconstruct
    from saxsae.verdict import NO_SHAPE

    weights_folder = pretrained.find_weights(_WEIGHTS.value)
    stages = choose_stages(_STAGES.value, pretrained.has_bank(weights_folder))
    if stages == ("evolve",) and _SHELL_CONTRAST.value is not None:
        raise InputError("--shell_contrast has no meaning for --stages=evolve, whose models have no shell")
    if stages == ("evolve",) and _EQUAL_ATOMS.value:
        raise InputError("--equal_atoms has no meaning for --stages=evolve, whose shapes are of uniform density")
    if "evolve" in stages:
        cpu_devices.split_cpu(_NUM_MODELS.value or EVOLVED_MODELS)
    app.enable_compilation_cache()
    folder = app.prepare_folder(_OUTPUT.value)
    reference = read_reference(_REFERENCE.value) if _REFERENCE.value is not None else None
    weights = pretrained.load(_WEIGHTS.value)
    settings, descent = genetic.EvolutionSettings(), DescentSettings()
    if _GENERATIONS.value is not None:
        settings = settings._replace(generations=_GENERATIONS.value)
        descent = descent._replace(steps=_GENERATIONS.value)
    write_progress = stream.progress_writer(_PROGRESS.value, weights) if _PROGRESS.value is not None else None
    used = settings if "evolve" in stages else descent
    progress = report.ProgressReport(used, app.print_line, write_progress)
    app.print_line(f"stages {', '.join(stages)} with weights {_WEIGHTS.value}; the first run compiles programs for up "
                   "to a minute")
    found = reconstruct(
        curve, weights, radius=_RADIUS.value, q_max=_Q_MAX.value, num_models=_NUM_MODELS.value,
        seed=_SEED.value, background=_BACKGROUND.value, stages=stages, initial=_INITIAL.value,
        contrasts=_parse_contrasts() or hydration.CONTRASTS, equal_atoms=_EQUAL_ATOMS.value,
        settings=settings, descent=descent, progress=progress)
    for note in found.notes[len(curve.notes):]:
        app.print_line(f"  {note}")
    if found.verdict.status == NO_SHAPE:
        _refuse(found.verdict, found.notes)
        raise InputError(f"{curve.path}: {found.verdict.sentence}")

    placed = correlations = single = None
    if reference is not None:
        comparison = Comparison(reference)
        placed = comparison.place(found.density, found.pitch_angstrom)
        single = comparison.correlation(found.models[0], found.pitch_angstrom)
        if not found.sources:  # the snapshots of densities are not kept as such
            correlations = report.correlation_history(progress.snapshots, weights, comparison)
    level = shapes.equal_volume_level(found.density)
    files.remove_old_results(folder)
    files.write_results(folder, found, level, placed)
    files.draw(folder, curve, found, level, reference, placed, correlations)
    timing = {"wall_seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
    numbers = report.summary(found, placed, single)
    log = report.log(curve, found, numbers, correlations, level)
    log |= {"weights": provenance.describe_weights(_WEIGHTS.value, weights_folder, weights.info),
            "stages": stages, "settings": None if stages == ("bank",) else used, "timing": timing,
            **provenance.describe_run()}
    page.write(folder, curve, found, log, level, reference, placed)
    app.write_log(folder / files.LOG, log, _JSON.value)
    table = report.format_table(found, numbers, timing)
    app.print_line(f"\n{table}\n\nwritten to {folder}:\n  {files.listing(folder)}\n\n{found.verdict.sentence}")


def _read_curve() -> "Curve":
    """Returns the curve, after printing what was read; writes log.json and raises InputError if it has no shape."""
    from saxsae.io.curves.measured_curves import read_curve
    from saxsae.io.curves.units import UndecidedUnitError
    from saxsae.verdict import NO_SHAPE, Verdict, judge_curve

    try:
        curve = read_curve(_PROFILE.value, _UNIT.value)
    except UndecidedUnitError:
        raise  # the same curve may have a shape once the unit is given
    except InputError as error:
        if os.path.isfile(_PROFILE.value):
            _refuse(Verdict(NO_SHAPE, (str(error).removeprefix(f"{_PROFILE.value}: "),), (), {}), ())
        raise
    from launch.reconstruction import report

    verdict = judge_curve(curve, _RADIUS.value, _BACKGROUND.value)
    for line in (*report.describe_curve(curve), *(f"  {remark}" for remark in verdict.remarks)):
        app.print_line(line)
    if verdict.status == NO_SHAPE:
        _refuse(verdict, curve.notes)
        raise InputError(f"{curve.path}: {verdict.sentence}")
    for reason in verdict.reasons:
        app.print_line(f"  doubtful: {reason}")
    return curve


def _refuse(verdict: "Verdict", notes: tuple[str, ...]) -> None:
    """Writes log.json, with the reasons why the curve has no shape, in place of the results of an earlier run."""
    from launch.machine import provenance
    from launch.reconstruction import files

    folder = app.prepare_folder(_OUTPUT.value)
    files.remove_old_results(folder, keep=(_PROFILE.value, _REFERENCE.value))
    log = {"profile": _PROFILE.value, **verdict._asdict(), "notes": notes, **provenance.describe_run()}
    app.write_log(folder / files.LOG, log, _JSON.value)


def _check_flags() -> None:
    """Raises InputError for a value out of range; `saxsae.reconstruct` checks too, but after the slow imports."""
    if _RADIUS.value is not None and not 1 < _RADIUS.value <= 2000:
        raise InputError(f"--radius={_RADIUS.value:g}: expected between 1 and 2000 Angstrom")
    if not 0 < _Q_MAX.value < math.inf:
        raise InputError(f"--q_max={_Q_MAX.value:g}: expected a positive number in 1/A")
    if _NUM_MODELS.value is not None and _NUM_MODELS.value < 1:
        raise InputError(f"--num_models={_NUM_MODELS.value}: expected at least 1")
    _parse_contrasts()


def _parse_contrasts() -> tuple[float, ...] | None:
    """Returns the numbers of --shell_contrast, or None; raises InputError for what is none."""
    if _SHELL_CONTRAST.value is None:
        return None
    try:
        contrasts = tuple(float(word) for word in _SHELL_CONTRAST.value)
    except ValueError as error:
        raise InputError(f"--shell_contrast={','.join(_SHELL_CONTRAST.value)}: {error}") from error
    return contrasts


if __name__ == "__main__":
    app.run(main)
