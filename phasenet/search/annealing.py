"""The atom-swap annealer of the paper: chooses the n candidates whose Patterson map is the measured one.

A network that shows atoms and their inverse together does not tell which peaks belong to one set; the Patterson map
does (D. Hurwitz, arXiv:2003.13767, section 2.4.4). A swap takes one atom out and puts another candidate in, so F
changes by the structure factors of these two candidates, which are computed once. By Parseval's theorem the squared
error of the Patterson map is a sum over reflections, which needs no FFT in the loop:

    E = sum over h of w_h (|F_h|^2 - |F_obs,h|^2)^2

`network_stage` calls the annealer for the product too. There the annealer has nothing to choose, because the
candidates are the atoms.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

# After this many swaps F is summed anew, so that the rounding errors of its updates do not add up.
_SWAPS_PER_REFRESH = 500


class Schedule(NamedTuple):
    """Length and temperatures of a chain. `num_swaps` is static, the temperatures may be traced.

    Attributes:
      num_swaps: number of swaps that are proposed.
      start: first temperature, as a fraction of the first E of the chain; 0 accepts improvements only.
      end: last temperature, as the same fraction; the temperature falls geometrically.
    """

    num_swaps: int = 1000
    start: float = 0.01
    end: float = 1e-5


class AnnealingInput(NamedTuple):
    """The candidates and the data of a chain. R reflections, M candidates.

    Attributes:
      factors: (M, 2, R) real and imaginary structure factors of each candidate; 0 where not valid.
      valid: (M,) bool, which candidates are valid.
      observed: (R,) |F_obs|^2, on the scale of the factors.
      weights: (R,) w_h, the weights of `reflections.Reflections`, which include 1 / N^3.
    """

    factors: jax.Array
    valid: jax.Array
    observed: jax.Array
    weights: jax.Array


class AnnealingState(NamedTuple):
    """State of one chain.

    Attributes:
      members: (n,) indices of the candidates that are chosen.
      others: (M - n,) indices of the other candidates, the valid ones first.
      total: (2, R) real and imaginary parts of F, summed over the members.
      error: () E of the members.
    """

    members: jax.Array
    others: jax.Array
    total: jax.Array
    error: jax.Array


class Swap(NamedTuple):
    """A proposed swap. Swaps are drawn before the loop, because drawing one costs as much as evaluating it.

    Attributes:
      place_out: () index into `members`.
      place_in: () index into the valid `others`.
      slack: () random number of the Metropolis rule, exponentially distributed with mean 1.
    """

    place_out: jax.Array
    place_in: jax.Array
    slack: jax.Array


class AnnealingInfo(NamedTuple):
    """Outcome of one proposal.

    Attributes:
      error: () E of the state after the proposal.
      accepted: () bool, whether the swap was made.
    """

    error: jax.Array
    accepted: jax.Array


def init(key: jax.Array, data: AnnealingInput, num_atoms: int) -> AnnealingState:
    """Returns a chain that starts from random valid candidates.

    Args:
      key: random key.
      data: M candidates. If fewer than n are valid, others take the remaining places.
      num_atoms: n, less than M.

    Raises:
      ValueError: n is not less than M.
    """
    if num_atoms >= len(data.valid):
        raise ValueError(f"{num_atoms} atoms of {len(data.valid)} candidates: expected more candidates, valid or not")
    draw = jnp.where(data.valid, jax.random.uniform(key, data.valid.shape), 2.0)
    order = jnp.argsort(draw)  # candidates that are not valid come last
    members = order[:num_atoms]
    total = data.factors[members].sum(0)
    return AnnealingState(members, order[num_atoms:], total, patterson_error(total, data))


def patterson_error(total: jax.Array, data: AnnealingInput) -> jax.Array:
    """Returns E (), the sum over voxels of the squared difference of the Patterson maps, for F given as (2, R)."""
    return _difference_squared(total, data.observed) @ data.weights


def propose(key: jax.Array, data: AnnealingInput, num_atoms: int) -> Swap:
    """Draws a swap of one of `num_atoms` members for one of the valid others; all swaps are equally likely."""
    key_out, key_in, key_slack = jax.random.split(key, 3)
    spare = jnp.maximum(data.valid.sum() - num_atoms, 1)
    return Swap(jax.random.randint(key_out, (), 0, num_atoms), jax.random.randint(key_in, (), 0, spare),
                jax.random.exponential(key_slack))


def accept(change: jax.Array, temperature: jax.Array, slack: jax.Array) -> jax.Array:
    """Returns, as () bool, whether the Metropolis rule accepts a change of E, in the unit of the temperature.

    With a random `slack` (see `Swap`) a decrease is always accepted, an increase with probability
    exp(-change / temperature).
    """
    return change < temperature * slack


def update(state: AnnealingState, proposal: Swap, total: jax.Array, error: jax.Array,
           accepted: jax.Array) -> AnnealingState:
    """Returns the state after a proposal.

    Args:
      state: the state before the proposal.
      proposal: the swap.
      total: (2, R) F with the swap made.
      error: () E with the swap made.
      accepted: () bool, whether the swap is made.
    """
    leaves, enters = state.members[proposal.place_out], state.others[proposal.place_in]
    return AnnealingState(
        state.members.at[proposal.place_out].set(jnp.where(accepted, enters, leaves)),
        state.others.at[proposal.place_in].set(jnp.where(accepted, leaves, enters)),
        jnp.where(accepted, total, state.total), jnp.where(accepted, error, state.error))


def step(state: AnnealingState, data: AnnealingInput, proposal: Swap,
         temperature: jax.Array) -> tuple[AnnealingState, AnnealingInfo]:
    """Returns the state after a proposal at a temperature () in the unit of E, and the outcome."""
    leaves, enters = state.members[proposal.place_out], state.others[proposal.place_in]
    total = state.total + data.factors[enters] - data.factors[leaves]
    error = patterson_error(total, data)
    accepted = accept(error - state.error, temperature, proposal.slack)
    accepted &= data.valid.sum() > len(state.members)  # otherwise there is no valid candidate to swap in
    state = update(state, proposal, total, error, accepted)
    return state, AnnealingInfo(state.error, accepted)


def anneal(key: jax.Array, data: AnnealingInput, num_atoms: int,
           schedule: Schedule) -> tuple[AnnealingState, AnnealingInfo]:
    """Runs one chain from a random start. For several chains vmap over `key`, for several maps over `data`.

    Args:
      key: random key.
      data: M candidates.
      num_atoms: n, less than M.
      schedule: length and temperatures.

    Returns:
      The last state, which need not have the smallest E of the chain; and the outcomes of all swaps, (num_swaps,) each.

    Raises:
      ValueError: n is not less than M.
    """
    key_start, key_swaps = jax.random.split(key)
    state = init(key_start, data, num_atoms)
    proposals = jax.vmap(propose, in_axes=(0, None, None))(
        jax.random.split(key_swaps, schedule.num_swaps), data, num_atoms)
    first_error = state.error
    progress = jnp.arange(schedule.num_swaps) / max(schedule.num_swaps - 1, 1)
    start, end = jnp.asarray(schedule.start, jnp.float32), jnp.asarray(schedule.end, jnp.float32)
    relative = jnp.exp(jnp.log(jnp.maximum(start, 1e-30)) * (1 - progress)
                       + jnp.log(jnp.maximum(end, 1e-30)) * progress)
    temperatures = jnp.where(start > 0, first_error * relative, 0.0)

    def step_fn(state, inputs):
        number, proposal, temperature = inputs
        refresh = number % _SWAPS_PER_REFRESH == 0
        state = jax.lax.cond(refresh, functools.partial(_recompute_total, data=data), lambda s: s, state)
        return step(state, data, proposal, temperature)

    return jax.lax.scan(step_fn, state, (jnp.arange(schedule.num_swaps), proposals, temperatures))


def select_atoms(key: jax.Array, data: AnnealingInput, num_atoms: int, schedule: Schedule,
                 num_chains: int) -> tuple[AnnealingState, AnnealingInfo]:
    """Runs several chains and returns the best of their last states.

    Args:
      key: random key.
      data: M candidates.
      num_atoms: n, less than M.
      schedule: length and temperatures of each chain.
      num_chains: number of independent chains.

    Returns:
      The last state of the best chain, and the outcomes of all swaps, (num_chains, num_swaps) each.

    Raises:
      ValueError: n is not less than M.
    """
    states, info = jax.vmap(anneal, in_axes=(0, None, None, None))(
        jax.random.split(key, num_chains), data, num_atoms, schedule)
    best = states.error.argmin()
    return jax.tree.map(lambda leaf: leaf[best], states), info


def _recompute_total(state: AnnealingState, data: AnnealingInput) -> AnnealingState:
    """Returns the state with F and E summed anew from its members."""
    total = data.factors[state.members].sum(0)
    return state._replace(total=total, error=patterson_error(total, data))


def _difference_squared(total: jax.Array, observed: jax.Array) -> jax.Array:
    """Returns (|F|^2 - |F_obs|^2)^2, (R,), for F given as (2, R) and |F_obs|^2 as (R,)."""
    return jnp.square(jnp.square(total).sum(0) - observed)
