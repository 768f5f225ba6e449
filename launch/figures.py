"""Draws the figures of the SAXS and the Patterson paper from our own runs.

    python -m launch.figures --figure=all --output=out/figures
        [--results=autoencoder.json,free.json,given.json,phasing.json] [--pairs=DIR --maps=DIR]
        [--profile=FILE --reference=PDB] [--weights=NAME] [--network=NAME] [--crystals=MADE.npz,MEASURED_FOLDER]
        [--workdir=DIR] [--workdirs=baseline=DIR,single10=DIR,single20=DIR,box18=DIR,box24=DIR,batch_norm=DIR]

It writes NAME.png to the folder --output. `--figure=all` draws every figure whose input is given, and prints why the
others are left out. The names follow the numbers of the figures in the papers:

    saxs1a  a structure and its voxels             saxs2a  chi^2 and correlation of the elites by generation
    saxs1b  the networks                           saxs2b  the measured and the fitted curve
    saxs1c  correlations of the auto-encoder       saxs2c  the shape on the reference
    saxs1d  distribution of four latent numbers    saxs2d  correlations with and without a given radius
                                                   saxs2e  radii found
    samples  shapes of random codes                saxs2f  examples at several correlations

    patterson1  covered pixels                     patterson7   losses of a training
    patterson2  the network                        patterson8   losses with and without inverse atoms
    patterson3  atoms, inverses, both              patterson9   losses for several inner boxes
    patterson4  two sets, one Patterson map        patterson9b  losses with batch normalization
    patterson5  the box within a box               patterson10  true maps beside the network's
    patterson6  vectors from the nearest corner    patterson11  the annealer's error by swaps
                                                   patterson12  distances from the true atoms
    certificate  misfit of right and of wrong sets of atoms (not in a paper)
    crystal_verdicts  R1 of right and of wrong structures of crystals, and the share of right ones (not in a paper)
    crystal_resolutions  density and atoms of the made crystal solved at 0.9 to 2 A (not in a paper)
    crystal_statistics  atoms and intensities of made crystals beside those of measured ones (not in a paper)
    crystal_scaling  processor time and memory of solving by the number of atoms (not in a paper)

Among `--results`, saxs1c needs the JSON of `launch.evaluate --task=autoencoder`; saxs2d, 2e and 2f the JSON of
`--task=reconstruction` or `simulated`; patterson12 the JSON of `--task=phasing`; crystal_verdicts that of
`--task=crystals`, also with `--permuted`; crystal_scaling the JSON of `launch.benchmark --suite=crystal_scaling`.
crystal_statistics needs `--crystals`: a file of `launch.datasets.make_crystals`, a folder of measured crystals as
`launch.evaluate --task=crystals` takes it, or both. saxs2f also needs the `--pairs` of the evaluation, and as `--maps`
its `--maps_dir`. The other saxs figures use `--profile` and `--reference`, by default the shipped example. patterson7
shows the training `--workdir`; patterson8 to 9b need several workdirs of `launch.train`, each with the name of an
experiment as shown above. patterson2, 10 and 11 use the weights `--network`.
"""

import json
import pathlib

from absl import flags

from launch import app
from phasenet.errors import InputError

_EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "saxsae" / "examples"
_SAXS = ["saxs1a", "saxs1b", "saxs1c", "saxs1d", "saxs2a", "saxs2b", "saxs2c", "saxs2d", "saxs2e", "saxs2f",
         "samples"]
_PATTERSON = [f"patterson{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, "9b", 10, 11, 12)]
_NAMES = [*_SAXS, *_PATTERSON, "certificate", "crystal_verdicts", "crystal_resolutions", "crystal_statistics",
          "crystal_scaling"]
_RUN = ("saxs2a", "saxs2b", "saxs2c")  # drawn from one reconstruction
_FIGURE = flags.DEFINE_enum("figure", None, [*_NAMES, "all"], "Name of the figure, or all.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the pictures; it is made where it is missing.", required=True)
_RESULTS = flags.DEFINE_list(
    "results", [], "JSON files that launch.evaluate or launch.benchmark wrote, separated by commas.")
_PAIRS = flags.DEFINE_string("pairs", None, "Folder of pairs that was evaluated, for saxs2f.")
_MAPS = flags.DEFINE_string("maps", None, "Folder of maps that the evaluation wrote (its --maps_dir), for saxs2f.")
_PROFILE = flags.DEFINE_string(
    "profile", str(_EXAMPLES / "three_lobes.dat"), "File with the curve that saxs2a to 2c reconstruct.")
_REFERENCE = flags.DEFINE_string(
    "reference", str(_EXAMPLES / "three_lobes.pdb"), "File with the known structure of that curve.")
_WEIGHTS = flags.DEFINE_string(
    "weights", "lean", "Weights of the saxs figures: the name of released ones, their folder, or the workdir of a "
    "training.")
_NETWORK = flags.DEFINE_string(
    "network", "published", "Weights of patterson2, 10 and 11: the name of released ones, their folder, or the workdir "
    "of a training.")
_CRYSTALS = flags.DEFINE_list(
    "crystals", [], "Files of made crystals (.npz) and folders of measured ones that crystal_statistics shows, "
    "separated by commas.")
_WORKDIR = flags.DEFINE_string(
    "workdir", "published", "Training that patterson7 shows: its workdir, or the name of released weights.")
_WORKDIRS = flags.DEFINE_list(
    "workdirs", [], "NAME=DIR for each training that patterson8 to 9b show, separated by commas.")
_NUM_MODELS = flags.DEFINE_integer(
    "num_models", None, "Number of models of the reconstruction in saxs2a to 2c; by default as launch.reconstruct.",
    lower_bound=1)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of the random numbers of saxs2a to 2c, samples, patterson3, 10, 11, certificate and "
    "crystal_resolutions.", lower_bound=0, upper_bound=2**31 - 1)


