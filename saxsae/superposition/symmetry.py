"""Finds the axes of a point group in a shape, and averages shapes over the group.

A shape is turned into the frame of the group: the principal axis on z and, of a dihedral group, a two-fold axis on x.
There the average over the group keeps the Zernike moments of some m and sets the others to zero, because the real
harmonics of degree l and order m turn among each other as cos(m phi) and sin(m phi). `saxsae.symmetric_search` and
`saxsae.bank_search` call:

1. `find_frames`: the frame of each shape in which the average keeps most of the power of its moments, from a grid of
   frames, refined by steps that are halved.
2. `average_map`: the map of a shape in its frame, averaged over the group.
3. `find_frame_of_map`, `turn_map`: the frame of a mean of maps, and other maps in this frame.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from saxsae.profiles import zernike
from saxsae.shapes.voxels import CENTRE, GRID
from saxsae.superposition.interpolation import cells_of, grid_points, interpolate_cells
from saxsae.superposition.point_groups import SymmetryGroup

ORDER = 12  # Zernike order of the moments in which frames are sought; finer details do not move the axes
_GRID_DEGREES = 10.0  # angle between neighbouring frames of the grid
_HALVINGS = 6  # times that the steps of the refinement are halved, to 0.16 degrees at last


def group_rotations(group: SymmetryGroup) -> np.ndarray:
    """Returns the rotations (G, 3, 3) float64 of a group in its frame, the identity first."""
    about_z = _about_z(np.arange(group.fold) * (2 * np.pi / group.fold))
    return np.concatenate([about_z, about_z @ _FLIP]) if group.dihedral else about_z


def kept_modes(group: SymmetryGroup, order: int) -> np.ndarray:
    """Returns 1 for each mode that the average over a group keeps in its frame, and 0 for the others: (K,) float32."""
    _, l, m = zernike.modes(order)
    kept = m % group.fold == 0
    if group.dihedral:  # the turn about x takes phi to -phi and z to -z
        kept &= (l + m + (m < 0)) % 2 == 0
    return kept.astype(np.float32)


def euler_angles(rotations: np.ndarray) -> np.ndarray:
    """Returns alpha, beta and gamma (..., 3) in radians of rotations (..., 3, 3), see `zernike.turn_moments`."""
    rotations = np.asarray(rotations, np.float64)
    sine = np.hypot(rotations[..., 0, 2], rotations[..., 1, 2])
    tilted = sine > 1e-6  # otherwise only the sum or the difference of alpha and gamma matters, and gamma is 0
    alpha = np.where(tilted, np.arctan2(rotations[..., 1, 2], rotations[..., 0, 2]),
                     np.arctan2(-rotations[..., 0, 1], rotations[..., 1, 1]))
    gamma = np.where(tilted, np.arctan2(rotations[..., 2, 1], -rotations[..., 2, 0]), 0.0)
    return np.stack([alpha, np.arctan2(sine, rotations[..., 2, 2]), gamma], -1)


def find_frames(moments: jax.Array, order: int, group: SymmetryGroup) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rotations of shapes into the frame of a group, and how symmetric the shapes are.

    Args:
      moments: (M, K) Zernike moments.
      order: their order.
      group: the group.

    Returns:
      The rotations (M, 3, 3) float64 about the centre of the moments; and the shares (M,) that the average over the
      group keeps of the power of the moments of l > 0. It keeps the moments of l = 0 of any shape.
    """
    angles = _grid_angles(group)
    steps = _small_rotations(group)
    best, moves, shares = _search_frames(jnp.asarray(moments, jnp.float32), angles.astype(np.float32),
                                         euler_angles(steps).astype(np.float32), order, group)
    rotations = _rotations_of(angles)[np.asarray(best)]
    for level, chosen in enumerate(np.asarray(moves).T):
        rotations = steps[level, chosen] @ rotations
    return rotations, np.asarray(shares)


@functools.partial(jax.jit, static_argnums=(3, 4))
def _search_frames(moments: jax.Array, grid: np.ndarray, steps: np.ndarray, order: int,
                   group: SymmetryGroup) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns the best frames of a grid (M,), the steps from there (M, _HALVINGS) and the shares (M,) of `find_frames`.

    Args:
      moments: (M, K).
      grid: (A, 3) angles of frames.
      steps: (_HALVINGS, S, 3) angles of small rotations.
      order: of the moments (static).
      group: the group (static).
    """
    kept = kept_modes(group, order) * (zernike.modes(order).l > 0)

    def of_one(moments: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        def power(turned: jax.Array) -> jax.Array:
            return jnp.sum(turned**2 * kept, -1)

        best = jnp.argmax(power(zernike.turn_moments(moments, jnp.asarray(grid), order)))

        def step_fn(moments: jax.Array, angles: jax.Array) -> tuple[jax.Array, jax.Array]:
            turned = zernike.turn_moments(moments, angles, order)
            chosen = jnp.argmax(power(turned))
            return turned[chosen], chosen

        turned, moves = jax.lax.scan(step_fn, zernike.turn_moments(moments, jnp.asarray(grid)[best], order),
                                     jnp.asarray(steps))
        whole = jnp.sum(moments**2 * (zernike.modes(order).l > 0))
        return best, moves, power(turned) / jnp.maximum(whole, 1e-30)

    return jax.lax.map(of_one, moments)


def find_frame_of_map(density: np.ndarray, pitch: float, group: SymmetryGroup) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rotation (3, 3) of a map (31, 31, 31) into the frame of a group, and its centre of mass (3,) in A."""
    weight = np.maximum(density, 0)
    centre = np.array([weight.sum(axes) @ (np.arange(GRID) - CENTRE) for axes in ((1, 2), (0, 2), (0, 1))])
    centre *= pitch / max(weight.sum(), 1e-30)
    moved = turn_map(density, pitch, np.eye(3), centre)
    frames, _ = find_frames(zernike.moments(jnp.asarray(moved)[None], ORDER), ORDER, group)
    return frames[0], centre


