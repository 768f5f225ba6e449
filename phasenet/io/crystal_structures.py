"""Writes a solved crystal as SHELX instructions (.res), as CIF and as PDB, for programs that refine or show it.

SHELXL refines the .res further, with the reflections beside it under the same name; Olex2 opens the .res as it is.
"""

import os
from typing import NamedTuple

import gemmi
import numpy as np

from phasenet.io.atomic_writes import replacing

_LATTICES = {"P": 1, "I": 2, "R": 3, "F": 4, "A": 5, "B": 6, "C": 7}
_B_OVER_U = 8 * np.pi**2
METHOD = "phasenet: dual-space phasing in P1, symmetry from the map"


class TwinComponent(NamedTuple):
    """The second component of a twin.

    Attributes:
      law: (3, 3) int; it reflects with the indices law @ h where the first component does with h, as in SHELXL's TWIN.
      fraction: its share of the crystal.
      sigma: standard deviation of the fraction.
    """

    law: np.ndarray
    fraction: float
    sigma: float


class CrystalStructure(NamedTuple):
    """A crystal structure of n symmetry-unique atoms.

    Attributes:
      title: one line, at most 42 characters: what it is, and how far it can be trusted.
      cell: (6,) Angstrom and degrees.
      cell_sigma: (6,) their standard deviations, or None.
      wavelength_angstrom: of the radiation.
      rotations: (m, 3, 3) int, all operators of the group on fractional coordinates, centring included.
      translations: (m, 3) in [0, 1).
      symbol: Hermann-Mauguin symbol; "" if the setting has none.
      z: formula units in the unit cell; 0 if unknown.
      composition: atoms of each element in the unit cell.
      labels: n names, unique.
      elements: n symbols.
      positions: (n, 3) fractional.
      standard_deviations: (n, 3) of the fractional coordinates; 0 where they are fixed or unknown.
      b_iso: (n,) Angstrom^2.
      occupancies: (n,) with the crystallographic share: on a special position, 1 over the order of its site symmetry.
      scale: factor from calculated to measured amplitudes.
      r1: R1 over F > 4 sigma(F).
      hklf: 3 or 4, the kind of the reflection file.
      twin: the second component of a twin, or None.
    """

    title: str
    cell: np.ndarray
    cell_sigma: np.ndarray | None
    wavelength_angstrom: float
    rotations: np.ndarray
    translations: np.ndarray
    symbol: str
    z: int
    composition: dict[str, float]
    labels: tuple[str, ...]
    elements: tuple[str, ...]
    positions: np.ndarray
    standard_deviations: np.ndarray
    b_iso: np.ndarray
    occupancies: np.ndarray
    scale: float
    r1: float
    hklf: int
    twin: TwinComponent | None = None


def label_atoms(elements: tuple[str, ...]) -> tuple[str, ...]:
    """Returns names such as C1, C2, O1, counted within each element."""
    counted: dict[str, int] = {}
    labels = []
    for element in elements:
        counted[element] = counted.get(element, 0) + 1
        labels.append(f"{element}{counted[element]}")
    return tuple(labels)


