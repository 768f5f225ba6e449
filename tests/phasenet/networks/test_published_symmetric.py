"""The published network with symmetric kernels computes on half maps what it computes on whole ones."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasenet.maps import synthesis
from phasenet.maps.atoms import AtomRules
from phasenet.networks import published, published_symmetric
from phasenet.networks.centrosymmetric_convolution import expand
from phasenet.networks.published import ConvolutionalArchitecture

TINY = ConvolutionalArchitecture(features=5, outer_kernel=5, inner_kernel=7, inner_layers=2)
PROBLEM = synthesis.Problem(grid=12, atoms=AtomRules(num_atoms=2, inner_box=4.0))


@pytest.fixture(scope="module")
def examples():
    keys = jax.random.split(jax.random.key(3), 3)
    return jax.jit(jax.vmap(lambda key: synthesis.make_example(key, PROBLEM)))(keys)


def draw_params(architecture=TINY):
    network = published.PattersonNetwork(architecture, lowering="direct")
    params = jax.jit(network.init)(jax.random.key(1), np.zeros((1, 12, 12, 12), np.float32))
    biases = np.random.default_rng(0).normal(0, 0.05, 100)
    return jax.tree.map(lambda leaf: leaf + biases[:leaf.size] if leaf.ndim == 1 else leaf, params)


@pytest.mark.parametrize("symmetry", ["inversion", "cube"])
@pytest.mark.parametrize("architecture", [TINY, TINY._replace(features=3, outer_kernel=3, inner_kernel=5)])
def test_half_maps_and_gradients_are_those_of_the_whole_network(examples, symmetry, architecture):
    params = published_symmetric.symmetrize_params(draw_params(architecture), symmetry)
    network = published.PattersonNetwork(architecture, lowering="direct")

    def loss_of_whole(params):
        density = network.apply(params, examples.patterson)
        return ((density - examples.target) ** 2).mean(), density

    def loss_of_half(params):
        params = published_symmetric.symmetrize_params(params, symmetry)
        density = published_symmetric.apply_to_half(params, examples.patterson, architecture)
        return ((density - examples.target[:, 6:]) ** 2).mean(), expand(density)

    (loss, density), gradient = jax.jit(jax.value_and_grad(loss_of_half, has_aux=True))(params)
    (expected_loss, expected), whole_gradient = jax.jit(jax.value_and_grad(loss_of_whole, has_aux=True))(params)
    np.testing.assert_allclose(density, expected, atol=2e-5)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-4)
    whole_gradient = published_symmetric.symmetrize_params(whole_gradient, symmetry)
    for one, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(whole_gradient), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3 * float(jnp.abs(other).max()))


def test_a_turned_patterson_map_gives_the_turned_atoms(examples):
    params = published_symmetric.symmetrize_params(draw_params(), "cube")
    apply = jax.jit(lambda maps: expand(published_symmetric.apply_to_half(params, maps, TINY)))
    # Voxel 0 has no inverse on an even grid, and the map is empty there.
    turned = jnp.roll(jnp.flip(examples.patterson.swapaxes(2, 3), 2), 1, 2)
    np.testing.assert_allclose(apply(turned), jnp.flip(apply(examples.patterson).swapaxes(2, 3), 2), atol=2e-5)


def test_kernels_keep_the_symmetry_they_have():
    params = draw_params()
    assert published_symmetric.symmetrize_params(params, "none") is params
    inversion = published_symmetric.symmetrize_params(params, "inversion")
    cube = published_symmetric.symmetrize_params(params, "cube")
    for symmetric, symmetry in ((inversion, "inversion"), (cube, "cube")):
        again = published_symmetric.symmetrize_params(symmetric, symmetry)
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-6), again, symmetric)
    kernel = np.asarray(cube["params"]["Conv3D_1"]["kernel"])
    for order in itertools.permutations(range(3)):
        np.testing.assert_allclose(kernel[::-1].transpose(*order, 3, 4), kernel, atol=1e-6)
    kernel = np.asarray(inversion["params"]["Conv3D_1"]["kernel"])
    assert np.abs(kernel[::-1] - kernel).max() > 0.1  # a mirror is no inversion
    np.testing.assert_allclose(kernel[::-1, ::-1, ::-1], kernel, atol=1e-6)


def test_near_identity_each_layer_hands_on_what_it_gets():
    params = published_symmetric.start_near_identity(jax.tree.map(jnp.zeros_like, draw_params()))["params"]
    for number in range(1, 5):
        kernel = np.array(params[f"Conv3D_{number}"]["kernel"])
        middle = kernel.shape[0] // 2
        np.testing.assert_array_equal(kernel[middle, middle, middle], np.eye(5))
        assert kernel.sum() == 5
    assert not params["Conv3D_0"]["kernel"].any() and not params["Conv3D_5"]["kernel"].any()


@pytest.mark.parametrize("change", [{"skip": True}, {"batch_norm": True}, {"inner_kernel": 4}])
def test_what_cannot_be_computed_by_halves_is_refused(change):
    published_symmetric.check_symmetrizable(TINY)
    with pytest.raises(ValueError, match="symmetric kernels"):
        published_symmetric.check_symmetrizable(TINY._replace(**change))
