"""Made crystals: a molecule of twelve atoms packed without clashes in some space groups, its intensities by gemmi."""

import functools
from typing import NamedTuple

import gemmi
import numpy as np

from phasenet.crystal import lattice
from phasenet.crystal.lattice import Intensities, SpaceGroupOperators

# A six-membered ring with one nitrogen, a carboxylate, a methyl group, a chlorine and a nitrogen; Angstrom.
_ELEMENTS = ("C", "C", "N", "C", "C", "C", "C", "O", "O", "Cl", "C", "N")
_MOLECULE = np.array([
    [1.39, 0.00, 0.00], [0.70, 1.20, 0.00], [-0.68, 1.17, 0.02], [-1.39, 0.02, 0.00], [-0.70, -1.20, 0.01],
    [0.70, -1.20, 0.00], [2.88, 0.05, 0.05], [3.50, 1.10, 0.35], [3.52, -1.05, -0.25], [-3.12, 0.05, 0.03],
    [-1.44, -2.50, 0.02], [1.42, 2.37, -0.05]])
_CELLS = {
    "P 1": (6.4, 7.1, 6.3, 95.0, 102.0, 98.0), "P -1": (7.0, 8.1, 9.3, 98.0, 104.0, 95.0),
    "P 1 21/c 1": (7.4, 11.3, 11.6, 90.0, 104.0, 90.0), "P 21 21 21": (7.2, 9.6, 13.3, 90.0, 90.0, 90.0),
    "C 1 2/c 1": (14.8, 11.2, 11.9, 90.0, 107.0, 90.0)}


class MadeCrystal(NamedTuple):
    """A crystal whose atoms are known; `structure` is gemmi's copy of it."""

    cell: np.ndarray
    operators: SpaceGroupOperators
    positions: np.ndarray
    elements: tuple[str, ...]
    b_iso: np.ndarray
    composition: dict[str, float]
    reflections: Intensities
    structure: gemmi.SmallStructure


@functools.cache
def make_crystal(symbol: str, d_min: float = 1.0, noise: float = 0.03, scale: float = 2.5) -> MadeCrystal:
    """Packs the molecule in a space group and measures its intensities, one of each set of mates."""
    cell, group = np.array(_CELLS[symbol]), gemmi.SpaceGroup(symbol)
    operators = lattice.operators_of(group)
    rng = np.random.default_rng(5)
    positions = _pack(rng, cell, operators)
    b_iso = rng.uniform(2.0, 3.5, len(_ELEMENTS))
    structure = gemmi.SmallStructure()
    structure.cell = gemmi.UnitCell(*cell)
    structure.spacegroup = group
    for number, (position, element, b) in enumerate(zip(positions, _ELEMENTS, b_iso, strict=True)):
        site = gemmi.SmallStructure.Site()
        site.label, site.element, site.fract = f"{element}{number}", gemmi.Element(element), gemmi.Fractional(*position)
        site.u_iso, site.occ = b / (8 * np.pi**2), 1.0
        structure.add_site(site)
    structure.setup_cell_images()
    hkl = gemmi.make_miller_array(structure.cell, group, d_min)
    intensity = scale * np.abs(structure_factors_by_gemmi(structure, hkl))**2
    sigma = noise * intensity + 0.005 * intensity.mean()
    intensity = intensity + sigma * rng.normal(size=len(hkl))
    composition = {element: float(_ELEMENTS.count(element) * len(operators.rotations)) for element in _ELEMENTS}
    return MadeCrystal(cell, operators, positions, _ELEMENTS, b_iso, composition,
                       Intensities(hkl.astype(np.int32), intensity, sigma), structure)


def structure_factors_by_gemmi(structure: gemmi.SmallStructure, hkl: np.ndarray) -> np.ndarray:
    """Returns F by gemmi's direct summation."""
    calculator = gemmi.StructureFactorCalculatorX(structure.cell)
    return np.array([calculator.calculate_sf_from_small_structure(structure, list(map(int, index))) for index in hkl])


def _pack(rng: np.random.Generator, cell: np.ndarray, operators: SpaceGroupOperators) -> np.ndarray:
    """Returns fractional positions of the placing, of some hundred, whose molecules keep farthest apart."""
    orthogonalization = lattice.orthogonalization_matrix(cell)
    cells = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)
    best, farthest = np.zeros((0, 3)), 0.0
    for _ in range(400):
        rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        x = _MOLECULE @ rotation @ np.linalg.inv(orthogonalization).T + rng.random(3)
        gaps = []
        for number, (turn, shift) in enumerate(zip(operators.rotations, operators.translations, strict=True)):
            difference = x[:, None] - (x @ turn.T + shift)[None]
            if number:
                difference = difference - np.round(difference.mean((0, 1)))
            moved = difference[..., None, :] + (cells if number else cells[cells.any(1)])
            gaps.append(np.linalg.norm(moved @ orthogonalization.T, axis=-1).min())
        if min(gaps) > farthest:
            best, farthest = x, min(gaps)
    assert farthest > 2.3
    return best % 1
