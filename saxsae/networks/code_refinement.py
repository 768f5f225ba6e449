"""A map to its code: the encoder's answer, improved by gradient steps through the decoder.

The encoder has one look at a map; what the decoder can say with 200 numbers is better than what the encoder finds at
once. The steps climb a smooth form of the correlation that the auto-encoder is judged by.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import optax

from saxsae.networks import losses

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
