"""3D correlation as products of Fourier coefficients: for large kernels between few channels, on CPU.

The products of a layer of 20 -> 20 channels with kernels of 7^3 on 20^3 voxels are 90 times fewer multiplications this
way, and with all transforms and gradients it is three times faster than the other lowerings of `convolution`. What
bounds it then is memory, so everything is laid out with depth frequencies first and the plane's last: arrays of
coefficients are (Ld, 2, ..., F), real and imaginary parts side by side, F = Lh * (Lw // 2 + 1). The transform along
the depth is a matrix product, the one over planes an FFT, and a kernel, which has few taps, is transformed by matrix
products alone.

A grid of up to `_LONGEST` voxels is taken whole: zeros fill it up to the transform's length, where what wraps around
meets only zeros. A longer one is cut into tiles that overlap by the kernel (overlap-save), or the coefficients of the
kernel, one set for all tiles, would leave the cache.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_LONGEST = 24

# Coefficients of so many bytes at a time: see convolution._STACK_BYTES.
_GROUP_BYTES = 16 * 2**20

Padding = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


class _Axis(NamedTuple):
    """How an axis of `size` voxels and (low, high) zeros around it is cut.

    Attributes:
      size, low, taps: of the input, the zeros before it, the kernel.
      out: outputs; tile: outputs a tile; tiles: how many.
      length: of the transform.
    """

    size: int
    low: int
    taps: int
    out: int
    tile: int
    tiles: int
    length: int

    @property
    def shift(self) -> int:
        """By how much kernel taps are moved back: only a single tile is not padded."""
        return self.low if self.tiles == 1 else 0


def correlate(x: jax.Array, kernel: jax.Array, padding: Padding) -> jax.Array:
    """As `convolution.correlate`, for float32: (N, D, H, W, Cin), (kd, kh, kw, Cin, Cout) -> (N, D', H', W', Cout)."""
    return _correlate(x, kernel, tuple((int(low), int(high)) for low, high in padding))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _correlate(x: jax.Array, kernel: jax.Array, padding: Padding) -> jax.Array:
    axes = _axes(x.shape[1:4], kernel.shape[:3], padding)
    spectrum = _kernel_spectrum(kernel, axes)

    def group(x):
        return _apply(_transform(_tiles(x, axes), axes), spectrum, axes)

    x, join = _grouped(x, axes, max(kernel.shape[-2:]))
    return join(lax.map(group, x) if len(x) > 1 else group(x[0])[None])


def _forward(x, kernel, padding):
    return _correlate(x, kernel, padding), (x, kernel)


def _backward(padding, residuals, gradient):
    x, kernel = residuals
    taps = kernel.shape[:3]
    axes = _axes(x.shape[1:4], taps, padding)
    # The gradient by x is the correlation with the mirrored kernel.
    mirrored = tuple((k - 1 - low, k - 1 - high) for k, (low, high) in zip(taps, padding, strict=True))
    back = _axes(gradient.shape[1:4], taps, mirrored)
    spectrum = _kernel_spectrum(kernel[::-1, ::-1, ::-1].swapaxes(-1, -2), back)
    whole = all(a.tiles == 1 and a.length == b.length for a, b in zip(axes, back, strict=True))

    def body_fun(total, group):
        x, gradient = group
        plain = _transform(_cut(gradient, axes), axes)
        by_x = _apply(plain if whole else _transform(_tiles(gradient, back), back), spectrum, back)
        return total + _outer(_transform(_tiles(x, axes), axes), plain), by_x

    groups, join = _grouped(x, axes, max(kernel.shape[-2:]))
    gradients = gradient.reshape(*groups.shape[:2], *gradient.shape[1:])
    total, by_x = body_fun(0.0, (groups[0], gradients[0]))
    by_x = by_x[None]
    if len(groups) > 1:
        total, rest = lax.scan(body_fun, total, (groups[1:], gradients[1:]))
        by_x = jnp.concatenate([by_x, rest])
    return join(by_x), _kernel_from_spectrum(total, axes)


_correlate.defvjp(_forward, _backward)


def _axes(sizes: Sequence[int], taps: Sequence[int], padding: Padding) -> tuple[_Axis, _Axis, _Axis]:
    return tuple(_axis(*each) for each in zip(sizes, taps, padding, strict=True))


def _axis(size: int, taps: int, padding: tuple[int, int]) -> _Axis:
    low, high = padding
    out = size + low + high - taps + 1
    # What wraps around must meet zeros, at the input's end and before its beginning.
    length = max(size + max(low, high, 0), out)
    if length <= _LONGEST or out < taps:
        return _Axis(size, low, taps, out, out, 1, _fast_length(length))
    tiles = max(2, math.ceil(out / max(1, _LONGEST - taps + 1)))
    tile = math.ceil(out / tiles)
    return _Axis(size, low, taps, out, tile, tiles, _fast_length(tile + taps - 1))


def _fast_length(least: int) -> int:
    """The next even length without primes above 5."""
    return next(n for n in range(least + least % 2, 2 * least + 3, 2) if 30**8 % n == 0)


def _grouped(x: jax.Array, axes, features: int):
    """x as (groups, samples, ...), as many samples as fit the cache; and the way back."""
    tiles = math.prod(axis.tiles for axis in axes)
    sample_bytes = 4 * tiles * features * math.prod(axis.length for axis in axes)
    limit = max(1, _GROUP_BYTES // sample_bytes)
    samples = max(n for n in range(1, min(limit, len(x)) + 1) if len(x) % n == 0)
    return x.reshape(-1, samples, *x.shape[1:]), lambda y: y.reshape(len(x), *y.shape[2:])


def _tiles(x: jax.Array, axes) -> jax.Array:
    """Inputs (n, D, H, W, C) of all tiles: (depth, tiles * n, C, height, width), the zeros before them included."""
    x = x.transpose(1, 0, 4, 2, 3)
    if all(axis.tiles == 1 for axis in axes):
        return x
    sides = [(0, 0)] * 5
    for place, axis in zip((0, 3, 4), axes, strict=True):
        if axis.tiles > 1:
            needed = axis.tile * axis.tiles + axis.taps - 1
            x = lax.slice_in_dim(x, max(0, -axis.low), min(axis.size, needed - axis.low), axis=place)
            sides[place] = (max(0, axis.low), needed - max(0, axis.low) - x.shape[place])
    return _stacked(jnp.pad(x, sides), axes, [axis.taps - 1 for axis in axes])


def _cut(y: jax.Array, axes) -> jax.Array:
    """Outputs (n, D', H', W', C) cut into the tiles that they came from: (depth, tiles * n, C, height, width)."""
    y = y.transpose(1, 0, 4, 2, 3)
    if all(axis.tiles == 1 for axis in axes):
        return y
    sides = [(0, axis.tile * axis.tiles - axis.out) for axis in axes]
    return _stacked(jnp.pad(y, [sides[0], (0, 0), (0, 0), *sides[1:]]), axes, [0, 0, 0])


def _stacked(x: jax.Array, axes, overlaps) -> jax.Array:
    for place, axis, overlap in zip((0, 3, 4), axes, overlaps, strict=True):
        if axis.tiles > 1:
            pieces = [lax.slice_in_dim(x, i * axis.tile, (i + 1) * axis.tile + overlap, axis=place)
                      for i in range(axis.tiles)]
            x = jnp.concatenate(pieces, axis=1)
    return x


def _joined(y: jax.Array, axes) -> jax.Array:
    """The tiles' outputs (depth, tiles * n, C, height, width) as (n, D', H', W', C)."""
    depth, height, width = (axis.tile for axis in axes)
    counts = [axis.tiles for axis in axes]
    # _stacked put the last axis' tiles outermost.
    y = y.reshape(depth, counts[2], counts[1], counts[0], -1, y.shape[2], height, width)
    y = y.transpose(4, 3, 0, 2, 6, 1, 7, 5)
    y = y.reshape(len(y), *(count * size for count, size in zip(counts, (depth, height, width), strict=True)), -1)
    return y[:, :axes[0].out, :axes[1].out, :axes[2].out]


def _transform(x: jax.Array, axes) -> jax.Array:
    """(depth, m, C, height, width) to coefficients (Ld, 2, m, C, F)."""
    planes = jnp.fft.rfft2(x, (axes[1].length, axes[2].length))
    planes = jnp.stack([planes.real, planes.imag]).reshape(2 * len(x), -1)
    matrix = _forward_matrix(axes[0].length, np.arange(len(x)), -1)
    return (matrix @ planes).reshape(axes[0].length, 2, *x.shape[1:3], -1)


def _apply(x: jax.Array, spectrum: jax.Array, axes) -> jax.Array:
    """Coefficients (Ld, 2, m, Cin, F) times the kernel's, transformed back: (n, D', H', W', Cout)."""
    real = imaginary = 0.0
    for i in range(x.shape[3]):  # one fused loop, where an einsum would be a poor matrix product
        a, b = x[:, 0, :, i, None], x[:, 1, :, i, None]
        c, d = spectrum[:, 0, i, None], spectrum[:, 1, i, None]
        real, imaginary = real + (a * c - b * d), imaginary + (a * d + b * c)
    product = jnp.stack([real, imaginary], 1)
    depth, height, width = axes
    matrix = _inverse_matrix(depth.length, np.arange(depth.tile))
    planes = (matrix @ product.reshape(2 * depth.length, -1)).reshape(
        2, depth.tile, *product.shape[2:4], height.length, -1)
    y = jnp.fft.irfft2(lax.complex(planes[0], planes[1]), (height.length, width.length))
    return _joined(y[..., :height.tile, :width.tile], axes)


def _outer(x: jax.Array, gradient: jax.Array) -> jax.Array:
    """Coefficients of the kernel's gradient, (Ld, 2, Cin, Cout, F), summed over tiles."""
    real = imaginary = 0.0
    for i in range(x.shape[2]):
        a, b = x[:, 0, i, :, None], x[:, 1, i, :, None]
        c, d = gradient[:, 0, i, None], gradient[:, 1, i, None]
        real, imaginary = real + (a * c + b * d), imaginary + (b * c - a * d)
    return jnp.stack([real, imaginary], 1)


def _kernel_spectrum(kernel: jax.Array, axes) -> jax.Array:
    """(kd, kh, kw, Cin, Cout) to conjugated coefficients (Ld, 2, Cin, Cout, F)."""
    kd, kh, kw, features_in, features_out = kernel.shape
    depth, height, width = axes
    rows = kernel.transpose(0, 3, 4, 1, 2).reshape(-1, kh * kw)
    # Twice the same rows, so that real and imaginary parts come to lie outermost.
    planes = jnp.broadcast_to(rows, (2, *rows.shape)) @ _plane_waves(height, width)
    matrix = _forward_matrix(depth.length, np.arange(kd) - depth.shift, 1)
    coefficients = matrix @ planes.reshape(2 * kd, -1)
    return coefficients.reshape(depth.length, 2, features_in, features_out, -1)


def _kernel_from_spectrum(coefficients: jax.Array, axes) -> jax.Array:
    """(Ld, 2, Cin, Cout, F) to the taps (kd, kh, kw, Cin, Cout)."""
    depth, height, width = axes
    matrix = _inverse_matrix(depth.length, np.arange(depth.taps) - depth.shift)
    planes = (matrix @ coefficients.reshape(2 * depth.length, -1)).reshape(2, -1, coefficients.shape[-1])
    # Of a half spectrum all columns but the first and the last count twice.
    twice = np.full(width.length // 2 + 1, 2.0)
    twice[[0, -1]] = 1.0
    weight = np.tile(twice, height.length) / (height.length * width.length)
    waves = _plane_waves(height, width) * weight.astype(np.float32)
    rows = planes[0] @ waves[0].T - planes[1] @ waves[1].T
    kernel = rows.reshape(depth.taps, *coefficients.shape[2:4], height.taps, width.taps)
    return kernel.transpose(0, 3, 4, 1, 2)


def _waves(length: int, places: np.ndarray, sign: int) -> np.ndarray:
    """exp(sign 2 pi i f t / length), (length, places)."""
    return np.exp(sign * 2j * np.pi / length * np.outer(np.arange(length), places))


def _plane_waves(height: _Axis, width: _Axis) -> np.ndarray:
    """Real and imaginary parts of the waves of the half spectrum at a kernel's taps: (2, kh * kw, F) float32."""
    rows = _waves(height.length, np.arange(height.taps) - height.shift, 1)
    columns = _waves(width.length, np.arange(width.taps) - width.shift, 1)[:width.length // 2 + 1]
    waves = np.einsum("fi,gj->ijfg", rows, columns).reshape(height.taps * width.taps, -1)
    return np.stack([waves.real, waves.imag]).astype(np.float32)


def _forward_matrix(length: int, places: np.ndarray, sign: int) -> np.ndarray:
    """A complex transform as a real matrix: rows (frequency, part), columns (part, place)."""
    waves = _waves(length, places, sign)
    parts = np.array([[waves.real, -waves.imag], [waves.imag, waves.real]])  # (part, part, frequency, place)
    return parts.transpose(2, 0, 1, 3).reshape(2 * length, -1).astype(np.float32)


def _inverse_matrix(length: int, places: np.ndarray) -> np.ndarray:
    """The way back: rows (part, place), columns (frequency, part)."""
    waves = _waves(length, places, 1) / length
    parts = np.array([[waves.real, -waves.imag], [waves.imag, waves.real]])
    return parts.transpose(0, 3, 2, 1).reshape(-1, 2 * length).astype(np.float32)
