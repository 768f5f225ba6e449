"""Atomic and dummy-bead models from PDB and mmCIF files, plain or gzipped, as arrays.

What counts as a scatterer: every heavy atom of protein, nucleic acid, carbohydrate and ligand.
Dropped: waters, single-atom ions, hydrogen and deuterium, all alternate locations of a residue but
its first. Atoms of zero occupancy stay (they are part of the molecule). Whatever was decided on the
way is told in `Structure.notes`.
"""

import gzip
import os
import re
import zlib
from pathlib import Path
from typing import NamedTuple

import gemmi
import numpy as np

from phasenet.errors import InputError
from phasenet.io.decompression import GZIP, gunzip
from saxsae.io.structures.atom_table import CARBON, AtomTable, drop, is_water, scatterers
from saxsae.io.structures.pdb_text import repair

_OVERLAP_ANGSTROM = 2.0  # heavy atoms of two molecules never come this close
_CA_STEP_ANGSTROM = 3.8
# What no structure has, but a broken file may ask for: bytes (the largest entry of the data bank as mmCIF has less
# than half), separate models in one file, atoms of an assembly (the HIV capsid has 2.4 million), a distance from the
# origin.
_MOST_BYTES = 2**30
_MOST_MODELS = 500
_MOST_ATOMS = 20_000_000
_FARTHEST_ANGSTROM = 1e5
PDB_ID = re.compile(r"[1-9](?=[a-z0-9]*[a-z])[a-z0-9]{3}")


class Structure(NamedTuple):
    """A model as a set of scatterers.

    Attributes:
      xyz_angstrom: (N, 3) float32, as in the file (not centred).
      atomic_number: (N,) uint8; 6 for beads.
      kind: "atoms" or "beads".
      name: the file's name without its endings, or the collection's name for it.
      notes: what was assumed, merged or dropped.
      pdb_id: lower case, "" where unknown.
      source: where a collection says that it came from, or the path.
    """

    xyz_angstrom: np.ndarray
    atomic_number: np.ndarray
    kind: str
    name: str
    notes: tuple[str, ...] = ()
    pdb_id: str = ""
    source: str = ""


def read_structure(
    path: str | os.PathLike, assembly: str | None = "1", protein_only: bool = False
) -> Structure:
    """Reads a model.

    Args:
      path: PDB or mmCIF, told apart by content; may be gzipped.
      assembly: biological assembly by name; None for the atoms as listed. The default "1" falls
        back to the first one listed, or to the atoms as listed where the file has no operators.
      protein_only: keep amino acids only (no nucleic acids, carbohydrates, ligands), as in the
        training corpus.

    Models that cover one another (an NMR ensemble) count as one: the first is read. Models that do
    not (subunits with an END after each, copies of an assembly file) are merged.

    Raises:
      InputError: missing or empty file, not a structure, no atoms left, unknown assembly, a
        coordinate that is no number (with its line).
    """
    name = re.sub(r"(\.(gz|pdb|ent|cif|mmcif|pdb\d+))+$", "", Path(path).name, flags=re.IGNORECASE)
    text = _read_text(path)
    parsed = _parse(text, str(path))
    notes: list[str] = []
    try:
        models = [AtomTable.of(model) for model in parsed]
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    models = [model for model in models if len(model.xyz)]
    if not models:
        raise InputError(f"{path}: no atoms in it")
    for model in models:
        _check_places(model, path)
    atoms, merged = _join_models(models, path, notes)
    if not is_water(atoms).all():  # some programs write beads as waters
        atoms = drop(atoms, is_water(atoms), "of water", notes)
    kind = _kind(atoms, notes)
    if kind == "atoms":
        atoms = scatterers(atoms, protein_only, notes)
        if not len(atoms.xyz):
            what = "protein atoms" if protein_only else "atoms besides waters, ions and hydrogens"
            raise InputError(f"{path}: no {what} in it")
        if (atoms.atom == "CA").all():
            notes.append("CA atoms only: a trace, not a full model")
    # Merged models are the copies that the operators would make.
    operators = [] if merged or kind == "beads" else parsed.assemblies
    xyz, numbers = _assemble(atoms, operators, assembly, path, notes)
    if not np.abs(xyz).max() < _FARTHEST_ANGSTROM:  # nor NaN
        raise InputError(f"{path}: the operators of assembly {assembly} put atoms {np.abs(xyz).max():.3g} A away")
    if kind == "beads":
        numbers = np.full(len(xyz), CARBON)
    entry = (parsed.info["_entry.id"] if "_entry.id" in parsed.info else "").lower()
    stem = re.sub(r"-assembly\d+$", "", name.lower())  # as the data bank names its files
    pdb_id = next((text for text in (entry, stem) if PDB_ID.fullmatch(text)), "")
    return Structure(xyz.astype(np.float32), numbers.astype(np.uint8), kind, name, tuple(notes),
                     pdb_id, str(path))


