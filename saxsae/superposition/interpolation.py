"""Interpolates cubic maps and their gradients between voxels, for `saxsae.superposition.alignment`."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike


def grid_points(size: int, pitch: ArrayLike) -> jax.Array:
    """Returns the positions (size^3, 3) of the voxels of a cubic grid from its centre, in the unit of `pitch` ()."""
    index = np.indices((size,) * 3).reshape(3, -1).T - (size - 1) / 2
    return jnp.asarray(index, jnp.float32) * pitch


def interpolate(volume: jax.Array, points: jax.Array, pitch: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Returns trilinearly interpolated values of a cubic map, which is zero outside its grid, and their gradients.

    Args:
      volume: (N, N, N).
      points: (P, 3) positions from the centre of the grid, in the unit of `pitch`.
      pitch: () edge of a voxel.

    Returns:
      Values (P,) and gradients (P, 3), the latter per unit of `pitch`.
    """
    values, gradients = interpolate_cells(cells_of(volume), points.T, pitch)
    return values, gradients.T


def cells_of(volume: jax.Array) -> jax.Array:
    """Returns the eight voxels at the corners of each cell of a map padded by zeros: (N + 2, N + 2, N + 2, 8).

    A point then reads one row instead of eight voxels in eight places, in a third of the time.
    """
    padded = jnp.pad(volume, 1)
    return jnp.stack([jnp.roll(padded, [-i, -j, -k], (0, 1, 2))
                      for i in (0, 1) for j in (0, 1) for k in (0, 1)], -1)


def interpolate_cells(cells: jax.Array, points: jax.Array, pitch: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Returns values (P,) and gradients (3, P) at points (3, P), as `interpolate` does, from the map's `cells_of`."""
    size = cells.shape[0]
    index = points / pitch + (size - 1) / 2
    inside = jnp.all((index > 0) & (index < size - 1), 0)
    index = jnp.clip(index, 0.0, size - 1.0)
    node = jnp.minimum(index.astype(jnp.int32), size - 2)
    x, y, z = index - node
    corner = (node[0] * size + node[1]) * size + node[2]
    v = cells.reshape(-1, 8).at[corner].get(mode="clip").T.reshape(2, 2, 2, -1)

    def lerp(pair, t):
        return pair[0] + t * (pair[1] - pair[0])

    face = lerp(v, x)
    edge = lerp(face, y)
    gradients = [lerp(lerp(v[1] - v[0], y), z), lerp(face[1] - face[0], z), edge[1] - edge[0]]
    return lerp(edge, z), jnp.where(inside, jnp.stack(gradients) / pitch, 0.0)
