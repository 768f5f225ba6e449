"""Correlations, outliers and clusters of models, their Fourier shell correlation, and their spatial discrepancy."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from saxsae.superposition import ensemble, resolution, spatial_discrepancy

GRID = 31


def ball(radius, centre=(0, 0, 0)):
    """1 inside."""
    index = np.indices((GRID,) * 3) - GRID // 2
    return (sum((axis - shift)**2 for axis, shift in zip(index, centre, strict=True)) < radius**2).astype(float)


def noisy(body, seed, noise=0.02):
    return body + noise * np.random.default_rng(seed).normal(size=body.shape)


def test_correlations_are_those_of_numpy():
    maps = np.stack([noisy(ball(8), 0), noisy(ball(9), 1), ball(4, (5, 0, 0))])
    np.testing.assert_allclose(ensemble.pairwise_correlations(maps), np.corrcoef(maps.reshape(3, -1)), atol=1e-12)


def test_a_constant_map_correlates_with_nothing():
    found = ensemble.pairwise_correlations(np.stack([ball(8), np.zeros((GRID,) * 3)]))
    assert found[0, 1] == 0 and np.isfinite(found).all()


def test_the_model_unlike_the_others_is_the_outlier():
    maps = np.stack([noisy(ball(8), seed) for seed in range(9)] + [ball(5, (8, 0, 0))])
    found = ensemble.find_outliers(ensemble.pairwise_correlations(maps))
    assert found.tolist() == [False] * 9 + [True]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_of_few_models_none_is_an_outlier(count):
    maps = np.stack([ball(8)] * (count - 1) + [ball(3, (9, 0, 0))])
    assert not ensemble.find_outliers(ensemble.pairwise_correlations(maps)).any()


def test_two_kinds_of_shapes_are_two_clusters_the_larger_first():
    maps = np.stack([noisy(ball(5, (8, 0, 0)), 0), noisy(ball(8), 1), noisy(ball(8), 2), noisy(ball(5, (8, 0, 0)), 3),
                     noisy(ball(8), 4)])
    correlations = ensemble.pairwise_correlations(maps)
    assert ensemble.find_clusters(correlations, 0.8).tolist() == [1, 0, 0, 1, 0]
    assert ensemble.find_clusters(correlations, -1.0).tolist() == [0] * 5
    assert sorted(ensemble.find_clusters(correlations, 2.0)) == list(range(5))


def test_clusters_are_those_of_average_linkage():
    """Against SciPy, on random correlations."""
    values = np.corrcoef(np.random.default_rng(3).normal(size=(14, 6)))
    joined = hierarchy.average(squareform(1 - values, checks=False))
    for least in (0.2, 0.5, 0.8):
        expected = hierarchy.fcluster(joined, 1 - least, "distance")
        found = ensemble.find_clusters(values, least)
        assert len(set(zip(expected, found, strict=True))) == len(set(expected)) == len(set(found))


def test_a_single_model_has_no_resolution_and_one_cluster():
    found = ensemble.describe(ball(8)[None], 2.0, 0.5)
    assert np.isnan(found.resolution_angstrom).all() and found.clusters.tolist() == [0]


def test_the_shell_correlation_of_equal_maps_is_one_and_of_noise_none():
    body = ball(9)
    frequency, same = resolution.fourier_shell_correlation(body, 3 * body, 2.0)
    np.testing.assert_allclose(same, 1, atol=1e-12)
    assert frequency[-1] == pytest.approx(15 / (GRID * 2.0))
    _, noise = resolution.fourier_shell_correlation(*np.random.default_rng(0).normal(size=(2, GRID, GRID, GRID)), 2.0)
    assert np.abs(noise[4:]).max() < 0.2


def test_the_shell_correlation_is_the_sum_over_all_coefficients():
    for size in (30, 31):
        a, b = np.random.default_rng(1).normal(size=(2, size, size, size)) + ball(9)[:size, :size, :size]
        _, found = resolution.fourier_shell_correlation(a, b, 1.0)
        index = np.fft.fftfreq(size) * size
        shell = np.rint(np.sqrt(sum(np.meshgrid(*[index**2] * 3, indexing="ij"))))
        fa, fb = np.fft.fftn(a), np.fft.fftn(b)
        for number in (1, 4, 9):
            one, other = fa[shell == number], fb[shell == number]
            expected = (one * other.conj()).sum().real / np.linalg.norm(one) / np.linalg.norm(other)
            assert found[number] == pytest.approx(expected)


def test_a_blur_of_both_maps_does_not_change_the_resolution_and_noise_lowers_it():
    body = ball(9) - ball(4)
    fine = resolution.resolution_of(body, body, 3.0)
    assert fine == pytest.approx(GRID * 3.0 / 15)
    coarse = [resolution.resolution_of(body, noisy(body, 0, noise), 3.0) for noise in (0.3, 1.0, 3.0)]
    assert fine < coarse[0] < coarse[1] < coarse[2]
    one, other = (ndimage.gaussian_filter(noisy(body, seed, 1.0), 0.7, mode="wrap") for seed in (1, 2))
    sharp = resolution.resolution_of(noisy(body, 1, 1.0), noisy(body, 2, 1.0), 3.0)
    assert resolution.resolution_of(one, other, 3.0) == pytest.approx(sharp, rel=0.03)


def test_the_crossing_is_interpolated():
    frequency = np.array([0, 0.01, 0.02, 0.03])
    assert resolution.resolution_at_half(frequency, np.array([1, 1, 0.75, 0.25])) == pytest.approx(1 / 0.025)
    assert resolution.resolution_at_half(frequency, np.array([1, 0.2, 0.9, 0.9])) == pytest.approx(100)


def test_distances_are_those_of_scipy():
    filled = np.random.default_rng(2).random((GRID,) * 3) < 0.01
    np.testing.assert_allclose(spatial_discrepancy.squared_distances(filled),
                               ndimage.distance_transform_edt(~filled)**2)


def test_the_discrepancy_is_zero_of_equal_shapes_and_symmetric():
    found = spatial_discrepancy.pairwise_nsd(np.stack([ball(8), ball(8), ball(10), ball(8, (6, 0, 0))]) > 0.5)
    np.testing.assert_allclose(np.diag(found), 0)
    np.testing.assert_allclose(found, found.T)
    assert found[0, 1] == 0 and 0 < found[0, 2] < found[0, 3]


def test_two_points_apart_have_their_distance_as_discrepancy():
    shapes = np.zeros((2, GRID, GRID, GRID), bool)
    shapes[0, 15, 15, 15] = shapes[1, 15, 15, 19] = True
    assert spatial_discrepancy.pairwise_nsd(shapes)[0, 1] == pytest.approx(4)
