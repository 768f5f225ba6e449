"""Checks the settings of a job as a browser sends them, and turns a job into the command lines of its launches."""

import math
import pathlib
import re
import types
from typing import Any, NamedTuple

import phasenet
import saxsae
from launch.serving.crystals import COMPANIONS, REFLECTIONS
from launch.serving.jobs import Job
from phasenet.errors import InputError
from saxsae.superposition.point_groups import GROUP_NAMES

# Names in the folder of a job: of the result, of the lines of progress, and of the random atoms with their map.
RESULT, PROGRESS = "result", "progress.jsonl"
CASE = "case"
_MAX_SEED = 2**31 - 1


class Number(NamedTuple):
    """A setting that is a number.

    Attributes:
      whole: whether it must be a whole number.
      low: smallest value allowed.
      high: largest value allowed.
      default: value where none is given; None lets the launch decide.
    """

    whole: bool
    low: float
    high: float
    default: float | None = None


class Choice(NamedTuple):
    """A setting that is one of several words.

    Attributes:
      words: the words allowed.
      default: word where none is given; None lets the launch decide.
    """

    words: tuple[str, ...]
    default: str | None = None


class Text(NamedTuple):
    """A setting that is a short text; one that is not given is left to the launch.

    Attributes:
      pattern: regular expression that the whole text matches.
      example: a text that does, for the message.
      default: None, for a field without an entry.
    """

    pattern: str
    example: str
    default: None = None


def _released_weights(package: types.ModuleType, other: str = "") -> tuple[str, ...]:
    """Returns the names of the weights that a package ships, except those that are for another kind of job."""
    folder = pathlib.Path(str(package.__file__)).parent / "weights"
    return tuple(sorted(path.parent.name for path in folder.glob("*/config.json") if path.parent.name != other))


Field = Number | Choice | Text
# The released weights, by kind of job.
WEIGHTS = {"curve": Choice(_released_weights(saxsae), "lean"),
           "patterson": Choice(_released_weights(phasenet, other="crystals"), "dual_space")}
# Settings by name; `launch.reconstruct` has flags of these names. radius is in Angstrom, q_max in 1/Angstrom.
_CURVE: dict[str, Field] = {
    "unit": Choice(("1/A", "1/nm")), "radius": Number(False, 2, 1000), "q_max": Number(False, 0.01, 5, 0.2),
    "num_models": Number(True, 1, 100), "symmetry": Text(f"(?i:{'|'.join(GROUP_NAMES)})", "C3"),
    "weights": WEIGHTS["curve"],
    "seed": Number(True, 0, _MAX_SEED, 0), "background": Choice(("no", "yes"), "no"),
    "generations": Number(True, 1, 200)}
# The flags of `launch.solve`: pitch is in Angstrom a voxel; noise is relative to a squared amplitude.
_MEASURED: dict[str, Field] = {
    "num_atoms": Number(True, 1, 200), "pitch": Number(False, 0.01, 100), "noise": Number(False, 0, 1, 0),
    "weights": WEIGHTS["patterson"], "seed": Number(True, 0, _MAX_SEED, 0)}
# The flags of `launch.datasets.make_patterson_example`: inner_box is in voxels, h_max in cycles per map edge.
_RANDOM: dict[str, Field] = {
    "num_atoms": Number(True, 1, 60, 10), "inner_box": Number(False, 4, 24, 12), "noise": Number(False, 0, 0.5, 0),
    "h_max": Number(False, 4, 35), "seed": Number(True, 0, _MAX_SEED, 0)}
_NUMBER = r"\d{1,4}(\.\d{0,8})?"
# The flags of `launch.solve --reflections`: cell is in Angstrom and degrees.
_CRYSTAL: dict[str, Field] = {
    "cell": Text(rf"{_NUMBER}([ ,]+{_NUMBER}){{5}}", "9.75 8.89 7.57 90 112.7 90"),
    "space_group": Text(r"[\w /:()-]{1,30}", "P 21/c"), "formula": Text(r"[\w .,()]{1,100}", "C12H22O11"),
    "radiation": Choice(("xray", "electron", "neutron")), "unknown_group": Choice(("no", "yes"), "no"),
    "num_starts": Number(True, 1, 200, 16), "seed": Number(True, 0, _MAX_SEED, 0)}

