"""Point groups: their rotations, the frame of a symmetric body, and averages of moments and maps over a group."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from saxsae.profiles import zernike
from saxsae.shapes.voxels import CENTRE, GRID
from saxsae.superposition import symmetry
from saxsae.superposition.point_groups import parse_group

each_group = pytest.mark.parametrize("group", [parse_group(name) for name in ("C2", "C3", "C7", "D2", "D3")],
                                     ids=lambda group: group.name)
TILT = Rotation.from_euler("zyx", [40, 70, -25], degrees=True).as_matrix()


def moments_of(points):
    """Moments of points (N, 3) of the unit ball, to the order of the search for frames."""
    return zernike.evaluate_basis(symmetry.ORDER, points).sum(0)


def some_points(count=8, seed=0):
    """Points (N, 3) that lie well inside the unit ball."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3))
    return points * (rng.uniform(0.3, 0.8, count) / np.linalg.norm(points, axis=1))[:, None]


def copies_of(points, group):
    return np.concatenate([points @ one.T for one in symmetry.group_rotations(group)])


def blobs(points, width=2.0):
    """A smooth map of points (N, 3) of the unit ball."""
    grid = (np.indices((GRID,) * 3) - CENTRE)[..., None] / CENTRE
    square = sum((grid[axis] - points[:, axis])**2 for axis in range(3))
    return np.exp(-0.5 * square * (CENTRE / width)**2).sum(-1).astype(np.float32)


def is_a_frame(rotation, group):
    """Whether a rotation of a body in the frame leaves it in a frame, within a degree."""
    about = np.einsum("ij,gjk,lk->gil", rotation, symmetry.group_rotations(group), rotation)
    traces = np.einsum("gij,hij->gh", about, symmetry.group_rotations(group)).max(1)
    return (np.rad2deg(np.arccos(np.clip((traces - 1) / 2, -1, 1))) < 1).all()


@each_group
def test_the_rotations_are_a_group(group):
    rotations = symmetry.group_rotations(group)
    assert len(rotations) == group.fold * (2 if group.dihedral else 1)
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    for one in rotations:
        distance = np.abs((one @ rotations)[:, None] - rotations).max((2, 3))
        assert (distance.min(1) < 1e-12).all() and (distance.min(0) < 1e-12).all()


def test_angles_are_those_of_the_rotation():
    rotations = np.concatenate([Rotation.random(20, random_state=0).as_matrix(), symmetry.group_rotations(
        parse_group("D4"))])
    expected = Rotation.from_euler("ZYZ", symmetry.euler_angles(rotations)).as_matrix()
    np.testing.assert_allclose(expected, rotations, atol=1e-9)


@each_group
def test_kept_moments_are_those_of_the_average(group):
    points = some_points()
    mean = np.mean([moments_of(points @ one.T) for one in symmetry.group_rotations(group)], axis=0)
    np.testing.assert_allclose(moments_of(points) * symmetry.kept_modes(group, symmetry.ORDER), mean, atol=1e-10)


@each_group
def test_an_average_is_its_own_average_and_keeps_all_of_degree_0(group):
    kept = symmetry.kept_modes(group, 20)
    assert set(kept) == {0.0, 1.0} and kept[zernike.modes(20).l == 0].all()


@each_group
def test_the_frame_of_a_turned_body_is_found(group):
    body = copies_of(some_points(), group)
    moments = np.stack([moments_of(body @ TILT.T), moments_of(some_points(8, seed=1))])
    frames, shares = symmetry.find_frames(jnp.asarray(moments), symmetry.ORDER, group)
    assert is_a_frame(frames[0] @ TILT, group)
    assert shares[0] > 0.999 and shares[1] < 0.9


def turned_map(density, rotation):
    """A map turned about its centre, by an interpolation that is not the tested one."""
    offset = CENTRE - rotation.T @ np.full(3, CENTRE)
    return ndimage.affine_transform(density, rotation.T, offset, order=1)


@each_group
def test_an_averaged_map_does_not_change_under_the_group(group):
    one = blobs(0.8 * some_points(4))
    mean = symmetry.average_map(one, 2.0, TILT, np.zeros(3), group)
    for rotation in symmetry.group_rotations(group):
        assert np.corrcoef(mean.ravel(), turned_map(mean, rotation).ravel())[0, 1] > 0.98
    assert mean.sum() == pytest.approx(one.sum(), rel=0.02)
    square = ((np.indices((GRID,) * 3) - CENTRE)**2).sum(0)
    assert (mean * square).sum() == pytest.approx((one * square).sum(), rel=0.04)  # so Rg is kept


def test_the_frame_of_a_map_off_the_centre_is_found():
    group, shift = parse_group("D3"), np.array([0.1, -0.05, 0.08])
    body = copies_of(0.6 * some_points(4), group)
    density = blobs(body @ TILT.T + shift)
    frame, centre = symmetry.find_frame_of_map(density, 2.0, group)
    np.testing.assert_allclose(centre, shift * CENTRE * 2.0, atol=0.02)
    assert is_a_frame(frame @ TILT, group)
    mean = symmetry.average_map(density, 2.0, frame, centre, group)
    assert np.corrcoef(mean.ravel(), symmetry.turn_map(density, 2.0, frame, centre).ravel())[0, 1] > 0.99
