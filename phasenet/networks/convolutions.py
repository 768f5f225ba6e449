"""Lowerings of a stride-1 3D correlation, exact to float32 rounding against XLA's direct one.

XLA's CPU backend runs 2D convolutions and matrix products near the processor's peak, 3D ones at a
tenth of it. So the depth axis is taken out of the convolution: its taps are stacked among the
channels of a 2D convolution, either of the input ("gather": k shifted copies, then one sum over
k * Cin channels) or of the output ("scatter": k * Cout channels, then k shifted sums). The
gradient by the input is the correlation with the mirrored kernel, and goes the same way; the
gradient by the kernel is a sum of matrix products over slabs. A 2D convolution would serve there
too, but XLA runs that one with naive loops inside `lax.scan`
(https://github.com/jax-ml/jax/issues/12868). Large kernels between few channels go through Fourier
space instead (`spectral`).
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

# Stacked copies are made for as many samples at a time as fit in here: larger ones leave the cache
# and, worse, are fresh pages of memory at each call (1.3 to 5 times slower from 32 MB on).
_STACK_BYTES = 16 * 2**20

# Voxels per matrix product of the kernel's gradient: fewer make the products small, more leave the
# cache. Measured at 512 / 2048 / 8192: 120 / 93 / 67 GFLOP/s per core for 20 -> 20 channels, 7^3;
# 115 / 115 / 82 for 64 -> 64, 3^3; 117 / 122 / 108 for 128 -> 128, 3^3.
_SLAB_VOXELS = 1024

# With at most so many (channels times taps) every tap is stacked and one product does it all.
_THIN = 128


def correlate(
    x: jax.Array, kernel: jax.Array, padding: Padding, lowering: str = "auto"
) -> jax.Array:
    """y[o] = sum_t x[o + t - low] kernel[t], zeros outside x.

    Args:
      x: (N, D, H, W, Cin).
      kernel: (kd, kh, kw, Cin, Cout); the type of both is the promoted one.
      padding: zeros (low, high) before and after each of the three axes.
      lowering: one of `LOWERINGS`; "auto" is "direct" except on CPU.

    Returns (N, D + low + high - kd + 1, ..., Cout). Sums in float32 at least, also for bfloat16.
    """
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    if resolve(lowering) == "direct":
        return lax.conv_general_dilated(
            x.astype(dtype), kernel.astype(dtype), (1, 1, 1), padding,
            dimension_numbers=("NDHWC", "DHWIO", "NDHWC"))
    wide = jnp.promote_types(dtype, jnp.float32)
    x, kernel = x.astype(wide), kernel.astype(wide)
    if lowering == "spectral" or lowering == "auto" and _is_spectral(kernel.shape):
        return fourier_convolution.correlate(x, kernel, padding).astype(dtype)
    padding = tuple((int(low), int(high)) for low, high in padding)
    return _correlate(x, kernel, padding, lowering).astype(dtype)


def resolve(lowering: str) -> str:
    """The lowering with "auto" made "direct" where XLA has a good one (GPU, TPU)."""
    if lowering not in LOWERINGS:
        raise ValueError(f"lowering {lowering!r}: expected one of {', '.join(LOWERINGS)}")
    if lowering == "auto" and jax.default_backend() != "cpu":
        return "direct"
    return lowering


def _is_spectral(kernel_shape: Sequence[int]) -> bool:
    """Whether Fourier space pays, by the time of value and gradients beside the stacked taps, batch 4 or more.

    20 -> 20 channels: 7^3 at 20^3 0.3, 5^3 at 20^3 0.5, 5^3 at 40^3 0.4, 3^3 at 20^3 2.0; 4 -> 4 at 7^3 0.2;
    32 -> 32 at 5^3 0.6, 64 -> 64 2.5; 20 -> 1 at 5^3 2.7, 1 -> 20 1.1.
    """
    *taps, features_in, features_out = kernel_shape
    return math.prod(taps) >= 125 and min(features_in, features_out) >= 4 and features_in * features_out <= 1024


def _side(kernel_shape: Sequence[int]) -> str:
    """Where to stack the depth taps, from the grid measured for 3^3, 5^3 and 7^3 at 16^3 to 40^3.

    Stacking moves k * Cin or 2 k * Cout numbers a voxel; and few output channels starve the matrix
    product within the 2D convolution. GFLOP/s per core, gather / scatter: 1 -> 64 90 / 9;
    8 -> 32 164 / 90; 64 -> 64 137 / 121; 64 -> 32 98 / 117; 64 -> 4 22 / 107; 128 -> 1 3 / 65;
    20 -> 20 at 7^3 103 / 159.
    """
    features_in, features_out = kernel_shape[-2:]
    return "scatter" if features_out <= features_in and features_out < 64 else "gather"


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _correlate(x: jax.Array, kernel: jax.Array, padding: Padding, lowering: str) -> jax.Array:
    side = _side(kernel.shape) if lowering == "auto" else lowering
    one_sample = functools.partial(_GATHER_OR_SCATTER[side], kernel=kernel, padding=padding)
    stacked = kernel.shape[0] * kernel.shape[-2 if side == "gather" else -1]
    sample_bytes = math.prod(x.shape[1:4]) * stacked * x.dtype.itemsize
    batch = _largest_divisor(x.shape[0], _STACK_BYTES // max(1, sample_bytes))
    if batch == x.shape[0]:
        return jax.vmap(one_sample)(x)
    return lax.map(one_sample, x, batch_size=batch)


def _largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of `number` up to `limit`, 1 at least."""
    return max((d for d in range(1, min(number, limit) + 1) if number % d == 0), default=1)


