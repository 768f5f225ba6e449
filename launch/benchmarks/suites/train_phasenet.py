"""Suite "train_phasenet": training steps of the published Patterson network, 4 maps of 40^3, against PyTorch.

A step is the loss, all gradients and Adam; suite synthesis measures the examples. GFLOP/s count the operations of
direct convolutions. Ours needs far fewer (`phasenet.networks.fourier_convolution`), so the rows have no floor.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from launch.benchmarks import bars, torch_peer, training
from launch.benchmarks.timing import Row
from phasenet.networks import losses, published

MOST_OF_PYTORCH = 0.8  # largest ratio of our time over PyTorch's
BATCH, GRID = 4, 40  # maps, voxels per edge


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """Measures the forward pass and the training step.

    Args:
      report: receives each row as soon as it is measured.

    Returns:
      Our time over PyTorch's for both, and bars.

    Raises:
      AssertionError: PyTorch's results are not ours.
    """
    shares = training.measure(job(), lambda row: report(row._replace(floor_seconds=None)), seconds=30)
    return {f"{name}_of_pytorch": share for name, share in shares.items()} | {
        "bars": [bars.at_most(f"{name}, of PyTorch's time", share, MOST_OF_PYTORCH) for name, share in shares.items()]}


def job(batch: int = BATCH, grid: int = GRID,
        architecture: published.ConvolutionalArchitecture = published.PUBLISHED) -> training.TrainingStep:
    """Returns the training step of a Patterson network on random maps (the time does not depend on their values).

    Args:
      batch: number of maps.
      grid: edge of the maps, voxels.
      architecture: architecture of the network.
    """
    random = np.random.default_rng(0)
    x, target = random.random((2, batch, grid, grid, grid), np.float32)
    network = published.PattersonNetwork(architecture)

    def peer(params: Any, memory_format: str | None) -> torch_peer.TorchPrograms:
        return torch_peer.make_programs(torch_peer.patterson(params["params"]), x[:, None], target[:, None],
                                        lambda y, target: ((y - target) ** 2).mean(), memory_format)

    return training.TrainingStep(
        "published Patterson network", lambda key: network.init(key, x[:1]), network.apply,
        losses.mean_squared_error, x, target, peer, tuple(torch_peer.FORMATS), lambda y: y[:, 0],
        2.0 * batch * multiplications(architecture, grid))


def multiplications(architecture: published.ConvolutionalArchitecture, grid: int) -> int:
    """Returns the number of multiplications in the forward pass of one map of grid^3, by direct convolutions."""
    wide, outer, inner = architecture.features, architecture.outer_kernel**3, architecture.inner_kernel**3
    full = grid**3 * outer * (wide + wide**2 + wide**2 + wide)
    return full + (grid // 2) ** 3 * inner * wide**2 * architecture.inner_layers
