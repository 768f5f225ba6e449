"""A key to an example: random atoms, their Patterson map, and the map that the network shall answer.

All pure; `jax.vmap` over keys makes a batch, on the device, inside the training step.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from phasenet.maps import density, patterson
from phasenet.maps.atoms import AtomRules, check_rules, random_atoms

TARGETS = ("pair", "single")


class Problem(NamedTuple):
    """What examples are made of. All static.

    Attributes:
      atoms: how many, and where they may lie.
      grid: voxels an edge of all maps, even.
      form_factor, b_factor: of the atoms, see `density.density`.
      h_max: largest |h| of the reflections in the Patterson map; None: all.
      noise: standard deviation of a squared amplitude relative to itself.
      target: "pair" is (A + B) / 2, the atoms with their inverse (paper, section 2.4.2); "single" is
        A / 2, which no network can learn (paper, section 3.2.1).
      scale: of the Patterson map, see `patterson.scaled`.
      centred: the map's origin in its middle, not at voxel 0.
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
      patterson: (N, N, N) as the network takes it.
      target: (N, N, N), at most 0.5 an atom.
      positions: (n, 3) the atoms of A, voxels.
      valid: () whether the atoms meet the rules.
    """

    patterson: jax.Array
    target: jax.Array
    positions: jax.Array
    valid: jax.Array


def check_problem(problem: Problem) -> None:
    """Raises ValueError for a problem that cannot be."""
    check_rules(problem.atoms)
    if not isinstance(problem.grid, int) or problem.grid < 8 or problem.grid % 4:
        raise ValueError(f"grid={problem.grid}: expected a multiple of 4, 8 at least")
    if problem.atoms.inner_box > problem.grid:
        raise ValueError(f"inner_box={problem.atoms.inner_box}: larger than the grid of {problem.grid}")
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
    """One example, from its key alone."""
    key_atoms, key_noise = jax.random.split(key)
    positions, valid = random_atoms(key_atoms, problem.atoms)
    small = crop_to_patterson(problem)
    measured = measure_patterson(key_noise, positions, small)
    answer = jnp.pad(target(positions, small), (problem.grid - small.grid) // 2)
    return Example(network_input(measured, problem), answer, positions, valid)


def crop_to_patterson(problem: Problem) -> Problem:
    """The problem on the smallest grid that holds its atoms and their Patterson map: a larger one adds but zeros.

    As it is where a larger grid changes more: a resolution or noise refer to its reflections.
    """
    bounded = problem.form_factor == "sphere" and problem.atoms.stay_inside
    if not bounded or problem.h_max is not None or problem.noise:
        return problem
    # The atoms reach so far from the centre, differences of two places in them less than four times as far.
    return problem._replace(grid=min(problem.grid, 4 * math.ceil(problem.atoms.inner_box / 2 + 1)))


def measure_patterson(key: jax.Array, positions: jax.Array, problem: Problem) -> jax.Array:
    """The Patterson map (N, N, N), origin at voxel 0, as an experiment on these atoms would give it."""
    values = patterson.intensities(atom_map(positions, problem))
    if problem.noise:
        values = patterson.add_noise(key, values, problem.noise)
    return patterson.from_intensities(patterson.limit_resolution(values, problem.h_max))


def network_input(patterson_map: jax.Array, problem: Problem) -> jax.Array:
    """A Patterson map (origin at voxel 0, any overall scale if `scale` is not "raw") as the network takes it.

    A map of fewer voxels than the problem's grid is zero beyond them.
    """
    result = patterson.scaled(patterson_map, problem.scale, problem.grid)
    margin = (problem.grid - len(result)) // 2
    if not margin:
        return patterson.centred(result) if problem.centred else result
    result = jnp.pad(patterson.centred(result), margin)
    return result if problem.centred else jnp.fft.ifftshift(result)


def target(positions: jax.Array, problem: Problem) -> jax.Array:
    """What the network shall answer: (N, N, N)."""
    half = atom_map(positions, problem) / 2
    # The inverse of a map about its centre is its flip, exactly.
    return half + jnp.flip(half) if problem.target == "pair" else half


def atom_map(positions: jax.Array, problem: Problem) -> jax.Array:
    """The density of atoms in this problem: (n, 3) -> (N, N, N)."""
    return density.density(positions, problem.grid, form_factor=problem.form_factor, b_factor=problem.b_factor)
