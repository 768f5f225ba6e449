"""The stated confidence: its intervals hold on data of the same kind, and occupancies become probabilities."""

import numpy as np
import pytest

from saxsae import confidence

COUNT = len(confidence.FEATURES)


def made_structures(count, seed):
    """Features, correlations and resolutions that depend on two of the features, with a scatter."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, COUNT)) * np.linspace(0.5, 3, COUNT) + np.arange(COUNT)
    distance = np.exp(-2.5 + 0.5 * features[:, 0] + 0.2 * rng.normal(size=count))
    resolution = np.exp(3 + 0.05 * (features[:, 5] - 5) + 0.1 * rng.normal(size=count))
    return features, 1 - distance, resolution


@pytest.fixture(scope="module")
def model():
    voxels = np.full(len(confidence.OCCUPANCIES), 1000)
    return confidence.fit(*made_structures(300, 0), voxels, voxels * confidence.OCCUPANCIES**2)


def test_the_intervals_hold_nine_times_of_ten(model):
    features, correlations, resolutions = made_structures(2000, 1)
    stated = [confidence.predict(model, one) for one in features]
    for truth, intervals in ((correlations, [one.expected_correlation_90 for one in stated]),
                             (resolutions, [one.resolution_angstrom_90 for one in stated])):
        low, high = np.array(intervals).T
        assert 0.86 < np.mean((low <= truth) & (truth <= high)) < 0.94


def test_better_features_are_expected_to_be_closer(model):
    at = made_structures(1, 2)[0][0]
    far, near = at.copy(), at.copy()
    far[0], near[0] = 1.0, -1.0
    close, off = confidence.predict(model, near), confidence.predict(model, far)
    assert close.expected_correlation > off.expected_correlation
    for one in (close, off):
        assert one.expected_correlation_90[0] < one.expected_correlation < one.expected_correlation_90[1] <= 1
        assert one.resolution_angstrom_90[0] < one.resolution_angstrom < one.resolution_angstrom_90[1]


def test_features_far_from_all_structures_count_as_the_farthest(model):
    at = made_structures(1, 2)[0][0]
    farther = at.copy()
    at[1], farther[1] = 1e3, 1e6
    assert confidence.predict(model, at) == confidence.predict(model, farther)


def test_occupancies_become_the_share_that_was_filled(model):
    maps = np.zeros((4, 2, 2, 2))
    maps[:2, 0], maps[:, 1, 1] = 0.9, 1.0
    share = confidence.filled_share(maps)
    assert share[0, 0, 0] == 0.5 and share[1, 0, 0] == 0 and share[1, 1, 1] == 1
    np.testing.assert_allclose(confidence.calibrate_occupancy(model, share), share**2, atol=1e-6)


def test_occupancies_never_fall_with_the_share_of_models():
    voxels = np.array([100, 0, 100, 100, 100, 100, 100, 100, 100, 100, 100])
    filled = np.array([0, 0, 30, 20, 40, 50, 60, 70, 80, 90, 100])
    found = confidence.fit(*made_structures(50, 3), voxels, filled).occupancy
    assert (np.diff(found) >= 0).all() and found[1] == 0.1 and found[3] == 0.3


def test_the_features_of_a_result():
    radii = np.array([40.0, 42.0, 38.0])
    values = confidence.measure(np.array([0.9, 0.95, 0.85]), 0.2, 0.5, 1 / 3, 0.2, 20.0, radii)
    found = dict(zip(confidence.FEATURES, values, strict=True))
    assert found["rsc"] == pytest.approx(np.log(0.101)) and found["made_share"] == pytest.approx(1 / 3)
    assert found["q_max_times_rg"] == pytest.approx(np.log(4)) and found["radius_over_rg"] == pytest.approx(2)
