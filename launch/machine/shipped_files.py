"""Finds the examples and configs that come with the packages when a command is called from another folder."""

import pathlib

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_SHIPPED = ("configs/", "phasenet/examples/", "saxsae/examples/")


def resolve_argument(argument: str) -> tuple[str, str | None]:
    """Replaces the path in `--flag=PATH` by that of the shipped file where the current folder has no such file.

    Args:
      argument: one command-line argument; a config may name a variant, `configs/FILE.py:VARIANT`.

    Returns:
      The argument, and the path that was replaced; None where nothing was.
    """
    flag, equals, value = argument.partition("=")
    path, colon, variant = value.partition(":")
    if not equals or not path.startswith(_SHIPPED) or pathlib.Path(path).exists() or not (_ROOT / path).is_file():
        return argument, None
    return f"{flag}={_ROOT / path}{colon}{variant}", path
