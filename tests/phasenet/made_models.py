"""Made crystals as the refinement sees them."""

import numpy as np
from made_crystals import MadeCrystal

from phasenet.crystal import grids, normalisation
from phasenet.crystal.refinement import completion, least_squares
from phasenet.crystal.refinement.completion import CompletionProblem
from phasenet.crystal.refinement.least_squares import CrystalAtoms


def true_atoms(crystal: MadeCrystal) -> CrystalAtoms:
    """Returns the atoms of a made crystal."""
    n = len(crystal.elements)
    return CrystalAtoms(crystal.positions, crystal.elements, crystal.b_iso, np.ones(n), np.tile(np.eye(3), (n, 1, 1)),
                        np.ones(n, int))


def prepare(crystal: MadeCrystal) -> CompletionProblem:
    """Returns all that the refinement is told of a made crystal."""
    unique = normalisation.merge_equivalents(crystal.reflections, crystal.cell, crystal.operators)
    amplitudes = normalisation.normalise(unique, crystal.composition, "xray")
    grid = grids.build_grid(unique.hkl, crystal.cell, crystal.operators, amplitudes.d_min)
    elements = completion.order_elements(crystal.composition, "xray")
    counts = tuple(crystal.composition[element] / len(grid.centring) for element in elements)
    model = least_squares.build_model(unique, crystal.cell, crystal.operators, elements, "xray")
    return CompletionProblem(unique, least_squares.measure_amplitudes(unique), model, grid, amplitudes.sharpening,
                             counts, amplitudes.wilson.b_iso)
