"""A network without convolutions: matrix products from all Patterson voxels to all voxels of the answer.

Nothing in the problem is the same everywhere: both maps are fixed at their centres. So weights need
not be shared over places, every number can see every other from the first layer on, and the work is
matrix products alone: about a hundred times less of it an example than for the convolutions of that problem.
Both maps are centrosymmetric, and half of each is used.
"""

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from phasenet.networks.precision import Dense


class DenseArchitecture(NamedTuple):
    """Sizes of the network. All static.

    Attributes:
      width: of the trunk.
      blocks: residual blocks of two layers in it.
      patterson_reach: the Patterson map is read up to so many voxels from its origin on each axis.
      density_reach: the answer is zero farther than so many voxels from the centre on each axis.
    """

    width: int = 768
    blocks: int = 3
    patterson_reach: int = 9
    density_reach: int = 5


class DensePattersonNetwork(nn.Module):
    """Centred Patterson maps (B, N, N, N), N even, to centrosymmetric maps of atoms (B, N, N, N) in -1 to 1, float32.

    dtype: of the factors of its products; the parameters are float32 in any case.
    """

    architecture: DenseArchitecture = DenseArchitecture()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, patterson_maps: jax.Array) -> jax.Array:
        arch, grid = self.architecture, patterson_maps.shape[-1]
        read = (slice(None), *_half_around_origin(arch.patterson_reach, grid).T)
        written, mirrored = _half_around_centre(arch.density_reach, grid)
        dense = functools.partial(Dense, dtype=self.dtype)
        x = dense(arch.width)(patterson_maps[read])
        for _ in range(arch.blocks):
            normal = nn.LayerNorm(dtype=self.dtype)(x)
            change = nn.relu(dense(arch.width, kernel_init=nn.initializers.he_normal())(normal))
            x = x + dense(arch.width, kernel_init=nn.initializers.variance_scaling(0.1, "fan_in", "normal"))(change)
        x = dense(len(written), kernel_init=nn.initializers.zeros)(nn.relu(x))
        x = jnp.tanh(x)
        answer = jnp.zeros(patterson_maps.shape)
        return answer.at[(slice(None), *written.T)].set(x).at[(slice(None), *mirrored.T)].set(x)


def check_dense(architecture: DenseArchitecture) -> None:
    """Raises ValueError for sizes that make no network."""
    for name in architecture._fields:
        value, least = getattr(architecture, name), 0 if name == "blocks" else 1
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name}={value}: expected a whole number, at least {least}")


def _half_around_origin(reach: int, grid: int) -> np.ndarray:
    """Voxels of a centred Patterson map, one of each pair u, -u, without u = 0: (n, 3)."""
    if reach >= grid / 2:
        raise ValueError(f"patterson_reach={reach}: a map of {grid} has less than that around its origin")
    cube = _cube(np.arange(-reach, reach + 1))
    return cube[len(cube) // 2 + 1:] + grid // 2


def _half_around_centre(reach: int, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Voxels of an atom map, one of each pair related by its centre, and the other one: (n, 3) twice."""
    if reach > grid / 2:
        raise ValueError(f"density_reach={reach}: a map of {grid} has less than that around its centre")
    cube = _cube(np.arange(grid // 2 - reach, grid // 2 + reach))
    half = cube[:len(cube) // 2]
    return half, grid - 1 - half


def _cube(axis: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
