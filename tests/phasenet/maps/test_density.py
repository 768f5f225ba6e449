"""Covered fractions against dense quadrature, their gradients against float64 differences; both form factors."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasenet.maps import density

# Within a voxel: anywhere, and where the closed form is at its edges.
OFFSETS = np.concatenate([
    np.random.default_rng(0).random((12, 3)),
    [(0, 0, 0), (1, 1, 1), (0.5, 0.5, 0.5), (0, 0.5, 1), (1, 0, 0.3), (1e-6, 1 - 1e-6, 0.2), (0.5, 0.5, 1e-4)],
]).astype(np.float32)


def covered_by_quadrature(offset, points=200):
    """(3, 3, 3) float64: chords along z through points^2 midpoints of each voxel's face."""
    fractions = np.zeros((3, 3, 3))
    middle = (np.arange(points) + 0.5) / points
    for i in range(3):
        for j in range(3):
            x, y = i - 1 + middle - offset[0], j - 1 + middle - offset[1]
            half_chord = np.sqrt(np.maximum(1 - x[:, None] ** 2 - y[None, :] ** 2, 0))
            for k in range(3):
                low, high = k - 1 - offset[2], k - offset[2]
                chord = np.minimum(half_chord, high) - np.maximum(-half_chord, low)
                fractions[i, j, k] = np.maximum(chord, 0).mean()
    return fractions


