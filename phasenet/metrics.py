"""How well found atoms agree with true ones: mutual-nearest matching in the better hand (paper, section 3.5).

`launch.evaluation.phasing` scores solutions with this module, and `search.certificate` compares two solutions of one
map with `match`. The paper is D. Hurwitz, arXiv:2003.13767.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Matching(NamedTuple):
    """Found atoms matched with n true ones.

    Attributes:
      matched: (n,) bool, whether a true atom and a found one are each other's nearest, within the cutoff.
      distance: (n,) distance of each true atom from the nearest found atom, voxels, whether or not the two match;
        infinite if no found atom counts.
      nearest: (n,) index of the nearest found atom.
      inverted: () bool, whether the found atoms were inverted to match.
    """

    matched: jax.Array
    distance: jax.Array
    nearest: jax.Array
    inverted: jax.Array


def match(found: jax.Array, true: jax.Array, *, cutoff: float = jnp.inf, found_valid: jax.Array | None = None,
          ) -> Matching:
    """Matches found atoms, as they are or inverted, with true ones: pairs in which each is the other's nearest.

    The hand with more matches is taken; if both hands have the same number, the one with the smaller sum of matched
    distances. Both sets must have the same origin, because no translation is applied.

    Args:
      found: (m, 3), voxels.
      true: (n, 3), voxels.
      cutoff: largest distance of a match, voxels; the paper sets no limit.
      found_valid: (m,) bool, which of the found atoms count. Atoms with a position that is not finite never count.

    Returns:
      The matching in the better hand.
    """
    finite = jnp.isfinite(found).all(-1)
    found_valid = finite if found_valid is None else found_valid & finite
    found = jnp.where(found_valid[:, None], found, 0.0)
    hands = [_match_one_hand(sign * found, true, cutoff, found_valid) for sign in (1, -1)]
    counts = [hand.matched.sum() for hand in hands]
    sums = [jnp.where(hand.matched, hand.distance, 0.0).sum() for hand in hands]
    invert = (counts[1] > counts[0]) | ((counts[1] == counts[0]) & (sums[1] < sums[0]))
    best = jax.tree.map(lambda a, b: jnp.where(invert, b, a), *hands)
    return best._replace(inverted=invert)


def mean_error(matching: Matching) -> jax.Array:
    """Returns the mean distance () of the matched atoms, voxels; NaN if none is matched."""
    count = matching.matched.sum()
    return jnp.where(matching.matched, matching.distance, 0.0).sum() / jnp.where(count > 0, count, jnp.nan)


def _match_one_hand(found: jax.Array, true: jax.Array, cutoff: float, found_valid: jax.Array) -> Matching:
    """Returns the matching of found atoms (m, 3) with true ones (n, 3), voxels, in the hand that is given."""
    distance = jnp.linalg.norm(true[:, None] - found[None], axis=-1)
    distance = jnp.where(found_valid, distance, jnp.inf)
    nearest = distance.argmin(axis=1)
    closest = distance.min(axis=1)
    nearest_of_nearest = distance.argmin(axis=0)[nearest]
    matched = (nearest_of_nearest == jnp.arange(len(true))) & jnp.isfinite(closest) & (closest <= cutoff)
    return Matching(matched, closest, nearest, jnp.array(False))
