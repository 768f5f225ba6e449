"""What the auto-encoders are trained on and judged by."""

import jax
import jax.numpy as jnp
import optax

from saxsae.shapes import voxels


def cross_entropy(logits, occupancy):
    """Mean sigmoid cross-entropy over all voxels (the paper's loss): two (..., 32, 32, 32) to a scalar."""
    return optax.sigmoid_binary_cross_entropy(logits, occupancy).mean()


def soft_correlation(logits, occupancy, threshold=0.5, sharpness=4.0):
    """A smooth form of ``binary_correlation``: the cut is a sigmoid of logits, ``sharpness`` times as steep as theirs.

    Args:
      logits: (N, 31 or 32, ...) decoded maps.
      occupancy: maps of the same shape in [0, 1].
      threshold: probability at which the cut lies.

    Returns:
      (N,) Pearson correlations over the 31^3 voxels.
    """
    inside = (slice(None), *(slice(voxels.GRID),) * 3)
    a = jax.nn.sigmoid(sharpness * (logits[inside] - jax.scipy.special.logit(threshold))).reshape(len(logits), -1)
    b = occupancy[inside].reshape(len(occupancy), -1)
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    return (a * b).sum(1) * jax.lax.rsqrt((a**2).sum(1) * (b**2).sum(1) + 1e-6)


def binary_correlation(probability, occupancy, threshold):
    """Pearson correlation over the 31^3 voxels of a map cut at ``threshold`` with the binary input.

    Args:
      probability: (..., 31 or 32, 31 or 32, 31 or 32) decoded maps; padding is left out.
      occupancy: binary maps of the same shape.
      threshold: scalar; a voxel counts as filled above it.

    Returns:
      (...,) correlations; 0 where either map is empty or full.
    """
    grid = voxels.GRID
    a = (probability[..., :grid, :grid, :grid] > threshold).astype(jnp.float32)
    b = occupancy[..., :grid, :grid, :grid].astype(jnp.float32)
    axes = (-3, -2, -1)
    a = a - a.mean(axes, keepdims=True)
    b = b - b.mean(axes, keepdims=True)
    power = (a**2).sum(axes) * (b**2).sum(axes)
    return jnp.where(power > 0, (a * b).sum(axes) / jnp.sqrt(jnp.where(power > 0, power, 1.0)), 0.0)
