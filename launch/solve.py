"""A Patterson map, or amplitudes without phases, to atoms.

    python -m launch.solve --patterson=FILE --output=DIR [--num_atoms=N] [--weights=NAME]
    python -m launch.solve --amplitudes=FILE --output=DIR

The folder then holds

    positions.csv     the atoms about their mean, in voxels and, where the pitch is known, in Angstrom; and, where
                      they were refined, their standard deviations
    positions.xyz, positions.pdb   the same for viewers; one voxel is 1 A where the pitch is not known
    report.html       all of it as one page, to look at in a browser; it needs no network
    sections.png      three sections of the Patterson map: as given, and of the atoms found
    log.json          everything about the run
"""

import math
import time

from absl import flags

from launch import app
from phasenet.errors import InputError

_PATTERSON = flags.DEFINE_string("patterson", None, "A Patterson map: .npy of (N, N, N), or CCP4/MRC.")
_AMPLITUDES = flags.DEFINE_string(
    "amplitudes", None, "Amplitudes |F|: .npy of (N, N, N) or (N, N, N/2 + 1), or a text of rows h k l F.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the results.", required=True)
_NUM_ATOMS = flags.DEFINE_integer(
    "num_atoms", None, "How many atoms; by default as the map tells, or the weights.", lower_bound=1, upper_bound=500)
_PITCH = flags.DEFINE_float("pitch", None, "Edge of a voxel (A); by default from the header of a CCP4 map.")
_WEIGHTS = flags.DEFINE_string("weights", "dual_space", "Released weights by name, or their folder.")
_PICKER = flags.DEFINE_enum(
    "picker", "fit", ["fit", "peaks"], "Candidates: atoms fitted to the network's map, or its peaks (the paper's way).")
_REFINE = flags.DEFINE_bool("refine", True, "Refine the atoms, move wrong ones, and certify the answer.")
_NOISE = flags.DEFINE_float(
    "noise", 0.0, "Standard deviation of the squared amplitudes, relative: what the certificate allows for.",
    lower_bound=0.0, upper_bound=1.0)
_SEED = flags.DEFINE_integer("seed", 0, "Of the annealer and the search.", lower_bound=0, upper_bound=2**31 - 1)
_JSON = flags.DEFINE_string("json", None, "Write the log there too.")
flags.mark_flags_as_mutual_exclusive(["patterson", "amplitudes"], required=True)


def main(_: list[str]) -> None:
    if _PITCH.value is not None and not 0 < _PITCH.value < math.inf:
        raise InputError(f"--pitch={_PITCH.value:g}: a positive number of Angstrom is needed")
    start, cpu_start = time.perf_counter(), time.process_time()
    # Imports here: who mistypes a flag should not wait for them.
    from launch.machine import provenance
    from launch.solution import files, page, report
    from phasenet import pipeline, pretrained
    from phasenet.io.amplitudes import read_amplitudes
    from phasenet.io.patterson_maps import read_patterson
    from phasenet.search import network_stage

    weights = pretrained.load(_WEIGHTS.value)
    path = _PATTERSON.value or _AMPLITUDES.value
    measured = read_patterson(path) if _PATTERSON.value else read_amplitudes(path, weights.problem.grid)
    pitch = measured.pitch_angstrom if _PITCH.value is None else _PITCH.value
    folder = app.prepare_folder(_OUTPUT.value)
    app.enable_compilation_cache()
    app.print_line(f"seeking {_NUM_ATOMS.value or 'the'} atoms, weights {_WEIGHTS.value}; a first time some programs are "
            "compiled, up to a minute")
    settings = network_stage.NetworkSettings(picker=_PICKER.value)
    answer = pipeline.solve(measured.values, weights, num_atoms=_NUM_ATOMS.value, seed=_SEED.value, settings=settings,
                             refine=_REFINE.value, noise=_NOISE.value, name=path)
    prepared = answer.prepared
    problem, notes = prepared.problem, (*measured.notes, *prepared.notes)
    for line in (f"{path}: {' x '.join(map(str, measured.values.shape))} voxels", *(f"  {note}" for note in notes)):
        app.print_line(line)
    report.check_found(answer)

    numbers = report.summary(answer)
    files.write_positions(folder, answer.positions, answer.deviations, pitch, numbers["correlation"])
    fitted = report.fitted_map(answer.positions, problem)
    files.draw(folder, prepared.patterson, fitted, numbers["correlation"], numbers["r_factor"])
    timing = {"wall_seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
    log = report.log(path, "patterson" if _PATTERSON.value else "amplitudes", answer, notes, settings, numbers, pitch)
    log |= {"weights": provenance.weights(_WEIGHTS.value, pretrained.find_weights(_WEIGHTS.value), weights.info),
            "timing": timing, **provenance.record()}
    page.write(folder, answer, log, fitted)
    files.write_log(folder, log, _JSON.value)
    app.print_line(f"\n{report.table(numbers, timing)}\n\nwritten to {folder}:\n  {'  '.join((*files.NAMES, files.LOG))}")


if __name__ == "__main__":
    app.run(main)
