"""Bonds of a model and inversions that its group lacks are those of made atoms."""

import types

import numpy as np
import pytest
from made_crystals import make_crystal

from phasenet.crystal import plausibility


def model_of(made, elements=None, positions=None):
    return types.SimpleNamespace(elements=elements or made.elements,
                                 positions=made.positions if positions is None else positions)


def test_atoms_of_a_molecule_are_bonded_and_scattered_ones_are_not():
    made = make_crystal("P 21 21 21")
    assert plausibility.fraction_bonded(model_of(made), made.cell, made.operators) > 0.9
    anywhere = np.random.default_rng(0).random(made.positions.shape)
    assert plausibility.fraction_bonded(model_of(made, positions=anywhere), made.cell, made.operators) < 0.7
    no_carbon = tuple("Si" if element == "C" else element for element in made.elements)
    assert plausibility.fraction_bonded(model_of(made, no_carbon), made.cell, made.operators) == 0


@pytest.mark.parametrize("shift", [np.zeros(3), np.array([0.1, 0.2, 0.3])])
def test_an_inversion_that_the_group_lacks_is_seen_wherever_it_lies(shift):
    made, lower = make_crystal("P -1"), make_crystal("P 1").operators
    both = np.concatenate([made.positions, -made.positions]) + shift
    assert plausibility.has_extra_inversion(model_of(made, made.elements * 2, both), made.cell, lower)
    chiral = make_crystal("P 21 21 21")
    assert not plausibility.has_extra_inversion(model_of(chiral), chiral.cell, chiral.operators)
    assert not plausibility.has_extra_inversion(model_of(made), made.cell, made.operators)