# By source of a job: what its input file is, or "random".
FIELDS = {"curve": _CURVE, "patterson": _MEASURED, "amplitudes": _MEASURED, "random": _RANDOM,
          "crystal": _CRYSTAL}
KINDS = {"curve": "curve", "patterson": "patterson", "amplitudes": "patterson", "random": "patterson",
         "crystal": "crystal"}


def input_kind(source: str) -> str:
    """Returns the kind of upload that is the input of a source, which is also the name of the file."""
    return REFLECTIONS if source == "crystal" else source


def companion_kinds(source: str) -> tuple[str, ...]:
    """Returns the kinds of uploads that may be given besides the input of a source."""
    return {"curve": ("reference",), "crystal": COMPANIONS}.get(source, ())


def validate_settings(source: str, given: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of a job with all fields present.

    Args:
      source: a key of `FIELDS`.
      given: the settings from the browser; a value that is missing, None or "" becomes the default.

    Returns:
      "source" and a value for each field of `FIELDS[source]`.

    Raises:
      InputError: a setting is unknown, or its value is not allowed. The message begins with the setting's name.
    """
    fields = FIELDS[source]
    for name in given:
        if name not in fields:
            raise InputError(f"{name}: no such setting")
    return {"source": source} | {name: _validate(name, field, given.get(name)) for name, field in fields.items()}


def _validate(name: str, field: Field, value: Any) -> Any:
    """Returns the value of one setting; raises InputError where it is not allowed."""
    if value is None or value == "":
        return field.default
    if isinstance(field, Choice):
        if value not in field.words:
            raise InputError(f"{name}: one of {', '.join(field.words)} is needed, not {value!r}")
        return value
    if isinstance(field, Text):
        if not isinstance(value, str) or not re.fullmatch(field.pattern, value, re.ASCII):
            raise InputError(f"{name}: a text such as {field.example} is needed, not {value!r}")
        return value
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name}: {value!r} is not a number") from None
    if not math.isfinite(number) or not field.low <= number <= field.high or field.whole and number % 1:
        raise InputError(f"{name}: a {'whole ' * field.whole}number from {field.low:g} to {field.high:g} is needed, "
                         f"not {value}")
    return int(number) if field.whole else number


def build_commands(job: Job) -> list[list[str]]:
    """Returns the launches of a job, each a module and its flags, to be run in order in the folder of the job."""
    settings = job.settings
    output = f"--output={RESULT}"
    if settings["source"] == "curve":
        flags = _flags(settings, (
            "unit", "radius", "q_max", "num_models", "symmetry", "weights", "seed", "generations"))
        flags += ["--background"] * (settings["background"] == "yes")
        flags += ["--reference=reference"] * bool(settings.get("reference"))
        return [["launch.reconstruct", "--profile=curve", output, f"--progress={PROGRESS}", *flags]]
    solve = ["launch.solve", output]
    if settings["source"] == "crystal":
        flags = _flags(settings, ("cell", "space_group", "formula", "radiation", "num_starts", "seed"))
        flags += ["--unknown_group"] * (settings["unknown_group"] == "yes")
        return [[*solve, f"--reflections={REFLECTIONS}", *flags]]
    if settings["source"] != "random":
        flags = _flags(settings, ("num_atoms", "pitch", "noise", "weights", "seed"))
        return [[*solve, f"--{settings['source']}={settings['source']}", *flags]]
    return [
        ["launch.datasets.make_patterson_example", f"--output={CASE}", f"--name={CASE}", "--weights=dual_space",
         *_flags(settings, tuple(_RANDOM))],
        [*solve, f"--patterson={CASE}/{CASE}.npy", *_flags(settings, ("noise", "seed"))],
        ["launch.serving.truth", f"{CASE}/{CASE}.csv", RESULT]]


def _flags(settings: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    """Returns the flags of the settings that are given."""
    # A job that an earlier version queued lacks the settings that are new.
    return [f"--{name}={settings[name]}" for name in names if settings.get(name) is not None]
