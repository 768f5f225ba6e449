"""Brings a Patterson map to the scale of its atoms: from F000 if it was measured, otherwise from the other reflections.

On the scale of its atoms a map is that of a density in which each atom sums to `density.ATOM_VOLUME`.
`phasenet.preparation` calls this module for every measured map before the map is solved.
"""

import jax
import jax.numpy as jnp
import numpy as np

from phasenet.maps import density, reflections, synthesis
from phasenet.maps.synthesis import Problem


def put_on_absolute_scale(patterson_map: jax.Array | np.ndarray, problem: Problem, *, has_f000: bool,
                          ) -> jax.Array | np.ndarray:
    """Returns a Patterson map of any scale on the scale of `problem.atoms.num_atoms` atoms.

    Args:
      patterson_map: (N, N, N), its origin at voxel 0.
      problem: the number and the form factor of the atoms, and the resolution of the map.
      has_f000: whether the map holds F000. If so, the sum over the map, which has to be (num_atoms * ATOM_VOLUME)^2,
        gives the scale exactly. Otherwise the power of the other reflections gives the scale to some percent.

    Returns:
      (N, N, N), the map times one factor.
    """
    num_atoms = problem.atoms.num_atoms
    if has_f000:
        return patterson_map * ((num_atoms * density.ATOM_VOLUME) ** 2 / patterson_map.sum())
    which = reflections.select_reflections(problem.grid, problem.h_max)
    weights = jnp.where(which.flat_index == 0, 0.0, which.weights)
    # The powers of atoms that do not overlap add up; a lone atom's power is averaged over 64 places within a voxel.
    places = jax.random.uniform(jax.random.key(0), (64, 1, 3))
    factors = jax.vmap(lambda place: reflections.structure_factors(synthesis.atom_map(place, problem), which))(places)
    expected = num_atoms * (weights * jnp.square(factors).sum(1)).sum(-1).mean()
    power = (weights * reflections.observed_intensities(patterson_map, which)).sum()
    return patterson_map * (expected / power)