def _gather(x: jax.Array, kernel: jax.Array, padding: Padding) -> jax.Array:
    """One sample (D, H, W, Cin): depth taps among the input channels."""
    kd, kh, kw, features_in, features_out = kernel.shape
    stacked = _stack_taps(jnp.pad(x, (padding[0], (0, 0), (0, 0), (0, 0))), kd, 0)
    flat = kernel.transpose(1, 2, 0, 3, 4).reshape(kh, kw, kd * features_in, features_out)
    return _correlate2d(stacked, flat, padding[1:])


def _scatter(x: jax.Array, kernel: jax.Array, padding: Padding) -> jax.Array:
    """One sample (D, H, W, Cin): depth taps among the output channels."""
    kd, kh, kw, features_in, features_out = kernel.shape
    flat = kernel.transpose(1, 2, 3, 0, 4).reshape(kh, kw, features_in, kd * features_out)
    parts = _correlate2d(x, flat, padding[1:])
    parts = jnp.pad(parts, (padding[0], (0, 0), (0, 0), (0, 0)))
    depth = parts.shape[0] - kd + 1
    return sum(parts[t:t + depth, ..., t * features_out:(t + 1) * features_out] for t in range(kd))


_GATHER_OR_SCATTER = {"gather": _gather, "scatter": _scatter}


def _correlate2d(x: jax.Array, kernel: jax.Array, padding: Sequence[tuple[int, int]]) -> jax.Array:
    """(N, H, W, Cin), (kh, kw, Cin, Cout) -> (N, H', W', Cout)."""
    return lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _stack_taps(x: jax.Array, taps: int, axis: int) -> jax.Array:
    """Copies shifted by 0, 1, ... along `axis` (shortened by taps - 1), stacked as (taps, C)."""
    length = x.shape[axis] - taps + 1
    shifted = [lax.slice_in_dim(x, t, t + length, axis=axis) for t in range(taps)]
    return jnp.concatenate(shifted, axis=-1)


def _forward(x, kernel, padding, lowering):
    return _correlate(x, kernel, padding, lowering), (x, kernel)


def _backward(padding, lowering, residuals, gradient):
    x, kernel = residuals
    mirrored = kernel[::-1, ::-1, ::-1].swapaxes(-1, -2)
    by_x = _correlate(gradient, mirrored, _mirror(padding, kernel.shape), lowering)
    return by_x, _by_kernel(x, gradient, kernel.shape[:3], padding)


_correlate.defvjp(_forward, _backward)


def _mirror(padding: Padding, kernel_shape: Sequence[int]) -> Padding:
    """The padding with which the mirrored kernel leads from y's grid back to x's."""
    return tuple((k - 1 - low, k - 1 - high)
                 for k, (low, high) in zip(kernel_shape, padding, strict=False))


def _by_kernel(
    x: jax.Array, gradient: jax.Array, taps: Sequence[int], padding: Padding
) -> jax.Array:
    """sum_o x[o + t - low] gradient[o] over samples too: the gradient, (*taps, Cin, Cout)."""
    features_in, features_out = x.shape[-1], gradient.shape[-1]
    if features_in > features_out:  # the roles are symmetric: copy the thinner array more often
        mirrored = _by_kernel(gradient, x, taps, _mirror(padding, taps))
        return mirrored[::-1, ::-1, ::-1].swapaxes(-1, -2)
    if taps[0] * taps[1] * taps[2] * features_in <= _THIN:
        stacked = jnp.pad(x, ((0, 0), *padding, (0, 0)))
        for axis in (3, 2, 1):
            stacked = _stack_taps(stacked, taps[axis - 1], axis)
        product = stacked.reshape(-1, stacked.shape[-1]).T @ gradient.reshape(-1, features_out)
        return product.reshape(*taps, features_in, features_out)
    return _by_kernel_in_slabs(x, gradient, taps, padding)


def _by_kernel_in_slabs(x, gradient, taps, padding):
    """As `_by_kernel`, summed over slabs of a few depths of one sample.

    In a slab the taps of H and W are stacked with x and those of the depth with the gradient, so
    that kd * kh * kw products become one.
    """
    kd, kh, kw = taps
    samples, depth = x.shape[:2]
    area = gradient.shape[2] * gradient.shape[3]
    thickness = _largest_divisor(depth, _SLAB_VOXELS // max(1, area))
    # After this padding, x[z] meets through tap t the gradient at z + kd - 1 - t.
    low, high = _mirror(padding, taps)[0]
    gradient = jnp.pad(gradient, ((0, 0), (low, high), (0, 0), (0, 0), (0, 0)))

    # Unsigned, so that no code is made for indices from the end.
    corners = np.stack(np.mgrid[:samples, :depth:thickness], -1).reshape(-1, 2).astype(np.uint32)

    def body_fun(total, corner):
        start = (*corner, *np.zeros(3, np.uint32))
        near = lax.dynamic_slice(x, start, (1, thickness, *x.shape[2:]))[0]
        near = jnp.pad(near, ((0, 0), *padding[1:], (0, 0)))
        near = _stack_taps(_stack_taps(near, kw, 2), kh, 1)
        far = lax.dynamic_slice(gradient, start, (1, thickness + kd - 1, *gradient.shape[2:]))[0]
        far = _stack_taps(far, kd, 0)
        return total + near.reshape(-1, near.shape[-1]).T @ far.reshape(-1, far.shape[-1]), None

    features_in, features_out = x.shape[-1], gradient.shape[-1]
    total = jnp.zeros((kh * kw * features_in, kd * features_out), x.dtype)
    total, _ = lax.scan(body_fun, total, corners)
    total = total.reshape(kh, kw, features_in, kd, features_out)[:, :, :, ::-1]
    return total.transpose(3, 0, 1, 2, 4)
