"""The figures of the SAXS paper, from our own runs.

    python -m launch.figures --figure=all --output=out/figures
        [--results=autoencoder.json,free.json,given.json] [--pairs=DIR --maps=DIR] [--profile=FILE --reference=PDB]

What the papers' figures show, by their numbers:

    saxs1a  a structure and its voxels             saxs2a  chi^2 and correlation of the elites by generation
    saxs1b  the networks                           saxs2b  the fit
    saxs1c  correlations of the auto-encoder       saxs2c  the shape on the reference
    saxs1d  distribution of four latent numbers    saxs2d  correlations with and without the radius
                                                   saxs2e  radii found
                                                   saxs2f  examples at several correlations

saxs1c takes the JSON of ``launch.evaluate --task=autoencoder``; saxs2d, 2e and 2f those of ``--task=reconstruction`` or
``simulated``; saxs2f also the ``--pairs`` and the ``--maps_dir`` of that evaluation. The others use ``--profile`` and
``--reference``, or the shipped example.
"""

import json
import pathlib

from absl import flags

from launch import app
from phasenet.errors import InputError

_EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "saxsae" / "examples"
_NAMES = ["saxs1a", "saxs1b", "saxs1c", "saxs1d", "saxs2a", "saxs2b", "saxs2c", "saxs2d", "saxs2e", "saxs2f"]
_RUN = ("saxs2a", "saxs2b", "saxs2c")  # from one reconstruction
_FIGURE = flags.DEFINE_enum("figure", None, [*_NAMES, "all"], "Which figure.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the pictures.", required=True)
_RESULTS = flags.DEFINE_list("results", [], "JSON files that launch.evaluate wrote.")
_PAIRS = flags.DEFINE_string("pairs", None, "The folder of pairs that was evaluated.")
_MAPS = flags.DEFINE_string("maps", None, "The --maps_dir of that evaluation.")
_PROFILE = flags.DEFINE_string("profile", str(_EXAMPLES / "three_lobes.dat"), "Curve of 2a to 2c.")
_REFERENCE = flags.DEFINE_string("reference", str(_EXAMPLES / "three_lobes.pdb"), "Its structure.")
_WEIGHTS = flags.DEFINE_string("weights", "lean", "Released weights by name, or their folder.")
_NUM_MODELS = flags.DEFINE_integer("num_models", 8, "Runs of 2a to 2c.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of 2a to 2c.", lower_bound=0)


def main(_: list[str]) -> None:
    wanted = _NAMES if _FIGURE.value == "all" else [_FIGURE.value]
    results = [_read_results(path) for path in _RESULTS.value]
    from launch import devices
    from launch.reconstruction.files import prepare_folder

    folder = prepare_folder(_OUTPUT.value)
    devices.split_cpu(_NUM_MODELS.value)
    app.enable_compilation_cache()
    from launch.plotting import saxs

    drawn = left_out = 0
    for name in wanted:
        try:
            if name in _RUN:
                drawing = saxs.Run.of(_PROFILE.value, _REFERENCE.value, _WEIGHTS.value, _NUM_MODELS.value, _SEED.value)
                getattr(saxs, name)(folder / f"{name}.png", drawing)
            elif name == "saxs1a":
                saxs.saxs1a(folder / f"{name}.png", _REFERENCE.value)
            elif name in ("saxs1b", "saxs1d"):
                getattr(saxs, name)(folder / f"{name}.png", _WEIGHTS.value)
            elif name == "saxs2f":
                saxs.saxs2f(folder / f"{name}.png", results, _PAIRS.value, _MAPS.value)
            else:
                getattr(saxs, name)(folder / f"{name}.png", results)
        except saxs.Missing as error:
            if _FIGURE.value != "all":
                raise InputError(f"--figure={name}: {error}") from error
            app.say(f"{name}  left out: {error}")
            left_out += 1
            continue
        app.say(f"{name}  {folder / name}.png")
        drawn += 1
    app.say(f"{drawn} drawn, {left_out} left out")


def _read_results(path: str) -> dict:
    try:
        value = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"--results={path}: not JSON ({error})") from error
    if not isinstance(value, dict) or not isinstance(value.get("items"), list) or "task" not in value:
        raise InputError(f"--results={path}: not what launch.evaluate writes (no 'task' and 'items')")
    return value


if __name__ == "__main__":
    app.run(main)