def bead_spacing(structure: Structure) -> float | None:
    """What `voxels.contact_distance` asks: the spacing of beads (A), None for atoms."""
    return nearest_neighbour_spacing(structure.xyz_angstrom) if structure.kind == "beads" else None


def nearest_neighbour_spacing(xyz_angstrom: np.ndarray, samples: int = 1000) -> float:
    """Median distance (A) to the nearest neighbour, over at most `samples` evenly chosen points.

    Args:
      xyz_angstrom: (N, 3), at least two distinct positions; points that coincide count once.
    """
    points = np.unique(np.asarray(xyz_angstrom, np.float64), axis=0)
    if len(points) < 2:
        raise ValueError("a spacing needs at least two distinct positions")
    chosen = np.linspace(0, len(points) - 1, min(samples, len(points))).astype(int)
    return float(np.median(_nearest(points[chosen], points, skip_self=chosen)))


def _nearest(
    queries: np.ndarray, points: np.ndarray, skip_self: np.ndarray | None = None
) -> np.ndarray:
    """(Q,) distance of each query to the nearest point, for query i other than `skip_self[i]`."""
    nearest = np.empty(len(queries))
    squares = (points**2).sum(-1)
    block = max(1, (1 << 22) // len(points))
    for start in range(0, len(queries), block):
        rows = queries[start : start + block]
        square = (rows**2).sum(-1)[:, None] + squares - 2 * rows @ points.T
        if skip_self is not None:
            square[np.arange(len(rows)), skip_self[start : start + block]] = np.inf
        nearest[start : start + block] = np.sqrt(np.maximum(square.min(-1), 0))
    return nearest


def _read_text(path: str | os.PathLike) -> str:
    try:
        size = os.path.getsize(path)
        if size > _MOST_BYTES:
            raise InputError(f"{path}: {size / 2**20:.0f} MB is too large for a structure (limit "
                             f"{_MOST_BYTES // 2**20} MB)")
        data = Path(path).read_bytes()
        if data.startswith(GZIP):
            data = gunzip(data)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, not a PDB or mmCIF file") from None
    except InputError:
        raise
    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
        raise InputError(f"{path}: not a readable gzip file ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not data.strip():
        raise InputError(f"{path}: the file is empty; a PDB or mmCIF structure is needed")
    # Both formats are ASCII. One character for another: gemmi counts columns in bytes.
    return data.decode("utf-8-sig", "replace").encode("ascii", "replace").decode("ascii")


def _parse(text: str, path: str) -> gemmi.Structure:
    if re.search(r"^data_", text, re.MULTILINE) and "_atom_site" in text:
        try:
            block = gemmi.cif.read_string(text)[0]
            return gemmi.make_structure_from_block(block)
        except (ValueError, RuntimeError, IndexError) as error:
            raise InputError(
                f"{path}: not a readable mmCIF file ({' '.join(str(error).split())})"
            ) from None
    text = repair(text, path)
    try:
        return gemmi.read_pdb_string(text)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: not a readable PDB file ({' '.join(str(error).split())})"
        ) from None


def _check_places(atoms: AtomTable, path: str | os.PathLike) -> None:
    bad = np.flatnonzero(~(np.abs(atoms.xyz) < _FARTHEST_ANGSTROM).all(-1))  # NaN too
    if bad.size:
        what = f"{atoms.atom[bad[0]]} of {atoms.residue[bad[0]]} {atoms.residue_key[bad[0]]}"
        where = ", ".join(f"{x:.6g}" for x in atoms.xyz[bad[0]])
        raise InputError(f"{path}: atom {bad[0] + 1} ({what}) lies at ({where}); no finite coordinates within "
                         f"{_FARTHEST_ANGSTROM:g} A")


def _join_models(models: list[AtomTable], path: str | os.PathLike, notes: list[str]) -> tuple[AtomTable, bool]:
    """One set of atoms: models that lie where an earlier one lies are dropped, the others merged.

    Also returns whether any were merged.
    """
    kept = models[:1]
    for model in models[1:]:
        if not any(_cover(model.xyz, other.xyz) for other in kept):
            kept.append(model)
        if len(kept) > _MOST_MODELS:
            raise InputError(f"{path}: more than {_MOST_MODELS} models that lie apart; subunits of one structure are "
                             "fewer")
    if len(kept) < len(models):
        left_out = len(models) - len(kept)
        notes.append(f"{left_out} of {len(models)} models lie on another (an ensemble): left out")
    if len(kept) == 1:
        return kept[0], False
    notes.append(f"{len(kept)} models merged")
    first = 0
    for i, model in enumerate(kept):
        # Residues of different models are different residues, whatever their numbers say.
        kept[i] = model._replace(
            residue_index=model.residue_index + first,
            residue_key=np.char.add(f"{i}:", model.residue_key),
        )
        first = int(kept[i].residue_index.max()) + 1
    return AtomTable(*map(np.concatenate, zip(*kept, strict=True))), True


def _cover(xyz: np.ndarray, other: np.ndarray, samples: int = 300) -> bool:
    """Whether a tenth of the atoms lie within 2 A of the other model's: no two molecules do."""
    chosen = np.linspace(0, len(xyz) - 1, min(samples, len(xyz))).astype(int)
    return bool(np.mean(_nearest(xyz[chosen], other) < _OVERLAP_ANGSTROM) > 0.1)


def _kind(atoms: AtomTable, notes: list[str]) -> str:
    """"beads": one atom a residue, and one residue name throughout or steps that no chain takes."""
    count = len(atoms.xyz)
    single = np.unique(atoms.residue_index).size == count or (np.unique(atoms.atom).size == 1)
    if count < 2 or not single or np.unique(atoms.element).size > 1:
        return "atoms"
    if np.unique(atoms.residue).size > 1:
        step = np.linalg.norm(np.diff(atoms.xyz, axis=0), axis=-1)
        if np.mean(np.abs(step - _CA_STEP_ANGSTROM) < 0.5) > 0.5:
            return "atoms"
    notes.append(f"read as {count} dummy beads: one {atoms.atom[0]} of {atoms.residue[0]} each")
    return "beads"


def _assemble(
    atoms: AtomTable, assemblies, wanted: str | None, path, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates and atomic numbers of the assembly: its operators applied to their chains."""
    if wanted is None:
        return atoms.xyz, atoms.number
    named = {assembly.name: assembly for assembly in assemblies}
    if wanted not in named and wanted != "1":
        raise InputError(
            f"{path}: no assembly {wanted!r} in it (it has {', '.join(named) or 'none'})"
        )
    if not named:
        return atoms.xyz, atoms.number
    assembly = named.get(wanted) or assemblies[0]
    xyz, numbers, moved, count = [], [], False, 0
    for generator in assembly.generators:
        if generator.subchains:
            mask = np.isin(atoms.subchain, generator.subchains)
        else:
            mask = np.isin(atoms.chain, generator.chains)
        count += int(mask.sum()) * len(generator.operators)
        if count > _MOST_ATOMS:
            raise InputError(f"{path}: assembly {assembly.name} has {count} atoms or more; {_MOST_ATOMS} are too many")
        for operator in generator.operators:
            matrix = np.array(operator.transform.mat.tolist())
            vector = np.array(operator.transform.vec.tolist())
            xyz.append(atoms.xyz[mask] @ matrix.T + vector)
            numbers.append(atoms.number[mask])
            moved |= not operator.transform.is_identity()
    if not sum(map(len, xyz)):
        notes.append(f"assembly {assembly.name} names none of the chains: atoms taken as listed")
        return atoms.xyz, atoms.number
    if moved or sum(map(len, xyz)) != len(atoms.xyz):
        notes.append(f"assembly {assembly.name}: {sum(map(len, xyz))} atoms from the "
                     f"{len(atoms.xyz)} listed")
    return np.concatenate(xyz), np.concatenate(numbers)
