"""Fits atoms to a network's map by least squares: adds them one by one, and refines all together after each.

`network_stage` takes candidates this way by default, for the product and for the paper's networks. Where an atom lies
near the inverse of another one, their peaks merge, and peak picking loses an atom. This happens on half of the true
maps (`synthesis.network_target`) of 10 atoms in a box of 12 voxels. A least-squares sum of atoms separates the two.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from phasenet.maps import synthesis
from phasenet.maps.synthesis import Problem
from phasenet.search.peaks import Candidates

_STEPS_PER_ATOM = 6  # of Levenberg and Marquardt, after each new atom
_FINAL_STEPS = 12
_MAX_STEP = 0.7  # voxels, on each axis
# A candidate with a smaller height is not valid; a lone atom on a true map has 0.5.
_MIN_HEIGHT = 0.05


class _FitState(NamedTuple):
    """State of the refinement: positions (n, 3), voxels, 0 where not yet placed; damping and cost, () float32."""

    positions: jax.Array
    damping: jax.Array
    cost: jax.Array


def fit_atoms(network_map: jax.Array, problem: Problem) -> Candidates:
    """Fits the problem's number of atoms, each with its inverse if the network shows both, to a network's map.

    Args:
      network_map: (N, N, N), N = problem.grid, its origin at its centre.
      problem: number and form factor of the atoms, their box, and what the network shows (`Problem.target`).

    Returns:
      As many candidates as atoms, the highest first. A candidate's height is fitted to what the atoms placed before it
      left of the map: 0.5 for a lone atom on a true map. Candidates with a height of 0.05 or less are not valid.
    """
    size = _cropped_size(problem)
    low = (problem.grid - size) // 2
    network_map = jax.lax.slice(network_map, (low,) * 3, (low + size,) * 3)
    problem = problem._replace(grid=size)
    number = jnp.arange(problem.atoms.num_atoms)

    def body_fun(count, carry):
        positions, heights = carry
        residual = network_map - _model_network_map(positions, number < count, problem)
        place = _find_best_place(residual, problem)
        # In the last round the index is beyond the last atom, and nothing is added.
        positions = positions.at[count].set(place, mode="drop")
        heights = heights.at[count].set(_fit_height(residual, place, problem), mode="drop")
        steps = jnp.where(count < len(number), _STEPS_PER_ATOM, _FINAL_STEPS)
        return _refine(network_map, positions, number <= count, problem, steps), heights

    start = (jnp.zeros((len(number), 3)), jnp.zeros(len(number)))
    positions, heights = jax.lax.fori_loop(0, len(number) + 1, body_fun, start)
    order = jnp.argsort(-heights)
    positions, heights = positions[order], heights[order]
    valid = heights > _MIN_HEIGHT
    return Candidates(jnp.where(valid[:, None], positions, 0.0), jnp.where(valid, heights, 0.0), valid)


def _cropped_size(problem: Problem) -> int:
    """Returns the edge, an even number of voxels, of the middle of the map that holds all atoms and their spheres."""
    margin = 2.0 if problem.form_factor == "sphere" else 2 + 3 * math.sqrt(problem.b_factor / (8 * math.pi**2))
    room = 0 if problem.atoms.stay_inside else problem.atoms.inner_box / 4
    return min(problem.grid, 2 * math.ceil(problem.atoms.inner_box / 2 + margin + room))


def _atom_on_network_map(position: jax.Array, problem: Problem) -> jax.Array:
    """Returns what one atom (3,), voxels, adds to the network's map (N, N, N)."""
    return synthesis.network_target(position[None], problem)


def _model_network_map(positions: jax.Array, placed: jax.Array, problem: Problem) -> jax.Array:
    """Returns the network's map (N, N, N) of those atoms (n, 3) that are placed, (n,) bool."""
    maps = jax.vmap(_atom_on_network_map, in_axes=(0, None))(positions, problem)
    return jnp.where(placed[:, None, None, None], maps, 0.0).sum(0)


def _fit_height(residual: jax.Array, position: jax.Array, problem: Problem) -> jax.Array:
    """Returns the height () with which an atom (3,) fits a map (N, N, N) best; 0.5 for a lone atom on a true map."""
    atom = _atom_on_network_map(position, problem)
    return (residual * atom).sum() / (atom**2).sum() / 2


def _find_best_place(residual: jax.Array, problem: Problem) -> jax.Array:
    """Returns the centre (3,), voxels, of the voxel where an atom explains a map (N, N, N) best: a matched filter."""
    size = residual.shape[0]
    # An atom in the middle of voxel N/2, transformed about the middle of that voxel, makes a real filter.
    atom = synthesis.atom_map(jnp.full((1, 3), 0.5), problem)
    filtered = jnp.fft.irfftn(jnp.fft.rfftn(residual) * jnp.conj(jnp.fft.rfftn(jnp.fft.ifftshift(atom))),
                              s=residual.shape)
    inside = jnp.abs(jnp.arange(size) + 0.5 - size / 2) <= problem.atoms.inner_box / 2 + 0.5
    inside = inside[:, None, None] & inside[:, None] & inside
    best = jnp.argmax(jnp.where(inside, filtered, -jnp.inf))
    return jnp.stack(jnp.unravel_index(best, residual.shape)) + 0.5 - size / 2


def _refine(network_map: jax.Array, positions: jax.Array, placed: jax.Array, problem: Problem,
            steps: jax.Array) -> jax.Array:
    """Returns positions (n, 3) after steps of Levenberg and Marquardt on the squared difference from the map."""
    def cost(positions):
        return jnp.sum(jnp.square(network_map - _model_network_map(positions, placed, problem)))

    def body_fun(_, fit):
        slopes = jax.vmap(jax.jacfwd(_atom_on_network_map), in_axes=(0, None))(fit.positions, problem)
        slopes = jnp.where(placed[:, None, None, None, None], slopes, 0.0)
        jacobian = jnp.moveaxis(slopes, -1, 1).reshape(3 * len(placed), -1)
        residual = (network_map - _model_network_map(fit.positions, placed, problem)).ravel()
        normal = jacobian @ jacobian.T
        # An atom at the centre coincides with its inverse. Its slopes are zero, so it stays; the 1e-3 keeps the matrix
        # invertible.
        normal += jnp.diag(fit.damping * jnp.diag(normal) + 1e-3)
        step = jnp.linalg.solve(normal, jacobian @ residual).reshape(-1, 3)
        positions = fit.positions + jnp.clip(step, -_MAX_STEP, _MAX_STEP)
        new = cost(positions)
        better = new < fit.cost
        return _FitState(jnp.where(better, positions, fit.positions),
                         jnp.clip(jnp.where(better, fit.damping / 4, fit.damping * 8), 1e-4, 1e4),
                         jnp.where(better, new, fit.cost))

    start = _FitState(positions, jnp.float32(1e-2), cost(positions))
    return jax.lax.fori_loop(0, steps, body_fun, start).positions
