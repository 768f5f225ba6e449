"""The network's answer to atoms by least squares: atom pairs added one by one, all refined together.

Where an atom and another's inverse clash their peaks merge, and no peak picker tells them apart: on
the true maps of 10 atoms in a box of 12 it loses an atom in half of the cases. The sum of spheres
that explains the map best does tell them apart.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from phasenet.maps import synthesis
from phasenet.maps.synthesis import Problem
from phasenet.search.peaks import Candidates

_STEPS = 6  # of Levenberg and Marquardt, after each new atom
_LONGEST_STEP = 0.7  # voxels
_LAST_STEPS = 12
# A tenth of what a lone atom gives: with less there is nothing in this place.
_LEAST_HEIGHT = 0.05


class _Fit(NamedTuple):
    """positions (n, 3), those that are not yet placed at 0; damping and cost: () float32."""

    positions: jax.Array
    damping: jax.Array
    cost: jax.Array


def fit_atoms(answer: jax.Array, problem: Problem) -> Candidates:
    """The problem's num_atoms atoms, each with its inverse if the target has them, fitted to a map.

    Args:
      answer: (N, N, N) the network's.
      problem: its atoms' number, shape, box and target.

    Returns num_atoms positions that explain it, highest first: a height is how much of an atom the others placed
    before it had left in its place; where next to nothing was left, it is not valid.
    """
    size = _cropped_size(problem)
    low = (problem.grid - size) // 2
    answer = jax.lax.slice(answer, (low,) * 3, (low + size,) * 3)
    problem = problem._replace(grid=size)
    number = jnp.arange(problem.atoms.num_atoms)

    def body_fun(count, carry):
        positions, heights = carry
        residual = answer - _model(positions, number < count, problem)
        place = _strongest(residual, problem)
        # The last round adds none.
        positions = positions.at[count].set(place, mode="drop")
        heights = heights.at[count].set(_overlap(residual, place, problem), mode="drop")
        steps = jnp.where(count < len(number), _STEPS, _LAST_STEPS)
        return _refine(answer, positions, number <= count, problem, steps), heights

    start = (jnp.zeros((len(number), 3)), jnp.zeros(len(number)))
    positions, heights = jax.lax.fori_loop(0, len(number) + 1, body_fun, start)
    order = jnp.argsort(-heights)
    positions, heights = positions[order], heights[order]
    valid = heights > _LEAST_HEIGHT
    return Candidates(jnp.where(valid[:, None], positions, 0.0), jnp.where(valid, heights, 0.0), valid)


def _cropped_size(problem: Problem) -> int:
    """Edge of the middle of the map that holds all atoms: even, with room for their spheres."""
    margin = 2.0 if problem.form_factor == "sphere" else 2 + 3 * math.sqrt(problem.b_factor / (8 * math.pi**2))
    room = 0 if problem.atoms.stay_inside else problem.atoms.inner_box / 4
    return min(problem.grid, 2 * math.ceil(problem.atoms.inner_box / 2 + margin + room))


def _lone(position: jax.Array, problem: Problem) -> jax.Array:
    """What one atom adds to the answer."""
    return synthesis.target(position[None], problem)


def _model(positions: jax.Array, placed: jax.Array, problem: Problem) -> jax.Array:
    maps = jax.vmap(_lone, in_axes=(0, None))(positions, problem)
    return jnp.where(placed[:, None, None, None], maps, 0.0).sum(0)


def _overlap(answer: jax.Array, position: jax.Array, problem: Problem) -> jax.Array:
    """The height at which an atom here fits a map best: 0.5 for a lone one of a true map."""
    lone = _lone(position, problem)
    return (answer * lone).sum() / (lone**2).sum() / 2


def _strongest(residual: jax.Array, problem: Problem) -> jax.Array:
    """Where an atom explains most of what is left: the matched filter's best voxel, in its centre."""
    size = residual.shape[0]
    # An atom in the centre of the voxel size/2, transformed about that voxel: a real filter.
    atom = synthesis.atom_map(jnp.full((1, 3), 0.5), problem)
    filtered = jnp.fft.irfftn(jnp.fft.rfftn(residual) * jnp.conj(jnp.fft.rfftn(jnp.fft.ifftshift(atom))),
                              s=residual.shape)
    inside = jnp.abs(jnp.arange(size) + 0.5 - size / 2) <= problem.atoms.inner_box / 2 + 0.5
    inside = inside[:, None, None] & inside[:, None] & inside
    best = jnp.argmax(jnp.where(inside, filtered, -jnp.inf))
    return jnp.stack(jnp.unravel_index(best, residual.shape)) + 0.5 - size / 2


def _refine(answer: jax.Array, positions: jax.Array, placed: jax.Array, problem: Problem,
            steps: jax.Array) -> jax.Array:
    """Levenberg-Marquardt on the squared difference to the answer."""
    def cost(positions):
        return jnp.sum(jnp.square(answer - _model(positions, placed, problem)))

    def body_fun(_, fit):
        slopes = jax.vmap(jax.jacfwd(_lone), in_axes=(0, None))(fit.positions, problem)
        slopes = jnp.where(placed[:, None, None, None, None], slopes, 0.0)
        jacobian = jnp.moveaxis(slopes, -1, 1).reshape(3 * len(placed), -1)
        residual = (answer - _model(fit.positions, placed, problem)).ravel()
        normal = jacobian @ jacobian.T
        # An atom at the centre coincides with its inverse: its slopes vanish, and it stays.
        normal += jnp.diag(fit.damping * jnp.diag(normal) + 1e-3)
        step = jnp.linalg.solve(normal, jacobian @ residual).reshape(-1, 3)
        positions = fit.positions + jnp.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        new = cost(positions)
        better = new < fit.cost
        return _Fit(jnp.where(better, positions, fit.positions),
                    jnp.clip(jnp.where(better, fit.damping / 4, fit.damping * 8), 1e-4, 1e4),
                    jnp.where(better, new, fit.cost))

    start = _Fit(positions, jnp.float32(1e-2), cost(positions))
    return jax.lax.fori_loop(0, steps, body_fun, start).positions
