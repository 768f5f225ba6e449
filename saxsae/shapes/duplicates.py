"""Which structures of a corpus have the shape of a reference: superposed, they correlate.

In three sieves, each cheaper than the next by orders of magnitude: rotation-invariant numbers
(`network_stage`), a search of poses that looks up some atoms in the reference's blurred map, and the
correlation itself, of the candidate's atoms turned, shifted and voxelized anew on the reference's
grid (`best_correlation`). Both stand at the reference's scale, so that a floppy end, which sets
r_max, does not hide that two structures are one protein; and no binary map is ever interpolated:
that alone costs 0.05 of the correlation and would let every duplicate pass.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saxsae.shapes import voxels

CORRELATION = 0.95
_RADIUS_TOLERANCE = 0.2  # of r_max
_MOMENT_TOLERANCE = 0.05  # of Rg, in each principal radius of gyration
_QUANTILE_TOLERANCE = 0.04  # of Rg, mean over the quantiles of the distance from the centroid
_QUANTILES = np.linspace(0.05, 0.95, 19)
_SEARCH_ATOMS = 300
_SEARCH_DEGREES = (15.0, 8.0, 4.0, 2.0)
_POLISH_DEGREES = (4.0, 2.0, 1.0)
_WORTH_POLISHING = 0.8  # equal shapes do better than this after the search
_CUBE = np.array(list(itertools.product((-1, 0, 1), repeat=3)), float)
_STARTS = 5


class Shape(NamedTuple):
    """One structure, ready for comparison.

    Attributes:
      xyz: (N, 3) float32, Angstrom, about the centroid.
      r_max: Angstrom.
      contact: contact distance in Angstrom.
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


def shape_of(xyz: np.ndarray, spacing_angstrom: float | None = None) -> Shape:
    """The `Shape` of atoms, or of beads of the given median spacing: (N, 3) in Angstrom."""
    centred, r_max = voxels.centre_and_radius(xyz)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    return Shape(
        centred.astype(np.float32),
        r_max,
        voxels.contact_distance(spacing_angstrom),
        vectors[:, ::-1],
        np.sqrt(np.maximum(values[::-1], 0)),
        np.quantile(np.linalg.norm(centred, axis=-1), _QUANTILES),
    )


def candidates(reference: Shape, shapes: Sequence[Shape]) -> np.ndarray:
    """Indices of the shapes whose size, principal radii and radial distribution come near."""
    gyration = np.linalg.norm(reference.radii)
    near = np.abs(np.array([s.r_max for s in shapes]) / reference.r_max - 1) < _RADIUS_TOLERANCE
    radii = np.array([s.radii for s in shapes]).reshape(-1, 3)
    near &= (np.abs(radii - reference.radii) < _MOMENT_TOLERANCE * gyration).all(-1)
    quantiles = np.array([s.quantiles for s in shapes]).reshape(-1, len(_QUANTILES))
    near &= np.abs(quantiles - reference.quantiles).mean(-1) < _QUANTILE_TOLERANCE * gyration
    return np.flatnonzero(near)


def best_correlation(reference: Shape, shape: Shape) -> float:
    """Pearson correlation of the occupancies on the reference's grid, the best pose of `shape`.

    Both hands are tried. A value below 0.8 comes from the search alone and may be a few hundredths
    too low.
    """
    occupancy = _placed(reference, reference, np.eye(3)[None], np.zeros((1, 3)))
    pose, shift = _search(reference, shape, occupancy), np.zeros(3)
    value = float(_placed(reference, shape, pose[None], shift[None], occupancy)[0])
    if value < _WORTH_POLISHING:
        return value
    for step in np.deg2rad(_POLISH_DEGREES):
        # Of the trials the middle one is "no move": a step never loses.
        trials = _small_turns(step) @ pose
        pose = trials[_placed(reference, shape, trials, shift[None], occupancy).argmax()]
        trials = shift + step * np.linalg.norm(reference.radii) * _CUBE
        values = _placed(reference, shape, pose[None], trials, occupancy)
        shift, value = trials[values.argmax()], float(values.max())
    return value


def _search(reference: Shape, shape: Shape, occupancy: np.ndarray) -> np.ndarray:
    """The orthogonal matrix (3, 3) that lays the shape's atoms deepest into the reference's map.

    Starts from the 48 ways to lay principal axes on principal axes (swaps of near-equal axes and
    both hands included), each also turned by 30 degrees in all directions: near-round shapes have
    no axes to speak of.
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
    poses = np.einsum("tij,sjk->stik", _small_turns(np.deg2rad(30.0)), axes).reshape(-1, 3, 3)
    poses = poses[np.argsort(score(poses))[::-1][:_STARTS]]
    for step in np.deg2rad(_SEARCH_DEGREES):
        trials = np.einsum("tij,sjk->stik", _small_turns(step), poses)
        values = score(trials.reshape(-1, 3, 3)).reshape(trials.shape[:2])
        poses = trials[np.arange(len(trials)), values.argmax(-1)]
    return poses[values.max(-1).argmax()]


def _blur(occupancy: np.ndarray) -> np.ndarray:
    """The map blurred by about one voxel: (1, 2, 1) twice along each axis."""
    blurred = occupancy.astype(np.float32)
    for axis in (0, 1, 2) * 2:
        blurred = (np.roll(blurred, 1, axis) + 2 * blurred + np.roll(blurred, -1, axis)) / 4
    return blurred


def _placed(reference: Shape, shape: Shape, rotations, shifts, occupancy=None) -> np.ndarray:
    """The shape turned (..., 3, 3) and shifted (..., 3) on the reference's grid.

    Returns the correlations (...) with `occupancy`, or without one the first map.
    """
    size = max(256, 1 << (len(shape.xyz) - 1).bit_length())
    xyz = np.zeros((size, 3), np.float32)
    xyz[: len(shape.xyz)] = shape.xyz
    leading = np.broadcast_shapes(rotations.shape[:-2], shifts.shape[:-1])
    rotations = np.broadcast_to(rotations, leading + (3, 3)).reshape(-1, 3, 3).astype(np.float32)
    shifts = np.broadcast_to(shifts, leading + (3,)).reshape(-1, 3).astype(np.float32)
    maps = occupancy is None
    result = _turned(
        xyz,
        np.arange(size) < len(shape.xyz),
        np.float32(reference.r_max),
        np.float32(shape.contact),
        rotations,
        shifts,
        None if maps else occupancy,
        reach=voxels.reach(reference.r_max, shape.contact),
    )
    return np.asarray(result[0] if maps else result.reshape(leading))


@functools.partial(jax.jit, static_argnames="reach")
def _turned(xyz, mask, r_max, contact, rotations, shifts, occupancy, *, reach):
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
    """(48, 3, 3): every way to lay three axes on three axes."""
    return np.array(
        [
            np.eye(3)[list(order)] * signs
            for order in itertools.permutations(range(3))
            for signs in itertools.product((1, -1), repeat=3)
        ]
    )


def _small_turns(angle: float) -> np.ndarray:
    """(27, 3, 3) rotations whose vectors have the components -angle, 0, angle; radians."""
    vectors = angle * _CUBE
    norm = np.linalg.norm(vectors, axis=-1)[:, None, None]
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    cross = np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]]).transpose(2, 0, 1)
    return (
        np.eye(3)
        + np.sinc(norm / np.pi) * cross
        + 0.5 * np.sinc(norm / 2 / np.pi) ** 2 * cross @ cross
    )
