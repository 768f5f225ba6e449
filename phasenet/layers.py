"""3D convolution, transposed convolution, pooling and upsampling, with a lowering chosen per shape.

Arrays are channels last, (N, D, H, W, C); kernels are (k, k, k, Cin, Cout). Nothing here knows a
network: these are the leaves from which both published networks are built.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

_DIMENSIONS = ("NDHWC", "DHWIO", "NDHWC")


def conv3d(x: jax.Array, kernel: jax.Array, *, lowering: str = "auto") -> jax.Array:
    """Cross-correlation, stride 1, SAME: (N, D, H, W, Cin), (k, k, k, Cin, Cout) -> (N, D, H, W, Cout)."""
    del lowering
    return lax.conv_general_dilated(x, kernel, (1, 1, 1), "SAME", dimension_numbers=_DIMENSIONS)


def conv_transpose3d(
    x: jax.Array, kernel: jax.Array, *, stride: int = 2, lowering: str = "auto"
) -> jax.Array:
    """Transposed convolution, SAME: (N, D, H, W, Cin) -> (N, sD, sH, sW, Cout).

    Equal to `lax.conv_transpose(x, kernel, (stride,) * 3, "SAME")` with its default orientation
    (`transpose_kernel=False`): x spread with stride - 1 zeros, then correlated with the kernel as is.
    """
    del lowering
    return lax.conv_transpose(x, kernel, (stride,) * 3, "SAME", dimension_numbers=_DIMENSIONS)


def max_pool(x: jax.Array, window: int = 2) -> jax.Array:
    """Largest value of each window^3 block: (N, D, H, W, C) -> (N, D/w, H/w, W/w, C)."""
    n, d, h, w, c = x.shape
    blocks = x.reshape(n, d // window, window, h // window, window, w // window, window, c)
    return blocks.max(axis=(2, 4, 6))


def upsample(x: jax.Array, factor: int = 2) -> jax.Array:
    """Nearest neighbour: each voxel becomes a factor^3 block of itself."""
    n, d, h, w, c = x.shape
    blocks = jnp.broadcast_to(
        x[:, :, None, :, None, :, None], (n, d, factor, h, factor, w, factor, c)
    )
    return blocks.reshape(n, factor * d, factor * h, factor * w, c)


class Conv3D(nn.Module):
    """`conv3d` with its parameters "kernel" (k, k, k, Cin, features) and "bias" (features,)."""

    features: int
    kernel_size: int = 3
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
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = conv3d(x, kernel, lowering=self.lowering)
        return y if bias is None else y + bias


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
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = conv_transpose3d(x, kernel, stride=self.stride, lowering=self.lowering)
        return y if bias is None else y + bias
