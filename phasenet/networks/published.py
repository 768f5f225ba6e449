"""The published network (paper, section 2.3), and the same plan at other sizes.

A Patterson map (B, N, N, N) goes through convolutions at full resolution, half resolution and full
resolution again, and comes out as the density of the atoms and their inverse.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from phasenet.networks import layers


class ConvolutionalArchitecture(NamedTuple):
    """Sizes of the network. All static; the defaults are the published ones (1,202,821 weights).

    Attributes:
      features: channels of every layer but the last.
      outer_kernel: edge of the kernels at full resolution (two layers before, two after).
      inner_kernel: edge of those at half resolution.
      inner_layers: how many of these.
      skip: whether each pair of inner layers adds to its input instead of replacing it, and the
        full-resolution layers before the pooling feed those after it (not in the paper).
      batch_norm: normalization by the statistics of the batch before each ReLU (the paper found
        that it hurts).
    """

    features: int = 20
    outer_kernel: int = 5
    inner_kernel: int = 7
    inner_layers: int = 8
    skip: bool = False
    batch_norm: bool = False


PUBLISHED = ConvolutionalArchitecture()
PUBLISHED_WEIGHTS = 1_202_821


class PattersonNetwork(nn.Module):
    """Patterson maps (B, N, N, N), N even, to maps of atoms (B, N, N, N) in -1 to 1, float32.

    dtype: of the factors of its products; the parameters are float32 in any case.
    """

    architecture: ConvolutionalArchitecture = PUBLISHED
    lowering: str = "auto"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, patterson_maps: jax.Array) -> jax.Array:
        arch = self.architecture
        x = patterson_maps[..., None]
        for _ in range(2):
            x = self._layer(x, arch.outer_kernel)
        before = x
        x = layers.max_pool(x)
        shortcut = x
        for number in range(1, arch.inner_layers + 1):
            x = self._layer(x, arch.inner_kernel)
            if arch.skip and number % 2 == 0:
                x = shortcut = x + shortcut
        if arch.skip:
            x = self._layer(layers.upsample(x) + before, arch.outer_kernel)
        else:
            x = self._layer(x, arch.outer_kernel, upsampled=True)
        x = self._conv(1, arch.outer_kernel)(x)
        return jnp.tanh(x.astype(jnp.float32))[..., 0]

    def _conv(self, features: int, kernel_size: int, upsampled: bool = False) -> layers.Conv3D:
        return layers.Conv3D(features, kernel_size, lowering=self.lowering, dtype=self.dtype,
                             kernel_init=nn.initializers.he_normal(), upsampled=upsampled)

    def _layer(self, x: jax.Array, kernel_size: int, upsampled: bool = False) -> jax.Array:
        x = self._conv(self.architecture.features, kernel_size, upsampled)(x)
        return nn.relu(BatchNormalization()(x) if self.architecture.batch_norm else x)


class BatchNormalization(nn.Module):
    """Mean 0, variance 1 over the batch at hand, then a trained scale and shift; no running averages.

    For the experiment alone: an answer depends on the other maps of its batch (in training, of its
    device's part of the batch). Statistics in float32.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],), jnp.float32)
        axes = tuple(range(x.ndim - 1))
        wide = x.astype(jnp.float32)
        wide = (wide - wide.mean(axes)) * jax.lax.rsqrt(wide.var(axes) + 1e-5) * scale + bias
        return wide.astype(x.dtype)


def check_architecture(architecture: ConvolutionalArchitecture) -> None:
    """Raises ValueError for sizes that make no network."""
    for name in ("features", "outer_kernel", "inner_kernel", "inner_layers"):
        value = getattr(architecture, name)
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value}: expected a whole number, at least 1")
