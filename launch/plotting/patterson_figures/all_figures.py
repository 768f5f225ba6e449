"""Draws the figures of the Patterson paper by name from the inputs that `launch.figures` was given."""

import functools
import pathlib
from typing import Any, NamedTuple

from launch.plotting.missing import MissingInput
from launch.plotting.patterson_figures import geometry, maps, solutions, training
from launch.plotting.patterson_figures import network as patterson_network
from phasenet import pretrained
from phasenet.errors import InputError
from phasenet.maps import synthesis

# The runs that each figure compares with the baseline.
_COMPARED = {"patterson8": ("single10", "single20"), "patterson9": ("box18", "box24"), "patterson9b": ("batch_norm",)}


class Inputs(NamedTuple):
    """The inputs that the user gave.

    Attributes:
      network: name or folder of the weights of figures 2, 10 and 11.
      workdir: folder of the training of figure 7, or the name of released weights.
      workdirs: "NAME=DIR" of each training of figures 8 to 9b.
      results: contents of the JSON files of `launch.evaluate`, for figure 12.
      seed: seed of the random cases.
    """

    network: str
    workdir: str
    workdirs: list[str]
    results: list[dict[str, Any]]
    seed: int


def draw(name: str, path: pathlib.Path, inputs: Inputs) -> None:
    """Draws one figure.

    Args:
      name: "patterson1" to "patterson12", or "patterson9b".
      path: the picture to write.
      inputs: the inputs of all figures.

    Raises:
      MissingInput: if an input of this figure was not given.
      InputError: if an input is not what the figure needs.
    """
    published = synthesis.Problem()
    if name == "patterson1":
        geometry.patterson1(path)
    elif name in ("patterson4", "patterson5", "patterson6"):
        getattr(geometry, name)(path, published)
    elif name == "patterson2":
        patterson_network.patterson2(path, _weights(inputs.network))
    elif name == "patterson3":
        maps.patterson3(path, published, inputs.seed)
    elif name == "patterson7":
        training.patterson7(path, training.read_run("baseline", inputs.workdir))
    elif name in _COMPARED:
        getattr(training, name)(path, _runs(inputs.workdirs, _COMPARED[name]))
    elif name == "patterson10":
        maps.patterson10(path, _weights(inputs.network), inputs.seed)
    elif name == "patterson11":
        solutions.patterson11(path, _weights(inputs.network), inputs.seed)
    else:
        phasing = [result for result in inputs.results if result["task"] == "phasing"]
        if not phasing:
            raise MissingInput("needs --results=FILE.json of launch.evaluate --task=phasing")
        solutions.patterson12(path, phasing)


def check_workdirs(workdirs: list[str]) -> dict[str, str]:
    """Returns {name: folder} of the trainings.

    Args:
      workdirs: "NAME=DIR" each, NAME one of `training.RUNS`.

    Raises:
      InputError: if an entry has another form, an unknown name, or a name that occurred before.
    """
    known = ", ".join(training.RUNS)
    folders: dict[str, str] = {}
    for text in workdirs:
        name, equals, folder = text.partition("=")
        if name not in training.RUNS or not equals or not folder:
            raise InputError(f"--workdirs={text}: expected NAME=DIR, with NAME one of {known}")
        if name in folders:
            raise InputError(f"--workdirs: {name} is given twice")
        folders[name] = folder
    return folders


def _runs(workdirs: list[str], compared: tuple[str, ...]) -> list[training.TrainingRun]:
    """Returns the baseline and the compared trainings that were given; raises MissingInput without one of each."""
    folders = check_workdirs(workdirs)
    others = [name for name in compared if name in folders]
    if "baseline" not in folders or not others:
        raise MissingInput(f"needs --workdirs=baseline=DIR,NAME=DIR with NAME {' or '.join(compared)}")
    return [training.read_run(name, folders[name]) for name in ("baseline", *others)]


_weights = functools.lru_cache(maxsize=1)(pretrained.load)
