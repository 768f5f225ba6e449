"""A map to its code and back: the pose, the encoder's answer, and gradient steps through the decoder.

The encoder has one look at a map; what the decoder can say with 200 numbers is better than what the encoder finds at
once. The steps climb a smooth form of the correlation that the auto-encoder is judged by.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from saxsae import losses, pose, voxels

_FINAL_RATE = 0.05  # of the first step's


class Refinement(NamedTuple):
    """How a code is refined.

    Attributes:
      steps: of Adam (static); 0 leaves the encoder's answer.
      rate: of the first step, in units of a latent number; it falls along a cosine.
      sharpness: of ``losses.soft_correlation``.
    """

    steps: int = 0
    rate: float = 0.2
    sharpness: float = 4.0


def refine(decode: Callable, latent, occupancy, threshold, settings: Refinement):
    """Codes that decode to more of their maps.

    Args:
      decode: (N, K) codes to (N, 32, 32, 32) logits.
      latent: (N, K) to begin with.
      occupancy: (N, 32, 32, 32) in [0, 1].
      threshold: probability above which a decoded voxel counts as filled.

    Returns:
      (N, K); no gradient flows through the steps.
    """
    if not settings.steps:
        return latent
    rule = optax.adam(optax.cosine_decay_schedule(settings.rate, settings.steps, _FINAL_RATE))

    def loss(latent):
        # A sum: each map has its own gradient, whatever else is in the batch.
        return -losses.soft_correlation(decode(latent), occupancy, threshold, settings.sharpness).sum()

    def step_fn(state, _):
        latent, moments = state
        updates, moments = rule.update(jax.grad(loss)(latent), moments)
        return (optax.apply_updates(latent, updates), moments), None

    latent = jax.lax.stop_gradient(latent)
    return jax.lax.scan(step_fn, (latent, rule.init(latent)), length=settings.steps)[0][0]


class Encoded(NamedTuple):
    """What is kept of maps.

    Attributes:
      latent: (N, K).
      rotation: (N, 3, 3) from the maps' own pose to the one in which the code shows them.
    """

    latent: jax.Array
    rotation: jax.Array


def encode(encoder: Callable, decoder: Callable, occupancy, threshold, posture: str, settings: Refinement) -> Encoded:
    """Maps to codes: turned upright where ``posture`` is "principal", encoded, refined.

    Args:
      encoder: (N, 32, 32, 32) maps to (N, K) codes; decoder: codes to (N, 32, 32, 32) logits.
      occupancy: (N, 31, 31, 31), binary.
      threshold, settings: see ``refine``.
    """
    rotation = jnp.broadcast_to(jnp.eye(3), (len(occupancy), 3, 3))
    if posture == "principal":
        rotation = jax.vmap(pose.upright)(occupancy)
        occupancy = jax.vmap(voxels.rotate)(occupancy, rotation)
    padded = voxels.pad(occupancy)
    return Encoded(refine(decoder, encoder(padded), padded, threshold, settings), rotation)


def decode(decoder: Callable, code: Encoded, threshold, posture: str, sharpness: float = Refinement().sharpness):
    """How surely each voxel is filled, (N, 31, 31, 31) in the maps' own pose; above one half it counts as filled.

    The cut at ``threshold`` is made steeper by ``sharpness`` before maps are turned back: a gentle slope, interpolated,
    would shrink what is thin.
    """
    inside = (slice(None), *(slice(voxels.GRID),) * 3)
    filled = jax.nn.sigmoid(sharpness * (decoder(code.latent)[inside] - jax.scipy.special.logit(threshold)))
    if posture == "principal":
        filled = jax.vmap(voxels.rotate)(filled, jnp.swapaxes(code.rotation, 1, 2))
    return filled
