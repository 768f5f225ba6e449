"""What the network is trained for."""

import jax
import jax.numpy as jnp

from phasenet import patterson


def mean_squared_error(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Mean over all voxels and examples (paper, section 3.1)."""
    return jnp.mean(jnp.square(predicted - target))


def correlation_of_maps(density: jax.Array, transform: jax.Array) -> jax.Array:
    """Pearson correlation of a periodic map with a true one, the best over shifts and both hands: ().

    A measurement tells neither, so neither may cost anything. Differentiable.

    Args:
      density: (N, N, N).
      transform: (N, N, N/2 + 1) rfftn of the true map.
    """
    grid = len(density)
    weights = jnp.asarray(patterson.multiplicity(grid), jnp.float32) * jnp.ones(transform.shape)
    weights = weights.at[0, 0, 0].set(0.0)  # without F000 both means are 0
    found = jnp.fft.rfftn(density)
    powers = [(weights * (values.real**2 + values.imag**2)).sum() for values in (found, transform)]
    found = found.at[0, 0, 0].set(0.0)
    # Of all shifts at once; the transform of the inverted map is the conjugate.
    products = jnp.stack([jnp.fft.irfftn(found * hand, s=density.shape).max() for hand in
                          (jnp.conj(transform), transform)])
    return products.max() * grid**3 / jnp.sqrt(powers[0] * powers[1] + 1e-12)
