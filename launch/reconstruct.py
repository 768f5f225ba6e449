"""Finds the 3D shape whose computed SAXS curve fits a measured one.

    python -m launch.reconstruct --profile=FILE --output=DIR [--reference=MODEL]
    python -m launch.reconstruct --profile=FILE --output=DIR --concentrations=2.5 --absolute_scale
    python -m launch.reconstruct --profile=FOLDER --output=DIR [--concentrations=1,2.5,5]

For one curve it writes to DIR:

    density.ccp4      the mean of the superposed models at about 15 A resolution, 0 to 1, without outliers
    density_sd.ccp4   the standard deviation of the models
    occupancy.ccp4    the probability that a voxel lies inside the protein
    model_01.ccp4 ... the models, the best first, superposed on each other
    cluster_A.ccp4 ...   where models of different kinds fit: the mean of each kind
    beads.pdb         density.ccp4 as beads, which together have the volume of the models (beads.cif if the shape is too
                      large for the columns of a PDB file)
    fit.fit           q, I, sigma and the curve of the best model
    report.html       the result as one page for a browser, which works offline
    shape.png, fit.png, convergence.png   the shape, the fit, and the misfit by step
    density_on_reference.ccp4   with --reference: the map superposed on the reference, in the hand that fits better
    reference_fit.fit with --reference: q, I, sigma and the curve of the reference
    log.json          all numbers of the result, the flags, the versions and the weights

For many curves (a folder, or several files with commas between them) it writes DIR/NAME/ with these files for each, and

    batch.csv, batch.html   a row for each curve, with its verdict, its numbers and why it has no result

It ends with a verdict: shape, doubtful with the reasons, or no shape. Without a shape the program ends with exit code 1
and writes only log.json. Many curves run unattended: an error becomes the row of its curve, and the same command again
computes only what is missing. If curves have no result, the exit code is 1, and one line gives their number.

By default the models are the 32 structures of the corpus that fit the curve best, fitted to it by gradient steps in
their latent numbers and sizes. --stages=evolve is the paper's genetic algorithm over the latent numbers, and
--weights=published the paper's network.
"""

import math
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from launch import app
from phasenet.errors import InputError
from saxsae.superposition.point_groups import GROUP_NAMES

if TYPE_CHECKING:  # a mistyped flag should fail before these slow imports
    from launch.reconstruction.curve_run import RunSettings
    from saxsae.analysis.mass_by_concentration import MassScale
    from saxsae.io.curves.measured_curves import Curve

_PROFILE = flags.DEFINE_multi_string(
    "profile", None, "File with the curve: text columns q, I, sigma (.dat, .csv), GNOM .out, sasCIF, canSAS "
    "XML or NXcanSAS HDF5. A folder, several files with commas between them, or the flag given again: many curves.",
    required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the results; it is made where it is missing.", required=True)
_UNIT = flags.DEFINE_enum(
    "unit", None, ["1/A", "1/nm"], "Unit of q in the file. By default it is determined from the file.")
_RADIUS = flags.DEFINE_float(
    "radius", None, "Largest distance of an atom from the centroid, in Angstrom. By default it is searched for.")
_Q_MAX = flags.DEFINE_float(
    "q_max", 0.2, "Largest q that is fitted, in 1/A. For large bodies it is lowered to what the voxels resolve.")
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
    "equal_atoms", False, "The curve was computed from atoms or beads of equal weight.")
_SYMMETRY = flags.DEFINE_enum(
    "symmetry", None, list(GROUP_NAMES), "Point group of the sample, which is imposed on the models; for --stages=bank "
    "and bank,search. The curve is then also fitted without symmetry, for comparison.", case_sensitive=False)
_WEIGHTS = flags.DEFINE_string(
    "weights", "lean", "Weights of the auto-encoder: the name of released weights, their folder, or the workdir of a "
    "training.")
_REFERENCE = flags.DEFINE_string(
    "reference", None, "File with a known structure or a predicted model (PDB or mmCIF): its curve is fitted, and the "
    "result is compared with it. Several files with commas between them, or a folder: candidates, which are ranked.")
