"""Peaks of a map: places, thresholds, caps, plateaus; their inverses, each place once."""

import functools

import jax
import numpy as np
import pytest

from phasenet.maps import density
from phasenet.search import peaks

GRID = 16
MOST = 12


@pytest.fixture(scope="module")
def find():
    """Thresholds are traced: one compilation."""
    function = jax.jit(functools.partial(peaks.find_peaks, most=MOST))
    return lambda values, threshold=0.25: jax.tree.map(
        np.asarray, function(np.asarray(values, np.float32), threshold=threshold))


@pytest.fixture(scope="module")
def atoms_map():
    """Halves of nine atoms."""
    function = jax.jit(functools.partial(density.density, grid=GRID))
    return lambda positions: np.asarray(function(np.asarray(positions, np.float32))) / 2


@pytest.fixture(scope="module")
def invert():
    function = jax.jit(peaks.add_inverses)
    return lambda found, merge_distance=0.0: jax.tree.map(np.asarray, function(found, merge_distance=merge_distance))


def candidates(positions, heights, most=6):
    """As find_peaks gives them."""
    spare = most - len(positions)
    return peaks.Candidates(
        np.pad(np.asarray(positions, np.float32), ((0, spare), (0, 0))),
        np.pad(np.asarray(heights, np.float32), (0, spare)), np.arange(most) < len(positions))


def voxels(*places):
    """A map of single voxels: ((i, j, k), value)."""
    values = np.zeros((GRID,) * 3, np.float32)
    for index, value in places:
        values[index] = value
    return values


def test_well_separated_atoms_are_found_where_they_are(find, atoms_map):
    lattice = np.stack(np.meshgrid(*[[-5.0, -0.5, 4.0]] * 2, [1.0], indexing="ij"), -1).reshape(-1, 3)
    true = lattice + np.random.default_rng(0).uniform(-0.5, 0.5, lattice.shape)
    values = atoms_map(true)
    found = find(values)
    assert found.valid.sum() == len(true) == 9
    nearest = np.linalg.norm(found.positions[found.valid][:, None] - true, axis=-1)
    assert sorted(nearest.argmin(1)) == list(range(9)) and nearest.min(1).max() < 0.1
    # The invalid ones come last, at 0; the valid ones by height.
    assert found.valid[:9].all() and not found.positions[9:].any() and not found.heights[9:].any()
    assert (np.diff(found.heights[:9]) <= 0).all() and (found.heights[:9] > 0.25).all()


def test_the_centre_of_a_voxel_and_the_centre_of_mass(find):
    found = find(voxels(((3, 8, 12), 0.4)))
    np.testing.assert_allclose(found.positions[0], [3.5 - 8, 8.5 - 8, 12.5 - 8])
    # Negative values do not pull; neighbours do.
    found = find(voxels(((8, 8, 8), 0.4), ((9, 8, 8), 0.2), ((7, 8, 8), -0.3), ((8, 9, 9), 0.2)))
    np.testing.assert_allclose(found.positions[0], [0.75, 0.75, 0.75], rtol=1e-6)
    assert found.valid.sum() == 1


def test_nothing_lies_beyond_the_faces(find):
    found = find(voxels(((0, 0, 15), 0.9), ((15, 0, 15), 0.8)))
    assert found.valid.sum() == 2  # neighbours across the faces of a periodic map, not here
    np.testing.assert_allclose(found.positions[:2], [[-7.5, -7.5, 7.5], [7.5, -7.5, 7.5]])
    assert not find(voxels(((0, 0, 0), -0.5)) - 0.1).valid.any()


def test_the_threshold_and_the_highest(find):
    places = [((1 + 4 * (i % 4), 1 + 4 * (i // 4), 5), 0.2 + 0.03 * i) for i in range(16)]
    found = find(voxels(*places))
    np.testing.assert_allclose(found.heights, [0.2 + 0.03 * i for i in range(15, 3, -1)], rtol=1e-6)
    assert found.valid.all()
    np.testing.assert_allclose(found.positions[0], [13.5 - 8, 13.5 - 8, 5.5 - 8])
    assert find(voxels(*places), threshold=0.61).valid.sum() == 2
    assert find(voxels(*places), threshold=0.7).valid.sum() == 0
    assert find(np.zeros((GRID,) * 3)).valid.sum() == 0


def test_a_plateau_gives_one_place(find, invert, atoms_map):
    """An atom at a corner of voxels covers eight of them alike."""
    found = find(np.round(atoms_map(np.tile([[2, -3, 1]], (9, 1))) / 9, 5))
    assert found.valid.sum() == 8
    found = invert(found)
    assert found.valid.sum() == 2
    np.testing.assert_allclose(found.positions[0] * np.sign(found.positions[0, 0]), [2, -3, 1], atol=1e-3)


def test_inverses_are_added(invert):
    found = invert(candidates([[1, 2, 3], [-4, 0, 1]], [0.5, 0.3]))
    np.testing.assert_array_equal(found.positions[:4], [[1, 2, 3], [-1, -2, -3], [-4, 0, 1], [4, 0, -1]])
    np.testing.assert_allclose(found.heights[:4], [0.5, 0.5, 0.3, 0.3])
    assert len(found.valid) == 12 and found.valid.sum() == 4 and found.valid[:4].all()
    assert not found.positions[4:].any() and not found.heights[4:].any()


def test_exact_copies_stay_once(invert):
    """A peak whose inverse is a peak too, and one at the centre, which is its own inverse."""
    found = invert(candidates([[1, 2, 3], [-1, -2, -3.00001], [0, 0, 0], [0.001, 0, 0]], [0.5, 0.4, 0.35, 0.3]))
    assert found.valid.sum() == 5
    np.testing.assert_allclose(found.positions[:5], [[1, 2, 3], [-1, -2, -3], [0, 0, 0], [0.001, 0, 0], [-0.001, 0, 0]])


def test_of_near_ones_the_higher_stays(invert):
    chain = candidates([[3, 0, 0], [3.4, 0, 0], [3.8, 0, 0], [0.1, 5, 0], [0.2, -5, 0]], [0.4, 0.5, 0.3, 0.45, 0.35])
    found = invert(chain, merge_distance=0.5)
    np.testing.assert_allclose(found.positions[found.valid], [[3.4, 0, 0], [-3.4, 0, 0], [0.1, 5, 0], [-0.1, -5, 0]])
    np.testing.assert_allclose(found.heights[found.valid], [0.5, 0.5, 0.45, 0.45])
    # What was dropped drops nothing itself: 3.8 is near 3.4 alone, and falls with nothing but it.
    chain = candidates([[3, 0, 0], [3.4, 0, 0], [3.8, 0, 0]], [0.5, 0.4, 0.3])
    assert {round(float(x), 1) for x in invert(chain, merge_distance=0.5).positions[:4, 0]} == {3, -3, 3.8, -3.8}
