"""Mixed precision: products of a narrow type, whose sums over examples and voxels are float32.

XLA sums in the type of the summands, on a CPU one by one: a sum of bfloat16 numbers stands still once it is 256 times
what is added. The gradient of a bias is such a sum.
"""

from typing import Any

import flax.linen as nn
import jax


def promote_product(x: jax.Array, kernel: jax.Array, bias: jax.Array | None, *, dtype: Any) -> tuple:
    """(x, kernel, bias) with the factors in dtype (None: the wider one's) and the float32 bias as it is.

    What is added in float32 has its gradient summed in float32.
    """
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=dtype)
    return x, kernel, bias


class Dense(nn.Dense):
    """linen's, the product in `dtype`; with a bias the output is float32, without one of `dtype`."""

    promote_dtype: Any = promote_product
