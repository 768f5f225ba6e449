"""Phases a crystal from its amplitudes alone, without symmetry: relaxed reflections from random phases.

The method is relaxed-reflect-reflect (Elser, Lan, Bendory, arXiv:1706.00399), in small steps; `solve` calls it. One
round takes these steps:

1. current = memory + step * projected.
2. density = current under a soft threshold, times a gain.
3. projected = 2 * density - current with the measured amplitudes; it keeps F000 and a share of unmeasured reflections.
4. memory = current - step * density.

With this step and this gain, more made crystals at 1.35 to 1.95 A were solved than with others that were tried.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phasenet.crystal import grids
from phasenet.crystal.grids import CrystalGrid
from phasenet.voxel_layers import highest_around

STEP = 0.2
# Share that a round keeps of an unmeasured reflection. With 1, reflections beyond the resolution take up what does not
# fit; with 0, atoms get ripples.
_SHARE = 0.7
# The variants that successive starts use in turn: the threshold in root mean squares of the current map, and the share
# for reflections within the resolution. The best threshold depends on the resolution and on the heaviest atoms; the
# share must be 1 where the strongest reflections were not measured (overloads).
VARIANTS = ((2.2, _SHARE), (2.6, _SHARE), (2.0, _SHARE), (3.0, _SHARE), (2.2, 1.0), (1.8, 1.0), (2.0, 1.0), (2.6, 1.0))
STEEPNESS = 4.0
# The mean of a voxel's value and of the highest value around it must pass the threshold: so atoms pass whole, not their
# tops alone.
_NEIGHBOUR_SHARE = 0.5
# The worse an atom is resolved, the more of it the threshold removes. So from this d_min in Angstrom on the gain rises
# above 1, by this slope per Angstrom and at most by the last number.
_GAIN_FROM, _GAIN_SLOPE, _LARGEST_GAIN = 1.3, 1 / 3, 0.25
BOUND = 60.0  # largest value of a map, in root mean squares of the true one


class AmplitudeConstraint(NamedTuple):
    """The measured amplitudes on a grid, on a scale where the map has a root mean square of 1.

    Attributes:
      amplitudes: (X, Y, Z/2 + 1) float32; 0 where not measured.
      measured: (X, Y, Z/2 + 1) bool.
      within: (X, Y, Z/2 + 1) bool, whether a reflection lies within the resolution of the data.
      gain: () float32, factor of the density.
    """

    amplitudes: jax.Array
    measured: jax.Array
    within: jax.Array
    gain: jax.Array


class PhasingState(NamedTuple):
    """What one round hands to the next, for B starts.

    Attributes:
      projected: (B, X, Y, Z) the last maps with the measured amplitudes.
      memory: (B, X, Y, Z) the maps that the next round adds step * `projected` to.
      threshold: (B, 1, 1, 1) of the density, root mean squares of the current map.
      share: (B, 1, 1, 1) that is kept of an unmeasured reflection within the resolution.
    """

    projected: jax.Array
    memory: jax.Array
    threshold: jax.Array
    share: jax.Array


class PhasedMaps(NamedTuple):
    """The densities of B starts after some rounds.

    Attributes:
      density: (B, X, Y, Z).
      agreement: (B,) correlation of their amplitudes with the measured ones.
    """

    density: jax.Array
    agreement: jax.Array


def constrain(sharpened: np.ndarray, grid: CrystalGrid, d_min: float) -> AmplitudeConstraint:
    """Returns the constraint of sharpened amplitudes (N,) of the unique reflections of a grid; `d_min` in Angstrom."""
    placed = grids.place_on_grid(sharpened, grid)
    counts = grids.half_multiplicity(grid.shape)
    unit = np.sqrt((counts * placed**2).sum()) / np.prod(grid.shape)
    within = grid.inverse_spacing <= 1 / d_min + 1e-9
    return AmplitudeConstraint(jnp.asarray(placed / unit, jnp.float32), jnp.asarray(grid.measured), jnp.asarray(within),
                               gain_at(d_min))


def gain_at(d_min: jax.Array | float) -> jax.Array:
    """Returns `AmplitudeConstraint.gain` () at a resolution () in Angstrom."""
    return 1 + jnp.clip((jnp.float32(d_min) - _GAIN_FROM) * _GAIN_SLOPE, 0.0, _LARGEST_GAIN)


def draw_phases(starts: Sequence[int], seed: int, constraint: AmplitudeConstraint,
                shape: tuple[int, int, int]) -> PhasingState:
    """Draws states with random phases; the number of each of B starts, from 0, decides its phases and its variant."""
    noise = np.stack([np.random.default_rng((seed, start)).standard_normal(shape, np.float32) for start in starts])
    return state_from_maps(noise, starts, constraint, shape)


def state_from_maps(maps: np.ndarray, starts: Sequence[int], constraint: AmplitudeConstraint,
                    shape: tuple[int, int, int]) -> PhasingState:
    """Returns the states that continue from maps (B, X, Y, Z) on any scale, with the variants of B starts."""
    thresholds, shares = np.array([VARIANTS[start % len(VARIANTS)] for start in starts], np.float32).T
    return make_states(jnp.asarray(maps, jnp.float32), jnp.asarray(thresholds), jnp.asarray(shares), constraint, shape)


@jax.jit
def run_rounds(state: PhasingState, constraint: AmplitudeConstraint,
               rounds: jax.Array | int) -> tuple[PhasingState, PhasedMaps]:
    """Runs rounds from each state.

    A symmetric map stays symmetric on a grid that the operators map onto themselves.

    Args:
      state: of B starts.
      constraint: shared by all.
      rounds: () how many.

    Returns:
      The states and the densities after the last round.
    """
    def body_fun(_, carry):
        return _run_round(carry[0], constraint)

    state, density = jax.lax.fori_loop(0, rounds, body_fun, (state, jnp.zeros_like(state.memory)))
    return state, PhasedMaps(density, correlate_amplitudes(density, constraint))


@functools.partial(jax.jit, static_argnames="shape")
def make_states(maps: jax.Array, thresholds: jax.Array, shares: jax.Array, constraint: AmplitudeConstraint,
                shape: tuple[int, int, int]) -> PhasingState:
    """Returns the states that continue from maps with their phases and the measured amplitudes.

    Args:
      maps: (B, X, Y, Z) on any scale.
      thresholds: (B,), see `PhasingState`.
      shares: (B,), see `PhasingState`.
      constraint: shared by all.
      shape: (X, Y, Z); static.
    """
    transform = jnp.fft.rfftn(maps, axes=(1, 2, 3))
    placed = constraint.amplitudes * transform / (jnp.abs(transform) + 1e-6)
    projected = jnp.fft.irfftn(placed, s=shape, axes=(1, 2, 3))
    return PhasingState(projected, STEP * projected, thresholds[:, None, None, None], shares[:, None, None, None])


def _run_round(state: PhasingState, constraint: AmplitudeConstraint) -> tuple[PhasingState, jax.Array]:
    """Returns the next states and their densities (B, X, Y, Z)."""
    current = jnp.clip(state.memory + STEP * state.projected, -BOUND, BOUND)
    positive = jax.nn.relu(current)
    level = level_of(positive, highest_around(positive, (1, 2, 3)))
    threshold = state.threshold * root_mean_square(current, (1, 2, 3))
    density = constraint.gain * positive * jax.nn.sigmoid(STEEPNESS * (level / threshold - 1))
    projected = impose_amplitudes(2 * density - current, constraint, kept_shares(state.share, constraint))
    return state._replace(projected=projected, memory=current - STEP * density), density


def kept_shares(share: jax.Array, constraint: AmplitudeConstraint) -> jax.Array:
    """Returns the share (..., X, Y, Z/2 + 1) that is kept of unmeasured reflections, from `PhasingState.share`."""
    return jnp.where(constraint.within, share, _SHARE)


def impose_amplitudes(values: jax.Array, constraint: AmplitudeConstraint, kept: jax.Array) -> jax.Array:
    """Returns maps (..., X, Y, Z) with the measured amplitudes and their own phases.

    Args:
      values: (..., X, Y, Z).
      constraint: of the crystal.
      kept: (..., X, Y, Z/2 + 1), the share of a reflection that stays where none was measured; F000 stays whole.
    """
    transform = jnp.fft.rfftn(values, axes=(-3, -2, -1))
    power = transform.real**2 + transform.imag**2
    imposed = constraint.amplitudes * jax.lax.rsqrt(power + 1e-8) * transform
    f000 = transform[..., 0, 0, 0]
    transform = jnp.where(constraint.measured, imposed, kept * transform).at[..., 0, 0, 0].set(f000)
    return jnp.fft.irfftn(transform, s=values.shape[-3:], axes=(-3, -2, -1))


def root_mean_square(values: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Returns the root mean square of maps over `axes`, which stay with length 1; its gradient at 0 is finite."""
    return jnp.sqrt(jnp.square(values).mean(axes, keepdims=True) + 1e-10)


def level_of(positive: jax.Array, highest: jax.Array) -> jax.Array:
    """Returns what is compared with the threshold, from positive maps and their `highest_around`, of one shape."""
    return (1 - _NEIGHBOUR_SHARE) * positive + _NEIGHBOUR_SHARE * highest


def correlate_amplitudes(density: jax.Array, constraint: AmplitudeConstraint) -> jax.Array:
    """Returns the Pearson correlation (B,) of amplitudes with the measured ones, over measured reflections."""
    amplitude = jnp.abs(jnp.fft.rfftn(density, axes=(1, 2, 3)))
    size = constraint.amplitudes.shape[-1]
    counts = jnp.full(size, 2.0).at[0].set(1.0).at[-1].set(1.0)
    weight = jnp.where(constraint.measured, counts, 0.0)
    total = weight.sum()

    def centre(values):
        return values - (weight * values).sum((-3, -2, -1), keepdims=True) / total

    calculated, observed = centre(amplitude), centre(constraint.amplitudes)
    product = (weight * calculated * observed).sum((1, 2, 3))
    return product * jax.lax.rsqrt((weight * calculated**2).sum((1, 2, 3)) * (weight * observed**2).sum() + 1e-20)
