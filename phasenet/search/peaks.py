"""The network's answer to candidate positions: peaks of the map, and their inverses."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

MOST_PEAKS = 64


class Candidates(NamedTuple):
    """Places where atoms may be, of fixed number; those that are there come first.

    Attributes:
      positions: (M, 3) voxels, relative to the map's centre; 0 where not valid.
      heights: (M,) the map's value at the peak, descending among the valid.
      valid: (M,) bool.
    """

    positions: jax.Array
    heights: jax.Array
    valid: jax.Array


def find_peaks(density: jax.Array, *, threshold: float = 0.25, most: int = MOST_PEAKS) -> Candidates:
    """Local maxima of a map, each at the density-weighted centroid of its 27 voxels (paper, section 2.4.4).

    Args:
      density: (N, N, N); not periodic: nothing lies beyond its faces.
      threshold: smallest height of a peak (0.25 in the public code, half of a lone atom's 0.5).
      most: how many peaks are kept, the highest.
    """
    n = density.shape[0]
    around = jax.lax.reduce_window(density, -jnp.inf, jax.lax.max, (3, 3, 3), (1, 1, 1), "SAME")
    height = jnp.where((density >= around) & (density > threshold), density, -jnp.inf).ravel()
    heights, index = jax.lax.top_k(height, most)
    valid = jnp.isfinite(heights)
    voxel = jnp.stack(jnp.unravel_index(index, (n, n, n)), axis=-1)
    positions = jax.vmap(_centroid, in_axes=(None, 0))(jnp.pad(jnp.maximum(density, 0.0), 1), voxel)
    return Candidates(jnp.where(valid[:, None], positions - n / 2, 0.0), jnp.where(valid, heights, 0.0), valid)


def with_inverses(peaks: Candidates, *, merge_distance: float = 0.0) -> Candidates:
    """The peaks and their inverses, (2M, 3): about 40 for 10 atoms (paper, section 2.4.4).

    merge_distance: of candidates closer than this, in voxels, only the higher one stays; 0 keeps
    all but exact copies.
    """
    positions = jnp.concatenate([peaks.positions, -peaks.positions])
    heights = jnp.concatenate([peaks.heights, peaks.heights])
    valid = jnp.concatenate([peaks.valid, peaks.valid])
    order = jnp.argsort(jnp.where(valid, -heights, jnp.inf), stable=True)
    positions, heights, valid = positions[order], heights[order], valid[order]
    near = jnp.linalg.norm(positions[:, None] - positions[None], axis=-1) <= jnp.maximum(merge_distance, 1e-4)

    def body_fun(i, valid):
        earlier = jnp.arange(len(valid)) < i
        return valid.at[i].set(valid[i] & ~(near[i] & valid & earlier).any())

    valid = jax.lax.fori_loop(0, len(valid), body_fun, valid)
    order = jnp.argsort(~valid, stable=True)
    valid = valid[order]
    return Candidates(jnp.where(valid[:, None], positions[order], 0.0), jnp.where(valid, heights[order], 0.0), valid)


def _centroid(padded: jax.Array, voxel: jax.Array) -> jax.Array:
    """Centroid of the 27 voxels around one, from the map's first corner; padded by 1 on each side."""
    block = jax.lax.dynamic_slice(padded, voxel, (3, 3, 3))
    step = jnp.arange(-1.0, 2.0)
    moments = jnp.stack([(block.sum(axis) * step).sum() for axis in ((1, 2), (0, 2), (0, 1))])
    return voxel + 0.5 + moments / jnp.maximum(block.sum(), 1e-12)
