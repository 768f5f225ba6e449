"""Atomic and dummy-bead models from PDB and mmCIF files, plain or gzipped, as arrays.

What counts as a scatterer: every heavy atom of protein, nucleic acid, carbohydrate and ligand. Dropped: waters,
single-atom ions, hydrogen and deuterium, all alternate locations of a residue but its first. Atoms of zero occupancy
stay (they are part of the molecule). Whatever was decided on the way is told in `Structure.notes`.
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
from saxsae.io.pdb_text import repair

_WATERS = frozenset("HOH DOD WAT H2O SOL TIP TIP3 TIP4 TP3 SPC OH2".split())
_POLYMER_ELEMENTS = frozenset("H D C N O S P SE".split())
_CARBON = 6
_OVERLAP_ANGSTROM = 2.0  # heavy atoms of two molecules never come this close
_CA_STEP_ANGSTROM = 3.8
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


def read_structure(path: str | os.PathLike, assembly: str | None = "1", protein_only: bool = False) -> Structure:
    """Reads a model.

    Args:
      path: PDB or mmCIF, told apart by content; may be gzipped.
      assembly: biological assembly by name; None for the atoms as listed. The default "1" falls back to the first one
        listed, or to the atoms as listed where the file has no operators.
      protein_only: keep amino acids only (no nucleic acids, carbohydrates, ligands), as in the training corpus.

    Models that cover one another (an NMR ensemble) count as one: the first is read. Models that do not (subunits with
    an END after each, copies of an assembly file) are merged.

    Raises:
      InputError: missing or empty file, not a structure, no atoms left, unknown assembly, a coordinate that is no
        number (with its line).
    """
    name = re.sub(r"(\.(gz|pdb|ent|cif|mmcif|pdb\d+))+$", "", Path(path).name, flags=re.IGNORECASE)
    text = _read_text(path)
    parsed = _parse(text, str(path))
    notes: list[str] = []
    models = [_Atoms.of(model) for model in parsed]
    models = [model for model in models if len(model.xyz)]
    if not models:
        raise InputError(f"{path}: no atoms in it")
    atoms = _join_models(models, notes)
    if not np.isfinite(atoms.xyz).all():
        bad = int(np.flatnonzero(~np.isfinite(atoms.xyz).all(-1))[0])
        raise InputError(f"{path}: atom {bad + 1} ({atoms.atom[bad]} of {atoms.residue[bad]}) has no finite coordinates")
    kind = _kind(atoms, notes)
    if kind == "atoms":
        atoms = _scatterers(atoms, protein_only, notes)
        if not len(atoms.xyz):
            raise InputError(f"{path}: no {'protein ' if protein_only else ''}atoms left after dropping waters, ions and "
                             "hydrogens")
        xyz, numbers = _assemble(atoms, parsed.assemblies, assembly, path, notes)
        _note_trace(atoms, notes)
    else:
        xyz, numbers = atoms.xyz, np.full(len(atoms.xyz), _CARBON)
    entry = (parsed.info["_entry.id"] if "_entry.id" in parsed.info else "").lower()
    pdb_id = next((text for text in (entry, name.lower()) if PDB_ID.fullmatch(text)), "")
    return Structure(xyz.astype(np.float32), numbers.astype(np.uint8), kind, name, tuple(notes), pdb_id, str(path))


def nearest_neighbour_spacing(xyz_angstrom: np.ndarray, samples: int = 1000) -> float:
    """Median distance to the nearest neighbour in Angstrom, over at most `samples` evenly chosen points.

    Args:
      xyz_angstrom: (N, 3), at least two distinct positions; points that coincide count once.
    """
    points = np.unique(np.asarray(xyz_angstrom, np.float64), axis=0)
    if len(points) < 2:
        raise ValueError("a spacing needs at least two distinct positions")
    chosen = np.linspace(0, len(points) - 1, min(samples, len(points))).astype(int)
    return float(np.median(_nearest(points[chosen], points, skip_self=chosen)))


def _nearest(queries: np.ndarray, points: np.ndarray, skip_self: np.ndarray | None = None) -> np.ndarray:
    """(Q,) distance of each query to the nearest point; point `skip_self[i]` does not count for query i."""
    nearest = np.empty(len(queries))
    squares = (points**2).sum(-1)
    block = max(1, (1 << 22) // len(points))
    for start in range(0, len(queries), block):
        rows = queries[start:start + block]
        square = (rows**2).sum(-1)[:, None] + squares - 2 * rows @ points.T
        if skip_self is not None:
            square[np.arange(len(rows)), skip_self[start:start + block]] = np.inf
        nearest[start:start + block] = np.sqrt(np.maximum(square.min(-1), 0))
    return nearest


class _Atoms(NamedTuple):
    """One array per column of the file; strings as object-free numpy arrays."""

    xyz: np.ndarray
    element: np.ndarray  # symbols in capitals
    number: np.ndarray
    atom: np.ndarray
    residue: np.ndarray
    residue_index: np.ndarray  # counts residues as they come
    residue_key: np.ndarray  # chain and number: the same for alternative residues
    chain: np.ndarray
    subchain: np.ndarray
    altloc: np.ndarray
    occupancy: np.ndarray

    @classmethod
    def of(cls, model: gemmi.Model) -> "_Atoms":
        rows = []
        index = -1
        for chain in model:
            for residue in chain:
                index += 1
                key = f"{chain.name}/{residue.seqid}"
                for atom in residue:
                    rows.append((atom.pos.tolist(), atom.element.name.upper(), atom.element.atomic_number, atom.name,
                                 residue.name, index, key, chain.name, residue.subchain, atom.altloc.strip("\0"),
                                 atom.occ))
        columns = list(zip(*rows)) if rows else [()] * len(cls._fields)
        return cls(np.array(columns[0], float).reshape(-1, 3), *map(np.array, columns[1:]))

    def keep(self, mask: np.ndarray) -> "_Atoms":
        return _Atoms(*(column[mask] for column in self))


def _read_text(path: str | os.PathLike) -> str:
    try:
        data = Path(path).read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, not a PDB or mmCIF file") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged or truncated gzip file ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not data.strip():
        raise InputError(f"{path}: the file is empty; a PDB or mmCIF structure is needed")
    return data.decode("utf-8", "replace")


def _parse(text: str, path: str) -> gemmi.Structure:
    if re.search(r"^data_", text, re.MULTILINE) and "_atom_site" in text:
        try:
            block = gemmi.cif.read_string(text)[0]
            return gemmi.make_structure_from_block(block)
        except (ValueError, RuntimeError, IndexError) as error:
            raise InputError(f"{path}: not a readable mmCIF file ({' '.join(str(error).split())})") from None
    text, _ = repair(text, path)
    try:
        return gemmi.read_pdb_string(text)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{path}: not a readable PDB file ({' '.join(str(error).split())})") from None


def _join_models(models: list[_Atoms], notes: list[str]) -> _Atoms:
    """One set of atoms: models that lie where an earlier one lies are dropped, the others merged."""
    kept = models[:1]
    for model in models[1:]:
        if not any(_cover(model.xyz, other.xyz) for other in kept):
            kept.append(model)
    if len(kept) < len(models):
        notes.append(f"{len(models) - len(kept)} of {len(models)} models cover another (an ensemble) and were left out")
    if len(kept) > 1:
        notes.append(f"{len(kept)} models merged")
    first = 0
    for i, model in enumerate(kept):
        # Residues of different models are different residues, whatever their numbers say.
        key = model.residue_key if i == 0 else np.char.add(f"{i}:", model.residue_key)
        kept[i] = model._replace(residue_index=model.residue_index + first, residue_key=key)
        first = int(kept[i].residue_index.max()) + 1
    return kept[0] if len(kept) == 1 else _Atoms(*map(np.concatenate, zip(*kept)))


def _cover(xyz: np.ndarray, other: np.ndarray, samples: int = 300) -> bool:
    """Whether a tenth of the atoms lie within 2 A of the other model's: no two molecules do."""
    chosen = np.linspace(0, len(xyz) - 1, min(samples, len(xyz))).astype(int)
    return bool(np.mean(_nearest(xyz[chosen], other) < _OVERLAP_ANGSTROM) > 0.1)


