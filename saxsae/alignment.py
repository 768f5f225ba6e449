"""Superposition of one density on another: rotation, shift and hand.

Both maps are resampled into one ball about their centres of mass and expanded in Zernike moments;
the FFT over SO(3) of `rotations` scores every orientation of both hands; the best distinct ones are
refined by quasi-Newton steps on the maps themselves, first all of them on the voxels that
matter, then the leaders on the Pearson correlation over every voxel of the fixed map's box.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saxsae import rotations, zernike
from saxsae.voxels import CENTRE, GRID

_ORDER = 16  # of the search: 9 degrees between its rotations
_CANDIDATES = 16  # distinct rotations kept for each hand
_APART_DEGREES = 20.0
_LEADERS = 2  # of these, for each hand, refined on every voxel
_ROUGH_POINTS = 4096
_ROUGH_STEPS, _FINE_STEPS = 10, 16


class Superposition(NamedTuple):
    """Where the moving map goes: position p (A, from its grid's centre) to
    `rotation` @ diag(1, 1, -1 if `mirrored` else 1) @ p + `shift`."""

    rotation: jax.Array  # (3, 3), proper
    shift: jax.Array  # (3,) A, from the fixed grid's centre
    mirrored: jax.Array  # () bool
    correlation: jax.Array  # () Pearson over all voxels of the fixed map


class _Pose(NamedTuple):
    """A moving map's orientation, and where its pivot (centre of mass) lies in the fixed frame."""

    rotation: jax.Array  # (3, 3)
    position: jax.Array  # (3,) A
    hand: jax.Array  # () 1.0 or -1.0


def _mirror(hand: jax.Array) -> jax.Array:
    """What the coordinates (x, y, z) are multiplied by for a hand, 1.0 or -1.0."""
    return jnp.array([1.0, 1.0, 0.0]) + jnp.array([0.0, 0.0, 1.0]) * hand


def grid_points(size: int, pitch: jax.Array) -> jax.Array:
    """Positions (size^3, 3) of a cubic grid's voxels from its centre, in the unit of `pitch`."""
    index = np.indices((size,) * 3).reshape(3, -1).T - (size - 1) / 2
    return jnp.asarray(index, jnp.float32) * pitch


def interpolate(volume: jax.Array, points: jax.Array,
                pitch: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Trilinear interpolation of a cubic map, which is zero outside.

    Args:
        volume: (N, N, N).
        points: (P, 3) positions from the grid's centre, in the unit of `pitch`.

    Returns: values (P,) and their gradients (P, 3).
    """
    size = volume.shape[0] + 2
    flat = jnp.pad(volume, 1).reshape(-1)
    index = points / pitch + (size - 1) / 2
    inside = jnp.all((index > 0) & (index < size - 1), -1, keepdims=True)
    index = jnp.clip(index, 0.0, size - 1.0)
    node = jnp.minimum(index.astype(jnp.int32), size - 2)
    t = (index - node).T
    corner = (node[:, 0] * size + node[:, 1]) * size + node[:, 2]
    v = [[[flat[corner + (i * size + j) * size + k] for k in (0, 1)] for j in (0, 1)]
         for i in (0, 1)]

    def along(pair, axis):
        return pair[0] + t[axis] * (pair[1] - pair[0])

    z = [[along(v[i][j], 2) for j in (0, 1)] for i in (0, 1)]
    y = [along(z[i], 1) for i in (0, 1)]
    slope_z = [[v[i][j][1] - v[i][j][0] for j in (0, 1)] for i in (0, 1)]
    gradient = [y[1] - y[0], along([z[i][1] - z[i][0] for i in (0, 1)], 0),
                along([along(slope_z[i], 1) for i in (0, 1)], 0)]
    return along(y, 0), jnp.where(inside, jnp.stack(gradient, -1) / pitch, 0.0)


def _mass_moments(volume: jax.Array, pitch: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Centre of mass (3,) and radius of gyration about it, of the positive density."""
    points = grid_points(volume.shape[0], pitch)
    weight = jnp.maximum(volume.reshape(-1), 0.0)
    weight = weight / jnp.maximum(jnp.sum(weight), 1e-30)
    centre = weight @ points
    return centre, jnp.sqrt(weight @ jnp.sum((points - centre) ** 2, -1))


def _search(moving: jax.Array, fixed: jax.Array, hands: jax.Array) -> jax.Array:
    """Rotations (H, C, 3, 3) worth refining for the hands (H,); maps (31, 31, 31) in one ball."""
    _, l, m = zernike.modes(_ORDER)  # noqa: E741
    mirror = np.where((l + m) % 2, -1.0, 1.0).astype(np.float32)  # z -> -z
    moving, fixed = zernike.moments(jnp.stack([moving, fixed]), _ORDER)
    grid = jnp.asarray(rotations.grid_rotations(_ORDER))

    def best(hand):
        overlaps = rotations.correlate(fixed, moving * jnp.where(hand < 0, mirror, 1.0), _ORDER)
        return grid[rotations.distinct_maxima(overlaps, grid, _CANDIDATES, _APART_DEGREES)]

    return jax.lax.map(best, hands)


def _secant_update(inverse: jax.Array, step: jax.Array, fall: jax.Array) -> jax.Array:
    """The BFGS update of an inverse curvature (D, D); `fall` (D,) is how much the slope fell."""
    along = step @ fall
    usable = along > 1e-8 * jnp.linalg.norm(step) * jnp.linalg.norm(fall)
    rho = 1 / jnp.where(usable, along, 1.0)
    keep = jnp.eye(len(step)) - rho * jnp.outer(step, fall)
    updated = keep @ inverse @ keep.T + rho * jnp.outer(step, step)
    return jnp.where(usable, updated, inverse)


def _refine(pose: _Pose, sample, points, target, extent, free, steps: int, pearson: bool):
    """Climb the overlap from one pose: BFGS, begun with the Gauss-Newton curvature.

    Args:
        sample: positions about the pivot (P, 3) -> values (P,) and gradients (P, 3).
        points, target: (P, 3) and (P,) in the fixed frame.
        extent: a length (A) that puts rotations and shifts on one scale.
        free: (6,) zero holds a coordinate.
        pearson: score by the correlation over the points; else by the overlap alone.

    Returns: the pose and its score.
    """
    mirror = _mirror(pose.hand)
    ones = jnp.ones_like(target)

    def evaluate(pose):
        """Score, slope (6,) and Gauss-Newton curvature (6, 6) in rotation (times extent), shift."""
        arm = points - pose.position
        values, gradients = sample((arm @ pose.rotation) * mirror)
        gradients = (gradients * mirror) @ pose.rotation.T
        jacobian = jnp.concatenate([-jnp.cross(arm, gradients) / extent, -gradients], -1) * free
        columns = jnp.concatenate([jacobian, jnp.stack([values, target, ones], -1)], -1)
        # One product holds every sum. The maps go in uncentred: their empty voxels then add exact
        # zeros, where a constant background would pile up rounding of one sign.
        gram = jnp.matmul(columns.T, columns, precision="highest")
        if not pearson:
            return gram[6, 7], gram[:6, 7], gram[:6, :6]
        gram = gram - jnp.outer(gram[8], gram[8]) / gram[8, 8]
        norm = jnp.sqrt(jnp.maximum(gram[6, 6], 1e-30))
        target_norm = jnp.sqrt(jnp.maximum(gram[7, 7], 1e-30))
        score = gram[6, 7] / (norm * target_norm)
        slope = (gram[:6, 7] / target_norm - score * gram[:6, 6] / norm) / norm
        return score, slope, gram[:6, :6] / norm**2

    def body_fun(step_number, carry):
        pose, score, slope, inverse = carry
        step = inverse @ slope
        step = step * jnp.minimum(1.0, 0.3 * extent / jnp.maximum(jnp.max(jnp.abs(step)), 1e-30))
        trial = _Pose(rotations.small_rotation(step[:3] / extent) @ pose.rotation,
                      pose.position + step[3:], pose.hand)
        trial_score, trial_slope, curvature = evaluate(trial)
        better = trial_score > score
        updated = _secant_update(inverse, step, slope - trial_slope)
        # Also a step that failed has taught the curvature along it.
        ridge = 1e-4 * jnp.max(jnp.diag(curvature)) + 1e-30
        inverse = jnp.where(step_number == 0, jnp.linalg.inv(curvature + ridge * jnp.eye(6)),
                            jnp.where(better, updated, 0.5 * updated))
        pose, score, slope = jax.tree.map(lambda new, old: jnp.where(better, new, old),
                                          (trial, trial_score, trial_slope), (pose, score, slope))
        return pose, score, slope, inverse

    # Without a slope the first step stays, beats no score at all, and so evaluates the start.
    carry = (pose, -jnp.inf, jnp.zeros(6), jnp.zeros((6, 6)))
    return jax.lax.fori_loop(0, steps + 1, body_fun, carry)[:2]


def superpose(moving: jax.Array, moving_pitch: jax.Array, fixed: jax.Array, fixed_pitch: jax.Array,
              *, both_hands: bool = True, shift: bool = True) -> Superposition:
    """The rotation, shift and hand that bring one map onto another.

    Args:
        moving, fixed: (N, N, N) maps; their sizes may differ.
        moving_pitch, fixed_pitch: A.
        both_hands: try the mirror image too (static): a SAXS curve cannot tell it apart.
        shift: start from the centres of mass and refine the shift; otherwise both grids' centres
            stay together.

    Returns: the best `Superposition`; its correlation counts every voxel of `fixed`.
    """
    # One type for each argument: Python's and NumPy's floats would compile a program each.
    arrays = (jnp.asarray(x, jnp.float32) for x in (moving, moving_pitch, fixed, fixed_pitch))
    return _superpose(*arrays, jnp.asarray(shift, bool), both_hands)


@functools.partial(jax.jit, static_argnums=5)
def _superpose(moving, moving_pitch, fixed, fixed_pitch, shift, both_hands) -> Superposition:
    (pivot, rg), (centre, fixed_rg) = (_mass_moments(moving, moving_pitch),
                                       _mass_moments(fixed, fixed_pitch))
    pivot, centre = jnp.where(shift, pivot, 0.0), jnp.where(shift, centre, 0.0)
    radius = 2.0 * jnp.maximum(jnp.maximum(rg, fixed_rg), fixed_pitch)  # 1.55 of a solid sphere
    ball = grid_points(GRID, radius / CENTRE)

    def sample(points):
        return interpolate(moving, points + pivot, moving_pitch)

    hands = jnp.array([1.0, -1.0] if both_hands else [1.0])
    turned = _search(sample(ball)[0].reshape((GRID,) * 3),
                     interpolate(fixed, ball + centre, fixed_pitch)[0].reshape((GRID,) * 3), hands)

    points, target = grid_points(fixed.shape[0], fixed_pitch), fixed.reshape(-1)
    # The strongest voxels; where more are filled, a fixed random choice that favours none of them.
    lottery = np.random.default_rng(0).uniform(0.5, 1.0, target.shape[0]).astype(np.float32)
    _, chosen = jax.lax.top_k(target * lottery, min(_ROUGH_POINTS, target.shape[0]))
    free = jnp.append(jnp.ones(3), jnp.where(shift, jnp.ones(3), 0.0))

    def refine_hand(hand_and_rotations):
        hand, candidates = hand_and_rotations
        rough, scores = jax.vmap(lambda rotation: _refine(
            _Pose(rotation, centre, hand), sample, points[chosen], target[chosen], radius / 2,
            free, _ROUGH_STEPS, pearson=False))(candidates)
        leaders = rotations.distinct_maxima(scores, rough.rotation, _LEADERS, _APART_DEGREES / 2)
        return jax.lax.map(lambda pose: _refine(
            pose, sample, points, target, radius / 2, free, _FINE_STEPS, pearson=True),
            jax.tree.map(lambda x: x[leaders], rough))

    poses, scores = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]),
                                 jax.lax.map(refine_hand, (hands, turned)))
    best = jnp.argmax(scores)
    pose = jax.tree.map(lambda x: x[best], poses)
    shifted = pose.position - pose.rotation @ (_mirror(pose.hand) * pivot)
    return Superposition(pose.rotation, shifted,
                         pose.hand < 0, scores[best])


