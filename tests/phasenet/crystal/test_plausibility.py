"""Bonds of a model and inversions that its group lacks are those of made atoms."""

import types

import numpy as np
import pytest
from made_crystals import make_crystal

from phasenet.crystal import plausibility


def model_of(made, elements=None, positions=None, d_min=1.0):
    return types.SimpleNamespace(elements=elements or made.elements, d_min=d_min,
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


@pytest.mark.parametrize("scale,unusual_volume,expected",
                         [(1.0, False, False), (1.0, True, False), (0.9, True, True), (1.12, True, True),
                          (0.8, False, True), (1.2, False, True)])
def test_bonds_of_a_cell_that_is_too_small_or_too_large_are_unusual(scale, unusual_volume, expected):
    made = make_crystal("P 1 21/c 1")
    cell = made.cell * np.array([scale] * 3 + [1.0] * 3)
    unusual = plausibility.has_unusual_bonds(model_of(made), cell, made.operators, unusual_volume=unusual_volume)
    assert unusual == expected
    blurred = model_of(made, d_min=1.5)
    assert not plausibility.has_unusual_bonds(blurred, cell, made.operators, unusual_volume=unusual_volume)


def test_without_bonds_of_light_atoms_there_are_no_unusual_ones():
    made = make_crystal("P 1 21/c 1")
    oxides = tuple("Si" if element == "C" else element for element in made.elements)
    apart = model_of(made, oxides[:2], made.positions[:2])
    assert not plausibility.has_unusual_bonds(apart, made.cell * 3, made.operators, unusual_volume=True)
