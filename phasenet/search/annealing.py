"""The atom-swap annealer: of all candidates, the n atoms whose Patterson map is the measured one.

The network finds the atoms and their inverse together; which belong to one set is told by the
Patterson map (paper, section 2.4.4). A swap takes one atom out and puts another candidate in. The
candidates' structure factors f are fixed, so F = sum of f changes by one column in and one out, and
by Parseval the squared error of the Patterson map is a sum over reflections: no FFT in the loop.

    E = sum over h of w_h (|F_h|^2 - |F_obs,h|^2)^2 / N^3
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

# Swaps after which F is summed anew, before the rounding of its updates can be seen.
_REFRESH = 500


class Schedule(NamedTuple):
    """How long, and how warm. `num_swaps` is static, the others may be traced.

    Attributes:
      num_swaps: proposals of a chain.
      start, end: temperatures, as fractions of the chain's first error E; geometric in between.
        start = 0 accepts improvements alone.
    """

    num_swaps: int = 1000
    start: float = 0.01
    end: float = 1e-5


class AnnealingInput(NamedTuple):
    """What a chain is measured against. R reflections, M candidates.

    Attributes:
      factors: (M, 2, R) real and imaginary structure factors of each candidate; 0 where not valid.
      valid: (M,) which candidates there are.
      observed: (R,) |F_obs|^2, on the scale of the factors.
      weights: (R,) w_h / N^3: what each reflection counts.
    """

    factors: jax.Array
    valid: jax.Array
    observed: jax.Array
    weights: jax.Array


class AnnealingState(NamedTuple):
    """One chain.

    Attributes:
      members: (n,) the candidates that are in.
      others: (M - n,) those that are not, the valid ones first.
      total: (2, R) structure factors F of the members.
      error: () E of the members.
    """

    members: jax.Array
    others: jax.Array
    total: jax.Array
    error: jax.Array


class Swap(NamedTuple):
    """A swap to be tried; drawn before the loop, for drawing costs as much as the rest of a swap.

    Attributes:
      place_out, place_in: () places in `members` and among the valid `others`.
      slack: () the Metropolis rule's random number: exponential, of mean 1.
    """

    place_out: jax.Array
    place_in: jax.Array
    slack: jax.Array


class AnnealingInfo(NamedTuple):
    """One proposal: E of the state after it, and whether it was accepted."""

    error: jax.Array
    accepted: jax.Array


def init(key: jax.Array, data: AnnealingInput, num_atoms: int) -> AnnealingState:
    """A chain that starts from num_atoms of the valid candidates, at random.

    Where there are too few valid ones, others fill up. Raises ValueError unless num_atoms < M.
    """
    if num_atoms >= len(data.valid):
        raise ValueError(f"{num_atoms} atoms of {len(data.valid)} candidates: expected more candidates, valid or not")
    draw = jnp.where(data.valid, jax.random.uniform(key, data.valid.shape), 2.0)
    order = jnp.argsort(draw)  # the invalid ones come last
    members = order[:num_atoms]
    total = data.factors[members].sum(0)
    return AnnealingState(members, order[num_atoms:], total, patterson_error(total, data))


def patterson_error(total: jax.Array, data: AnnealingInput) -> jax.Array:
    """E: the sum over voxels of the squared difference of the Patterson maps; total: (2, R)."""
    return _difference_squared(total, data.observed) @ data.weights


def propose(key: jax.Array, data: AnnealingInput, num_atoms: int) -> Swap:
    """A swap of one of the members and one of the others, each equally likely."""
    key_out, key_in, key_slack = jax.random.split(key, 3)
    spare = jnp.maximum(data.valid.sum() - num_atoms, 1)
    return Swap(jax.random.randint(key_out, (), 0, num_atoms), jax.random.randint(key_in, (), 0, spare),
                    jax.random.exponential(key_slack))


def accept(change: jax.Array, temperature: jax.Array, slack: jax.Array) -> jax.Array:
    """Metropolis: always for the better, for the worse with probability exp(-change / temperature)."""
    return change < temperature * slack


def update(state: AnnealingState, proposal: Swap, total: jax.Array, error: jax.Array, accepted: jax.Array) -> AnnealingState:
    """The state after a proposal."""
    leaves, enters = state.members[proposal.place_out], state.others[proposal.place_in]
    return AnnealingState(
        state.members.at[proposal.place_out].set(jnp.where(accepted, enters, leaves)),
        state.others.at[proposal.place_in].set(jnp.where(accepted, leaves, enters)),
        jnp.where(accepted, total, state.total), jnp.where(accepted, error, state.error))


def step(state: AnnealingState, data: AnnealingInput, proposal: Swap, temperature: jax.Array) -> tuple[AnnealingState, AnnealingInfo]:
    """One proposal at a temperature in the units of E."""
    leaves, enters = state.members[proposal.place_out], state.others[proposal.place_in]
    total = state.total + data.factors[enters] - data.factors[leaves]
    error = patterson_error(total, data)
    accepted = accept(error - state.error, temperature, proposal.slack)
    accepted &= data.valid.sum() > len(state.members)  # or there is nothing to swap in
    state = update(state, proposal, total, error, accepted)
    return state, AnnealingInfo(state.error, accepted)


def anneal(key: jax.Array, data: AnnealingInput, num_atoms: int, schedule: Schedule) -> tuple[AnnealingState, AnnealingInfo]:
    """One chain from a random start; vmap over keys for chains, over data for maps.

    Returns the last state (at the schedule's end nearly always the best) and the Info of every swap.
    """
    key_start, key_swaps = jax.random.split(key)
    state = init(key_start, data, num_atoms)
    proposals = jax.vmap(propose, in_axes=(0, None, None))(
        jax.random.split(key_swaps, schedule.num_swaps), data, num_atoms)
    first = state.error
    progress = jnp.arange(schedule.num_swaps) / max(schedule.num_swaps - 1, 1)
    start, end = jnp.asarray(schedule.start, jnp.float32), jnp.asarray(schedule.end, jnp.float32)
    warm = jnp.exp(jnp.log(jnp.maximum(start, 1e-30)) * (1 - progress) + jnp.log(jnp.maximum(end, 1e-30)) * progress)
    temperatures = jnp.where(start > 0, first * warm, 0.0)

    def step_fn(state, inputs):
        number, proposal, temperature = inputs
        state = jax.lax.cond(number % _REFRESH == 0, functools.partial(_refresh, data=data), lambda s: s, state)
        return step(state, data, proposal, temperature)

    return jax.lax.scan(step_fn, state, (jnp.arange(schedule.num_swaps), proposals, temperatures))


def select_atoms(key: jax.Array, data: AnnealingInput, num_atoms: int, schedule: Schedule, num_chains: int) -> tuple[AnnealingState, AnnealingInfo]:
    """The best of several chains: its last state, and the Info of all, each with a leading axis of chains."""
    states, info = jax.vmap(anneal, in_axes=(0, None, None, None))(
        jax.random.split(key, num_chains), data, num_atoms, schedule)
    best = states.error.argmin()
    return jax.tree.map(lambda leaf: leaf[best], states), info


def _refresh(state: AnnealingState, data: AnnealingInput) -> AnnealingState:
    total = data.factors[state.members].sum(0)
    return state._replace(total=total, error=patterson_error(total, data))


def _difference_squared(total: jax.Array, observed: jax.Array) -> jax.Array:
    return jnp.square(jnp.square(total).sum(0) - observed)