def write_res(path: str | os.PathLike, structure: CrystalStructure) -> None:
    """Writes SHELX instructions; the file appears only when it is complete."""
    elements = sorted({*structure.elements, *structure.composition}, key=_carbon_first)
    lattice, symmetry = _shelx_symmetry(structure)
    sigma = np.zeros(6) if structure.cell_sigma is None else structure.cell_sigma
    lines = [
        f"TITL {structure.title} in {structure.symbol or 'a setting without a name'}, R1 {structure.r1:.4f}",
        f"CELL {structure.wavelength_angstrom:.5f} " + " ".join(f"{value:.5f}" for value in structure.cell),
        f"ZERR {max(structure.z, 1)} " + " ".join(f"{value:.5f}" for value in sigma),
        f"LATT {lattice}", *(f"SYMM {triplet}" for triplet in symmetry), "SFAC " + " ".join(elements),
        "UNIT " + " ".join(f"{structure.composition.get(element, 1):g}" for element in elements),
        f"REM solved by {METHOD}", "L.S. 4", "BOND", "FMAP 2", "PLAN 20", "WGHT 0.1",
        *_twin_instructions(structure.twin), f"FVAR {structure.scale:.5f}"]
    for label, element, position, b_iso, occupancy in _rows(structure):
        coordinates = " ".join(f"{value:9.5f}" for value in position)
        lines.append(f"{label:<4s} {elements.index(element) + 1} {coordinates} {10 + occupancy:.5f} "
                     f"{b_iso / _B_OVER_U:.5f}")
    _write(path, [*lines, f"HKLF {structure.hklf}", "END"])


def write_cif(path: str | os.PathLike, structure: CrystalStructure) -> None:
    """Writes a CIF of the structure; the file appears only when it is complete."""
    document = gemmi.cif.Document()
    block = document.add_new_block("phasenet")
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    for name, value in zip(names, structure.cell, strict=True):
        block.set_pair(f"_cell_{name}", f"{value:.5f}")
    block.set_pair("_space_group_name_H-M_alt", gemmi.cif.quote(structure.symbol or "?"))
    if structure.z:
        block.set_pair("_cell_formula_units_Z", str(structure.z))
    block.set_pair("_diffrn_radiation_wavelength", f"{structure.wavelength_angstrom:.5f}")
    block.set_pair("_refine_ls_R_factor_gt", f"{structure.r1:.4f}")
    block.set_pair("_refine_special_details", gemmi.cif.quote(structure.title))
    block.set_pair("_computing_structure_solution", gemmi.cif.quote(METHOD))
    if structure.twin is not None:
        entries = [f"twin_matrix_{row}{column}" for row in (1, 2, 3) for column in (1, 2, 3)]
        loop = block.init_loop("_twin_individual_", ["id", "mass_fraction_refined", *entries])
        twin = structure.twin
        for number, fraction, law in ((1, 1 - twin.fraction, np.eye(3, dtype=int)), (2, twin.fraction, twin.law)):
            loop.add_row([str(number), format_uncertain(fraction, twin.sigma), *map(str, law.ravel().tolist())])
    loop = block.init_loop("_space_group_symop_", ["operation_xyz"])
    for triplet in _triplets(structure):
        loop.add_row([gemmi.cif.quote(triplet)])
    loop = block.init_loop("_atom_site_", ["label", "type_symbol", "fract_x", "fract_y", "fract_z", "U_iso_or_equiv",
                                           "occupancy"])
    site_orders = _site_orders(structure)
    for (label, element, position, b_iso, share), deviations, site_order in zip(
            _rows(structure), structure.standard_deviations, site_orders, strict=True):
        loop.add_row([label, element, *map(format_uncertain, position, deviations), f"{b_iso / _B_OVER_U:.5f}",
                      f"{min(share * site_order, 1):.4f}"])
    _write(path, document.as_string().splitlines())


def _twin_instructions(twin: TwinComponent | None) -> list[str]:
    """Returns the SHELXL instructions for a twin of two components; none without a twin."""
    if twin is None:
        return []
    return [f"TWIN {' '.join(map(str, twin.law.ravel().tolist()))} 2", f"BASF {twin.fraction:.4f}"]


def format_triplet(rotation: np.ndarray, translation: np.ndarray) -> str:
    """Returns an operator, (3, 3) int and (3,) fractional, as a triplet such as -x,y+1/2,z."""
    op = gemmi.Op()
    op.rot = (np.asarray(rotation) * gemmi.Op.DEN).astype(int).tolist()
    op.tran = np.rint(np.asarray(translation) * gemmi.Op.DEN).astype(int).tolist()
    return op.triplet()


