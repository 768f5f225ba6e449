"""Atoms as files that other programs open: a table, an .xyz, a PDB.

Positions are in voxels. The two formats of chemistry know Angstrom alone: without a pitch one voxel
is written as 1 A, and their text says so.
"""

import os
from collections.abc import Iterable

import numpy as np

from phasenet.io.atomic_writes import replacing

_MOST_PDB_ATOMS = 9999
# Which element an atom is no Patterson map of equal atoms tells; viewers draw carbon and bonds.
_ELEMENT = "C"


def write_csv(path: str | os.PathLike, positions_voxels: np.ndarray, pitch_angstrom: float | None = None,
              deviations_voxels: np.ndarray | None = None) -> None:
    """Writes a table with a header: atom (from 1), x, y, z in voxels and, where the pitch is known, in Angstrom.

    Args:
      path: the file.
      positions_voxels: (n, 3).
      pitch_angstrom: edge of a voxel, if known.
      deviations_voxels: (n, 3) standard deviations, if known: the last three columns.

    Raises:
      ValueError: positions that are not numbers, or a pitch that is not positive.
    """
    positions = _checked(positions_voxels, pitch_angstrom)
    columns, names = [positions], [f"{axis}_voxels" for axis in "xyz"]
    if pitch_angstrom is not None:
        columns.append(positions * pitch_angstrom)
        names += [f"{axis}_angstrom" for axis in "xyz"]
    if deviations_voxels is not None:
        columns.append(np.asarray(deviations_voxels))
        names += [f"{axis}_deviation_voxels" for axis in "xyz"]
    rows = [",".join([str(number), *(f"{value:.4f}" for value in row)])
            for number, row in enumerate(np.hstack(columns), 1)]
    _write(path, [",".join(["atom", *names]), *rows])


def write_xyz(path: str | os.PathLike, positions_voxels: np.ndarray, pitch_angstrom: float | None = None,
              comment: str = "") -> None:
    """Writes an .xyz file, every atom as carbon; arguments and errors as `write_csv`. comment: its second line."""
    positions = _checked(positions_voxels, pitch_angstrom)
    text = "; ".join(part for part in (" ".join(comment.split()), unit_text(pitch_angstrom)) if part)
    rows = [f"{_ELEMENT} {x:12.4f} {y:12.4f} {z:12.4f}" for x, y, z in positions * (pitch_angstrom or 1.0)]
    _write(path, [str(len(positions)), text, *rows])


def write_pdb(path: str | os.PathLike, positions_voxels: np.ndarray, pitch_angstrom: float | None = None,
              remarks: Iterable[str] = ()) -> None:
    """Writes a PDB file, each atom a carbon in a residue of its own; arguments as `write_csv`.

    remarks: lines of text for REMARK 250.

    Raises:
      ValueError: as `write_csv`; no atoms, more than 9,999, or one beyond the format's -999 to 9999 A.
    """
    xyz = _checked(positions_voxels, pitch_angstrom) * (pitch_angstrom or 1.0)
    if not 0 < len(xyz) <= _MOST_PDB_ATOMS:
        raise ValueError(f"{len(xyz)} atoms: a PDB file holds 1 to {_MOST_PDB_ATOMS}")
    if xyz.min() <= -999.9995 or xyz.max() >= 9999.9995:
        raise ValueError("an atom lies beyond the -999.999 to 9999.999 A of a PDB file")
    lines = [f"REMARK 250 {line}" for line in (*remarks, unit_text(pitch_angstrom))]
    lines += [f"HETATM{number:5d}  {_ELEMENT}   UNL A{number:4d}    {x:8.3f}{y:8.3f}{z:8.3f}{1:6.2f}{0:6.2f}"
              f"          {_ELEMENT:>2}" for number, (x, y, z) in enumerate(xyz, 1)]
    _write(path, [*lines, "END"])


def unit_text(pitch_angstrom: float | None) -> str:
    """What an Angstrom in a file stands for."""
    if pitch_angstrom is None:
        return "the voxel edge is not known: 1 voxel is written as 1 A"
    return f"1 voxel is {pitch_angstrom:.6g} A"


def _checked(positions: np.ndarray, pitch: float | None) -> np.ndarray:
    positions = np.asarray(positions, np.float64)
    if positions.ndim != 2 or positions.shape[1] != 3 or not np.isfinite(positions).all():
        raise ValueError(f"positions of shape {positions.shape}: finite numbers (n, 3) are needed")
    if pitch is not None and not 0 < pitch < np.inf:
        raise ValueError(f"pitch {pitch}: a positive number of Angstrom is needed")
    return positions


def _write(path: str | os.PathLike, lines: list[str]) -> None:
    with replacing(path) as part, open(part, "w", encoding="ascii", errors="replace", newline="\n") as file:
        file.write("\n".join(lines) + "\n")
