"""Elements by strength, bonds and volume: right on made atoms, whatever the scale, and kept in number where given."""

import gemmi
import numpy as np
import pytest
from made_crystals import make_crystal

from phasenet.crystal import lattice, solve
from phasenet.crystal.measured.packing import element_volume
from phasenet.crystal.refinement import elements

SYMBOLS = ("Cl", "O", "N", "C")
POWERS = np.array([8.7, 3.45, 2.78, 2.24])


def bonds_of(made):
    operators = made.operators
    images = np.einsum("mij,nj->mni", operators.rotations, made.positions) + operators.translations[:, None]
    return elements.find_cno_bonds(made.positions, images, np.ones(len(made.elements), int),
                                   lattice.orthogonalization_matrix(made.cell))


def strengths_of(symbols, error=0.05, seed=0):
    rng = np.random.default_rng(seed)
    return np.array([POWERS[SYMBOLS.index(symbol)] for symbol in symbols]) * np.exp(
        error * rng.normal(size=len(symbols)))


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.2])
def test_the_scale_of_strengths_is_found_from_elements_and_volume(scale):
    made = make_crystal("P 1 21/c 1")
    factor = elements.calibrate(scale * strengths_of(made.elements), np.full(12, 4), POWERS, SYMBOLS,
                                np.array([element_volume(symbol) for symbol in SYMBOLS]),
                                gemmi.UnitCell(*made.cell).volume)
    assert 0.9 < factor * scale < 1.1


def test_elements_are_chosen_by_strength():
    made = make_crystal("P 21 21 21")
    no_bonds = [[] for _ in made.elements]
    found = elements.choose_elements(strengths_of(made.elements, error=0.02), POWERS, SYMBOLS, no_bonds)
    assert found == made.elements


def test_bonds_decide_where_strengths_do_not():
    made = make_crystal("P 21 21 21")
    strengths = strengths_of(made.elements, error=0.0)
    oxygen = made.elements.index("O")
    strengths[oxygen] = np.sqrt(POWERS[1] * POWERS[2]) * 0.99  # between N and O; its one bond is that of a carboxylate
    assert elements.choose_elements(strengths, POWERS, SYMBOLS, bonds_of(made))[oxygen] == "O"


def test_exchanges_keep_the_numbers():
    made = make_crystal("P 21 21 21")
    wrong = list(made.elements)
    first, second = wrong.index("O"), wrong.index("C")
    wrong[first], wrong[second] = wrong[second], wrong[first]
    found = elements.exchange_by_evidence(strengths_of(made.elements, 0.03), np.full(12, 4), POWERS, SYMBOLS,
                                          bonds_of(made), wrong)
    assert found == made.elements
    # Atoms with different numbers of mates exchange nothing.
    mates = np.arange(12)
    assert elements.exchange_by_evidence(strengths_of(made.elements), mates, POWERS, SYMBOLS, bonds_of(made),
                                         wrong) == tuple(wrong)


def test_bonds_are_found_across_the_edge_of_the_cell_and_once():
    cell = np.array([6.0, 7.0, 8.0, 90.0, 100.0, 90.0])
    operators = lattice.operators_of(gemmi.SpaceGroup("P -1"))
    positions = np.array([[0.0, 0.0, 0.0], [0.98, 0.0, 0.18]])
    images = np.einsum("mij,nj->mni", operators.rotations, positions) + operators.translations[:, None]
    bonds = elements.find_cno_bonds(positions, images, np.array([2, 1]), lattice.orthogonalization_matrix(cell))
    assert [other for other, _ in bonds[0]] == [1, 1]  # the atom and its mate by the inversion
    assert [other for other, _ in bonds[1]] == [0]  # on the inversion: one atom, though two operators give it
    assert bonds[0][0][1] == pytest.approx(bonds[1][0][1])


@pytest.mark.slow
@pytest.mark.parametrize("symbols", [{"C": 20.0, "N": 20.0, "O": 20.0, "Cl": 20.0}, {"C": 90.0, "N": 1.0, "O": 1.0,
                                                                                    "Cl": 0.1}])
def test_numbers_of_atoms_are_found(symbols):
    made = make_crystal("P 1 21/c 1")
    found = solve.solve_crystal(made.reflections, made.cell, made.operators, symbols, composition_known=False,
                                num_starts=4)
    assert found.status == "solved" and sorted(found.elements) == sorted(made.elements)
