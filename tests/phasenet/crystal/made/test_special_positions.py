"""Special positions: points that stay where they are, with all operators that leave them there."""

import gemmi
import numpy as np
import pytest

from phasenet.crystal import lattice
from phasenet.crystal.made import special_positions
from phasenet.crystal.made.rotations import axis_of, frame, random_rotation


@pytest.mark.parametrize(("symbol", "orders"), [
    ("P -1", {2}), ("C 1 2/c 1", {2}), ("P n m a", {2}), ("R -3 :H", {3, 6}), ("P a -3", {3, 6}), ("I 41/a :2", {2, 4}),
    ("F m -3 m", set(range(2, 49)))])
def test_a_point_is_left_where_it_is(symbol, orders):
    operators = lattice.operators_of(gemmi.SpaceGroup(symbol))
    for seed in range(5):
        place, symmetry = special_positions.draw_special_position(np.random.default_rng(seed), operators)
        assert symmetry.order in orders
        assert len(operators.rotations) % symmetry.order == 0
        for number, translation in zip(*symmetry, strict=True):
            moved = operators.rotations[number] @ place + operators.translations[number] + translation
            np.testing.assert_allclose(moved, place, atol=1e-6)


@pytest.mark.parametrize("symbol", ["P 1", "P 1 21 1", "P 21 21 21", "P 1 c 1"])
def test_a_group_of_screws_and_glides_has_none(symbol):
    operators = lattice.operators_of(gemmi.SpaceGroup(symbol))
    assert special_positions.draw_special_position(np.random.default_rng(0), operators) is None


def test_the_axis_of_a_rotation_and_the_normal_of_a_mirror():
    direction = frame(np.array([0.6, 0.0, 0.8]), np.array([0.0, 1.0, 0.0]))
    for turn in (np.diag([1.0, -1, -1]), np.diag([-1.0, 1, 1])):
        axis = axis_of(direction @ turn @ direction.T)
        assert abs(axis @ direction[:, 0]) == pytest.approx(1)


def test_a_random_rotation_is_one():
    rotation = random_rotation(np.random.default_rng(0))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
