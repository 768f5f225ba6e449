"""Refines codes by gradient steps through the decoder, from the encoder's code of a map to a better code.

The encoder finds a code in one pass; from another code nearby, the decoder reproduces the map better. Adam maximizes a
smooth form of the correlation that scores auto-encoders (`losses.soft_correlation`).

`saxsae.pretrained.Pretrained.encode` calls `refine`; `saxsae.reconstruction` does not, because it encodes no map.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import optax
from jax.typing import ArrayLike

from saxsae.networks import losses

_FINAL_RATE = 0.05  # learning rate of the last step, relative to the first


class Refinement(NamedTuple):
    """The settings of `refine`.

    Attributes:
      steps: number of steps (static); 0 keeps the encoder's codes.
      rate: learning rate of the first step, in units of a latent number; it falls along a cosine.
      sharpness: slope of the sigmoid in `losses.soft_correlation`.
    """

    steps: int = 0
    rate: float = 0.2
    sharpness: float = 4.0


def refine(decode: Callable[[jax.Array], jax.Array], latent: jax.Array, occupancy: jax.Array, threshold: ArrayLike,
           settings: Refinement) -> jax.Array:
    """Returns codes whose decoded maps correlate better with the given maps.

    Args:
      decode: codes (N, K) to logits (N, 32, 32, 32).
      latent: (N, K) codes to start from.
      occupancy: (N, 32, 32, 32) maps, 0 to 1.
      threshold: probability above which a decoded voxel counts as filled.
      settings: number and size of the steps.

    Returns:
      (N, K); no gradient flows through the steps.
    """
    if not settings.steps:
        return latent
    rule = optax.adam(optax.cosine_decay_schedule(settings.rate, settings.steps, _FINAL_RATE))

    def loss(latent):
        # A sum, not a mean: the gradient of each map then does not depend on the rest of the batch.
        return -losses.soft_correlation(decode(latent), occupancy, threshold, settings.sharpness).sum()

    def step_fn(state, _):
        latent, moments = state
        updates, moments = rule.update(jax.grad(loss)(latent), moments)
        return (optax.apply_updates(latent, updates), moments), None

    latent = jax.lax.stop_gradient(latent)
    return jax.lax.scan(step_fn, (latent, rule.init(latent)), length=settings.steps)[0][0]
