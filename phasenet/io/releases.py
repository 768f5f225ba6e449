"""Where released weights lie."""

import pathlib

from phasenet.errors import InputError


def find_release(released: pathlib.Path, name: str) -> pathlib.Path:
    """The folder of weights: one of those in `released` by its name, a folder, or a training's workdir.

    Raises InputError where none of these holds a config.json.
    """
    for folder in (released / name, pathlib.Path(name), pathlib.Path(name) / "weights"):
        if (folder / "config.json").is_file():
            return folder
    if (pathlib.Path(name) / "checkpoints").is_dir():
        raise InputError(f"weights {name!r}: a training's workdir, but it has not written any weights yet: they come "
                         "with its first evaluation")
    names = ", ".join(sorted(path.parent.name for path in released.glob("*/config.json"))) or "none"
    raise InputError(f"weights {name!r}: neither a released name ({names}) nor a folder with a config.json")
