"""Classical starts: the Patterson map laid over itself, shifted by its own peaks (Buerger's minimum function).

A peak u of the Patterson map is the vector between two atoms. Where both the map and its copy shifted by u are high
there may be other atoms, seen from both; each atom found this way shifts another copy, and the minimum of all is kept:

    M(r) = min over atoms a found so far of P(r - a)
"""

import jax
import jax.numpy as jnp

from phasenet.maps.point_atoms import PointModel
from phasenet.search import relocation
from phasenet.search.refinement import Observations

# The map is sharpened: intensities by f^2, and a taper against ripples, of this share of the finest |s|.
_TAPER = 0.75
# Of f(0)^2: where f^2 is less, dividing by it would show noise.
_LEAST_FORM = 0.02
_LEAST_VECTOR = 1.6  # voxels, of the first peak


def find_starts(data: Observations, model: PointModel, num_atoms: int, min_distance: float, count: int) -> jax.Array:
    """(count, n, 3) sets of atoms, from the highest peaks of the Patterson map, highest first; starts to be refined."""
    sharp = _sharpened(data, model, num_atoms)
    size = len(sharp)
    pitch = model.grid / size
    axis = jnp.minimum(jnp.arange(size), size - jnp.arange(size)) * pitch
    distance = jnp.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    ball = distance < min_distance
    peak = sharp >= jax.lax.reduce_window(jnp.pad(sharp, 1, mode="wrap"), -jnp.inf, jax.lax.max, (3, 3, 3), (1, 1, 1),
                                          "VALID")
    # One of each pair u, -u: every peak is there twice.
    half = jnp.arange(size**3).reshape((size,) * 3) <= size**3 // 2
    firsts = jax.lax.top_k(jnp.where(peak & half & (distance > _LEAST_VECTOR), sharp, -jnp.inf).ravel(), count)[1]

    def grown(first):
        def body_fun(i, carry):
            atoms, minimum = carry
            place = jnp.stack(jnp.unravel_index(jnp.where(i == 1, first, minimum.argmax()), sharp.shape))
            shifted = jnp.where(_rolled(ball, place), -jnp.inf, _rolled(sharp, place))
            return atoms.at[i].set(place), jnp.minimum(minimum, shifted)

        start = jnp.zeros((num_atoms, 3), jnp.int32), jnp.where(ball, -jnp.inf, sharp)
        return jax.lax.fori_loop(1, num_atoms, body_fun, start)[0] * pitch

    return jax.lax.map(grown, firsts)


def _sharpened(data: Observations, model: PointModel, num_atoms: int) -> jax.Array:
    """The Patterson map of points, without its origin peak, on the grid of `relocation`."""
    form = jnp.maximum(jnp.square(model.form), _LEAST_FORM * jnp.square(model.form).max())
    taper = jnp.exp(-jnp.square(model.radius / (_TAPER * model.radius[-1])).astype("float32"))
    values = jnp.where(data.weights > 0, (data.intensities / form - num_atoms) * taper, 0.0)
    coefficients = jnp.concatenate([values, jnp.zeros_like(values)]).astype(jnp.complex64)
    return relocation.real_sum(coefficients, model, relocation.grid_size(model))


def _rolled(values: jax.Array, shift: jax.Array) -> jax.Array:
    return jnp.roll(values, shift, axis=(0, 1, 2))
