"""Finds the atoms in a Patterson map, behind amplitudes without phases, or in a measured crystal.

    python -m launch.solve --patterson=FILE --output=DIR [--num_atoms=N] [--weights=NAME]
    python -m launch.solve --amplitudes=FILE --output=DIR
    python -m launch.solve --reflections=FILE --output=DIR [--cell=a,b,c,alpha,beta,gamma] [--formula=C15H12N2O]

For a measured crystal (SHELX .hkl with .ins, .res or .cif beside it, CIF, MTZ) it prints a verdict and writes to DIR:

    solution.res, solution.cif, solution.pdb   the atoms, with standard deviations in the CIF
    solution_density.ccp4, solution_difference.ccp4   maps of F_obs and of F_obs - F_calc with calculated phases
    report.html, log.json                      as below

Otherwise it writes to DIR:

    positions.csv     the atoms relative to their mean: in voxels, in Angstrom where the pitch is known, and with
                      standard deviations where the atoms were refined
    positions.xyz, positions.pdb   the same atoms for viewers; one voxel is 1 A where the pitch is not known
    report.html       the result as one page for a browser, which works offline
    sections.png      three sections of the given Patterson map and of the map of the atoms found
    log.json          all numbers of the result, the flags, the versions and the weights

By default it runs our own pipeline: the dual-space network, then the search that refines and tests the atoms.
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
_REFLECTIONS = flags.DEFINE_string(
    "reflections", None, "File with the reflections of a crystal: SHELX .hkl (.ins, .res or .cif beside it), .ins, "
    "CIF, .fcf or MTZ.")
_CELL = flags.DEFINE_string("cell", None, "Unit cell a,b,c,alpha,beta,gamma in Angstrom and degrees.")
_SPACE_GROUP = flags.DEFINE_string("space_group", None, "Symbol of the space group, in any setting.")
_UNKNOWN_GROUP = flags.DEFINE_bool(
    "unknown_group", False, "Leave aside the space group of the files, and try the likeliest ones.")
_FORMULA = flags.DEFINE_string("formula", None, "Formula of one formula unit, such as C15H12N2O.")
_ELEMENTS = flags.DEFINE_string("elements", None, "Elements where their numbers are not known, such as C,H,N,O.")
_WAVELENGTH = flags.DEFINE_float("wavelength", None, "Wavelength in Angstrom.")
_RADIATION = flags.DEFINE_enum("radiation", None, ["xray", "electron", "neutron"], "What was diffracted.")
_HKLF = flags.DEFINE_enum("hklf", None, ["3", "4"], "3: the values are amplitudes F, 4: they are F^2.")
_NUM_STARTS = flags.DEFINE_integer(
    "num_starts", 16, "Largest number of starts from random phases, of a measured crystal.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the results; it is made where it is missing.", required=True)
_NUM_ATOMS = flags.DEFINE_integer(
    "num_atoms", None, "Number of atoms. By default it is estimated from the map if F000 is in it, and otherwise taken "
    "from the weights.", lower_bound=1, upper_bound=500)
_PITCH = flags.DEFINE_float(
    "pitch", None, "Edge of a voxel in Angstrom. By default it is read from the header of a CCP4 map.")
_WEIGHTS = flags.DEFINE_string(
    "weights", None, "Weights of the network: the name of released weights, their folder, or the workdir of a "
    "training. By default dual_space for maps and crystals for --reflections, of which alone it may be none.")
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
_CRYSTAL_FLAGS = ("cell", "space_group", "unknown_group", "formula", "elements", "wavelength", "radiation", "hklf",
                  "num_starts")
_MAP_FLAGS = ("num_atoms", "pitch", "picker", "refine", "noise")
flags.mark_flags_as_mutual_exclusive(["patterson", "amplitudes", "reflections"], required=True)


def main(_: list[str]) -> None:
    """Reads the map or the reflections, solves them, writes the results and prints a table.

    Raises:
      InputError: a value is out of range, a file cannot be used, or there are fewer candidates than atoms asked for.
    """
    if _PITCH.value is not None and not 0 < _PITCH.value < math.inf:
        raise InputError(f"--pitch={_PITCH.value:g}: expected a positive number of Angstrom")
    if _REFLECTIONS.value is not None:
        _refuse_flags(_MAP_FLAGS, "with --reflections")
        _solve_crystal(_REFLECTIONS.value)
        return
    _check_flags()
    start, cpu_start = time.perf_counter(), time.process_time()
    # Not at the top of the file, because a mistyped flag should fail before these slow imports.
    from launch.machine import provenance
    from launch.solution import files, page, report
    from phasenet import pipeline, pretrained
    from phasenet.io.amplitudes import read_amplitudes
    from phasenet.io.patterson_maps import read_patterson
    from phasenet.search import network_stage

    name = pretrained.DEFAULT if _WEIGHTS.value is None else _WEIGHTS.value
    weights = pretrained.load(name)
    is_patterson = _PATTERSON.value is not None
    path = _PATTERSON.value if is_patterson else _AMPLITUDES.value
    assert path is not None  # one of the two flags is required
    measured = read_patterson(path) if is_patterson else read_amplitudes(path, weights.problem.grid)
    pitch = measured.pitch_angstrom if _PITCH.value is None else _PITCH.value
    folder = app.prepare_folder(_OUTPUT.value)
    app.enable_compilation_cache()
    app.print_line(f"searching for {_NUM_ATOMS.value or 'the'} atoms with weights {name}; the first run "
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
    log |= {"weights": provenance.describe_weights(name, pretrained.find_weights(name), weights.info),
            "timing": timing, **provenance.describe_run()}
    page.write(folder, solution, log, fitted)
    app.write_log(folder / files.LOG, log, _JSON.value)
    names = "  ".join((*files.NAMES, files.LOG))
    app.print_line(f"\n{report.format_table(numbers, timing)}\n\nwritten to {folder}:\n  {names}")


def _solve_crystal(path: str) -> None:
    """Solves a measured crystal."""
    from launch.crystals.run import run  # not at the top: a mistyped flag should fail before this slow import

    given = {"cell": _CELL.value, "space_group": _SPACE_GROUP.value, "formula": _FORMULA.value,
             "elements": _ELEMENTS.value, "wavelength": _WAVELENGTH.value, "radiation": _RADIATION.value,
             "hklf": int(_HKLF.value) if _HKLF.value else None}
    run(path, _OUTPUT.value, given, unknown_group=_UNKNOWN_GROUP.value, num_starts=_NUM_STARTS.value,
        seed=_SEED.value, weights_name=_WEIGHTS.value, json_path=_JSON.value)


def _refuse_flags(names: tuple[str, ...], case: str) -> None:
    """Raises InputError if one of the flags is given in a case, such as "with --reflections"."""
    for name in names:
        if flags.FLAGS[name].present:
            raise InputError(f"--{name} has no meaning {case}; leave it out")


def _check_flags() -> None:
    """Raises InputError for a flag of crystals, or for reflections of a crystal, where a map is solved."""
    _refuse_flags(_CRYSTAL_FLAGS, "without --reflections")
    if _AMPLITUDES.value is not None:
        from phasenet.io.reflections.crystal_files import looks_like_reflections

        form = looks_like_reflections(_AMPLITUDES.value)
        if form is not None:
            raise InputError(f"{_AMPLITUDES.value}: holds the reflections of a crystal ({form}): give the file as "
                             "--reflections")


if __name__ == "__main__":
    app.run(main)