def _kind(atoms: _Atoms, notes: list[str]) -> str:
    """Beads: one atom per residue, and either one residue name throughout or steps that are not a chain's."""
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


def _scatterers(atoms: _Atoms, protein_only: bool, notes: list[str]) -> _Atoms:
    residues, index, size = np.unique(atoms.residue_index, return_index=True, return_counts=True)
    number_of = np.searchsorted(residues, atoms.residue_index)
    names = atoms.residue[index]
    tabulated = {name: gemmi.find_tabulated_residue(str(name)) for name in np.unique(names)}
    table = {name: (info.is_water() or name in _WATERS, info.is_amino_acid(), info.is_nucleic_acid())
             for name, info in tabulated.items()}
    water, amino, nucleic = np.array([table[name] for name in names]).T
    water, polymer = water[number_of], (amino | nucleic)[number_of]
    element = atoms.element.astype("U2")
    # In a polymer "CA" is a carbon, whichever columns it was written in.
    strange = polymer & ~np.isin(element, list(_POLYMER_ELEMENTS))
    element[strange] = [name.lstrip("0123456789")[:1].upper() for name in atoms.atom[strange]]
    number = atoms.number.copy()
    number[strange] = [gemmi.Element(symbol).atomic_number for symbol in element[strange]]
    hydrogen = np.isin(element, ["H", "D"])
    ion = (size[number_of] == 1) & ~np.isin(element, list(_POLYMER_ELEMENTS)) & ~polymer
    unknown = (number == 0) & ~water
    number[number == 0] = _CARBON
    first = {}
    for key, letter in zip(atoms.residue_key, atoms.altloc):
        if letter:
            first.setdefault(key, letter)
    other = np.array([bool(letter) and first[key] != letter for key, letter in zip(atoms.residue_key, atoms.altloc)])
    keep = ~(water | hydrogen | ion | other)
    dropped = [(water, "of water"), (ion & ~water, "single ions"), (hydrogen & ~water, "hydrogens"),
               (other & ~water & ~hydrogen, "at other alternate locations")]
    told = [f"{int(mask.sum())} {what}" for mask, what in dropped if mask.any()]
    if told:
        notes.append(f"atoms dropped: {', '.join(told)}")
    if protein_only:
        backbone = {key: 0 for key in residues}
        for i in np.flatnonzero(np.isin(atoms.atom, ["N", "CA", "C"])):
            backbone[atoms.residue_index[i]] += 1
        protein = (amino | (np.array([backbone[key] for key in residues]) >= 3))[number_of]
        if (keep & ~protein).any():
            notes.append(f"{int((keep & ~protein).sum())} atoms that are not protein dropped")
        keep &= protein
    if (unknown & keep).any():
        notes.append(f"{int((unknown & keep).sum())} atoms of unknown element count as carbon")
    if ((atoms.occupancy == 0) & keep).any():
        notes.append(f"{int(((atoms.occupancy == 0) & keep).sum())} atoms of zero occupancy kept")
    return atoms._replace(element=element, number=number).keep(keep)