def atoms(seed, count, spread=5.0):
    return np.random.default_rng(seed).uniform(-spread / 2, spread / 2, (count, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def sphere_map():
    return jax.jit(functools.partial(density.density, grid=12))


@pytest.fixture(scope="module")
def gaussian_map():
    return jax.jit(functools.partial(density.density, grid=12, form_factor="gaussian", b_factor=40.0))


def both(sphere_map, gaussian_map):
    return sphere_map, gaussian_map


def test_covered_fractions_against_quadrature():
    got = jax.jit(jax.vmap(density.covered_fractions))(OFFSETS)
    expected = np.array([covered_by_quadrature(offset.astype(float)) for offset in OFFSETS])
    np.testing.assert_allclose(got, expected, atol=2e-4)
    assert got.max() <= 1 + 1e-5 and got.min() >= -1e-5
    np.testing.assert_allclose(got.sum((1, 2, 3)), density.ATOM_VOLUME, rtol=1e-6)


def test_the_gradient_of_the_covered_fraction():
    """Against central differences of the closed form in float64, also where its own derivative is not finite."""
    jacobian = jax.jit(jax.vmap(jax.jacfwd(density.covered_fractions)))
    got = np.asarray(jacobian(OFFSETS))
    assert np.isfinite(got).all()
    step = 1e-5
    with jax.enable_x64(True):
        fractions = jax.jit(jax.vmap(density.covered_fractions))
        places = jnp.asarray(OFFSETS, jnp.float64)
        sides = [[fractions(places + sign * step * np.eye(3)[axis]) for sign in (1, -1)] for axis in range(3)]
        expected = np.stack([(plus - minus) / (2 * step) for plus, minus in sides], axis=-1)
        assert expected.dtype == np.float64
    np.testing.assert_allclose(got, expected, atol=2e-4)


def test_the_reverse_gradient_of_a_map_of_touching_atoms(sphere_map):
    """Two spheres that touch, one of them at a voxel's corner, one beyond the map's face."""
    positions = np.array([[0, 0, 0], [2, 0, 0], [5.8, -5.9, 6.3]], np.float32)
    upstream = np.random.default_rng(1).standard_normal((12,) * 3).astype(np.float32)

    def total(positions):
        return (density.density(positions, 12) * upstream).sum()

    got = jax.jit(jax.grad(total))(positions)
    step = 1e-5
    with jax.enable_x64(True):
        total_x64 = jax.jit(total)
        base = jnp.asarray(positions, jnp.float64)
        expected = np.zeros((3, 3))
        for index in np.ndindex(3, 3):
            moved = [base.at[index].add(sign * step) for sign in (1, -1)]
            expected[index] = (total_x64(moved[0]) - total_x64(moved[1])) / (2 * step)
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_the_gaussian_is_the_voxel_mean_of_its_width(gaussian_map):
    position = np.array([[0.3, -1.2, 0.9]], np.float32)
    sigma = math.sqrt(40 / (8 * math.pi**2))
    got = np.asarray(gaussian_map(position))
    edges = np.arange(13) - 6.0
    profiles = []
    for x in position[0].astype(float):
        cumulative = np.array([math.erf((edge - x) / (sigma * math.sqrt(2))) / 2 for edge in edges])
        profiles.append(np.diff(cumulative))
    expected = density.ATOM_VOLUME * np.einsum("i,j,k->ijk", *profiles)
    np.testing.assert_allclose(got, expected, atol=2e-6)
    # Its variance, that of averaging over a voxel on top.
    line = got.sum((1, 2)) / got.sum()
    centre = np.arange(12) - 5.5
    assert (line * (centre - position[0, 0]) ** 2).sum() == pytest.approx(sigma**2 + 1 / 12, rel=1e-3)


def test_the_gradient_of_the_gaussian():
    positions, upstream = atoms(2, 3), np.random.default_rng(3).standard_normal((12,) * 3)

    def total(positions):
        return (density.density(positions, 12, form_factor="gaussian", b_factor=20.0) * upstream).sum()

    got = jax.jit(jax.grad(total))(positions)
    step = 1e-5
    with jax.enable_x64(True):
        total_x64 = jax.jit(total)
        base = jnp.asarray(positions, jnp.float64)
        for index in np.ndindex(3, 3):
            expected = (total_x64(base.at[index].add(step)) - total_x64(base.at[index].add(-step))) / (2 * step)
            assert got[index] == pytest.approx(float(expected), abs=2e-4)


def test_both_form_factors_keep_the_total(sphere_map, gaussian_map):
    for spread in (5.0, 40.0):  # 40: beyond the map's faces too, which are periodic
        positions = atoms(4, 5, spread)[:3]
        for function in both(sphere_map, gaussian_map):
            assert float(function(positions).sum()) == pytest.approx(3 * density.ATOM_VOLUME, rel=1e-5)


def test_maps_are_periodic_and_move_with_the_atoms(sphere_map, gaussian_map):
    positions = atoms(5, 3, 11.9)
    for function in both(sphere_map, gaussian_map):
        start = function(positions)
        np.testing.assert_allclose(function(positions + np.array([12, 0, -12], np.float32)), start, atol=1e-5)
        moved = function(positions + np.array([1, -2, 3], np.float32))
        np.testing.assert_allclose(moved, np.roll(start, (1, -2, 3), (0, 1, 2)), atol=1e-5)


def test_inversion_is_a_flip_and_axes_are_x_y_z(sphere_map, gaussian_map):
    positions = atoms(6, 3)
    for function in both(sphere_map, gaussian_map):
        start = np.asarray(function(positions))
        np.testing.assert_allclose(function(-positions), start[::-1, ::-1, ::-1], atol=1e-5)
        np.testing.assert_allclose(function(positions[:, [2, 0, 1]]), start.transpose(2, 0, 1), atol=1e-5)
    lone = np.asarray(sphere_map(np.array([[2.5, 0.5, -3.5]], np.float32)))
    assert np.unravel_index(lone.argmax(), lone.shape) == (8, 6, 2) and lone.max() == pytest.approx(1)


def test_clashing_atoms_add_up_and_weights_count(sphere_map, gaussian_map):
    positions = np.repeat(atoms(7, 2), 2, axis=0)[:3]  # the first two at one place
    weights = np.array([1, 2.5, -1], np.float32)
    for function in both(sphere_map, gaussian_map):
        each = [np.asarray(function(position[None])) for position in positions]
        np.testing.assert_allclose(function(positions), sum(each), atol=1e-5)
        weighted = function(positions, weights=weights)
        np.testing.assert_allclose(weighted, sum(w * m for w, m in zip(weights, each, strict=True)), atol=1e-5)
        gradient = jax.grad(lambda w, f=function: (f(positions, weights=w) * each[0]).sum())(weights)  # noqa: B023
        np.testing.assert_allclose(gradient, [(m * each[0]).sum() for m in each], rtol=1e-4)


@pytest.mark.parametrize(("options", "message"), [
    ({"form_factor": "cube"}, "form_factor='cube': expected one of sphere, gaussian"),
    ({"form_factor": "gaussian"}, "b_factor=0.0: a Gaussian atom needs more than 0"),
    ({"form_factor": "gaussian", "b_factor": math.nan}, "b_factor=nan: a Gaussian atom needs more than 0")])
def test_what_is_no_form_factor(options, message):
    with pytest.raises(ValueError, match=message):
        density.density(np.zeros((1, 3), np.float32), 8, **options)
