"""The folder of a solution: the atoms in three formats, the picture and the log."""

import pathlib

import numpy as np

from launch import app
from launch.pages import page
from phasenet.io import positions

LOG = "log.json"
NAMES = ("positions.csv", "positions.xyz", "positions.pdb", "sections.png", page.NAME)


def write_positions(folder: pathlib.Path, atoms: np.ndarray, deviations: np.ndarray | None, pitch: float | None,
                    correlation: float) -> None:
    """positions.csv, .xyz and .pdb of atoms (n, 3) in voxels; deviations (n, 3) and pitch in Angstrom, if known."""
    # What tells of an earlier run must not stand beside the new files.
    for stale in (LOG, page.NAME):
        (folder / stale).unlink(missing_ok=True)
    found = f"{len(atoms)} atoms found from a Patterson map, correlation {correlation:.4f}"
    undetermined = "about their mean; the hand and the origin are not determined"
    positions.write_csv(folder / "positions.csv", atoms, pitch, deviations)
    positions.write_xyz(folder / "positions.xyz", atoms, pitch, f"{found}; {undetermined}")
    positions.write_pdb(folder / "positions.pdb", atoms, pitch, (
        f"{found};", f"{undetermined}.", "Elements are not known: all are written as carbon."))


def draw(folder: pathlib.Path, given: np.ndarray, fitted: np.ndarray, correlation: float, r_factor: float) -> None:
    """sections.png of two maps (N, N, N), origin at voxel 0."""
    from launch.plotting import style  # matplotlib is slow to load
    from launch.solution import sections

    with style.figure(folder / "sections.png", 7.2, 4.8) as figure:
        sections.draw(figure, given, fitted, correlation, r_factor)


def write_log(folder: pathlib.Path, log: dict, also: str | None) -> None:
    """log.json, last of all files: where it is, the rest is whole. `also`: a second place."""
    app.write_json(folder / LOG, log)
    if also is not None:
        app.write_json(also, log)
