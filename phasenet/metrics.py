"""How well found atoms agree with true ones: mutual-nearest matching in the better of both hands."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Matching(NamedTuple):
    """Found atoms against the true ones.

    Attributes:
      matched: (n,) for each true atom, whether a found one is its mutual nearest (within the cutoff).
      distance: (n,) voxels to the nearest found atom, also where not matched; infinite without any.
      nearest: (n,) index of that found atom.
      inverted: () whether the found atoms were inverted to match.
    """

    matched: jax.Array
    distance: jax.Array
    nearest: jax.Array
    inverted: jax.Array


def match(found: jax.Array, true: jax.Array, *, cutoff: float = jnp.inf, found_valid: jax.Array | None = None,
          ) -> Matching:
    """Mutual-nearest matching (paper, section 3.5), found atoms as they are or inverted, whichever matches better.

    Args:
      found: (m, 3), true: (n, 3), voxels.
      cutoff: farthest match, voxels; the paper has none.
      found_valid: (m,) which of the found count; by default all that are finite.

    The better hand has more matches, then the smaller sum of matched distances.
    """
    finite = jnp.isfinite(found).all(-1)
    found_valid = finite if found_valid is None else found_valid & finite
    found = jnp.where(found_valid[:, None], found, 0.0)
    hands = [_match(sign * found, true, cutoff, found_valid) for sign in (1, -1)]
    counts = [hand.matched.sum() for hand in hands]
    sums = [jnp.where(hand.matched, hand.distance, 0.0).sum() for hand in hands]
    flip = (counts[1] > counts[0]) | ((counts[1] == counts[0]) & (sums[1] < sums[0]))
    best = jax.tree.map(lambda a, b: jnp.where(flip, b, a), *hands)
    return best._replace(inverted=flip)


def mean_error(matching: Matching) -> jax.Array:
    """Mean distance of the matched atoms, voxels; NaN where none is."""
    count = matching.matched.sum()
    return jnp.where(matching.matched, matching.distance, 0.0).sum() / jnp.where(count > 0, count, jnp.nan)


def _match(found: jax.Array, true: jax.Array, cutoff: float, found_valid: jax.Array) -> Matching:
    distance = jnp.linalg.norm(true[:, None] - found[None], axis=-1)
    distance = jnp.where(found_valid, distance, jnp.inf)
    nearest = distance.argmin(axis=1)
    closest = distance.min(axis=1)
    back = distance.argmin(axis=0)[nearest]
    matched = (back == jnp.arange(len(true))) & jnp.isfinite(closest) & (closest <= cutoff)
    return Matching(matched, closest, nearest, jnp.array(False))
