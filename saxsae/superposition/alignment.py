"""Superposes one density on another by a rotation, a shift and a choice of hand.

Called by `saxsae.reconstruction` to average models, and by `saxsae.superposition.metrics` to score maps.

1. Both maps are resampled into one ball about their centres of mass and expanded in Zernike moments.
2. A fast Fourier transform over rotations (`saxsae.superposition.rotations`) scores all orientations of both hands.
3. The best distinct orientations are refined by quasi-Newton steps on the overlap over the strongest voxels.
4. The leaders are refined on the Pearson correlation over all voxels of the fixed map.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from saxsae.profiles import zernike
from saxsae.shapes.voxels import CENTRE, GRID
from saxsae.superposition import rotations
from saxsae.superposition.interpolation import cells_of, grid_points, interpolate, interpolate_cells

_APART_DEGREES = 20.0  # smallest rotation between two distinct orientations
_ROUGH_STEPS, _FINE_STEPS = 14, 16  # largest number of quasi-Newton steps
_REFINE_STEPS, _REFINE_GAIN = 4, 1e-4  # of `refine_superposition`
_ROUGH_GAIN, _FINE_GAIN = 1e-4, 2e-6  # a refinement stops if a step promises a smaller relative gain of the score


class SearchEffort(NamedTuple):
    """How thoroughly orientations are searched; all fields are static.

    Attributes:
      order: Zernike order of the search over rotations; 16 has rotations 9 degrees apart.
      best_scored: orientations among which the distinct ones are sought.
      candidates: distinct orientations that are refined; twice as many if both hands are tried.
      rough_points: voxels used by the rough refinement.
      leaders: candidates that are refined on all voxels; twice as many if both hands are tried.
      min_leader_score: relative to the best rough score; a leader below it is not refined.
    """

    order: int
    best_scored: int
    candidates: int
    rough_points: int
    leaders: int
    min_leader_score: float


THOROUGH = SearchEffort(16, 2048, 16, 4096, 3, 0.95)  # for scores, which must not depend on luck
FAST = SearchEffort(12, 512, 8, 2048, 1, 0.985)  # for means: 0.4 of the time, 0.0007 less correlation


class Superposition(NamedTuple):
    """The transformation that takes a moving map onto a fixed one.

    A position p, in A from the centre of the moving grid, goes to
    `rotation @ diag(1, 1, -1 if mirrored else 1) @ p + shift`, in A from the centre of the fixed grid.

    Attributes:
      rotation: (3, 3) proper rotation.
      shift: (3,) A.
      mirrored: () bool, whether the moving map is mirrored in z first.
      correlation: () Pearson correlation over all voxels of the fixed map.
    """

    rotation: jax.Array | np.ndarray
    shift: jax.Array | np.ndarray
    mirrored: jax.Array | np.ndarray
    correlation: jax.Array | np.ndarray


class _Pose(NamedTuple):
    """A pose of the moving map in the frame of the fixed one.

    Attributes:
      rotation: (3, 3) proper rotation about the pivot, which is the centre of mass of the moving map.
      position: (3,) position of the pivot in A, from the centre of the fixed grid.
      hand: () 1.0, or -1.0 for the map mirrored in z.
    """

    rotation: jax.Array
    position: jax.Array
    hand: jax.Array


def _mirror(hand: jax.Array) -> jax.Array:
    """Returns the factors (3,) of the coordinates (x, y, z) for a hand, 1.0 or -1.0."""
    return jnp.array([1.0, 1.0, 0.0]) + jnp.array([0.0, 0.0, 1.0]) * hand


def _matrix_with_hand(rotation: jax.Array, hand: jax.Array) -> jax.Array:
    """Returns orthogonal matrices (C, 3, 3): each applies a hand of (C,), then a rotation of (C, 3, 3)."""
    return rotation * jax.vmap(_mirror)(hand)[:, None]


def _mass_moments(volume: jax.Array, pitch: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the centre of mass (3,) of the positive density and the radius of gyration () about it, in A."""
    points = grid_points(volume.shape[0], pitch)
    weight = jnp.maximum(volume.reshape(-1), 0.0)
    weight = weight / jnp.maximum(jnp.sum(weight), 1e-30)
    centre = weight @ points
    return centre, jnp.sqrt(weight @ jnp.sum((points - centre) ** 2, -1))


