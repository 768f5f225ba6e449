"""Superposition: known rotations come back, and brute force does not do better."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from saxsae.profiles import zernike
from saxsae.shapes.voxels import CENTRE, GRID
from saxsae.superposition import alignment, interpolation, rotations

pytestmark = pytest.mark.optimized

PITCH = 3.0  # A


def _shape(seed: int, rotation=np.eye(3), shift=np.zeros(3), pitch=PITCH, scale=1.0) -> np.ndarray:
    """Gaussian blobs turned by `rotation` (a reflection too) and moved by `shift` (A)."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-0.4, 0.4, (7, 3)) * CENTRE * PITCH
    widths = rng.uniform(0.02, 0.05, 7) * (CENTRE * PITCH) ** 2
    points = np.asarray(interpolation.grid_points(GRID, pitch), np.float64)
    local = (points - shift) @ rotation / scale - centres[:, None]
    return np.exp(-(local**2).sum(-1) / widths[:, None]).sum(0).reshape((GRID,) * 3)


def _angle(a, b) -> float:
    cosine = (np.trace(np.asarray(a, np.float64).T @ b) - 1) / 2
    return float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))


def test_correlation_over_rotations_is_the_overlap_of_turned_shapes():
    rng = np.random.default_rng(0)
    clouds = rng.uniform(-0.5, 0.5, (2, 40, 3))
    order = 10
    fixed, moving = (zernike.evaluate_basis(order, cloud).mean(0) for cloud in clouds)
    overlaps = np.asarray(jax.jit(rotations.correlate_orientations, static_argnums=2)(
        fixed.astype(np.float32), moving.astype(np.float32), order))
    grid = rotations.grid_rotations(order)
    assert overlaps.shape == grid.shape[:1]
    for index in rng.integers(0, len(grid), 5):
        turned = zernike.evaluate_basis(order, clouds[1] @ grid[index].T).mean(0)
        assert overlaps[index] == pytest.approx(fixed @ turned, abs=1e-5)


def test_rotation_pieces_are_rotations():
    grid = rotations.grid_rotations(6)[::17]
    np.testing.assert_allclose(grid @ grid.swapaxes(1, 2), np.broadcast_to(np.eye(3), grid.shape),
                               atol=1e-6)
    assert np.allclose(np.linalg.det(grid), 1)
    vector = np.array([0.1, -0.2, 0.15])
    axis = vector / np.linalg.norm(vector)
    expected = Rotation.from_rotvec(axis * 2 * np.arctan(np.linalg.norm(vector) / 2)).as_matrix()
    np.testing.assert_allclose(rotations.small_rotation(jnp.asarray(vector)), expected, atol=1e-6)
    d = rotations.wigner_small_d(1, np.array([0.3]))[0]  # m = -1, 0, 1
    np.testing.assert_allclose(d[1], np.array([-np.sin(0.3) / np.sqrt(2), np.cos(0.3),
                                               np.sin(0.3) / np.sqrt(2)]), atol=1e-12)


def test_distinct_maxima_lie_apart():
    grid = jnp.asarray(rotations.grid_rotations(6))
    values = jnp.sum(grid * Rotation.random(random_state=0).as_matrix(), (1, 2))
    chosen = grid[rotations.find_distinct_maxima(values, grid, 5, 30.0)]
    angles = [_angle(a, b) for i, a in enumerate(chosen) for b in chosen[:i]]
    assert min(angles) >= 30.0
    assert np.allclose(chosen[0], grid[jnp.argmax(values)])


def test_hands_of_one_rotation_are_distinct():
    rotation = jnp.asarray(Rotation.random(3, random_state=1).as_matrix()[[0, 0, 1, 2]], jnp.float32)
    matrices = alignment._matrix_with_hand(rotation, jnp.array([1.0, -1.0, 1.0, 1.0]))
    assert list(rotations.find_distinct_maxima(jnp.arange(4.0, 0.0, -1.0), matrices, 2, 30.0)) == [0, 1]


