"""3D convolution, transposed convolution, pooling and upsampling, each also fast on a CPU.

The networks `published` and `saxsae.networks.autoencoder` are built from these layers. Arrays have the channels last,
(N, D, H, W, C); kernels are (kd, kh, kw, Cin, Cout). A *lowering* is the way a convolution is computed
(`convolutions.LOWERINGS`); "auto" takes the fast one for the backend and the kernel's shape.
"""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn.initializers import Initializer
from jax.typing import DTypeLike

from phasenet.networks.convolutions import correlate, resolve_lowering
from phasenet.networks.precision import promote_product


def conv3d(x: jax.Array, kernel: jax.Array, *, lowering: str = "auto") -> jax.Array:
    """Returns the cross-correlation of stride 1, padded to the size of the input (SAME), without a bias.

    All lowerings but "direct" have reverse mode only, no `jax.jvp`.

    Args:
      x: (N, D, H, W, Cin).
      kernel: (kd, kh, kw, Cin, Cout).
      lowering: one of `convolutions.LOWERINGS`.

    Returns:
      (N, D, H, W, Cout), of the promoted type of `x` and `kernel`.

    Raises:
      ValueError: the lowering is unknown.
    """
    padding = tuple(((k - 1) // 2, k // 2) for k in kernel.shape[:3])
    return correlate(x, kernel, padding, lowering)


def conv_transpose3d(
    x: jax.Array, kernel: jax.Array, *, stride: int = 2, lowering: str = "auto"
) -> jax.Array:
    """Returns the transposed convolution, padded as SAME, without a bias.

    It equals `lax.conv_transpose(x, kernel, (stride,) * 3, "SAME")` with `transpose_kernel=False`: x is spread with
    stride - 1 zeros between voxels, then correlated with the kernel as it is. All lowerings but "direct" skip the
    products with these zeros: the outputs o with one remainder o mod stride are a small correlation of x
    with every stride-th tap; there are stride^3 such correlations.

    Args:
      x: (N, D, H, W, Cin).
      kernel: (kd, kh, kw, Cin, Cout).
      stride: output voxels per input voxel on each axis.
      lowering: one of `convolutions.LOWERINGS`.

    Returns:
      (N, stride * D, stride * H, stride * W, Cout), of the promoted type of `x` and `kernel`.

    Raises:
      ValueError: the lowering is unknown.
    """
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    if resolve_lowering(lowering) == "direct" or min(kernel.shape[:3]) < stride:
        dtype = jnp.promote_types(x.dtype, kernel.dtype)
        return lax.conv_transpose(
            x.astype(dtype), kernel.astype(dtype), (stride,) * 3, "SAME",
            dimension_numbers=("NDHWC", "DHWIO", "NDHWC"))
    parts = [[_taps_and_padding(k, stride, r) for r in range(stride)] for k in kernel.shape[:3]]
    outputs = []
    for axes in itertools.product(*parts):
        taps = tuple(slice(first, None, stride) for first, _ in axes)
        outputs.append(correlate(x, kernel[taps], tuple(padding for _, padding in axes), lowering))
    n, d, h, w, _ = x.shape
    y = jnp.stack(outputs).reshape(stride, stride, stride, n, d, h, w, kernel.shape[-1])
    y = y.transpose(3, 4, 0, 5, 1, 6, 2, 7)
    return y.reshape(n, stride * d, stride * h, stride * w, kernel.shape[-1])


def _taps_and_padding(taps: int, stride: int, remainder: int) -> tuple[int, tuple[int, int]]:
    """Returns the first tap and the padding of the correlation that gives outputs o = stride * q + remainder.

    Tap t is multiplied by x[(o + t - low) / stride] where that index is whole; low is the number of zeros that SAME
    puts before x.
    """
    low = taps - 1 if stride > taps - 1 else (taps + stride - 1) // 2
    first = (low - remainder) % stride
    before = (low - remainder - first) // stride
    count = len(range(first, taps, stride))
    return first, (before, count - 1 - before)


def max_pool(x: jax.Array, window: int = 2) -> jax.Array:
    """Returns the largest value of each block of window^3 voxels.

    Args:
      x: (N, D, H, W, C).
      window: edge of a block, voxels.

    Returns:
      (N, D / window, H / window, W / window, C).

    Raises:
      ValueError: an axis is not a multiple of the window.
    """
    n, d, h, w, c = x.shape
    if d % window or h % window or w % window:
        raise ValueError(f"max_pool: the grid {(d, h, w)} is not a multiple of the window {window}")
    # A reshape, because the gradient of XLA's own windowed maximum is 17 times slower on a CPU.
    blocks = x.reshape(n, d // window, window, h // window, window, w // window, window, c)
    return blocks.max(axis=(2, 4, 6))


def upsample(x: jax.Array, factor: int = 2) -> jax.Array:
    """Returns a map enlarged by nearest neighbours: each voxel becomes a block of factor^3 equal voxels.

    Args:
      x: (N, D, H, W, C).
      factor: edge of a block, voxels.

    Returns:
      (N, factor * D, factor * H, factor * W, C).
    """
    n, d, h, w, c = x.shape
    blocks = jnp.broadcast_to(
        x[:, :, None, :, None, :, None], (n, d, factor, h, factor, w, factor, c)
    )
    return blocks.reshape(n, factor * d, factor * h, factor * w, c)


def conv3d_of_upsampled(x: jax.Array, kernel: jax.Array, *, lowering: str = "auto") -> jax.Array:
    """Returns `conv3d(upsample(x), kernel)` without enlarging x.

    Except for "direct", the taps that fall on equal voxels are added first: the outputs of one parity on each axis are
    a correlation of x with these sums. All eight parities are one correlation with 8 Cout channels; for 5^3 taps that
    is a fifth of the work.

    Args:
      x: (N, D, H, W, Cin).
      kernel: (kd, kh, kw, Cin, Cout), with odd kd, kh and kw.
      lowering: one of `convolutions.LOWERINGS`.

    Returns:
      (N, 2D, 2H, 2W, Cout), of the promoted type of `x` and `kernel`.

    Raises:
      ValueError: the lowering is unknown, or an edge of the kernel is even.
    """
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    if any(k % 2 == 0 for k in kernel.shape[:3]):
        raise ValueError(f"conv3d_of_upsampled: kernel of {kernel.shape[:3]} taps, expected odd numbers")
    if resolve_lowering(lowering) == "direct":
        return conv3d(upsample(x), kernel, lowering=lowering)
    sums = (jnp.asarray(_parity_sums(k), kernel.dtype) for k in kernel.shape[:3])
    small = jnp.einsum("pda,qeb,rfc,abcio->defipqro", *sums, kernel)
    n, d, h, w, _ = x.shape
    y = conv3d(x, small.reshape(*small.shape[:4], -1), lowering=lowering)
    y = y.reshape(n, d, h, w, 2, 2, 2, -1).transpose(0, 1, 4, 2, 5, 3, 6, 7)
    return y.reshape(n, 2 * d, 2 * h, 2 * w, -1)


def _parity_sums(taps: int) -> np.ndarray:
    """Returns the matrix (2, small taps, taps) of 0 and 1 that sums the kernel's taps, for outputs 2 q and 2 q + 1."""
    reach = taps // 2
    offsets = (np.arange(2)[:, None] + np.arange(taps) - reach) // 2  # from voxel q to the voxel that a tap falls on
    small = np.arange(offsets.min(), -offsets.min() + 1)  # An odd number of taps about q, as `conv3d` expects them.
    return (small[None, :, None] == offsets[:, None, :]).astype(np.float32)


class Conv3D(nn.Module):
    """`conv3d` with parameters "kernel" (k, k, k, Cin, features) and "bias" (features,), both float32.

    Attributes:
      features: number of output channels.
      kernel_size: k, taps on each axis.
      use_bias: whether there is a bias.
      dtype: of the products' factors; None takes the promoted type of input and kernel.
      lowering: one of `convolutions.LOWERINGS`.
      kernel_init: draws a fresh kernel.
      upsampled: whether the input is enlarged by 2 first (`conv3d_of_upsampled`).
    """

    features: int
    kernel_size: int = 3
    use_bias: bool = True
    dtype: DTypeLike | None = None
    lowering: str = "auto"
    kernel_init: Initializer = nn.initializers.lecun_normal()
    upsampled: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the convolution (N, D, H, W, features), or twice that size, of x (N, D, H, W, Cin)."""
        shape = (self.kernel_size,) * 3 + (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        x, kernel, bias = promote_product(x, kernel, bias, dtype=self.dtype)
        y = (conv3d_of_upsampled if self.upsampled else conv3d)(x, kernel, lowering=self.lowering)
        return y if bias is None else (y + bias).astype(y.dtype)


class ConvTranspose3D(nn.Module):
    """`conv_transpose3d` with parameters "kernel" (k, k, k, Cin, features) and "bias" (features,), both float32.

    Attributes:
      features: number of output channels.
      kernel_size: k, taps on each axis.
      stride: output voxels per input voxel on each axis.
      use_bias: whether there is a bias.
      dtype: of the products' factors; None takes the promoted type of input and kernel.
      lowering: one of `convolutions.LOWERINGS`.
      kernel_init: draws a fresh kernel.
    """

    features: int
    kernel_size: int
    stride: int = 2
    use_bias: bool = True
    dtype: DTypeLike | None = None
    lowering: str = "auto"
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the transposed convolution (N, sD, sH, sW, features), s the stride, of x (N, D, H, W, Cin)."""
        shape = (self.kernel_size,) * 3 + (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        x, kernel, bias = promote_product(x, kernel, bias, dtype=self.dtype)
        y = conv_transpose3d(x, kernel, stride=self.stride, lowering=self.lowering)
        return y if bias is None else (y + bias).astype(y.dtype)
