"""Draws random atoms by rejection: points in a box that keep a smallest distance (paper, sections 2.1 and 2.4.1).

Positions are in voxels, relative to the centre of the map, which is the corner between voxels N/2 - 1 and N/2. So
inversion negates the positions. Training draws the atoms of its examples here, and `search.atom_search` its random
starts.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

# The rules for the reserved corner of the inner box, see `AtomRules.corner_rule`.
CORNER_RULES = ("any", "empty", "filled")

# Places that one draw tries per atom. If these places do not suffice, the draw has failed and the next one begins.
_PROPOSALS_PER_ATOM = 16
# After this many failed draws the last one is returned, marked invalid.
_MAX_DRAWS = 20_000


class AtomRules(NamedTuple):
    """The number of atoms and where they may lie. All fields are static.

    Attributes:
      num_atoms: number of atoms, at least 1.
      inner_box: edge of the box that holds the atoms' centres, voxels; its centre is the centre of the map.
      min_distance: smallest distance between two atoms, voxels; spheres of radius 1 touch at 2.
      stay_inside: whether the atoms must still lie in the box after they are centred on their mean. The paper's public
        code has False.
      corner: edge of a reserved cube at the (+, +, +) corner of the box, and of its inverse at (-, -, -), voxels.
      corner_rule: "any": the reserved cubes do not matter; "empty": no atom lies in them; "filled": at least one does.
    """

    num_atoms: int = 10
    inner_box: float = 12.0
    min_distance: float = 2.0
    stay_inside: bool = True
    corner: float = 0.0
    corner_rule: str = "any"


def check_rules(rules: AtomRules) -> None:
    """Checks that atoms can meet the rules.

    Raises:
      ValueError: a field is out of its range, or the atoms do not fit into the box.
    """
    if not isinstance(rules.num_atoms, int) or rules.num_atoms < 1:
        raise ValueError(f"num_atoms={rules.num_atoms}: expected a whole number, at least 1")
    if not rules.inner_box > 0 or not math.isfinite(rules.inner_box):
        raise ValueError(f"inner_box={rules.inner_box}: expected a finite number above 0")
    if not 0 <= rules.min_distance < math.inf:
        raise ValueError(f"min_distance={rules.min_distance}: expected at least 0")
    # Balls that are placed one after another jam at 38% of the volume. Well below that, most sets of atoms leave the
    # box when they are centred on their mean.
    ball_volume = rules.num_atoms * math.pi / 6 * rules.min_distance**3
    if ball_volume > 0.15 * (rules.inner_box + rules.min_distance) ** 3:
        raise ValueError(f"num_atoms={rules.num_atoms}: too many for min_distance={rules.min_distance} in a "
                         f"box of {rules.inner_box} voxels")
    if rules.corner_rule not in CORNER_RULES:
        raise ValueError(f"corner_rule={rules.corner_rule!r}: expected one of {', '.join(CORNER_RULES)}")
    if not 0 <= rules.corner <= rules.inner_box / 2:
        raise ValueError(f"corner={rules.corner}: expected 0 to {rules.inner_box / 2:g}, half the inner box")
    if rules.corner_rule == "filled" and rules.corner == 0:
        raise ValueError(f"corner={rules.corner}: expected more than 0 with corner_rule='filled'")


def draw_atoms(key: jax.Array, rules: AtomRules) -> tuple[jax.Array, jax.Array]:
    """Draws sets of atoms, each centred on its mean, until one meets the rules, and returns that set.

    Atoms are placed one after another, each uniformly where the earlier ones leave room.

    Args:
      key: random key.
      rules: static; see `check_rules`.

    Returns:
      Positions (num_atoms, 3), voxels, whose mean is 0; and () bool, whether they meet the rules: False only after
      20,000 failed draws, when sets of atoms that meet the rules are very rare or do not exist.
    """
    def cond_fun(carry):
        _, _, valid, draws = carry
        return ~valid & (draws < _MAX_DRAWS)

    def body_fun(carry):
        key, _, _, draws = carry
        key, key_draw = jax.random.split(key)
        positions, placed = _place_atoms(key_draw, rules)
        positions = positions - positions.mean(axis=0)
        return key, positions, placed & _meet_rules(positions, rules), draws + 1

    start = (key, jnp.zeros((rules.num_atoms, 3)), jnp.array(False), jnp.array(0))
    _, positions, valid, _ = jax.lax.while_loop(cond_fun, body_fun, start)
    return positions, valid


def invert(positions: jax.Array) -> jax.Array:
    """Returns positions (n, 3), voxels, inverted through the centre of the map."""
    return -positions


def in_corner(positions: jax.Array, rules: AtomRules) -> jax.Array:
    """Returns, as (n,) bool, whether each of the atoms (n, 3), voxels, lies in the reserved corner or its inverse."""
    edge = rules.inner_box / 2 - rules.corner
    return (positions > edge).all(-1) | (positions < -edge).all(-1)


def _place_atoms(key: jax.Array, rules: AtomRules) -> tuple[jax.Array, jax.Array]:
    """Returns the first free places of a random stream, (n, 3), not centred; and whether all atoms found room."""
    half = rules.inner_box / 2
    places = jax.random.uniform(key, (_PROPOSALS_PER_ATOM * rules.num_atoms, 3), minval=-half, maxval=half)

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
            free &= ~in_corner(place, rules)  # otherwise `_meet_rules` would reject more draws
        chosen = (jnp.arange(rules.num_atoms) == count) & free
        return jnp.where(chosen[:, None], place, positions), count + free, tried + 1

    start = (jnp.zeros((rules.num_atoms, 3)), jnp.array(0), jnp.array(0))
    positions, count, _ = jax.lax.while_loop(cond_fun, body_fun, start)
    return positions, count == rules.num_atoms


def _meet_rules(positions: jax.Array, rules: AtomRules) -> jax.Array:
    """Returns () bool: whether centred atoms (n, 3) meet the rules on the box and on the corner."""
    allowed = jnp.array(True)
    if rules.stay_inside:
        allowed &= (jnp.abs(positions) <= rules.inner_box / 2).all()
    if rules.corner_rule != "any":
        inside = in_corner(positions, rules).any()
        allowed &= inside if rules.corner_rule == "filled" else ~inside
    return allowed
