"""How well a map shows a structure: the correlation that every method is measured by.

The truth is the structure's heavy atoms, or beads, weighted by atomic number, on a 32^3 grid of
side 2.7 r_max about their centroid, blurred by a Gaussian of 3.38 A (about 15 A resolution). A map is
put on that grid as it was written, its size errors counted, and the Pearson correlation over all
voxels of the box is the best over rotation, sub-voxel shift and both hands.
"""


import jax
import jax.numpy as jnp
import numpy as np

from saxsae.superposition import alignment

TRUTH_GRID = 32
TRUTH_SIDE = 2.7  # of the box, in units of r_max
TRUTH_SIGMA_ANGSTROM = 3.38
_CHUNK = 2048  # atoms blurred at a time: models of up to so many share a program


def pearson(a: jax.Array, b: jax.Array) -> jax.Array:
    """Pearson correlation over all entries of two arrays of one shape: scalar, 0 if one is flat."""
    a, b = (x - jnp.mean(x) for x in (jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32)))
    norm = jnp.linalg.norm(a) * jnp.linalg.norm(b)
    return jnp.sum(a * b) / jnp.where(norm > 0, norm, 1.0)


def truth_pitch(r_max: float) -> float:
    """Pitch (A) of the truth's grid, whose centre lies between voxels 15 and 16."""
    return TRUTH_SIDE * r_max / TRUTH_GRID


@jax.jit
def _blurred(xyz: jax.Array, weight: jax.Array, pitch: jax.Array) -> jax.Array:
    """Gaussians integrated over voxels: (C, M, 3), (C, M) -> (32, 32, 32)."""
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
    """The density that reconstructions are compared with.

    Args:
        xyz_angstrom: (N, 3) heavy atoms or beads.
        weights: (N,) atomic numbers (ones for beads).
        r_max: largest distance of an atom from the centroid, A.

    Returns: (32, 32, 32) float32 about the unweighted centroid, pitch `truth_pitch(r_max)`.
    """
    count = len(xyz_angstrom)
    chunks = 1 << (-(-count // _CHUNK) - 1).bit_length()  # few programs, whatever the atom number
    xyz = np.zeros((chunks * _CHUNK, 3), np.float32)
    weight = np.zeros(chunks * _CHUNK, np.float32)
    xyz[:count] = xyz_angstrom - np.mean(xyz_angstrom, axis=0, dtype=np.float64)
    weight[:count] = weights
    return _blurred(xyz.reshape(chunks, _CHUNK, 3), weight.reshape(chunks, _CHUNK),
                    jnp.float32(truth_pitch(r_max)))


def correlation_with_truth(density: jax.Array, pitch: jax.Array, truth: jax.Array,
                           r_max: jax.Array) -> alignment.Superposition:
    """As `reconstruction_correlation`, for a truth made beforehand by `truth_density`."""
    return alignment.superpose(density, pitch, truth, truth_pitch(r_max))


def reconstruction_correlation(density: jax.Array, pitch: float, xyz_angstrom: np.ndarray,
                               weights: np.ndarray, r_max: float) -> alignment.Superposition:
    """Correlation of a reconstructed map with a structure, as defined at the top of this file.

    Args:
        density: (N, N, N) the map as written (31^3 for ours, any cube for others').
        pitch: its voxel's edge, A.
        xyz_angstrom, weights, r_max: the structure, as in `truth_density`.

    Returns: `correlation`, and the `rotation`, `shift` (A, from the map's centre to the structure's
        centroid) and hand (`mirrored`) that reach it.
    """
    truth = truth_density(xyz_angstrom, weights, r_max)
    return correlation_with_truth(density, jnp.float32(pitch), truth, jnp.float32(r_max))
