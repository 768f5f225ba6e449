"""Writes a density as a bead model, CA atoms of ASP residues as DAMMIF writes them, in a PDB or an mmCIF file.

`launch.reconstruct` writes its result as PDB, because every molecular viewer reads it. A model that is too large for
the columns of a PDB file (`fits_pdb`) is written as mmCIF.
"""

import os
import pathlib
from collections.abc import Iterable

import gemmi
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


def fits_pdb(xyz_angstrom: np.ndarray) -> bool:
    """Returns whether a PDB file can hold the beads at (M, 3) A: at most 619,938 of them, -999.999 to 9999.999 A."""
    xyz = np.asarray(xyz_angstrom, float)
    in_range = xyz.size == 0 or (xyz.min() > -999.9995 and xyz.max() < 9999.9995)
    return bool(in_range) and len(xyz) <= len(_CHAINS) * _RESIDUES_PER_CHAIN


def write_beads(
    path: str | os.PathLike,
    xyz_angstrom: np.ndarray,
    radius_angstrom: float,
    values: np.ndarray | None = None,
    remarks: Iterable[str] = (),
) -> None:
    """Writes a bead model as mmCIF if the name of the file ends with .cif, otherwise as PDB.

    Beads are numbered within chains of 9,999. Serial numbers above 99,999 continue in hybrid-36 (A0000) in a PDB file.

    Args:
      path: the file to write.
      xyz_angstrom: (M, 3) centres of the beads.
      radius_angstrom: radius of a bead, written as a remark.
      values: (M,), clipped to 0 to 1; written as the occupancy, and times 100 as the B factor. By default all are 1.
      remarks: lines of text, each written as a REMARK 265 in a PDB file, and together as `_struct.title` in mmCIF.

    Raises:
      ValueError: there is no bead, a coordinate is not finite, or `fits_pdb` is false for a PDB file.
    """
    xyz = np.asarray(xyz_angstrom, float).reshape(-1, 3)
    values = np.ones(len(xyz)) if values is None else np.clip(np.asarray(values, float), 0.0, 1.0)
    if not len(xyz) or not np.isfinite(xyz).all():
        raise ValueError(f"{len(xyz)} beads; expected at least one, at finite coordinates")
    remarks = [*remarks, f"Dummy atom radius (A): {radius_angstrom:.3f}"]
    if pathlib.Path(path).suffix == ".cif":
        text = _format_mmcif(xyz, values, remarks)
    elif fits_pdb(xyz):
        text = _format_pdb(xyz, values, remarks)
    else:
        raise ValueError(f"{len(xyz)} beads between {xyz.min():.0f} and {xyz.max():.0f} A; a PDB file holds "
                         f"{len(_CHAINS) * _RESIDUES_PER_CHAIN} between -999.999 and 9999.999 A")
    with replacing(path) as part, open(part, "w", encoding="ascii", errors="replace") as file:
        file.write(text)


def _format_pdb(xyz: np.ndarray, values: np.ndarray, remarks: list[str]) -> str:
    """Returns beads at (M, 3) A with values (M,) as the text of a PDB file."""
    lines = [f"REMARK 265 {line}" for line in remarks]
    for i, ((x, y, z), value) in enumerate(zip(xyz, values, strict=True)):
        chain, residue = divmod(i, _RESIDUES_PER_CHAIN)
        lines.append(
            f"ATOM  {_serial(i + 1)}  CA  ASP {_CHAINS[chain]}{residue + 1:4d}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}{value:6.2f}{100 * value:6.2f}           C"
        )
    return "\n".join([*lines, "END"]) + "\n"


def _format_mmcif(xyz: np.ndarray, values: np.ndarray, remarks: list[str]) -> str:
    """Returns beads at (M, 3) A with values (M,) as the text of an mmCIF file."""
    document = gemmi.cif.Document()
    block = document.add_new_block("beads")
    block.set_pair("_struct.title", gemmi.cif.quote("\n".join(remarks)))
    columns = ["group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id",
               "label_entity_id", "label_seq_id", "Cartn_x", "Cartn_y", "Cartn_z", "occupancy", "B_iso_or_equiv",
               "auth_seq_id", "auth_asym_id", "pdbx_PDB_model_num"]
    loop = block.init_loop("_atom_site.", columns)
    for i, ((x, y, z), value) in enumerate(zip(xyz, values, strict=True)):
        chain, residue = divmod(i, _RESIDUES_PER_CHAIN)
        name = _CHAINS[chain % len(_CHAINS)] * (1 + chain // len(_CHAINS))
        loop.add_row(["ATOM", str(i + 1), "C", "CA", ".", "ASP", name, "1", str(residue + 1), f"{x:.3f}", f"{y:.3f}",
                      f"{z:.3f}", f"{value:.2f}", f"{100 * value:.2f}", str(residue + 1), name, "1"])
    return document.as_string()


def _serial(number: int) -> str:
    """Returns a serial number in five columns: decimal to 99,999, then hybrid-36, whose first digit is a letter."""
    if number < _DECIMAL_SERIALS:
        return f"{number:5d}"
    rest, text = number - _DECIMAL_SERIALS + 10 * 36**4, ""  # 10 * 36**4 is "A0000" in base 36
    for _ in range(5):
        rest, digit = divmod(rest, 36)
        text = _DIGITS[digit] + text
    return text
