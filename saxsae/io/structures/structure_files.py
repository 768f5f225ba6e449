"""Reads atomic and dummy-bead models from PDB and mmCIF files (plain or gzipped), parsed by gemmi.

Every heavy atom of protein, nucleic acid, carbohydrate and ligand scatters, at zero occupancy too. Waters, single ions,
hydrogen, deuterium, and all alternate locations but the first that a residue names are dropped.
`Structure.notes` lists every decision. `read_structure`:

1. reads the text, repairs it (`pdb_text`) and parses it;
2. drops models that lie on an earlier one (an ensemble) and merges the others;
3. decides whether the model is of atoms or of beads;
4. selects the scatterers of an atomic model (`atom_table`);
5. builds the biological assembly.
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
from phasenet.io.decompression import GZIP_MAGIC, gunzip
from saxsae.io.structures.atom_table import CARBON, AtomTable, drop_atoms, is_water, select_scatterers
from saxsae.io.structures.pdb_text import repair_pdb

_OVERLAP_ANGSTROM = 2.0  # heavy atoms of two molecules never come this close
_CA_STEP_ANGSTROM = 3.8  # between CA atoms of neighbouring residues
# No structure exceeds these limits; a damaged file may.
_MAX_BYTES = 2**30  # the largest mmCIF file of the Protein Data Bank has less than half
_MAX_MODELS = 500  # in one file, apart from each other
_MAX_ATOMS = 20_000_000  # of an assembly; the HIV capsid has 2.4 million
_MAX_DISTANCE_ANGSTROM = 1e5  # from the origin, along each axis
PDB_ID = re.compile(r"[1-9](?=[a-z0-9]*[a-z])[a-z0-9]{3}")  # lower case


class Structure(NamedTuple):
    """A model as a set of scatterers.

    Attributes:
      xyz_angstrom: (N, 3) float32, positions in Angstrom as in the file, not centred.
      atomic_number: (N,) uint8; 6 for beads.
      kind: "atoms" or "beads".
      name: the file's name without its endings, or the name that an archive gives.
      notes: what was assumed, merged or dropped, one line each.
      pdb_id: the PDB id in lower case, "" where unknown.
      source: the file's path, or where an archive says that the structure came from.
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
    """Reads one structure from a PDB or mmCIF file.

    Models that overlap (an NMR ensemble) count as one, and the first is read. Models that do not overlap (subunits
    with an END record after each, copies in the file of an assembly) are merged.

    Args:
      path: a PDB or mmCIF file, recognised by its content; may be gzipped.
      assembly: name of the biological assembly; None for the atoms as listed. The default "1" falls back to the
        first assembly that is listed, and to the atoms as listed where the file has no assembly.
      protein_only: keeps amino acids only (no nucleic acids, carbohydrates, ligands), as in the training corpus.

    Returns:
      At least one scatterer, with the notes of what was decided.

    Raises:
      InputError: the file is missing, empty, too large or not a structure; it has too many models or atoms; no atom
        is left; there is no such assembly; or a coordinate is not finite or lies 1e5 A or more from the origin.
    """
    name = re.sub(r"(\.(gz|pdb|ent|cif|mmcif|pdb\d+))+$", "", Path(path).name, flags=re.IGNORECASE)
    text = read_structure_text(path)
    parsed = parse_structure(text, str(path))
    notes: list[str] = []
    try:
        models = [AtomTable.from_model(model) for model in parsed]
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    models = [model for model in models if len(model.xyz)]
    if not models:
        raise InputError(f"{path}: no atoms in it")
    for model in models:
        _check_coordinates(model, path)
    atoms, merged = _join_models(models, path, notes)
    if not is_water(atoms).all():  # some programs write beads as waters
        atoms = drop_atoms(atoms, is_water(atoms), "of water", notes)
    kind = _classify_model(atoms, notes)
    if kind == "atoms":
        atoms = select_scatterers(atoms, protein_only, notes)
        if not len(atoms.xyz):
            what = "protein atoms" if protein_only else "atoms besides waters, ions and hydrogens"
            raise InputError(f"{path}: no {what} in it")
        if (atoms.atom_name == "CA").all():
            notes.append("CA atoms only: a trace, not a full model")
    # Models that were merged are the copies that the assembly's operators would make again.
    assemblies: list[gemmi.Assembly] | gemmi.AssemblyList = [] if merged or kind == "beads" else parsed.assemblies
    xyz, numbers = _apply_assembly(atoms, assemblies, assembly, path, notes)
    if not np.abs(xyz).max() < _MAX_DISTANCE_ANGSTROM:  # written so that NaN fails too
        raise InputError(f"{path}: the operators of assembly {assembly} put atoms {np.abs(xyz).max():.3g} A away")
    if kind == "beads":
        numbers = np.full(len(xyz), CARBON)
    entry = (parsed.info["_entry.id"] if "_entry.id" in parsed.info else "").lower()
    stem = re.sub(r"-assembly\d+$", "", name.lower())  # the Protein Data Bank names files of assemblies so
    pdb_id = next((text for text in (entry, stem) if PDB_ID.fullmatch(text)), "")
    return Structure(xyz.astype(np.float32), numbers.astype(np.uint8), kind, name, tuple(notes),
                     pdb_id, str(path))