_CONCENTRATIONS = flags.DEFINE_list(
    "concentrations", None, "Concentration of the sample for each curve, mg/ml, in the order of the files; several "
    "curves count as a series of one sample. By default the concentrations that the headers of the files state.")
_ABSOLUTE_SCALE = flags.DEFINE_bool(
    "absolute_scale", False, "The intensities are in 1/cm: I(0) and the concentration (1 for intensities that are "
    "divided by it) give a molecular mass.")
_STANDARD = flags.DEFINE_list(
    "standard", None, "MASS_KDA,I0,CONCENTRATION of a protein of known mass that was measured as the curve was (kDa, "
    "unit of the curve's intensities, mg/ml): it gives a molecular mass of the sample.")
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
_JSON = flags.DEFINE_string(
    "json", None, "Second file to which the log is written; of many curves, the file for their table as JSON.")
_PROGRESS = flags.DEFINE_string(
    "progress", None, "File for the progress of the search: lines of JSON with the best shape so far.")

_FLAGS_OF_MASSES = (_CONCENTRATIONS, _ABSOLUTE_SCALE, _STANDARD)  # no shape depends on these flags


def main(_: list[str]) -> None:
    """Reads the curve or the curves, finds their shapes, writes the results and prints a table.

    Raises:
      InputError: a value is out of range, a file cannot be used, or a curve has no shape.
    """
    started = time.perf_counter(), time.process_time()
    _check_flags()
    # Imports are not at the top of the file, because a mistake should show early.
    from launch.reconstruction import input_files

    paths = input_files.split_paths(_PROFILE.value)
    if len(paths) == 1 and not os.path.isdir(paths[0]):
        _reconstruct_one(paths[0], started)
    else:
        _reconstruct_many(paths)


def _reconstruct_one(path: str, started: tuple[float, float]) -> None:
    """Finds the shape of one curve and writes the output folder.

    Args:
      path: the file of the curve.
      started: `time.perf_counter()` and `time.process_time()` at the beginning.
    """
    from launch.machine import provenance
    from launch.reconstruction import curve_reading, input_files

    concentrations, scales = _parse_concentrations(1), _mass_scales()
    files = input_files.find_structures(_REFERENCE.value, _OUTPUT.value) if _REFERENCE.value is not None else []
    flags_of_masses = {flag.name: flag.value for flag in _FLAGS_OF_MASSES if flag.value}
    description: dict[str, Any] = provenance.describe_run() | {
        "flags": _flags_of_a_curve() | flags_of_masses | {"profile": path}}
    try:
        # The file is read before the slow imports.
        curve = curve_reading.read_and_judge(path, _UNIT.value, _RADIUS.value, _BACKGROUND.value)
        concentration = None
        if concentrations is not None or scales:
            curve, concentration = _note_concentration(curve, concentrations, scales)
            description["concentration_mg_per_ml"] = concentration
        from launch.reconstruction import curve_run
        from launch.reconstruction.reference import read_references

        settings = _settings()
        method = curve_run.choose_method(settings)
        folder = app.prepare_folder(_OUTPUT.value)
        references = read_references(files, app.print_line) if files else []
        weights = curve_run.load_weights(method, settings.weights)
        curve_run.run_curve(curve, folder, settings, method, weights, description, started, references=references,
                            concentration=concentration, scales=scales, progress_path=_PROGRESS.value,
                            json_path=_JSON.value)
    except curve_reading.NoShapeError as refusal:
        curve_reading.write_refusal(refusal, path, _OUTPUT.value, description, keep=tuple(file.path for file in files),
                                    json_path=_JSON.value)
        raise


def _note_concentration(curve: "Curve", given: Sequence[float] | None,
                        scales: Sequence["MassScale"]) -> tuple["Curve", float | None]:
    """Returns the curve with a note on the concentration, which is printed, and the concentration, mg/ml."""
    from launch.reconstruction import input_files, series

    found, = series.find_concentrations([input_files.CurveFile("", curve.path)], given, scales)
    note = f"concentration {found:g} mg/ml, {'as given' if given else 'from the header of the file'}"
    app.print_line(f"  {note}")
    return curve._replace(notes=(*curve.notes, note)), found


