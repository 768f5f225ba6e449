"""Computes maps of a refined crystal on an absolute scale: F_obs with calculated phases, and F_obs - F_calc.

    rho(x) = 1/V sum over h of F(h) exp(-2 pi i h . x)

Reflections that were not measured are left out; F000 is the number of electrons. The unit is e/A^3 for X-rays, volt for
electrons, fm/A^3 for neutrons. `launch.solve` writes the maps.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from phasenet.crystal import form_factors, grids, normalisation
from phasenet.crystal.lattice import Intensities, SpaceGroupOperators, orthogonalization_matrix
from phasenet.crystal.normalisation import UniqueReflections
from phasenet.crystal.refinement import least_squares
from phasenet.crystal.refinement.least_squares import CrystalAtoms
from phasenet.crystal.refinement.twinning import Twin, build_partner

_UNITS = {"xray": "e/A^3", "electron": "V", "neutron": "fm/A^3"}
_VOLT_ANGSTROM2 = 47.87801  # h^2 / (2 pi m e): from an electron structure factor in A over A^3 to volt
_LARGEST_SPACING = 0.35  # Angstrom between voxels
_VOXELS_PER_D_MIN = 3.0
_MARGIN = 1.03  # `grids.choose_shape` takes a little fewer voxels than it is asked for


class PhasedReflections(NamedTuple):
    """N unique reflections with the structure factors of the atoms.

    Attributes:
      reflections: as they were measured and merged.
      amplitude: (N,) measured |F| on the absolute scale, in the unit of the form factors.
      calculated: (N,) |F| of the atoms, to compare with `amplitude`; for a twin, that of both components.
      factors: (N,) complex structure factors of the atoms; for a twin, those of the first component.
    """

    reflections: UniqueReflections
    amplitude: np.ndarray
    calculated: np.ndarray
    factors: np.ndarray


class DensityMaps(NamedTuple):
    """Two maps of the whole cell. Voxel (i, j, k) lies at the fractional coordinates (i, j, k) / (X, Y, Z).

    Attributes:
      density: (X, Y, Z) of F_obs with calculated phases, F000 included for X-rays.
      difference: (X, Y, Z) of F_obs - F_calc.
      unit: of both.
    """

    density: np.ndarray
    difference: np.ndarray
    unit: str


class DifferencePeak(NamedTuple):
    """The highest peak or the deepest hole of a difference map.

    Attributes:
      height: in the unit of the map; negative in a hole.
      position: (3,) fractional, of the symmetry copy that lies nearest to a unique atom.
      atom: index of the nearest unique atom.
      distance: from the nearest atom, Angstrom.
    """

    height: float
    position: np.ndarray
    atom: int
    distance: float


def phase_reflections(measured: Intensities, atoms: CrystalAtoms, scale: float, cell: np.ndarray,
                      operators: SpaceGroupOperators, radiation: str, twin: Twin | None = None) -> PhasedReflections:
    """Returns unique reflections with the structure factors of atoms.

    Args:
      measured: intensities as they were read.
      atoms: symmetry-unique atoms.
      scale: factor from calculated to measured amplitudes.
      cell: (6,) Angstrom and degrees.
      operators: of the space group.
      radiation: "xray", "electron" or "neutron".
      twin: law and fraction of a twin.
    """
    unique = normalisation.merge_equivalents(measured, cell, operators)
    elements = sorted(set(atoms.elements))
    model = least_squares.build_model(unique, cell, operators, elements, radiation)
    if twin is not None:
        partner = build_partner(unique, twin.law, cell, operators, elements, radiation)
        model = model._replace(partner=partner, twin_fraction=twin.fraction)
    amplitude = least_squares.measure_amplitudes(unique).amplitude / scale
    factors = least_squares.structure_factors(atoms, model)
    return PhasedReflections(unique, amplitude, least_squares.calculate_amplitudes(factors, atoms, model), factors)


def compute_maps(phased: PhasedReflections, cell: np.ndarray, operators: SpaceGroupOperators,
                 composition: Mapping[str, float], radiation: str) -> DensityMaps:
    """Returns both maps on a grid finer than 0.35 A and a third of the resolution.

    Args:
      phased: reflections with phases.
      cell: (6,) Angstrom and degrees.
      operators: of the space group.
      composition: atoms of each element in the unit cell, for F000.
      radiation: "xray", "electron" or "neutron".
    """
    spacing = min(_LARGEST_SPACING, 1 / float(phased.reflections.inverse_spacing.max()) / _VOXELS_PER_D_MIN)
    grid = grids.build_grid(phased.reflections.hkl, cell, operators, grids.POINTS_PER_D_MIN * spacing / _MARGIN)
    volume = float(np.linalg.det(orthogonalization_matrix(cell)))
    factor = (_VOLT_ANGSTROM2 if radiation == "electron" else 1.0) / volume
    size = np.abs(phased.factors)
    phase = phased.factors / np.maximum(size, 1e-12)
    amplitude = least_squares.take_first_component(phased.amplitude, phased.factors, phased.calculated)
    density = factor * grids.map_from_structure_factors(amplitude * phase, grid)
    if radiation == "xray":
        density += sum(count * form_factors.atomic_number(symbol) for symbol, count in composition.items()) / volume
    difference = factor * grids.map_from_structure_factors((amplitude - size) * phase, grid)
    return DensityMaps(density, difference, _UNITS[radiation])


def find_extremes(difference: np.ndarray, positions: np.ndarray, cell: np.ndarray,
                  operators: SpaceGroupOperators) -> tuple[DifferencePeak, DifferencePeak]:
    """Returns the highest peak and the deepest hole of a difference map.

    Args:
      difference: (X, Y, Z) map of the whole cell, any unit.
      positions: (n, 3) fractional, the unique atoms.
      cell: (6,) Angstrom and degrees.
      operators: all of the space group.
    """
    matrix = orthogonalization_matrix(cell)
    found = []
    for place in (difference.argmax(), difference.argmin()):
        index = np.unravel_index(int(place), difference.shape)
        images = operators.rotations @ (np.array(index) / difference.shape) + operators.translations
        offsets = images[:, None] - positions
        offsets -= np.rint(offsets)
        distances = np.linalg.norm(offsets @ matrix.T, axis=-1)
        image, atom = np.unravel_index(int(distances.argmin()), distances.shape)
        found.append(DifferencePeak(float(difference[index]), positions[atom] + offsets[image, atom], int(atom),
                                    float(distances[image, atom])))
    return found[0], found[1]
