"""Voxelizes structures to binary occupancy maps on the 31^3 grid, whose geometry the whole package shares.

`r_max`, in Angstrom, is the largest distance of an atom from the centroid.

* The unit sphere, on which Zernike moments are defined, has the radius `R = r_max / 0.9`.
* Voxel `i` of 31 lies at `(i - 15) h`, with the pitch `h = R / 15`: the origin is voxel 15 of each axis.
* A voxel is filled if an atom lies within `max(contact, 0.8 h)` of its centre. 0.8 pitches leave no holes in large
  structures; the contact distance (3 A, more for bead models) leaves none in small ones.
* Voxels outside the unit sphere stay empty, because Zernike moments do not depend on them.

The input of the auto-encoder is this grid, padded with zeros at the end of each axis to 32^3.
"""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

GRID = 31  # voxels along an edge
PADDED = 32  # voxels along an edge of the padded grid, for the auto-encoder
CENTRE = 15  # index of the origin along each axis
SPHERE_FRACTION = 0.9  # r_max over the radius of the unit sphere
CONTACT_ANGSTROM = 3.0  # contact distance of atoms
CONTACT_PITCHES = 0.8  # smallest contact distance, in pitches
BEAD_CONTACT = 0.87  # contact distance of beads over their spacing; beads of a dense lattice then leave no holes
_BYTES = -(-GRID**3 // 8)  # bytes of a packed map: 3724


def pitch(r_max: Any) -> Any:
    """Returns the pitch h of the voxels in Angstrom, for one r_max (Angstrom) or an array of them."""
    return r_max / (SPHERE_FRACTION * CENTRE)


@functools.cache
def sphere_mask() -> np.ndarray:
    """Returns a boolean map (31, 31, 31): the 14,147 voxels whose centres lie within the unit sphere."""
    axis = np.arange(GRID) - CENTRE
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    return x**2 + y**2 + z**2 <= CENTRE**2


def centre_and_radius(xyz: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns coordinates about their centroid, and r_max.

    Args:
      xyz: (N, 3) positions, any unit and origin.

    Returns:
      (N, 3) float64 positions from their unweighted mean; and their largest distance from it, in the unit of `xyz`.
    """
    centred = np.asarray(xyz, np.float64) - np.mean(xyz, axis=0, dtype=np.float64)
    return centred, float(np.sqrt((centred**2).sum(-1).max()))


def contact_distance(spacing_angstrom: float | None = None) -> float:
    """Returns the contact distance in Angstrom of atoms (None), or of beads of a median nearest-neighbour spacing."""
    if spacing_angstrom is None:
        return CONTACT_ANGSTROM
    return max(CONTACT_ANGSTROM, BEAD_CONTACT * spacing_angstrom)


def reach_in_voxels(r_max: float, contact: float = CONTACT_ANGSTROM) -> int:
    """Returns how far an atom can fill voxels: the static `reach` of `voxelize`.

    The reach is counted along an axis, in voxels, from the voxel nearest to the atom.

    Args:
      r_max: radius in Angstrom.
      contact: contact distance in Angstrom.
    """
    return int(np.floor(max(contact / pitch(r_max), CONTACT_PITCHES) + 0.5))


@functools.partial(jax.jit, static_argnames="reach")
def voxelize(xyz: jax.Array, mask: jax.Array, r_max: ArrayLike, contact: ArrayLike = CONTACT_ANGSTROM, *,
             reach: int) -> jax.Array:
    """Returns the occupancy map of one structure.

    Args:
      xyz: (N, 3) positions in Angstrom from the centroid, with padding rows where needed.
      mask: (N,) true for atoms, false for padding.
      r_max: () radius in Angstrom (traced); it becomes 0.9 of the radius of the unit sphere.
      contact: () contact distance in Angstrom (traced).
      reach: how far an atom can fill voxels (static); at least `reach_in_voxels(r_max, contact)`, because a smaller
        number loses voxels.

    Returns:
      Boolean (31, 31, 31).
    """
    h = pitch(r_max)
    position = xyz / h + CENTRE
    nearest = jnp.round(position).astype(jnp.int32)
    axis = jnp.arange(-reach, reach + 1)
    offsets = jnp.stack(jnp.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    voxel = nearest[:, None, :] + offsets
    distance_squared = ((voxel - position[:, None, :]) ** 2).sum(-1)
    limit = jnp.maximum(contact / h, CONTACT_PITCHES)
    inside = ((voxel >= 0) & (voxel < GRID)).all(-1)
    filled = mask[:, None] & inside & (distance_squared <= limit**2)
    flat = (voxel[..., 0] * GRID + voxel[..., 1]) * GRID + voxel[..., 2]
    flat = jnp.where(filled, flat, GRID**3)  # an index out of range, which `set` drops
    occupied = jnp.zeros(GRID**3, bool).at[flat.reshape(-1)].set(True, mode="drop")
    return occupied.reshape(GRID, GRID, GRID) & sphere_mask()


def voxelize_structure(xyz: np.ndarray, spacing_angstrom: float | None = None) -> tuple[np.ndarray, float]:
    """Returns the occupancy map and r_max of one structure, in its own orientation.

    Atom counts are padded to powers of two, so that few programs are compiled.

    Args:
      xyz: (N, 3) positions of atoms or beads in Angstrom, any origin.
      spacing_angstrom: median nearest-neighbour spacing of beads; None for atoms.

    Returns:
      The map, boolean (31, 31, 31), and r_max in Angstrom.

    Raises:
      ValueError: there are fewer than two distinct positions.
    """
    centred, r_max = centre_and_radius(xyz)
    if not r_max > 0:
        raise ValueError("a structure needs at least two distinct positions")
    contact = contact_distance(spacing_angstrom)
    size = max(256, 1 << (len(centred) - 1).bit_length())
    padded = np.zeros((size, 3), np.float32)
    padded[: len(centred)] = centred
    occupancy = voxelize(padded, np.arange(size) < len(centred), np.float32(r_max), np.float32(contact),
                         reach=reach_in_voxels(r_max, contact))
    return np.asarray(occupancy), r_max


def pack(occupancy: np.ndarray) -> np.ndarray:
    """Returns binary maps (..., 31, 31, 31) as bits (..., 3724) uint8, in C order, zero-filled at the end."""
    occupancy = np.asarray(occupancy, bool)
    return np.packbits(occupancy.reshape(*occupancy.shape[:-3], GRID**3), axis=-1)


def unpack(bits: jax.Array | np.ndarray) -> jax.Array:
    """Returns the maps (..., 31, 31, 31) float32, 0 or 1, of the bits (..., 3724) uint8 from `pack`; can be jitted.

    Raises:
      ValueError: the last axis is not 3724.
    """
    if bits.shape[-1] != _BYTES:
        raise ValueError(f"bits: the last axis has {bits.shape[-1]} bytes, expected {_BYTES}")
    flat = jnp.unpackbits(bits, axis=-1)[..., : GRID**3]
    return flat.reshape(*bits.shape[:-1], GRID, GRID, GRID).astype(jnp.float32)


def pad(occupancy: jax.Array | np.ndarray) -> jax.Array:
    """Returns maps (..., 31, 31, 31), padded for the auto-encoder to (..., 32, 32, 32) at the end of each axis."""
    width = [(0, 0)] * (occupancy.ndim - 3) + [(0, PADDED - GRID)] * 3
    return jnp.pad(occupancy, width)


def rotate(occupancy: jax.Array, rotation: jax.Array) -> jax.Array:
    """Returns a map rotated about the origin, by trilinear interpolation.

    Args:
      occupancy: (31, 31, 31) map, taken as empty outside the grid.
      rotation: (3, 3); the density at position p moves to `rotation @ p`.

    Returns:
      (31, 31, 31) float32; a binary map is binary again after a threshold of 0.5.
    """
    axis = jnp.arange(GRID, dtype=jnp.float32) - CENTRE
    target = jnp.stack(jnp.meshgrid(axis, axis, axis, indexing="ij"), -1)
    source = target @ rotation + CENTRE  # row vectors: p @ R is the inverse rotation of p
    return jax.scipy.ndimage.map_coordinates(
        occupancy.astype(jnp.float32), list(jnp.moveaxis(source, -1, 0)), order=1, mode="constant")


def random_rotation(key: jax.Array) -> jax.Array:
    """Returns a uniformly distributed random rotation matrix (3, 3), from a normalised Gaussian quaternion."""
    w, x, y, z = (lambda q: q / jnp.linalg.norm(q))(jax.random.normal(key, (4,)))
    return jnp.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])


def random_symmetry(occupancy: jax.Array, key: jax.Array) -> jax.Array:
    """Returns a map (31, 31, 31) after one of the 48 symmetries of the cube, mirror images included, at random."""
    key_order, key_flip = jax.random.split(key)
    orders = [functools.partial(jnp.transpose, axes=order) for order in itertools.permutations(range(3))]
    occupancy = jax.lax.switch(jax.random.randint(key_order, (), 0, len(orders)), orders, occupancy)
    for axis, flip in enumerate(jax.random.bernoulli(key_flip, 0.5, (3,))):
        occupancy = jnp.where(flip, jnp.flip(occupancy, axis), occupancy)
    return occupancy


def radius_of_gyration(density: np.ndarray, pitch: float) -> float:
    """Returns the radius of gyration (A) of a map (N, N, N) of cubes with an edge `pitch` (A)."""
    weight = np.asarray(density, np.float64) / density.sum()
    positions = np.indices(density.shape) - (density.shape[0] - 1) / 2.0
    centre = np.einsum("aijk,ijk->a", positions, weight)
    spread = ((positions - centre[:, None, None, None]) ** 2).sum(0)
    # 1/4 is the squared radius of gyration of a cube with edge 1.
    return float(pitch * np.sqrt((spread * weight).sum() + 0.25))
