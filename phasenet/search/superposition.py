"""Finds starts in the Patterson map itself, by superposition of shifted copies (Buerger's minimum function).

A peak u of the Patterson map is the vector between two atoms. Further atoms may lie where both the map and its copy
shifted by u are high. For each atom that is found, another shifted copy is taken; the minimum of all copies is kept:

    M(r) = min over the atoms a found so far of P(r - a)

These starts can be refined like those of `atom_search`. No launch uses this module.
"""

import jax
import jax.numpy as jnp

from phasenet.maps.point_atoms import PointModel
from phasenet.search import relocation
from phasenet.search.refinement import Observations

# To sharpen the map, its intensities are divided by f^2 and tapered against ripples. The taper falls to 1/e at this
# fraction of the largest |s|.
_TAPER = 0.75
# f^2 is taken to be at least this fraction of its largest value, because division by less would amplify noise.
_MIN_FORM_SQUARED = 0.02
_MIN_VECTOR = 1.6  # length of the first peak, voxels


def find_starts(observations: Observations, model: PointModel, num_atoms: int, min_distance: float,
                count: int) -> jax.Array:
    """Finds sets of atoms from the highest peaks of the Patterson map, to be refined.

    Args:
      observations: at the reflections of the model.
      model: reflections and form factor.
      num_atoms: n.
      min_distance: smallest distance between two atoms, voxels.
      count: number of starts.

    Returns:
      (count, n, 3), voxels, from 0 to the period; the start from the highest peak first.
    """
    sharp = _sharpen(observations, model, num_atoms)
    size = len(sharp)
    pitch = model.grid / size
    axis = jnp.minimum(jnp.arange(size), size - jnp.arange(size)) * pitch
    distance = jnp.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    ball = distance < min_distance
    peak = sharp >= jax.lax.reduce_window(jnp.pad(sharp, 1, mode="wrap"), -jnp.inf, jax.lax.max, (3, 3, 3), (1, 1, 1),
                                          "VALID")
    # The map shows every peak twice, at u and at -u; one of the two is taken.
    half = jnp.arange(size**3).reshape((size,) * 3) <= size**3 // 2
    first_peaks = jax.lax.top_k(jnp.where(peak & half & (distance > _MIN_VECTOR), sharp, -jnp.inf).ravel(), count)[1]

    def place_atoms(first_peak):
        def body_fun(i, carry):
            atoms, minimum = carry
            place = jnp.stack(jnp.unravel_index(jnp.where(i == 1, first_peak, minimum.argmax()), sharp.shape))
            shifted = jnp.where(_roll(ball, place), -jnp.inf, _roll(sharp, place))
            return atoms.at[i].set(place), jnp.minimum(minimum, shifted)

        # The first atom lies at the origin.
        start = jnp.zeros((num_atoms, 3), jnp.int32), jnp.where(ball, -jnp.inf, sharp)
        return jax.lax.fori_loop(1, num_atoms, body_fun, start)[0] * pitch

    return jax.lax.map(place_atoms, first_peaks)


def _sharpen(observations: Observations, model: PointModel, num_atoms: int) -> jax.Array:
    """Returns the Patterson map of point atoms without its origin peak, on the grid of `relocation`."""
    form = jnp.maximum(jnp.square(model.form), _MIN_FORM_SQUARED * jnp.square(model.form).max())
    taper = jnp.exp(-jnp.square(model.radius / (_TAPER * model.radius[-1])).astype("float32"))
    values = jnp.where(observations.weights > 0, (observations.intensities / form - num_atoms) * taper, 0.0)
    coefficients = jnp.concatenate([values, jnp.zeros_like(values)]).astype(jnp.complex64)
    return relocation.sum_on_grid(coefficients, model, relocation.grid_size(model))


def _roll(values: jax.Array, shift: jax.Array) -> jax.Array:
    """Returns a periodic map shifted by whole grid points (3,)."""
    return jnp.roll(values, shift, axis=(0, 1, 2))
