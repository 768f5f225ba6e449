"""Writes the output folder of `launch.solve`: the atoms in three formats, the picture and the log."""

import pathlib

import jax
import numpy as np

from launch.pages import page
from phasenet.io import positions

LOG = "log.json"
NAMES = ("positions.csv", "positions.xyz", "positions.pdb", "sections.png", page.NAME)


def write_positions(folder: pathlib.Path, atoms: np.ndarray, deviations: np.ndarray | None, pitch: float | None,
                    correlation: float) -> None:
    """Writes positions.csv, positions.xyz and positions.pdb.

    Args:
      folder: the output folder; log and page of an earlier run are removed from it.
      atoms: (n, 3) positions relative to their mean, voxels.
      deviations: (n, 3) standard deviations of the positions, voxels; None where unknown.
      pitch: edge of a voxel, Angstrom; None where unknown.
      correlation: Pearson correlation of the given Patterson map with that of the atoms.
    """
    # An old log or page would describe other atoms than the new files.
    for stale in (LOG, page.NAME):
        (folder / stale).unlink(missing_ok=True)
    found = f"{len(atoms)} atoms found from a Patterson map, correlation {correlation:.4f}"
    undetermined = "relative to their mean; the hand and the origin are not determined"
    positions.write_csv(folder / "positions.csv", atoms, pitch, deviations)
    positions.write_xyz(folder / "positions.xyz", atoms, pitch, f"{found}; {undetermined}")
    positions.write_pdb(folder / "positions.pdb", atoms, pitch, (
        f"{found};", f"{undetermined}.", "Elements are not known: all are written as carbon."))


def draw(folder: pathlib.Path, given: jax.Array | np.ndarray, fitted: jax.Array | np.ndarray, correlation: float,
         r_factor: float) -> None:
    """Draws sections.png of the given Patterson map and of that of the atoms found.

    Args:
      folder: the output folder.
      given: (N, N, N) the given Patterson map, origin at voxel 0.
      fitted: (N, N, N) the Patterson map of the atoms found, on the same scale.
      correlation: Pearson correlation of the two maps.
      r_factor: R factor of the amplitudes.
    """
    from launch.plotting import style  # matplotlib is slow to load
    from launch.solution import sections

    with style.figure(folder / "sections.png", 7.2, 4.8) as figure:
        sections.draw(figure, given, fitted, correlation, r_factor)
