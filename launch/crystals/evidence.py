"""Collects the evidence on the atoms of a crystal: maps, difference peaks, R1 by resolution, Wilson plot."""

from typing import NamedTuple

import numpy as np

from phasenet.crystal.lattice import Intensities, find_absences
from phasenet.crystal.measured.merging import select_reflections
from phasenet.crystal.measured.wilson import WilsonPlot, fit_wilson, wilson_points
from phasenet.crystal.refinement import density_maps, verdict
from phasenet.crystal.refinement.density_maps import DensityMaps, DifferencePeak
from phasenet.crystal.refinement.least_squares import CrystalAtoms
from phasenet.crystal_pipeline import CrystalResult
from phasenet.io.reflections.crystal_files import CrystalFile


class Evidence(NamedTuple):
    """What the table, the log, the maps and the page show besides the atoms.

    Attributes:
      maps: density and difference of the whole cell.
      highest: the highest peak of the difference map.
      deepest: the deepest hole of the difference map.
      shell_ends: (K,) smallest spacing of each shell of resolution, Angstrom.
      shell_r1: (K,) R1 in each shell; NaN without strong reflections.
      shell_counts: (K,) strong reflections in each shell.
      wilson: scale and B, fitted with the contents of the cell that the result states.
      wilson_s2: (L,) 1/d^2 of the points of the Wilson plot, 1/A^2.
      wilson_log: (L,) ln(<I> / sum f^2) of the same points.
    """

    maps: DensityMaps
    highest: DifferencePeak
    deepest: DifferencePeak
    shell_ends: np.ndarray
    shell_r1: np.ndarray
    shell_counts: np.ndarray
    wilson: WilsonPlot
    wilson_s2: np.ndarray
    wilson_log: np.ndarray


def collect_evidence(crystal: CrystalFile, result: CrystalResult) -> Evidence:
    """Returns the evidence on the best model of a crystal."""
    solution, operators = result.best.solution, result.best.operators
    n = len(solution.elements)
    # The occupancies have the share of special positions in them, so that all atoms count as general ones.
    atoms = CrystalAtoms(solution.positions, solution.elements, solution.b_iso, solution.occupancies,
                         np.tile(np.eye(3), (n, 1, 1)), np.ones(n, int))
    measured = Intensities(crystal.hkl, crystal.intensity, crystal.sigma)
    phased = density_maps.phase_reflections(measured, atoms, solution.scale, crystal.cell, operators,
                                            crystal.radiation, solution.twin)
    maps = density_maps.compute_maps(phased, crystal.cell, operators, result.composition, crystal.radiation)
    highest, deepest = density_maps.find_extremes(maps.difference, solution.positions, crystal.cell, operators)
    merged = result.report.merged
    present = select_reflections(merged, ~find_absences(merged.hkl, operators))
    wilson = fit_wilson(present, crystal.cell, result.composition, crystal.radiation, result.report.laue.rotations)
    return Evidence(maps, highest, deepest,
                    *verdict.r1_in_shells(phased.amplitude, phased.calculated, phased.reflections), wilson,
                    *wilson_points(present, crystal.cell, result.composition, crystal.radiation))
