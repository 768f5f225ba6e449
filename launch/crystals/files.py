"""Writes the output folder of `launch.solve --reflections`."""

import pathlib

from phasenet.io.crystal_structures import CrystalStructure, write_cif, write_pdb, write_res

NAMES = ("solution.res", "solution.cif", "solution.pdb")
LOG = "log.json"


def write_structure(folder: pathlib.Path, structure: CrystalStructure) -> None:
    """Writes the structure in each format; the log of an earlier run is removed, as it describes other atoms."""
    (folder / LOG).unlink(missing_ok=True)
    write_res(folder / "solution.res", structure)
    write_cif(folder / "solution.cif", structure)
    write_pdb(folder / "solution.pdb", structure)