def _assemble(atoms: _Atoms, assemblies, wanted: str | None, path, notes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates and atomic numbers of the assembly: each operator applied to the chains that it names."""
    if wanted is None:
        return atoms.xyz, atoms.number
    named = {assembly.name: assembly for assembly in assemblies}
    if wanted not in named and wanted != "1":
        raise InputError(f"{path}: no assembly {wanted!r} in it (it has {', '.join(named) or 'none'})")
    if not named:
        return atoms.xyz, atoms.number
    assembly = named.get(wanted) or assemblies[0]
    xyz, numbers, operators = [], [], 0
    for generator in assembly.generators:
        if generator.subchains:
            mask = np.isin(atoms.subchain, generator.subchains)
        else:
            mask = np.isin(atoms.chain, generator.chains)
        for operator in generator.operators:
            matrix = np.array(operator.transform.mat.tolist())
            vector = np.array(operator.transform.vec.tolist())
            xyz.append(atoms.xyz[mask] @ matrix.T + vector)
            numbers.append(atoms.number[mask])
            operators += 1
    if not sum(map(len, xyz)):
        notes.append(f"assembly {assembly.name} names none of the chains: atoms taken as listed")
        return atoms.xyz, atoms.number
    if operators > 1 or len(xyz[0]) < len(atoms.xyz):
        notes.append(f"assembly {assembly.name}: {operators} operators, {sum(map(len, xyz))} of {len(atoms.xyz)} listed atoms")
    return np.concatenate(xyz), np.concatenate(numbers)


def _note_trace(atoms: _Atoms, notes: list[str]) -> None:
    if (atoms.atom == "CA").all():
        notes.append("CA atoms only: a trace, not a full model")
