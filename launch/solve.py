"""Finds the atoms in a Patterson map, or behind amplitudes without phases.

    python -m launch.solve --patterson=FILE --output=DIR [--num_atoms=N] [--weights=NAME]
    python -m launch.solve --amplitudes=FILE --output=DIR

It writes to DIR:

    positions.csv     the atoms relative to their mean: in voxels, in Angstrom where the pitch is known, and with
                      standard deviations where the atoms were refined
    positions.xyz, positions.pdb   the same atoms for viewers; one voxel is 1 A where the pitch is not known
    report.html       the result as one page for a browser, which works offline
    sections.png      three sections of the given Patterson map and of the map of the atoms found
    log.json          all numbers of the result, the flags, the versions and the weights

By default it runs the product, our own pipeline: the dual-space network, then the search that refines and tests the
atoms.
`--weights=small --picker=peaks --norefine` runs the paper's pipeline: its network, peak picking and annealing.
"""

import math
import time

from absl import flags

from launch import app
from phasenet.errors import InputError

_PATTERSON = flags.DEFINE_string("patterson", None, "File with a Patterson map: .npy of shape (N, N, N), CCP4 or MRC.")
_AMPLITUDES = flags.DEFINE_string(
    "amplitudes", None, "File with amplitudes |F|: .npy of shape (N, N, N) or (N, N, N/2 + 1), or text with rows "
    "h k l F.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the results; it is made where it is missing.", required=True)
_NUM_ATOMS = flags.DEFINE_integer(
    "num_atoms", None, "Number of atoms. By default it is estimated from the map if F000 is in it, and otherwise taken "
    "from the weights.", lower_bound=1, upper_bound=500)
_PITCH = flags.DEFINE_float(
    "pitch", None, "Edge of a voxel in Angstrom. By default it is read from the header of a CCP4 map.")
_WEIGHTS = flags.DEFINE_string(
    "weights", "dual_space", "Weights of the network: the name of released weights, their folder, or the workdir of a "
    "training.")
_PICKER = flags.DEFINE_enum(
    "picker", "fit", ["fit", "peaks"], "How candidate positions are taken from the network's map: fit fits atoms to "
    "the map, peaks takes its peaks as the paper does.")
_REFINE = flags.DEFINE_bool(
    "refine", True, "Refine the atoms by least squares, move wrong atoms, and test the result against the data.")
_NOISE = flags.DEFINE_float(
    "noise", 0.0, "Standard deviation of a squared amplitude, relative to its value. A result is called solved when "
    "its misfit is within this noise.", lower_bound=0.0, upper_bound=1.0)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of the random numbers of the annealer and the search.", lower_bound=0, upper_bound=2**31 - 1)
_JSON = flags.DEFINE_string("json", None, "Second file to which the log is written.")
flags.mark_flags_as_mutual_exclusive(["patterson", "amplitudes"], required=True)


def main(_: list[str]) -> None:
    """Reads the map, solves it, writes the results and prints a table.

    Raises:
      InputError: a value is out of range, a file cannot be used, or there are fewer candidates than atoms asked for.
    """
    if _PITCH.value is not None and not 0 < _PITCH.value < math.inf:
        raise InputError(f"--pitch={_PITCH.value:g}: expected a positive number of Angstrom")
    start, cpu_start = time.perf_counter(), time.process_time()
    # Not at the top of the file, because a mistyped flag should fail before these slow imports.
    from launch.machine import provenance
    from launch.solution import files, page, report
    from phasenet import pipeline, pretrained
    from phasenet.io.amplitudes import read_amplitudes
    from phasenet.io.patterson_maps import read_patterson
    from phasenet.search import network_stage

    weights = pretrained.load(_WEIGHTS.value)
    is_patterson = _PATTERSON.value is not None
    path = _PATTERSON.value if is_patterson else _AMPLITUDES.value
    assert path is not None  # one of the two flags is required
    measured = read_patterson(path) if is_patterson else read_amplitudes(path, weights.problem.grid)
    pitch = measured.pitch_angstrom if _PITCH.value is None else _PITCH.value
    folder = app.prepare_folder(_OUTPUT.value)
    app.enable_compilation_cache()
    app.print_line(f"searching for {_NUM_ATOMS.value or 'the'} atoms with weights {_WEIGHTS.value}; the first run "
                   "compiles programs for up to a minute")
    settings = network_stage.NetworkSettings(picker=_PICKER.value)
    solution = pipeline.solve(measured.values, weights, num_atoms=_NUM_ATOMS.value, seed=_SEED.value, settings=settings,
                              refine=_REFINE.value, noise=_NOISE.value, name=path)
    prepared = solution.prepared
    problem, notes = prepared.problem, (*measured.notes, *prepared.notes)
    for line in (f"{path}: {' x '.join(map(str, measured.values.shape))} voxels", *(f"  {note}" for note in notes)):
        app.print_line(line)
    report.check_enough_candidates(solution)

    numbers = report.summary(solution)
    files.write_positions(folder, solution.positions, solution.standard_deviations, pitch, numbers["correlation"])
    fitted = report.fitted_map(solution.positions, problem)
    files.draw(folder, prepared.patterson, fitted, numbers["correlation"], numbers["r_factor"])
    timing = {"wall_seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
    log = report.log(path, "patterson" if is_patterson else "amplitudes", solution, notes, settings, numbers, pitch)
    weights_folder = pretrained.find_weights(_WEIGHTS.value)
    log |= {"weights": provenance.describe_weights(_WEIGHTS.value, weights_folder, weights.info),
            "timing": timing, **provenance.describe_run()}
    page.write(folder, solution, log, fitted)
    files.write_log(folder, log, _JSON.value)
    names = "  ".join((*files.NAMES, files.LOG))
    app.print_line(f"\n{report.format_table(numbers, timing)}\n\nwritten to {folder}:\n  {names}")


if __name__ == "__main__":
    app.run(main)
