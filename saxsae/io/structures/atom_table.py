"""Holds the atoms of one model as columns, and selects those that scatter.

`structure_files.read_structure` builds an `AtomTable` from what gemmi parsed, then applies `select_scatterers`.
"""

from typing import NamedTuple

import gemmi
import numpy as np

_WATERS = frozenset("HOH DOD WAT H2O SOL TIP TIP3 TIP4 TP3 SPC OH2".split())
_POLYMER_ELEMENTS = ("H", "D", "C", "N", "O", "S", "P", "SE")
_BACKBONE = ("N", "CA", "C")
CARBON = 6
_MAX_NAME_CHARACTERS = 60  # NumPy stores every text of a column at the length of the longest


class AtomTable(NamedTuple):
    """One array for each column of the file, all of length N, in the file's order.

    Attributes:
      xyz: (N, 3) float64, positions in Angstrom.
      element: (N,) str, chemical symbols in capitals; "X" where unknown.
      atomic_number: (N,) int; 0 where unknown.
      atom_name: (N,) str, such as "CA".
      residue_name: (N,) str, such as "ALA".
      residue_index: (N,) int, counts the residues in their order, from 0.
      residue_key: (N,) str, chain and residue number: equal for alternative residues at one place of the chain.
      chain: (N,) str, the chain's name.
      subchain: (N,) str, the name that mmCIF assemblies use for a part of a chain.
      altloc: (N,) str, the letter of an alternate location, "" for none.
      occupancy: (N,) float, as in the file.
    """

    xyz: np.ndarray
    element: np.ndarray
    atomic_number: np.ndarray
    atom_name: np.ndarray
    residue_name: np.ndarray
    residue_index: np.ndarray
    residue_key: np.ndarray
    chain: np.ndarray
    subchain: np.ndarray
    altloc: np.ndarray
    occupancy: np.ndarray

    @classmethod
    def from_model(cls, model: gemmi.Model) -> "AtomTable":
        """Returns the atoms of a model, in their order.

        Raises:
          ValueError: an atom, residue or chain has a name of more than 60 characters, as only a damaged file does.
        """
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
        columns: list[tuple] = list(zip(*rows, strict=True)) if rows else [()] * len(cls._fields)
        xyz, *columns = columns
        for column in columns:
            texts = (value for value in column if isinstance(value, str))
            longest: str = max(texts, key=len, default="")
            if len(longest) > _MAX_NAME_CHARACTERS:
                raise ValueError(f"a name has {len(longest)} characters, {longest[:20]!r}...; "
                                 f"at most {_MAX_NAME_CHARACTERS} are expected, so the file is damaged")
        return cls(np.array(xyz, float).reshape(-1, 3), *map(np.array, columns))

    def keep(self, mask: np.ndarray) -> "AtomTable":
        """Returns the rows where `mask`, (N,) bool, is true."""
        return AtomTable(*(column[mask] for column in self))


def is_water(atoms: AtomTable) -> np.ndarray:
    """Returns (N,) bool: which atoms belong to water molecules, under any of the names for water."""
    names, which = np.unique(atoms.residue_name, return_inverse=True)
    known = [
        name in _WATERS or gemmi.find_tabulated_residue(str(name)).is_water() for name in names
    ]
    return np.array(known, bool)[which]


def drop_atoms(atoms: AtomTable, mask: np.ndarray, what: str, notes: list[str]) -> AtomTable:
    """Returns the atoms without those of `mask`, and notes how many were dropped.

    Args:
      atoms: N atoms.
      mask: (N,) bool, true for the atoms to drop.
      what: describes these atoms in the note, such as "of water".
      notes: gets one line if any atom is dropped.
    """
    if mask.any():
        notes.append(f"{int(mask.sum())} atoms {what} dropped")
    return atoms.keep(~mask)


def select_scatterers(atoms: AtomTable, protein_only: bool, notes: list[str]) -> AtomTable:
    """Returns the atoms that make the shape, by the rule at the head of `structure_files`.

    Args:
      atoms: all atoms of a model. Where a polymer atom has an implausible element, its element is taken from its name.
      protein_only: also drops nucleic acids, carbohydrates and ligands.
      notes: gets one line for each kind of atom that is dropped, counts as carbon, or has zero occupancy.

    Returns:
      The remaining atoms, possibly none.
    """
    atoms = drop_atoms(atoms, is_water(atoms), "of water", notes)
    names, which = np.unique(atoms.residue_name, return_inverse=True)
    table = [gemmi.find_tabulated_residue(str(name)) for name in names]
    amino = np.array([info.is_amino_acid() for info in table], bool)[which]
    polymer = amino | np.array([info.is_nucleic_acid() for info in table], bool)[which]
    # In a polymer the atom "CA" is a carbon, even where its columns make it calcium.
    implausible = np.flatnonzero(polymer & ~np.isin(atoms.element, _POLYMER_ELEMENTS))
    for i in implausible:
        element = gemmi.Element(atoms.atom_name[i].lstrip("0123456789")[:1])
        atoms.element[i], atoms.atomic_number[i] = element.name.upper(), element.atomic_number
    atoms = drop_atoms(atoms, np.isin(atoms.element, ["H", "D"]), "of hydrogen", notes)
    if protein_only:
        atoms = drop_atoms(atoms, ~_is_protein(atoms), "that are not protein", notes)
    _, residue, size = np.unique(atoms.residue_index, return_inverse=True, return_counts=True)
    ion = (size[residue] == 1) & ~np.isin(atoms.element, ["X", *_POLYMER_ELEMENTS])
    atoms = drop_atoms(atoms, ion, "(single ions)", notes)
    first_altloc: dict[str, str] = {}  # of each residue
    other_altloc = [
        bool(letter) and first_altloc.setdefault(key, letter) != letter
        for key, letter in zip(atoms.residue_key, atoms.altloc, strict=True)
    ]
    atoms = drop_atoms(atoms, np.array(other_altloc, bool), "at other alternate locations", notes)
    if (atoms.atomic_number == 0).any():
        notes.append(f"{int((atoms.atomic_number == 0).sum())} atoms of unknown element count as carbon")
        atoms = atoms._replace(atomic_number=np.where(atoms.atomic_number == 0, CARBON, atoms.atomic_number))
    if (atoms.occupancy == 0).any():
        notes.append(f"{int((atoms.occupancy == 0).sum())} atoms of zero occupancy kept")
    return atoms


def _is_protein(atoms: AtomTable) -> np.ndarray:
    """Returns (N,) bool: atoms of tabulated amino acids, and of residues that have a full backbone."""
    names, which = np.unique(atoms.residue_name, return_inverse=True)
    known = [gemmi.find_tabulated_residue(str(name)).is_amino_acid() for name in names]
    _, residue = np.unique(atoms.residue_index, return_inverse=True)
    backbone = [
        np.bincount(residue, atoms.atom_name == name, residue.max(initial=0) + 1) > 0
        for name in _BACKBONE
    ]
    return np.array(known, bool)[which] | np.logical_and.reduce(backbone)[residue]
