"""Defines `Problem`, which says what a map's atoms are like, and makes training examples of a problem from random keys.

An example takes three steps: random atoms, their Patterson map, and the map that the network is to return. All
functions are pure, so `jax.vmap` over keys makes a batch, on the device and inside the training step. The paper's
networks train on `make_example`; the product (its training, preparation, search and pipeline) uses the parts.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from phasenet.maps import density, patterson
from phasenet.maps.atoms import AtomRules, check_rules, draw_atoms

# See `Problem.target`.
TARGETS = ("pair", "single")


class Problem(NamedTuple):
    """What the atoms and their Patterson map are like, and the form of a network's input and target.

    All fields are static.

    Attributes:
      atoms: the number of atoms and where they may lie.
      grid: N, voxels per edge of all maps, a multiple of 4.
      form_factor: "sphere" or "gaussian", see `density.density`.
      b_factor: B of Gaussian atoms, voxels^2.
      h_max: largest |h| of the reflections in the Patterson map, cycles per map edge; None: all.
      noise: standard deviation of a squared amplitude, relative to its value.
      target: the map that the network is to return, for atoms of density A and their inverse of density B. "pair":
        (A + B) / 2 (paper, section 2.4.2). "single": A / 2, which the paper's network cannot learn (section 3.2.1).
      scale: the scale of the network's input, see `patterson.scale_for_network`.
      centred: whether the network's input has its origin in the middle, not at voxel 0.
    """

    atoms: AtomRules = AtomRules()
    grid: int = 40
    form_factor: str = "sphere"
    b_factor: float = 0.0
    h_max: float | None = None
    noise: float = 0.0
    target: str = "pair"
    scale: str = "raw"
    centred: bool = True


class Example(NamedTuple):
    """One example, or a batch with a leading axis.

    Attributes:
      patterson: (N, N, N) the Patterson map as the network takes it.
      target: (N, N, N) the map to return, see `Problem.target`; each sphere adds at most 0.5 to a voxel.
      positions: (n, 3) the atoms of density A, voxels, relative to the map's centre, with mean 0.
      valid: () bool, whether the atoms meet the rules; False is very rare, see `atoms.draw_atoms`.
    """

    patterson: jax.Array
    target: jax.Array
    positions: jax.Array
    valid: jax.Array


def check_problem(problem: Problem) -> None:
    """Checks that the fields of a problem have possible values.

    Raises:
      ValueError: a field is out of its range, unknown, or does not fit another one.
    """
    check_rules(problem.atoms)
    if not isinstance(problem.grid, int) or problem.grid < 8 or problem.grid % 4:
        raise ValueError(f"grid={problem.grid}: expected a multiple of 4, at least 8")
    if problem.atoms.inner_box > problem.grid:
        raise ValueError(f"inner_box={problem.atoms.inner_box}: expected at most the grid, {problem.grid}")
    if problem.form_factor not in density.FORM_FACTORS:
        raise ValueError(f"form_factor={problem.form_factor!r}: expected one of {', '.join(density.FORM_FACTORS)}")
    if problem.form_factor == "gaussian" and not 0 < problem.b_factor < math.inf:
        raise ValueError(f"b_factor={problem.b_factor}: a Gaussian atom needs more than 0")
    if problem.h_max is not None and not problem.h_max > 0:
        raise ValueError(f"h_max={problem.h_max}: expected more than 0")
    if not 0 <= problem.noise < math.inf:
        raise ValueError(f"noise={problem.noise}: expected at least 0")
    if problem.target not in TARGETS:
        raise ValueError(f"target={problem.target!r}: expected one of {', '.join(TARGETS)}")
    if problem.scale not in patterson.SCALES:
        raise ValueError(f"scale={problem.scale!r}: expected one of {', '.join(patterson.SCALES)}")


def make_example(key: jax.Array, problem: Problem) -> Example:
    """Makes one example from a random key: atoms, their Patterson map as the network takes it, and the target."""
    key_atoms, key_noise = jax.random.split(key)
    positions, valid = draw_atoms(key_atoms, problem.atoms)
    small = crop_to_patterson(problem)
    measured = simulate_patterson(key_noise, positions, small)
    answer = jnp.pad(network_target(positions, small), (problem.grid - small.grid) // 2)
    return Example(network_input(measured, problem), answer, positions, valid)


def crop_to_patterson(problem: Problem) -> Problem:
    """Returns the problem on the smallest grid that holds its atoms and their Patterson map.

    A larger grid would add only zeros to both maps. Where this is not so, the problem is returned unchanged: where the
    atoms are Gaussian or may leave their box, and where resolution or noise refer to the reflections of the grid.
    """
    edge = _patterson_edge(problem)
    return problem if edge is None else problem._replace(grid=min(problem.grid, edge))


def is_within_grid(problem: Problem) -> bool:
    """Returns whether the Patterson map of any atoms of a problem is zero at the borders of the grid."""
    edge = _patterson_edge(problem)
    return edge is not None and edge <= problem.grid


def _patterson_edge(problem: Problem) -> int | None:
    """Returns the smallest grid that holds all Patterson maps of a problem; None where there is none."""
    bounded = problem.form_factor == "sphere" and problem.atoms.stay_inside
    if not bounded or problem.h_max is not None or problem.noise:
        return None
    # On each axis the spheres reach inner_box / 2 + 1 from the centre, and vectors between points of the spheres
    # twice as far.
    return 4 * math.ceil(problem.atoms.inner_box / 2 + 1)


def simulate_patterson(key: jax.Array, positions: jax.Array, problem: Problem) -> jax.Array:
    """Simulates the measured Patterson map of atoms: their map with the problem's noise and resolution.

    Args:
      key: random key of the noise.
      positions: (n, 3), voxels, relative to the map's centre.
      problem: form factor, grid, resolution and noise.

    Returns:
      (N, N, N), its origin at voxel 0.
    """
    values = patterson.intensities(atom_map(positions, problem))
    if problem.noise:
        values = patterson.add_noise(key, values, problem.noise)
    return patterson.from_intensities(patterson.limit_resolution(values, problem.h_max))


def network_input(patterson_map: jax.Array, problem: Problem) -> jax.Array:
    """Returns a Patterson map as the network takes it: scaled, padded with zeros, its origin moved.

    Args:
      patterson_map: (M, M, M), M <= N = problem.grid, its origin at voxel 0; on the scale of the atoms if problem.scale
        is "raw", otherwise on any scale.
      problem: grid, scale and origin of the input.

    Returns:
      (N, N, N).
    """
    result = patterson.scale_for_network(patterson_map, problem.scale, problem.grid)
    margin = (problem.grid - len(result)) // 2
    if not margin:
        return patterson.move_origin_to_middle(result) if problem.centred else result
    result = jnp.pad(patterson.move_origin_to_middle(result), margin)
    return result if problem.centred else jnp.fft.ifftshift(result)


def network_target(positions: jax.Array, problem: Problem) -> jax.Array:
    """Returns the map (N, N, N) that the network is to return for atoms (n, 3), voxels, see `Problem.target`."""
    half = atom_map(positions, problem) / 2
    # The flip of a map is exactly its inverse about its centre.
    return half + jnp.flip(half) if problem.target == "pair" else half


def atom_map(positions: jax.Array, problem: Problem) -> jax.Array:
    """Returns the density (N, N, N) of atoms (n, 3), voxels from the centre, with the problem's form factor."""
    return density.density(positions, problem.grid, form_factor=problem.form_factor, b_factor=problem.b_factor)
