"""Atoms from a map, where some have no peak of their own."""

import numpy as np
import pytest
from made_crystals import make_crystal

from phasenet.crystal import grids, normalisation
from phasenet.crystal.form_factors import atomic_number
from phasenet.crystal.refinement import completion, least_squares, peaks
from phasenet.crystal.refinement.completion import CompletionProblem


@pytest.fixture(scope="module")
def crystal():
    return make_crystal("P 1 21/c 1", d_min=1.2)


@pytest.fixture(scope="module")
def problem(crystal):
    unique = normalisation.merge_equivalents(crystal.reflections, crystal.cell, crystal.operators)
    amplitudes = normalisation.normalise(unique, crystal.composition, "xray")
    elements = completion.order_elements(crystal.composition, "xray")
    return CompletionProblem(
        unique, least_squares.measure_amplitudes(unique),
        least_squares.build_model(unique, crystal.cell, crystal.operators, elements, "xray"),
        grids.build_grid(unique.hkl, crystal.cell, crystal.operators, amplitudes.d_min), amplitudes.sharpening,
        tuple(crystal.composition[element] for element in elements), amplitudes.wilson.b_iso)


def map_of(crystal, places, problem):
    """A map of some of the atoms, as high as their atomic numbers, and of noise.

    Were all of one height, rounding would decide which is the chlorine.
    """
    hkl = problem.reflections.hkl
    numbers = np.array([atomic_number(crystal.elements[place]) for place in places])
    factors = sum(numbers @ np.exp(2j * np.pi * (crystal.positions[places] @ rotation.T + shift) @ hkl.T)
                  for rotation, shift in zip(problem.grid.rotations, problem.grid.translations, strict=True))
    taper = normalisation.taper(problem.reflections.inverse_spacing, 1.2)
    density = grids.map_from_structure_factors(factors * taper, problem.grid)
    noise = np.random.default_rng(3).normal(size=density.shape)
    return np.maximum(density + 0.02 * density.max() * grids.average_over_group(noise, problem.grid), 0)


@pytest.mark.parametrize("missing", [[], [3], [1, 6, 7]])
def test_atoms_without_a_peak_come_from_the_difference_map(missing, crystal, problem):
    seen = np.setdiff1d(np.arange(len(crystal.positions)), missing)
    atoms = completion.build_atoms(map_of(crystal, seen, problem), problem)
    assert len(atoms.elements) == len(crystal.positions)
    images = np.concatenate([atoms.positions @ rotation.T + shift for rotation, shift in
                             zip(problem.grid.rotations, problem.grid.translations, strict=True)])
    distances = peaks.shortest_distances(crystal.positions, images, problem.grid).min(1)
    assert distances[seen].max() < 0.3
    assert distances.max() < 0.5


def test_a_map_without_peaks_gives_no_atoms(problem):
    assert completion.build_atoms(np.zeros(problem.grid.shape), problem).elements == ()
