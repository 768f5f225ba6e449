"""Writes the output folder of `launch.solve --reflections`."""

import pathlib
from typing import Any

from launch import app
from phasenet.io.crystal_structures import CrystalStructure, write_cif, write_pdb, write_res

NAMES = ("solution.res", "solution.cif", "solution.pdb")
LOG = "log.json"


def write_structure(folder: pathlib.Path, structure: CrystalStructure) -> None:
    """Writes the structure in each format."""
    write_res(folder / "solution.res", structure)
    write_cif(folder / "solution.cif", structure)
    write_pdb(folder / "solution.pdb", structure)


def write_log(folder: pathlib.Path, log: dict[str, Any], second_path: str | None) -> None:
    """Writes log.json after all other files; a second file gets the same content."""
    app.write_json(folder / LOG, log)
    if second_path is not None:
        app.write_json(second_path, log)
