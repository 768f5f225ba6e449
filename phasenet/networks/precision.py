"""Mixed precision: factors of products in a narrow type such as bfloat16, sums over examples and voxels in float32.

XLA sums in the type of the summands, on a CPU one by one: a sum of bfloat16 numbers stops growing when it reaches 256
times the next summand. The gradient of a bias is a sum over examples and voxels, so biases stay float32.
`layers`, `dense` and `saxsae.networks.autoencoder` use this module.
"""

from typing import Any

import flax.linen as nn
import jax
from jax.typing import DTypeLike


def promote_product(x: jax.Array, kernel: jax.Array, bias: jax.Array | None, *, dtype: DTypeLike | None,
                    ) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Returns input and kernel in the type of the product, and the bias unchanged.

    With a float32 bias, the layer's sum is float32, and the bias's gradient is summed in float32. `Dense` returns that
    float32 sum; `layers.Conv3D` converts it to the type of the product.

    Args:
      x: input of a layer, of any shape.
      kernel: its kernel, of any shape.
      bias: (features,) its bias, or None.
      dtype: of the product's factors; None takes the promoted type of `x` and `kernel`.

    Returns:
      `(x, kernel, bias)`.
    """
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=dtype)
    return x, kernel, bias


class Dense(nn.Dense):
    """`flax.linen.Dense` with its factors in `dtype`: with a bias the output is float32, without one `dtype`."""

    promote_dtype: Any = promote_product