def format_uncertain(value: float, deviation: float) -> str:
    """Returns a number with its standard deviation in parentheses, in units of its last digit: 0.12345(6).

    The standard deviation is written with the digits that make it 2 to 19. If the standard deviation is 0 or not
    finite, the number has five decimals and no parentheses.
    """
    if not (np.isfinite(deviation) and deviation > 0):
        return f"{value:.5f}"
    decimals = 0
    while decimals < 7 and round(deviation * 10**(decimals + 1)) < 20:
        decimals += 1
    return f"{value:.{decimals}f}({round(deviation * 10**decimals)})"


def write_pdb(path: str | os.PathLike, structure: CrystalStructure) -> None:
    """Writes the symmetry-unique atoms as PDB, for viewers; the file appears only when it is complete."""
    unit_cell = gemmi.UnitCell(*structure.cell)
    a, b, c, alpha, beta, gamma = structure.cell
    lines = [f"REMARK   1 {structure.title}",
             f"CRYST1{a:9.3f}{b:9.3f}{c:9.3f}{alpha:7.2f}{beta:7.2f}{gamma:7.2f} {structure.symbol or 'P 1':<11s}"]
    for number, (label, element, position, b_iso, _) in enumerate(_rows(structure), 1):
        place = unit_cell.orthogonalize(gemmi.Fractional(*position))
        lines.append(f"HETATM{number:5d} {label:<4.4s} MOL A   1    {place.x:8.3f}{place.y:8.3f}{place.z:8.3f}"
                     f"{1:6.2f}{min(b_iso, 999):6.2f}          {element:>2s}")
    _write(path, [*lines, "END"])


def _rows(structure: CrystalStructure) -> list[tuple[str, str, np.ndarray, float, float]]:
    """Returns label, element, position, B and occupancy of each atom."""
    return list(zip(structure.labels, structure.elements, structure.positions, structure.b_iso,
                    structure.occupancies, strict=True))


def _carbon_first(element: str) -> tuple[int, str]:
    """Returns the key of the order C, H, then the others by name."""
    return ({"C": 0, "H": 1}.get(element, 2), element)


def _triplets(structure: CrystalStructure) -> list[str]:
    """Returns all operators as triplets such as -x,y+1/2,z."""
    return [format_triplet(rotation, translation)
            for rotation, translation in zip(structure.rotations, structure.translations, strict=True)]


def _site_orders(structure: CrystalStructure) -> np.ndarray:
    """Returns how many operators leave each atom (n,) where it is, within 0.01 of an edge."""
    images = np.einsum("mij,nj->nmi", structure.rotations, structure.positions) + structure.translations
    offset = images - structure.positions[:, None]
    return (np.abs(offset - np.rint(offset)) < 0.01).all(-1).sum(1)


def _shelx_symmetry(structure: CrystalStructure) -> tuple[int, list[str]]:
    """Returns LATT and the triplets of SYMM: without the identity, centring and inversion at the origin."""
    group = gemmi.GroupOps([gemmi.Op(triplet) for triplet in _triplets(structure)])
    centring = group.find_centering()
    lattice = _LATTICES.get(centring, 1)
    operators = [op.triplet() for op in group.sym_ops]
    inversion = "-x,-y,-z" in operators
    if not inversion:
        lattice = -lattice
    kept: list[str] = []
    for triplet in operators:
        inverted = (gemmi.Op("-x,-y,-z") * gemmi.Op(triplet)).wrap().triplet()
        if triplet != "x,y,z" and not (inversion and (triplet == "-x,-y,-z" or inverted in (*kept, "x,y,z"))):
            kept.append(triplet)
    return lattice, kept


def _write(path: str | os.PathLike, lines: list[str]) -> None:
    """Writes lines of ASCII text."""
    with replacing(path) as part, open(part, "w", encoding="ascii", errors="replace") as file:
        file.write("\n".join(lines) + "\n")
