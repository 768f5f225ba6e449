"""The auto-encoders: the published one's counts, the lean one's cost and beginning, shapes and gradients."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saxsae.networks import autoencoder, losses
from saxsae.shapes import voxels


def count(params) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def shapes(kind, latent_size=200):
    return jax.eval_shape(autoencoder.make_autoencoder(kind, latent_size).init, jax.random.key(0))


def flops(kind) -> tuple[float, float]:
    """(encoder, decoder) operations for one map, as XLA counts them before it optimizes anything."""
    network = autoencoder.make_autoencoder(kind, lowering="direct")
    params = shapes(kind)
    occupancy = jax.ShapeDtypeStruct((1, 32, 32, 32), jnp.float32)
    latent = jax.ShapeDtypeStruct((1, 200), jnp.float32)
    return tuple(jax.jit(function).lower(params, argument).cost_analysis()["flops"]
                 for function, argument in ((network.encode, occupancy), (network.decode, latent)))


@pytest.fixture(scope="module")
def lean():
    network = autoencoder.make_autoencoder("lean", 12)
    return network, network.init(jax.random.key(1))


def test_the_published_network_has_the_published_numbers():
    # Seven 3^3 convolutions of 64, 64, 128, 128, 128, 128, 128 channels; 65,536 values to the latent.
    widths = (1, 64, 64, 128, 128, 128, 128, 128)
    convolutions = sum(27 * a * b + b for a, b in itertools.pairwise(widths))
    for latent_size in (200, 3000):
        params = shapes("published", latent_size)
        assert count(params["encoder"]) == convolutions + 65536 * latent_size + latent_size
        assert count(params["decoder"]) == (latent_size + 1) * 16384 + (125 * 32 + 1) * 64 + (125 * 64 + 1) * 128 + (
            27 * 128 + 1)
    params = shapes("published")
    assert count(params["encoder"]) == 15_211_144
    assert count(params["decoder"]) == 4_576_833


@pytest.mark.parametrize("kind", ["published", "lean"])
def test_shapes(kind):
    network = autoencoder.make_autoencoder(kind, 7)
    params = shapes(kind, 7)
    occupancy = jax.ShapeDtypeStruct((3, 32, 32, 32), jnp.float32)
    latent = jax.eval_shape(network.encode, params, occupancy)
    logits = jax.eval_shape(network.decode, params, latent)
    assert latent.shape == (3, 7) and logits.shape == (3, 32, 32, 32)
    assert latent.dtype == logits.dtype == jnp.float32


def test_the_lean_network_is_lean():
    encoder, decoder = flops("published")
    # Nearly all of it is the two transposed convolutions: each of their inputs meets each tap once.
    assert decoder == pytest.approx(2 * (8**3 * 32 * 64 + 16**3 * 64 * 128) * 125, rel=0.25)
    lean_encoder, lean_decoder = flops("lean")
    assert lean_encoder + lean_decoder <= (encoder + decoder) / 20
    assert lean_decoder <= decoder / 100


def test_the_published_encoder_ends_in_a_relu():
    # On maps of 8^3, which it takes as well: at 32^3 a CPU compiles and computes for long.
    encoder = autoencoder.PublishedEncoder(40, lowering="direct")
    maps = jax.random.uniform(jax.random.key(1), (2, 8, 8, 8))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: 0.05 * rng.standard_normal(leaf.shape, np.float32),
                             jax.eval_shape(encoder.init, jax.random.key(0), maps))
    latent = jax.jit(encoder.apply)(variables, maps)
    assert latent.shape == (2, 40) and (latent >= 0).all() and 0 < (latent == 0).mean() < 1


def test_the_lean_network_starts_as_a_linear_code(lean):
    """Its corrections are zero at first: both ways are affine, and the linear layers alone decide."""
    network, params = lean
    key_a, key_b = jax.random.split(jax.random.key(2))
    inside = voxels.pad(jnp.asarray(voxels.sphere_mask(), jnp.float32))
    a, b = (jax.random.uniform(key, (2, 32, 32, 32)) * inside for key in (key_a, key_b))
    encode = jax.jit(network.encode)
    linear = params["encoder"]["linear"]
    np.testing.assert_allclose(encode(params, a), autoencoder.pool_blocks(a) @ linear["kernel"] + linear["bias"],
                               rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(encode(params, (a + b) / 2), (encode(params, a) + encode(params, b)) / 2, atol=1e-5)
    latent = jax.random.normal(key_a, (2, 12))
    linear = params["decoder"]["linear"]
    expected = latent @ linear["kernel"] + linear["bias"]
    logits = np.asarray(jax.jit(network.decode)(params, latent))
    np.testing.assert_allclose(logits[:, :31, :31, :31][:, voxels.sphere_mask()], expected, rtol=1e-4, atol=1e-5)


def test_the_lean_network_fills_nothing_outside_the_sphere(lean):
    network, params = lean
    logits = np.asarray(network.decode(params, 10 * jax.random.normal(jax.random.key(0), (2, 12))))
    outside = ~np.pad(voxels.sphere_mask(), ((0, 1),) * 3)
    assert (logits[:, outside] == autoencoder.EMPTY_LOGIT).all()


def test_examples_of_a_batch_do_not_meet(lean, lobed_maps):
    network, params = lean
    maps = voxels.pad(lobed_maps[:3])
    together = network.decode(params, network.encode(params, maps))
    for one, expected in zip(maps, together, strict=True):
        np.testing.assert_allclose(network.decode(params, network.encode(params, one[None]))[0], expected,
                                   rtol=1e-4, atol=1e-4)


def test_every_parameter_of_the_lean_network_learns(lean, lobed_maps):
    network, params = lean
    # At the very start the corrections are zero, and so is the gradient of what leads to them.
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + 0.01 * rng.standard_normal(leaf.shape, np.float32), params)
    maps = voxels.pad(lobed_maps[:4])
    gradient = jax.jit(jax.grad(
        lambda params: losses.cross_entropy(network.decode(params, network.encode(params, maps)), maps)))(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0, jax.tree_util.keystr(path)


def test_pooling_and_scattering_keep_their_voxels():
    values = jnp.arange(2 * 14147, dtype=jnp.float32).reshape(2, -1)
    maps = np.asarray(autoencoder.scatter_sphere(values, -1.0))
    np.testing.assert_array_equal(maps[:, :31, :31, :31][:, voxels.sphere_mask()], values)
    assert (maps == -1).sum() == 2 * (32**3 - 14147)
    blocks = np.asarray(autoencoder.pool_blocks(jnp.asarray(maps)))
    assert blocks.shape == (2, autoencoder.pooled_mask().sum())
    place = np.argwhere(autoencoder.pooled_mask())[100]
    corner = tuple(slice(2 * i, 2 * i + 2) for i in place)
    assert blocks[1, 100] == pytest.approx(maps[1][corner].mean())


def test_an_unknown_name_is_told():
    with pytest.raises(ValueError, match="'published' or 'lean'"):
        autoencoder.make_autoencoder("vast")
