"""The learned round: the untrained round of `phasing` with corrections by a small network.

One round takes these steps:

1. Form the current map: memory + step * the last projected map.
2. Find its atoms as the untrained round does, by a soft threshold.
3. Describe each voxel by the two maps, the highest value around it, and filters of the maps and of the atoms.
4. Pass these through a perceptron of two hidden layers, conditioned on the data, to three corrections per voxel.
5. Form the density: the current map under the soft threshold, with the first two corrections.
6. Reflect, with the third correction; impose the measured amplitudes; keep a share of the other reflections.
7. Set memory = current map - step * density.

All corrections are zero before training: then this is the untrained round. Its few thousand weights do not depend on
the lattice; all rounds and voxels share them.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from phasenet.crystal import phasing
from phasenet.crystal.learned import features
from phasenet.crystal.learned.features import LearnedInput
from phasenet.crystal.phasing import PhasingState
from phasenet.voxel_layers import highest_around, mix_channels

_MAP_SCALE = 4.0  # in root mean squares of the true map; inputs of the perceptron are divided by it
_BOUND = 6.0  # largest input of the perceptron
_LARGEST_CORRECTION = 4.0
_MEAN_THRESHOLD = 2.4


class LearnedArchitecture(NamedTuple):
    """Sizes of the network. All static.

    Attributes:
      width: channels of the two hidden layers.
      filters: number of filtered maps; each mixes the current map, its atoms and the last projected map.
    """

    width: int = 24
    filters: int = 6


class LearnedRound(nn.Module):
    """One round for one start; its parameters are those of the whole network."""

    architecture: LearnedArchitecture = LearnedArchitecture()

    @nn.compact
    def __call__(self, state: PhasingState, data: LearnedInput) -> tuple[PhasingState, jax.Array]:
        """Returns the next state and the density (X, Y, Z).

        Args:
          state: of one start: maps (X, Y, Z) and a threshold of one number.
          data: of the crystal.
        """
        arch, shape = self.architecture, state.memory.shape
        # The parameters are logarithms, so that a step of the optimizer changes each value by a fraction.
        step = phasing.STEP * jnp.exp(self.param("step", nn.initializers.zeros, ()))
        cut = jnp.exp(self.param("cut", nn.initializers.zeros, ()))
        steepness = phasing.STEEPNESS * jnp.exp(self.param("steepness", nn.initializers.zeros, ()))
        current = jnp.clip(state.memory + step * state.projected, -phasing.BOUND, phasing.BOUND)
        spread = phasing.root_mean_square(current, (0, 1, 2))
        positive = jax.nn.relu(current)
        highest = highest_around(positive, (0, 1, 2))
        level = phasing.level_of(positive, highest) / (cut * state.threshold * spread)
        atoms = positive * jax.nn.sigmoid(steepness * (level - 1))

        dynamic = jnp.stack([spread.ravel()[0], phasing.root_mean_square(atoms, (0, 1, 2)).ravel()[0],
                             2 * (state.threshold.ravel()[0] - _MEAN_THRESHOLD)])
        conditions = jnp.concatenate([data.conditions, jnp.clip(dynamic, -4.0, 4.0)])
        transforms = jnp.fft.rfftn(jnp.stack([current, atoms, state.projected]), axes=(1, 2, 3))
        filtered = self._filter(transforms, data)
        maps = jnp.stack([current, atoms, state.projected, highest, _MAP_SCALE * jnp.clip(level, 0.0, 3.0)])
        channels = jnp.concatenate([maps, jnp.fft.irfftn(filtered, s=shape, axes=(1, 2, 3))])
        hidden = jnp.clip(channels.reshape(len(channels), -1) / _MAP_SCALE, -_BOUND, _BOUND)
        for number in range(2):
            hidden = jax.nn.relu(mix_channels(self, f"hidden_{number}", hidden, arch.width, conditions))
        corrections = mix_channels(self, "out", hidden, 3, None, nn.initializers.zeros).reshape(3, *shape)
        corrections = _LARGEST_CORRECTION * jnp.tanh(corrections / _LARGEST_CORRECTION)

        passing = jax.nn.sigmoid(steepness * (level - 1) + corrections[0])
        density = data.constraint.gain * positive * passing + corrections[1]
        # Above 1, a reflection that was not measured would grow from round to round.
        slopes = self.param("kept", nn.initializers.zeros, (2, features.NUM_PROFILES))
        slopes = slopes[0] + data.conditions[features.COMPLETENESS_ROW] * slopes[1]
        kept = phasing.kept_shares(state.share, data.constraint) + jnp.einsum("j,jxyz->xyz", slopes, data.profiles)
        kept = jnp.clip(kept, 0.0, 1.0)
        projected = phasing.impose_amplitudes(2 * density - current + corrections[2], data.constraint, kept)
        return state._replace(projected=projected, memory=current - step * density), density

    def _filter(self, transforms: jax.Array, data: LearnedInput) -> jax.Array:
        """Returns transforms (filters, X, Y, Z/2 + 1) of sums of three filtered maps, from (3, X, Y, Z/2 + 1)."""
        size = (self.architecture.filters, len(transforms), features.NUM_PROFILES)
        weights = self.param("filters", nn.initializers.normal(0.3), size)
        slopes = self.param("filters_slopes", nn.initializers.zeros, size)
        weights = weights + data.conditions[0] * slopes
        return jnp.einsum("cmxyz,mxyz->cxyz", jnp.einsum("cmj,jxyz->cmxyz", weights, data.profiles), transforms)
