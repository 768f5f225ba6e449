"""Writes atoms to files that other programs open: a table (.csv), .xyz and PDB. Called by `launch.solve`.

Positions are given in voxels and are written to .xyz and PDB files in Angstrom. If the pitch (the edge of a voxel) is
not known, 1 voxel is written as 1 A, and the file says so.
"""

import os
from collections.abc import Iterable

import numpy as np

from phasenet.io.atomic_writes import replacing

_MAX_PDB_ATOMS = 9999
# A Patterson map of equal atoms does not determine the element. Viewers draw carbon atoms, and bonds between them.
_ELEMENT = "C"


def write_csv(path: str | os.PathLike, positions_voxels: np.ndarray, pitch_angstrom: float | None = None,
              standard_deviations_voxels: np.ndarray | None = None) -> None:
    """Writes a table with one row for each atom and a line of column names.

    The columns are the number of the atom (from 1), x, y, z in voxels, x, y, z in Angstrom if the pitch is known, and
    the standard deviations of x, y, z in voxels if they are given.

    Args:
      path: the file.
      positions_voxels: (n, 3) positions, voxels.
      pitch_angstrom: edge of a voxel, A; None if unknown.
      standard_deviations_voxels: (n, 3) standard deviations of the positions, voxels; None if unknown.

    Raises:
      ValueError: the positions are not finite numbers (n, 3), or the pitch is not positive.
    """
    positions = _check_positions(positions_voxels, pitch_angstrom)
    columns, names = [positions], [f"{axis}_voxels" for axis in "xyz"]
    if pitch_angstrom is not None:
        columns.append(positions * pitch_angstrom)
        names += [f"{axis}_angstrom" for axis in "xyz"]
    if standard_deviations_voxels is not None:
        columns.append(np.asarray(standard_deviations_voxels))
        names += [f"{axis}_deviation_voxels" for axis in "xyz"]
    rows = [",".join([str(number), *(f"{value:.4f}" for value in row)])
            for number, row in enumerate(np.hstack(columns), 1)]
    _write_lines(path, [",".join(["atom", *names]), *rows])


def write_xyz(path: str | os.PathLike, positions_voxels: np.ndarray, pitch_angstrom: float | None = None,
              comment: str = "") -> None:
    """Writes an .xyz file, in Angstrom, with every atom as carbon.

    Args:
      path: the file.
      positions_voxels: (n, 3) positions, voxels.
      pitch_angstrom: edge of a voxel, A; None writes 1 voxel as 1 A.
      comment: text for the second line, before the note on the unit; line breaks become blanks.

    Raises:
      ValueError: the positions are not finite numbers (n, 3), or the pitch is not positive.
    """
    positions = _check_positions(positions_voxels, pitch_angstrom)
    text = "; ".join(part for part in (" ".join(comment.split()), describe_pitch(pitch_angstrom)) if part)
    rows = [f"{_ELEMENT} {x:12.4f} {y:12.4f} {z:12.4f}" for x, y, z in positions * (pitch_angstrom or 1.0)]
    _write_lines(path, [str(len(positions)), text, *rows])


def write_pdb(path: str | os.PathLike, positions_voxels: np.ndarray, pitch_angstrom: float | None = None,
              remarks: Iterable[str] = ()) -> None:
    """Writes a PDB file, with every atom as a carbon in a residue of its own.

    Args:
      path: the file.
      positions_voxels: (n, 3) positions, voxels; n from 1 to 9,999.
      pitch_angstrom: edge of a voxel, A; None writes 1 voxel as 1 A.
      remarks: lines of text for REMARK 250.

    Raises:
      ValueError: the positions are not finite numbers (n, 3); the pitch is not positive; there are no atoms or too
        many; or an atom lies outside the range of the format, -999.999 to 9999.999 A.
    """
    xyz = _check_positions(positions_voxels, pitch_angstrom) * (pitch_angstrom or 1.0)
    if not 0 < len(xyz) <= _MAX_PDB_ATOMS:
        raise ValueError(f"{len(xyz)} atoms; a PDB file holds 1 to {_MAX_PDB_ATOMS}")
    if xyz.min() <= -999.9995 or xyz.max() >= 9999.9995:
        raise ValueError(f"coordinates from {xyz.min():g} to {xyz.max():g} A; a PDB file holds -999.999 to 9999.999 A")
    lines = [f"REMARK 250 {line}" for line in (*remarks, describe_pitch(pitch_angstrom))]
    lines += [f"HETATM{number:5d}  {_ELEMENT}   UNL A{number:4d}    {x:8.3f}{y:8.3f}{z:8.3f}{1:6.2f}{0:6.2f}"
              f"          {_ELEMENT:>2}" for number, (x, y, z) in enumerate(xyz, 1)]
    _write_lines(path, [*lines, "END"])


def describe_pitch(pitch_angstrom: float | None) -> str:
    """Returns a line for the user that says how many Angstrom a voxel is in the file.

    Args:
      pitch_angstrom: edge of a voxel, A; None if unknown.
    """
    if pitch_angstrom is None:
        return "the voxel edge is not known: 1 voxel is written as 1 A"
    return f"1 voxel is {pitch_angstrom:.6g} A"


def _check_positions(positions: np.ndarray, pitch: float | None) -> np.ndarray:
    """Returns positions (n, 3) as float64; raises ValueError unless they are finite and the pitch is positive."""
    positions = np.asarray(positions, np.float64)
    if positions.ndim != 2 or positions.shape[1] != 3 or not np.isfinite(positions).all():
        raise ValueError(f"positions of shape {positions.shape}; expected finite numbers (n, 3)")
    if pitch is not None and not 0 < pitch < np.inf:
        raise ValueError(f"pitch {pitch}; expected a positive number of Angstrom")
    return positions


def _write_lines(path: str | os.PathLike, lines: list[str]) -> None:
    """Writes lines of ASCII text; other characters become question marks."""
    with replacing(path) as part, open(part, "w", encoding="ascii", errors="replace", newline="\n") as file:
        file.write("\n".join(lines) + "\n")
