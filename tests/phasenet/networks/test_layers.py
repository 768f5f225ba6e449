"""The lowerings of phasenet.networks.layers against XLA's direct one and against sums written out in float64."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from phasenet.networks import layers
from phasenet.networks.convolutions import LOWERINGS, correlate

FAST = tuple(name for name in LOWERINGS if name not in ("auto", "direct"))


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def brute_force(x, kernel):
    """conv3d in float64, one voxel offset at a time."""
    taps = kernel.shape[:3]
    x = np.pad(x.astype(np.float64), ((0, 0), *(((k - 1) // 2, k // 2) for k in taps), (0, 0)))
    size = [n - k + 1 for n, k in zip(x.shape[1:4], taps, strict=True)]
    y = np.zeros((x.shape[0], *size, kernel.shape[-1]))
    for t in itertools.product(*map(range, taps)):
        window = tuple(slice(a, a + n) for a, n in zip(t, size, strict=True))
        y += x[(slice(None), *window)] @ kernel[t].astype(np.float64)
    return y


def close(got, expected, terms):
    """Within float32 rounding of a sum of so many terms: relative to its largest result."""
    error = np.abs(np.asarray(got, np.float64) - np.asarray(expected, np.float64)).max()
    assert error <= 3e-7 * np.sqrt(terms) * np.abs(expected).max() + 1e-30


def value_and_gradients(function, x, kernel):
    """Returns y and the gradients of a sum of y with fixed random weights."""

    @jax.jit
    def run(x, kernel):
        y, pull = jax.vjp(function, x, kernel)
        return y, *pull(normal(9, *y.shape).astype(y.dtype))

    return run(x, kernel)


# Thin inputs and outputs, odd and unequal sizes, kernels larger than the grid, even kernels.
SHAPES = [
    ((2, 4, 4, 4), (3, 3, 3), 8, 8),
    ((3, 5, 6, 7), (3, 3, 3), 4, 6),
    ((1, 9, 8, 9), (7, 7, 7), 5, 4),
    ((2, 4, 4, 4), (7, 7, 7), 3, 3),
    ((2, 6, 6, 6), (3, 3, 3), 1, 64),
    ((2, 6, 6, 6), (3, 3, 3), 72, 1),
    ((2, 6, 5, 7), (2, 3, 4), 16, 64),
    ((2, 3, 3, 3), (1, 1, 1), 5, 6),
]


@pytest.mark.parametrize("grid, taps, features_in, features_out", SHAPES)
def test_conv3d_and_its_gradients_are_the_direct_ones(grid, taps, features_in, features_out):
    x, kernel = normal(0, *grid, features_in), normal(1, *taps, features_in, features_out)
    direct = value_and_gradients(functools.partial(layers.conv3d, lowering="direct"), x, kernel)
    volume, count = int(np.prod(taps)), int(np.prod(grid))
    terms = volume * features_in, volume * features_out, count
    exact = brute_force(x, kernel)
    for lowering in FAST:
        ours = value_and_gradients(functools.partial(layers.conv3d, lowering=lowering), x, kernel)
        close(ours[0], exact, terms[0])
        for got, expected, count in zip(ours, direct, terms, strict=True):
            assert got.dtype == jnp.float32
            close(got, expected, count)
    close(layers.conv3d(x, kernel), exact, terms[0])


@pytest.mark.parametrize("lowering", FAST)
def test_many_samples_in_parts_and_large_grids_in_slabs(lowering, monkeypatch):
    monkeypatch.setattr("phasenet.networks.convolutions._STACK_BYTES", 4 * 6**3 * 3 * 8 * 2)
    monkeypatch.setattr("phasenet.networks.convolutions._SLAB_VOXELS", 80)
    monkeypatch.setattr("phasenet.networks.convolutions._MAX_STACKED_TAPS", 1)
    x, kernel = normal(0, 6, 6, 6, 6, 8), normal(1, 3, 3, 3, 8, 8)
    ours = value_and_gradients(functools.partial(layers.conv3d, lowering=lowering), x, kernel)
    direct = value_and_gradients(functools.partial(layers.conv3d, lowering="direct"), x, kernel)
    for got, expected in zip(ours, direct, strict=True):
        close(got, expected, 1296)


@pytest.mark.parametrize("grid, taps", [
    ((5, 11, 10, 9), (3, 2, 3)), ((4, 12, 5, 17), (5, 3, 2)), ((1, 7, 7, 7), (6, 7, 8)), ((3, 16, 9, 3), (7, 1, 3))])
@pytest.mark.parametrize("group_bytes", [1, 2**24])
def test_fourier_space_in_tiles_and_groups(grid, taps, group_bytes, monkeypatch):
    monkeypatch.setattr("phasenet.networks.fourier_convolution._MAX_TRANSFORM_LENGTH", 10)
    monkeypatch.setattr("phasenet.networks.fourier_convolution._GROUP_BYTES", group_bytes)
    x, kernel = normal(0, *grid, 3), normal(1, *taps, 3, 2)
    for padding in (tuple(((k - 1) // 2, k // 2) for k in taps), ((0, 2), (1, 0), (3, 1))):
        ours = value_and_gradients(lambda *a, p=padding: correlate(*a, p, "spectral"), x, kernel)
        direct = value_and_gradients(lambda *a, p=padding: correlate(*a, p, "direct"), x, kernel)
        for got, expected in zip(ours, direct, strict=True):
            assert got.shape == expected.shape
            close(got, expected, 1000)


def test_large_kernels_between_few_channels_go_through_fourier_space():
    def transforms(taps, features_in, features_out):
        x, kernel = normal(0, 1, 8, 8, 8, features_in), normal(1, taps, taps, taps, features_in, features_out)
        return "fft" in str(jax.make_jaxpr(layers.conv3d)(x, kernel))

    assert transforms(7, 20, 20) and transforms(5, 20, 20)
    assert not transforms(3, 20, 20) and not transforms(5, 1, 20) and not transforms(5, 64, 64)


@pytest.mark.parametrize("taps", [(5, 5, 5), (3, 1, 7)])
def test_convolution_of_an_upsampled_map(taps):
    x, kernel = normal(0, 2, 4, 3, 5, 3), normal(1, *taps, 3, 4)
    expected = value_and_gradients(lambda x, k: layers.conv3d(layers.upsample(x), k, lowering="direct"), x, kernel)
    for lowering in ("auto", "direct"):
        function = functools.partial(layers.conv3d_of_upsampled, lowering=lowering)
        for got, want in zip(value_and_gradients(function, x, kernel), expected, strict=True):
            assert got.shape == want.shape
            close(got, want, 400)
    with pytest.raises(ValueError, match="odd"):
        layers.conv3d_of_upsampled(x, normal(1, 3, 4, 3, 3, 4))


def test_correlate_with_unequal_padding():
    x, kernel, padding = normal(0, 1, 5, 5, 5, 3), normal(1, 3, 2, 4, 3, 2), ((0, 2), (1, 0), (3, 1))
    for lowering in FAST:
        ours = value_and_gradients(lambda *a, lowering=lowering: correlate(*a, padding, lowering), x, kernel)
        direct = value_and_gradients(lambda *a: correlate(*a, padding, "direct"), x, kernel)
        for got, expected in zip(ours, direct, strict=True):
            close(got, expected, 100)


@pytest.mark.parametrize("stride, taps", [(2, 5), (2, 4), (2, 1), (3, 3)])
def test_transposed_convolution_is_that_of_lax(stride, taps):
    x, kernel = normal(0, 2, 3, 4, 5, 4), normal(1, taps, taps, taps, 4, 6)

    def reference(x, kernel):
        return lax.conv_transpose(
            x, kernel, (stride,) * 3, "SAME", dimension_numbers=("NDHWC", "DHWIO", "NDHWC"))

    expected = value_and_gradients(reference, x, kernel)
    for lowering in ("auto", "direct"):
        function = functools.partial(layers.conv_transpose3d, stride=stride, lowering=lowering)
        got = value_and_gradients(function, x, kernel)
        assert got[0].shape == (2, 3 * stride, 4 * stride, 5 * stride, 6)
        for a, b in zip(got, expected, strict=True):
            close(a, b, taps**3 * 6)


@pytest.mark.slow
def test_under_vmap_jit_scan_and_second_derivatives():
    x, kernel = normal(0, 2, 2, 4, 4, 4, 2), normal(1, 2, 3, 3, 3, 2, 2)

    def loss(x, kernel, lowering):
        y = layers.conv3d(x, kernel, lowering=lowering)
        return jnp.mean(layers.conv_transpose3d(y, kernel, lowering=lowering) ** 3)

    @functools.partial(jax.jit, static_argnums=2)
    def run(x, kernel, lowering):
        gradient = jax.grad(functools.partial(loss, lowering=lowering), (0, 1))
        per_pair = jax.vmap(gradient)(x, kernel)
        scanned = lax.scan(lambda c, a: (c, gradient(a, kernel[1])), 0, x)[1]
        twice = jax.grad(lambda k: jnp.sum(gradient(x[0], k)[1] ** 2))(kernel[0])
        return per_pair, scanned, twice

    jax.tree.map(lambda a, b: close(a, b, 1000), run(x, kernel, "auto"), run(x, kernel, "direct"))


def test_under_pmap():
    devices = jax.local_device_count()
    x, kernel = normal(0, devices, 1, 4, 4, 4, 2), normal(1, 3, 3, 3, 2, 3)
    got = jax.pmap(layers.conv3d, in_axes=(0, None))(x, kernel)
    close(got, jax.vmap(layers.conv3d, (0, None))(x, kernel), 54)


def test_bfloat16_is_summed_in_float32():
    x, kernel = normal(0, 1, 6, 6, 6, 32), normal(1, 3, 3, 3, 32, 4)
    x, kernel = jnp.asarray(x, jnp.bfloat16), jnp.asarray(kernel, jnp.bfloat16)
    y, by_x, by_kernel = value_and_gradients(layers.conv3d, x, kernel)
    assert {y.dtype, by_x.dtype, by_kernel.dtype} == {jnp.dtype(jnp.bfloat16)}
    exact = brute_force(np.asarray(x), np.asarray(kernel))
    np.testing.assert_allclose(np.asarray(y, np.float64), exact, rtol=2**-8, atol=1e-4)
    assert layers.conv3d(x, kernel.astype(jnp.float32)).dtype == jnp.float32


def test_no_samples():
    assert layers.conv3d(normal(0, 0, 4, 4, 4, 2), normal(1, 3, 3, 3, 2, 3)).shape == (0, 4, 4, 4, 3)


def test_unknown_lowering():
    with pytest.raises(ValueError, match="lowering 'winograd': expected one of auto, direct"):
        layers.conv3d(normal(0, 1, 4, 4, 4, 1), normal(1, 3, 3, 3, 1, 1), lowering="winograd")


def test_pooling_and_upsampling():
    x = normal(0, 2, 4, 6, 8, 3)
    pooled = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 2, 1), (1, 2, 2, 2, 1), "VALID")
    np.testing.assert_array_equal(layers.max_pool(x), pooled)
    gradient = jax.grad(lambda x: layers.max_pool(x).sum())(x)
    np.testing.assert_array_equal(gradient, x == np.asarray(pooled).repeat(2, 1).repeat(2, 2).repeat(2, 3))
    np.testing.assert_array_equal(layers.upsample(x, 3), x.repeat(3, 1).repeat(3, 2).repeat(3, 3))
    np.testing.assert_array_equal(layers.max_pool(layers.upsample(x, 3), 3), x)
    with pytest.raises(ValueError, match="not a multiple of the window 3"):
        layers.max_pool(x, 3)


@pytest.mark.slow
def test_modules():
    x = normal(0, 2, 4, 4, 4, 3)
    module = layers.Conv3D(5, kernel_size=5)
    variables = module.init(jax.random.key(0), x)
    parameters = variables["params"]
    assert jax.tree.map(jnp.shape, parameters) == {"kernel": (5, 5, 5, 3, 5), "bias": (5,)}
    parameters["bias"] += np.arange(5)
    expected = layers.conv3d(x, parameters["kernel"]) + np.arange(5)
    np.testing.assert_allclose(module.apply(variables, x), expected, rtol=1e-6)
    assert layers.Conv3D(5, dtype=jnp.bfloat16).init_with_output(
        jax.random.key(0), x)[0].dtype == jnp.bfloat16

    module = layers.ConvTranspose3D(6, kernel_size=3, stride=3, use_bias=False)
    y, variables = module.init_with_output(jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, variables) == {"params": {"kernel": (3, 3, 3, 3, 6)}}
    assert y.shape == (2, 12, 12, 12, 6)
    # Fresh weights keep the variance of what enters, whichever way the kernel is used.
    wide = normal(1, 1, 6, 6, 6, 64)
    y, _ = layers.Conv3D(64).init_with_output(jax.random.key(1), wide)
    assert 0.7 < float(y[:, 1:-1, 1:-1, 1:-1].std()) < 1.3
