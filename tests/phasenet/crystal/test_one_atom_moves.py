"""Moves of single atoms: points are those of the asymmetric unit, and the search finds the atoms of a made crystal."""

import gemmi
import jax
import numpy as np
import pytest

from phasenet.crystal import grids, lattice, normalisation, one_atom_moves, solve
from phasenet.crystal.lattice import Intensities
from phasenet.crystal.refinement import least_squares

CELL = np.array([5.1, 6.3, 7.2, 90.0, 90.0, 90.0])
ATOMS = ("S", "O", "N", "C", "C")
POSITIONS = np.array([[0.12, 0.21, 0.31], [0.37, 0.30, 0.17], [0.25, 0.44, 0.45], [0.05, 0.03, 0.13],
                      [0.42, 0.12, 0.47]])


def measure(symbol, d_min):
    """Unique reflections of the atoms in a group, without noise."""
    operators = lattice.operators_of(gemmi.SpaceGroup(symbol))
    hkl = gemmi.make_miller_array(gemmi.UnitCell(*CELL), gemmi.SpaceGroup(symbol), d_min).astype(np.int32)
    rough = Intensities(hkl, np.ones(len(hkl)), np.full(len(hkl), 0.01))
    unique = normalisation.merge_equivalents(rough, CELL, operators)
    model = least_squares.build_model(unique, CELL, operators, ("S", "O", "N", "C"), "xray")
    n = len(ATOMS)
    atoms = least_squares.CrystalAtoms(POSITIONS, ATOMS, np.full(n, 2.0), np.ones(n), np.tile(np.eye(3), (n, 1, 1)),
                                       np.ones(n, int))
    intensity = np.abs(least_squares.structure_factors(atoms, model))**2
    return operators, Intensities(unique.hkl, intensity, 0.01 * intensity + 0.01)


def prepare(symbol, d_min):
    operators, reflections = measure(symbol, d_min)
    unique = normalisation.merge_equivalents(reflections, CELL, operators)
    composition = {element: float(ATOMS.count(element) * len(operators.rotations)) for element in ATOMS}
    amplitudes = normalisation.normalise(unique, composition, "xray")
    grid = grids.build_grid(unique.hkl, CELL, operators, d_min)
    model = least_squares.build_model(unique, CELL, operators, ("S", "O", "N", "C"), "xray")
    problem = one_atom_moves.prepare(ATOMS, amplitudes.normalised * np.sqrt(unique.epsilon), d_min, model, operators,
                                     grid)
    return problem, model, operators


@pytest.mark.parametrize("symbol", ["P 21 21 21", "P 1 21/c 1", "C 1 2/c 1"])
def test_a_wave_is_the_structure_factor_of_a_point(symbol):
    problem, model, operators = prepare(symbol, 1.6)
    place = 7
    atom = least_squares.CrystalAtoms(np.asarray(problem.points[place:place + 1], float), ("C",), np.zeros(1),
                                      np.ones(1), np.eye(3)[None], np.ones(1, int))
    expected = least_squares.structure_factors(atom, model) / model.scattering[3] / model.factor
    np.testing.assert_allclose(np.asarray(problem.waves[place]), expected, atol=2e-4)
    # The points stand for the whole cell.
    assert len(problem.points) < 1.6 * np.prod(CELL[:3]) / 0.36**3 / len(operators.rotations) * 1.5


def test_only_small_crystals_of_general_positions_are_taken():
    assert one_atom_moves.list_atoms((4.0, 8.0), ("O", "C"), 4) == ("O", "C", "C")
    assert one_atom_moves.list_atoms((2.0, 8.0), ("Cu", "C"), 4) is None
    assert one_atom_moves.list_atoms((4.0, 200.0), ("O", "C"), 4) is None


def test_sweeps_keep_the_best_and_never_lose_it():
    problem, _, _ = prepare("P 21 21 21", 1.6)
    state = one_atom_moves.draw_start(jax.random.key(0), problem)
    last = 0.0
    for _ in range(4):
        state = one_atom_moves.run_sweeps(state, problem, 5)
        assert last <= float(state.best_fit) <= 1.0 and float(state.kept_fit) <= float(state.best_fit) + 1e-6
        last = float(state.best_fit)
    assert last > 0.85
    distances = np.linalg.norm(np.diff(one_atom_moves.positions_of(state.best, problem), axis=0), axis=1)
    assert (distances > 0).all()


@pytest.mark.slow
def test_a_crystal_that_phasing_does_not_solve_is_solved_by_moves(monkeypatch):
    operators, reflections = measure("P 21 21 21", 1.3)
    composition = {element: float(ATOMS.count(element) * 4) for element in ATOMS}
    monkeypatch.setattr(solve, "_attempts", lambda *_: iter(()))
    found = solve.solve_crystal(reflections, CELL, operators, composition)
    assert found.status == "solved" and found.engine == solve.MOVES_ENGINE and found.r1 < 0.08