def _reconstruct_many(paths: list[str]) -> None:
    """Finds the shapes of the curves that the paths name, each into a folder of its own."""
    from launch.reconstruction import input_files

    for flag in (_REFERENCE, _PROGRESS):
        if flag.value is not None:
            raise InputError(f"--{flag.name} is for one curve, and --profile names a folder or several files")
    curves, skipped = input_files.find_curves(paths, _OUTPUT.value, _UNIT.value)
    for line in input_files.summarize_skipped(skipped):
        app.print_line(line)
    concentrations = _parse_concentrations(len(curves))
    from launch.reconstruction import batch

    batch.run_batch(curves, skipped, _OUTPUT.value, _settings(), _flags_of_a_curve(), concentrations, _JSON.value,
                    _mass_scales())


def _settings() -> "RunSettings":
    """Returns the flags on which every curve depends."""
    from launch.reconstruction.curve_run import RunSettings

    return RunSettings(
        weights=_WEIGHTS.value, stages=_STAGES.value, unit=_UNIT.value, radius=_RADIUS.value, q_max=_Q_MAX.value,
        num_models=_NUM_MODELS.value, contrasts=_parse_contrasts(), equal_atoms=_EQUAL_ATOMS.value,
        background=_BACKGROUND.value, initial=_INITIAL.value, generations=_GENERATIONS.value, seed=_SEED.value,
        symmetry=_SYMMETRY.value)


def _flags_of_a_curve() -> dict[str, Any]:
    """Returns the flags on which the shape of a curve depends, for its log; the caller sets "profile"."""
    from launch.machine import provenance

    others = {flag.name for flag in _FLAGS_OF_MASSES}
    return {name: value for name, value in provenance.launch_flags().items() if name not in others}


def _check_flags() -> None:
    """Raises InputError for a value out of range; `saxsae.reconstruct` checks too, but after the slow imports."""
    if _RADIUS.value is not None and not 1 < _RADIUS.value <= 2000:
        raise InputError(f"--radius={_RADIUS.value:g}: expected between 1 and 2000 Angstrom")
    if not 0 < _Q_MAX.value < math.inf:
        raise InputError(f"--q_max={_Q_MAX.value:g}: expected a positive number in 1/A")
    if _NUM_MODELS.value is not None and _NUM_MODELS.value < 1:
        raise InputError(f"--num_models={_NUM_MODELS.value}: expected at least 1")
    _parse_contrasts()
    _parse_concentrations(None)
    _mass_scales()


def _parse_concentrations(count: int | None) -> list[float] | None:
    """Returns the numbers of --concentrations, of which there must be `count` if it is known, or None without them."""
    if _CONCENTRATIONS.value is None:
        return None
    from launch.reconstruction.series import parse_concentrations

    return parse_concentrations(_CONCENTRATIONS.value, count)


def _mass_scales() -> tuple["MassScale", ...]:
    """Returns what turns I(0) over the concentration into masses: that of --absolute_scale, that of --standard."""
    from launch.reconstruction.series import parse_standard
    from saxsae.analysis.mass_by_concentration import ABSOLUTE_SCALE

    return (*([ABSOLUTE_SCALE] if _ABSOLUTE_SCALE.value else []),
            *([parse_standard(_STANDARD.value)] if _STANDARD.value is not None else []))


def _parse_contrasts() -> tuple[float, ...] | None:
    """Returns the numbers of --shell_contrast, or None; raises InputError for any other text."""
    if _SHELL_CONTRAST.value is None:
        return None
    try:
        contrasts = tuple(float(word) for word in _SHELL_CONTRAST.value)
    except ValueError as error:
        raise InputError(f"--shell_contrast={','.join(_SHELL_CONTRAST.value)}: {error}") from error
    return contrasts


if __name__ == "__main__":
    app.run(main)
