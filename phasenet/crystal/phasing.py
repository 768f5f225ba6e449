"""Phases from amplitudes alone, without symmetry: relaxed reflections from random phases (`solve` calls this).

The method is relaxed-reflect-reflect (Elser, Lan, Bendory, arXiv:1706.00399), in small steps. One round: 1. current =
memory + step * projected; 2. density = current under a soft threshold; 3. projected = 2 * density - current with the
measured amplitudes, where F000 is kept and 0.7 of the reflections not measured; 4. memory = current - step * density.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phasenet.crystal import grids
from phasenet.crystal.grids import CrystalGrid

STEP = 0.12
# In root mean squares of the current map. Starts differ: the best depends on the resolution and on the heaviest atoms.
THRESHOLDS = (2.2, 2.6, 2.0, 3.0)
STEEPNESS = 4.0
# A voxel passes the threshold by its own value and by the highest around it: atoms pass whole, not their tops alone.
_NEIGHBOUR_SHARE = 0.5
# What a round keeps of a reflection that was not measured. With 1, reflections beyond the resolution take up what does
# not fit; with 0, atoms get ripples.
SHARE_BEYOND = 0.7
BOUND = 60.0  # largest value of a map, in root mean squares of the true one


class AmplitudeConstraint(NamedTuple):
    """The measured amplitudes on a grid, on a scale where the map has a root mean square of 1.

    Attributes:
      amplitudes: (X, Y, Z/2 + 1) float32; 0 where not measured.
      measured: (X, Y, Z/2 + 1) bool.
      kept: (X, Y, Z/2 + 1) float32, the share of a reflection that stays in a round where none was measured.
    """

    amplitudes: jax.Array
    measured: jax.Array
    kept: jax.Array


class PhasingState(NamedTuple):
    """What one round hands to the next, for B starts.

    Attributes:
      projected: (B, X, Y, Z) the last maps with the measured amplitudes.
      memory: (B, X, Y, Z) the maps that the next round adds step * `projected` to.
      threshold: (B, 1, 1, 1) of the density, root mean squares of the current map.
    """

    projected: jax.Array
    memory: jax.Array
    threshold: jax.Array


class PhasedMaps(NamedTuple):
    """The densities of B starts after some rounds.

    Attributes:
      density: (B, X, Y, Z).
      agreement: (B,) correlation of their amplitudes with the measured ones.
    """

    density: jax.Array
    agreement: jax.Array


def constrain(sharpened: np.ndarray, grid: CrystalGrid, d_min: float) -> AmplitudeConstraint:
    """Returns the constraint of sharpened amplitudes (N,) of the unique reflections of a grid; d_min in Angstrom."""
    placed = grids.place_on_grid(sharpened, grid)
    counts = grids.half_multiplicity(grid.shape)
    unit = np.sqrt((counts * placed**2).sum()) / np.prod(grid.shape)
    return AmplitudeConstraint(jnp.asarray(placed / unit, jnp.float32), jnp.asarray(grid.measured),
                               kept_shares(jnp.asarray(grid.inverse_spacing), d_min))


def kept_shares(inverse_spacing: jax.Array, d_min: jax.Array | float) -> jax.Array:
    """Returns `AmplitudeConstraint.kept` at 1/d (X, Y, Z/2 + 1), 1/A, of data to `d_min` () Angstrom."""
    within = inverse_spacing <= (1 + 1e-6) / d_min
    return jnp.where(within, 1.0, SHARE_BEYOND).astype(jnp.float32)


def draw_phases(starts: Sequence[int], seed: int, constraint: AmplitudeConstraint,
                shape: tuple[int, int, int]) -> PhasingState:
    """Draws states with random phases; each of B starts, numbered from 0, has its phases and its threshold."""
    noise = np.stack([np.random.default_rng((seed, start)).standard_normal(shape, np.float32) for start in starts])
    thresholds = np.array([THRESHOLDS[start % len(THRESHOLDS)] for start in starts])
    return state_from_maps(noise, thresholds, constraint, shape)


def state_from_maps(maps: np.ndarray | jax.Array, thresholds: np.ndarray | jax.Array, constraint: AmplitudeConstraint,
                    shape: tuple[int, int, int]) -> PhasingState:
    """Returns the states that continue from maps (B, X, Y, Z) on any scale, with thresholds (B,)."""
    return _start(jnp.asarray(maps, jnp.float32), jnp.asarray(thresholds, jnp.float32), constraint, shape)


@functools.partial(jax.jit, static_argnames="shape")
def run_rounds(state: PhasingState, constraint: AmplitudeConstraint, shape: tuple[int, int, int],
               rounds: jax.Array | int) -> tuple[PhasingState, PhasedMaps]:
    """Runs rounds from each state.

    A symmetric map stays symmetric on a grid that the operators map onto themselves.

    Args:
      state: of B starts.
      constraint: shared by all.
      shape: voxels along the three edges; static.
      rounds: () how many.

    Returns:
      The states and the densities after the last round.
    """
    def body_fun(_, carry):
        return _run_round(carry[0], constraint)

    state, density = jax.lax.fori_loop(0, rounds, body_fun, (state, jnp.zeros_like(state.memory)))
    return state, PhasedMaps(density, correlate_amplitudes(density, constraint))


@functools.partial(jax.jit, static_argnames="shape")
def _start(maps: jax.Array, thresholds: jax.Array, constraint: AmplitudeConstraint,
           shape: tuple[int, int, int]) -> PhasingState:
    """Returns states of maps (B, X, Y, Z) with their phases and the measured amplitudes."""
    transform = jnp.fft.rfftn(maps, axes=(1, 2, 3))
    placed = constraint.amplitudes * transform / (jnp.abs(transform) + 1e-6)
    projected = jnp.fft.irfftn(placed, s=shape, axes=(1, 2, 3))
    return PhasingState(projected, STEP * projected, thresholds[:, None, None, None])


def _run_round(state: PhasingState, constraint: AmplitudeConstraint) -> tuple[PhasingState, jax.Array]:
    """Returns the next states and their densities (B, X, Y, Z)."""
    current = jnp.clip(state.memory + STEP * state.projected, -BOUND, BOUND)
    positive = jax.nn.relu(current)
    level = level_of(positive, highest_around(positive, (1, 2, 3)))
    threshold = state.threshold * root_mean_square(current, (1, 2, 3))
    density = positive * jax.nn.sigmoid(STEEPNESS * (level / threshold - 1))
    projected = impose_amplitudes(2 * density - current, constraint, constraint.kept)
    return PhasingState(projected, current - STEP * density, state.threshold), density


def impose_amplitudes(values: jax.Array, constraint: AmplitudeConstraint, kept: jax.Array | float) -> jax.Array:
    """Returns maps (..., X, Y, Z) with the measured amplitudes and their own phases.

    Args:
      values: (..., X, Y, Z).
      constraint: of the crystal.
      kept: () or (X, Y, Z/2 + 1), the share of a reflection that stays where none was measured; F000 stays whole.
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


def highest_around(values: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Returns the highest value of each voxel and its 26 neighbours; `axes` are the three of a map."""
    for axis in axes:
        values = jnp.maximum(values, jnp.maximum(jnp.roll(values, 1, axis), jnp.roll(values, -1, axis)))
    return values


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
