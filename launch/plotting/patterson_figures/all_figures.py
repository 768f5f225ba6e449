"""The figures of the Patterson paper by name, and what each of them is drawn from."""

import functools
import pathlib
from typing import NamedTuple

from launch.plotting.missing import Missing
from launch.plotting.patterson_figures import geometry, maps, solutions, training
from launch.plotting.patterson_figures import network as patterson_network
from phasenet import pretrained
from phasenet.errors import InputError
from phasenet.maps import synthesis

# The runs that each figure compares with the baseline.
_COMPARED = {"patterson8": ("single10", "single20"), "patterson9": ("box18", "box24"), "patterson9b": ("batch_norm",)}


class Inputs(NamedTuple):
    """What the user gave.

    Attributes:
      network: name or folder of the weights of figures 2, 10 and 11.
      workdir: the training of figure 7, or None.
      workdirs: "NAME=DIR" of the trainings of figures 8 to 9b.
      results: what launch.evaluate wrote, for figure 12.
      seed: of the random cases.
    """

    network: str
    workdir: str | None
    workdirs: list[str]
    results: list[dict]
    seed: int


def draw(name: str, path: pathlib.Path, inputs: Inputs) -> None:
    """Draws one figure. Raises Missing where what it needs was not given, InputError where that is not right."""
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
        if inputs.workdir is None:
            raise Missing("needs --workdir=DIR of launch.train")
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
            raise Missing("needs --results=FILE.json of launch.evaluate --task=phasing")
        solutions.patterson12(path, phasing)


def check_workdirs(workdirs: list[str]) -> dict[str, str]:
    """{name: folder} of "NAME=DIR" each. Raises InputError for what is none of the experiments."""
    known = ", ".join(training.RUNS)
    folders = {}
    for text in workdirs:
        name, equals, folder = text.partition("=")
        if name not in training.RUNS or not equals or not folder:
            raise InputError(f"--workdirs={text}: expected NAME=DIR, with NAME one of {known}")
        if name in folders:
            raise InputError(f"--workdirs: {name} is given twice")
        folders[name] = folder
    return folders


def _runs(workdirs: list[str], compared: tuple[str, ...]) -> list[training.TrainingRun]:
    folders = check_workdirs(workdirs)
    others = [name for name in compared if name in folders]
    if "baseline" not in folders or not others:
        raise Missing(f"needs --workdirs=baseline=DIR,NAME=DIR with NAME {' or '.join(compared)}")
    return [training.read_run(name, folders[name]) for name in ("baseline", *others)]


_weights = functools.lru_cache(maxsize=1)(pretrained.load)
