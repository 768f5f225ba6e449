"""Loss functions of the networks: the paper's mean squared error, and a correlation of maps for the iterations.

`launch.tasks.patterson` trains `published` and `dense` with the mean squared error; `launch.tasks.dual_space` and
`launch.tasks.crystals` train iterations with the correlation.
"""

import jax
import jax.numpy as jnp

from phasenet.maps import patterson


def mean_squared_error(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Returns the mean squared error () over all voxels and examples (D. Hurwitz, arXiv:2003.13767, section 3.1).

    Args:
      predicted: (B, N, N, N) occupancy maps.
      target: (B, N, N, N) true ones.
    """
    return jnp.mean(jnp.square(predicted - target))


def correlation_of_maps(density: jax.Array, transform: jax.Array) -> jax.Array:
    """Returns the Pearson correlation () of a periodic map with a true one, the best over shifts and both hands.

    A Patterson map determines neither shift nor hand, so neither changes the result. Between voxels, the peak of the
    correlation over shifts is taken as Gaussian on each axis, which it is for Gaussian atoms. Differentiable.

    Args:
      density: (X, Y, Z), Z even.
      transform: (X, Y, Z/2 + 1) complex, the rfftn of the true map.
    """
    shape = density.shape
    weights = jnp.asarray(patterson.multiplicity(shape[-1]), jnp.float32) * jnp.ones(transform.shape)
    weights = weights.at[0, 0, 0].set(0.0)  # Without F000, both means are 0.
    found = jnp.fft.rfftn(density)
    powers = [(weights * (values.real**2 + values.imag**2)).sum() for values in (found, transform)]
    found = found.at[0, 0, 0].set(0.0) * (density.size * jax.lax.rsqrt(powers[0] * powers[1] + 1e-12))
    # An inverse transform gives all shifts at once. The transform of the inverted map is the conjugate.
    best = [_interpolate_peak(jnp.fft.irfftn(found * hand, s=shape)) for hand in (jnp.conj(transform), transform)]
    return jnp.maximum(*best)


def _interpolate_peak(values: jax.Array) -> jax.Array:
    """Returns the highest value () of a periodic map (X, Y, Z), also between voxels; above 0, at most 1."""
    place = jnp.unravel_index(jnp.argmax(values), values.shape)
    around = [place[:axis] + ((place[axis] + step) % values.shape[axis],) + place[axis + 1:]
              for axis in range(3) for step in (-1, 1)]
    top, *near = (jnp.log(jnp.maximum(values[index], 1e-3)) for index in (place, *around))
    rise = sum((near[2 * axis] - near[2 * axis + 1]) ** 2
               / (8 * jnp.maximum(2 * top - near[2 * axis] - near[2 * axis + 1], 1e-3)) for axis in range(3))
    return jnp.minimum(jnp.exp(top + jnp.minimum(rise, 0.4)), 1.0)
