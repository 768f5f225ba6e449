"""The published network (D. Hurwitz, arXiv:2003.13767, section 2.3), and the same plan at other sizes.

From a Patterson map it makes a map of the atoms with their inverse, by convolutions at full resolution, at half
resolution, and at full resolution again. `configs/patterson_paper` trains it as the paper does,
`configs/phasenet_published.py` on a CPU (the weights `published`). `phasenet.pretrained.network_of` makes it for
architectures of the kind "convolutional".
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from phasenet.networks import layers


class ConvolutionalArchitecture(NamedTuple):
    """Sizes of the network. All static; the defaults are the published ones (1,202,821 weights).

    Attributes:
      features: channels of every layer but the last.
      outer_kernel: taps on each axis of the layers at full resolution, two before and two after the others.
      inner_kernel: taps on each axis of the layers at half resolution.
      inner_layers: number of layers at half resolution.
      skip: whether there are skip connections, which the paper does not have: every second inner layer adds the input
        of its pair, and the layers after the upsampling get the output of those before the pooling.
      batch_norm: whether each ReLU follows a `BatchNormalization` (the paper found that it hurts).
      window: voxels per edge of the middle of larger maps that the network reads and fills; 0: all. A network learns
        where the borders are, so one that was trained on small maps reads no more of large ones.
    """

    features: int = 20
    outer_kernel: int = 5
    inner_kernel: int = 7
    inner_layers: int = 8
    skip: bool = False
    batch_norm: bool = False
    window: int = 0


PUBLISHED = ConvolutionalArchitecture()
PUBLISHED_WEIGHTS = 1_202_821


class PattersonNetwork(nn.Module):
    """The published network, from Patterson maps to maps of atoms with their inverse.

    Attributes:
      architecture: its sizes.
      lowering: how its convolutions are computed, one of `convolutions.LOWERINGS`.
      dtype: of the products' factors; the parameters are float32 in any case.
    """

    architecture: ConvolutionalArchitecture = PUBLISHED
    lowering: str = "auto"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, patterson_maps: jax.Array) -> jax.Array:
        """Returns maps of atoms (B, N, N, N) float32, -1 to 1, in the form of `synthesis.network_target`.

        Args:
          patterson_maps: (B, N, N, N), N even, as `synthesis.network_input` makes them.

        Raises:
          ValueError: N is odd.
        """
        arch = self.architecture
        x = crop_to_window(patterson_maps, arch.window)[..., None]
        for _ in range(2):
            x = self._layer(x, arch.outer_kernel)
        before_pooling = x
        x = layers.max_pool(x)
        shortcut = x
        for number in range(1, arch.inner_layers + 1):
            x = self._layer(x, arch.inner_kernel)
            if arch.skip and number % 2 == 0:
                x = shortcut = x + shortcut
        if arch.skip:
            x = self._layer(layers.upsample(x) + before_pooling, arch.outer_kernel)
        else:
            x = self._layer(x, arch.outer_kernel, upsampled=True)
        x = self._conv(1, arch.outer_kernel)(x)
        margin = (patterson_maps.shape[1] - x.shape[1]) // 2
        return jnp.pad(jnp.tanh(x.astype(jnp.float32))[..., 0], ((0, 0), *((margin, margin),) * 3))

    def _conv(self, features: int, kernel_size: int, upsampled: bool = False) -> layers.Conv3D:
        """Returns a new convolution layer, of the input enlarged by 2 if `upsampled`."""
        return layers.Conv3D(features, kernel_size, lowering=self.lowering, dtype=self.dtype,
                             kernel_init=nn.initializers.he_normal(), upsampled=upsampled)

    def _layer(self, x: jax.Array, kernel_size: int, upsampled: bool = False) -> jax.Array:
        """Returns a convolution of x (B, N, N, N, C) with normalization, where asked for, and ReLU."""
        x = self._conv(self.architecture.features, kernel_size, upsampled)(x)
        return nn.relu(BatchNormalization()(x) if self.architecture.batch_norm else x)


def crop_to_window(maps: jax.Array, window: int) -> jax.Array:
    """Returns the middle of maps (B, N, N, N), `window` voxels per edge where N is larger and `window` is not 0."""
    margin = (maps.shape[1] - window) // 2 if 0 < window < maps.shape[1] else 0
    middle = slice(margin, maps.shape[1] - margin)
    return maps[:, middle, middle, middle]


class BatchNormalization(nn.Module):
    """Normalization to mean 0 and variance 1 over the batch, then a trained scale and shift; no running averages.

    Only for the paper's experiment: a map's result depends on the other maps of its batch (in training, of its device's
    part of the batch). Statistics are float32.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns x (B, ..., C) normalized for each channel, in the type of x."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],), jnp.float32)
        axes = tuple(range(x.ndim - 1))
        wide = x.astype(jnp.float32)
        wide = (wide - wide.mean(axes)) * jax.lax.rsqrt(wide.var(axes) + 1e-5) * scale + bias
        return wide.astype(x.dtype)


def check_architecture(architecture: ConvolutionalArchitecture) -> None:
    """Checks the sizes of a network.

    Raises:
      ValueError: a size is not possible.
    """
    for name in ("features", "outer_kernel", "inner_kernel", "inner_layers"):
        value = getattr(architecture, name)
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value}: expected a whole number, at least 1")
    if not isinstance(architecture.window, int) or architecture.window < 0 or architecture.window % 4:
        raise ValueError(f"window={architecture.window}: expected 0 or a multiple of 4")
