"""The published network: its number of weights, its layers beside a twin written with XLA's own, the variants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from phasenet.networks import published
from phasenet.networks.published import ConvolutionalArchitecture

pytestmark = pytest.mark.optimized

TINY = ConvolutionalArchitecture(features=3, outer_kernel=3, inner_kernel=3, inner_layers=3)


def maps(seed, batch, n=8):
    return np.random.default_rng(seed).standard_normal((batch, n, n, n)).astype(np.float32)


def initialized(architecture, seed=0):
    """Parameters with biases that are not zero, so that a forgotten one shows."""
    network = published.PattersonNetwork(architecture, lowering="direct")  # quicker to compile
    params = jax.jit(network.init)(jax.random.key(seed), maps(0, 1))
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda a: a + 0.1 * rng.standard_normal(a.shape).astype(np.float32) if a.ndim == 1 else a, params)


def count(architecture):
    shapes = jax.eval_shape(lambda: published.PattersonNetwork(architecture).init(jax.random.key(0), maps(0, 1)))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def twin(params, x, skip=False):
    """TINY, written out with lax alone."""
    layers = [params["params"][f"Conv3D_{i}"] for i in range(7)]

    def conv(x, layer):
        return lax.conv_general_dilated(x, layer["kernel"], (1,) * 3, "SAME",
                                        dimension_numbers=("NDHWC", "DHWIO", "NDHWC")) + layer["bias"]

    x = jax.nn.relu(conv(x[..., None], layers[0]))
    before = x = jax.nn.relu(conv(x, layers[1]))
    x = pooled = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 2, 1), (1, 2, 2, 2, 1), "VALID")
    for number, layer in enumerate(layers[2:5], 1):
        x = jax.nn.relu(conv(x, layer))
        if skip and number == 2:
            x = x + pooled
    x = jnp.asarray(np.asarray(x).repeat(2, 1).repeat(2, 2).repeat(2, 3))
    if skip:
        x = x + before
    return jnp.tanh(conv(jax.nn.relu(conv(x, layers[5])), layers[6]))[..., 0]


def test_the_published_number_of_weights():
    assert count(published.PUBLISHED) == published.PUBLISHED_WEIGHTS == 1_202_821
    assert published.PattersonNetwork().architecture == published.PUBLISHED == ConvolutionalArchitecture(20, 5, 7, 8)
    assert count(published.PUBLISHED._replace(skip=True)) == 1_202_821
    assert count(published.PUBLISHED._replace(batch_norm=True)) == 1_202_821 + 2 * 20 * 11


@pytest.mark.slow
@pytest.mark.parametrize("skip", [False, True])
def test_against_a_twin(skip):
    params, x = initialized(TINY), maps(1, 2)
    apply = jax.jit(published.PattersonNetwork(TINY._replace(skip=skip)).apply)
    got = apply(params, x)
    assert got.shape == (2, 8, 8, 8) and np.abs(got).max() <= 1
    np.testing.assert_allclose(got, twin(params, x, skip), atol=1e-5)
    # An answer does not depend on the other maps of its batch.
    np.testing.assert_allclose(apply(params, np.stack([x[0], -x[1]]))[0], got[0], atol=1e-6)


@pytest.mark.slow
def test_he_normal_start():
    wide = ConvolutionalArchitecture(features=40, outer_kernel=3, inner_kernel=3, inner_layers=1)
    params = jax.jit(published.PattersonNetwork(wide, lowering="direct").init)(jax.random.key(1),
                                                                               maps(0, 1, n=2))["params"]
    kernel = params["Conv3D_1"]["kernel"]
    assert float(kernel.std()) == pytest.approx(np.sqrt(2 / (27 * 40)), rel=0.03)
    assert not params["Conv3D_1"]["bias"].any()


def test_batch_normalization():
    x = 3 + 2 * np.random.default_rng(3).standard_normal((2, 4, 4, 4, 3)).astype(np.float32)
    module = published.BatchNormalization()
    params = {"params": {"scale": np.array([1, 2, 1], np.float32), "bias": np.array([0, 0, 5], np.float32)}}
    got = np.asarray(module.apply(params, x))
    np.testing.assert_allclose(got.mean((0, 1, 2, 3)), [0, 0, 5], atol=1e-4)
    np.testing.assert_allclose(got.std((0, 1, 2, 3)), [1, 2, 1], rtol=1e-4)


@pytest.mark.slow
def test_every_variant_runs_and_learns_in_all_its_weights():
    architecture = TINY._replace(batch_norm=True, skip=True)
    params, x = initialized(architecture), maps(4, 2)
    network = published.PattersonNetwork(architecture, lowering="direct")
    answer, gradient = jax.jit(jax.value_and_grad(lambda p: (network.apply(p, x) ** 2).mean()))(params)
    assert np.isfinite(answer)
    # A bias before the normalization cancels; everything else must count.
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        name = jax.tree_util.keystr(path)
        if "bias" not in name or "Batch" in name or "Conv3D_6" in name:
            assert np.abs(leaf).max() > 1e-9, name


@pytest.mark.parametrize("field", ["features", "outer_kernel", "inner_kernel", "inner_layers"])
def test_sizes_that_make_no_network(field):
    published.check_architecture(ConvolutionalArchitecture())
    with pytest.raises(ValueError, match=f"{field}=0: expected a whole number, at least 1"):
        published.check_architecture(ConvolutionalArchitecture()._replace(**{field: 0}))
    with pytest.raises(ValueError, match=f"{field}=2.5: expected a whole number"):
        published.check_architecture(ConvolutionalArchitecture()._replace(**{field: 2.5}))


def test_of_larger_maps_the_window_is_read_and_filled():
    network = published.PattersonNetwork(TINY._replace(window=8), lowering="direct")
    large = maps(3, 2, 16)
    params = jax.jit(network.init)(jax.random.key(1), large)
    found = jax.jit(network.apply)(params, large)
    expected = jax.jit(network.apply)(params, large[:, 4:12, 4:12, 4:12])
    assert found.shape == large.shape
    np.testing.assert_array_equal(found, np.pad(expected, ((0, 0), *((4, 4),) * 3)))
    assert np.abs(expected).min() > 0
    np.testing.assert_array_equal(published.crop_to_window(large, 0), large)


@pytest.mark.parametrize("window", [-4, 6, 8.0])
def test_a_window_is_a_multiple_of_four(window):
    with pytest.raises(ValueError, match=f"window={window}: expected 0 or a multiple of 4"):
        published.check_architecture(TINY._replace(window=window))
