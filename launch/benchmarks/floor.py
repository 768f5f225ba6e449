"""What the processor can do at this moment: the rate of a matrix product and of copying.

A program that computes or moves so much takes at least so long, however it is written; a share of the floor near 1
leaves nothing to gain. Where `flops` counts the direct way of a convolution, its products by FFT can pass that floor.
"""

import functools
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

_SIZE = 1536  # of the matrices: 7 GFLOP a product
_COPIED_BYTES = 2**28  # far more than any cache holds
_TRIES = 5


def matmul_gflops() -> float:
    """GFLOP/s of a large float32 matrix product: the best of five."""
    return 2 * _SIZE**3 / _best(_product()) / 1e9


def copy_gigabytes_per_second() -> float:
    """GB/s read and written together of a large array that goes through the processor: the best of five."""
    return 2 * _COPIED_BYTES / _best(_copy()) / 1e9


@functools.cache
def _product() -> Callable[[], jax.Array]:
    a = jnp.ones((_SIZE, _SIZE))
    product = jax.jit(jnp.matmul).lower(a, a).compile()
    return lambda: product(a, a)


@functools.cache
def _copy() -> Callable[[], jax.Array]:
    # In place, or the kernel's handing out of fresh pages would be most of the time; a mere copy would be dropped.
    negative = jax.jit(jnp.negative, donate_argnums=0)
    array = jnp.ones(_COPIED_BYTES // 4)

    def run():
        nonlocal array
        array = negative(array)
        return array

    return run


def _best(program: Callable[[], jax.Array]) -> float:
    """Seconds of the fastest run."""
    program().block_until_ready()
    times = []
    for _ in range(_TRIES):
        start = time.perf_counter()
        program().block_until_ready()
        times.append(time.perf_counter() - start)
    return min(times)