def bead_spacing(structure: Structure) -> float | None:
    """Returns the spacing in Angstrom of a bead model, None for atoms, as `voxels.contact_distance` takes it."""
    return nearest_neighbour_spacing(structure.xyz_angstrom) if structure.kind == "beads" else None


def nearest_neighbour_spacing(xyz_angstrom: np.ndarray, samples: int = 1000) -> float:
    """Returns the median distance in Angstrom from a point to its nearest neighbour.

    Args:
      xyz_angstrom: (N, 3); points that coincide count once.
      samples: the median is taken over at most so many points, chosen evenly among the sorted points.

    Raises:
      ValueError: there are fewer than two distinct positions.
    """
    points = np.unique(np.asarray(xyz_angstrom, np.float64), axis=0)
    if len(points) < 2:
        raise ValueError("a spacing needs at least two distinct positions")
    chosen = np.linspace(0, len(points) - 1, min(samples, len(points))).astype(int)
    return float(np.median(_nearest_distances(points[chosen], points, skip_self=chosen)))


def _nearest_distances(
    queries: np.ndarray, points: np.ndarray, skip_self: np.ndarray | None = None
) -> np.ndarray:
    """Returns the distances (Q,) from queries (Q, 3) to the nearest of `points`, except point `skip_self[i]` for i."""
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


def read_structure_text(path: str | os.PathLike) -> str:
    """Returns the content of a structure file, unpacked, as ASCII text; raises InputError as `read_structure` does."""
    try:
        size = os.path.getsize(path)
        if size > _MAX_BYTES:
            raise InputError(f"{path}: {size / 2**20:.0f} MB is too large for a structure (limit "
                             f"{_MAX_BYTES // 2**20} MB)")
        data = Path(path).read_bytes()
        if data.startswith(GZIP_MAGIC):
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
    # Both formats are ASCII. Any other character becomes one "?", because gemmi counts columns in bytes.
    return data.decode("utf-8-sig", "replace").encode("ascii", "replace").decode("ascii")


def is_mmcif(text: str) -> bool:
    """Returns whether a text is of an mmCIF file with atoms."""
    return bool(re.search(r"^data_", text, re.MULTILINE)) and "_atom_site" in text


def parse_structure(text: str, path: str) -> gemmi.Structure:
    """Returns the structure in a text of either format, all its models included.

    Args:
      text: from `read_structure_text`.
      path: the file, for the message of an error.

    Raises:
      InputError: the text is not a readable structure.
    """
    if is_mmcif(text):
        try:
            block = gemmi.cif.read_string(text)[0]
            return gemmi.make_structure_from_block(block)
        except (ValueError, RuntimeError, IndexError) as error:
            raise InputError(
                f"{path}: not a readable mmCIF file ({' '.join(str(error).split())})"
            ) from None
    text = repair_pdb(text, path)
    try:
        return gemmi.read_pdb_string(text)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: not a readable PDB file ({' '.join(str(error).split())})"
        ) from None


def _check_coordinates(atoms: AtomTable, path: str | os.PathLike) -> None:
    """Raises InputError for the first atom whose coordinates are not finite or too far from the origin."""
    bad = np.flatnonzero(~(np.abs(atoms.xyz) < _MAX_DISTANCE_ANGSTROM).all(-1))  # written so that NaN counts too
    if bad.size:
        what = f"{atoms.atom_name[bad[0]]} of {atoms.residue_name[bad[0]]} {atoms.residue_key[bad[0]]}"
        where = ", ".join(f"{x:.6g}" for x in atoms.xyz[bad[0]])
        raise InputError(f"{path}: atom {bad[0] + 1} ({what}) lies at ({where}); finite coordinates within "
                         f"{_MAX_DISTANCE_ANGSTROM:g} A of the origin are needed")


