"""Principal-axis pose: found from points and from maps, exact where the grid allows, mirrored eight ways."""

import itertools

import jax
import numpy as np
import pytest

from saxsae import pose, voxels


@pytest.fixture(scope="module")
def bar():
    """An ellipsoid of semi-axes 12, 7, 4 voxels along the grid's axes, with a knob that makes it chiral."""
    axis = np.arange(31) - 15.0
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    body = ((grid / [12, 7, 4]) ** 2).sum(-1) <= 1
    return (body | (((grid - [6, 4, 3]) ** 2).sum(-1) <= 4)).astype(np.float32)


def variances(occupancy):
    return np.argwhere(np.asarray(occupancy) > 0.5).var(0)


def test_points_stand_in_their_principal_axes():
    points = np.random.default_rng(0).normal(size=(500, 3)) * [2.0, 9.0, 5.0] + [3, 1, 4]
    turned = points @ pose.small_turn(np.random.default_rng(1), 60.0).T
    frame = pose.principal_frame(turned)
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(frame) == pytest.approx(1)
    standing = (turned - turned.mean(0)) @ frame.T
    covariance = np.cov(standing.T)
    assert (np.diff(np.diag(covariance)) < 0).all()
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-9)


def test_small_turns_are_rotations_by_the_angle_asked_for():
    rng = np.random.default_rng(2)
    turns = np.array([pose.small_turn(rng, 8.0) for _ in range(400)])
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turns.shape), atol=1e-12)
    angle = np.rad2deg(np.arccos((np.trace(turns, axis1=1, axis2=2) - 1) / 2))
    assert np.sqrt((angle**2).mean()) == pytest.approx(8, rel=0.1)


def test_grid_turns_are_the_cube_group():
    turns = pose.grid_turns()
    assert len({turn.tobytes() for turn in turns + 0.0}) == 24
    np.testing.assert_allclose(np.linalg.det(turns), 1)
    assert set(np.unique(np.abs(turns))) == {0.0, 1.0}


def test_a_map_turned_by_the_grid_comes_back_exactly(bar):
    upright = jax.jit(pose.upright)
    for turn in pose.grid_turns()[::5]:
        lying = np.round(np.asarray(voxels.rotate(bar, turn)))
        rotation = np.asarray(upright(lying))
        assert set(np.unique(np.abs(rotation))) == {0.0, 1.0}
        standing = voxels.rotate(lying, rotation)
        assert any(np.abs(np.asarray(flip) - bar).max() < 1e-4 for flip in flips(standing))


def test_a_map_turned_anyhow_stands_up(bar):
    for seed in range(3):
        turn = np.asarray(voxels.random_rotation(jax.random.key(seed)))
        lying = np.asarray(voxels.rotate(bar, turn) > 0.5, np.float32)
        standing = np.asarray(voxels.rotate(lying, pose.upright(lying)))
        np.testing.assert_allclose(variances(standing), variances(bar), rtol=0.12)


def test_a_slight_turn_is_left_alone(bar):
    slight = np.asarray(voxels.rotate(bar, pose.small_turn(np.random.default_rng(4), 3.0)) > 0.5, np.float32)
    np.testing.assert_array_equal(np.abs(pose.upright(slight)), np.eye(3))


def test_an_empty_map_gets_a_rotation_too():
    rotation = np.asarray(pose.upright(np.zeros((31, 31, 31), np.float32)))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)


def test_mirrors_are_the_eight_flips(bar):
    keys = jax.random.split(jax.random.key(0), 64)
    drawn = {np.asarray(one).tobytes() for one in jax.vmap(pose.mirror, (None, 0))(bar, keys)}
    assert drawn == {np.ascontiguousarray(flip).tobytes() for flip in flips(bar)} and len(drawn) == 8


def flips(occupancy):
    return [np.asarray(occupancy)[::a, ::b, ::c] for a, b, c in itertools.product((1, -1), repeat=3)]
