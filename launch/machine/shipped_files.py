"""Finds the examples and configs that come with the packages when a launch is called from another folder."""

import pathlib

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_SHIPPED = ("configs/", "phasenet/examples/", "saxsae/examples/")
# The flags of all launches that a guide gives a shipped file to. A path to write to is never replaced.
_INPUT_FLAGS = ("config", "patterson", "profile", "reference", "reflections")


def resolve_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Replaces the paths of shipped files that the current folder does not have by those in the installation.

    Args:
      arguments: command-line arguments, `--flag=PATH` or `--flag PATH`; a config may name a variant,
        `configs/FILE.py:VARIANT`.

    Returns:
      The arguments, and the paths that were replaced.
    """
    resolved, replaced = [], []
    for number, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if not equals and number:
            flag, value = arguments[number - 1], argument
        path = value.partition(":")[0]
        is_input = flag.startswith("-") and flag.lstrip("-") in _INPUT_FLAGS
        if is_input and path.startswith(_SHIPPED) and not pathlib.Path(path).exists() and (_ROOT / path).is_file():
            replaced.append(path)
            argument = f"{flag}={_ROOT / value}" if equals else str(_ROOT / value)
        resolved.append(argument)
    return resolved, replaced
