"""Finds the peaks of a network's map (the paper's picker), and adds the inverses of candidates.

`network_stage` calls both functions; its other picker is `fitting`. The product's default network shows one hand, so
the product needs no inverses. The paper is D. Hurwitz, arXiv:2003.13767, section 2.4.4.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

MOST_PEAKS = 64


class Candidates(NamedTuple):
    """A fixed number M of places where atoms may lie; the valid ones come first.

    Attributes:
      positions: (M, 3), voxels, relative to the map's centre; 0 where not valid.
      heights: (M,) value of the map at the peak, or how much of an atom was fitted; descending; 0 where not valid.
      valid: (M,) bool.
    """

    positions: jax.Array
    heights: jax.Array
    valid: jax.Array


def find_peaks(density: jax.Array, *, threshold: float = 0.25, most: int = MOST_PEAKS) -> Candidates:
    """Finds the local maxima of a map, each at the density-weighted centroid of the 27 voxels around it.

    Args:
      density: (N, N, N), not periodic: nothing lies beyond its faces.
      threshold: only values above this count as peaks. The paper's code has 0.25, half the height of a lone atom.
      most: number of peaks that are kept, the highest ones.

    Returns:
      `most` candidates.
    """
    n = density.shape[0]
    around = jax.lax.reduce_window(density, -jnp.inf, jax.lax.max, (3, 3, 3), (1, 1, 1), "SAME")
    height = jnp.where((density >= around) & (density > threshold), density, -jnp.inf).ravel()
    heights, index = jax.lax.top_k(height, most)
    valid = jnp.isfinite(heights)
    voxel = jnp.stack(jnp.unravel_index(index, (n, n, n)), axis=-1)
    positions = jax.vmap(_centroid, in_axes=(None, 0))(jnp.pad(jnp.maximum(density, 0.0), 1), voxel)
    return Candidates(jnp.where(valid[:, None], positions - n / 2, 0.0), jnp.where(valid, heights, 0.0), valid)


def add_inverses(peaks: Candidates, *, merge_distance: float = 0.0) -> Candidates:
    """Returns candidates and their inverses, about 40 for the 10 atoms of the paper.

    Args:
      peaks: M candidates.
      merge_distance: of candidates closer than this, voxels, only the highest stays; 0 keeps all but exact copies.

    Returns:
      2M candidates.
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
    """Returns the centroid (3,) of the 27 voxels around a voxel (3,), voxels from the first corner of the map.

    `padded` is the map (N + 2, N + 2, N + 2) with a margin of one voxel.
    """
    block = jax.lax.dynamic_slice(padded, voxel, (3, 3, 3))
    step = jnp.arange(-1.0, 2.0)
    moments = jnp.stack([(block.sum(axis) * step).sum() for axis in ((1, 2), (0, 2), (0, 1))])
    return voxel + 0.5 + moments / jnp.maximum(block.sum(), 1e-12)