def _search_orientations(moving: jax.Array, fixed: jax.Array, hands: jax.Array,
                         effort: SearchEffort) -> tuple[jax.Array, jax.Array]:
    """Returns the best distinct orientations of a moving map: rotations (C, 3, 3) and hands (C,).

    Args:
      moving: (31, 31, 31) map, resampled in a ball about its centre (of mass, or of the grid).
      fixed: (31, 31, 31) map, resampled in a ball of the same radius about its centre.
      hands: (H,) hands to try, 1.0 or -1.0.
      effort: how thoroughly to search.
    """
    _, l, m = zernike.modes(effort.order)
    mirror = np.where((l + m) % 2, -1.0, 1.0).astype(np.float32)  # z -> -z
    moving, fixed = zernike.moments(jnp.stack([moving, fixed]), effort.order)
    grid = jnp.asarray(rotations.grid_rotations(effort.order))
    overlaps = jax.vmap(lambda hand: rotations.correlate_orientations(
        fixed, moving * jnp.where(hand < 0, mirror, 1.0), effort.order))(hands)
    overlaps, places = jax.lax.top_k(overlaps.reshape(-1), effort.best_scored)
    rotation, hand = grid[places % len(grid)], hands[places // len(grid)]
    chosen = rotations.find_distinct_maxima(overlaps, _matrix_with_hand(rotation, hand), effort.candidates * len(hands),
                                            _APART_DEGREES)
    return rotation[chosen], hand[chosen]


def _update_inverse_curvature(inverse: jax.Array, step: jax.Array, fall: jax.Array) -> jax.Array:
    """Returns the inverse curvature (D, D) after a BFGS update.

    The curvature is minus the Hessian of the score; `fall` (D,) is the slope before `step` (D,) minus that after.
    """
    curvature = step @ fall
    usable = curvature > 1e-8 * jnp.linalg.norm(step) * jnp.linalg.norm(fall)
    rho = 1 / jnp.where(usable, curvature, 1.0)
    projection = jnp.eye(len(step)) - rho * jnp.outer(step, fall)
    updated = projection @ inverse @ projection.T + rho * jnp.outer(step, step)
    return jnp.where(usable, updated, inverse)


def _refine(pose: _Pose, sample: Callable[[jax.Array], tuple[jax.Array, jax.Array]], points: jax.Array,
            target: jax.Array, extent: jax.Array, free: jax.Array, steps: jax.Array, gain: float,
            pearson: bool) -> tuple[_Pose, jax.Array]:
    """Returns the pose at a local maximum of the score, and the score (); by BFGS from the Gauss-Newton curvature.

    Args:
      pose: the pose to start from.
      sample: the moving map: positions about the pivot (3, P) -> values (P,) and gradients (3, P).
      points: (3, P) positions in the fixed frame, A.
      target: (P,) values of the fixed map there.
      extent: () length in A that puts rotations and shifts on one scale.
      free: (6,) 1, or 0 to keep a coordinate fixed: three of the rotation, three of the shift.
      steps: () largest number of steps.
      gain: the refinement ends when the next step promises less than this relative gain of the score.
      pearson: the score is the Pearson correlation over the points; otherwise their overlap.
    """
    mirror = _mirror(pose.hand)
    ones = jnp.ones_like(target)

    def evaluate(pose):
        """Returns score, slope (6,) and Gauss-Newton curvature (6, 6) in rotation (radians times extent) and shift."""
        arm = points - pose.position[:, None]
        matrix = pose.rotation * mirror
        values, gradients = sample(matrix.T @ arm)
        gradients = matrix @ gradients
        jacobian = jnp.concatenate([-jnp.cross(arm, gradients, axis=0) / extent, -gradients])
        rows = jnp.concatenate([jacobian * free[:, None], jnp.stack([values, target, ones])])
        # This one product contains every sum needed. The maps are not centred: empty voxels then add exact zeros,
        # whereas a constant background would accumulate rounding errors of one sign.
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
        updated = _update_inverse_curvature(inverse, step, slope - trial_slope)
        # A rejected step gives the curvature along its direction, too.
        ridge = 1e-4 * jnp.max(jnp.diag(curvature)) + 1e-30
        inverse = jnp.where(count == 0, jnp.linalg.inv(curvature + ridge * jnp.eye(6)),
                            jnp.where(better, updated, 0.5 * updated))
        pose, score, slope = jax.tree.map(lambda new, old: jnp.where(better, new, old),
                                          (trial, trial_score, trial_slope), (pose, score, slope))
        return count + 1, pose, score, slope, inverse, 0.5 * slope @ inverse @ slope > gain * score

    # The first step has zero slope and so evaluates the start, which is better than the score of minus infinity.
    carry: tuple[Any, ...] = (0, pose, -jnp.inf, jnp.zeros(6), jnp.zeros((6, 6)), True)
    return jax.lax.while_loop(lambda carry: (carry[0] <= steps) & carry[-1], body_fun, carry)[1:3]


def superpose(moving: ArrayLike, moving_pitch: ArrayLike, fixed: ArrayLike, fixed_pitch: ArrayLike,
              *, both_hands: bool = True, shift: bool = True, effort: SearchEffort = THOROUGH) -> Superposition:
    """Returns the rotation, shift and hand that superpose one map on another with the largest correlation.

    Args:
      moving: (N, N, N) map.
      moving_pitch: () edge of its voxels, A.
      fixed: (M, M, M) map.
      fixed_pitch: () edge of its voxels, A.
      both_hands: try the mirror image as well (static), because a SAXS curve does not determine the hand.
      shift: start with the centres of mass together and refine the shift; if False, the centres of the grids stay
        together.
      effort: how thoroughly to search (static).

    Returns:
      The best `Superposition`; its correlation is over all voxels of `fixed`.
    """
    # One dtype for each argument: Python and NumPy floats would each compile a program.
    arrays = (jnp.asarray(x, jnp.float32) for x in (moving, moving_pitch, fixed, fixed_pitch))
    return _superpose(*arrays, jnp.asarray(shift, bool), both_hands, effort)


@functools.partial(jax.jit, static_argnums=(5, 6))
def _superpose(moving: jax.Array, moving_pitch: jax.Array, fixed: jax.Array, fixed_pitch: jax.Array,
               shift: jax.Array, both_hands: bool, effort: SearchEffort) -> Superposition:
    """Returns the result of `superpose`, from float32 arrays; `shift` () bool is traced."""
    (pivot, rg), (centre, fixed_rg) = (_mass_moments(moving, moving_pitch),
                                       _mass_moments(fixed, fixed_pitch))
    pivot, centre = jnp.where(shift, pivot, 0.0), jnp.where(shift, centre, 0.0)
    radius = 2.0 * jnp.maximum(jnp.maximum(rg, fixed_rg), fixed_pitch)  # for a solid sphere, 1.55 times its radius
    ball = grid_points(GRID, radius / CENTRE).T
    cells = cells_of(moving)

    def sample(points):
        return interpolate_cells(cells, points + pivot[:, None], moving_pitch)

    hands = jnp.array([1.0, -1.0] if both_hands else [1.0])
    fixed_in_ball, _ = interpolate_cells(cells_of(fixed), ball + centre[:, None], fixed_pitch)
    shape = (GRID,) * 3
    rotation, hand = _search_orientations(sample(ball)[0].reshape(shape), fixed_in_ball.reshape(shape), hands,
                                          effort)

    points, target = grid_points(fixed.shape[0], fixed_pitch).T, fixed.reshape(-1)
    # Take the strongest voxels. Fixed random factors decide among equal ones, so that no part of the map is preferred.
    factors = np.random.default_rng(0).uniform(0.5, 1.0, target.shape[0]).astype(np.float32)
    _, chosen = jax.lax.top_k(target * factors, min(effort.rough_points, target.shape[0]))
    free = jnp.append(jnp.ones(3), jnp.where(shift, jnp.ones(3), 0.0))

    def refine_all(poses, steps, points, target, gain, pearson):
        # One start after another: its voxels stay in the processor's cache, and it ends when it has converged.
        return jax.lax.map(lambda one: _refine(one[0], sample, points, target, radius / 2, free, one[1], gain, pearson),
                           (poses, steps))

    poses = _Pose(rotation, jnp.broadcast_to(centre, (len(hand), 3)), hand)
    poses, scores = refine_all(poses, jnp.full(len(hand), _ROUGH_STEPS), points[:, chosen], target[chosen],
                               _ROUGH_GAIN, pearson=False)
    leaders = rotations.find_distinct_maxima(scores, _matrix_with_hand(poses.rotation, poses.hand),
                                             effort.leaders * len(hands), _APART_DEGREES / 2)
    steps = jnp.where(scores[leaders] >= effort.min_leader_score * jnp.max(scores), _FINE_STEPS, 0)
    poses, scores = refine_all(jax.tree.map(lambda x: x[leaders], poses), steps, points, target, _FINE_GAIN,
                               pearson=True)
    best = jnp.argmax(scores)
    pose = jax.tree.map(lambda x: x[best], poses)
    # The shift is the position to which the centre of the moving grid goes.
    centre_shift = pose.position - pose.rotation @ (_mirror(pose.hand) * pivot)
    return Superposition(pose.rotation, centre_shift, pose.hand < 0, scores[best])


@jax.jit
def refine_superposition(moving: jax.Array, moving_pitch: jax.Array, fixed: jax.Array, fixed_pitch: jax.Array,
                         start: Superposition) -> Superposition:
    """Returns the best `Superposition` near a known one, in a tenth of the time of a search.

    Args:
      moving: (N, N, N) float32 map.
      moving_pitch: () float32, edge of its voxels, A.
      fixed: (M, M, M) float32 map.
      fixed_pitch: () float32, edge of its voxels, A.
      start: a superposition of the moving map on a similar one; its hand stays.
    """
    pivot, rg = _mass_moments(moving, moving_pitch)
    extent = jnp.maximum(jnp.maximum(rg, _mass_moments(fixed, fixed_pitch)[1]), fixed_pitch)
    cells = cells_of(moving)
    hand = jnp.where(start.mirrored, -1.0, 1.0)
    rotation = jnp.asarray(start.rotation)
    pose = _Pose(rotation, jnp.asarray(start.shift) + rotation @ (_mirror(hand) * pivot), hand)
    pose, correlation = _refine(
        pose, lambda points: interpolate_cells(cells, points + pivot[:, None], moving_pitch),
        grid_points(fixed.shape[0], fixed_pitch).T, fixed.reshape(-1), extent, jnp.ones(6), jnp.int32(_REFINE_STEPS),
        _REFINE_GAIN, pearson=True)
    return Superposition(pose.rotation, pose.position - pose.rotation @ (_mirror(hand) * pivot), start.mirrored,
                         correlation)


@functools.partial(jax.jit, static_argnames="size")
def apply_superposition(moving: ArrayLike, moving_pitch: ArrayLike, superposition: Superposition,
                        out_pitch: ArrayLike, size: int = GRID) -> jax.Array:
    """Returns the moving map transformed by its superposition, interpolated on a new grid.

    Args:
      moving: (N, N, N) map.
      moving_pitch: () edge of its voxels, A.
      superposition: from `superpose`; its `correlation` is not used.
      out_pitch: () edge of the new voxels, A.
      size: number of new voxels along an edge (static).

    Returns:
      (size, size, size) float32.
    """
    mirror = _mirror(jnp.where(superposition.mirrored, -1.0, 1.0))
    arm = grid_points(size, out_pitch) - superposition.shift
    values, _ = interpolate(jnp.asarray(moving, jnp.float32),
                            (arm @ superposition.rotation) * mirror, moving_pitch)
    return values.reshape((size,) * 3)


def align_to(models: jax.Array | np.ndarray, pitches: jax.Array | np.ndarray, fixed: jax.Array | np.ndarray,
             fixed_pitch: ArrayLike, *, both_hands: bool = True, shift: bool = True,
             effort: SearchEffort = THOROUGH) -> tuple[jax.Array, Superposition]:
    """Superposes several maps on one and returns them on its grid, so that they can be averaged.

    Args:
      models: (K, N, N, N) maps.
      pitches: (K,) edges of their voxels, A.
      fixed: (M, M, M) map, the reference.
      fixed_pitch: () edge of its voxels, A.
      both_hands: as in `superpose`.
      shift: as in `superpose`.
      effort: as in `superpose`.

    Returns:
      The aligned maps (K, M, M, M) float32, and the superpositions with a leading axis K.
    """
    # A loop in Python: one compiled `superpose` serves any number of models, and other callers.
    superpositions = [superpose(model, pitch, fixed, fixed_pitch, both_hands=both_hands, shift=shift,
                                effort=effort)
                      for model, pitch in zip(models, pitches, strict=True)]
    aligned = [apply_superposition(model, pitch, one, fixed_pitch, size=fixed.shape[0])
               for model, pitch, one in zip(models, pitches, superpositions, strict=True)]
    return jnp.stack(aligned), jax.tree.map(lambda *x: jnp.stack(x), *superpositions)
