"""Runs rounds of the learned iteration from a batch of starts, as `phasing.run_rounds` runs untrained ones."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from phasenet.crystal import phasing
from phasenet.crystal.learned.features import LearnedInput
from phasenet.crystal.learned.learned_round import LearnedArchitecture, LearnedRound
from phasenet.crystal.phasing import PhasedMaps, PhasingState


class LearnedWeights(NamedTuple):
    """A trained network.

    Attributes:
      architecture: its sizes.
      params: its parameters, nested dicts of float32 arrays.
    """

    architecture: LearnedArchitecture
    params: Any


def run_rounds(weights: LearnedWeights, state: PhasingState, data: LearnedInput,
               rounds: jax.Array | int) -> tuple[PhasingState, PhasedMaps]:
    """Runs rounds from each state.

    A symmetric map stays symmetric on a grid that the operators map onto themselves, because filters depend on 1/d
    alone. On an oblique lattice the highest frequencies of the grid break this symmetry.

    Args:
      weights: of the network.
      state: of B starts.
      data: of the crystal, shared by all.
      rounds: () how many.

    Returns:
      The states and the densities after the last round.
    """
    return _run_rounds(weights.params, state, data, rounds, weights.architecture)


@functools.partial(jax.jit, static_argnames="architecture")
def _run_rounds(params: Any, state: PhasingState, data: LearnedInput, rounds: jax.Array | int,
                architecture: LearnedArchitecture) -> tuple[PhasingState, PhasedMaps]:
    """Returns `run_rounds`, compiled for an architecture."""
    run_round = jax.vmap(LearnedRound(architecture).apply, (None, 0, None))

    def body_fun(_, carry):
        return run_round(params, carry[0], data)

    state, density = jax.lax.fori_loop(0, rounds, body_fun, (state, jnp.zeros_like(state.memory)))
    return state, PhasedMaps(density, phasing.correlate_amplitudes(density, data.constraint))
