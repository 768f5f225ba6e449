"""Moves single atoms to better places: computes E exactly for every move of one atom to a point of a grid.

With z the structure factor without atom j, and e(p) = exp(2 pi i s.p), an atom at p gives z + f e(p). So

    E(j, p) = sum over s of w^2 (|z|^2 + f^2 - |F_obs|^2 + 2 f Re(conj(z) e(p)))^2

Because e(p)^2 = e(2p), one Fourier transform with coefficients at s and at 2s gives E at all p. This map is the
difference Fourier map of crystallography with its second order. It tells which atom to move, where to, and by how much
E falls, before anything is refined. `atom_search` (the product) uses this module.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phasenet.maps import point_atoms
from phasenet.maps.point_atoms import PointModel
from phasenet.search.refinement import Observations

# Grid points per shortest wave. A third of a wave is fine enough, because the moved atoms are refined.
_POINTS_PER_WAVE = 3.0
# Points per edge of the grids that are used: the FFT is fast for these products of 2, 3 and 5.
_SIZES = (8, 12, 16, 20, 24, 30, 32, 36, 40, 48, 54, 60, 64, 72, 80, 96, 128)


class Moves(NamedTuple):
    """The best move of each of n atoms, in ascending order of E.

    Attributes:
      atoms: (n,) index of the atom that moves.
      places: (n, 3) its new place, voxels, from 0 to the period.
      costs: (n,) E after this move alone, without refinement.
    """

    atoms: jax.Array
    places: jax.Array
    costs: jax.Array


def grid_size(model: PointModel) -> int:
    """Returns the number of points per edge of the grid of places, for the finest reflection of a model."""
    needed = _POINTS_PER_WAVE * model.grid * float(model.radius[-1]) if len(model.radius) else 0
    return next((size for size in _SIZES if size >= 0.95 * needed), _SIZES[-1])


def find_moves(positions: jax.Array, observations: Observations, model: PointModel, min_distance: float) -> Moves:
    """Finds for each atom the place on the grid where it fits best while the others stay.

    Args:
      positions: (n, 3), voxels.
      observations: at the reflections of the model.
      model: reflections and form factor.
      min_distance: smallest distance of the new place from the present place of any atom, its own included, voxels.

    Returns:
      One move for each atom, the best first.
    """
    size = grid_size(model)
    atom_real, atom_imaginary = point_atoms.atom_structure_factors(positions, model)
    real, imaginary = atom_real.sum(0), atom_imaginary.sum(0)
    taken = _points_near_atoms(positions, model.grid, size, min_distance)
    weights = jnp.square(observations.weights)

    def find_best_place(factors):
        z = jax.lax.complex(real - factors[0], imaginary - factors[1])
        power = jnp.square(z.real) + jnp.square(z.imag)
        base = power + model.form**2 - observations.intensities
        # The terms of first order in conj(z) f e(p), and the terms of second order, which hold Re((conj(z) f e(p))^2).
        linear = (4 * weights * base * model.form) * jnp.conj(z)
        square = (2 * weights * model.form**2) * jnp.conj(z) ** 2
        constant = (weights * base**2).sum() + (2 * weights * model.form**2 * power).sum()
        costs = sum_on_grid(jnp.concatenate([linear, square]), model, size) + constant
        costs = jnp.where(taken, jnp.inf, costs).ravel()
        best = costs.argmin()
        return best, costs[best]

    best, costs = jax.lax.map(find_best_place, (atom_real, atom_imaginary))
    order = jnp.argsort(costs)
    places = jnp.stack(jnp.unravel_index(best[order], (size,) * 3), axis=-1) * (model.grid / size)
    return Moves(order, places, costs[order])


def apply_moves(positions: jax.Array, moves: Moves, period: float, moves_per_trial: tuple[int, ...],
                min_distance: float) -> jax.Array:
    """Makes trials, each with some of the best moves made together.

    Of moves to nearly the same place only the best one is made.

    Args:
      positions: (n, 3), voxels.
      moves: result of `find_moves`.
      period: edge of the unit cell, voxels.
      moves_per_trial: number of moves that each of T trials makes.
      min_distance: smallest distance between two new places, voxels.

    Returns:
      (T, n, 3), voxels. New places lie within half a period of the mean of the atoms on each axis.
    """
    most = min(max(moves_per_trial), len(moves.costs))
    centre = positions.mean(0)
    # The image nearest to the other atoms, so that the mean of all does not jump.
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

    def make_trial(count):
        # An index beyond the last atom is dropped.
        target = jnp.where(rank <= count, moves.atoms[:most], len(positions))
        return positions.at[target].set(places, mode="drop")

    return jax.vmap(make_trial)(jnp.asarray(moves_per_trial))


def sum_on_grid(coefficients: jax.Array, model: PointModel, size: int) -> jax.Array:
    """Returns the real part of sum over s of c_s e(p) + d_s e(2p), e(p) = exp(2 pi i s.p), at all points p of a grid.

    Args:
      coefficients: (2R,) complex, all c_s, then all d_s.
      model: R reflections.
      size: points per edge of the grid, which spans one period.

    Returns:
      (size, size, size), the first point at the origin.
    """
    target, source, conjugated, factor = _scatter_plan(
        model.grid, len(model.flat_index), model.flat_index.tobytes(), size)
    values = coefficients[source]
    values = jax.lax.complex(factor * values.real, jnp.where(conjugated, -factor, factor) * values.imag)
    half = jnp.zeros(size * size * (size // 2 + 1), jnp.complex64).at[target].add(values)
    return jnp.fft.irfftn(half.reshape(size, size, size // 2 + 1), s=(size,) * 3) * float(size) ** 3


def _points_near_atoms(positions: jax.Array, period: float, size: int, distance: float) -> jax.Array:
    """Returns (size, size, size) bool: which grid points are closer than a distance to any atom; all in voxels."""
    axis = jnp.arange(size) * (period / size)

    def body_fun(i, taken):
        apart = axis - positions[i][:, None]
        squares = jnp.square(apart - period * jnp.round(apart / period))
        near = squares[0][:, None, None] + squares[1][:, None] + squares[2] < distance**2
        return taken | near

    return jax.lax.fori_loop(0, len(positions), body_fun, jnp.zeros((size,) * 3, bool))


@functools.lru_cache
def _scatter_plan(grid: int, count: int, index: bytes, size: int) -> tuple[np.ndarray, ...]:
    """Returns where the coefficients go in the half of reciprocal space that `irfftn` reads.

    Args:
      grid: N of the model.
      count: R; only part of the key of the cache.
      index: flat index (R,) int64 of the reflections, as bytes, because an array cannot be a key.
      size: points per edge of the grid of places.

    Returns:
      Four arrays (M,) for M additions: flat target, source among the 2R coefficients, whether the coefficient is
      conjugated, and its factor. A plane that holds the mates of its own coefficients gets each coefficient twice.
    """
    place = np.unravel_index(np.frombuffer(index, np.int64), (grid, grid, grid // 2 + 1))
    h = np.stack([np.where(axis > grid // 2, axis - grid, axis) for axis in place[:2]] + [place[2]])
    h = np.concatenate([h, 2 * h], axis=1) % size
    last = h[2]
    own = (last == 0) | (2 * last == size)
    targets, sources, flips, factors = [], [], [], []
    # The real part is half of each coefficient at s and half of its conjugate at -s.
    for kept, flipped in ((2 * last < size, False), (2 * last > size, True), (2 * last == size, False), (own, True)):
        which = np.flatnonzero(kept)
        x, y, z = ((-h if flipped else h) % size)[:, which]
        targets.append((x * size + y) * (size // 2 + 1) + z)
        sources.append(which)
        flips.append(np.full(len(which), flipped))
        factors.append(np.full(len(which), 0.5, np.float32))
    return tuple(np.concatenate(parts) for parts in (targets, sources, flips, factors))
