"""Moves of single atoms: their exact cost, their places, and several at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasenet.maps import point_atoms
from phasenet.search import refinement, relocation
from phasenet.search.refinement import Observations

MODEL = point_atoms.make_point_model(20, 0.3)
TRUE = jnp.array([[0.3, -2.2, 1.7], [2.9, 1.1, -0.6], [-2.5, 0.4, -1.9], [-0.7, 3.0, 0.9]])


def data_of(positions, model=MODEL):
    cosines, sines = point_atoms.atom_structure_factors(positions, model)
    weights = jax.random.uniform(jax.random.key(0), (len(model.flat_index),), minval=0.5)
    return Observations(cosines.sum(0) ** 2 + sines.sum(0) ** 2, weights)


def error(positions, data, model=MODEL):
    return float(refinement.linearize(refinement.atoms_at(positions), data, model).cost)


@pytest.mark.parametrize("grid", [20, 28])
@pytest.mark.parametrize("s_max", [0.17, 0.3])
def test_the_cost_of_a_move_is_what_it_says(grid, s_max):
    model = point_atoms.make_point_model(grid, s_max)
    data = data_of(TRUE, model)
    start = TRUE.at[1].set(jnp.array([-2.0, -3.0, 2.5]))
    moves = relocation.find_moves(start, data, model, 1.5)
    assert sorted(np.asarray(moves.atoms)) == [0, 1, 2, 3]
    assert (np.diff(moves.costs) >= 0).all()
    for atom, place, cost in zip(*moves, strict=True):
        assert error(start.at[atom].set(place), data, model) == pytest.approx(float(cost), rel=1e-3)


def test_a_wrong_atom_goes_where_one_is_missing():
    data = data_of(TRUE)
    start = TRUE.at[2].set(jnp.array([3.5, -3.0, 3.5]))
    moves = relocation.find_moves(start, data, MODEL, 1.5)
    assert int(moves.atoms[0]) == 2
    apart = moves.places[0] - TRUE[2]
    assert float(jnp.linalg.norm(apart - 20 * jnp.round(apart / 20))) < 1.0  # the grid's spacing is 1.1
    assert float(moves.costs[0]) < 0.5 * error(start, data)


def test_no_atom_goes_close_to_another():
    moves = relocation.find_moves(TRUE, data_of(TRUE), MODEL, 2.0)
    apart = moves.places[:, None] - TRUE
    apart = apart - 20 * jnp.round(apart / 20)
    assert float(jnp.linalg.norm(apart, axis=-1).min()) >= 2.0


def test_joint_moves_leave_out_those_to_the_same_place():
    places = jnp.array([[5.0, 0.0, 0.0], [5.5, 0.0, 0.0], [0.0, 25.0, 0.0], [0.0, 0.0, 5.0]])
    moves = relocation.Moves(jnp.array([3, 0, 1, 2]), places, jnp.arange(4.0))
    one, two, four = relocation.apply_moves(TRUE, moves, 20.0, (1, 2, 4), 1.5)
    np.testing.assert_allclose(one, TRUE.at[3].set(places[0]), atol=1e-5)
    # The second is too close to the first; the third is a period away.
    np.testing.assert_allclose(two, one.at[1].set(jnp.array([0.0, 5.0, 0.0])), atol=1e-5)
    np.testing.assert_allclose(four, two.at[2].set(places[3]), atol=1e-5)