def average_map(density: np.ndarray, pitch: float, rotation: np.ndarray, centre: np.ndarray,
                group: SymmetryGroup) -> np.ndarray:
    """Returns a map in the frame of a group, averaged over the group, by linear interpolation.

    Args:
      density: (31, 31, 31) map.
      pitch: edge of its voxels, A.
      rotation: (3, 3) rotation into the frame.
      centre: (3,) the point about which the map is turned, A from the centre of the grid; it becomes the centre.
      group: the group.

    Returns:
      (31, 31, 31) float32 of the same pitch.
    """
    # Small arrays are made in NumPy, because JAX would compile a program for each small operation.
    back = (group_rotations(group).transpose(0, 2, 1) @ rotation).transpose(0, 2, 1).astype(np.float32)
    return np.asarray(_average_turned(np.asarray(density, np.float32), np.float32(pitch), back,
                                      np.asarray(centre, np.float32)))


def turn_map(density: np.ndarray, pitch: float, rotation: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Returns a map (31, 31, 31) turned into a frame; the arguments are those of `average_map`."""
    return average_map(density, pitch, rotation, centre, SymmetryGroup(1, dihedral=False))


@jax.jit
def _average_turned(density: jax.Array, pitch: jax.Array, back: jax.Array, centre: jax.Array) -> jax.Array:
    """Returns the mean (31, 31, 31) of a map at the positions `back` (G, 3, 3) of each voxel, from a centre (3,) in A.

    Args:
      density: (31, 31, 31).
      pitch: () A.
      back: (G, 3, 3) matrices that take a position of the result to one of `density`.
      centre: (3,) A.
    """
    cells, points = cells_of(density), grid_points(GRID, pitch)

    def add(total: jax.Array, matrix: jax.Array) -> tuple[jax.Array, None]:
        return total + interpolate_cells(cells, matrix @ points.T + centre[:, None], pitch)[0], None

    return (jax.lax.scan(add, jnp.zeros(len(points)), back)[0] / len(back)).reshape((GRID,) * 3)


_FLIP = np.diag([1.0, -1.0, -1.0])  # by 180 degrees about x


def _about_z(angles: np.ndarray) -> np.ndarray:
    """Returns the rotations (..., 3, 3) about z by angles (...) in radians."""
    cosine, sine, zero = np.cos(angles), np.sin(angles), np.zeros_like(angles)
    return np.stack([np.stack([cosine, -sine, zero], -1), np.stack([sine, cosine, zero], -1),
                     np.stack([zero, zero, zero + 1], -1)], -2)


_CYCLE = np.roll(np.eye(3), 1, 0)  # x to y, y to z, z to x


def _rotations_of(angles: np.ndarray) -> np.ndarray:
    """Returns the rotations (..., 3, 3) of angles (..., 3), see `euler_angles`."""
    about_y = _CYCLE.T @ _about_z(angles[..., 1]) @ _CYCLE
    return _about_z(angles[..., 0]) @ about_y @ _about_z(angles[..., 2])


@functools.lru_cache
def _grid_angles(group: SymmetryGroup) -> np.ndarray:
    """Returns the angles (A, 3) of frames about `_GRID_DEGREES` apart, which stand for all frames of a group."""
    step = np.deg2rad(_GRID_DEGREES)
    turns = [0.0]
    if group.dihedral:  # a turn by 180 degrees over n exchanges the two-fold axes
        turns = list(np.arange(0, np.pi / group.fold, step))
    frames = []
    for theta in np.linspace(0, np.pi / 2, round(np.pi / 2 / step) + 1):
        count = max(round(2 * np.pi * np.sin(theta) / step), 1)
        frames += [(-turn, -theta, -phi) for phi in np.arange(count) * (2 * np.pi / count) for turn in turns]
    return np.array(frames)


@functools.lru_cache
def _small_rotations(group: SymmetryGroup) -> np.ndarray:
    """Returns the steps of the refinement (_HALVINGS, S, 3, 3), the identity among them, each level half as large."""
    about_z = (-1, 0, 1) if group.dihedral else (0,)  # of C_n a turn about the axis changes nothing
    tilts = np.array(list(itertools.product((-1, 0, 1), (-1, 0, 1), about_z)), float)
    sizes = np.deg2rad(_GRID_DEGREES) / 2.0 ** np.arange(1, _HALVINGS + 1)
    x, y, z = np.moveaxis(sizes[:, None, None] * tilts, -1, 0)
    about_x = _CYCLE @ _about_z(x) @ _CYCLE.T
    about_y = _CYCLE.T @ _about_z(y) @ _CYCLE
    return about_x @ about_y @ _about_z(z)
