"""The published auto-encoder's start: a linear path through the decoder, codes by regression, more channels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saxsae.networks import autoencoder, losses, published_start
from saxsae.shapes import principal_components, voxels

LATENT = 5


@pytest.fixture(scope="module")
def blobs():
    """Maps (60, 32, 32, 32) of ellipsoids, and the principal components of their first 40."""
    rng = np.random.default_rng(0)
    x = np.stack(np.meshgrid(*(np.arange(32) - 15,) * 3, indexing="ij"))
    axes = rng.uniform(3, 13, (60, 3, 1, 1, 1))
    maps = ((x / axes) ** 2).sum(1) < 1
    values = maps[:, :31, :31, :31][:, voxels.sphere_mask()].astype(np.float32)
    return maps.astype(np.float32), principal_components.fit_components(values[:40], LATENT), values


@pytest.fixture(scope="module")
def narrow():
    network = autoencoder.make_autoencoder("published", LATENT, width=2)
    return network, jax.jit(network.init)(jax.random.key(0))


def test_the_decoder_starts_as_the_principal_components(blobs, narrow):
    maps, components, values = blobs
    network, params = narrow
    params = params | {"decoder": published_start.linear_decoder(params["decoder"], components)}
    codes = components.encode(values[40:])
    logits = jax.jit(network.decode)(params, codes + published_start._CODE_OFFSET)
    exact = autoencoder.scatter_sphere(components.logits(codes), 0.0)
    inside = np.pad(voxels.sphere_mask(), ((0, 1),) * 3)
    found, wanted = (np.asarray(one)[:, inside] for one in (logits, exact))
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.98  # half of the resolution is lost
    scores = [losses.binary_correlation(one, maps[40:], 0.0).mean() for one in (logits, exact)]
    assert scores[0] > scores[1] - 0.02 and scores[1] > 0.8


def test_the_codes_are_fitted(blobs, narrow):
    maps, components, values = blobs
    network, params = narrow
    features = np.asarray(published_start.compute_features(network.encoder, params["encoder"], maps))
    assert features.shape == (60, 8**3 * 4)
    codes = components.encode(values)
    latent = published_start.fit_dense_layer(features[:40], codes[:40])
    params = params | {"encoder": params["encoder"] | {"latent": latent}}
    found = np.asarray(network.encode(params, maps[40:])) - published_start._CODE_OFFSET
    np.testing.assert_allclose(features[40:] @ latent["kernel"] + latent["bias"] - published_start._CODE_OFFSET, found,
                               atol=1e-3)
    assert np.corrcoef(found[:, 0], codes[40:, 0])[0, 1] > 0.95


def test_a_widened_network_computes_the_same_and_trains_all_channels(blobs, narrow):
    maps = jnp.asarray(blobs[0][:3])
    network, params = narrow
    wide = autoencoder.make_autoencoder("published", LATENT, width=3)
    widened = published_start.widen(jax.jit(wide.init)(jax.random.key(1)), params)

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def gradient_and_logits(params):
        logits = wide.decode(params, wide.encode(params, maps))
        return losses.cross_entropy(logits, maps), logits

    gradient, logits = gradient_and_logits(widened)
    exact = jax.jit(lambda params: network.decode(params, network.encode(params, maps)))(params)
    np.testing.assert_allclose(logits, exact, atol=1e-4)
    # The weights from the new channels to the last layer, and to the code, begin at zero and move.
    assert np.abs(gradient["decoder"]["Conv3D_0"]["kernel"][..., 4:, :]).max() > 0
    new_rows = gradient["encoder"]["latent"]["kernel"].reshape(8**3, 6, LATENT)[:, 4:]
    assert np.abs(new_rows).max() > 0
