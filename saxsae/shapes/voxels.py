"""Atoms to a binary occupancy on the 31^3 grid of the unit sphere.

One geometry for the whole package (``r_max`` in Angstrom is the largest distance of an atom from the centroid):

* the unit (Zernike) sphere has the radius ``R = r_max / 0.9``;
* voxel ``i`` of 31 lies at ``(i - 15) h``, so the grid is centred on index 15, with the pitch ``h = R / 15``;
* a voxel is filled when an atom lies within ``max(contact, 0.8 h)`` of its centre: 0.8 pitches keep large structures
  closed, and the contact distance (3 A, more for bead models) keeps small ones from being porous;
* voxels outside the unit sphere stay empty, because no Zernike moment sees them.

The network's input is the same grid padded with zeros at the end of each axis to 32^3.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

GRID = 31
PADDED = 32
CENTRE = 15
SPHERE_FRACTION = 0.9  # r_max as a fraction of the unit sphere's radius
CONTACT_ANGSTROM = 3.0
CONTACT_PITCHES = 0.8
BEAD_CONTACT = 0.87  # of the nearest-neighbour spacing: beads in a dense lattice leave no holes
_BYTES = -(-GRID**3 // 8)


def pitch(r_max):
    """Voxel pitch h in Angstrom for a structure of the radius ``r_max`` (Angstrom)."""
    return r_max / (SPHERE_FRACTION * CENTRE)


@functools.lru_cache(maxsize=None)
def sphere_mask() -> np.ndarray:
    """Boolean (31, 31, 31): the 14,147 voxels whose centres lie within the unit sphere."""
    axis = np.arange(GRID) - CENTRE
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    return x**2 + y**2 + z**2 <= CENTRE**2


def centre_and_radius(xyz: np.ndarray) -> tuple[np.ndarray, float]:
    """Coordinates (N, 3) about their unweighted mean, and ``r_max``; both in the unit of ``xyz``."""
    centred = np.asarray(xyz, np.float64) - np.mean(xyz, axis=0, dtype=np.float64)
    return centred, float(np.sqrt((centred**2).sum(-1).max()))


def contact_distance(spacing_angstrom: float | None = None) -> float:
    """Contact distance in Angstrom for atoms, or for beads of the given median nearest-neighbour spacing."""
    if spacing_angstrom is None:
        return CONTACT_ANGSTROM
    return max(CONTACT_ANGSTROM, BEAD_CONTACT * spacing_angstrom)


def reach(r_max: float, contact: float = CONTACT_ANGSTROM) -> int:
    """How many voxels from its own an atom can fill: the static ``reach`` of ``voxelize``."""
    return int(np.floor(max(contact / pitch(r_max), CONTACT_PITCHES) + 0.5))


@functools.partial(jax.jit, static_argnames="reach")
def voxelize(xyz, mask, r_max, contact=CONTACT_ANGSTROM, *, reach: int):
    """Occupancy of one structure.

    Args:
      xyz: (N, 3) coordinates in Angstrom about the centroid; padding rows allowed.
      mask: (N,) true for atoms, false for padding.
      r_max: radius in Angstrom that maps to 0.9 of the unit sphere (traced).
      contact: contact distance in Angstrom (traced).
      reach: static, at least ``reach(r_max, contact)``; smaller loses voxels.

    Returns:
      Boolean (31, 31, 31). ``vmap`` over leading axes for a batch.
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
    flat = jnp.where(filled, flat, GRID**3)  # out of range: dropped
    occupied = jnp.zeros(GRID**3, bool).at[flat.reshape(-1)].set(True, mode="drop")
    return occupied.reshape(GRID, GRID, GRID) & sphere_mask()


def voxelize_structure(xyz: np.ndarray, spacing_angstrom: float | None = None) -> tuple[np.ndarray, float]:
    """Occupancy (31, 31, 31) bool and ``r_max`` (Angstrom) of one structure (N, 3) in Angstrom, in its own pose.

    Atom counts are padded to powers of two so that few programs are compiled.
    """
    centred, r_max = centre_and_radius(xyz)
    if not r_max > 0:
        raise ValueError("a structure needs at least two distinct positions")
    contact = contact_distance(spacing_angstrom)
    size = max(256, 1 << (len(centred) - 1).bit_length())
    padded = np.zeros((size, 3), np.float32)
    padded[: len(centred)] = centred
    occupancy = voxelize(padded, np.arange(size) < len(centred), np.float32(r_max), np.float32(contact),
                         reach=reach(r_max, contact))
    return np.asarray(occupancy), r_max


def pack(occupancy: np.ndarray) -> np.ndarray:
    """Binary (..., 31, 31, 31) to bits (..., 3724) uint8, C order, zero-filled at the end."""
    occupancy = np.asarray(occupancy, bool)
    return np.packbits(occupancy.reshape(*occupancy.shape[:-3], GRID**3), axis=-1)


def unpack(bits):
    """The inverse of ``pack``, traceable: (..., 3724) uint8 to (..., 31, 31, 31) float32."""
    if bits.shape[-1] != _BYTES:
        raise ValueError(f"packed occupancies have {_BYTES} bytes, not {bits.shape[-1]}")
    flat = jnp.unpackbits(bits, axis=-1)[..., : GRID**3]
    return flat.reshape(*bits.shape[:-1], GRID, GRID, GRID).astype(jnp.float32)


def pad(occupancy):
    """(..., 31, 31, 31) to the network's (..., 32, 32, 32): zeros at the end of each axis."""
    width = [(0, 0)] * (occupancy.ndim - 3) + [(0, PADDED - GRID)] * 3
    return jnp.pad(occupancy, width)


def rotate(occupancy, rotation):
    """Turn a map about the grid's centre, trilinear, empty outside: (31, 31, 31) and (3, 3) to (31, 31, 31) float32.

    A density at position p moves to ``rotation @ p``. Threshold at 0.5 to stay binary.
    """
    axis = jnp.arange(GRID, dtype=jnp.float32) - CENTRE
    target = jnp.stack(jnp.meshgrid(axis, axis, axis, indexing="ij"), -1)
    source = target @ rotation + CENTRE  # row vectors: p @ R is the inverse rotation of p
    return jax.scipy.ndimage.map_coordinates(
        occupancy.astype(jnp.float32), list(jnp.moveaxis(source, -1, 0)), order=1, mode="constant")


def random_rotation(key):
    """A rotation matrix (3, 3) drawn uniformly from SO(3), from a normalised Gaussian quaternion."""
    w, x, y, z = (lambda q: q / jnp.linalg.norm(q))(jax.random.normal(key, (4,)))
    return jnp.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])


def random_symmetry(occupancy, key):
    """One of the 48 turned and mirrored images that keep a map (31, 31, 31) on its grid, each as likely."""
    key_order, key_flip = jax.random.split(key)
    orders = [functools.partial(jnp.transpose, axes=order) for order in itertools.permutations(range(3))]
    occupancy = jax.lax.switch(jax.random.randint(key_order, (), 0, len(orders)), orders, occupancy)
    for axis, flip in enumerate(jax.random.bernoulli(key_flip, 0.5, (3,))):
        occupancy = jnp.where(flip, jnp.flip(occupancy, axis), occupancy)
    return occupancy
