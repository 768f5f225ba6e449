"""The convolution of half maps is that of whole maps, in value and in gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasenet.networks import centrosymmetric_convolution as half_maps
from phasenet.networks import layers


def symmetric(kernel):
    """A kernel that is its own inverse."""
    return (kernel + jnp.flip(kernel, (0, 1, 2))) / 2


def draw(edge, taps, features_in, features_out, count):
    """A half map, a kernel, and weights of the half map that comes out; standard normal."""
    rng = np.random.default_rng(edge)
    shapes = ((count, edge // 2, edge, edge, features_in), (taps,) * 3 + (features_in, features_out),
              (count, edge // 2, edge, edge, features_out))
    return tuple(jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes)


def test_a_half_map_stands_for_a_map_that_is_its_own_inverse():
    half, _, _ = draw(6, 3, 2, 2, 3)
    whole = half_maps.expand(half)
    assert whole.shape == (3, 6, 6, 6, 2)
    np.testing.assert_array_equal(whole, jnp.flip(whole, (1, 2, 3)))
    np.testing.assert_array_equal(whole[:, 3:], half)
    np.testing.assert_array_equal(half_maps.expand(half, 1), whole[:, 2:])


@pytest.mark.parametrize("edge, taps, features_in, features_out, count", [
    (14, 7, 5, 6, 3),
    (8, 5, 4, 4, 2),
    (6, 3, 2, 3, 4),
    (6, 7, 2, 2, 1),  # a kernel wider than the map
])
def test_value_and_gradients_are_those_of_whole_maps(edge, taps, features_in, features_out, count):
    half, kernel, weight = draw(edge, taps, features_in, features_out, count)

    def by_half(half, kernel):
        return (half_maps.correlate_half(half, symmetric(kernel)) * weight).sum()

    def by_whole(half, kernel):
        y = layers.conv3d(half_maps.expand(half), symmetric(kernel), lowering="direct")
        return (y[:, edge // 2:] * weight).sum()

    found, expected = (jax.jit(jax.value_and_grad(function, (0, 1)))(half, kernel) for function in (by_half, by_whole))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5 * float(jnp.abs(other).max()))


def test_maps_are_computed_in_groups_alike(monkeypatch):
    half, kernel, _ = draw(8, 3, 2, 3, 6)
    at_once = half_maps.correlate_half(half, symmetric(kernel))
    monkeypatch.setattr(half_maps, "_GROUP_BYTES", 1)
    np.testing.assert_allclose(half_maps.correlate_half(half, symmetric(kernel)), at_once, rtol=1e-5, atol=1e-5)
