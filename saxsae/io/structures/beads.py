"""Writes a density as a bead model in a PDB file: CA atoms of ASP residues, as DAMMIF writes them.

`launch.reconstruct` writes its result in this form, because every molecular viewer reads it.
"""

import os
from collections.abc import Iterable

import numpy as np

from phasenet.io.atomic_writes import replacing

_CHAINS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_RESIDUES_PER_CHAIN = 9999
_DECIMAL_SERIALS = 100_000
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def beads_above(
    density: np.ndarray,
    pitch_angstrom: float,
    level: float,
    origin_angstrom: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the centres and values of the voxels whose density is above a level.

    Args:
      density: (N, N, N), index (x, y, z).
      pitch_angstrom: edge of a voxel.
      level: density, in its own unit; voxels above it become beads.
      origin_angstrom: (3,) position of the centre of voxel (0, 0, 0); by default the middle of the grid lies at 0.

    Returns:
      Centres (M, 3) in Angstrom, in C order of the voxels, and the density there (M,).
    """
    density = np.asarray(density)
    if origin_angstrom is None:
        origin_angstrom = -0.5 * (np.array(density.shape) - 1) * pitch_angstrom
    filled = density > level
    return np.argwhere(filled) * float(pitch_angstrom) + origin_angstrom, density[filled]


def write_beads(
    path: str | os.PathLike,
    xyz_angstrom: np.ndarray,
    radius_angstrom: float,
    values: np.ndarray | None = None,
    remarks: Iterable[str] = (),
) -> None:
    """Writes a bead model as a PDB file.

    Beads are numbered within chains of 9,999. Serial numbers above 99,999 continue in hybrid-36 (A0000).

    Args:
      path: the file to write.
      xyz_angstrom: (M, 3) centres of the beads.
      radius_angstrom: radius of a bead, written as a REMARK.
      values: (M,), clipped to 0 to 1; written as the occupancy, and times 100 as the B factor. By default all are 1.
      remarks: lines of text, each written as a REMARK 265.

    Raises:
      ValueError: there is no bead, there are more than 619,938, or a coordinate is not finite or lies beyond what
        the format holds (-999.999 to 9999.999 A).
    """
    xyz = np.asarray(xyz_angstrom, float).reshape(-1, 3)
    values = np.ones(len(xyz)) if values is None else np.clip(np.asarray(values, float), 0.0, 1.0)
    if not 0 < len(xyz) <= len(_CHAINS) * _RESIDUES_PER_CHAIN:
        raise ValueError(
            f"{len(xyz)} beads; a PDB file holds 1 to {len(_CHAINS) * _RESIDUES_PER_CHAIN}"
        )
    if not (np.isfinite(xyz).all() and xyz.min() > -999.9995 and xyz.max() < 9999.9995):
        raise ValueError("a bead lies outside -999.999 to 9999.999 A, the range of a PDB file; centre the model first")
    lines = [
        f"REMARK 265 {line}" for line in (*remarks, f"Dummy atom radius (A): {radius_angstrom:.3f}")
    ]
    for i, ((x, y, z), value) in enumerate(zip(xyz, values, strict=True)):
        chain, residue = divmod(i, _RESIDUES_PER_CHAIN)
        lines.append(
            f"ATOM  {_serial(i + 1)}  CA  ASP {_CHAINS[chain]}{residue + 1:4d}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}{value:6.2f}{100 * value:6.2f}           C"
        )
    with replacing(path) as part, open(part, "w", encoding="ascii", errors="replace") as file:
        file.write("\n".join([*lines, "END"]) + "\n")


def _serial(number: int) -> str:
    """Returns a serial number in five columns: decimal to 99,999, then hybrid-36, whose first digit is a letter."""
    if number < _DECIMAL_SERIALS:
        return f"{number:5d}"
    rest, text = number - _DECIMAL_SERIALS + 10 * 36**4, ""  # 10 * 36**4 is "A0000" in base 36
    for _ in range(5):
        rest, digit = divmod(rest, 36)
        text = _DIGITS[digit] + text
    return text
