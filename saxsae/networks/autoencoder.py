"""Auto-encoders of protein shapes: 32^3 occupancy maps to codes of 200 numbers and back to logits.

"lean" is the default of `saxsae.reconstruction`: a linear code, which starts as the principal components of the
training maps, plus corrections by perceptrons, which start at zero. "published" reproduces the paper's
network (H. He, C. Liu, H. Liu, iScience 23, 100906, 2020, section 2.2; widths, kernel sizes and places of the ReLUs
from its public code). `make_autoencoder` makes either.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from phasenet.networks import layers
from phasenet.networks.precision import Dense
from saxsae.shapes import voxels

PUBLISHED_WIDTH = 64  # channels of the published network's first block
EMPTY_LOGIT = -15.0  # Outside the unit sphere, no voxel is ever filled.


class PublishedEncoder(nn.Module):
    """The paper's encoder: seven 3^3 convolutions in three blocks, a ReLU after each block, two pools, a dense layer.

    Attributes:
      latent_size: K, numbers in a code.
      lowering: how convolutions are computed, one of `phasenet.networks.convolutions.LOWERINGS`.
      dtype: type of the factors of matrix products and convolutions; the parameters are always float32.
      width: channels of the first block, half of those of the others; 64 in the paper.
    """

    latent_size: int = 200
    lowering: str = "auto"
    dtype: DTypeLike = jnp.float32
    width: int = PUBLISHED_WIDTH

    @nn.compact
    def __call__(self, occupancy: jax.Array) -> jax.Array:
        """Returns codes (N, K) float32, at least 0, of maps (N, 32, 32, 32) from 0 to 1.

        The output of the convolutions is sown as "features" (see `published_start.compute_features`).
        """
        x = occupancy[..., None]
        for block, (count, width) in enumerate(((2, self.width), (2, 2 * self.width), (3, 2 * self.width))):
            for _ in range(count):
                x = layers.Conv3D(width, 3, lowering=self.lowering, dtype=self.dtype)(x)
            x = nn.relu(x)
            if block < 2:
                x = layers.max_pool(x)
        x = x.reshape(x.shape[0], -1)
        self.sow("intermediates", "features", x)
        return nn.relu(Dense(self.latent_size, dtype=self.dtype, name="latent")(x))


class PublishedDecoder(nn.Module):
    """The paper's decoder: a dense layer to 8^3 x 32, two 5^3 transposed convolutions of stride 2, a 3^3 convolution.

    Attributes:
      lowering: how convolutions are computed, one of `phasenet.networks.convolutions.LOWERINGS`.
      dtype: type of the factors of matrix products and convolutions; the parameters are always float32.
      width: channels after the first transposed convolution, half of those after the second; 64 in the paper.
    """

    lowering: str = "auto"
    dtype: DTypeLike = jnp.float32
    width: int = PUBLISHED_WIDTH

    @nn.compact
    def __call__(self, latent: jax.Array) -> jax.Array:
        """Returns logits (N, 32, 32, 32) float32 of codes (N, K)."""
        x = nn.relu(Dense(8**3 * 32, dtype=self.dtype, name="expand")(latent))
        x = x.reshape(-1, 8, 8, 8, 32)
        for width in (self.width, 2 * self.width):
            x = nn.relu(layers.ConvTranspose3D(width, 5, lowering=self.lowering, dtype=self.dtype)(x))
        return layers.Conv3D(1, 3, lowering=self.lowering, dtype=self.dtype)(x)[..., 0].astype(jnp.float32)


class LeanEncoder(nn.Module):
    """The lean encoder: a linear code of the map at half resolution, plus a perceptron's correction.

    200 numbers cannot describe single voxels, so the input is the mean of each block of 2^3 voxels, which needs an
    eighth of the weights. The correction is zero before training.

    Attributes:
      latent_size: K, numbers in a code.
      widths: channels of the perceptron's hidden layers.
      dtype: type of the factors of matrix products and convolutions; the parameters are always float32.
    """

    latent_size: int = 200
    widths: tuple[int, ...] = (1024, 512)
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, occupancy: jax.Array) -> jax.Array:
        """Returns codes (N, K) float32 of maps (N, 32, 32, 32) from 0 to 1."""
        x = pool_blocks(occupancy)
        code = Dense(self.latent_size, name="linear", dtype=self.dtype)(x)
        for width in self.widths:
            x = nn.relu(Dense(width, dtype=self.dtype)(x))
        return code + Dense(self.latent_size, name="correction", use_bias=False,
                            kernel_init=nn.initializers.zeros, dtype=self.dtype)(x)


class LeanDecoder(nn.Module):
    """The lean decoder: the logits are linear in the code and in `widths[-1]` features, which a perceptron computes.

    Nearly all the work is matrix products: decoding 300 maps takes as long as three maps with the published decoder.
    The contribution of the features is zero before training.

    Attributes:
      widths: channels of the perceptron's layers; the last layer gives the features.
      dtype: type of the factors of matrix products and convolutions; the parameters are always float32.
    """

    widths: tuple[int, ...] = (1024, 256)
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, latent: jax.Array) -> jax.Array:
        """Returns logits (N, 32, 32, 32) float32 of codes (N, K); `EMPTY_LOGIT` outside the unit sphere."""
        mask = voxels.sphere_mask()
        x = nn.relu(Dense(self.widths[0], dtype=self.dtype)(latent))
        for width in self.widths[1:]:
            x = nn.relu(Dense(width, dtype=self.dtype)(jnp.concatenate([latent, x], -1)))
        size = int(mask.sum())
        logits = Dense(size, name="linear", dtype=self.dtype)(latent)
        logits += Dense(size, name="correction", use_bias=False, kernel_init=nn.initializers.zeros,
                        dtype=self.dtype)(x)
        return scatter_sphere(logits, EMPTY_LOGIT)


@functools.cache
def pooled_mask() -> np.ndarray:
    """Returns which blocks of 2^3 voxels contain a voxel of the unit sphere: (16, 16, 16) bool."""
    inside = np.pad(voxels.sphere_mask(), ((0, voxels.PADDED - voxels.GRID),) * 3)
    return np.asarray(inside.reshape(16, 2, 16, 2, 16, 2).any((1, 3, 5)))


def pool_blocks(occupancy: jax.Array | np.ndarray) -> jax.Array | np.ndarray:
    """Returns the means (N, B) of maps (N, 32, 32, 32) over the B blocks of `pooled_mask`."""
    blocks = occupancy.reshape(-1, 16, 2, 16, 2, 16, 2).mean((2, 4, 6))
    return blocks[:, pooled_mask()]


def scatter_sphere(values: ArrayLike, empty: float) -> jax.Array:
    """Returns maps (N, 32, 32, 32) of the values (N, 14147) of the sphere's voxels, `empty` elsewhere."""
    inside = np.pad(voxels.sphere_mask(), ((0, voxels.PADDED - voxels.GRID),) * 3).reshape(-1)
    # This is a gather, because XLA's scatter is slow on a CPU.
    source = np.where(inside, np.cumsum(inside) - 1, inside.sum())
    padded = jnp.pad(values, ((0, 0), (0, 1)), constant_values=empty)
    return padded[:, source].reshape(-1, *(voxels.PADDED,) * 3)


