"""The auto-encoders: 32^3 occupancy to 200 numbers and back.

``published`` is the paper's network (section 2.2; widths, kernel sizes and places of the ReLUs from its public code).
``lean`` is ours for laptops: a linear code, which starts as the corpus's principal components, plus perceptrons that
start at zero and correct it. Both take (batch, 32, 32, 32) occupancies in [0, 1] and give latents (batch, latent_size)
and logits (batch, 32, 32, 32), both float32; ``decode`` alone is all that fitting a curve needs. ``dtype`` is that of
the factors of products; the parameters are float32 in any case.
"""

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from phasenet.networks import layers
from phasenet.networks.precision import Dense
from saxsae.shapes import voxels

EMPTY_LOGIT = -15.0  # outside the unit sphere nothing is ever filled


class PublishedEncoder(nn.Module):
    """Seven 3^3 convolutions in three blocks, ReLU at each block's end, two pools, one dense layer with ReLU."""

    latent_size: int = 200
    lowering: str = "auto"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, occupancy):
        x = occupancy[..., None]
        for block, widths in enumerate(((64, 64), (128, 128), (128, 128, 128))):
            for width in widths:
                x = layers.Conv3D(width, 3, lowering=self.lowering, dtype=self.dtype)(x)
            x = nn.relu(x)
            if block < 2:
                x = layers.max_pool(x)
        x = x.reshape(x.shape[0], -1)
        return nn.relu(Dense(self.latent_size, dtype=self.dtype, name="latent")(x))


class PublishedDecoder(nn.Module):
    """Dense to 8^3 x 32, two 5^3 transposed convolutions of stride 2, one 3^3 convolution to the logits."""

    lowering: str = "auto"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, latent):
        x = nn.relu(Dense(8**3 * 32, dtype=self.dtype, name="expand")(latent))
        x = x.reshape(-1, 8, 8, 8, 32)
        for width in (64, 128):
            x = nn.relu(layers.ConvTranspose3D(width, 5, lowering=self.lowering, dtype=self.dtype)(x))
        return layers.Conv3D(1, 3, lowering=self.lowering, dtype=self.dtype)(x)[..., 0].astype(jnp.float32)


class LeanEncoder(nn.Module):
    """A linear code of the map at half resolution plus a perceptron's correction that starts at zero.

    200 numbers cannot tell single voxels apart, so 2^3 of them enter as one: an eighth of the weights.
    """

    latent_size: int = 200
    widths: tuple[int, ...] = (1024, 512)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, occupancy):
        x = pool_blocks(occupancy)
        code = Dense(self.latent_size, name="linear", dtype=self.dtype)(x)
        for width in self.widths:
            x = nn.relu(Dense(width, dtype=self.dtype)(x))
        return code + Dense(self.latent_size, name="correction", use_bias=False,
                            kernel_init=nn.initializers.zeros, dtype=self.dtype)(x)


class LeanDecoder(nn.Module):
    """The sphere's voxels as linear in the latent and in ``widths[-1]`` learned features of it.

    One matrix product does nearly all the work: a population of 300 costs what three maps cost the published decoder.
    """

    widths: tuple[int, ...] = (1024, 256)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, latent):
        mask = voxels.sphere_mask()
        x = nn.relu(Dense(self.widths[0], dtype=self.dtype)(latent))
        for width in self.widths[1:]:
            x = nn.relu(Dense(width, dtype=self.dtype)(jnp.concatenate([latent, x], -1)))
        size = int(mask.sum())
        logits = Dense(size, name="linear", dtype=self.dtype)(latent)
        logits += Dense(size, name="correction", use_bias=False, kernel_init=nn.initializers.zeros,
                        dtype=self.dtype)(x)
        return scatter_sphere(logits, EMPTY_LOGIT)


@functools.lru_cache(maxsize=None)
def pooled_mask() -> np.ndarray:
    """Boolean (16, 16, 16): the blocks of 2^3 voxels that reach into the unit sphere."""
    inside = np.pad(voxels.sphere_mask(), ((0, voxels.PADDED - voxels.GRID),) * 3)
    return inside.reshape(16, 2, 16, 2, 16, 2).any((1, 3, 5))


def pool_blocks(occupancy):
    """Means over blocks of 2^3 voxels within the sphere: (N, 32, 32, 32) to (N, pooled_mask().sum())."""
    blocks = occupancy.reshape(-1, 16, 2, 16, 2, 16, 2).mean((2, 4, 6))
    return blocks[:, pooled_mask()]


def scatter_sphere(values, empty: float):
    """Values of the sphere's voxels (N, 14147) as maps (N, 32, 32, 32), ``empty`` elsewhere."""
    inside = np.pad(voxels.sphere_mask(), ((0, voxels.PADDED - voxels.GRID),) * 3).reshape(-1)
    # A gather: XLA's scatter is slow on CPU.
    source = np.where(inside, np.cumsum(inside) - 1, inside.sum())
    padded = jnp.pad(values, ((0, 0), (0, 1)), constant_values=empty)
    return padded[:, source].reshape(-1, *(voxels.PADDED,) * 3)


class AutoEncoder(NamedTuple):
    """An encoder and a decoder; their parameters live under the same two names."""

    encoder: nn.Module
    decoder: nn.Module

    def init(self, key) -> dict:
        """Fresh parameters ``{"encoder": ..., "decoder": ...}``."""
        key_encoder, key_decoder = jax.random.split(key)
        occupancy = jnp.zeros((1, *(voxels.PADDED,) * 3))
        latent, encoder = self.encoder.init_with_output(key_encoder, occupancy)
        return {"encoder": encoder["params"], "decoder": self.decoder.init(key_decoder, latent)["params"]}

    def encode(self, params, occupancy):
        """(N, 32, 32, 32) occupancy to (N, latent_size)."""
        return self.encoder.apply({"params": params["encoder"]}, occupancy)

    def decode(self, params, latent):
        """(N, latent_size) to logits (N, 32, 32, 32)."""
        return self.decoder.apply({"params": params["decoder"]}, latent)


def make_autoencoder(kind: str, latent_size: int = 200, lowering: str = "auto", dtype: Any = jnp.float32) -> AutoEncoder:
    """The auto-encoder named ``published`` or ``lean``. Raises ValueError for another name."""
    if kind == "published":
        return AutoEncoder(PublishedEncoder(latent_size, lowering, dtype), PublishedDecoder(lowering, dtype))
    if kind == "lean":
        return AutoEncoder(LeanEncoder(latent_size, dtype=dtype), LeanDecoder(dtype=dtype))
    raise ValueError(f"architecture {kind!r}: expected 'published' or 'lean'")
