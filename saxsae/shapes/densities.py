"""Densities of structures on a 31^3 grid: what atoms put there, and the shell of bound water around them.

A density is continuous; an occupancy map (`saxsae.shapes.voxels`) is binary, and fattened so that it has no holes. The
grid of a density has room for the shell: its sphere has the radius r_max + 6 A, so the pitch is h = (r_max + 6 A) / 15,
and voxel 15 of each axis is the origin. Two densities are blurred to the variance `blur_variance(h)` along each axis:

* Atoms: each is spread over the eight voxels around it. The unit is the density inside a protein.
* Shell: the fraction of a voxel between 2 and 5 A from the nearest atom.

`saxsae.profiles.hydration` computes their profiles; `saxsae.networks.density_head` learns to decode them.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from saxsae.shapes.voxels import CENTRE, GRID

MARGIN_ANGSTROM = 6.0  # from r_max to the radius of the grid's sphere
BLUR_ANGSTROM = 3.38  # standard deviation of the blur: a resolution of 15 A over pi sqrt(2)
ATOM_VOLUME_ANGSTROM3 = 17.2  # volume of a protein per heavy atom; a mean residue has 134 A^3 and 7.8 heavy atoms
FILLED = 0.5  # a voxel at 15 A resolution is filled above this fraction of the density inside a protein
SHELL_ANGSTROM = (2.0, 5.0)  # distances from the nearest atom between which water is bound
_CHUNK = 1024  # atoms whose neighbourhoods are searched at a time


def density_pitch(r_max: Any) -> Any:
    """Returns the pitch h (A) of the grid of a density, for one r_max (A) or an array of them."""
    return (r_max + MARGIN_ANGSTROM) / CENTRE


def blur_variance(pitch: Any) -> Any:
    """Returns the variance (A^2) of the blur along each axis of a density of this pitch (A).

    The variance is that of `BLUR_ANGSTROM`; for large voxels, it is that of spreading an atom over eight voxels.
    """
    return jnp.maximum(BLUR_ANGSTROM**2, pitch**2 / 6)


def resample(maps: jax.Array, pitch: ArrayLike, new_pitch: ArrayLike, sigma_angstrom: ArrayLike) -> jax.Array:
    """Returns maps on a grid of another pitch with the same centre, blurred by a Gaussian.

    Args:
      maps: (..., 31, 31, 31).
      pitch: () edge of their voxels, A.
      new_pitch: () edge of the new voxels, A.
      sigma_angstrom: () standard deviation of the blur along each axis; at least 0.55 pitches are taken.

    Returns:
      (..., 31, 31, 31) float32.
    """
    axis = np.arange(GRID) - CENTRE
    sigma = jnp.maximum(sigma_angstrom, 0.55 * pitch)
    lag = axis[:, None] * new_pitch - axis * pitch
    kernel = jnp.exp(-0.5 * (lag / sigma) ** 2) * pitch / (sigma * np.sqrt(2 * np.pi))
    for _ in range(3):  # each product transforms the first axis and puts it last
        maps = jnp.einsum("ai,...ijk->...jka", kernel, maps)
    return maps


def atom_density(xyz: np.ndarray, r_max: float, weights: ArrayLike = 1.0) -> np.ndarray:
    """Returns the blurred density of atoms.

    Args:
      xyz: (N, 3) positions in A from the centroid.
      r_max: their largest distance from the centroid, A.
      weights: (N,) or () of the atoms.

    Returns:
      (31, 31, 31) float64, near 1 inside a protein for atoms of weight 1.
    """
    weights = np.broadcast_to(np.asarray(weights, np.float64), len(xyz))
    h = density_pitch(r_max)
    position = np.asarray(xyz, np.float64) / h + CENTRE
    node = np.floor(position).astype(int)
    share = position - node
    spread = np.zeros(GRID**3)
    for corner in np.ndindex(2, 2, 2):
        weight = weights * np.prod(np.where(corner, share, 1 - share), axis=1)
        index = np.clip(node + corner, 0, GRID - 1) @ (GRID**2, GRID, 1)
        spread += np.bincount(index, weight, minlength=GRID**3)
    spread = spread.reshape(GRID, GRID, GRID) * (ATOM_VOLUME_ANGSTROM3 / h**3)
    return blur(spread, h, BLUR_ANGSTROM**2 - h**2 / 6)  # spreading an atom has the variance h^2 / 6


def shell_density(xyz: np.ndarray, r_max: float) -> np.ndarray:
    """Returns the blurred shell of bound water around atoms.

    Args:
      xyz: (N, 3) positions in A from the centroid.
      r_max: their largest distance from the centroid, A.

    Returns:
      (31, 31, 31) float64 from 0 to 1, the fraction of a voxel that lies in the shell.
    """
    h = density_pitch(r_max)
    return blur(shell_fraction(xyz, r_max), h, BLUR_ANGSTROM**2 - h**2 / 12)  # a voxel has the variance h^2 / 12


def shell_fraction(xyz: np.ndarray, r_max: float) -> np.ndarray:
    """Returns the fraction (31, 31, 31) float64 of each voxel that lies in the shell; arguments as `shell_density`."""
    h = density_pitch(r_max)
    near, far = SHELL_ANGSTROM
    distance = nearest_atom_distances(np.asarray(xyz, np.float64), h, far + h).astype(np.float64)
    return np.clip((distance - near) / h + 0.5, 0, 1) * np.clip((far - distance) / h + 0.5, 0, 1)


def nearest_atom_distances(xyz: np.ndarray, pitch: float, limit: float) -> np.ndarray:
    """Returns the distance of each voxel from the nearest atom.

    Args:
      xyz: (N, 3) positions in A from the centre of the grid.
      pitch: edge of a voxel, A.
      limit: distances beyond it need not be exact, A.

    Returns:
      (31, 31, 31) float32, A; infinite where no atom is near.
    """
    reach = int(np.ceil(limit / pitch + 0.5))
    squares = np.full(GRID**3, np.inf, np.float32)
    for start in range(0, len(xyz), _CHUNK):
        atoms = np.full((_CHUNK, 3), 1e6, np.float32)  # padding lies far outside
        part = xyz[start:start + _CHUNK]
        atoms[:len(part)] = part / pitch + CENTRE
        squares = _lower_squares(squares, atoms, reach)
    return pitch * np.sqrt(np.asarray(squares)).reshape(GRID, GRID, GRID)


@functools.partial(jax.jit, static_argnames="reach")
def _lower_squares(squares: jax.Array, atoms: jax.Array, reach: int) -> jax.Array:
    """Returns the squared distances (29791,) in pitches, lowered to those from atoms (A, 3) within `reach` voxels."""
    axis = jnp.arange(-reach, reach + 1)
    offsets = jnp.stack(jnp.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    voxel = jnp.round(atoms).astype(jnp.int32)[:, None] + offsets
    square = ((voxel - atoms[:, None]) ** 2).sum(-1)
    inside = ((voxel >= 0) & (voxel < GRID)).all(-1)
    flat = jnp.where(inside, (voxel[..., 0] * GRID + voxel[..., 1]) * GRID + voxel[..., 2], GRID**3)
    return squares.at[flat.reshape(-1)].min(square.reshape(-1), mode="drop")


def blur(density: np.ndarray, pitch: float, variance: float) -> np.ndarray:
    """Returns a map blurred by a Gaussian along each axis.

    Args:
      density: (31, 31, 31).
      pitch: edge of its voxels, A.
      variance: of the Gaussian, A^2; if it is not positive, the map is returned as it is.

    Returns:
      (31, 31, 31) float64.
    """
    if variance <= 0:
        return density
    lag = (np.arange(GRID)[:, None] - np.arange(GRID)) * pitch
    kernel = np.exp(-0.5 * lag**2 / variance)
    kernel /= kernel[CENTRE].sum()
    return np.einsum("ai,bj,ck,ijk->abc", kernel, kernel, kernel, density, optimize=True)