def test_interpolation_is_exact_for_linear_maps_and_zero_outside():
    points = np.asarray(interpolation.grid_points(9, 2.0))
    volume = (1 + points @ [0.3, -0.2, 0.5]).reshape(9, 9, 9)
    where = np.random.default_rng(1).uniform(-7.9, 7.9, (50, 3))
    interpolate = jax.jit(interpolation.interpolate)
    values, slopes = interpolate(volume, where, 2.0)
    np.testing.assert_allclose(values, 1 + where @ [0.3, -0.2, 0.5], atol=1e-5)
    np.testing.assert_allclose(slopes, np.broadcast_to([0.3, -0.2, 0.5], (50, 3)), atol=1e-5)
    outside = interpolate(volume, np.array([[10.5, 0.3, 0]]), 2.0)
    assert not any(np.any(x) for x in outside)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_turned_moved_and_mirrored_copies_are_found(seed):
    rotation = Rotation.random(random_state=seed).as_matrix()
    mirrored = seed % 2 == 1
    mirror = np.diag([1, 1, -1 if mirrored else 1])
    shift = np.array([2.0, -3.5, 1.2]) * (seed > 2)
    fixed_pitch = PITCH if seed < 4 else 1.1 * PITCH
    moving, fixed = _shape(seed), _shape(seed, rotation @ mirror, shift, fixed_pitch)
    found = alignment.superpose(moving, PITCH, fixed, fixed_pitch)
    assert bool(found.mirrored) == mirrored
    assert found.correlation > 0.98
    assert _angle(found.rotation, rotation) < 2
    np.testing.assert_allclose(found.shift, shift, atol=0.2 * PITCH)
    applied = alignment.apply_superposition(moving, PITCH, found, fixed_pitch)
    again = np.corrcoef(np.asarray(applied).reshape(-1), fixed.reshape(-1))[0, 1]
    assert again == pytest.approx(float(found.correlation), abs=2e-5)


@pytest.mark.slow
def test_options_hold_the_hand_and_the_centre():
    rotation = Rotation.random(random_state=3).as_matrix()
    moving, fixed = _shape(0), _shape(0, rotation @ np.diag([1, 1, -1]))
    held = alignment.superpose(moving, PITCH, fixed, PITCH, both_hands=False, shift=False)
    free = alignment.superpose(moving, PITCH, fixed, PITCH)
    assert not held.mirrored and not held.shift.any()
    assert free.mirrored and free.correlation > held.correlation


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_no_worse_than_a_brute_search(seed):
    """2,500 rotations of both hands about the centre of mass, the best ten refined."""
    rotation = Rotation.random(random_state=seed).as_matrix()
    fixed = _shape(seed, rotation) + _shape(seed + 20, rotation)
    moving = (_shape(seed, scale=1.1) + _shape(seed + 30) > 1.2).astype(np.float32)  # a poor model
    target = fixed.reshape(-1) - fixed.mean()
    target = jnp.asarray(target / np.linalg.norm(target), jnp.float32)
    points = interpolation.grid_points(GRID, PITCH)
    pivot, centre = (alignment._mass_moments(jnp.asarray(x), PITCH)[0] for x in (moving, fixed))

    @jax.jit
    def score(rotation, position, mirror, points, target):
        local = (points - position) @ rotation * mirror + pivot
        values, _ = interpolation.interpolate(jnp.asarray(moving), local, PITCH)
        values = values - jnp.mean(values)
        return target @ values / jnp.linalg.norm(values)

    thin = np.arange(GRID**3).reshape((GRID,) * 3)[::2, ::2, ::2].reshape(-1)
    raster = Rotation.random(2500, random_state=7).as_matrix().astype(np.float32)
    scores = np.stack([
        jax.jit(lambda r, m=mirror: jax.lax.map(
            lambda x: score(x, centre, m, points[thin], target[thin]), r))(raster)
        for mirror in np.array([[1.0, 1, 1], [1, 1, -1]])])
    best = -1.0
    for hand, index in zip(*np.unravel_index(np.argsort(-scores, axis=None)[:10], scores.shape),
                           strict=True):
        mirror = jnp.array([1.0, 1.0, -1.0 if hand else 1.0])

        def loss(x, start=raster[index], mirror=mirror):
            turned = Rotation.from_rotvec(x[:3]).as_matrix() @ start
            return -float(score(turned.astype(np.float32), centre + 10 * x[3:].astype(np.float32),
                                mirror, points, target))

        best = max(best, -minimize(loss, np.zeros(6), method="Powell", options={"maxfev": 150}).fun)
    found = alignment.superpose(moving, PITCH, fixed, PITCH)
    assert found.correlation > best - 5e-4


def test_models_are_aligned_for_averaging():
    turns = Rotation.random(3, random_state=5).as_matrix()
    models = np.stack([_shape(4, turn) for turn in turns])
    reference = _shape(4)
    aligned, found = alignment.align_to(models, np.full(3, PITCH), reference, PITCH)
    assert aligned.shape == models.shape and found.rotation.shape == (3, 3, 3)
    assert (found.correlation > 0.98).all()
    mean = np.asarray(aligned).mean(0).reshape(-1)
    assert np.corrcoef(mean, reference.reshape(-1))[0, 1] > 0.98
