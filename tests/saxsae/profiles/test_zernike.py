"""The Zernike basis against closed forms, itself and a dense float64 twin."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.special import jv, sph_harm_y

from saxsae.profiles import zernike
from saxsae.shapes import voxels
from saxsae.shapes.voxels import CENTRE, GRID

_moments = jax.jit(zernike.moments, static_argnums=1)


def _random_maps(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    maps = rng.random((count, GRID, GRID, GRID)) < 0.3
    return (maps & voxels.sphere_mask()).astype(np.float32)


def _rotation(seed: int) -> np.ndarray:
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


def test_mode_count_and_order():
    n, l, m = zernike.modes(20)  # noqa: E741
    assert len(n) == 1771 == 21 * 22 * 23 // 6
    assert ((n - l) % 2 == 0).all() and (abs(m) <= l).all() and (l <= n).all()
    assert (np.diff(n) >= 0).all()


def test_harmonics_agree_with_the_complex_ones():
    directions = np.random.default_rng(1).standard_normal((50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    theta, phi = np.arccos(directions[:, 2]), np.arctan2(directions[:, 1], directions[:, 0])
    ours = zernike.real_harmonics(20, directions)
    for l, m in ((0, 0), (1, 1), (1, -1), (2, 0), (7, 3), (20, -20), (20, 17)):  # noqa: E741
        complex_one = sph_harm_y(l, abs(m), theta, phi) * (-1.0) ** m  # theirs has Condon-Shortley
        part = complex_one.real if m >= 0 else complex_one.imag
        expected = part * (np.sqrt(2) if m else 1)
        np.testing.assert_allclose(ours[:, l * l + l + m], expected, atol=1e-12)


@pytest.mark.parametrize("l", [0, 1, 6, 13])
def test_radial_functions_are_orthonormal(l):  # noqa: E741
    nodes, weights = np.polynomial.legendre.leggauss(60)
    r, w = (nodes + 1) / 2, weights / 2
    functions = np.stack([zernike.radial(n, l, r) for n in range(l, 41, 2)])
    np.testing.assert_allclose((functions * w * r**2) @ functions.T, np.eye(len(functions)),
                               atol=1e-11)
    assert zernike.radial(40 - l % 2, l, np.ones(1))[0] == pytest.approx(
        np.sqrt(2 * (40 - l % 2) + 3))


def test_radial_transform_is_the_bessel_function():
    """The integral of R_nl(r) j_l(x r) r^2 dr is (-1)^((n-l)/2) sqrt(2n+3) j_{n+1}(x) / x."""
    nodes, weights = np.polynomial.legendre.leggauss(80)
    r, w = (nodes + 1) / 2, weights / 2

    def spherical(n, x):
        return np.sqrt(np.pi / (2 * x)) * jv(n + 0.5, x)

    for n, l in ((0, 0), (4, 0), (9, 5), (20, 14)):  # noqa: E741
        for x in (0.7, 6.0, 17.0):
            integral = np.sum(w * r**2 * zernike.radial(n, l, r) * spherical(l, x * r))
            closed = (-1) ** ((n - l) // 2) * np.sqrt(2 * n + 3) * spherical(n + 1, x) / x
            assert integral == pytest.approx(closed, abs=1e-12)


@pytest.mark.parametrize("n_max", [7, 20])
def test_folded_moments_equal_the_dense_sum(n_max):
    maps = _random_maps(2) + 0.1 * _random_maps(2, seed=5)
    points = (np.argwhere(voxels.sphere_mask()) - CENTRE) / CENTRE
    dense = maps[:, voxels.sphere_mask()].astype(np.float64) @ zernike.evaluate_basis(n_max, points)
    ours = _moments(maps, n_max)
    np.testing.assert_allclose(ours, dense / CENTRE**3, atol=1e-5)
    np.testing.assert_allclose(_moments(maps[0], n_max), ours[0], atol=1e-5)


def test_voxels_off_the_sphere_do_not_count():
    outside = np.where(voxels.sphere_mask(), 0.0, 1.0)
    assert np.abs(_moments(outside, 10)).max() == 0


def test_synthesis_inverts_the_moments_of_smooth_maps():
    points = (np.indices((GRID,) * 3).reshape(3, -1).T - CENTRE) / CENTRE
    smooth = np.exp(-np.sum((points - [0.1, -0.2, 0.05]) ** 2, 1) / 0.08).reshape((GRID,) * 3)
    back = jax.jit(zernike.synthesize, static_argnums=1)(_moments(smooth, 20), 20)
    inner = np.linalg.norm(points, axis=1).reshape((GRID,) * 3) < 0.9
    np.testing.assert_allclose(back[inner], smooth[inner], atol=2e-3)


def test_invariants_do_not_turn():
    rng = np.random.default_rng(3)
    centres, widths = 0.12 * rng.standard_normal((5, 3)), rng.uniform(0.02, 0.05, 5)

    def gaussians(rotation):
        points = (np.indices((GRID,) * 3).reshape(3, -1).T - CENTRE) / CENTRE @ rotation
        terms = np.exp(-((points[:, None] - centres) ** 2).sum(-1) / widths)
        return terms.sum(1).reshape((GRID,) * 3)

    there = zernike.rotation_invariants(_moments(gaussians(np.eye(3)), 10), 10)
    turned = zernike.rotation_invariants(_moments(gaussians(_rotation(4)), 10), 10)
    assert there.shape == (36,)
    np.testing.assert_allclose(turned, there, atol=1e-3 * float(there.max()))


@pytest.mark.parametrize("n_max", [6, 40])
def test_turned_moments_are_those_of_the_turned_points(n_max):
    points = np.random.default_rng(2).normal(size=(20, 3))
    points *= 0.8 / np.linalg.norm(points, axis=1).max()
    angles = np.array([[0.4, 1.1, -2.0], [3.0, 0.0, 0.5], [-1.0, np.pi, 0.2]])
    expected = [zernike.evaluate_basis(n_max, points @ Rotation.from_euler("ZYZ", one).as_matrix().T).sum(0)
                for one in angles]
    moments = jnp.asarray(zernike.evaluate_basis(n_max, points).sum(0), jnp.float32)
    turned = zernike.turn_moments(moments, jnp.asarray(angles, jnp.float32), n_max)
    np.testing.assert_allclose(turned, expected, atol=2e-5 * np.abs(expected).max())


def test_moments_have_finite_gradients():
    loss = jax.jit(jax.grad(lambda x: jnp.sum(zernike.moments(x, 8) ** 2)))
    assert np.isfinite(loss(_random_maps(1)[0])).all()
