"""What the network is trained for."""

import jax
import jax.numpy as jnp

from phasenet.maps import patterson


def mean_squared_error(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Mean over all voxels and examples (paper, section 3.1)."""
    return jnp.mean(jnp.square(predicted - target))


def correlation_of_maps(density: jax.Array, transform: jax.Array) -> jax.Array:
    """Pearson correlation of a periodic map with a true one, the best over shifts and both hands: ().

    A measurement tells neither, so neither may cost anything. Between voxels the peak over shifts is taken as
    Gaussian on each axis, which it is for Gaussian atoms. Differentiable.

    Args:
      density: (N, N, N).
      transform: (N, N, N/2 + 1) rfftn of the true map.
    """
    grid = len(density)
    weights = jnp.asarray(patterson.multiplicity(grid), jnp.float32) * jnp.ones(transform.shape)
    weights = weights.at[0, 0, 0].set(0.0)  # without F000 both means are 0
    found = jnp.fft.rfftn(density)
    powers = [(weights * (values.real**2 + values.imag**2)).sum() for values in (found, transform)]
    found = found.at[0, 0, 0].set(0.0) * (grid**3 * jax.lax.rsqrt(powers[0] * powers[1] + 1e-12))
    # Of all shifts at once; the transform of the inverted map is the conjugate.
    best = [_peak(jnp.fft.irfftn(found * hand, s=density.shape)) for hand in (jnp.conj(transform), transform)]
    return jnp.maximum(*best)


def _peak(values: jax.Array) -> jax.Array:
    """The highest value of a periodic map (N, N, N) between its voxels, positive."""
    place = jnp.unravel_index(jnp.argmax(values), values.shape)
    around = [place[:axis] + ((place[axis] + step) % len(values),) + place[axis + 1:]
              for axis in range(3) for step in (-1, 1)]
    top, *near = (jnp.log(jnp.maximum(values[index], 1e-3)) for index in (place, *around))
    rise = sum((near[2 * axis] - near[2 * axis + 1]) ** 2
               / (8 * jnp.maximum(2 * top - near[2 * axis] - near[2 * axis + 1], 1e-3)) for axis in range(3))
    return jnp.minimum(jnp.exp(top + jnp.minimum(rise, 0.4)), 1.0)
