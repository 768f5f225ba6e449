"""Computes the correlation of a map with a known structure, the score of every method in `launch.evaluate`.

1. The truth is the density of the structure's heavy atoms, weighted by atomic number (or of beads, equally weighted),
   on a 32^3 grid of side 2.7 r_max about their centroid, blurred by a Gaussian of 3.38 A to about 15 A resolution.
2. The map is superposed on the truth over rotations, sub-voxel shifts and both hands. The map is not rescaled: a wrong
   size lowers the result.
3. The result is the Pearson correlation over all voxels of the truth's grid.

r_max is the largest distance of an atom from the centroid.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from saxsae.superposition import alignment

TRUTH_GRID = 32  # voxels along an edge of the box
TRUTH_SIDE = 2.7  # side of the box, in units of r_max
TRUTH_SIGMA_ANGSTROM = 3.38  # standard deviation of the blur: a resolution of 15 A over pi sqrt(2)
_CHUNK = 2048  # atoms that are blurred at a time; structures with no more atoms than this share one program


def pearson(a: ArrayLike, b: ArrayLike) -> jax.Array:
    """Returns the Pearson correlation () over all entries of two arrays of one shape; 0 if one is constant."""
    a, b = (x - jnp.mean(x) for x in (jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32)))
    norm = jnp.linalg.norm(a) * jnp.linalg.norm(b)
    return jnp.sum(a * b) / jnp.where(norm > 0, norm, 1.0)


def truth_pitch(r_max: float | jax.Array) -> float | jax.Array:
    """Returns the pitch (A) of the truth's grid, whose centre lies between voxels 15 and 16."""
    return TRUTH_SIDE * r_max / TRUTH_GRID


@jax.jit
def _blur_atoms(xyz: jax.Array, weight: jax.Array, pitch: jax.Array) -> jax.Array:
    """Returns the sum of Gaussians of atoms, integrated over voxels.

    Args:
      xyz: (C, M, 3) positions in A from the centre of the grid, in C chunks.
      weight: (C, M) weights of the atoms; 0 for padding.
      pitch: () edge of a voxel, A.

    Returns:
      (32, 32, 32) float32.
    """
    edges = (jnp.arange(TRUTH_GRID + 1) - TRUTH_GRID / 2) * pitch

    def step_fn(density, chunk):
        atoms, mass = chunk
        reach = (edges - atoms[..., None]) / (TRUTH_SIGMA_ANGSTROM * np.sqrt(2.0))
        x, y, z = jnp.moveaxis(jnp.diff(jax.lax.erf(reach), axis=-1) / 2, 1, 0)  # (M, 32) each
        plane = (mass[:, None, None] * x[:, :, None] * y[:, None]).reshape(len(mass), -1)
        return density + jnp.matmul(plane.T, z, precision="highest"), None

    empty = jnp.zeros((TRUTH_GRID**2, TRUTH_GRID))
    return jax.lax.scan(step_fn, empty, (xyz, weight))[0].reshape((TRUTH_GRID,) * 3)


def truth_density(xyz_angstrom: np.ndarray, weights: np.ndarray, r_max: float) -> jax.Array:
    """Returns the density that reconstructions are compared with.

    Args:
      xyz_angstrom: (N, 3) positions of heavy atoms or beads.
      weights: (N,) atomic numbers (ones for beads).
      r_max: largest distance of an atom from the centroid, A.

    Returns:
      (32, 32, 32) float32, with the unweighted centroid at the centre of the grid and the pitch `truth_pitch(r_max)`.
    """
    count = len(xyz_angstrom)
    chunks = 1 << (-(-count // _CHUNK) - 1).bit_length()  # a power of two, so that few programs are compiled
    xyz = np.zeros((chunks * _CHUNK, 3), np.float32)
    weight = np.zeros(chunks * _CHUNK, np.float32)
    xyz[:count] = xyz_angstrom - np.mean(xyz_angstrom, axis=0, dtype=np.float64)
    weight[:count] = weights
    return _blur_atoms(xyz.reshape(chunks, _CHUNK, 3), weight.reshape(chunks, _CHUNK),
                       jnp.float32(truth_pitch(r_max)))


def correlation_with_truth(density: ArrayLike, pitch: ArrayLike, truth: ArrayLike,
                           r_max: float | jax.Array) -> alignment.Superposition:
    """Returns the `Superposition` of a map on a truth, with their correlation.

    Args:
      density: (N, N, N) map.
      pitch: () edge of its voxels, A.
      truth: (32, 32, 32) from `truth_density`.
      r_max: () largest distance of an atom from the centroid, A, as given to `truth_density`.
    """
    return alignment.superpose(density, pitch, truth, truth_pitch(r_max))


def reconstruction_correlation(density: ArrayLike, pitch: float, xyz_angstrom: np.ndarray,
                               weights: np.ndarray, r_max: float) -> alignment.Superposition:
    """Returns the `Superposition` of a map on a known structure, with the correlation that the module's head defines.

    Args:
      density: (N, N, N) map, as the program under test wrote it (N = 31 for `saxsae`).
      pitch: edge of its voxels, A.
      xyz_angstrom: (M, 3) positions of the structure's heavy atoms or beads.
      weights: (M,) atomic numbers (ones for beads).
      r_max: largest distance of an atom from the centroid, A.
    """
    truth = truth_density(xyz_angstrom, weights, r_max)
    return correlation_with_truth(density, jnp.float32(pitch), truth, jnp.float32(r_max))
