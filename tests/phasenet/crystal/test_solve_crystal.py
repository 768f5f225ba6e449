"""The whole way, on made crystals of twelve atoms at 1.0 A with 3% noise."""

import gemmi
import jax
import numpy as np
import pytest
from made_crystals import make_crystal

from phasenet import crystal_pretrained
from phasenet.crystal import form_factors, lattice, solve
from phasenet.crystal.learned.iteration import LearnedWeights
from phasenet.crystal.learned.learned_round import LearnedArchitecture
from phasenet.errors import InputError


def matched(solution, crystal):
    """The share of the cell's atoms within 0.3 A of a found atom of the same element, over origins and hands."""
    def fill(positions, elements):
        operators = crystal.operators
        cell = [positions @ rotation.T + shift
                for rotation, shift in zip(operators.rotations, operators.translations, strict=True)]
        return np.concatenate(cell), np.tile(elements, len(cell))

    orthogonalization = lattice.orthogonalization_matrix(crystal.cell)
    truth, names = fill(crystal.positions, crystal.elements)
    found, found_names = fill(solution.positions, solution.elements)
    best = 0.0
    for hand in (1, -1):
        for atom in np.flatnonzero(found_names == "Cl"):
            shift = truth[names == "Cl"][0] - hand * found[atom]
            difference = truth[:, None] - hand * found[None] - shift
            difference -= np.round(difference)
            distance = np.linalg.norm(difference @ orthogonalization.T, axis=-1)
            near = distance.argmin(1)
            best = max(best, float(((distance.min(1) < 0.3) & (names == found_names[near])).mean()))
    return best


def check_solved(symbol, made_crystal):
    crystal = made_crystal(symbol)
    solution = solve.solve_crystal(crystal.reflections, crystal.cell, crystal.operators, crystal.composition)
    assert solution.status == "solved"
    assert solution.r1 < 0.05
    assert len(solution.elements) == 12
    assert matched(solution, crystal) == 1
    np.testing.assert_allclose(np.sort(solution.b_iso), np.sort(crystal.b_iso), atol=0.5)


def test_a_crystal_is_solved(made_crystal):
    check_solved("P 1 21/c 1", made_crystal)


@pytest.mark.slow
@pytest.mark.parametrize("symbol", ["P 1", "P -1", "P 21 21 21", "C 1 2/c 1"])
def test_crystals_of_other_groups_are_solved(symbol, made_crystal):
    check_solved(symbol, made_crystal)


@pytest.mark.slow
def test_a_wrong_space_group_is_not_called_solved(made_crystal):
    crystal, other = made_crystal("P 1"), made_crystal("P -1")
    solution = solve.solve_crystal(crystal.reflections, crystal.cell, other.operators, crystal.composition,
                                   num_starts=3)
    assert solution.status != "solved"
    assert solution.num_starts == 3


def test_a_composition_of_hydrogen_alone_is_refused(made_crystal):
    crystal = made_crystal("P 1")
    with pytest.raises(InputError, match="hydrogen"):
        solve.solve_crystal(crystal.reflections, crystal.cell, crystal.operators, {"H": 4.0})


def test_the_same_arguments_give_the_same_answer(made_crystal):
    crystal = made_crystal("P -1")
    first, second = (solve.solve_crystal(crystal.reflections, crystal.cell, crystal.operators, crystal.composition,
                                         num_starts=1, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.positions, second.positions)
    assert first.r1 == second.r1
    assert first.r1_of_starts == (first.r1,)
    assert len(first.overlaps_of_starts) == 1


def test_a_network_phases_first_beyond_atomic_resolution(made_crystal):
    """Its weights are those before training, so that it finds what the untrained iteration finds."""
    architecture = LearnedArchitecture(width=4, filters=1)
    weights = LearnedWeights(architecture, crystal_pretrained.init_params(jax.random.key(0), architecture))
    for d_min, engine in ((1.4, solve.NETWORK_ENGINE), (1.0, solve.ENGINE)):
        crystal = made_crystal("P -1", d_min=d_min)
        given = crystal.reflections, crystal.cell, crystal.operators, crystal.composition
        alone = solve.solve_crystal(*given, num_starts=1)
        both = solve.solve_crystal(*given, num_starts=1, weights=weights)
        assert both.engine == engine and alone.engine == solve.ENGINE
        assert both.r1 == pytest.approx(alone.r1, abs=2e-3)
        assert both.engines_of_starts == (engine,)


def test_an_atom_on_a_special_position_has_its_share_as_occupancy():
    """Fluorite made up at 0.7 A: both atoms sit on special positions of F m -3 m."""
    group = gemmi.SpaceGroup("F m -3 m")
    cell, operators = np.array([5.46, 5.46, 5.46, 90.0, 90, 90]), lattice.operators_of(group)
    hkl = np.asarray(gemmi.make_miller_array(gemmi.UnitCell(*cell), group, 0.7), np.int32)
    s = lattice.inverse_spacing(hkl, cell)
    calcium, fluorine = form_factors.scattering(form_factors.form_factors(("Ca", "F")), s)
    factors = (4 * calcium + 8 * np.cos(np.pi * hkl.sum(1) / 2) * fluorine) * np.exp(-0.6 * s**2 / 4)
    reflections = lattice.Intensities(hkl, factors**2, 0.01 * factors**2 + 1)
    solution = solve.solve_crystal(reflections, cell, operators, {"Ca": 4.0, "F": 8.0})
    assert solution.status == "solved"
    assert solution.r1 < 0.02
    found = dict(zip(solution.elements, solution.occupancies, strict=True))
    assert found == {"Ca": pytest.approx(1 / 48), "F": pytest.approx(1 / 24)}


def test_atoms_that_are_no_peaks_are_refused():
    made = make_crystal("P -1")
    with pytest.raises(InputError, match="Mn: the scattering length"):
        solve.solve_crystal(made.reflections, made.cell, made.operators, {"C": 8.0, "Mn": 2.0}, radiation="neutron")
