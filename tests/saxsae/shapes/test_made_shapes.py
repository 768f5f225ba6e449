"""Made shapes: each kind is what it is called, fills without holes, and joins as it should."""

import numpy as np
import pytest

from saxsae.shapes import descriptors, made_shapes, voxels


def occupancy(points):
    return voxels.voxelize_structure(points)[0]


@pytest.mark.parametrize("kind", made_shapes.KINDS)
def test_a_kind_gives_points_that_fill_one_connected_body(kind):
    rng = np.random.default_rng(3)
    for _ in range(2):
        points = kind(rng)
        assert points.shape[1] == 3 and 100 < len(points) < 10000 and np.isfinite(points).all()
        shape = descriptors.describe(occupancy(points))
        assert 0.002 < shape.filled_fraction < 0.7
        if kind is not made_shapes.lumps:  # whose balls may stand apart
            assert shape.pieces <= 3


def test_the_same_generator_gives_the_same_shape():
    (one, first), (other, second) = (made_shapes.draw_shape(np.random.default_rng(8)) for _ in range(2))
    assert one == other
    np.testing.assert_array_equal(first, second)
    assert {made_shapes.draw_shape(np.random.default_rng(seed))[0] for seed in range(40)} == {
        kind.__name__ for kind in made_shapes.KINDS}


def test_points_fill_a_ball_evenly():
    points = made_shapes.fill_balls(np.zeros((1, 3)), np.array([20.0]), np.random.default_rng(0))
    radius = np.linalg.norm(points[1:], axis=1)
    assert radius.max() <= 20
    assert (radius**3).mean() == pytest.approx(20**3 / 2, rel=0.1)  # uniform in volume
    assert (radius**2).mean() == pytest.approx(0.6 * 20**2, rel=0.1)


def test_a_stiff_walk_is_a_rod_and_a_loose_one_a_coil():
    lengths = []
    for stiffness in (0.0, 0.7, 0.98):
        path = made_shapes.draw_chain(100, 3.8, stiffness, np.random.default_rng(1))
        np.testing.assert_allclose(np.linalg.norm(np.diff(path, axis=0), axis=1), 3.8)
        lengths.append(np.linalg.norm(path[-1] - path[0]))
    assert lengths[0] < lengths[1] < lengths[2] < 3.8 * 99
    assert lengths[0] < 3.8 * 30


def test_rings_and_cages_are_hollow():
    rng = np.random.default_rng(2)
    for kind in (made_shapes.ring, made_shapes.cage):
        empty = [descriptors.describe(occupancy(kind(rng))).centre_filled for _ in range(4)]
        assert np.median(empty) < 0.3


def test_parts_of_an_assembly_touch_without_overlap():
    rng = np.random.default_rng(4)
    parts = [made_shapes.fill_balls(np.zeros((1, 3)), np.array([radius]), rng) for radius in (20.0, 12.0)]
    for _ in range(5):
        whole = made_shapes.assemble(parts, rng)
        assert len(whole) == sum(map(len, parts))
        first, second = whole[:len(parts[0])], whole[len(parts[0]):]
        between = np.linalg.norm(first.mean(0) - second.mean(0))
        assert 24 < between < 32 + 20 + 5
        distance = np.linalg.norm(first[:, None] - second[None], axis=-1)
        assert (distance.min(1) < 3).mean() < 0.1
