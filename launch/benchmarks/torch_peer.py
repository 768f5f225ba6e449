"""Makes the networks in PyTorch from our parameters: the peer of suites train_phasenet and train_saxsae.

The networks are written as a PyTorch user would write them, and run on oneDNN. The published auto-encoder is mirrored
in space, because PyTorch's transposed convolution puts its odd zero on the other side than XLA's. From a mirrored map,
the mirrored network makes the mirror image of our output.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from saxsae.networks import autoencoder as model
from saxsae.shapes import voxels

FORMATS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last_3d}


class TorchPrograms(NamedTuple):
    """The two programs that are timed.

    Attributes:
      step: one training step; returns the loss before the step.
      forward: the forward pass without gradients; returns the output.
    """

    step: Callable[[], Any]
    forward: Callable[[], Any]


def make_programs(network: nn.Module, x: np.ndarray, target: np.ndarray,
                  loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], memory_format: str | None,
                  ) -> TorchPrograms:
    """Returns the training step (Adam at 1e-3) and the forward pass of a network on one batch.

    Args:
      network: the network, which is trained in place.
      x: (B, 1, N, N, N) float32, the input.
      target: (B, 1, N, N, N) float32, what the output is compared with.
      loss: returns the scalar loss of output and target.
      memory_format: a key of `FORMATS`; None for networks without convolutions.
    """
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    batch, wanted = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(np.ascontiguousarray(target))
    if memory_format is not None:
        network = network.to(memory_format=FORMATS[memory_format])
        batch = batch.to(memory_format=FORMATS[memory_format])
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(network(batch), wanted)
        value.backward()
        optimizer.step()
        return value.detach()

    def forward() -> torch.Tensor:
        with torch.no_grad():
            return network(batch)

    return TorchPrograms(step, forward)


def patterson(params: dict) -> nn.Sequential:
    """Returns `phasenet.networks.published.PattersonNetwork` in PyTorch: (B, 1, N, N, N) to (B, 1, N, N, N).

    Args:
      params: Flax parameters of the network, without the collection's name.
    """
    convolutions = [_conv(params[f"Conv3D_{i}"]) for i in range(len(params))]
    parts = []
    for number, layer in enumerate(convolutions[:-1]):
        if number == 2:
            parts.append(nn.MaxPool3d(2))
        if number == len(convolutions) - 2:
            parts.append(nn.Upsample(scale_factor=2))
        parts += [layer, nn.ReLU()]
    return nn.Sequential(*parts, convolutions[-1], nn.Tanh())


def autoencoder(params: dict) -> nn.Sequential:
    """Returns the published auto-encoder of `saxsae.networks.autoencoder` in PyTorch, mirrored in all three axes.

    The network takes occupancies (B, 1, 32, 32, 32) and returns logits (B, 1, 32, 32, 32).

    Args:
      params: Flax parameters of "encoder" and "decoder".
    """
    encoder, decoder = params["encoder"], params["decoder"]
    parts, layers = [], [_conv(encoder[f"Conv3D_{i}"], mirrored=True) for i in range(7)]
    for block in (layers[:2], layers[2:4], layers[4:]):
        parts += [*block, nn.ReLU(), nn.MaxPool3d(2)]
    parts.pop()
    latent = np.asarray(encoder["latent"]["kernel"])
    latent = latent.reshape(8, 8, 8, 128, -1)[::-1, ::-1, ::-1].transpose(3, 0, 1, 2, 4).reshape(latent.shape)
    expand = {name: np.asarray(value).reshape(-1, 8, 8, 8, 32)[:, ::-1, ::-1, ::-1].transpose(0, 4, 1, 2, 3)
              for name, value in decoder["expand"].items()}
    size = encoder["latent"]["kernel"].shape[-1]
    parts += [nn.Flatten(), _dense(latent, encoder["latent"]["bias"]), nn.ReLU(),
              _dense(expand["kernel"].reshape(size, -1), expand["bias"].reshape(-1)), nn.ReLU(),
              nn.Unflatten(1, (32, 8, 8, 8))]
    for i in range(2):
        parts += [_conv_transpose(decoder[f"ConvTranspose3D_{i}"]), nn.ReLU()]
    return nn.Sequential(*parts, _conv(decoder["Conv3D_0"], mirrored=True))


class Lean(nn.Module):
    """The lean auto-encoder of `saxsae.networks.autoencoder` in PyTorch: (B, 1, 32, 32, 32) to logits of that shape.

    Args:
      params: Flax parameters of "encoder" and "decoder".
    """

    def __init__(self, params: dict) -> None:
        super().__init__()
        encoder, decoder = ({name: _dense(**layer) for name, layer in params[part].items()}
                            for part in ("encoder", "decoder"))
        self.encoder, self.decoder = nn.ModuleDict(encoder), nn.ModuleDict(decoder)
        self.blocks = torch.from_numpy(np.flatnonzero(model.pooled_mask()))
        inside = np.pad(voxels.sphere_mask(), ((0, 1),) * 3).reshape(-1)
        self.source = torch.from_numpy(np.where(inside, np.cumsum(inside) - 1, inside.sum()))

    def forward(self, occupancy: torch.Tensor) -> torch.Tensor:
        """Returns logits of occupancies, both (B, 1, 32, 32, 32)."""
        x = nn.functional.avg_pool3d(occupancy, 2).flatten(1)[:, self.blocks]
        latent = self.encoder["linear"](x)
        for name in _hidden(self.encoder):
            x = torch.relu(self.encoder[name](x))
        latent = latent + self.encoder["correction"](x)
        first, *rest = _hidden(self.decoder)
        y = torch.relu(self.decoder[first](latent))
        for name in rest:
            y = torch.relu(self.decoder[name](torch.cat([latent, y], -1)))
        logits = self.decoder["linear"](latent) + self.decoder["correction"](y)
        padded = nn.functional.pad(logits, (0, 1), value=model.EMPTY_LOGIT)
        return padded[:, self.source].reshape(occupancy.shape)


def _hidden(layers: nn.ModuleDict) -> list[str]:
    """Returns the names of the hidden layers in their order."""
    return sorted(name for name in layers if name.startswith("Dense_"))


def _conv(params: dict, mirrored: bool = False) -> nn.Conv3d:
    """Returns a convolution of zero-padded maps from a kernel (k, k, k, in, out) and a bias (out,)."""
    kernel = np.asarray(params["kernel"])
    kernel = kernel[::-1, ::-1, ::-1] if mirrored else kernel
    layer = nn.Conv3d(*kernel.shape[3:], kernel.shape[0], padding=kernel.shape[0] // 2)
    return _filled(layer, kernel.transpose(4, 3, 0, 1, 2), params["bias"])


def _conv_transpose(params: dict) -> nn.ConvTranspose3d:
    """Returns a transposed convolution of stride 2 from a kernel (5, 5, 5, in, out) and a bias (out,)."""
    kernel = np.asarray(params["kernel"])
    layer = nn.ConvTranspose3d(*kernel.shape[3:], kernel.shape[0], stride=2, padding=2, output_padding=1)
    return _filled(layer, kernel.transpose(3, 4, 0, 1, 2), params["bias"])


def _dense(kernel: np.ndarray, bias: np.ndarray | None = None) -> nn.Linear:
    """Returns a dense layer from a kernel (in, out) and a bias (out,)."""
    layer = nn.Linear(*np.shape(kernel), bias=bias is not None)
    return _filled(layer, np.asarray(kernel).T, bias)


def _filled(layer: nn.Module, weight: np.ndarray, bias: np.ndarray | None) -> nn.Module:
    """Copies weight and bias, in PyTorch's layout, into a layer and returns the layer."""
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.array(weight)))
        if bias is not None:
            layer.bias.copy_(torch.from_numpy(np.array(bias)))
    return layer
