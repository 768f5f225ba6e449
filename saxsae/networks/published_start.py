"""Makes parameters from which the published auto-encoder trains in minutes instead of days.

1. `linear_decoder` puts a path through the decoder that decodes principal components of the training maps.
2. `fit_dense_layer` fits the encoder's dense layer to the codes of these components. The input of the layer is the
   output of random convolutions (`compute_features`).
3. `widen` puts a trained network of few channels into one of more channels with the same output.

`launch.tasks.autoencoder` calls these functions.
"""

from collections.abc import Mapping
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from saxsae.networks.autoencoder import scatter_sphere
from saxsae.shapes import principal_components
from saxsae.shapes.principal_components import Components

# Added to codes of unit variance and to occupancies, so that a ReLU cuts off few of them.
_CODE_OFFSET = 4.0
_OCCUPANCY_OFFSET = 0.5

_SPLINE = np.array([1, 4, 6, 4, 1], np.float32) / 8  # cubic, along one axis: the kernel of the second enlargement
_TAP = 3  # of the five of a transposed convolution of stride 2: the one that leads from voxel q to voxel 2 q
_RIDGE = 1e-3  # of the mean squared length of a map's features


def linear_decoder(decoder: Mapping[str, Any], components: Components) -> dict[str, Any]:
    """Returns a decoder that gives the logits of principal components, smoothed to half of the resolution.

    The first channel of each layer carries the occupancy: on 8^3 cells of 2^3 values, then on 16^3 and on 32^3 voxels.
    The other channels keep their random kernels; the last layer does not use them.

    Args:
      decoder: fresh parameters of an `autoencoder.PublishedDecoder`.
      components: K components for the K numbers of its code.

    Returns:
      Parameters of the same shapes.
    """
    linear = np.concatenate([(components.basis * components.sd).T, components.mean[None]]).astype(np.float32)
    coarse = _halve(np.asarray(scatter_sphere(linear, 0.0)))  # (K + 1, 16, 16, 16)
    cells = coarse.reshape(-1, 8, 2, 8, 2, 8, 2).transpose(0, 1, 3, 5, 2, 4, 6).reshape(-1, 8**3, 8)
    of_components, of_mean = cells[:-1], cells[-1]
    carried = {"kernel": of_components,
               "bias": of_mean + _OCCUPANCY_OFFSET - _CODE_OFFSET * of_components.sum(0)}

    def carry(random: jax.Array, values: np.ndarray) -> jax.Array:
        """Returns rows (..., 8^3 * 32) in which the first 8 channels of each cell are replaced."""
        channels = random.reshape(*random.shape[:-1], 8**3, -1)
        return channels.at[..., :8].set(values).reshape(random.shape)

    first, second, last = (decoder[name] for name in ("ConvTranspose3D_0", "ConvTranspose3D_1", "Conv3D_0"))
    to_voxels = first["kernel"].at[..., 0].set(0)
    for channel, (i, j, k) in enumerate(np.ndindex(2, 2, 2)):
        to_voxels = to_voxels.at[_TAP - i, _TAP - j, _TAP - k, channel, 0].set(1)
    spline = np.einsum("i,j,k->ijk", _SPLINE, _SPLINE, _SPLINE)
    gain = principal_components.LINEAR_GAIN
    return {
        "expand": {name: carry(decoder["expand"][name], values) for name, values in carried.items()},
        "ConvTranspose3D_0": {**first, "kernel": to_voxels},
        "ConvTranspose3D_1": {**second, "kernel": second["kernel"].at[..., 0].set(0).at[..., 0, 0].set(spline)},
        "Conv3D_0": {"kernel": jnp.zeros_like(last["kernel"]).at[1, 1, 1, 0, 0].set(gain),
                     "bias": jnp.full_like(last["bias"], -gain * (components.threshold + _OCCUPANCY_OFFSET))}}


def _halve(maps: np.ndarray) -> np.ndarray:
    """Returns the values (N, 16, 16, 16) whose enlargement by `_SPLINE` is nearest to maps (N, 32, 32, 32)."""
    tap = _TAP - (np.arange(32)[:, None] - 2 * np.arange(16))
    enlargement = np.where((tap >= 0) & (tap < 5), _SPLINE[np.clip(tap, 0, 4)], 0)
    inverse = np.linalg.pinv(enlargement)
    return np.einsum("ax,by,cz,nxyz->nabc", inverse, inverse, inverse, maps, optimize=True)


def compute_features(encoder: nn.Module, params: Mapping[str, Any], occupancy: ArrayLike) -> jax.Array:
    """Returns the output of the encoder's convolutions, the input of its dense layer.

    Args:
      encoder: an `autoencoder.PublishedEncoder`.
      params: its parameters.
      occupancy: (N, 32, 32, 32) maps, 0 to 1.

    Returns:
      (N, F), F = 8^3 * 2 width.
    """
    _, sown = encoder.apply({"params": params}, occupancy, mutable="intermediates")
    return cast(jax.Array, sown["intermediates"]["features"][0])


def fit_dense_layer(features: np.ndarray, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the dense layer that gives codes as `linear_decoder` expects them, by ridge regression.

    Args:
      features: (N, F) of N maps, see `compute_features`; N is less than F.
      codes: (N, K) codes of the same maps, of unit variance.

    Returns:
      "kernel" (F, K) and "bias" (K,) float32.
    """
    mean = features.mean(0)
    centred = features - mean
    gram = centred @ centred.T
    gram[np.diag_indices_from(gram)] += _RIDGE * np.trace(gram) / len(gram)
    kernel = centred.T @ np.linalg.solve(gram, codes - codes.mean(0)).astype(np.float32)
    return {"kernel": kernel, "bias": codes.mean(0).astype(np.float32) + _CODE_OFFSET - mean @ kernel}


def widen(params: Mapping[str, Any], narrow: Mapping[str, Any]) -> dict[str, Any]:
    """Returns parameters of more channels with which a network has the same output as with fewer channels.

    The narrow network's channels come first and read nothing from the new channels, which keep their kernels.

    Args:
      params: of the wide published auto-encoder, fresh.
      narrow: of a narrow one with the same latent size.

    Returns:
      Parameters of the shapes of `params`.
    """
    def put(path: tuple[Any, ...], wide: jax.Array, old: jax.Array) -> jax.Array:
        if old.ndim == 1:
            return wide.at[:len(old)].set(old)
        shape = wide.shape
        if path[-2].key == "latent":  # its rows are the channels of 8^3 cells
            old, wide = (kernel.reshape(8**3, -1, kernel.shape[-1]) for kernel in (old, wide))
        read, made = old.shape[-2:]
        return wide.at[..., :made].set(0).at[..., :read, :made].set(old).reshape(shape)

    return jax.tree_util.tree_map_with_path(put, dict(params), dict(narrow))
