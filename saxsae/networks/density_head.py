"""Turns decoded occupancy maps into densities: a small perceptron in each voxel, for `saxsae.bank`.

An occupancy map is fattened by about 3 A, so its profile is that of a body that is too large by 8%. The head sees a map
blurred to three widths and gives the blurred densities (`saxsae.shapes.densities`) of the atoms, of their shell, and of
their excess electrons (`saxsae.profiles.hydration.element_weights`). `launch.tasks.densities` trains it.
"""

from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from phasenet.voxel_layers import mix_channels
from saxsae.shapes import densities, voxels

_WIDTHS_ANGSTROM = (1.5, densities.BLUR_ANGSTROM, 6.0)  # standard deviations of the blurs
_TYPICAL_RADIUS_ANGSTROM = 37.0  # the median r_max of the corpus, where the conditions are 0 and 1
_TRAINED_RADII_ANGSTROM = (14.0, 310.0)  # r_max of the corpus; beyond this range the conditions are constant
DENSITIES = ("atoms", "shell", "excess")
_EDGE, _EDGE_WIDTH = 0.01, 0.003  # value of the widest blur below which a voxel is empty; width of the step there


class DensityHead(nn.Module):
    """Two hidden layers of a perceptron over the channels of each voxel, and a linear map around them.

    Attributes:
      width: channels of the hidden layers.
    """

    width: int = 16

    @nn.compact
    def __call__(self, probability: jax.Array, r_max: ArrayLike) -> jax.Array:
        """Returns the densities (3, 31, 31, 31) of `DENSITIES`, on the grid of `densities.density_pitch`.

        Args:
          probability: (31, 31, 31) probabilities that a voxel is filled, 0 outside the unit sphere.
          r_max: () A.
        """
        pitches = voxels.pitch(r_max), densities.density_pitch(r_max)
        blurred = jnp.stack([densities.resample(probability, *pitches, width) for width in _WIDTHS_ANGSTROM])
        blurred = blurred.reshape(len(_WIDTHS_ANGSTROM), -1)
        fine, middle, wide = blurred
        told = jnp.clip(r_max, *_TRAINED_RADII_ANGSTROM)
        conditions = jnp.stack([jnp.log(told / _TYPICAL_RADIUS_ANGSTROM), _TYPICAL_RADIUS_ANGSTROM / told])
        channels = jnp.concatenate([blurred, jnp.stack([fine * middle, middle * wide])])
        for layer in range(2):
            channels = jnp.tanh(mix_channels(self, f"hidden_{layer}", channels, self.width, conditions))
        linear = self.param("linear_kernel", nn.initializers.normal(0.1), (len(_WIDTHS_ANGSTROM), len(DENSITIES)))
        density = mix_channels(self, "output", channels, len(DENSITIES), None, nn.initializers.normal(0.1))
        density += linear.T @ blurred
        density *= jax.nn.sigmoid((wide - _EDGE) / _EDGE_WIDTH)
        return density.reshape(len(DENSITIES), *probability.shape)


def apply_head(width: int, params: Any, probability: jax.Array, r_max: ArrayLike) -> jax.Array:
    """Returns the densities of one map by a head of `width` (static) with these parameters; see `DensityHead`."""
    return cast(jax.Array, DensityHead(width).apply({"params": params}, probability, r_max))
