"""Writes the output folder of `launch.solve --reflections`."""

import pathlib
from collections.abc import Sequence

from launch.pages import page
from phasenet.crystal.refinement.density_maps import DensityMaps
from phasenet.io.ccp4 import write_cell_map
from phasenet.io.crystal_structures import CrystalStructure, write_cif, write_pdb, write_res

DENSITY, DIFFERENCE = "solution_density.ccp4", "solution_difference.ccp4"
NAMES = ("solution.res", "solution.cif", "solution.pdb", DENSITY, DIFFERENCE, page.NAME)
LOG = "log.json"
_CANDIDATE = "candidate_{}.res"


def write_structure(folder: pathlib.Path, structure: CrystalStructure) -> None:
    """Writes the structure in each format, and removes the files of an earlier run, which describe other atoms."""
    for stale in (LOG, page.NAME, DENSITY, DIFFERENCE):
        (folder / stale).unlink(missing_ok=True)
    write_res(folder / "solution.res", structure)
    write_cif(folder / "solution.cif", structure)
    write_pdb(folder / "solution.pdb", structure)


def write_candidates(folder: pathlib.Path, structures: Sequence[CrystalStructure]) -> list[str]:
    """Writes the models beside the best one, numbered from 2, removes older ones, and returns the names."""
    for stale in folder.glob(_CANDIDATE.format("*")):
        stale.unlink()
    names = [_CANDIDATE.format(number) for number, _ in enumerate(structures, 2)]
    for name, structure in zip(names, structures, strict=True):
        write_res(folder / name, structure)
    return names


def write_maps(folder: pathlib.Path, structure: CrystalStructure, maps: DensityMaps) -> None:
    """Writes both maps of the whole cell; the header of each names the map and the title of the structure."""
    for name, values, kind in ((DENSITY, maps.density, "F_obs, calculated phases"),
                               (DIFFERENCE, maps.difference, "F_obs - F_calc")):
        write_cell_map(folder / name, values, structure.cell, structure.symbol,
                       f"{kind}, {maps.unit}; {structure.title}")
