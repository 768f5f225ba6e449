"""Computes the training losses of auto-encoders (cross-entropy, soft correlation) and their score (binary correlation).

`launch.tasks.autoencoder` and `launch.tasks.refined_autoencoder` call them; `code_refinement` maximizes the soft
correlation.
"""

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from saxsae.shapes import voxels


def cross_entropy(logits: jax.Array, occupancy: ArrayLike) -> jax.Array:
    """Returns the mean sigmoid cross-entropy () over all voxels (the loss of He, Liu, Liu, iScience 23, 100906).

    Args:
      logits: (..., 32, 32, 32) decoded maps.
      occupancy: true maps of the same shape, 0 to 1.
    """
    return optax.sigmoid_binary_cross_entropy(logits, occupancy).mean()


def soft_correlation(logits: jax.Array, occupancy: jax.Array, threshold: ArrayLike = 0.5, sharpness: float = 4.0,
                     ) -> jax.Array:
    """Returns a smooth form of `binary_correlation`: a sigmoid replaces the step at the threshold.

    Args:
      logits: (N, M, M, M) decoded maps, M 31 or 32; padding does not count.
      occupancy: true maps of the same shape, 0 to 1.
      threshold: probability at which the sigmoid is 1/2.
      sharpness: factor of the logits in the sigmoid; 1, at the threshold 0.5, gives the decoded probability.

    Returns:
      (N,) Pearson correlations over the 31^3 voxels.
    """
    inside = (slice(None), *(slice(voxels.GRID),) * 3)
    a = jax.nn.sigmoid(sharpness * (logits[inside] - jax.scipy.special.logit(threshold))).reshape(len(logits), -1)
    b = occupancy[inside].reshape(len(occupancy), -1)
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    return (a * b).sum(1) * jax.lax.rsqrt((a**2).sum(1) * (b**2).sum(1) + 1e-6)


def binary_correlation(probability: jax.Array, occupancy: jax.Array, threshold: ArrayLike) -> jax.Array:
    """Returns the Pearson correlation of a decoded map, binarized at the threshold, with a true binary map.

    Args:
      probability: (..., M, M, M) decoded maps, M 31 or 32; padding does not count.
      occupancy: true binary maps of the same shape.
      threshold: () a voxel of larger probability counts as filled.

    Returns:
      (...,) correlations over the 31^3 voxels; 0 where either map is empty or full.
    """
    grid = voxels.GRID
    a = (probability[..., :grid, :grid, :grid] > threshold).astype(jnp.float32)
    b = occupancy[..., :grid, :grid, :grid].astype(jnp.float32)
    axes = (-3, -2, -1)
    a = a - a.mean(axes, keepdims=True)
    b = b - b.mean(axes, keepdims=True)
    power = (a**2).sum(axes) * (b**2).sum(axes)
    return jnp.where(power > 0, (a * b).sum(axes) / jnp.sqrt(jnp.where(power > 0, power, 1.0)), 0.0)
