"""Structure factors and their derivatives, refinement, completion and figures of merit."""

import gemmi
import numpy as np
import pytest
from made_models import prepare, true_atoms

from phasenet.crystal import lattice, normalisation
from phasenet.crystal.lattice import Intensities
from phasenet.crystal.refinement import completion, least_squares, verdict
from phasenet.crystal.refinement.least_squares import CrystalAtoms

GROUPS = ("P 1", "P -1", "P 1 21/c 1", "P 21 21 21", "C 1 2/c 1")
ALL = ("positions", "b_iso", "occupancies")


def judge(result, problem):
    return verdict.judge_fit(result, problem.reflections, problem.observed)


@pytest.mark.parametrize("symbol", GROUPS)
def test_structure_factors_are_those_of_direct_summation(symbol, made_crystal, gemmi_structure_factors):
    crystal = made_crystal(symbol)
    problem = prepare(crystal)
    factors = least_squares.structure_factors(true_atoms(crystal), problem.model)
    expected = gemmi_structure_factors(crystal.structure, problem.reflections.hkl)
    np.testing.assert_allclose(factors, expected, atol=1e-5 * np.abs(expected).max())


def test_an_atom_on_a_special_position_counts_once():
    operators = lattice.operators_of(gemmi.SpaceGroup("F m -3 m"))
    cell = np.array([5.46, 5.46, 5.46, 90.0, 90.0, 90.0])
    hkl = np.array([[1, 1, 1], [2, 0, 0], [2, 2, 0], [3, 1, 1], [2, 2, 2], [4, 0, 0], [3, 3, 1], [4, 2, 0]], np.int32)
    unique = normalisation.merge_equivalents(Intensities(hkl, np.ones(8), np.ones(8)), cell, operators)
    model = least_squares.build_model(unique, cell, operators, ("Ca", "F"), "xray")
    atoms = CrystalAtoms(np.array([[0, 0, 0], [0.25, 0.25, 0.25]]), ("Ca", "F"), np.zeros(2), np.ones(2),
                         np.zeros((2, 3, 3)), np.array([48, 24]))
    calcium, fluorine = model.scattering
    sign = np.cos(np.pi * unique.hkl.sum(1) / 2)
    np.testing.assert_allclose(least_squares.structure_factors(atoms, model), 4 * calcium + 8 * sign * fluorine,
                               atol=1e-9)


@pytest.mark.parametrize("symbol", GROUPS)
def test_derivatives_are_those_of_finite_differences(symbol, made_crystal):
    crystal = made_crystal(symbol)
    model = prepare(crystal).model
    atoms = true_atoms(crystal)
    value, jacobian = least_squares.derivatives(atoms, model, ALL)
    n, step = len(atoms.elements), 1e-5
    for column in range(0, 5 * n, 7):
        moved = []
        for sign in (1, -1):
            change = np.zeros(5 * n)
            change[column] = sign * step
            shift = change[:3 * n].reshape(3, n).T @ np.linalg.inv(model.orthogonalization).T
            trial = atoms._replace(positions=atoms.positions + shift, b_iso=atoms.b_iso + change[3 * n:4 * n],
                                   occupancies=atoms.occupancies + change[4 * n:])
            moved.append(np.abs(least_squares.structure_factors(trial, model)))
        safe = value > 0.01 * value.max()  # |F| has a kink at 0
        np.testing.assert_allclose(jacobian[safe, column], ((moved[0] - moved[1]) / (2 * step))[safe],
                                   atol=1e-4 * np.abs(jacobian).max())


@pytest.mark.parametrize("symbol", GROUPS)
def test_refinement_recovers_displaced_atoms(symbol, made_crystal):
    crystal = made_crystal(symbol)
    problem = prepare(crystal)
    rng = np.random.default_rng(0)
    shifts = rng.normal(scale=0.06, size=crystal.positions.shape) @ np.linalg.inv(problem.model.orthogonalization).T
    start = true_atoms(crystal)._replace(positions=crystal.positions + shifts, b_iso=np.full(12, 4.0))
    result = least_squares.refine(start, problem.observed, problem.model, 15)
    assert judge(result, problem).r1 < 0.03
    moved = result.atoms.positions - crystal.positions
    if symbol in ("P 1",):
        moved = moved - moved.mean(0)  # no origin
    assert np.linalg.norm(moved @ problem.model.orthogonalization.T, axis=1).max() < 0.02
    np.testing.assert_allclose(result.atoms.b_iso, crystal.b_iso, atol=0.4)
    assert result.scale == pytest.approx(2.5**0.5, rel=0.03)


