"""Finds the 3D shape whose computed SAXS curve fits a measured one.

    python -m launch.reconstruct --profile=FILE --output=DIR [--reference=PDB]

It writes to DIR:

    density.ccp4      the occupancy map: in each voxel the fraction of the superposed models that fill it, 0 to 1
    model_01.ccp4 ... the models, the best first, superposed on each other
    beads.pdb         the occupancy map as beads, as many as the models have filled voxels on average
    fit.fit           q, I, sigma and the curve of the best model
    report.html       the result as one page for a browser, which works offline
    shape.png, fit.png, convergence.png   the shape, the fit, and chi^2 by generation
    density_on_reference.ccp4   with --reference: the map superposed on the reference, in the hand that fits better
    log.json          all numbers of the result, the flags, the versions and the weights

By default it runs the product, our own pipeline: a genetic algorithm over the 200 latent numbers of the lean
auto-encoder. Weights of the paper's network come from a training of configs/saxs_paper; none are released here.
"""

import math
import time

from absl import flags

from launch import app
from phasenet.errors import InputError

_PROFILE = flags.DEFINE_string(
    "profile", None, "File with the curve: text columns q, I, sigma (.dat, .csv), GNOM .out, or sasCIF.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the results; it is made where it is missing.", required=True)
_UNIT = flags.DEFINE_enum(
    "unit", None, ["1/A", "1/nm"], "Unit of q in the file. By default it is determined from the file.")
_RADIUS = flags.DEFINE_float(
    "radius", None, "Largest distance of an atom from the centroid, in Angstrom. By default it is searched for.")
_Q_MAX = flags.DEFINE_float("q_max", 0.2, "Largest q that is fitted, in 1/A.")
_NUM_MODELS = flags.DEFINE_integer("num_models", 8, "Number of independent searches; each gives one model.")
_WEIGHTS = flags.DEFINE_string(
    "weights", "lean", "Weights of the auto-encoder: the name of released weights, their folder, or the workdir of a "
    "training.")
_REFERENCE = flags.DEFINE_string(
    "reference", None, "File with a known structure (PDB or mmCIF), with which the result is compared.")
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of the random numbers of the searches.", lower_bound=0, upper_bound=2**31 - 1)
_BACKGROUND = flags.DEFINE_bool("background", False, "Fit a constant background together with the scale.")
_INITIAL = flags.DEFINE_enum(
    "initial", "bank", ["bank", "distribution"], "First generation of a search: bank takes latent numbers of training "
    "shapes, distribution draws each number from its distribution.")
_GENERATIONS = flags.DEFINE_integer(
    "generations", None, "Largest number of generations of a search. By default that of the released settings.",
    lower_bound=1, upper_bound=10_000)
_JSON = flags.DEFINE_string("json", None, "Second file to which the log is written.")
_PROGRESS = flags.DEFINE_string(
    "progress", None, "File for the progress of the searches: lines of JSON with the best shape so far.")


def main(_: list[str]) -> None:
    """Reads the curve, searches for shapes, writes the results and prints a table.

    Raises:
      InputError: a value is out of range, or a file cannot be used.
    """
    _check_flags()
    start, cpu_start = time.perf_counter(), time.process_time()
    # Imports are not at the top of the file, and files are read before the search, because a mistake should show early.
    from saxsae.io.curves.measured_curves import read_curve

    curve = read_curve(_PROFILE.value, _UNIT.value)
    from launch.machine import cpu_devices, provenance
    from launch.plotting.saxs_figures import shapes
    from launch.reconstruction import files, page, report, stream
    from launch.reconstruction.reference import Comparison, read_reference
    from saxsae import genetic, pretrained
    from saxsae.reconstruction import reconstruct

    for line in report.describe_curve(curve):
        app.print_line(line)
    cpu_devices.split_cpu(_NUM_MODELS.value)
    app.enable_compilation_cache()
    folder = app.prepare_folder(_OUTPUT.value)
    reference = read_reference(_REFERENCE.value) if _REFERENCE.value is not None else None
    weights = pretrained.load(_WEIGHTS.value)
    settings = genetic.EvolutionSettings()
    if _GENERATIONS.value is not None:
        settings = settings._replace(generations=_GENERATIONS.value)
    write_progress = stream.progress_writer(_PROGRESS.value, weights) if _PROGRESS.value is not None else None
    progress = report.ProgressReport(settings, app.print_line, write_progress)
    app.print_line(f"{_NUM_MODELS.value} searches of {settings.population} genes with weights {_WEIGHTS.value}; the "
                   "first run compiles programs for up to a minute")
    found = reconstruct(
        curve, weights, radius=_RADIUS.value, q_max=_Q_MAX.value, num_models=_NUM_MODELS.value,
        seed=_SEED.value, background=_BACKGROUND.value, initial=_INITIAL.value, settings=settings,
        progress=progress)
    for note in found.notes[len(curve.notes):]:
        app.print_line(f"  {note}")

    placed = correlations = None
    if reference is not None:
        comparison = Comparison(reference)
        placed = comparison.place(found.density, found.pitch_angstrom)
        correlations = report.correlation_history(progress.snapshots, weights, comparison)
    level = shapes.equal_volume_level(found.density)
    files.remove_old_results(folder)
    files.write_results(folder, found, level, placed)
    files.draw(folder, curve, found, level, reference, placed, correlations)
    timing = {"wall_seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
    numbers = report.summary(found, placed, correlations)
    log = report.log(curve, found, numbers, correlations, level)
    weights_folder = pretrained.find_weights(_WEIGHTS.value)
    log |= {"weights": provenance.describe_weights(_WEIGHTS.value, weights_folder, weights.info),
            "settings": settings, "timing": timing, **provenance.describe_run()}
    page.write(folder, curve, found, log, level, reference, placed)
    files.write_log(folder, log, _JSON.value)
    table = report.format_table(found, numbers, timing)
    app.print_line(f"\n{table}\n\nwritten to {folder}:\n  {files.listing(folder)}")


def _check_flags() -> None:
    """Raises InputError for a value out of range; `saxsae.reconstruct` checks too, but after the slow imports."""
    if _RADIUS.value is not None and not 1 < _RADIUS.value < 2000:
        raise InputError(f"--radius={_RADIUS.value:g}: expected between 1 and 2000 Angstrom")
    if not 0 < _Q_MAX.value < math.inf:
        raise InputError(f"--q_max={_Q_MAX.value:g}: expected a positive number in 1/A")
    if _NUM_MODELS.value < 1:
        raise InputError(f"--num_models={_NUM_MODELS.value}: expected at least 1")


if __name__ == "__main__":
    app.run(main)
