"""Checks of XLA on this machine against NumPy and closed forms, run by `launch.selftest`.

Some checks look for faults that releases of jax had on some machines. The docstring of such a check gives
the address of the report.
"""

import importlib.metadata
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch.selftests.check import Measured
from phasenet.networks import layers

_SEVEN_AXES = """
import jax
x = jax.numpy.ones((3, 1, 2, 2, 8, 8, 8))
print(jax.jit(lambda a, b: (a * b).sum(3))(x, x).sum())
"""
# First numbers of jax.random for a fixed key. Without the same numbers on every machine and release, results could not
# be repeated.
_BITS = (1795459815, 2798709092, 2776908314)
_NORMAL = (-0.20691521, 0.38971189, 0.37602106)


def release_of_jax() -> Measured:
    """Checks that setup.cfg does not exclude the installed release of jax; setup.cfg gives the reasons."""
    try:
        needs = importlib.metadata.requires("phasenet-saxsae") or []
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        needs = []
    excluded = re.findall(r"!=\s*([\d.]*\d)", " ".join(need for need in needs if re.match(r"jax\b", need)))
    return Measured(jax.__version__ in excluded, 0, 0)


def operators_one_by_one() -> Measured:
    """Checks programs of one operation each, as eager mode calls them (https://github.com/jax-ml/jax/issues/40633)."""
    x = np.linspace(0.5, 2, 7, dtype=np.float32)
    found = jnp.ones(7) + x, jnp.sqrt(x * 256), jnp.exp(x), jnp.sin(x), jnp.arctan2(x, x[::-1]), jnp.arange(7) // 3
    expected = 1 + x, np.sqrt(x * 256), np.exp(x), np.sin(x), np.arctan2(x, x[::-1]), np.arange(7) // 3
    return Measured(np.stack(found), np.stack(expected), 1e-5)


def sums_over_many_rows() -> Measured:
    """Checks squared lengths of many rows times a matrix (https://github.com/jax-ml/jax/issues/39103)."""
    length = np.arange(1, 32770, dtype=np.float32)
    rows = np.stack([length, 0 * length, 0 * length], axis=1)

    def squared_length(row: jax.Array) -> jax.Array:
        return jnp.square(jnp.matmul(jnp.eye(3), row, precision="highest")).sum()

    return Measured(jax.jit(jax.vmap(squared_length))(rows) / length.astype(np.float64) ** 2, 1, 1e-5)


def sum_over_one_of_seven_axes() -> Measured:
    """Checks, in a child process, a sum that ended the process (https://github.com/jax-ml/jax/issues/39257)."""
    child = subprocess.run([sys.executable, "-c", _SEVEN_AXES], env=os.environ | {"JAX_PLATFORMS": "cpu"},
                           capture_output=True, text=True, timeout=300, check=False)
    return Measured(float(child.stdout) if child.returncode == 0 else math.nan, 6144, 0)


def padding_read_in_loops() -> Measured:
    """Checks windows of a padded array, cut out in two nested loops (https://github.com/jax-ml/jax/issues/39120)."""
    rows, width, step, windows, columns = 60, 23, 19, 3, 4
    values = np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)

    @jax.jit
    def cut(values):
        padded = jnp.pad(values, ((0, (windows - 1) * step + width - rows), (0, 0)))

        def of_window(_, window):
            rows_there = jax.lax.dynamic_slice(padded, (window * step, 0), (width, columns))
            half = columns // 2
            return None, jax.lax.scan(lambda _, side: (None, jax.lax.dynamic_slice(
                rows_there, (0, side * half), (width, half))), None, jnp.arange(2))[1]

        return jax.lax.scan(of_window, None, jnp.arange(windows))[1]

    padded = np.pad(values, ((0, 1), (0, 0)))
    expected = [np.split(padded[window * step:window * step + width], 2, axis=1) for window in range(windows)]
    return Measured(cut(values), np.array(expected), 0)


def scaled_products_and_biases() -> Measured:
    """Checks that a factor scales the bias too (https://github.com/jax-ml/jax/issues/39336)."""
    rng = np.random.default_rng(0)
    matrix, vectors, bias = (rng.normal(size=size).astype(np.float32) for size in ((32, 15), (100, 15), 32))

    def layer(vector):  # a product of NumPy and traced arrays: NumPy's stubs give the wrong type
        return 0.1 * (matrix @ vector + 100 * bias)

    return Measured(jax.jit(jax.vmap(layer))(vectors), 0.1 * (vectors @ matrix.T + 100 * bias), 0.1)


def loops() -> Measured:
    """Checks loops: of unknown length (Euclid), updating an array (Fibonacci), and stacking results (halves)."""
    @jax.jit
    def run(a, b):
        divisor, _ = jax.lax.while_loop(lambda pair: pair[1] > 0, lambda pair: (pair[1], pair[0] % pair[1]), (a, b))
        fibonacci = jax.lax.fori_loop(2, 40, lambda i, x: x.at[i].set(x[i - 1] + x[i - 2]), jnp.ones(40, jnp.int32))
        _, halves = jax.lax.scan(lambda x, _: (x / 2 + 1, x), 0.0, length=20)
        return divisor, fibonacci[-1], halves

    found = np.concatenate([np.ravel(x) for x in run(462, 1071)])
    return Measured(found, np.concatenate([[21, 102334155], 2 - 0.5 ** np.arange(-1, 19)]), 0)


