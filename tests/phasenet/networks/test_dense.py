"""The dense network: what it reads, what it writes, and what sizes it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasenet.networks.dense import DenseArchitecture, DensePattersonNetwork, check_dense

ARCHITECTURE = DenseArchitecture(width=8, blocks=2, patterson_reach=3, density_reach=2)


@pytest.fixture(scope="module")
def network():
    """(apply, params); the last layer starts at zero, so all parameters are drawn anew."""
    net = DensePattersonNetwork(ARCHITECTURE)
    params = net.init(jax.random.key(0), jnp.zeros((1, 8, 8, 8)))
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    drawn = [0.3 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
    return jax.jit(net.apply), jax.tree.unflatten(structure, drawn)


def test_the_answer_is_centrosymmetric_bounded_and_zero_far_out(network):
    apply, params = network
    answer = np.asarray(apply(params, jax.random.normal(jax.random.key(2), (2, 8, 8, 8))))
    assert answer.shape == (2, 8, 8, 8) and np.ptp(answer) > 0.1 and np.abs(answer).max() <= 1
    np.testing.assert_array_equal(answer, answer[:, ::-1, ::-1, ::-1])
    inside = answer[:, 2:6, 2:6, 2:6]
    assert inside.all() and np.count_nonzero(answer) == inside.size


def test_it_reads_half_of_what_is_near_the_origin_and_not_the_origin(network):
    apply, params = network
    gradient = jax.jit(jax.grad(lambda x: jnp.square(apply(params, x)).sum()))
    slope = np.asarray(gradient(jax.random.normal(jax.random.key(3), (1, 8, 8, 8))))[0]
    assert slope[4, 4, 4] == 0 and not slope[0].any() and not slope[:, 0].any()  # voxel 4 is the origin
    read = slope[1:, 1:, 1:] != 0
    assert read.sum() == (7**3 - 1) / 2 and not (read & read[::-1, ::-1, ::-1]).any()


def test_the_grid_does_not_matter(network):
    apply, params = network
    small = jax.random.normal(jax.random.key(4), (1, 8, 8, 8))
    large = jnp.pad(small, ((0, 0),) + ((4, 4),) * 3)
    np.testing.assert_array_equal(apply(params, large)[:, 4:12, 4:12, 4:12], apply(params, small))


def test_a_fresh_network_answers_nothing():
    net = DensePattersonNetwork(ARCHITECTURE)
    params = net.init(jax.random.key(0), jnp.zeros((1, 8, 8, 8)))
    assert not net.apply(params, jnp.ones((1, 8, 8, 8))).any()


def test_sizes_that_make_no_network():
    for name in ("width", "patterson_reach", "density_reach"):
        with pytest.raises(ValueError, match=f"{name}=0"):
            check_dense(ARCHITECTURE._replace(**{name: 0}))
    check_dense(ARCHITECTURE._replace(blocks=0))
    for name, reach in (("patterson_reach", 4), ("density_reach", 5)):
        net = DensePattersonNetwork(ARCHITECTURE._replace(**{name: reach}))
        with pytest.raises(ValueError, match=f"{name}={reach}: expected .* half the map's edge of 8 voxels"):
            jax.eval_shape(lambda net=net: net.init(jax.random.key(0), jnp.zeros((1, 8, 8, 8))))
