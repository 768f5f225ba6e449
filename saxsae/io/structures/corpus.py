"""Reads and writes archives (.npz) of N structures: a training corpus, or the evaluation's references.

  names (N,) str, offsets (N+1,) int    rows offsets[i]:offsets[i+1] of the next arrays belong to structure i
  xyz (atoms, 3) int                    positions in 0.1 A
  atomic_number (atoms,) int            optional; without it every atom counts as carbon
  kind (N,) str                         optional; "beads" marks a dummy-bead model, any other word an atomic one
  pdb_id (N,) str, sources (N,) str     optional; the PDB id, and where the structure came from
"""

import os
from collections.abc import Iterable

import numpy as np

from phasenet.errors import InputError
from phasenet.io.atomic_writes import replacing
from phasenet.io.npz import read_npz
from saxsae.io.structures.structure_files import Structure

_UNIT_ANGSTROM = 0.1
_CARBON = 6
_MAX_TENTHS = 1_000_000  # largest coordinate; no structure reaches it


def read_corpus(paths: str | os.PathLike | Iterable[str | os.PathLike]) -> list[Structure]:
    """Returns the structures of one or several archives, in order.

    Args:
      paths: the file name of an archive, or several.

    Returns:
      The structures as `read_archive` returns them, those of the first archive first.

    Raises:
      InputError: a file is missing or malformed, or its arrays contradict each other.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    return [structure for path in paths for structure in read_archive(path)]


def read_archive(path: str | os.PathLike) -> list[Structure]:
    """Returns the structures of one archive, in order.

    Coordinates are float32 in Angstrom, not centred. Where the archive has no `atomic_number`, every atom counts as
    carbon, and each structure's notes say so.

    Raises:
      InputError: the file is missing or malformed, or its arrays contradict each other.
    """
    arrays = read_npz(path, ("names", "offsets", "xyz"))
    names, offsets, xyz = arrays["names"], arrays["offsets"], arrays["xyz"]
    _check_arrays(path, names, offsets, xyz)
    names = decode_strings(names)
    count, atoms = len(names), len(xyz)
    kind = _optional_strings(path, arrays, "kind", count)
    pdb_id = _optional_strings(path, arrays, "pdb_id", count)
    source = _optional_strings(path, arrays, "sources", count)
    numbers = arrays.get("atomic_number")
    notes: tuple[str, ...] = ()
    if numbers is None:
        numbers = np.full(atoms, _CARBON, np.uint8)
        notes = ("no elements in the archive: every atom counts as carbon",)
    elif numbers.shape != (atoms,) or numbers.dtype.kind not in "iu":
        raise InputError(
            f"{path}: 'atomic_number' is {numbers.dtype} {numbers.shape}; whole numbers "
            f"of shape ({atoms},) are needed, one per row of 'xyz'"
        )
    elif atoms and not 1 <= numbers.min() <= numbers.max() <= 118:
        raise InputError(
            f"{path}: 'atomic_number' runs from {numbers.min()} to {numbers.max()}; "
            "elements are 1 to 118"
        )
    structures = []
    for i in range(count):
        rows = slice(offsets[i], offsets[i + 1])
        structures.append(
            Structure(
                xyz_angstrom=xyz[rows].astype(np.float32) * np.float32(_UNIT_ANGSTROM),
                atomic_number=numbers[rows].astype(np.uint8),
                kind="beads" if kind[i] == "beads" else "atoms",
                name=str(names[i]),
                notes=notes,
                pdb_id=str(pdb_id[i]).lower(),
                source=str(source[i]),
            )
        )
    return structures


def write_archive(path: str | os.PathLike, structures: Iterable[Structure]) -> None:
    """Writes structures as an archive, with all optional arrays, coordinates rounded to 0.1 A.

    Args:
      path: the file to write; it appears only when it is complete.
      structures: one or more.

    Raises:
      InputError: a coordinate is more than 3276.7 A from the origin, which 16 bits cannot hold.
    """
    structures = list(structures)
    tenths = [np.rint(s.xyz_angstrom / _UNIT_ANGSTROM) for s in structures]
    for structure, rows in zip(structures, tenths, strict=True):
        if not np.all(np.abs(rows) <= np.iinfo(np.int16).max):
            raise InputError(
                f"{structure.name}: a coordinate lies more than 3276.7 A from the origin; "
                "centre the structure first"
            )
    with replacing(path) as part, open(part, "wb") as file:
        np.savez_compressed(
            file,
            names=np.array([s.name for s in structures]),
            offsets=np.cumsum([0, *map(len, tenths)]).astype(np.int64),
            xyz=np.concatenate(tenths).astype(np.int16),
            kind=np.array([s.kind for s in structures]),
            atomic_number=np.concatenate([s.atomic_number for s in structures]).astype(np.uint8),
            pdb_id=np.array([s.pdb_id for s in structures]),
            sources=np.array([s.source for s in structures]),
        )


def _check_arrays(path: str | os.PathLike, names: np.ndarray, offsets: np.ndarray, xyz: np.ndarray) -> None:
    """Raises InputError unless the arrays that every archive has agree with each other."""
    if names.ndim != 1 or names.dtype.kind not in "US" or not len(names):
        raise InputError(
            f"{path}: 'names' is {names.dtype} {names.shape}; a list of at least one "
            "string is needed"
        )
    if xyz.ndim != 2 or xyz.shape[1] != 3 or xyz.dtype.kind != "i":
        raise InputError(
            f"{path}: 'xyz' is {xyz.dtype} {xyz.shape}; whole numbers in 0.1 A of shape "
            "(atoms, 3) are needed"
        )
    if offsets.shape != (len(names) + 1,) or offsets.dtype.kind not in "iu":
        raise InputError(
            f"{path}: 'offsets' is {offsets.dtype} {offsets.shape}; whole numbers of shape "
            f"({len(names) + 1},) are needed, one more than 'names'"
        )
    if xyz.size and max(-int(xyz.min()), int(xyz.max())) > _MAX_TENTHS:
        raise InputError(f"{path}: 'xyz' runs from {xyz.min()} to {xyz.max()}; whole numbers in 0.1 A between "
                         f"-{_MAX_TENTHS} and {_MAX_TENTHS} are needed")
    if offsets[0] != 0 or offsets[-1] != len(xyz):
        raise InputError(
            f"{path}: 'offsets' runs from {offsets[0]} to {offsets[-1]}, but 'xyz' has "
            f"{len(xyz)} rows; 0 to {len(xyz)} is needed"
        )
    bad = np.flatnonzero(offsets[1:] <= offsets[:-1])
    if bad.size:
        raise InputError(
            f"{path}: structure {names[bad[0]]!s} (number {bad[0]}) has no atoms: 'offsets' "
            "must increase"
        )


def _optional_strings(path: str | os.PathLike, arrays: dict[str, np.ndarray], key: str, count: int) -> np.ndarray:
    """Returns the strings (count,) of an array, "" for each where the archive has no such array."""
    values = arrays.get(key)
    if values is None:
        return np.full(count, "", "U1")
    if values.shape != (count,) or values.dtype.kind not in "US":
        raise InputError(
            f"{path}: {key!r} is {values.dtype} {values.shape}; {count} strings are needed, "
            "one per name"
        )
    return decode_strings(values)


def decode_strings(values: np.ndarray) -> np.ndarray:
    """Returns an array of strings; byte strings are decoded as UTF-8, faulty bytes replaced."""
    return np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values
