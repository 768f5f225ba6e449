"""Operations on the voxels of a periodic map, shared by the unrolled iterations for Patterson maps and for crystals.

`networks.dual_space` and `crystal` call these functions; neither of the two imports the other.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer


def mix_channels(module: nn.Module, name: str, channels: jax.Array, width: int, conditions: jax.Array | None,
                 init: Initializer = nn.initializers.lecun_normal()) -> jax.Array:
    """Returns a dense layer over the channels of each voxel, whose bias is linear in the conditions.

    Channels come first: with channels last, a CPU would compute one voxel after another.

    Args:
      module: owns the parameters; the call is in its compact method.
      name: of the layer; the parameters are NAME_kernel, NAME_bias and NAME_conditions.
      channels: (C, V), C channels of V voxels.
      width: W, number of channels of the result.
      conditions: (K,), or None for a bias without conditions.
      init: of the kernel.

    Returns:
      (W, V).
    """
    kernel = module.param(f"{name}_kernel", init, (channels.shape[0], width))
    bias = module.param(f"{name}_bias", nn.initializers.zeros, (width,))
    if conditions is not None:
        bias = bias + conditions @ module.param(f"{name}_conditions", nn.initializers.normal(0.3),
                                                (len(conditions), width))
    return kernel.T @ channels + bias[:, None]


def highest_around(values: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Returns the highest value of each voxel and its 26 neighbours, of the shape of `values`.

    Args:
      values: periodic maps (..., X, Y, Z).
      axes: the three of a map.
    """
    for axis in axes:
        values = jnp.maximum(values, jnp.maximum(jnp.roll(values, 1, axis), jnp.roll(values, -1, axis)))
    return values