def _join_models(models: list[AtomTable], path: str | os.PathLike, notes: list[str]) -> tuple[AtomTable, bool]:
    """Returns the atoms of all models that lie on no earlier model, and whether these are of several models."""
    kept = models[:1]
    for model in models[1:]:
        if not any(_models_overlap(model.xyz, other.xyz) for other in kept):
            kept.append(model)
        if len(kept) > _MAX_MODELS:
            raise InputError(f"{path}: more than {_MAX_MODELS} models that lie apart; a structure has fewer "
                             "subunits")
    if len(kept) < len(models):
        left_out = len(models) - len(kept)
        notes.append(f"{left_out} of {len(models)} models lie on another (an ensemble) and were left out")
    if len(kept) == 1:
        return kept[0], False
    notes.append(f"{len(kept)} models merged")
    first = 0
    for i, model in enumerate(kept):
        # Residues of different models are different residues, even where their numbers are equal.
        kept[i] = model._replace(
            residue_index=model.residue_index + first,
            residue_key=np.char.add(f"{i}:", model.residue_key),
        )
        first = int(kept[i].residue_index.max()) + 1
    return AtomTable(*map(np.concatenate, zip(*kept, strict=True))), True


def _models_overlap(xyz: np.ndarray, other: np.ndarray, samples: int = 300) -> bool:
    """Returns whether over a tenth of the atoms lie within 2 A of the other model's; two molecules never overlap so."""
    chosen = np.linspace(0, len(xyz) - 1, min(samples, len(xyz))).astype(int)
    return bool(np.mean(_nearest_distances(xyz[chosen], other) < _OVERLAP_ANGSTROM) > 0.1)


def _classify_model(atoms: AtomTable, notes: list[str]) -> str:
    """Returns "beads" where each residue is one atom and the residues share a name or follow no chain, else "atoms"."""
    count = len(atoms.xyz)
    single = np.unique(atoms.residue_index).size == count or (np.unique(atoms.atom_name).size == 1)
    if count < 2 or not single or np.unique(atoms.element).size > 1:
        return "atoms"
    if np.unique(atoms.residue_name).size > 1:
        step = np.linalg.norm(np.diff(atoms.xyz, axis=0), axis=-1)
        if np.mean(np.abs(step - _CA_STEP_ANGSTROM) < 0.5) > 0.5:
            return "atoms"
    notes.append(f"read as {count} dummy beads: one {atoms.atom_name[0]} of {atoms.residue_name[0]} each")
    return "beads"


def _apply_assembly(
    atoms: AtomTable, assemblies: list[gemmi.Assembly] | gemmi.AssemblyList, wanted: str | None,
    path: str | os.PathLike, notes: list[str],
) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions (M, 3) and atomic numbers (M,) after the wanted assembly's operators act on their chains."""
    if wanted is None:
        return atoms.xyz, atoms.atomic_number
    named = {assembly.name: assembly for assembly in assemblies}
    if wanted not in named and wanted != "1":
        raise InputError(
            f"{path}: no assembly {wanted!r} in it (it has {', '.join(named) or 'none'})"
        )
    if not named:
        return atoms.xyz, atoms.atomic_number
    assembly = named.get(wanted) or assemblies[0]
    xyz, numbers, moved, count = [], [], False, 0
    for generator in assembly.generators:
        if generator.subchains:
            mask = np.isin(atoms.subchain, generator.subchains)
        else:
            mask = np.isin(atoms.chain, generator.chains)
        count += int(mask.sum()) * len(generator.operators)
        if count > _MAX_ATOMS:
            raise InputError(f"{path}: assembly {assembly.name} has {count} atoms or more; at "
                             f"most {_MAX_ATOMS} are read")
        for operator in generator.operators:
            matrix = np.array(operator.transform.mat.tolist())
            vector = np.array(operator.transform.vec.tolist())
            xyz.append(atoms.xyz[mask] @ matrix.T + vector)
            numbers.append(atoms.atomic_number[mask])
            moved |= not operator.transform.is_identity()
    if not sum(map(len, xyz)):
        notes.append(f"assembly {assembly.name} names none of the chains; the atoms are taken as listed")
        return atoms.xyz, atoms.atomic_number
    if moved or sum(map(len, xyz)) != len(atoms.xyz):
        notes.append(f"assembly {assembly.name}: {sum(map(len, xyz))} atoms from the "
                     f"{len(atoms.xyz)} listed")
    return np.concatenate(xyz), np.concatenate(numbers)
