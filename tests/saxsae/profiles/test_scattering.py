"""Profiles against closed forms, the exact Debye sum, and under rotation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import spherical_jn

from saxsae.profiles import scattering, zernike
from saxsae.shapes import voxels
from saxsae.shapes.voxels import CENTRE, GRID, SPHERE_FRACTION

R_MAX = 45.0  # A: R = 50 A
_debye = jax.jit(scattering.debye_profile)


@functools.partial(jax.jit, static_argnums=3)
def _profile(occupancy, q, r_max, order):
    moments = zernike.moments(occupancy, order)
    return scattering.profile_from_moments(moments, q, r_max, order)


def _blob(smoothness: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((GRID,) * 3)
    field = gaussian_filter(noise, smoothness)
    field[~voxels.sphere_mask()] = -np.inf
    return (field > np.quantile(field, 0.8)).astype(np.float32)


def _covered_ellipsoid(semi_axes, rotation=None, samples: int = 8) -> np.ndarray:
    """The covered fraction of each voxel, semi-axes in units of R."""
    rotation = np.eye(3) if rotation is None else rotation
    offsets = ((np.indices((samples,) * 3).reshape(3, -1).T + 0.5) / samples - 0.5)
    voxel = np.indices((GRID,) * 3).reshape(3, -1).T - CENTRE
    stretch = (rotation / semi_axes / CENTRE).astype(np.float32)
    centre = (voxel @ stretch).astype(np.float32)
    norm = np.linalg.norm(centre, axis=1)
    covered = (norm < 1).astype(np.float32)
    edge = np.abs(norm - 1) < np.sqrt(3) / 2 / CENTRE / min(semi_axes)
    position = centre[edge, None] + (offsets @ stretch).astype(np.float32)
    covered[edge] = ((position**2).sum(-1) <= 1).mean(-1)
    return covered.reshape((GRID,) * 3)


def _ellipsoid_profile(q, semi_axes):
    """Orientational average of the ellipsoid's squared form factor, by quadrature; I(0) = 1."""
    cosine, weight = np.polynomial.legendre.leggauss(40)
    phi = (np.arange(40) + 0.5) * np.pi / 40
    sine = np.sqrt(1 - cosine**2)
    stretch = np.sqrt((semi_axes[0] * sine[:, None] * np.cos(phi)) ** 2
                      + (semi_axes[1] * sine[:, None] * np.sin(phi)) ** 2
                      + (semi_axes[2] * cosine[:, None]) ** 2)
    x = q[:, None, None] * stretch
    amplitude = 3 * spherical_jn(1, x) / x
    return np.einsum("qcp,c->q", amplitude**2, weight) / (2 * len(phi))


def _rotation(seed: int) -> np.ndarray:
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


def test_bessel_functions():
    x = np.concatenate([[0.0, 1e-6, 1e-2], np.linspace(0.1, 72, 400)])
    reference = np.stack([spherical_jn(n, x) for n in range(42)])
    np.testing.assert_allclose(scattering.spherical_bessel(41, x), reference, atol=1e-13)


def test_interpolated_transforms_and_their_slope():
    x = np.random.default_rng(0).uniform(0, 70, 500).astype(np.float32)
    n, wide = np.arange(41), x.astype(np.float64)[:, None]
    exact = (spherical_jn(n, wide) + spherical_jn(n + 2, wide)) / np.sqrt(2 * n + 3)
    np.testing.assert_allclose(scattering.radial_transforms(x, 40), exact, atol=1e-6)
    slope = (spherical_jn(n, wide, True) + spherical_jn(n + 2, wide, True)) / np.sqrt(2 * n + 3)
    gradient = jax.jit(jax.vmap(jax.jacfwd(lambda x: scattering.radial_transforms(x, 40))))(x)
    np.testing.assert_allclose(gradient, slope, atol=1e-5)
    at_zero = np.asarray(scattering.radial_transforms(jnp.zeros(()), 3))
    np.testing.assert_allclose(at_zero, [1 / np.sqrt(3), 0, 0, 0], atol=1e-7)