def main(_: list[str]) -> None:
    """Draws the figures that --figure names and prints the path of each.

    Raises:
      InputError: a file cannot be used, the input of the one figure asked for is missing, or a figure failed.
    """
    wanted = _NAMES if _FIGURE.value == "all" else [_FIGURE.value]
    results = [_read_results(path) for path in _RESULTS.value]
    folder = app.prepare_folder(_OUTPUT.value)
    app.enable_compilation_cache()
    from launch.plotting.missing import MissingInput
    from launch.plotting.patterson_figures import all_figures

    all_figures.check_workdirs(_WORKDIRS.value)
    drawn: list[str] = []
    left_out: list[str] = []
    failed: list[str] = []
    for name in wanted:
        path = folder / f"{name}.png"
        try:
            if name in _SAXS:
                _draw_saxs(name, path, results)
            elif name == "certificate":
                _draw_certificate(path)
            elif name == "crystal_verdicts":
                _draw_crystal_verdicts(path, results)
            elif name == "crystal_resolutions":
                _draw_crystal_resolutions(path)
            elif name == "crystal_statistics":
                _draw_crystal_statistics(path)
            elif name == "crystal_scaling":
                _draw_crystal_scaling(path, results)
            else:
                all_figures.draw(name, path, all_figures.Inputs(
                    _NETWORK.value, _WORKDIR.value, _WORKDIRS.value, results, _SEED.value))
        except (MissingInput, InputError) as error:
            absent = isinstance(error, MissingInput)
            if _FIGURE.value != "all":
                raise InputError(f"--figure={name}: {error}" if absent else str(error)) from error
            app.print_line(f"{name}  {'left out' if absent else 'failed'}: {error}")
            (left_out if absent else failed).append(name)
            continue
        app.print_line(f"{name}  {path}")
        drawn.append(name)
    app.print_line(f"{len(drawn)} drawn, {len(left_out)} left out")
    if failed:
        raise InputError(f"{', '.join(failed)}: not drawn, for the reasons printed above")


def _draw_saxs(name: str, path: pathlib.Path, results: list[dict]) -> None:
    """Draws a figure of the SAXS paper from what the flags and the results of evaluations give."""
    from launch.plotting.saxs_figures import all_figures

    if name in _RUN:
        run = all_figures.ReconstructionRun.of(
            _PROFILE.value, _REFERENCE.value, _WEIGHTS.value, _NUM_MODELS.value, _SEED.value)
        getattr(all_figures, name)(path, run)
    elif name == "saxs1a":
        all_figures.saxs1a(path, _REFERENCE.value)
    elif name in ("saxs1b", "saxs1d"):
        getattr(all_figures, name)(path, _WEIGHTS.value)
    elif name == "samples":
        from launch.plotting.saxs_figures import samples

        samples.saxs_samples(path, _WEIGHTS.value, _SEED.value)
    elif name == "saxs2f":
        all_figures.saxs2f(path, results, _PAIRS.value, _MAPS.value)
    else:
        getattr(all_figures, name)(path, results)


def _draw_certificate(path: pathlib.Path) -> None:
    """Draws the figure `certificate` and prints its counts for each problem."""
    from launch.plotting.patterson_figures import certificate

    for problem, counts in certificate.draw(path, _SEED.value).items():
        numbers = (f"{name.replace('_', ' ')} {value:.4g}" for name, value in counts.items())
        app.print_line(f"{problem}: " + ", ".join(numbers))


def _draw_crystal_verdicts(path: pathlib.Path, results: list[dict]) -> None:
    """Draws the figure `crystal_verdicts` and prints its counts."""
    from launch.plotting import crystal_verdicts

    app.print_line("; ".join(f"{name} {count}" for name, count in crystal_verdicts.draw(path, results).items()))


def _draw_crystal_resolutions(path: pathlib.Path) -> None:
    """Draws the figure `crystal_resolutions` and prints a line for each resolution."""
    from launch.plotting import crystal_resolutions

    for resolution, counts in crystal_resolutions.draw(path, _SEED.value).items():
        app.print_line(f"{resolution}: {counts['status']}, R1 {counts['r1']:.3f}, {counts['found']} of "
                       f"{counts['true']} atoms found")


def _draw_crystal_statistics(path: pathlib.Path) -> None:
    """Draws the figure `crystal_statistics` and prints the numbers of crystals."""
    from launch.plotting import crystal_statistics

    counts = crystal_statistics.draw(path, _CRYSTALS.value, app.print_line)
    app.print_line(", ".join(f"{count} {name}" for name, count in counts.items()))


def _draw_crystal_scaling(path: pathlib.Path, results: list[dict]) -> None:
    """Draws the figure `crystal_scaling` and prints a line for each resolution."""
    from launch.plotting import crystal_scaling

    for resolution, counts in crystal_scaling.draw(path, results).items():
        app.print_line(f"{resolution}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))


def _read_results(path: str) -> dict:
    """Returns what an evaluation or a benchmark wrote; raises InputError where the file holds something else."""
    try:
        value = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"--results={path}: not JSON ({error})") from error
    if not isinstance(value, dict) or not isinstance(value.get("items"), list) or "task" not in value:
        raise InputError(f"--results={path}: not a file of launch.evaluate or launch.benchmark (it has no 'task' and "
                         "'items')")
    return value


if __name__ == "__main__":
    app.run(main)
