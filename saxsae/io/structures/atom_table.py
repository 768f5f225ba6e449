"""A file's atoms as columns, and which of them scatter."""

from typing import NamedTuple

import gemmi
import numpy as np

_WATERS = frozenset("HOH DOD WAT H2O SOL TIP TIP3 TIP4 TP3 SPC OH2".split())
_POLYMER_ELEMENTS = ("H", "D", "C", "N", "O", "S", "P", "SE")
_BACKBONE = ("N", "CA", "C")
CARBON = 6
_LONGEST_NAME = 60  # characters: each row of a column takes as much room as its longest


class AtomTable(NamedTuple):
    """One array per column of the file, all of the same length."""

    xyz: np.ndarray  # (N, 3) Angstrom, float64
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
    def of(cls, model: gemmi.Model) -> "AtomTable":
        """The atoms of a model, in their order. Raises ValueError for a name that is none."""
        rows = []
        index = -1
        for chain in model:
            for residue in chain:
                index += 1
                key = f"{chain.name}/{residue.seqid}"
                for atom in residue:
                    element, altloc = atom.element, atom.altloc.strip("\0")
                    rows.append((atom.pos.tolist(), element.name.upper(), element.atomic_number,
                                 atom.name, residue.name, index, key, chain.name,
                                 residue.subchain, altloc, atom.occ))
        columns = zip(*rows, strict=True) if rows else [()] * len(cls._fields)
        xyz, *columns = columns
        for column in columns:
            longest = max((text for text in column if isinstance(text, str)), key=len, default="")
            if len(longest) > _LONGEST_NAME:
                raise ValueError(f"a name of {len(longest)} characters, {longest[:20]!r}...")
        return cls(np.array(xyz, float).reshape(-1, 3), *map(np.array, columns))

    def keep(self, mask: np.ndarray) -> "AtomTable":
        """The rows where `mask` (N,) is true."""
        return AtomTable(*(column[mask] for column in self))


def is_water(atoms: AtomTable) -> np.ndarray:
    """(N,) bool: atoms of water molecules, by any of their names."""
    names, which = np.unique(atoms.residue, return_inverse=True)
    known = [
        name in _WATERS or gemmi.find_tabulated_residue(str(name)).is_water() for name in names
    ]
    return np.array(known, bool)[which]


def drop(atoms: AtomTable, mask: np.ndarray, what: str, notes: list[str]) -> AtomTable:
    """The atoms without those of `mask` (N,); how many went, and `what` they were, into `notes`."""
    if mask.any():
        notes.append(f"{int(mask.sum())} atoms {what} dropped")
    return atoms.keep(~mask)


def scatterers(atoms: AtomTable, protein_only: bool, notes: list[str]) -> AtomTable:
    """The atoms that make the shape, as `structures` defines it; what went is told in `notes`.

    May be empty.
    """
    atoms = drop(atoms, is_water(atoms), "of water", notes)
    names, which = np.unique(atoms.residue, return_inverse=True)
    table = [gemmi.find_tabulated_residue(str(name)) for name in names]
    amino = np.array([info.is_amino_acid() for info in table], bool)[which]
    polymer = amino | np.array([info.is_nucleic_acid() for info in table], bool)[which]
    # In a polymer "CA" is a carbon, whichever columns it was written in.
    strange = np.flatnonzero(polymer & ~np.isin(atoms.element, _POLYMER_ELEMENTS))
    for i in strange:
        element = gemmi.Element(atoms.atom[i].lstrip("0123456789")[:1])
        atoms.element[i], atoms.number[i] = element.name.upper(), element.atomic_number
    atoms = drop(atoms, np.isin(atoms.element, ["H", "D"]), "of hydrogen", notes)
    if protein_only:
        atoms = drop(atoms, ~_is_protein(atoms), "that are not protein", notes)
    _, residue, size = np.unique(atoms.residue_index, return_inverse=True, return_counts=True)
    ion = (size[residue] == 1) & ~np.isin(atoms.element, ["X", *_POLYMER_ELEMENTS])
    atoms = drop(atoms, ion, "(single ions)", notes)
    first: dict[str, str] = {}
    other = [
        bool(letter) and first.setdefault(key, letter) != letter
        for key, letter in zip(atoms.residue_key, atoms.altloc, strict=True)
    ]
    atoms = drop(atoms, np.array(other, bool), "at other alternate locations", notes)
    if (atoms.number == 0).any():
        notes.append(f"{int((atoms.number == 0).sum())} atoms of unknown element count as carbon")
        atoms = atoms._replace(number=np.where(atoms.number == 0, CARBON, atoms.number))
    if (atoms.occupancy == 0).any():
        notes.append(f"{int((atoms.occupancy == 0).sum())} atoms of zero occupancy kept")
    return atoms


def _is_protein(atoms: AtomTable) -> np.ndarray:
    """Atoms of tabulated amino acids, and of residues with their backbone."""
    names, which = np.unique(atoms.residue, return_inverse=True)
    known = [gemmi.find_tabulated_residue(str(name)).is_amino_acid() for name in names]
    _, residue = np.unique(atoms.residue_index, return_inverse=True)
    backbone = [
        np.bincount(residue, atoms.atom == name, residue.max(initial=0) + 1) > 0
        for name in _BACKBONE
    ]
    return np.array(known, bool)[which] | np.logical_and.reduce(backbone)[residue]