@pytest.mark.parametrize("semi_axes", [(0.9, 0.9, 0.9), (0.9, 0.6, 0.35), (0.3, 0.3, 0.95)])
def test_closed_forms(semi_axes):
    """Below 1% wherever I > 1e-3 I(0), up to q h = 0.8; beyond, the lattice aliases.

    Covered fractions are the ellipsoid blurred by the voxel, and each voxel is a cube: its form factor enters twice.
    """
    q = np.linspace(0.002, 0.25, 140).astype(np.float32)
    exact = _ellipsoid_profile(q.astype(np.float64) * R_MAX / 0.9, semi_axes)
    visible = exact > 1e-3
    q, exact = q[visible], exact[visible]
    exact = exact * np.exp(-(q * voxels.pitch(R_MAX)) ** 2 / 6)
    covered = _covered_ellipsoid(np.array(semi_axes))
    order = scattering.choose_order(float(q[-1]), R_MAX)
    profile = _profile(covered, q, R_MAX, order)
    volume = 4 * np.pi / 3 * np.prod(semi_axes)
    np.testing.assert_allclose(profile / volume**2, exact, rtol=0.01)
    np.testing.assert_allclose(profile, _debye(covered, q, R_MAX), rtol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("order,q_r", [(20, 18.0), (30, 27.0), (40, 36.0)])
def test_within_one_percent_of_the_debye_sum(order, q_r):
    q = np.linspace(0.0, q_r * 0.9 / R_MAX, 60).astype(np.float32)
    for seed, smoothness in enumerate((1.2, 2.0, 4.0)):
        blob = _blob(smoothness, seed)
        profile = _profile(blob, q, R_MAX, order)
        np.testing.assert_allclose(profile, _debye(blob, q, R_MAX), rtol=0.01)
    assert scattering.choose_order(float(q[-1]), R_MAX) == order


def test_order_bounds():
    assert scattering.choose_order(0.2, 80) == 20
    assert scattering.choose_order(0.2, 160) == 40
    assert scattering.choose_order(0.2, 300) is None


def test_a_grid_is_not_fitted_beyond_its_own_resolution():
    q = np.linspace(0.01, 0.3, 150)
    assert scattering.resolved_q_max(q, 0.2, 200.0) == 0.2
    assert scattering.resolved_q_max(q, 0.2, 500.0) == pytest.approx(np.pi / voxels.pitch(500.0))
    # Of a short curve or a huge body, 20 points are left; of a shorter one, all.
    assert scattering.resolved_q_max(q, 0.2, 2000.0) == q[19]
    assert scattering.resolved_q_max(q[:7], 0.2, 2000.0) == q[6]
    assert scattering.resolved_q_max(q[:0], 0.2, 2000.0) == pytest.approx(np.pi / voxels.pitch(2000.0))


def test_pair_distances_are_counts_of_voxel_pairs():
    rng = np.random.default_rng(6)
    occupancy = rng.random((GRID,) * 3) < 0.02
    occupancy[0, 0, 0] = occupancy[-1, -1, -1] = occupancy[CENTRE, CENTRE, CENTRE] = True
    where = np.argwhere(occupancy)
    squared = ((where[:, None] - where[None]) ** 2).sum(-1)
    distances, counts = jax.jit(scattering.pair_distances)(occupancy)
    expected = np.bincount(squared.reshape(-1))
    np.testing.assert_allclose(counts, expected[np.rint(np.square(distances)).astype(int)], atol=0.02)
    assert counts.sum() == pytest.approx(len(where) ** 2, rel=1e-5)


def test_debye_sum_is_the_double_sum_over_voxels():
    occupancy = np.zeros((GRID,) * 3, np.float32)
    rng = np.random.default_rng(2)
    filled = rng.integers(0, GRID, (40, 3))
    occupancy[tuple(filled.T)] = rng.random(40)
    where = np.argwhere(occupancy > 0)
    mass, h = occupancy[tuple(where.T)], voxels.pitch(R_MAX)
    distance = h * np.linalg.norm(where[:, None] - where[None], axis=-1)
    q = np.linspace(0, 0.3, 20).astype(np.float32)
    exact = [mass @ np.sinc(k * distance / np.pi) @ mass * np.exp(-(k * h) ** 2 / 12) for k in q]
    ours = _debye(occupancy, q, R_MAX) * CENTRE**6
    np.testing.assert_allclose(ours, exact, rtol=2e-5)


def test_rotation_leaves_the_profile():
    axes, q = np.array([0.85, 0.6, 0.4]), np.linspace(0.01, 0.2, 40).astype(np.float32)
    profiles = [_profile(_covered_ellipsoid(axes, rotation), q, R_MAX, 20)
                for rotation in (np.eye(3), _rotation(1))]
    visible = profiles[0] > 1e-3 * profiles[0][0]
    np.testing.assert_allclose(profiles[1][visible], profiles[0][visible], rtol=0.01)


def test_rotated_moments_give_the_same_profile():
    """The modes of a shell turn among themselves: the basis at turned points spans the shell."""
    points = np.random.default_rng(3).standard_normal((400, 3))
    points *= 0.9 / np.linalg.norm(points, axis=1).max()
    q = np.linspace(0, 0.3, 30).astype(np.float32)
    profile = jax.jit(lambda x: scattering.profile_from_moments(x, q, R_MAX, 20))
    profiles = [profile(zernike.evaluate_basis(20, turned).mean(0).astype(np.float32))
                for turned in (points, points @ _rotation(5))]
    np.testing.assert_allclose(profiles[1], profiles[0], rtol=1e-4)


def test_radius_only_scales_q():
    invariants = jax.jit(lambda x: scattering.shape_invariants(zernike.moments(x, 20), 20))(
        _blob(2.0, 0))
    q = np.linspace(0, 0.15, 20).astype(np.float32)
    profile = jax.jit(scattering.profile_from_invariants)
    one, other = profile(invariants, q, 60.0), profile(invariants, q * 2, 30.0)
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_whole_evaluation_is_batched_and_differentiable():
    q = np.linspace(0.01, 0.2, 16).astype(np.float32)
    weight = np.ones(16, np.float32)

    @jax.jit
    def loss(maps, radii):
        invariants = scattering.shape_invariants(zernike.moments(maps, 20), 20)
        model = jax.vmap(scattering.profile_from_invariants, (0, None, 0))(invariants, q, radii)
        return scattering.chi_squared(model, np.exp(-300 * q**2), weight).sum()

    maps = jnp.stack([_blob(2.0, 0), _blob(3.0, 1)])
    value, slopes = jax.jit(jax.value_and_grad(loss, (0, 1)))(maps, jnp.array([30.0, 40.0]))
    assert np.isfinite(value) and all(np.isfinite(s).all() for s in slopes)
    step = 0.05
    rise = loss(maps, jnp.array([30.0 + step, 40.0])) - loss(maps, jnp.array([30.0 - step, 40.0]))
    assert slopes[1][0] == pytest.approx(float(rise) / (2 * step), rel=0.02)


def test_scale_background_and_chi_squared():
    rng = np.random.default_rng(4)
    model = rng.random((3, 50)).astype(np.float32)
    sigma = rng.uniform(0.01, 0.1, 50)
    observed = 7e4 * model[1] + 30
    weight = (1 / (1e4 * sigma) ** 2).astype(np.float32)
    scale, background = scattering.fit_scale(model, observed, weight, background=True)
    assert scale[1] == pytest.approx(7e4, rel=1e-4) and background[1] == pytest.approx(30, abs=3)
    design = np.stack([model[0], np.ones(50)], 1) / (1e4 * sigma[:, None])
    expected, *_ = np.linalg.lstsq(design, observed / (1e4 * sigma), rcond=None)
    assert scale[0] == pytest.approx(expected[0], rel=1e-3)
    residual = (observed - 7e4 * model[0]) / (1e4 * sigma)
    plain = scattering.fit_scale(model, observed, weight)
    assert plain[1].shape == (3,) and not plain[1].any()
    c = float(plain[0][0])
    by_hand = np.mean(((observed - c * model[0]) / (1e4 * sigma)) ** 2)
    assert scattering.chi_squared(model, observed, weight)[0] == pytest.approx(by_hand, rel=1e-4)
    assert by_hand <= np.mean(residual**2) * (1 + 1e-5)


def test_points_without_weight_do_not_count():
    rng = np.random.default_rng(5)
    model, observed, weight = rng.random((3, 30)).astype(np.float32)
    short = scattering.chi_squared(model, observed, weight)
    pad = np.full(10, np.nan, np.float32)
    padded = scattering.chi_squared(np.append(model, np.ones(10)), np.append(observed, pad),
                                    np.append(weight, np.zeros(10)))
    assert padded == pytest.approx(float(short), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("largest", [1.0, np.pi, 2 * np.pi, 30.0])
def test_debye_profiles_of_many_shapes_are_exact(largest):
    """Against a sum in float64; beyond q h = 2 pi only relative to I(0), of which less than 1e-3 is left."""
    shapes = np.stack([_blob(1.2, 0), _blob(4.0, 1)])
    q = np.linspace(0.0, 1.0, 50).astype(np.float32)
    x = largest * np.array([[1.0, 0.73], [0.4, 1.0]])  # q h at q = 1
    found = np.asarray(jax.jit(scattering.debye_profiles)(shapes, q, CENTRE * SPHERE_FRACTION * x.astype(np.float32)))
    for p, shape in enumerate(shapes):
        counts = np.abs(np.fft.fftn(shape, (64,) * 3, (0, 1, 2))) ** 2
        counts = np.rint(np.fft.ifftn(counts).real)
        lag = np.fft.fftfreq(64, 1 / 64)
        distance = np.sqrt(lag[:, None, None] ** 2 + lag[:, None] ** 2 + lag**2)
        distance, index = np.unique(distance.reshape(-1), return_inverse=True)
        counts = np.bincount(index, counts.reshape(-1)) / CENTRE**6
        for s in range(2):
            q_h = np.asarray(q, np.float64) * x[p, s]
            exact = np.sinc(np.outer(q_h, distance) / np.pi) @ counts * np.exp(-(q_h**2) / 12)
            np.testing.assert_allclose(found[p, s], exact, rtol=5e-4 if largest < 7 else 0, atol=2e-4 * exact[0]
                                       if largest > 7 else 0)
