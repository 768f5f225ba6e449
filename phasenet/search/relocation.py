"""Wrong atoms to better places: the exact squared error of every move of one atom to every point of a grid.

Without atom j the structure factor is z, and with an atom at p it is z + f e(p), e(p) = exp(2 pi i s.p). So

    E(j, p) = sum over s of w^2 (|z|^2 + f^2 - |F_obs|^2 + 2 f Re(conj(z) e(p)))^2

and since e(p)^2 = e(2p), all p together are one Fourier transform with coefficients at s and at 2s. This is the
difference Fourier map of crystallography with its second order: it says which atom to take, where to put it, and by
how much that pays before anything is refined.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phasenet.maps import point_atoms
from phasenet.maps.point_atoms import PointModel
from phasenet.search.refinement import Observations

# Points of the grid in the shortest wave: a move is refined afterwards, so that a third of a wave will do.
_POINTS_A_WAVE = 3.0
_SIZES = (8, 12, 16, 20, 24, 30, 32, 36, 40, 48, 54, 60, 64, 72, 80, 96, 128)


class Moves(NamedTuple):
    """The best move of each atom, the best first. n atoms.

    Attributes:
      atoms: (n,) which atom.
      places: (n, 3) where to, voxels.
      costs: (n,) E after this move alone.
    """

    atoms: jax.Array
    places: jax.Array
    costs: jax.Array


def grid_size(model: PointModel) -> int:
    """Points an edge of the grid of places."""
    needed = _POINTS_A_WAVE * model.grid * float(model.radius[-1]) if len(model.radius) else 0
    return next((size for size in _SIZES if size >= 0.95 * needed), _SIZES[-1])


def find_moves(positions: jax.Array, data: Observations, model: PointModel, min_distance: float) -> Moves:
    """For each atom of (n, 3) the place where it fits best, none closer than min_distance to where an atom is now."""
    size = grid_size(model)
    cosines, sines = point_atoms.waves(positions, model)
    real, imaginary = cosines.sum(0), sines.sum(0)
    taken = _near(positions, model.grid, size, min_distance)
    weights = jnp.square(data.weights)

    def one(wave):
        z = jax.lax.complex(real - wave[0], imaginary - wave[1])
        power = jnp.square(z.real) + jnp.square(z.imag)
        base = power + model.form**2 - data.intensities
        # conj(z) f e(p) in first order, its square's real part in second.
        linear = (4 * weights * base * model.form) * jnp.conj(z)
        square = (2 * weights * model.form**2) * jnp.conj(z) ** 2
        constant = (weights * base**2).sum() + (2 * weights * model.form**2 * power).sum()
        costs = real_sum(jnp.concatenate([linear, square]), model, size) + constant
        costs = jnp.where(taken, jnp.inf, costs).ravel()
        best = costs.argmin()
        return best, costs[best]

    best, costs = jax.lax.map(one, (cosines, sines))
    order = jnp.argsort(costs)
    places = jnp.stack(jnp.unravel_index(best[order], (size,) * 3), axis=-1) * (model.grid / size)
    return Moves(order, places, costs[order])


def apply_moves(positions: jax.Array, moves: Moves, period: float, moves_per_trial: tuple[int, ...],
          min_distance: float) -> jax.Array:
    """Several sets of atoms, each with some of the best moves made together: (len(moves_per_trial), n, 3).

    moves_per_trial: how many moves each set makes; of moves to nearly the same place only the best is made.
    """
    most = min(max(moves_per_trial), len(moves.costs))
    centre = positions.mean(0)
    # Near the other atoms, by whole periods: the mean of all should not jump.
    offset = moves.places[:most] - centre
    places = centre + offset - period * jnp.round(offset / period)
    between = places[:, None] - places
    between = between - period * jnp.round(between / period)
    clash = jnp.square(between).sum(-1) < min_distance**2

    def body_fun(i, made):
        earlier = jnp.arange(most) < i
        return made.at[i].set(~(clash[i] & made & earlier).any())

    made = jax.lax.fori_loop(0, most, body_fun, jnp.zeros(most, bool))
    rank = jnp.where(made, jnp.cumsum(made), len(positions) + 1)

    def apply(count):
        # An index past the end is dropped.
        target = jnp.where(rank <= count, moves.atoms[:most], len(positions))
        return positions.at[target].set(places, mode="drop")

    return jax.vmap(apply)(jnp.asarray(moves_per_trial))


def _near(positions: jax.Array, period: float, size: int, distance: float) -> jax.Array:
    """Which points of the grid are closer than this to any atom: (size, size, size) bool."""
    axis = jnp.arange(size) * (period / size)

    def body_fun(i, taken):
        apart = axis - positions[i][:, None]
        squares = jnp.square(apart - period * jnp.round(apart / period))
        near = squares[0][:, None, None] + squares[1][:, None] + squares[2] < distance**2
        return taken | near

    return jax.lax.fori_loop(0, len(positions), body_fun, jnp.zeros((size,) * 3, bool))


def real_sum(coefficients: jax.Array, model: PointModel, size: int) -> jax.Array:
    """The real part of sum c_s e(p) + sum d_s e(2p), at all grid points p; coefficients: (2R,) c, then d."""
    target, source, conjugated, factor = _entries(model.grid, len(model.index), model.index.tobytes(), size)
    values = coefficients[source]
    values = jax.lax.complex(factor * values.real, jnp.where(conjugated, -factor, factor) * values.imag)
    half = jnp.zeros(size * size * (size // 2 + 1), jnp.complex64).at[target].add(values)
    return jnp.fft.irfftn(half.reshape(size, size, size // 2 + 1), s=(size,) * 3) * float(size) ** 3


@functools.lru_cache
def _entries(grid: int, count: int, index: bytes, size: int) -> tuple[np.ndarray, ...]:
    """Where each coefficient goes in the half that irfftn reads; those of its own mates' planes go there twice."""
    place = np.unravel_index(np.frombuffer(index, np.int64), (grid, grid, grid // 2 + 1))
    h = np.stack([np.where(axis > grid // 2, axis - grid, axis) for axis in place[:2]] + [place[2]])
    h = np.concatenate([h, 2 * h], axis=1) % size
    last = h[2]
    own = (last == 0) | (2 * last == size)
    targets, sources, flips, factors = [], [], [], []
    # Real part: half of each coefficient at s, half of its conjugate at -s.
    for kept, flipped in ((2 * last < size, False), (2 * last > size, True), (2 * last == size, False), (own, True)):
        which = np.flatnonzero(kept)
        x, y, z = ((-h if flipped else h) % size)[:, which]
        targets.append((x * size + y) * (size // 2 + 1) + z)
        sources.append(which)
        flips.append(np.full(len(which), flipped))
        factors.append(np.full(len(which), 0.5, np.float32))
    return tuple(np.concatenate(parts) for parts in (targets, sources, flips, factors))