def test_a_step_that_does_not_help_is_not_taken(made_crystal):
    crystal = made_crystal("P -1")
    problem = prepare(crystal)
    refined = least_squares.refine(true_atoms(crystal), problem.observed, problem.model, 20)
    again = least_squares.refine(refined.atoms, problem.observed, problem.model, 5)
    assert again.cost <= refined.cost


def test_figures_of_merit_of_a_known_misfit(made_crystal):
    crystal = made_crystal("P -1", noise=1e-4)
    problem = prepare(crystal)
    factors = least_squares.structure_factors(true_atoms(crystal), problem.model)
    exact = least_squares.RefinementResult(true_atoms(crystal), 2.5**0.5, factors, np.abs(factors), 0.0)
    observed = problem.reflections._replace(intensity=2.5 * np.abs(factors)**2)
    amplitudes = least_squares.measure_amplitudes(observed)
    assert verdict.judge_fit(exact, observed, amplitudes).r1 == pytest.approx(0, abs=1e-9)
    figures = verdict.judge_fit(exact._replace(scale=1.1 * 2.5**0.5), observed, amplitudes)
    assert figures.r1 == pytest.approx(0.1)
    assert figures.reflections_per_parameter == pytest.approx(len(observed.hkl) / 49)
    assert verdict.decide_status(figures) == "solved"
    assert verdict.decide_status(figures._replace(r1=0.5)) == "not solved"
    assert verdict.decide_status(figures._replace(reflections_per_parameter=1.5)) == "ambiguous"
    limit = verdict.r1_limits(figures.reflections_per_parameter)[0]
    near = figures._replace(r1=0.95 * limit)
    assert verdict.decide_status(near) == "solved"
    assert verdict.decide_status(near, composition_known=False) == "ambiguous"


@pytest.mark.parametrize("symbol", ["P -1", "P 21 21 21"])
def test_missing_and_misplaced_atoms_are_mended(symbol, made_crystal):
    crystal = made_crystal(symbol)
    problem = prepare(crystal)
    atoms = true_atoms(crystal)
    positions = atoms.positions.copy()
    positions[[2, 7]] += 0.13  # far from any atom
    start = least_squares.refine(atoms._replace(positions=positions), problem.observed, problem.model, 6)
    wrong = completion.CompletedModel(start, judge(start, problem))
    mended = completion.replace_atoms(wrong, problem)
    assert wrong.figures.r1 > 0.15
    assert mended.figures.r1 < 0.06


def test_exchanged_elements_are_put_right(made_crystal):
    crystal = made_crystal("P 1 21/c 1")
    problem = prepare(crystal)
    elements = list(crystal.elements)
    elements[2], elements[3], elements[7], elements[6] = "C", "N", "C", "O"
    start = least_squares.refine(true_atoms(crystal)._replace(elements=tuple(elements)), problem.observed,
                                 problem.model, 10)
    better = completion.exchange_elements(completion.CompletedModel(start, judge(start, problem)), problem)
    assert better.result.atoms.elements == crystal.elements


def test_elements_are_dealt_out_by_strength_and_multiplicity(made_crystal):
    problem = prepare(made_crystal("P 1 21/c 1"))
    strengths = np.array([5.0, 40.0, 8.0, 7.9, 6.5, 6.4, 5.5])
    elements = completion.assign_elements(strengths, np.ones(7, int), problem)
    assert elements == ("C", "Cl", "O", "O", "N", "N", "C")
    halves = completion.assign_elements(strengths, np.array([1, 2, 2, 1, 1, 1, 1]), problem)
    assert halves == ("C", "Cl", "Cl", "O", "O", "N", "N")


def test_r1_by_resolution_adds_up_to_r1(made_crystal):
    crystal = made_crystal("P 1 21/c 1")
    problem = prepare(crystal)
    result = least_squares.refine(true_atoms(crystal), problem.observed, problem.model, 5)
    calculated = result.scale * np.abs(result.factors)
    ends, r1, counts = verdict.r1_in_shells(problem.observed.amplitude, calculated, problem.reflections)
    figures = judge(result, problem)
    assert counts.sum() == figures.num_strong and (np.diff(ends) < 0).all()
    assert ends[-1] == pytest.approx(1 / problem.reflections.inverse_spacing.max())
    assert r1.min() < figures.r1 < r1.max()
    (_, (whole,), _) = verdict.r1_in_shells(problem.observed.amplitude, calculated, problem.reflections, 1)
    assert whole == pytest.approx(figures.r1)
