"""The main connected region of binary maps, fast enough for every gene of every generation.

A row of voxels along x is one 32-bit word, so that growing a region by a voxel is a few shifts of (31, 31) words.
"""

import jax
import jax.numpy as jnp

from saxsae.shapes.voxels import GRID

_SEEDS = 3  # regions tried; the largest is kept
_CHUNK = 70  # maps at a time on a CPU: they stay in its cache


def pack_rows(occupancy):
    """Boolean (31, 31, 31) to (31, 31) uint32: bit k of word (i, j) is voxel (k, i, j)."""
    bits = occupancy.astype(jnp.uint32) << jnp.arange(GRID, dtype=jnp.uint32)[:, None, None]
    return bits.sum(0, dtype=jnp.uint32)


def unpack_rows(rows):
    """The inverse of ``pack_rows``: (31, 31) uint32 to boolean (31, 31, 31)."""
    return ((rows >> jnp.arange(GRID, dtype=jnp.uint32)[:, None, None]) & 1).astype(bool)


def _grow(region, allowed):
    """The region and its face neighbours within ``allowed``, a few voxels at a time along x."""
    for _ in range(3):  # x is cheapest: go further along it
        region = (region | (region << 1) | (region >> 1)) & allowed
    padded = jnp.pad(region, 1)
    centre = slice(1, -1)
    return (region | padded[2:, centre] | padded[:-2, centre] | padded[centre, 2:] | padded[centre, :-2]) & allowed


def _flood(seed, allowed):
    """All of ``allowed`` that is connected (faces) with ``seed``."""
    def body_fun(carry):
        region, _ = carry
        grown = _grow(region, allowed)
        return grown, (grown != region).any()

    return jax.lax.while_loop(lambda carry: carry[1], body_fun, (seed, jnp.bool_(True)))[0]


def _first_voxel(rows):
    """A map with the lowest filled bit of the first filled word of ``rows``, empty if there is none."""
    flat = rows.reshape(-1)
    index = jnp.argmax(flat != 0)
    lowest = flat[index] & (~flat[index] + jnp.uint32(1))
    return jnp.zeros_like(flat).at[index].set(lowest).reshape(rows.shape)


def main_region(occupancy, density):
    """The largest connected region of a binary map.

    Args:
      occupancy: boolean (31, 31, 31).
      density: (31, 31, 31); its highest voxel within the occupancy seeds the first region tried.

    Returns:
      The region (31, 31, 31) boolean, the largest of the first few found (a map of dust may hold a larger one), and
      the fraction () of the filled voxels outside it.
    """
    allowed = pack_rows(occupancy)
    total = jax.lax.population_count(allowed).sum()
    # The highest voxel. On a CPU an argmax over all of them takes four times as long: it is not vectorized, as a
    # maximum along the first axis is.
    values = jnp.where(occupancy, density, -jnp.inf)
    seed = _first_voxel(pack_rows(values == values.max(0).max()) & allowed)

    def body_fun(_, carry):
        seed, left, region, size = carry
        found = _flood(seed, left)
        found_size = jax.lax.population_count(found).sum()
        larger = found_size > size
        # Half of all voxels cannot be surpassed: nothing is left to search, and in a batch of such the loops end.
        left = jnp.where(2 * found_size >= total, 0, left & ~found)
        return _first_voxel(left), left, jnp.where(larger, found, region), jnp.where(larger, found_size, size)

    start = (seed, allowed, jnp.zeros_like(allowed), jnp.uint32(0))
    _, _, region, size = jax.lax.fori_loop(0, _SEEDS, body_fun, start)
    return unpack_rows(region), 1 - size / jnp.maximum(total, 1)


def main_regions(density, threshold, mask):
    """``main_region`` of where each of many maps is above a threshold.

    Args:
      density: (P, 31, 31, 31).   threshold: ().   mask: boolean (31, 31, 31), where a map can be filled at all.

    Returns: boolean (P, 31, 31, 31).
    """
    def one(density):
        return main_region((density > threshold) & mask, density)[0]

    # A loop also has its input in memory: what made the maps would otherwise be fused into each of their uses, and done
    # again for each (twice the time of decoding and search together on a CPU).
    return jax.lax.platform_dependent(density, default=jax.vmap(one),
                                      cpu=lambda density: jax.lax.map(one, density, batch_size=_CHUNK))