def reductions_and_orders() -> Measured:
    """Checks sums, extremes, sorting and sums by index of 40,000 numbers."""
    rng = np.random.default_rng(0)
    values, bins = rng.normal(size=40_000).astype(np.float32), rng.integers(0, 9, 40_000)

    @jax.jit
    def reduce(x, bins):
        return (jnp.abs(x).sum() / 4e4, x.var(), x.max(), jnp.median(x), x.argmin() / 4e4, jnp.cumsum(x)[::99] / 99,
                jnp.sort(x)[::99], jnp.zeros(9).at[bins].add(x) / 99, jax.nn.logsumexp(x))

    exact = values.astype(np.float64)
    expected = (np.abs(exact).mean(), exact.var(), exact.max(), np.median(exact), exact.argmin() / 4e4,
                np.cumsum(exact)[::99] / 99, np.sort(exact)[::99], np.bincount(bins, exact) / 99,
                np.log(np.exp(exact).sum()))
    return Measured(_joined(reduce(values, bins)), _joined(expected), 1e-4)


def fourier_transform() -> Measured:
    """Checks the 3D transform: the one pair of coefficients of a wave, Parseval's theorem, and the inverse."""
    grid, wave = 40, (3, 5, 7)
    place = np.indices((grid,) * 3)
    cosine = np.cos(2 * np.pi / grid * np.tensordot(wave, place, 1)).astype(np.float32)
    noise = np.random.default_rng(0).normal(size=(grid,) * 3).astype(np.float32)

    @jax.jit
    def transform(cosine, noise):
        spectrum = jnp.fft.fftn(noise)
        back = jnp.fft.irfftn(jnp.fft.rfftn(noise), s=noise.shape)
        return jnp.fft.rfftn(cosine).real / grid**3, jnp.square(jnp.abs(spectrum)).mean(), back

    expected = np.zeros((grid, grid, grid // 2 + 1))
    expected[wave] = 0.5
    power = np.square(noise.astype(np.float64)).sum()
    found = transform(cosine, noise)
    return Measured(_joined((found[0], found[1] / power, found[2])), _joined((expected, 1, noise)), 2e-5)


def exact_matrix_product() -> Measured:
    """Checks a matrix product at `precision="highest"`, which scattering, moments and superpositions ask for."""
    return _matrix_product("highest", 1e-5)


def quick_matrix_product() -> Measured:
    """Checks a matrix product at the default precision, which the networks use.

    A TPU rounds factors to 8 bits (bfloat16), a GPU to 11 bits (TF32), a CPU does not round them.
    """
    return _matrix_product("default", 2**-6)


def convolution_in_three_dimensions() -> Measured:
    """Checks the convolution that is fastest on this backend; rounding as in `quick_matrix_product`."""
    rng = np.random.default_rng(0)
    x, kernel = (rng.uniform(-1, 1, size).astype(np.float32) for size in ((1, 12, 12, 12, 4), (5, 5, 5, 4, 4)))
    padded = np.pad(x, ((0, 0), *[(2, 2)] * 3, (0, 0)))
    expected = sum(padded[:, i:i + 12, j:j + 12, k:k + 12] @ kernel[i, j, k] for i, j, k in np.ndindex(5, 5, 5))
    scale = np.sqrt(np.square(expected).mean())
    return Measured(np.abs(jax.jit(layers.conv3d)(x, kernel) - expected).max() / scale, 0, 2**-5)


def random_numbers() -> Measured:
    """Checks that a seed gives the random numbers that it gives on every other machine."""
    key = jax.random.fold_in(jax.random.split(jax.random.key(2026))[1], 7)
    return Measured(_joined((jax.random.bits(key, (3,), "uint32"), jax.random.normal(key, (3,)))),
                    _joined((_BITS, _NORMAL)), 1e-6)


def mean_over_devices() -> Measured:
    """Checks the mean of a batch that is split over all devices of this process, as each device computes it."""
    devices = jax.local_device_count()
    values = np.random.default_rng(0).normal(size=(devices, 5, 1000)).astype(np.float32)
    found = jax.pmap(lambda x: jax.lax.pmean(jnp.square(x).mean(0), "devices"), axis_name="devices")(values)
    return Measured(found, np.square(values.astype(np.float64)).mean((0, 1)), 1e-5)


def program_kept_and_read_back() -> Measured:
    """Checks that a program read back from the cache of compiled programs, if any, gives the same numbers."""
    x = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)

    def work(x: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, 5, lambda _, x: jnp.tanh(x @ x.T / 8), x)

    first = np.asarray(jax.jit(work)(x))
    jax.clear_caches()
    return Measured(jax.jit(work)(x), first, 0)


def _matrix_product(precision: str, tolerance: float) -> Measured:
    """Returns the largest error of a product of 300 x 300 matrices, in units of the product's r.m.s."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 300, 300)).astype(np.float32)
    found = jax.jit(lambda a, b: jnp.matmul(a, b, precision=precision))(a, b)
    expected = a.astype(np.float64) @ b
    return Measured(np.abs(found - expected).max() / np.sqrt(300), 0, tolerance)


def _joined(arrays: Iterable[Any]) -> np.ndarray:
    """Returns all elements of some arrays or sequences as one vector, float64."""
    return np.concatenate([np.ravel(np.asarray(array, np.float64)) for array in arrays])


CHECKS = (release_of_jax, operators_one_by_one, sums_over_many_rows, sum_over_one_of_seven_axes, padding_read_in_loops,
          scaled_products_and_biases, loops, reductions_and_orders, fourier_transform, exact_matrix_product,
          quick_matrix_product, convolution_in_three_dimensions, random_numbers, mean_over_devices,
          program_kept_and_read_back)
