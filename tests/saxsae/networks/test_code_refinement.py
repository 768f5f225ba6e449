"""Refined codes: they climb the correlation, one by one, whatever the decoder."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saxsae.networks import autoencoder, code_refinement, losses
from saxsae.shapes import voxels


@pytest.fixture(scope="module")
def linear():
    """A linear decoder of six numbers, and four maps that it can say exactly."""
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(6, int(voxels.sphere_mask().sum()))).astype(np.float32)
    code = rng.normal(size=(4, 6)).astype(np.float32)

    def decode(latent):
        return autoencoder.scatter_sphere(latent @ basis, autoencoder.EMPTY_LOGIT)
    return decode, code, np.asarray(decode(code) > 0, np.float32)


def correlations(decode, code, maps):
    return np.asarray(losses.binary_correlation(jax.nn.sigmoid(decode(code)), maps, 0.5))


def test_steps_find_the_code_that_made_a_map(linear):
    decode, code, maps = linear
    start = code + 1.5 * np.random.default_rng(1).normal(size=code.shape).astype(np.float32)
    found = code_refinement.refine(decode, start, maps, 0.5, code_refinement.Refinement(60, 0.2))
    assert (correlations(decode, found, maps) > correlations(decode, start, maps)).all()
    assert correlations(decode, found, maps).min() > 0.93


def test_each_map_is_refined_by_itself(linear):
    decode, code, maps = linear
    settings = code_refinement.Refinement(3, 0.2)
    start = np.zeros_like(code)
    together = code_refinement.refine(decode, start, maps, 0.5, settings)
    alone = code_refinement.refine(decode, start[2:3], maps[2:3], 0.5, settings)
    np.testing.assert_allclose(together[2:3], alone, atol=1e-4)


def test_no_steps_leave_the_code(linear):
    decode, code, maps = linear
    assert code_refinement.refine(decode, code, maps, 0.5, code_refinement.Refinement(0)) is code


def test_no_gradient_flows_through_the_steps(linear):
    decode, code, maps = linear

    def total(code):
        return code_refinement.refine(decode, code, maps, 0.5, code_refinement.Refinement(2, 0.1)).sum()
    assert not np.asarray(jax.grad(total)(jnp.asarray(code))).any()
