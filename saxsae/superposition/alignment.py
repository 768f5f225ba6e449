"""Superposition of one density on another: rotation, shift and hand.

Both maps are resampled into one ball about their centres of mass and expanded in Zernike moments;
the FFT over SO(3) of `rotations` scores every orientation of both hands; the best distinct ones are
refined by quasi-Newton steps on the maps themselves, first all of them on the voxels that
matter, then the leaders on the Pearson correlation over every voxel of the fixed map's box. One
start after another: its voxels stay in the processor's cache, and it ends when it has converged.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saxsae.profiles import zernike
from saxsae.shapes.voxels import CENTRE, GRID
from saxsae.superposition import rotations

_ORDER = 16  # of the search: 9 degrees between its rotations
_BEST_SCORED = 2048  # orientations among which the distinct ones are looked for
_CANDIDATES = 16  # distinct rotations kept, times the number of hands
_APART_DEGREES = 20.0
_LEADERS = 3  # of these, times the number of hands, refined on every voxel
_HOPEFUL = 0.95  # share of the best rough score from which a leader may still win
_ROUGH_POINTS = 4096
_ROUGH_STEPS, _FINE_STEPS = 14, 16  # at most
_ROUGH_GAIN, _FINE_GAIN = 1e-4, 2e-6  # a step that promises less than this share of the score is not taken


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


def _matrix(rotation: jax.Array, hand: jax.Array) -> jax.Array:
    """Rotations (C, 3, 3) after hands (C,) as one matrix each; those of different hands are far apart."""
    return rotation * jax.vmap(_mirror)(hand)[:, None]


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
    values, gradients = _interpolate(_cells(volume), points.T, pitch)
    return values, gradients.T


def _cells(volume: jax.Array) -> jax.Array:
    """The eight voxels at the corners of each cell of the map within zeros, (N + 2, N + 2, N + 2, 8).

    One row is fetched for a point instead of eight voxels from eight places, in a third of the time.
    """
    padded = jnp.pad(volume, 1)
    return jnp.stack([jnp.roll(padded, [-i, -j, -k], (0, 1, 2))
                      for i in (0, 1) for j in (0, 1) for k in (0, 1)], -1)


def _interpolate(cells: jax.Array, points: jax.Array,
                 pitch: jax.Array) -> tuple[jax.Array, jax.Array]:
    """As `interpolate`, with the coordinates first: `_cells`, (3, P) to (P,), (3, P)."""
    size = cells.shape[0]
    index = points / pitch + (size - 1) / 2
    inside = jnp.all((index > 0) & (index < size - 1), 0)
    index = jnp.clip(index, 0.0, size - 1.0)
    node = jnp.minimum(index.astype(jnp.int32), size - 2)
    x, y, z = index - node
    corner = (node[0] * size + node[1]) * size + node[2]
    v = cells.reshape(-1, 8).at[corner].get(mode="clip").T.reshape(2, 2, 2, -1)

    def along(pair, t):
        return pair[0] + t * (pair[1] - pair[0])

    face = along(v, x)
    edge = along(face, y)
    gradients = [along(along(v[1] - v[0], y), z), along(face[1] - face[0], z), edge[1] - edge[0]]
    return along(edge, z), jnp.where(inside, jnp.stack(gradients) / pitch, 0.0)


def _mass_moments(volume: jax.Array, pitch: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Centre of mass (3,) and radius of gyration about it, of the positive density."""
    points = grid_points(volume.shape[0], pitch)
    weight = jnp.maximum(volume.reshape(-1), 0.0)
    weight = weight / jnp.maximum(jnp.sum(weight), 1e-30)
    centre = weight @ points
    return centre, jnp.sqrt(weight @ jnp.sum((points - centre) ** 2, -1))


