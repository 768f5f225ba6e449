"""What the network is trained for."""

import jax
import jax.numpy as jnp


def mean_squared_error(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Mean over all voxels and examples (paper, section 3.1)."""
    return jnp.mean(jnp.square(predicted - target))
