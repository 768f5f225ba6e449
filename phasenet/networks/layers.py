"""3D convolution, transposed convolution, pooling and upsampling, with a lowering chosen per shape.

Arrays are channels last, (N, D, H, W, C); kernels are (k, k, k, Cin, Cout). Nothing here knows a
network: these are the leaves from which both published networks are built.
"""

import itertools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from phasenet.networks.convolutions import correlate, resolve
from phasenet.networks.precision import promote_product


def conv3d(x: jax.Array, kernel: jax.Array, *, lowering: str = "auto") -> jax.Array:
    """Cross-correlation, stride 1, output of the input's size (SAME), no bias.

    Args:
      x: (N, D, H, W, Cin).
      kernel: (kd, kh, kw, Cin, Cout).
      lowering: one of `convolution.LOWERINGS`; "auto" takes the fast one for backend and shape.

    Returns (N, D, H, W, Cout), the promoted type of both. Reverse mode only on CPU (no `jax.jvp`).
    """
    padding = tuple(((k - 1) // 2, k // 2) for k in kernel.shape[:3])
    return correlate(x, kernel, padding, lowering)


def conv_transpose3d(
    x: jax.Array, kernel: jax.Array, *, stride: int = 2, lowering: str = "auto"
) -> jax.Array:
    """Transposed convolution, SAME, no bias: (N, D, H, W, Cin) -> (N, sD, sH, sW, Cout).

    Equal to `lax.conv_transpose(x, kernel, (stride,) * 3, "SAME")` with its default orientation
    (`transpose_kernel=False`): x spread with stride - 1 zeros, then correlated with the kernel as
    it is. Except for "direct" the zeros are never multiplied: the outputs o with the same o mod
    stride form a small correlation of their own with every stride-th tap, stride^3 of them.
    """
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    if resolve(lowering) == "direct" or min(kernel.shape[:3]) < stride:
        dtype = jnp.promote_types(x.dtype, kernel.dtype)
        return lax.conv_transpose(
            x.astype(dtype), kernel.astype(dtype), (stride,) * 3, "SAME",
            dimension_numbers=("NDHWC", "DHWIO", "NDHWC"))
    phases = [[_phase(k, stride, r) for r in range(stride)] for k in kernel.shape[:3]]
    outputs = []
    for axes in itertools.product(*phases):
        taps = tuple(slice(first, None, stride) for first, _ in axes)
        outputs.append(correlate(x, kernel[taps], tuple(padding for _, padding in axes), lowering))
    n, d, h, w, _ = x.shape
    y = jnp.stack(outputs).reshape(stride, stride, stride, n, d, h, w, kernel.shape[-1])
    y = y.transpose(3, 4, 0, 5, 1, 6, 2, 7)
    return y.reshape(n, stride * d, stride * h, stride * w, kernel.shape[-1])


def _phase(taps: int, stride: int, remainder: int) -> tuple[int, tuple[int, int]]:
    """For outputs o = stride * q + remainder: the first tap that meets no zero, and the padding.

    Tap t meets x[(o + t - low) / stride] where that is whole, low the zeros that SAME puts first.
    """
    low = taps - 1 if stride > taps - 1 else (taps + stride - 1) // 2
    first = (low - remainder) % stride
    before = (low - remainder - first) // stride
    count = len(range(first, taps, stride))
    return first, (before, count - 1 - before)


def max_pool(x: jax.Array, window: int = 2) -> jax.Array:
    """Largest value of each window^3 block: (N, D, H, W, C) -> (N, D/w, H/w, W/w, C)."""
    n, d, h, w, c = x.shape
    if d % window or h % window or w % window:
        raise ValueError(f"max_pool of grid {(d, h, w)}: not a multiple of the window {window}")
    # A reshape: the gradient of XLA's own windowed maximum is 17 times slower on CPU.
    blocks = x.reshape(n, d // window, window, h // window, window, w // window, window, c)
    return blocks.max(axis=(2, 4, 6))


def upsample(x: jax.Array, factor: int = 2) -> jax.Array:
    """Nearest neighbour: each voxel becomes a factor^3 block of itself."""
    n, d, h, w, c = x.shape
    blocks = jnp.broadcast_to(
        x[:, :, None, :, None, :, None], (n, d, factor, h, factor, w, factor, c)
    )
    return blocks.reshape(n, factor * d, factor * h, factor * w, c)


def conv3d_of_upsampled(x: jax.Array, kernel: jax.Array, *, lowering: str = "auto") -> jax.Array:
    """`conv3d(upsample(x), kernel)`: (N, D, H, W, Cin) -> (N, 2D, 2H, 2W, Cout), kernels of odd edge.

    Except for "direct" equal voxels are never multiplied apart: the outputs of one parity per axis form a
    correlation with x itself, whose kernel holds the sums of the taps that meet the same voxel. All eight are one
    correlation with 8 Cout channels, and for 5^3 taps a fifth of the work.
    """
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    if any(k % 2 == 0 for k in kernel.shape[:3]):
        raise ValueError(f"conv3d_of_upsampled: kernel {kernel.shape[:3]}, expected odd edges")
    if resolve(lowering) == "direct":
        return conv3d(upsample(x), kernel, lowering=lowering)
    sums = (jnp.asarray(_parity_sums(k), kernel.dtype) for k in kernel.shape[:3])
    small = jnp.einsum("pda,qeb,rfc,abcio->defipqro", *sums, kernel)
    n, d, h, w, _ = x.shape
    y = conv3d(x, small.reshape(*small.shape[:4], -1), lowering=lowering)
    y = y.reshape(n, d, h, w, 2, 2, 2, -1).transpose(0, 1, 4, 2, 5, 3, 6, 7)
    return y.reshape(n, 2 * d, 2 * h, 2 * w, -1)


def _parity_sums(taps: int) -> np.ndarray:
    """(2, small taps, taps): which taps of a kernel meet the same voxel, for outputs 2 q and 2 q + 1."""
    reach = taps // 2
    meets = (np.arange(2)[:, None] + np.arange(taps) - reach) // 2  # voxel q + this
    small = np.arange(meets.min(), -meets.min() + 1)  # an odd number of taps about q, so that SAME fits
    return (small[None, :, None] == meets[:, None, :]).astype(np.float32)


class Conv3D(nn.Module):
    """`conv3d` with its parameters "kernel" (k, k, k, Cin, features) and "bias" (features,).

    With `upsampled` it is the convolution of the input enlarged by 2 (`conv3d_of_upsampled`).
    """

    features: int
    kernel_size: int = 3
    use_bias: bool = True
    dtype: Any = None
    lowering: str = "auto"
    kernel_init: Callable = nn.initializers.lecun_normal()
    upsampled: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.kernel_size,) * 3 + (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        x, kernel, bias = promote_product(x, kernel, bias, dtype=self.dtype)
        y = (conv3d_of_upsampled if self.upsampled else conv3d)(x, kernel, lowering=self.lowering)
        return y if bias is None else (y + bias).astype(y.dtype)


class ConvTranspose3D(nn.Module):
    """`conv_transpose3d` with its parameters "kernel" (k, k, k, Cin, features) and "bias"."""

    features: int
    kernel_size: int
    stride: int = 2
    use_bias: bool = True
    dtype: Any = None
    lowering: str = "auto"
    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.kernel_size,) * 3 + (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        x, kernel, bias = promote_product(x, kernel, bias, dtype=self.dtype)
        y = conv_transpose3d(x, kernel, stride=self.stride, lowering=self.lowering)
        return y if bias is None else (y + bias).astype(y.dtype)
