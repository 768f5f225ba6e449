"""Measures the processor's highest rates at this moment: of a matrix product, and of reading and writing memory.

From these rates, `timing.compare` derives the least time (the floor) of a program with given operations and bytes. A
program near its floor cannot be made much faster. A convolution by FFT needs fewer operations than the direct method.
Where `flops` counts the operations of the direct method, the convolution can therefore be faster than its floor.
"""

import functools
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

_SIZE = 1536  # rows and columns of the matrices: 7 GFLOP a product
_COPIED_BYTES = 2**28  # far more than any cache holds
_TRIES = 5  # timed runs, of which the fastest counts


def matmul_gflops() -> float:
    """Returns the rate of a large float32 matrix product in GFLOP/s, the best of five."""
    return 2 * _SIZE**3 / _best(_product()) / 1e9


def copy_gigabytes_per_second() -> float:
    """Returns the rate of negating a large array in GB/s, read and written bytes together, the best of five."""
    return 2 * _COPIED_BYTES / _best(_copy()) / 1e9


@functools.cache
def _product() -> Callable[[], jax.Array]:
    """Returns the compiled product of two matrices (_SIZE, _SIZE)."""
    a = jnp.ones((_SIZE, _SIZE))
    product = jax.jit(jnp.matmul).lower(a, a).compile()
    return lambda: product(a, a)


@functools.cache
def _copy() -> Callable[[], jax.Array]:
    """Returns a compiled program that negates an array of _COPIED_BYTES in place."""
    # In place, because allocating fresh pages would take most of the time. Negated, because XLA removes a plain copy.
    negative = jax.jit(jnp.negative, donate_argnums=0)
    array = jnp.ones(_COPIED_BYTES // 4)

    def run() -> jax.Array:
        nonlocal array
        array = negative(array)
        return array

    return run


def _best(program: Callable[[], jax.Array]) -> float:
    """Returns the seconds of the fastest of `_TRIES` runs, after one untimed run."""
    program().block_until_ready()
    times = []
    for _ in range(_TRIES):
        start = time.perf_counter()
        program().block_until_ready()
        times.append(time.perf_counter() - start)
    return min(times)
