"""The correlation of a reconstruction, and the baselines that it is reported beside."""

import jax
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from saxsae.profiles import scattering, zernike
from saxsae.shapes import voxels
from saxsae.superposition import baselines, metrics

pytestmark = pytest.mark.optimized


def _protein(count: int = 900, seed: int = 0) -> np.ndarray:
    """Atoms that fill three overlapping balls, A."""
    rng = np.random.default_rng(seed)
    centres, radii = rng.uniform(-18, 18, (3, 3)), rng.uniform(8, 14, 3)
    points = rng.uniform(-35, 35, (60 * count, 3))
    inside = (np.linalg.norm(points[:, None] - centres, axis=-1) < radii).any(1)
    points = points[inside][:count]
    return points - points.mean(0)


def _radius(xyz) -> float:
    return float(np.linalg.norm(xyz - xyz.mean(0), axis=1).max())


def test_pearson():
    a, b = np.random.default_rng(0).standard_normal((2, 50))
    assert metrics.pearson(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-6)
    assert metrics.pearson(a, np.ones(50)) == 0


def test_truth_is_the_blurred_histogram_of_the_weighted_atoms():
    xyz = _protein(2500)
    weights = np.random.default_rng(1).choice([6, 7, 8, 16], 2500)
    r_max = _radius(xyz)
    truth = np.asarray(metrics.truth_density(xyz + 100.0, weights, r_max))
    assert truth.shape == (32,) * 3
    assert truth.sum() == pytest.approx(weights.sum(), rel=1e-4)
    fine = 6
    side = metrics.TRUTH_SIDE * r_max
    histogram, _ = np.histogramdd(xyz, bins=32 * fine, range=[(-side / 2, side / 2)] * 3,
                                  weights=weights)
    blurred = gaussian_filter(histogram, metrics.TRUTH_SIGMA_ANGSTROM / (side / 32 / fine))
    reference = blurred.reshape(32, fine, 32, fine, 32, fine).sum((1, 3, 5))
    np.testing.assert_allclose(truth, reference, atol=0.02 * reference.max())


@pytest.mark.slow
def test_own_voxels_correlate_whatever_their_pose():
    xyz = _protein()
    weights, r_max = np.full(len(xyz), 7), _radius(xyz)
    turned = xyz @ Rotation.random(random_state=2).as_matrix().T * [1, 1, -1]
    occupancy, radius = voxels.voxelize_structure(turned)
    own, _ = voxels.voxelize_structure(xyz)
    found, same = (metrics.reconstruction_correlation(x, voxels.pitch(radius), xyz, weights, r_max)
                   for x in (occupancy, own))
    assert same.correlation > 0.93
    assert found.correlation == pytest.approx(float(same.correlation), abs=0.01)
    assert found.mirrored and not same.mirrored


def test_size_errors_count():
    xyz = _protein()
    weights, r_max = np.full(len(xyz), 7), _radius(xyz)
    occupancy, _ = voxels.voxelize_structure(xyz)
    truth = metrics.truth_density(xyz, weights, r_max)
    right, small, large = (
        float(metrics.correlation_with_truth(occupancy, s * voxels.pitch(r_max), truth, r_max)
              .correlation) for s in (1.0, 0.8, 1.25))
    assert right > small + 0.02 and right > large + 0.02


def test_baseline_maps_have_their_size():
    sphere, pitch = baselines.sphere_map(20.0, 0.0)
    points = (np.moveaxis(np.indices(sphere.shape), 0, -1) - 15) * pitch
    rg = np.sqrt((sphere * (points**2).sum(-1)).sum() / sphere.sum())
    assert rg == pytest.approx(20.0, rel=0.01)
    ellipsoid, pitch = baselines.ellipsoid_map((50, 30, 20), 0.0)
    assert pitch == pytest.approx(voxels.pitch(50))
    assert ellipsoid.sum() * pitch**3 == pytest.approx(4 / 3 * np.pi * 30000, rel=0.01)
    assert ellipsoid[15, 15, 15] == 1 and ellipsoid[0, 15, 15] == 0


def test_blur_keeps_the_mass_and_adds_to_the_radius():
    blurred, pitch = baselines.sphere_map(15.0)
    points = (np.moveaxis(np.indices(blurred.shape), 0, -1) - 15) * pitch
    assert blurred.sum() * pitch**3 == pytest.approx(
        4 / 3 * np.pi * (np.sqrt(5 / 3) * 15) ** 3, rel=0.01)
    rg_squared = (blurred * (points**2).sum(-1)).sum() / blurred.sum()
    assert rg_squared == pytest.approx(15**2 + 3 * metrics.TRUTH_SIGMA_ANGSTROM**2, rel=0.02)


def test_inertia_ellipsoid_of_an_ellipsoid():
    rng = np.random.default_rng(3)
    points = rng.uniform(-1, 1, (200000, 3))
    points = points[(points**2).sum(1) < 1] * [40, 25, 10]
    points = points @ Rotation.random(random_state=4).as_matrix()
    axes = baselines.inertia_semi_axes(points + 7, np.ones(len(points)))
    np.testing.assert_allclose(axes, [40, 25, 10], rtol=0.01)


def test_ellipsoid_profile_agrees_with_its_voxels():
    axes = np.array([45.0, 30.0, 20.0])
    q = np.linspace(0.0, 0.15, 40).astype(np.float32)
    occupancy, pitch = baselines.ellipsoid_map(axes, 0.0)
    profile = jax.jit(lambda x: scattering.profile_from_moments(
        zernike.moments(x, 20), q, 45.0, 20))(occupancy)
    analytic = jax.jit(baselines.ellipsoid_profile)(axes, q) * np.exp(-(q * pitch) ** 2 / 6)
    visible = np.asarray(analytic) > 3e-3
    np.testing.assert_allclose((profile / profile[0])[visible], analytic[visible], rtol=0.015)


@pytest.mark.parametrize("axes", [(60, 30, 20), (90, 20, 20), (45, 44, 12)])
def test_ellipsoids_are_found_from_their_curves(axes):
    q = np.linspace(0.01, 0.2, 100).astype(np.float32)
    profile = jax.jit(baselines.ellipsoid_profile)
    clean = 1e5 * np.asarray(profile(np.array(axes, np.float32), q), np.float64)
    sigma = 0.01 * clean + 20
    noisy = clean + sigma * np.random.default_rng(5).standard_normal(100)
    rg = np.sqrt(np.sum(np.square(axes)) / 5)
    fit = baselines.fit_ellipsoid(q, noisy, 1 / sigma**2, 0.95 * rg)
    assert fit.chi_squared < 1.3
    np.testing.assert_allclose(fit.semi_axes, axes, rtol=0.08)
    np.testing.assert_allclose(fit.profile, clean, atol=0.02 * clean.max())


@pytest.mark.parametrize("name", ["SASDA54", "SASDAG7"])
def test_published_reconstructions_are_found_on_their_models(data_dir, name):
    """The published correlations of these two bead models, 0.918 and 0.93, in this metric."""
    references = np.load(data_dir / "decodesaxs" / "reference_models.npz")
    maps = np.load(data_dir / "decodesaxs" / "published_maps.npz")
    row = list(references["names"]).index(name)
    begin, end = references["offsets"][row:row + 2]
    xyz = 0.1 * references["xyz"][begin:end]
    row = list(maps["names"]).index(name)
    found = metrics.reconstruction_correlation(
        maps["map_withrmax"][row], maps["cell_withrmax"][row] / 31, xyz, np.ones(len(xyz)),
        _radius(xyz))
    assert found.correlation > 0.92
