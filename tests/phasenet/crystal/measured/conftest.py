"""Structure factors of made crystals in any space group, and measurements of them with noise."""

import types

import gemmi
import numpy as np
import pytest

from phasenet.crystal.lattice import Intensities, SpaceGroupOperators, inverse_spacing, operators_of
from phasenet.crystal.measured.data_quality import possible_reflections

CELLS = {
    "triclinic": np.array([7.1, 8.3, 9.6, 81.0, 97.0, 104.0]),
    "monoclinic": np.array([8.1, 9.9, 10.7, 90.0, 103.4, 90.0]),
    "orthorhombic": np.array([7.9, 9.4, 12.1, 90.0, 90.0, 90.0]),
    "tetragonal": np.array([8.6, 8.6, 12.3, 90.0, 90.0, 90.0]),
    "hexagonal": np.array([10.4, 10.4, 11.9, 90.0, 90.0, 120.0]),
    "cubic": np.array([9.7, 9.7, 9.7, 90.0, 90.0, 90.0]),
}
CARBON = gemmi.Element("C").it92


def group(symbol: str) -> SpaceGroupOperators:
    return operators_of(gemmi.find_spacegroup_by_name(symbol))


def half_sphere(cell: np.ndarray, d_min: float) -> np.ndarray:
    """Intensities (N, 3) of half the sphere of a primitive cell."""
    return possible_reflections(cell, group("P 1"), d_min)


def structure_factors(
    hkl: np.ndarray, cell: np.ndarray, operators: SpaceGroupOperators, atoms: np.ndarray, b: float = 3.0
) -> np.ndarray:
    """Structure factors (N,) of carbon atoms at fractional coordinates (n, 3) and their equivalents."""
    sites = np.concatenate([
        atoms @ rotation.T + translation
        for rotation, translation in zip(operators.rotations, operators.translations, strict=True)
    ])
    s = inverse_spacing(hkl, cell)
    form = np.array([CARBON.calculate_sf(value**2 / 4) for value in s]) * np.exp(-b * s**2 / 4)
    total = np.zeros(len(hkl), complex)
    for site in sites:
        total += np.exp(2j * np.pi * (hkl @ site))
    return form * total


def random_atoms(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(count, 3))


def measure(hkl: np.ndarray, intensity: np.ndarray, noise: float = 0.03, seed: int = 1) -> Intensities:
    """Measurements with errors of `noise` times the intensity and of 1% of the mean intensity."""
    sigma = np.hypot(noise * intensity, 0.01 * intensity.mean())
    return Intensities(hkl, intensity + sigma * np.random.default_rng(seed).standard_normal(len(hkl)), sigma)


def made_crystal(
    symbol: str, system: str, d_min: float = 0.9, count: int = 12, noise: float = 0.03, seed: int = 0
) -> tuple[Intensities, np.ndarray, SpaceGroupOperators]:
    """Half a sphere of measurements, all absences included, the cell and the group."""
    cell, operators = CELLS[system], group(symbol)
    hkl = half_sphere(cell, d_min)
    amplitudes = structure_factors(hkl, cell, operators, random_atoms(count, seed))
    return measure(hkl, np.abs(amplitudes) ** 2, noise, seed + 1), cell, operators


@pytest.fixture(scope="session")
def made():
    """The functions of this file, for tests to call."""
    return types.SimpleNamespace(
        CELLS=CELLS, group=group, half_sphere=half_sphere, structure_factors=structure_factors,
        random_atoms=random_atoms, measure=measure, crystal=made_crystal,
    )
