"""A network without convolutions: matrix products from all voxels of a Patterson map to all voxels of a map of atoms.

A small stand-in for the paper's network (`published`), run by `launch.solve --weights=small`. In both maps the centre
lies at the same place in every example, so weights need not be shared between places. Each output depends on all
voxels from the first layer on: about a hundred times less work per example than with convolutions. Both maps are
centrosymmetric, so the network reads and predicts one voxel of each symmetric pair.
"""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from phasenet.networks.precision import Dense


class DenseArchitecture(NamedTuple):
    """Sizes of the network. All static.

    Attributes:
      width: channels of every hidden layer.
      blocks: number of residual blocks, each of two layers.
      patterson_reach: the Patterson map is read up to this many voxels from its origin on each axis.
      density_reach: the map of atoms is zero farther than this many voxels from its centre on each axis.
    """

    width: int = 768
    blocks: int = 3
    patterson_reach: int = 9
    density_reach: int = 5


class DensePattersonNetwork(nn.Module):
    """The dense network, from centred Patterson maps to maps of atoms with their inverse.

    Attributes:
      architecture: its sizes.
      dtype: of the products' factors; the parameters are float32 in any case.
    """

    architecture: DenseArchitecture = DenseArchitecture()
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, patterson_maps: jax.Array) -> jax.Array:
        """Returns half the density of the atoms and their inverse (`synthesis.network_target`).

        Args:
          patterson_maps: (B, N, N, N), N even, the origin at voxel N/2.

        Returns:
          (B, N, N, N) float32, -1 to 1, centrosymmetric about the middle of the map.

        Raises:
          ValueError: a reach of the architecture does not fit N.
        """
        arch, grid = self.architecture, patterson_maps.shape[-1]
        read = (slice(None), *_half_around_origin(arch.patterson_reach, grid).T)
        written, mirrored = _half_around_centre(arch.density_reach, grid)
        dense = functools.partial(Dense, dtype=self.dtype)
        x = dense(arch.width)(patterson_maps[read])
        for _ in range(arch.blocks):
            normal = nn.LayerNorm(dtype=self.dtype)(x)
            hidden = nn.relu(dense(arch.width, kernel_init=nn.initializers.he_normal())(normal))
            x = x + dense(arch.width, kernel_init=nn.initializers.variance_scaling(0.1, "fan_in", "normal"))(hidden)
        x = dense(len(written), kernel_init=nn.initializers.zeros)(nn.relu(x))
        x = jnp.tanh(x)
        density = jnp.zeros(patterson_maps.shape)
        return density.at[(slice(None), *written.T)].set(x).at[(slice(None), *mirrored.T)].set(x)


def check_dense(architecture: DenseArchitecture) -> None:
    """Checks the sizes of a network.

    Raises:
      ValueError: a size is not possible.
    """
    for name in architecture._fields:
        value, least = getattr(architecture, name), 0 if name == "blocks" else 1
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name}={value}: expected a whole number, at least {least}")


def _half_around_origin(reach: int, grid: int) -> np.ndarray:
    """Returns the voxels (n, 3) of a centred Patterson map, one of each pair u, -u, without u = 0."""
    if reach >= grid / 2:
        raise ValueError(f"patterson_reach={reach}: expected less than half the map's edge of {grid} voxels")
    cube = _cube(np.arange(-reach, reach + 1))
    return cube[len(cube) // 2 + 1:] + grid // 2


def _half_around_centre(reach: int, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the voxels (n, 3) of a map of atoms, one of each pair about its centre, and the other of each (n, 3)."""
    if reach > grid / 2:
        raise ValueError(f"density_reach={reach}: expected at most half the map's edge of {grid} voxels")
    cube = _cube(np.arange(grid // 2 - reach, grid // 2 + reach))
    half = cube[:len(cube) // 2]
    return half, grid - 1 - half


def _cube(axis: np.ndarray) -> np.ndarray:
    """Returns all voxels (n^3, 3) whose three indices are among `axis` (n,)."""
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
