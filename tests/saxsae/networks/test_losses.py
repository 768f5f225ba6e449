"""Cross-entropy and the auto-encoder's correlation, against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saxsae.networks import losses


@pytest.fixture
def maps():
    """Probabilities and binary maps (2, 32, 32, 32), the padding full of what must not count."""
    rng = np.random.default_rng(0)
    occupancy = (rng.random((2, 32, 32, 32)) > 0.7).astype(np.float32)
    probability = np.clip(0.6 * occupancy + 0.4 * rng.random(occupancy.shape), 0, 1).astype(np.float32)
    for axis in (1, 2, 3):
        index = tuple(31 if i == axis else slice(None) for i in range(4))
        occupancy[index], probability[index] = 1.0, 0.0
    return probability, occupancy


def test_cross_entropy_is_the_mean_over_all_voxels(maps):
    probability, occupancy = maps
    probability = np.clip(probability.astype(np.float64), 1e-3, 1 - 1e-3)
    expected = -(occupancy * np.log(probability) + (1 - occupancy) * np.log1p(-probability)).mean()
    logits = np.log(probability / (1 - probability)).astype(np.float32)
    assert losses.cross_entropy(logits, occupancy) == pytest.approx(expected, rel=1e-5)
    assert losses.cross_entropy(jnp.zeros((4, 4, 4)), jnp.ones((4, 4, 4))) == pytest.approx(np.log(2))


def test_cross_entropy_is_finite_however_sure_and_wrong():
    far = jnp.array([-1e4, 1e4])
    value, gradient = jax.value_and_grad(losses.cross_entropy)(far, jnp.array([1.0, 0.0]))
    assert value == pytest.approx(1e4) and np.isfinite(gradient).all()
    assert losses.cross_entropy(far, jnp.array([0.0, 1.0])) == 0


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.62])
def test_correlation_is_pearsons_over_the_31_voxels(maps, threshold):
    probability, occupancy = maps
    found = losses.binary_correlation(probability, occupancy, threshold)
    for one, p, o in zip(found, probability, occupancy, strict=True):
        cut = p[:31, :31, :31] > threshold
        assert one == pytest.approx(np.corrcoef(cut.ravel(), o[:31, :31, :31].ravel())[0, 1], abs=1e-5)
    # Without the padding there, the same.
    np.testing.assert_allclose(
        losses.binary_correlation(probability[:, :31, :31, :31], occupancy[:, :31, :31, :31], threshold), found,
        rtol=1e-6)


def test_correlation_of_what_agrees_is_opposite_or_says_nothing(maps):
    _, occupancy = maps
    inside = occupancy[0, :31, :31, :31]
    assert losses.binary_correlation(inside, inside, 0.5) == pytest.approx(1, abs=1e-5)
    assert losses.binary_correlation(1 - inside, inside, 0.5) == pytest.approx(-1, abs=1e-5)
    empty = np.zeros_like(inside)
    assert losses.binary_correlation(empty, inside, 0.5) == 0
    assert losses.binary_correlation(inside, empty, 0.5) == 0
    assert losses.binary_correlation(inside, 1 - empty, 0.5) == 0