@functools.partial(jax.jit, static_argnames="size")
def apply(moving: jax.Array, moving_pitch: jax.Array, superposition: Superposition,
          out_pitch: jax.Array, size: int = GRID) -> jax.Array:
    """The moving map where its superposition puts it: (N, N, N) -> (size,) * 3, trilinear."""
    mirror = _mirror(jnp.where(superposition.mirrored, -1.0, 1.0))
    arm = grid_points(size, out_pitch) - superposition.shift
    values, _ = interpolate(jnp.asarray(moving, jnp.float32),
                            (arm @ superposition.rotation) * mirror, moving_pitch)
    return values.reshape((size,) * 3)


def align_to(models: jax.Array, pitches: jax.Array, fixed: jax.Array, fixed_pitch: jax.Array,
             *, both_hands: bool = True, shift: bool = True) -> tuple[jax.Array, Superposition]:
    """Bring several maps onto one, ready to be averaged.

    Args:
        models: (K, N, N, N); pitches: (K,) A.
        fixed: (M, M, M) with `fixed_pitch`: the reference, and the grid of what is returned.

    Returns: aligned maps (K, M, M, M) float32, and the superpositions with a leading axis K.
    """
    # A loop in Python: one compiled `superpose` serves any number of models, and other callers.
    found = [superpose(model, pitch, fixed, fixed_pitch, both_hands=both_hands, shift=shift)
             for model, pitch in zip(models, pitches, strict=True)]
    aligned = [apply(model, pitch, one, fixed_pitch, size=fixed.shape[0])
               for model, pitch, one in zip(models, pitches, found, strict=True)]
    return jnp.stack(aligned), jax.tree.map(lambda *x: jnp.stack(x), *found)
