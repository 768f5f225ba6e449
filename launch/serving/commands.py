"""What may be asked for, and the launches that do it: settings as a browser sends them to command lines."""

import math
import pathlib
from typing import Any, NamedTuple

import phasenet
import saxsae
from launch.serving.jobs import Job
from phasenet.errors import InputError

RESULT, PROGRESS = "result", "progress.jsonl"  # in the job's folder
CASE = "case"  # the random atoms and their map, likewise
_SEEDS = 2**31 - 1


class Number(NamedTuple):
    """A number that may be given: whole or not, its bounds, and what stands for none (None: the launch decides)."""

    whole: bool
    low: float
    high: float
    default: float | None = None


class Choice(NamedTuple):
    """One of several words."""

    words: tuple[str, ...]
    default: str | None = None


def _released(package) -> tuple[str, ...]:
    folder = pathlib.Path(package.__file__).parent / "weights"
    return tuple(sorted(path.parent.name for path in folder.glob("*/config.json")))


_CURVE = {
    "unit": Choice(("1/A", "1/nm")), "radius": Number(False, 2, 1000), "q_max": Number(False, 0.01, 5, 0.2),
    "num_models": Number(True, 1, 32, 8), "weights": Choice(_released(saxsae), "lean"),
    "seed": Number(True, 0, _SEEDS, 0), "background": Choice(("no", "yes"), "no"),
    "generations": Number(True, 1, 200)}
_MEASURED = {
    "num_atoms": Number(True, 1, 200), "pitch": Number(False, 0.01, 100), "noise": Number(False, 0, 1, 0),
    "weights": Choice(_released(phasenet), "dual_space"), "seed": Number(True, 0, _SEEDS, 0)}
_RANDOM = {
    "num_atoms": Number(True, 1, 60, 10), "inner_box": Number(False, 4, 24, 12), "noise": Number(False, 0, 0.5, 0),
    "h_max": Number(False, 4, 35), "seed": Number(True, 0, _SEEDS, 0)}

# By the source of a job: the file that it is given, or "random".
FIELDS = {"curve": _CURVE, "patterson": _MEASURED, "amplitudes": _MEASURED, "random": _RANDOM}
KINDS = {"curve": "curve", "patterson": "patterson", "amplitudes": "patterson", "random": "patterson"}


def checked(source: str, given: dict[str, Any]) -> dict[str, Any]:
    """Settings of a job of that source, all fields present. Raises InputError for a value that cannot be."""
    fields = FIELDS[source]
    for name in given:
        if name not in fields:
            raise InputError(f"{name}: no such setting")
    return {"source": source} | {name: _checked(name, field, given.get(name)) for name, field in fields.items()}


def _checked(name: str, field: Number | Choice, value: Any) -> Any:
    if value is None or value == "":
        return field.default
    if isinstance(field, Choice):
        if value not in field.words:
            raise InputError(f"{name}: one of {', '.join(field.words)} is needed, not {value!r}")
        return value
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name}: {value!r} is no number") from None
    if not math.isfinite(number) or not field.low <= number <= field.high or field.whole and number % 1:
        raise InputError(f"{name}: a {'whole ' * field.whole}number from {field.low:g} to {field.high:g} is needed, "
                         f"not {value}")
    return int(number) if field.whole else number


def of(job: Job) -> list[list[str]]:
    """The launches of a job, each a module and its flags, in the job's folder."""
    settings = job.settings
    output = f"--output={RESULT}"
    if settings["source"] == "curve":
        flags = _flags(settings, ("unit", "radius", "q_max", "num_models", "weights", "seed", "generations"))
        flags += ["--background"] * (settings["background"] == "yes")
        flags += ["--reference=reference"] * bool(settings.get("reference"))
        return [["launch.reconstruct", "--profile=curve", output, f"--progress={PROGRESS}", *flags]]
    solve = ["launch.solve", output]
    if settings["source"] != "random":
        flags = _flags(settings, ("num_atoms", "pitch", "noise", "weights", "seed"))
        return [[*solve, f"--{settings['source']}={settings['source']}", *flags]]
    return [
        ["launch.datasets.make_patterson_example", f"--output={CASE}", f"--name={CASE}", "--weights=dual_space",
         *_flags(settings, tuple(_RANDOM))],
        [*solve, f"--patterson={CASE}/{CASE}.npy", *_flags(settings, ("noise", "seed"))],
        ["launch.serving.truth", f"{CASE}/{CASE}.csv", RESULT]]


def _flags(settings: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    return [f"--{name}={settings[name]}" for name in names if settings[name] is not None]
