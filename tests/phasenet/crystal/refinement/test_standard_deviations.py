"""Standard deviations of coordinates are the scatter of refinements against other noise."""

import gemmi
import numpy as np
import pytest
from made_models import prepare, true_atoms

from phasenet.crystal import grids, lattice, normalisation
from phasenet.crystal.lattice import Intensities
from phasenet.crystal.refinement import least_squares, peaks
from phasenet.crystal.refinement.least_squares import CrystalAtoms
from phasenet.crystal.refinement.standard_deviations import estimate_standard_deviations


@pytest.mark.parametrize("symbol", ["P -1", "P 1"])
def test_they_are_the_scatter_over_the_noise(symbol, made_crystal):
    crystal = made_crystal(symbol)
    problem = prepare(crystal)
    exact = 2.5 * np.abs(least_squares.structure_factors(true_atoms(crystal), problem.model))**2
    rng = np.random.default_rng(3)
    found, told = [], []
    for _ in range(24):
        noisy = problem.reflections._replace(intensity=exact + problem.reflections.sigma * rng.normal(size=len(exact)))
        observed = least_squares.measure_amplitudes(noisy)
        result = least_squares.refine(true_atoms(crystal), observed, problem.model, 6)
        found.append(result.atoms.positions * crystal.cell[:3])
        told.append(estimate_standard_deviations(result, observed, problem.model))
    found = np.array(found)
    if symbol == "P 1":
        found = found - found.mean(1, keepdims=True)  # no origin
    ratio = found.std(0) / np.mean(told, 0)
    assert np.sqrt(np.square(ratio).mean()) == pytest.approx(1, abs=0.25)
    light, heavy = crystal.elements.index("C"), crystal.elements.index("Cl")
    assert np.mean(told, 0)[heavy].mean() < 0.7 * np.mean(told, 0)[light].mean()


def test_what_the_site_symmetry_fixes_has_none():
    operators, cell = lattice.operators_of(gemmi.SpaceGroup("P m m m")), np.array([5.0, 6.0, 7.0, 90.0, 90.0, 90.0])
    hkl = gemmi.make_miller_array(gemmi.UnitCell(*cell), gemmi.SpaceGroup("P m m m"), 0.8).astype(np.int32)
    unique = normalisation.merge_equivalents(Intensities(hkl, np.ones(len(hkl)), np.ones(len(hkl))), cell, operators)
    model = least_squares.build_model(unique, cell, operators, ("O",), "xray")
    grid = grids.build_grid(unique.hkl, cell, operators, 0.8)
    places = [peaks.to_special_position(np.array(x), grid) for x in ((0.0, 0.0, 0.21), (0.3, 0.2, 0.5))]
    atoms = CrystalAtoms(np.array([place for place, _, _ in places]), ("O", "O"), np.full(2, 2.0), np.ones(2),
                         np.array([projection for _, projection, _ in places]), np.array([4, 2]))
    factors = least_squares.structure_factors(atoms, model)
    noise = 1 + 0.02 * np.random.default_rng(0).normal(size=len(factors))
    observed = least_squares.measure_amplitudes(unique._replace(intensity=np.abs(factors)**2 * noise))
    result = least_squares.refine(atoms, observed, model, 5)
    deviations = estimate_standard_deviations(result, observed, model)
    np.testing.assert_array_equal(deviations > 0, [[False, False, True], [True, True, False]])
    assert deviations.max() < 0.01
