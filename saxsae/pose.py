"""Principal-axis pose: the frame in which a decoder needs to know a shape only once.

The longest extent lies along the grid's first axis, the shortest along its last. Which way an axis points stays open,
and so does the hand: eight poses of one shape, all of them met in training.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from saxsae import voxels

POSES = ("as-is", "principal")  # in which sets of shapes and networks come
EXACT_DEGREES = 12.0  # a map that lies this close to an exact turn of the grid is turned exactly


def principal_frame(xyz: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) that brings points (N, 3) into principal-axis pose: ``centred @ rotation.T``."""
    centred = xyz - xyz.mean(0)
    return _proper(np.linalg.eigh(centred.T @ centred)[1][:, ::-1].T)


def small_turn(rng: np.random.Generator, degrees: float) -> np.ndarray:
    """A rotation (3, 3) about a random axis by a normal angle of that standard deviation."""
    axis = rng.standard_normal(3)
    x, y, z = axis / np.linalg.norm(axis)
    angle = np.deg2rad(degrees) * rng.standard_normal()
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


@functools.lru_cache(maxsize=None)
def grid_turns() -> np.ndarray:
    """The 24 rotations (24, 3, 3) that map the grid onto itself."""
    turns = [np.eye(3)[list(order)] * np.array(signs)[:, None]
             for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)]
    return np.array([turn for turn in turns if np.linalg.det(turn) > 0], np.float32)


def upright(occupancy):
    """The rotation (3, 3) that brings a map (31, 31, 31) into principal-axis pose by ``voxels.rotate``.

    Where one of ``grid_turns`` comes within ``EXACT_DEGREES`` of it, that one: it moves voxels and blurs nothing.
    """
    axis = jnp.arange(voxels.GRID, dtype=jnp.float32) - voxels.CENTRE
    total = jnp.maximum(occupancy.sum(), 1e-6)
    mean, second = [], [[None] * 3 for _ in range(3)]
    for a in range(3):
        along = occupancy.sum(tuple(b for b in range(3) if b != a))
        mean.append(along @ axis / total)
        second[a][a] = along @ axis**2 / total
    for a, b in itertools.combinations(range(3), 2):
        plane = occupancy.sum(3 - a - b)
        second[a][b] = second[b][a] = axis @ plane @ axis / total
    mean = jnp.stack(mean)
    covariance = jnp.stack([jnp.stack(row) for row in second]) - mean[:, None] * mean
    frame = jnp.linalg.eigh(covariance)[1][:, ::-1].T
    frame = frame * jnp.where(jnp.linalg.det(frame) < 0, -1.0, 1.0)
    turns = jnp.asarray(grid_turns())
    overlap = jnp.einsum("tij,ij->t", turns, frame)  # 1 + 2 cos(angle between)
    best = jnp.argmax(overlap)
    return jnp.where(overlap[best] > 1 + 2 * np.cos(np.deg2rad(EXACT_DEGREES)), turns[best], frame)


def mirror(occupancy, key):
    """A map (31, 31, 31) flipped along each axis, or not, at random: one of its eight principal-axis poses."""
    for axis, flip in enumerate(jax.random.bernoulli(key, 0.5, (3,))):
        occupancy = jnp.where(flip, jnp.flip(occupancy, axis), occupancy)
    return occupancy


def _proper(frame: np.ndarray) -> np.ndarray:
    """The frame, or its inverse where it is left-handed."""
    return frame * np.sign(np.linalg.det(frame))
