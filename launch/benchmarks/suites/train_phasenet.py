"""Suite "train_phasenet": the published Patterson network, 4 maps of 40^3, against PyTorch.

One step is the value, all gradients and Adam; making the examples is suite synthesis's. The effective GFLOP/s count
direct convolutions, of which ours does a small part (phasenet/networks/fourier_convolution.py): no floor can be told.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from launch.benchmarks import bars, torch_peer, training
from launch.benchmarks.timing import Row
from phasenet.networks import losses, published

MOST_OF_PYTORCH = 0.8
BATCH, GRID = 4, 40


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """The step and the forward pass, each as a share of PyTorch's time."""
    shares = training.measure(job(), lambda row: report(row._replace(floor_seconds=None)), seconds=30)
    return {f"{name}_of_pytorch": share for name, share in shares.items()} | {
        "bars": [bars.at_most(f"{name}, of PyTorch's time", share, MOST_OF_PYTORCH) for name, share in shares.items()]}


def job(batch: int = BATCH, grid: int = GRID, architecture: published.ConvolutionalArchitecture = published.PUBLISHED) -> training.TrainingStep:
    """Random maps: the work does not depend on them."""
    random = np.random.default_rng(0)
    x, target = random.random((2, batch, grid, grid, grid), np.float32)
    network = published.PattersonNetwork(architecture)

    def peer(params, memory_format):
        return torch_peer.ways(torch_peer.patterson(params["params"]), x[:, None], target[:, None],
                               lambda y, target: ((y - target) ** 2).mean(), memory_format)

    return training.TrainingStep(
        "published Patterson network", lambda key: network.init(key, x[:1]), network.apply,
        losses.mean_squared_error, x, target, peer, tuple(torch_peer.FORMATS), lambda y: y[:, 0],
        2.0 * batch * multiplications(architecture, grid))


def multiplications(architecture: published.ConvolutionalArchitecture, grid: int) -> int:
    """Of the forward pass of one map, each convolution done directly."""
    wide, outer, inner = architecture.features, architecture.outer_kernel**3, architecture.inner_kernel**3
    full = grid**3 * outer * (wide + wide**2 + wide**2 + wide)
    return full + (grid // 2) ** 3 * inner * wide**2 * architecture.inner_layers