class AutoEncoder(NamedTuple):
    """An encoder and a decoder. Their parameters are a dictionary with the keys "encoder" and "decoder".

    Attributes:
      encoder: maps (N, 32, 32, 32) to codes (N, K).
      decoder: codes (N, K) to logits (N, 32, 32, 32).
    """

    encoder: nn.Module
    decoder: nn.Module

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Returns random initial parameters `{"encoder": ..., "decoder": ...}`, float32."""
        key_encoder, key_decoder = jax.random.split(key)
        occupancy = jnp.zeros((1, *(voxels.PADDED,) * 3))
        latent, encoder = self.encoder.init_with_output(key_encoder, occupancy)
        return {"encoder": encoder["params"], "decoder": self.decoder.init(key_decoder, latent)["params"]}

    def encode(self, params: Mapping[str, Any], occupancy: ArrayLike) -> jax.Array:
        """Returns the codes of maps.

        Args:
          params: parameters, see `init`.
          occupancy: (N, 32, 32, 32) occupancy maps, 0 to 1.

        Returns:
          (N, K) float32.
        """
        return cast(jax.Array, self.encoder.apply({"params": params["encoder"]}, occupancy))

    def decode(self, params: Mapping[str, Any], latent: ArrayLike) -> jax.Array:
        """Returns the decoded maps of codes, as logits; only `params["decoder"]` is used.

        Args:
          params: parameters, see `init`.
          latent: (N, K) codes.

        Returns:
          (N, 32, 32, 32) float32, logits of the probability that a voxel is filled.
        """
        return cast(jax.Array, self.decoder.apply({"params": params["decoder"]}, latent))


def make_autoencoder(
    kind: str, latent_size: int = 200, lowering: str = "auto", dtype: DTypeLike = jnp.float32,
    width: int = PUBLISHED_WIDTH,
) -> AutoEncoder:
    """Returns an auto-encoder by name.

    Args:
      kind: "lean" (the default weights) or "published" (the paper's network).
      latent_size: K, numbers in a code.
      lowering: how convolutions of the published network are computed, one of
        `phasenet.networks.convolutions.LOWERINGS`.
      dtype: type of the factors of matrix products and convolutions; parameters, codes and logits are always float32.
      width: channels of the published network's first block; `PUBLISHED_WIDTH` is the paper's.

    Raises:
      ValueError: the name is unknown.
    """
    if kind == "published":
        return AutoEncoder(PublishedEncoder(latent_size, lowering, dtype, width),
                           PublishedDecoder(lowering, dtype, width))
    if kind == "lean":
        return AutoEncoder(LeanEncoder(latent_size, dtype=dtype), LeanDecoder(dtype=dtype))
    raise ValueError(f"architecture {kind!r}: expected 'published' or 'lean'")
