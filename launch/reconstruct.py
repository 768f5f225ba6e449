"""A SAXS curve to a 3D shape.

    python -m launch.reconstruct --profile=FILE --output=DIR [--reference=PDB]

The folder then holds

    density.ccp4      the mean of the aligned models, in 0..1: the share of them that fill a voxel
    model_01.ccp4 ... the models, the best first, in one frame
    beads.pdb         the mean as beads, as many as the models have voxels on average
    fit.fit           q, I, sigma and the best model's curve
    report.html       all of it as one page, to look at in a browser; it needs no network
    shape.png, fit.png, convergence.png
    density_on_reference.ccp4   with --reference: the mean in its frame, in the better hand
    log.json          everything about the run
"""

import math
import time

from absl import flags

from launch import app
from phasenet.errors import InputError

_PROFILE = flags.DEFINE_string(
    "profile", None, "The curve: .dat, .csv, GNOM .out or sasCIF.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the results.", required=True)
_UNIT = flags.DEFINE_enum("unit", None, ["1/A", "1/nm"], "Of q; by default decided from the data.")
_RADIUS = flags.DEFINE_float("radius", None, "Largest distance from the centroid (A), if known.")
_Q_MAX = flags.DEFINE_float("q_max", 0.2, "Largest q that is fitted, 1/A.")
_NUM_MODELS = flags.DEFINE_integer("num_models", 8, "Independent runs, each its best model.")
_WEIGHTS = flags.DEFINE_string("weights", "lean", "Released weights by name, or their folder.")
_REFERENCE = flags.DEFINE_string("reference", None, "A known structure to compare with.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the runs.", lower_bound=0, upper_bound=2**31 - 1)
_BACKGROUND = flags.DEFINE_bool("background", False, "Fit a constant background as well.")
_INITIAL = flags.DEFINE_enum(
    "initial", "bank", ["bank", "distribution"],
    "First generation: codes of training shapes, or each number from its distribution.")
_GENERATIONS = flags.DEFINE_integer(
    "generations", None, "At most so many.", lower_bound=1, upper_bound=10_000)
_JSON = flags.DEFINE_string("json", None, "Write the log there too.")
_PROGRESS = flags.DEFINE_string("progress", None, "Tell how it goes there too, in lines of JSON with the best shape.")


def main(_: list[str]) -> None:
    _check_flags()
    start, cpu_start = time.perf_counter(), time.process_time()
    # Imports here, and all files before the long work: who made a mistake should not wait for it.
    from saxsae.io.curves.measured_curves import read_curve

    curve = read_curve(_PROFILE.value, _UNIT.value)
    from launch.machine import cpu_devices, provenance
    from launch.plotting.saxs_figures import shapes
    from launch.reconstruction import files, page, report, stream
    from launch.reconstruction.reference import Comparison, read_reference
    from saxsae import genetic, pretrained
    from saxsae.reconstruction import reconstruct

    for line in report.curve_lines(curve):
        app.print_line(line)
    cpu_devices.split_cpu(_NUM_MODELS.value)
    app.enable_compilation_cache()
    folder = app.prepare_folder(_OUTPUT.value)
    reference = read_reference(_REFERENCE.value) if _REFERENCE.value is not None else None
    weights = pretrained.load(_WEIGHTS.value)
    settings = genetic.EvolutionSettings()
    if _GENERATIONS.value is not None:
        settings = settings._replace(generations=_GENERATIONS.value)
    also = stream.writer(_PROGRESS.value, weights) if _PROGRESS.value is not None else None
    progress = report.Progress(settings, app.print_line, also)
    app.print_line(f"{_NUM_MODELS.value} runs of {settings.population} genes, weights {_WEIGHTS.value}; "
            "a first time some programs are compiled, up to a minute")
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
    files.clear(folder)
    files.write_results(folder, found, level, placed)
    files.draw(folder, curve, found, level, reference, placed, correlations)
    timing = {"wall_seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
    numbers = report.summary(found, placed, correlations)
    log = report.log(curve, found, numbers, correlations, level)
    log |= {"weights": provenance.weights(_WEIGHTS.value, pretrained.find_weights(_WEIGHTS.value), weights.info),
            "settings": settings, "timing": timing, **provenance.record()}
    page.write(folder, curve, found, log, level, reference, placed)
    files.write_log(folder, log, _JSON.value)
    app.print_line(f"\n{report.table(found, numbers, timing)}\n\nwritten to {folder}:\n  {files.listing(folder)}")


def _check_flags() -> None:
    """The core checks these too, but only once the files are read and jax is loaded."""
    if _RADIUS.value is not None and not 1 < _RADIUS.value < 2000:
        raise InputError(f"--radius={_RADIUS.value:g}: Angstrom between 1 and 2000 are needed")
    if not 0 < _Q_MAX.value < math.inf:
        raise InputError(f"--q_max={_Q_MAX.value:g}: a positive number in 1/A is needed")
    if _NUM_MODELS.value < 1:
        raise InputError(f"--num_models={_NUM_MODELS.value}: at least 1 is needed")


if __name__ == "__main__":
    app.run(main)
