"""3D correlation of stride 1, computed for XLA's CPU backend as 2D convolutions or Fourier transforms.

That backend runs 2D convolutions and matrix products near the processor's peak, and 3D convolutions at a tenth of it.
A *lowering* is one way to compute the same sums; all agree to float32 rounding. For a kernel of kd * kh * kw taps:

1. "direct": XLA's own 3D convolution.
2. "gather": kd shifted copies of the input are stacked as channels; a 2D convolution sums over kd * Cin channels.
3. "scatter": a 2D convolution makes kd * Cout channels; kd shifted parts of them are added.
4. "spectral": products of Fourier coefficients (`fourier_convolution`), for large kernels between few channels.
5. "auto": "direct" on a GPU or TPU; on a CPU the fastest of the others for the kernel's shape.

`layers` calls `correlate`.
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from phasenet.networks import fourier_convolution
from phasenet.networks.fourier_convolution import Padding

LOWERINGS = ("auto", "direct", "gather", "scatter", "spectral")

# Shifted copies are stacked for as many samples at a time as fit in this size. Larger stacks leave the cache and take
# fresh pages of memory at each call: 1.3 to 5 times slower from 32 MB on.
_STACK_BYTES = 16 * 2**20

# Voxels in one matrix product of the kernel's gradient: fewer make the products small, more leave the cache.
# Measured at 512 / 2048 / 8192: 120 / 93 / 67 GFLOP/s per core for 20 -> 20 channels, 7^3 taps;
# 115 / 115 / 82 for 64 -> 64, 3^3; 117 / 122 / 108 for 128 -> 128, 3^3.
_SLAB_VOXELS = 1024

# Up to this product of input channels and taps, the kernel's gradient is one matrix product over all taps.
_MAX_STACKED_TAPS = 128


def correlate(
    x: jax.Array, kernel: jax.Array, padding: Padding, lowering: str = "auto"
) -> jax.Array:
    """Returns the correlation y[o] = sum_t x[o + t - low] kernel[t], where x is zero outside its grid.

    Sums are in float32 at least, also for bfloat16. All lowerings but "direct" have reverse mode only, no `jax.jvp`.

    Args:
      x: (N, D, H, W, Cin).
      kernel: (kd, kh, kw, Cin, Cout).
      padding: numbers of zeros (low, high) before and after each of the three axes.
      lowering: one of `LOWERINGS`.

    Returns:
      (N, D + low + high - kd + 1, ..., Cout), of the promoted type of `x` and `kernel`.

    Raises:
      ValueError: the lowering is unknown.
    """
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    if resolve_lowering(lowering) == "direct":
        return lax.conv_general_dilated(
            x.astype(dtype), kernel.astype(dtype), (1, 1, 1), padding,
            dimension_numbers=("NDHWC", "DHWIO", "NDHWC"))
    sum_dtype = jnp.promote_types(dtype, jnp.float32)
    x, kernel = x.astype(sum_dtype), kernel.astype(sum_dtype)
    if lowering == "spectral" or lowering == "auto" and _is_spectral(kernel.shape):
        return fourier_convolution.correlate(x, kernel, padding).astype(dtype)
    padding = tuple((int(low), int(high)) for low, high in padding)
    return _correlate(x, kernel, padding, lowering).astype(dtype)


def resolve_lowering(lowering: str) -> str:
    """Returns the lowering, with "auto" replaced by "direct" on a GPU or TPU, where XLA's own is fast.

    Raises:
      ValueError: the lowering is unknown.
    """
    if lowering not in LOWERINGS:
        raise ValueError(f"lowering {lowering!r}: expected one of {', '.join(LOWERINGS)}")
    if lowering == "auto" and jax.default_backend() != "cpu":
        return "direct"
    return lowering


def _is_spectral(kernel_shape: Sequence[int]) -> bool:
    """Returns whether "spectral" is the fastest lowering for a kernel shape (kd, kh, kw, Cin, Cout).

    Measured for 4 samples or more, the time of value and gradients relative to stacked taps: with 20 -> 20 channels 0.3
    for 7^3 taps on 20^3 voxels, 0.5 for 5^3 on 20^3, 0.4 for 5^3 on 40^3, 2.0 for 3^3 on 20^3; with 4 -> 4 channels 0.2
    for 7^3 taps; with 5^3 taps 0.6 for 32 -> 32 channels, 2.5 for 64 -> 64, 2.7 for 20 -> 1, 1.1 for 1 -> 20.
    """
    *taps, features_in, features_out = kernel_shape
    return math.prod(taps) >= 125 and min(features_in, features_out) >= 4 and features_in * features_out <= 1024


def _choose_stacking(kernel_shape: Sequence[int]) -> str:
    """Returns the faster of "gather" and "scatter" for a kernel shape (kd, kh, kw, Cin, Cout).

    "gather" moves kd * Cin numbers per voxel and "scatter" 2 kd * Cout; with few output channels, the matrix product
    within the 2D convolution is small and slow. Measured for 3^3, 5^3 and 7^3 taps on 16^3 to 40^3 voxels, GFLOP/s per
    core, gather / scatter: 1 -> 64 channels 90 / 9; 8 -> 32 164 / 90; 64 -> 64 137 / 121; 64 -> 32 98 / 117;
    64 -> 4 22 / 107; 128 -> 1 3 / 65; 20 -> 20 at 7^3 103 / 159.
    """
    features_in, features_out = kernel_shape[-2:]
    return "scatter" if features_out <= features_in and features_out < 64 else "gather"


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _correlate(x: jax.Array, kernel: jax.Array, padding: Padding, lowering: str) -> jax.Array:
    """Returns `correlate` by stacked taps, as many samples at a time as fit the cache."""
    stacking = _choose_stacking(kernel.shape) if lowering == "auto" else lowering
    one_sample = functools.partial(_GATHER_OR_SCATTER[stacking], kernel=kernel, padding=padding)
    stacked_channels = kernel.shape[0] * kernel.shape[-2 if stacking == "gather" else -1]
    sample_bytes = math.prod(x.shape[1:4]) * stacked_channels * x.dtype.itemsize
    batch = fourier_convolution.largest_divisor(x.shape[0], _STACK_BYTES // max(1, sample_bytes))
    if batch == x.shape[0]:
        return jax.vmap(one_sample)(x)
    return lax.map(one_sample, x, batch_size=batch)


def _gather(x: jax.Array, kernel: jax.Array, padding: Padding) -> jax.Array:
    """Returns the correlation of one sample, (D, H, W, Cin) to (D', H', W', Cout), by stacked inputs."""
    kd, kh, kw, features_in, features_out = kernel.shape
    stacked = _stack_taps(jnp.pad(x, (padding[0], (0, 0), (0, 0), (0, 0))), kd, 0)
    flat = kernel.transpose(1, 2, 0, 3, 4).reshape(kh, kw, kd * features_in, features_out)
    return _correlate2d(stacked, flat, padding[1:])


def _scatter(x: jax.Array, kernel: jax.Array, padding: Padding) -> jax.Array:
    """Returns the correlation of one sample, (D, H, W, Cin) to (D', H', W', Cout), by stacked outputs."""
    kd, kh, kw, features_in, features_out = kernel.shape
    flat = kernel.transpose(1, 2, 3, 0, 4).reshape(kh, kw, features_in, kd * features_out)
    parts = _correlate2d(x, flat, padding[1:])
    parts = jnp.pad(parts, (padding[0], (0, 0), (0, 0), (0, 0)))
    depth = parts.shape[0] - kd + 1
    return jnp.asarray(sum(parts[t:t + depth, ..., t * features_out:(t + 1) * features_out] for t in range(kd)))


_GATHER_OR_SCATTER = {"gather": _gather, "scatter": _scatter}


def _correlate2d(x: jax.Array, kernel: jax.Array, padding: Sequence[tuple[int, int]]) -> jax.Array:
    """Returns the 2D correlation (N, H', W', Cout) of (N, H, W, Cin) and (kh, kw, Cin, Cout)."""
    return lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _stack_taps(x: jax.Array, taps: int, axis: int) -> jax.Array:
    """Returns copies of x shifted by 0, 1, ... along `axis`, stacked along the channels in the order (taps, C).

    The axis becomes shorter by taps - 1.
    """
    length = x.shape[axis] - taps + 1
    shifted = [lax.slice_in_dim(x, t, t + length, axis=axis) for t in range(taps)]
    return jnp.concatenate(shifted, axis=-1)


def _forward(x: jax.Array, kernel: jax.Array, padding: Padding, lowering: str,
             ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Returns the correlation, and the arrays that `_backward` needs."""
    return _correlate(x, kernel, padding, lowering), (x, kernel)


def _backward(padding: Padding, lowering: str, residuals: tuple[jax.Array, jax.Array], gradient: jax.Array,
              ) -> tuple[jax.Array, jax.Array]:
    """Returns the gradients by x and by the kernel from the gradient by y."""
    x, kernel = residuals
    # The gradient by x is the correlation with the mirrored kernel.
    mirrored = kernel[::-1, ::-1, ::-1].swapaxes(-1, -2)
    x_gradient = _correlate(gradient, mirrored, _mirror_padding(padding, kernel.shape), lowering)
    return x_gradient, _kernel_gradient(x, gradient, kernel.shape[:3], padding)


_correlate.defvjp(_forward, _backward)


def _mirror_padding(padding: Padding, kernel_shape: Sequence[int]) -> Padding:
    """Returns the padding with which the mirrored kernel leads from the grid of y back to that of x."""
    return tuple((k - 1 - low, k - 1 - high) for k, (low, high) in zip(kernel_shape[:3], padding, strict=True))


def _kernel_gradient(
    x: jax.Array, gradient: jax.Array, taps: Sequence[int], padding: Padding
) -> jax.Array:
    """Returns the gradient by the kernel, (*taps, Cin, Cout): the sum of x[o + t - low] gradient[o] over o and samples.

    It is a sum of matrix products. A 2D convolution gives the same, but XLA runs that one with naive loops inside
    `lax.scan` (https://github.com/jax-ml/jax/issues/12868).
    """
    features_in, features_out = x.shape[-1], gradient.shape[-1]
    if features_in > features_out:  # The roles are symmetric: the array of fewer channels is copied more often.
        mirrored = _kernel_gradient(gradient, x, taps, _mirror_padding(padding, taps))
        return mirrored[::-1, ::-1, ::-1].swapaxes(-1, -2)
    if taps[0] * taps[1] * taps[2] * features_in <= _MAX_STACKED_TAPS:
        stacked = jnp.pad(x, ((0, 0), *padding, (0, 0)))
        for axis in (3, 2, 1):
            stacked = _stack_taps(stacked, taps[axis - 1], axis)
        product = stacked.reshape(-1, stacked.shape[-1]).T @ gradient.reshape(-1, features_out)
        return product.reshape(*taps, features_in, features_out)
    return _kernel_gradient_in_slabs(x, gradient, taps, padding)


def _kernel_gradient_in_slabs(
    x: jax.Array, gradient: jax.Array, taps: Sequence[int], padding: Padding
) -> jax.Array:
    """Returns the same as `_kernel_gradient`, summed over slabs of a few depths of one sample.

    In a slab, x is stacked over the taps of H and W, and the gradient over those of the depth: one matrix product
    replaces kd * kh * kw, one for each tap.
    """
    kd, kh, kw = taps
    samples, depth = x.shape[:2]
    area = gradient.shape[2] * gradient.shape[3]
    thickness = fourier_convolution.largest_divisor(depth, _SLAB_VOXELS // max(1, area))
    # After this padding, tap t multiplies x at depth z with the gradient at depth z + kd - 1 - t.
    low, high = _mirror_padding(padding, taps)[0]
    gradient = jnp.pad(gradient, ((0, 0), (low, high), (0, 0), (0, 0), (0, 0)))

    # Unsigned: signed indices would compile code for negative ones.
    corners = np.moveaxis(np.mgrid[:samples, :depth:thickness], 0, -1).reshape(-1, 2).astype(np.uint32)

    def body_fun(total, corner):
        start = (*corner, *np.zeros(3, np.uint32))
        x_slab = lax.dynamic_slice(x, start, (1, thickness, *x.shape[2:]))[0]
        x_slab = jnp.pad(x_slab, ((0, 0), *padding[1:], (0, 0)))
        x_slab = _stack_taps(_stack_taps(x_slab, kw, 2), kh, 1)
        gradient_slab = lax.dynamic_slice(gradient, start, (1, thickness + kd - 1, *gradient.shape[2:]))[0]
        gradient_slab = _stack_taps(gradient_slab, kd, 0)
        product = x_slab.reshape(-1, x_slab.shape[-1]).T @ gradient_slab.reshape(-1, gradient_slab.shape[-1])
        return total + product, None

    features_in, features_out = x.shape[-1], gradient.shape[-1]
    total = jnp.zeros((kh * kw * features_in, kd * features_out), x.dtype)
    total, _ = lax.scan(body_fun, total, corners)
    total = total.reshape(kh, kw, features_in, kd, features_out)[:, :, :, ::-1]
    return total.transpose(3, 0, 1, 2, 4)
