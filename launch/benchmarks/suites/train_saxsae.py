"""Suite "train_saxsae": training steps of the auto-encoders against PyTorch.

The published auto-encoder takes 4 maps of 32^3 in a step, the lean one 64.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch.nn import functional

from launch.benchmarks import bars, torch_peer, training
from launch.benchmarks.suites import conv
from launch.benchmarks.timing import Row
from saxsae.networks import autoencoder, losses

MOST_OF_PYTORCH = {"published": 1.5, "lean": 1.2}  # largest ratio of our time over PyTorch's
BATCH = {"published": 4, "lean": 64}  # maps
LATENT = 200  # numbers of a code


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """Measures the forward pass and the training step of both auto-encoders.

    Args:
      report: receives each row as soon as it is measured.

    Returns:
      Our time over PyTorch's for each, and bars for the training steps.

    Raises:
      AssertionError: PyTorch's results are not ours.
    """
    summary: dict[str, float] = {}
    held: list[bars.Bar] = []
    for kind, most in MOST_OF_PYTORCH.items():
        shares = training.measure(job(kind, BATCH[kind]), report, seconds={"published": 30, "lean": 8}[kind])
        summary |= {f"{kind}_{name}_of_pytorch": share for name, share in shares.items()}
        held.append(bars.at_most(f"{kind}, step, of PyTorch's time", shares["step"], most))
    return summary | {"bars": held}


def job(kind: str, batch: int) -> training.TrainingStep:
    """Returns the training step of an auto-encoder on random maps (the time does not depend on their values).

    Args:
      kind: "published" or "lean".
      batch: number of maps.
    """
    maps = (np.random.default_rng(0).random((batch, 32, 32, 32)) > 0.8).astype(np.float32)
    network = autoencoder.make_autoencoder(kind, LATENT)
    published = kind == "published"
    mirrored = maps[:, ::-1, ::-1, ::-1] if published else maps

    def peer(params: Any, memory_format: str | None) -> torch_peer.TorchPrograms:
        module = torch_peer.autoencoder(params) if published else torch_peer.Lean(params)
        return torch_peer.make_programs(module, mirrored[:, None], mirrored[:, None],
                                        functional.binary_cross_entropy_with_logits, memory_format)

    def output(y: np.ndarray) -> np.ndarray:
        return y[:, 0, ::-1, ::-1, ::-1] if published else y[:, 0]

    return training.TrainingStep(
        f"{kind} auto-encoder", network.init, lambda params, x: network.decode(params, network.encode(params, x)),
        losses.cross_entropy, maps, maps, peer, tuple(torch_peer.FORMATS) if published else (None,), output,
        2.0 * batch * conv.autoencoder_multiplications(LATENT) if published else None)
