"""Random atoms: non-overlapping points in an inner box, centred on their mean.

Positions are in voxels, relative to the centre of the map (the corner between voxels N/2 - 1 and
N/2), so that the inverse of a set of atoms is its negative.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

# How an example treats the reserved corner of the inner box.
CORNERS = ("any", "empty", "filled")

# Places in a draw's stream, for each atom; where they do not suffice the draw starts anew.
_PROPOSALS = 16
# Draws before the last one is returned as it is, marked invalid.
_MOST_DRAWS = 20_000


class AtomRules(NamedTuple):
    """Where atoms may lie. All static.

    Attributes:
      num_atoms: how many.
      inner_box: edge of the box, centred on the map's centre, that holds the atoms' centres; voxels.
      min_distance: smallest distance between two atoms, voxels; 2 is touching spheres of radius 1.
      stay_inside: whether the atoms must still be in the box once they are centred on their mean
        (False: the public code's looser rule).
      corner: edge of a reserved cube at the (+, +, +) corner of the inner box and, since the
        inverse is shown to the network too, of the one at (-, -, -); voxels.
      corner_rule: "any" ignores it; "empty": no atom lies there; "filled": at least one does.
    """

    num_atoms: int = 10
    inner_box: float = 12.0
    min_distance: float = 2.0
    stay_inside: bool = True
    corner: float = 0.0
    corner_rule: str = "any"


def check_rules(rules: AtomRules) -> None:
    """Raises ValueError for rules that no set of atoms can meet."""
    if not isinstance(rules.num_atoms, int) or rules.num_atoms < 1:
        raise ValueError(f"num_atoms={rules.num_atoms}: expected a whole number, at least 1")
    if not rules.inner_box > 0 or not math.isfinite(rules.inner_box):
        raise ValueError(f"inner_box={rules.inner_box}: expected more than 0")
    if not 0 <= rules.min_distance < math.inf:
        raise ValueError(f"min_distance={rules.min_distance}: expected at least 0")
    # Balls placed one after another jam at 38% of the volume, and most draws that find room for all long before
    # that no longer fit once they are centred.
    share = rules.num_atoms * math.pi / 6 * rules.min_distance**3
    if share > 0.15 * (rules.inner_box + rules.min_distance) ** 3:
        raise ValueError(f"num_atoms={rules.num_atoms}: too many for min_distance={rules.min_distance} in a "
                         f"box of {rules.inner_box} voxels")
    if rules.corner_rule not in CORNERS:
        raise ValueError(f"corner_rule={rules.corner_rule!r}: expected one of {', '.join(CORNERS)}")
    if not 0 <= rules.corner <= rules.inner_box / 2:
        raise ValueError(f"corner={rules.corner}: expected 0 to half the inner box")
    if rules.corner_rule == "filled" and rules.corner == 0:
        raise ValueError(f"corner={rules.corner}: no atom can lie in a corner without size")


def random_atoms(key: jax.Array, rules: AtomRules) -> tuple[jax.Array, jax.Array]:
    """One set of atoms by rejection: drawn, centred, and drawn anew until the rules hold.

    Atoms are placed one after another, each uniformly where the earlier ones leave room (paper,
    sections 2.1 and 2.4.1).

    Returns:
      (num_atoms, 3) positions in voxels whose mean is 0, and whether they meet the rules (() bool;
      False only after 20,000 draws: the rules ask for what hardly exists).
    """
    def cond_fun(carry):
        _, _, valid, draws = carry
        return ~valid & (draws < _MOST_DRAWS)

    def body_fun(carry):
        key, _, _, draws = carry
        key, key_draw = jax.random.split(key)
        positions, placed = _place(key_draw, rules)
        positions = positions - positions.mean(axis=0)
        return key, positions, placed & _obeys(positions, rules), draws + 1

    start = (key, jnp.zeros((rules.num_atoms, 3)), jnp.array(False), jnp.array(0))
    _, positions, valid, _ = jax.lax.while_loop(cond_fun, body_fun, start)
    return positions, valid


def invert(positions: jax.Array) -> jax.Array:
    """The atoms related by the centre of symmetry: (n, 3) -> (n, 3)."""
    return -positions


def in_corner(positions: jax.Array, rules: AtomRules) -> jax.Array:
    """Whether each atom lies in the reserved corner or its inverse: (n, 3) -> (n,) bool."""
    edge = rules.inner_box / 2 - rules.corner
    return (positions > edge).all(-1) | (positions < -edge).all(-1)


def _place(key: jax.Array, rules: AtomRules) -> tuple[jax.Array, jax.Array]:
    """Non-overlapping atoms, not centred, and whether all found room: of a stream of places those that are free."""
    half = rules.inner_box / 2
    places = jax.random.uniform(key, (_PROPOSALS * rules.num_atoms, 3), minval=-half, maxval=half)

    def cond_fun(carry):
        _, count, tried = carry
        return (count < rules.num_atoms) & (tried < len(places))

    def body_fun(carry):
        positions, count, tried = carry
        place = places[tried]
        present = jnp.arange(rules.num_atoms) < count
        near = jnp.square(positions - place).sum(-1) < rules.min_distance**2
        free = ~(near & present).any()
        if rules.corner_rule == "empty":
            free &= ~in_corner(place, rules)  # fewer draws are in vain
        chosen = (jnp.arange(rules.num_atoms) == count) & free
        return jnp.where(chosen[:, None], place, positions), count + free, tried + 1

    start = (jnp.zeros((rules.num_atoms, 3)), jnp.array(0), jnp.array(0))
    positions, count, _ = jax.lax.while_loop(cond_fun, body_fun, start)
    return positions, count == rules.num_atoms


def _obeys(positions: jax.Array, rules: AtomRules) -> jax.Array:
    """Whether centred atoms are where they may be."""
    good = jnp.array(True)
    if rules.stay_inside:
        good &= (jnp.abs(positions) <= rules.inner_box / 2).all()
    if rules.corner_rule != "any":
        inside = in_corner(positions, rules).any()
        good &= inside if rules.corner_rule == "filled" else ~inside
    return good