def _search(moving: jax.Array, fixed: jax.Array, hands: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rotations (C, 3, 3) worth refining with their hands (C,), of hands (H,); maps (31, 31, 31) in one ball."""
    _, l, m = zernike.modes(_ORDER)  # noqa: E741
    mirror = np.where((l + m) % 2, -1.0, 1.0).astype(np.float32)  # z -> -z
    moving, fixed = zernike.moments(jnp.stack([moving, fixed]), _ORDER)
    grid = jnp.asarray(rotations.grid_rotations(_ORDER))
    overlaps = jax.vmap(lambda hand: rotations.correlate(
        fixed, moving * jnp.where(hand < 0, mirror, 1.0), _ORDER))(hands)
    overlaps, places = jax.lax.top_k(overlaps.reshape(-1), _BEST_SCORED)
    rotation, hand = grid[places % len(grid)], hands[places // len(grid)]
    chosen = rotations.distinct_maxima(overlaps, _matrix(rotation, hand), _CANDIDATES * len(hands), _APART_DEGREES)
    return rotation[chosen], hand[chosen]


def _secant_update(inverse: jax.Array, step: jax.Array, fall: jax.Array) -> jax.Array:
    """The BFGS update of an inverse curvature (D, D); `fall` (D,) is how much the slope fell."""
    along = step @ fall
    usable = along > 1e-8 * jnp.linalg.norm(step) * jnp.linalg.norm(fall)
    rho = 1 / jnp.where(usable, along, 1.0)
    keep = jnp.eye(len(step)) - rho * jnp.outer(step, fall)
    updated = keep @ inverse @ keep.T + rho * jnp.outer(step, step)
    return jnp.where(usable, updated, inverse)


def _refine(pose: _Pose, sample, points, target, extent, free, steps: jax.Array, gain: float,
            pearson: bool):
    """Climb the overlap from one pose: BFGS, begun with the Gauss-Newton curvature.

    Args:
        sample: positions about the pivot (3, P) -> values (P,) and gradients (3, P).
        points, target: (3, P) and (P,) in the fixed frame.
        extent: a length (A) that puts rotations and shifts on one scale.
        free: (6,) zero holds a coordinate.
        steps: at most; fewer where the next one promises less than `gain` of the score.
        pearson: score by the correlation over the points; else by the overlap alone.

    Returns: the pose and its score.
    """
    mirror = _mirror(pose.hand)
    ones = jnp.ones_like(target)

    def evaluate(pose):
        """Score, slope (6,) and Gauss-Newton curvature (6, 6) in rotation (times extent), shift."""
        arm = points - pose.position[:, None]
        matrix = pose.rotation * mirror
        values, gradients = sample(matrix.T @ arm)
        gradients = matrix @ gradients
        jacobian = jnp.concatenate([-jnp.cross(arm, gradients, axis=0) / extent, -gradients])
        rows = jnp.concatenate([jacobian * free[:, None], jnp.stack([values, target, ones])])
        # One product holds every sum. The maps go in uncentred: their empty voxels then add exact
        # zeros, where a constant background would pile up rounding of one sign.
        gram = jnp.matmul(rows, rows.T, precision="highest")
        if not pearson:
            return gram[6, 7], gram[:6, 7], gram[:6, :6]
        gram = gram - jnp.outer(gram[8], gram[8]) / gram[8, 8]
        norm = jnp.sqrt(jnp.maximum(gram[6, 6], 1e-30))
        target_norm = jnp.sqrt(jnp.maximum(gram[7, 7], 1e-30))
        score = gram[6, 7] / (norm * target_norm)
        slope = (gram[:6, 7] / target_norm - score * gram[:6, 6] / norm) / norm
        return score, slope, gram[:6, :6] / norm**2

    def body_fun(carry):
        count, pose, score, slope, inverse, _ = carry
        step = inverse @ slope
        step = step * jnp.minimum(1.0, 0.3 * extent / jnp.maximum(jnp.max(jnp.abs(step)), 1e-30))
        trial = _Pose(rotations.small_rotation(step[:3] / extent) @ pose.rotation,
                      pose.position + step[3:], pose.hand)
        trial_score, trial_slope, curvature = evaluate(trial)
        better = trial_score > score
        updated = _secant_update(inverse, step, slope - trial_slope)
        # Also a step that failed has taught the curvature along it.
        ridge = 1e-4 * jnp.max(jnp.diag(curvature)) + 1e-30
        inverse = jnp.where(count == 0, jnp.linalg.inv(curvature + ridge * jnp.eye(6)),
                            jnp.where(better, updated, 0.5 * updated))
        pose, score, slope = jax.tree.map(lambda new, old: jnp.where(better, new, old),
                                          (trial, trial_score, trial_slope), (pose, score, slope))
        return count + 1, pose, score, slope, inverse, 0.5 * slope @ inverse @ slope > gain * score

    # Without a slope the first step stays, beats no score at all, and so evaluates the start.
    carry = (0, pose, -jnp.inf, jnp.zeros(6), jnp.zeros((6, 6)), True)
    return jax.lax.while_loop(lambda carry: (carry[0] <= steps) & carry[-1], body_fun, carry)[1:3]


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
    ball = grid_points(GRID, radius / CENTRE).T
    cells = _cells(moving)

    def sample(points):
        return _interpolate(cells, points + pivot[:, None], moving_pitch)

    hands = jnp.array([1.0, -1.0] if both_hands else [1.0])
    around, _ = _interpolate(_cells(fixed), ball + centre[:, None], fixed_pitch)
    rotation, hand = _search(*(x.reshape((GRID,) * 3) for x in (sample(ball)[0], around)), hands)

    points, target = grid_points(fixed.shape[0], fixed_pitch).T, fixed.reshape(-1)
    # The strongest voxels; where more are filled, a fixed random choice that favours none of them.
    lottery = np.random.default_rng(0).uniform(0.5, 1.0, target.shape[0]).astype(np.float32)
    _, chosen = jax.lax.top_k(target * lottery, min(_ROUGH_POINTS, target.shape[0]))
    free = jnp.append(jnp.ones(3), jnp.where(shift, jnp.ones(3), 0.0))

    def climb(poses, steps, points, target, gain, pearson):
        return jax.lax.map(lambda one: _refine(one[0], sample, points, target, radius / 2, free, one[1], gain, pearson),
                           (poses, steps))

    poses = _Pose(rotation, jnp.broadcast_to(centre, (len(hand), 3)), hand)
    poses, scores = climb(poses, jnp.full(len(hand), _ROUGH_STEPS), points[:, chosen], target[chosen], _ROUGH_GAIN,
                          pearson=False)
    leaders = rotations.distinct_maxima(scores, _matrix(poses.rotation, poses.hand), _LEADERS * len(hands),
                                        _APART_DEGREES / 2)
    steps = jnp.where(scores[leaders] >= _HOPEFUL * jnp.max(scores), _FINE_STEPS, 0)
    poses, scores = climb(jax.tree.map(lambda x: x[leaders], poses), steps, points, target, _FINE_GAIN, pearson=True)
    best = jnp.argmax(scores)
    pose = jax.tree.map(lambda x: x[best], poses)
    shifted = pose.position - pose.rotation @ (_mirror(pose.hand) * pivot)
    return Superposition(pose.rotation, shifted,
                         pose.hand < 0, scores[best])


@functools.partial(jax.jit, static_argnames="size")
def apply_superposition(moving: jax.Array, moving_pitch: jax.Array, superposition: Superposition,
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
    aligned = [apply_superposition(model, pitch, one, fixed_pitch, size=fixed.shape[0])
               for model, pitch, one in zip(models, pitches, found, strict=True)]
    return jnp.stack(aligned), jax.tree.map(lambda *x: jnp.stack(x), *found)
