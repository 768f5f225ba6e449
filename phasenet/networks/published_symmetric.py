"""The published network with symmetric kernels, computed on half of the voxels of its maps.

A Patterson map and the atoms with their inverse are their own inverses. With kernels that are their own inverses too,
so is everything between them, and one half determines the other: a training step takes less than half the time. The
parameters are those of `published.PattersonNetwork`, which computes the same from them where the Patterson map does not
reach the first voxel of an axis: that voxel of an even grid has no inverse. `launch.tasks.patterson` trains such
networks.

1. `symmetrize_params` makes any parameters fit: kernels that are their own inverses, or those that no symmetry of the
   cube changes. With the latter, a turned Patterson map gives the turned atoms, and fewer numbers are to be learned.
2. `start_near_identity` makes fresh parameters from which a network of many layers learns faster.
3. `apply_to_half` computes the network.

A Patterson map of an even grid is symmetric about voxel N/2, the target about the corner before that voxel. The kernel
of the first layer leads from one to the other: its first tap on each axis is 0, and the others are symmetric.
"""

import itertools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from phasenet.networks import centrosymmetric_convolution, convolutions, layers
from phasenet.networks.centrosymmetric_convolution import expand
from phasenet.networks.published import ConvolutionalArchitecture, crop_to_window

# Operations under which kernels stay as they are: none; the inversion; the 48 symmetries of the cube.
SYMMETRIES = ("none", "inversion", "cube")

# Smallest edge of a kernel for which Fourier space is faster. 20 -> 1 channels, 5^3 taps, 28^3: 2.4 ms instead of 9.5.
_SPECTRAL_TAPS = 5

_FIRST_SHARE, _SHARE, _LAST_SHARE = 1.5, 0.56, 0.3  # of the random kernels, in `start_near_identity`


def symmetrize_params(params: dict[str, Any], symmetry: str) -> dict[str, Any]:
    """Returns the nearest parameters whose kernels have a symmetry.

    Args:
      params: of `published.PattersonNetwork`.
      symmetry: one of `SYMMETRIES`.
    """
    if symmetry == "none":
        return params

    def symmetrize(number: int, layer: dict[str, jax.Array]) -> dict[str, jax.Array]:
        kernel = layer["kernel"]
        if number == 0:
            within = _symmetrize_kernel(kernel[1:, 1:, 1:], symmetry)
            return layer | {"kernel": jnp.pad(within, ((1, 0),) * 3 + ((0, 0),) * 2)}
        return layer | {"kernel": _symmetrize_kernel(kernel, symmetry)}

    return {"params": {name: symmetrize(_number(name), layer) for name, layer in params["params"].items()}}


def _symmetrize_kernel(kernel: jax.Array, symmetry: str) -> jax.Array:
    """Returns the mean of a kernel (k, k, k, Cin, Cout) over the operations of a symmetry."""
    if symmetry == "inversion":
        return (kernel + jnp.flip(kernel, (0, 1, 2))) / 2
    for axis in range(3):
        kernel = (kernel + jnp.flip(kernel, axis)) / 2
    return jnp.stack([kernel.transpose(*order, 3, 4) for order in itertools.permutations(range(3))]).mean(0)


def start_near_identity(params: dict[str, Any]) -> dict[str, Any]:
    """Returns fresh parameters with which the layers between the first and the last nearly pass on their input.

    Without shortcuts, a random network of twelve layers loses nearly all of its input. Here each kernel between equal
    numbers of channels becomes the identity, at its middle tap, plus a fraction of the random kernel.

    Args:
      params: of a `published.PattersonNetwork` without batch normalization.
    """
    last = max(map(_number, params["params"]))

    def start(number: int, layer: dict[str, jax.Array]) -> dict[str, jax.Array]:
        kernel = layer["kernel"]
        if number in (0, last):
            return layer | {"kernel": kernel * (_LAST_SHARE if number else _FIRST_SHARE)}
        middle = (kernel.shape[0] // 2,) * 3
        return layer | {"kernel": (_SHARE * kernel).at[middle].add(jnp.eye(kernel.shape[3], kernel.shape[4]))}

    return {"params": {name: start(_number(name), layer) for name, layer in params["params"].items()}}


def _number(name: str) -> int:
    """Returns the number of a layer, from 0, by the name of its parameters."""
    return int(name.rpartition("_")[2])


def check_symmetrizable(architecture: ConvolutionalArchitecture) -> None:
    """Checks that `apply_to_half` can compute a network.

    Raises:
      ValueError: the network has shortcuts, batch normalization, or kernels whose edge is 1 or even.
    """
    if architecture.skip or architecture.batch_norm:
        raise ValueError("symmetric kernels: not with skip or batch_norm")
    if any(taps < 3 or taps % 2 == 0 for taps in (architecture.outer_kernel, architecture.inner_kernel)):
        raise ValueError("symmetric kernels: outer_kernel and inner_kernel must be odd, and at least 3")


def apply_to_half(params: dict[str, Any], patterson_maps: jax.Array, architecture: ConvolutionalArchitecture,
                  ) -> jax.Array:
    """Returns the half d >= N/2 of what `published.PattersonNetwork` returns, (B, N/2, N, N) float32.

    With a window of W voxels, the shape is (B, W/2, W, W).

    Args:
      params: centrosymmetric ones, see `symmetrize_params`.
      patterson_maps: (B, N, N, N), N a multiple of 4, with their origin in the middle and 0 at the first voxels of
        each axis.
      architecture: one that `check_symmetrizable` lets pass.
    """
    patterson_maps = crop_to_window(patterson_maps, architecture.window)
    names = [f"Conv3D_{number}" for number in range(architecture.inner_layers + 4)]
    kernels = [params["params"][name]["kernel"] for name in names]
    biases = [params["params"][name]["bias"] for name in names]
    x = nn.relu(_first(patterson_maps[..., None], kernels[0]) + biases[0])
    x = nn.relu(_correlate(x, kernels[1]) + biases[1])
    x = layers.max_pool(x)
    for kernel, bias in zip(kernels[2:-2], biases[2:-2], strict=True):
        x = nn.relu(_correlate(x, kernel) + bias)
    reach = (architecture.outer_kernel // 2 + 1) // 2
    x = layers.conv3d_of_upsampled(expand(x, reach), kernels[-2])[:, 2 * reach:]
    x = nn.relu(x + biases[-2])
    return jnp.tanh(_correlate(x, kernels[-1]) + biases[-1])[..., 0]


def _first(maps: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns the half map of the first layer, from whole Patterson maps (B, N, N, N, 1), without its bias."""
    taps = kernel.shape[0] - 1  # the first is 0
    before = taps // 2 - 1
    start = maps.shape[1] // 2 - before
    sides = (before, taps // 2)
    return convolutions.correlate(maps[:, start:], kernel[1:, 1:, 1:], ((0, taps // 2), sides, sides))


def _correlate(half: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns the half map of a convolution of a half map."""
    if kernel.shape[0] >= _SPECTRAL_TAPS:
        return centrosymmetric_convolution.correlate_half(half, kernel)
    reach = kernel.shape[0] // 2
    sides = (reach, reach)
    return convolutions.correlate(expand(half, reach), kernel, ((0, reach), sides, sides))
