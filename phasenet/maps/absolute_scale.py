"""The scale of a Patterson map: from F000 where it was measured, otherwise from the power of the other reflections."""

import jax
import jax.numpy as jnp

from phasenet.maps import density, reflections, synthesis
from phasenet.maps.synthesis import Problem


def put_on_absolute_scale(patterson_map: jax.Array, problem: Problem, *, has_f000: bool) -> jax.Array:
    """A map on any scale, brought to that of problem.atoms.num_atoms atoms.

    has_f000: the sum over the map is that of the atoms' convolution, N^2 times their volume squared,
    and gives the scale exactly; otherwise the power without F000 gives it to some percent.
    """
    num_atoms = problem.atoms.num_atoms
    if has_f000:
        return patterson_map * ((num_atoms * density.ATOM_VOLUME) ** 2 / patterson_map.sum())
    which = reflections.reflections(problem.grid, problem.h_max)
    weights = jnp.where(which.index == 0, 0.0, which.weights)
    # Atoms that do not overlap add up their powers; the average is over places within a voxel.
    places = jax.random.uniform(jax.random.key(0), (64, 1, 3))
    factors = jax.vmap(lambda place: reflections.structure_factors(synthesis.atom_map(place, problem), which))(places)
    expected = num_atoms * (weights * jnp.square(factors).sum(1)).sum(-1).mean()
    power = (weights * reflections.observed_intensities(patterson_map, which)).sum()
    return patterson_map * (expected / power)
