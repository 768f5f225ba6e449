"""Finds the largest connected region of binary maps, fast enough for all genes of all generations of the search.

A row of voxels along x is stored as one 32-bit word, so a few shifts of (31, 31) words grow a region by one voxel.
`saxsae.genetic_search` calls `main_regions` on decoded maps, because a particle in solution is one connected body.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from saxsae.shapes.voxels import GRID

_SEEDS = 3  # regions that are tried; the largest is kept
_CHUNK = 70  # maps at a time on a CPU; so many stay in its cache


def pack_rows(occupancy: jax.Array) -> jax.Array:
    """Returns a boolean map (31, 31, 31) as words (31, 31) uint32: bit k of word (i, j) is voxel (k, i, j)."""
    bits = occupancy.astype(jnp.uint32) << jnp.arange(GRID, dtype=jnp.uint32)[:, None, None]
    return bits.sum(0, dtype=jnp.uint32)


def unpack_rows(rows: jax.Array) -> jax.Array:
    """Returns the boolean map (31, 31, 31) of words (31, 31) uint32 from `pack_rows`."""
    return ((rows >> jnp.arange(GRID, dtype=jnp.uint32)[:, None, None]) & 1).astype(bool)


def _grow(region: jax.Array, allowed: jax.Array) -> jax.Array:
    """Returns a region (31, 31), grown within `allowed` (31, 31) by three voxels along x and one along y and z."""
    for _ in range(3):  # growth along x costs least
        region = (region | (region << 1) | (region >> 1)) & allowed
    padded = jnp.pad(region, 1)
    centre = slice(1, -1)
    return (region | padded[2:, centre] | padded[:-2, centre] | padded[centre, 2:] | padded[centre, :-2]) & allowed


def _flood(seed: jax.Array, allowed: jax.Array) -> jax.Array:
    """Returns all voxels of `allowed` (31, 31) that are connected by faces with `seed` (31, 31)."""
    def body_fun(carry):
        region, _ = carry
        grown = _grow(region, allowed)
        return grown, (grown != region).any()

    return jax.lax.while_loop(lambda carry: carry[1], body_fun, (seed, jnp.bool_(True)))[0]


def _first_voxel(rows: jax.Array) -> jax.Array:
    """Returns words (31, 31) with one voxel of `rows` (31, 31): the lowest bit of its first word that is not zero."""
    flat = rows.reshape(-1)
    index = jnp.argmax(flat != 0)
    lowest = flat[index] & (~flat[index] + jnp.uint32(1))
    return jnp.zeros_like(flat).at[index].set(lowest).reshape(rows.shape)


def main_region(occupancy: jax.Array, density: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the largest connected region of a binary map.

    Only three regions are compared: the one that contains the highest voxel, then twice the one that contains the first
    remaining voxel. A map of many small pieces may have a larger region.

    Args:
      occupancy: boolean (31, 31, 31).
      density: (31, 31, 31); the filled voxel of highest density is in the first region.

    Returns:
      The region, boolean (31, 31, 31); and the fraction () of the filled voxels outside it, 1 if no voxel is filled.
    """
    allowed = pack_rows(occupancy)
    total = jax.lax.population_count(allowed).sum()
    # The seed is the highest voxel. On a CPU an argmax over all voxels would take four times as long as this maximum
    # along the first axis, which is vectorized.
    values = jnp.where(occupancy, density, -jnp.inf)
    seed = _first_voxel(pack_rows(values == values.max(0).max()) & allowed)

    def body_fun(_, carry):
        seed, left, region, size = carry
        found = _flood(seed, left)
        found_size = jax.lax.population_count(found).sum()
        larger = found_size > size
        # A region of at least half of all filled voxels is the largest. Then no voxel is left, so the loops end early.
        left = jnp.where(2 * found_size >= total, 0, left & ~found)
        return _first_voxel(left), left, jnp.where(larger, found, region), jnp.where(larger, found_size, size)

    start = (seed, allowed, jnp.zeros_like(allowed), jnp.uint32(0))
    _, _, region, size = jax.lax.fori_loop(0, _SEEDS, body_fun, start)
    return unpack_rows(region), 1 - size / jnp.maximum(total, 1)


def main_regions(density: jax.Array, threshold: ArrayLike, mask: ArrayLike) -> jax.Array:
    """Returns the `main_region` of each map, whose filled voxels are those above a threshold.

    Args:
      density: (P, 31, 31, 31) maps.
      threshold: (), in the unit of `density`.
      mask: boolean (31, 31, 31), false where a map must stay empty.

    Returns:
      Boolean (P, 31, 31, 31).
    """
    def region_of(density):
        return main_region((density > threshold) & mask, density)[0]

    # On a CPU the loop forces its input into memory. Otherwise the compiler fuses the computation of the maps into each
    # of their uses and repeats it there, which doubles the time of decoding and search together.
    return jax.lax.platform_dependent(density, default=jax.vmap(region_of),
                                      cpu=lambda density: jax.lax.map(region_of, density, batch_size=_CHUNK))
