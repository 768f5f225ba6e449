"""Finds the structures of a corpus that have the shape of a reference, so that evaluation data stay out of training.

Called by `launch.datasets.evaluation_leakage`. There are three stages, each far cheaper than the next:

1. `find_candidates` compares rotation-invariant numbers.
2. `_search_pose` searches for the orientation in which some atoms of the candidate lie at the largest values of the
   reference's blurred map.
3. `best_correlation` refines this pose and computes the correlation of the two occupancy maps.

Both maps have the scale of the reference, so that a flexible end, which changes r_max, does not hide that two
structures are one protein. The atoms of each pose are voxelized anew, because interpolation of a binary map would lower
the correlation by 0.05, to below `CORRELATION`.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saxsae.shapes import voxels

CORRELATION = 0.95  # smallest correlation of duplicates
_RADIUS_TOLERANCE = 0.2  # of r_max, relative to that of the reference
_MOMENT_TOLERANCE = 0.05  # of each principal radius of gyration, relative to Rg
_QUANTILE_TOLERANCE = 0.04  # mean over the quantiles of the distance from the centroid, relative to Rg
_QUANTILES = np.linspace(0.05, 0.95, 19)  # probabilities
_SEARCH_ATOMS = 300  # atoms of the candidate that the search uses
_SEARCH_DEGREES = (15.0, 8.0, 4.0, 2.0)  # rotation steps of the search
_REFINE_DEGREES = (4.0, 2.0, 1.0)  # rotation steps of the refinement
_MIN_SEARCH_CORRELATION = 0.8  # equal shapes exceed it after the search; poses below it are not refined
_NEIGHBOURS = np.array(list(itertools.product((-1, 0, 1), repeat=3)), float)  # (27, 3), the middle one zero
_STARTS = 5  # orientations that the search refines


class ComparableShape(NamedTuple):
    """A structure with the numbers that a comparison needs.

    Attributes:
      xyz: (N, 3) float32 positions in Angstrom, from the centroid.
      r_max: largest distance of an atom from the centroid in Angstrom.
      contact: contact distance in Angstrom, see `voxels.contact_distance`.
      axes: (3, 3) principal axes as columns, longest first.
      radii: (3,) principal radii of gyration in Angstrom, longest first.
      quantiles: (19,) quantiles of the distance from the centroid, Angstrom.
    """

    xyz: np.ndarray
    r_max: float
    contact: float
    axes: np.ndarray
    radii: np.ndarray
    quantiles: np.ndarray


def make_comparable(xyz: np.ndarray, spacing_angstrom: float | None = None) -> ComparableShape:
    """Returns the `ComparableShape` of a structure.

    Args:
      xyz: (N, 3) positions of atoms or beads in Angstrom.
      spacing_angstrom: median nearest-neighbour spacing of beads; None for atoms.
    """
    centred, r_max = voxels.centre_and_radius(xyz)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    return ComparableShape(
        centred.astype(np.float32),
        r_max,
        voxels.contact_distance(spacing_angstrom),
        vectors[:, ::-1],
        np.sqrt(np.maximum(values[::-1], 0)),
        np.quantile(np.linalg.norm(centred, axis=-1), _QUANTILES),
    )


def find_candidates(reference: ComparableShape, shapes: Sequence[ComparableShape]) -> np.ndarray:
    """Returns the indices (M,) of the shapes whose size, principal radii and radial distribution are similar."""
    gyration = np.linalg.norm(reference.radii)
    near = np.abs(np.array([s.r_max for s in shapes]) / reference.r_max - 1) < _RADIUS_TOLERANCE
    radii = np.array([s.radii for s in shapes]).reshape(-1, 3)
    near &= (np.abs(radii - reference.radii) < _MOMENT_TOLERANCE * gyration).all(-1)
    quantiles = np.array([s.quantiles for s in shapes]).reshape(-1, len(_QUANTILES))
    near &= np.abs(quantiles - reference.quantiles).mean(-1) < _QUANTILE_TOLERANCE * gyration
    return np.flatnonzero(near)


def best_correlation(reference: ComparableShape, shape: ComparableShape) -> float:
    """Returns the Pearson correlation of two occupancy maps in the best pose of `shape`, of either hand.

    The maps are on the grid of the reference. If the correlation after the search is below 0.8, the pose is not refined
    and the result may be a few hundredths too low.
    """
    occupancy = _place_on_grid(reference, reference, np.eye(3)[None], np.zeros((1, 3)))
    pose, shift = _search_pose(reference, shape, occupancy), np.zeros(3)
    value = float(_place_on_grid(reference, shape, pose[None], shift[None], occupancy)[0])
    if value < _MIN_SEARCH_CORRELATION:
        return value
    for step in np.deg2rad(_REFINE_DEGREES):
        # The middle trial leaves the pose as it is, so no step lowers the correlation.
        trials = _small_rotations(step) @ pose
        pose = trials[_place_on_grid(reference, shape, trials, shift[None], occupancy).argmax()]
        trials = shift + step * np.linalg.norm(reference.radii) * _NEIGHBOURS
        values = _place_on_grid(reference, shape, pose[None], trials, occupancy)
        shift, value = trials[values.argmax()], float(values.max())
    return value


def _search_pose(reference: ComparableShape, shape: ComparableShape, occupancy: np.ndarray) -> np.ndarray:
    """Returns the orthogonal matrix (3, 3) that best turns the shape's atoms into the reference's map.

    The starts are the 48 ways to superpose principal axes in any order and direction. Each is combined with the 27
    `_small_rotations` of 30 degrees, because the axes of nearly round shapes are ill-defined.

    Args:
      reference: the reference.
      shape: the shape to turn.
      occupancy: boolean (31, 31, 31), the map of the reference.
    """
    blurred = _blur(occupancy)
    rows = np.linspace(0, len(shape.xyz) - 1, min(_SEARCH_ATOMS, len(shape.xyz))).astype(int)
    points = shape.xyz[rows] / np.float32(voxels.pitch(reference.r_max))

    def score(poses):
        index = (
            np.rint(np.einsum("pij,aj->pai", poses.astype(np.float32), points)).astype(np.int32)
            + voxels.CENTRE
        )
        x, y, z = np.moveaxis(np.clip(index, 0, voxels.GRID - 1), -1, 0)
        return blurred[x, y, z].mean(-1)

    axes = reference.axes @ _signed_permutations() @ shape.axes.T
    poses = np.einsum("tij,sjk->stik", _small_rotations(np.deg2rad(30.0)), axes).reshape(-1, 3, 3)
    poses = poses[np.argsort(score(poses))[::-1][:_STARTS]]
    for step in np.deg2rad(_SEARCH_DEGREES):
        trials = np.einsum("tij,sjk->stik", _small_rotations(step), poses)
        values = score(trials.reshape(-1, 3, 3)).reshape(trials.shape[:2])
        poses = trials[np.arange(len(trials)), values.argmax(-1)]
    return poses[values.max(-1).argmax()]


def _blur(occupancy: np.ndarray) -> np.ndarray:
    """Returns a map (31, 31, 31) blurred by about one voxel: (1, 2, 1) / 4, twice along each axis."""
    blurred: np.ndarray = occupancy.astype(np.float32)
    for axis in (0, 1, 2) * 2:
        blurred = (np.roll(blurred, 1, axis) + 2 * blurred + np.roll(blurred, -1, axis)) / 4
    return blurred


def _place_on_grid(reference: ComparableShape, shape: ComparableShape, rotations: np.ndarray, shifts: np.ndarray,
                   occupancy: np.ndarray | None = None) -> np.ndarray:
    """Returns the correlations of poses of a shape with a map on the reference's grid, or the map of a pose.

    Args:
      reference: the shape whose r_max sets the pitch of the grid.
      shape: the shape to rotate and shift.
      rotations: (..., 3, 3) orthogonal matrices.
      shifts: (..., 3) in Angstrom, of the centroid.
      occupancy: boolean (31, 31, 31) map to correlate with, or None.

    Returns:
      Correlations (...); or, without `occupancy`, the boolean map (31, 31, 31) of the first pose.
    """
    size = max(256, 1 << (len(shape.xyz) - 1).bit_length())
    xyz = np.zeros((size, 3), np.float32)
    xyz[: len(shape.xyz)] = shape.xyz
    leading = np.broadcast_shapes(rotations.shape[:-2], shifts.shape[:-1])
    rotations = np.broadcast_to(rotations, leading + (3, 3)).reshape(-1, 3, 3).astype(np.float32)
    shifts = np.broadcast_to(shifts, leading + (3,)).reshape(-1, 3).astype(np.float32)
    maps = occupancy is None
    result = _voxelize_poses(
        xyz,
        np.arange(size) < len(shape.xyz),
        np.float32(reference.r_max),
        np.float32(shape.contact),
        rotations,
        shifts,
        None if maps else occupancy,
        reach=voxels.reach_in_voxels(reference.r_max, shape.contact),
    )
    return np.asarray(result[0] if maps else result.reshape(leading))


@functools.partial(jax.jit, static_argnames="reach")
def _voxelize_poses(xyz: jax.Array, mask: jax.Array, r_max: jax.Array, contact: jax.Array, rotations: jax.Array,
                    shifts: jax.Array, occupancy: jax.Array | None, *, reach: int) -> jax.Array:
    """Returns the correlations (P,) of P poses with `occupancy`, or without one their maps (P, 31, 31, 31).

    The first four arguments and `reach` are those of `voxels.voxelize`; rotations are (P, 3, 3), shifts (P, 3).
    """
    def body_fun(pose):
        rotation, shift = pose
        placed = voxels.voxelize(xyz @ rotation.T + shift, mask, r_max, contact, reach=reach)
        if occupancy is None:
            return placed
        return jnp.corrcoef(
            occupancy.ravel().astype(jnp.float32), placed.ravel().astype(jnp.float32)
        )[0, 1]

    return jax.lax.map(body_fun, (rotations, shifts))


@functools.lru_cache
def _signed_permutations() -> np.ndarray:
    """Returns the 48 ways to superpose three axes on three axes, (48, 3, 3)."""
    return np.array(
        [
            np.eye(3)[list(order)] * signs
            for order in itertools.permutations(range(3))
            for signs in itertools.product((1, -1), repeat=3)
        ]
    )


def _small_rotations(angle: float) -> np.ndarray:
    """Returns the 27 rotations (27, 3, 3) whose rotation vectors have components of -angle, 0 or angle (radians)."""
    vectors = angle * _NEIGHBOURS
    norm = np.linalg.norm(vectors, axis=-1)[:, None, None]
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    cross = np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]]).transpose(2, 0, 1)
    return (
        np.eye(3)
        + np.sinc(norm / np.pi) * cross
        + 0.5 * np.sinc(norm / 2 / np.pi) ** 2 * cross @ cross
    )
