"""Suite "train_saxsae": training steps of the auto-encoders against PyTorch, 4 maps (published) and 64 (lean)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch.nn import functional

from launch.benchmarks import bars, torch_peer, training
from launch.benchmarks.suites import conv
from launch.benchmarks.timing import Row
from saxsae.networks import autoencoder, losses

MOST_OF_PYTORCH = {"published": 1.5, "lean": 1.2}
BATCH = {"published": 4, "lean": 64}
LATENT = 200


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """Steps and forward passes, each as a share of PyTorch's time; the bars are for the steps."""
    summary, held = {}, []
    for kind, most in MOST_OF_PYTORCH.items():
        shares = training.measure(job(kind, BATCH[kind]), report, seconds={"published": 30, "lean": 8}[kind])
        summary |= {f"{kind}_{name}_of_pytorch": share for name, share in shares.items()}
        held.append(bars.at_most(f"{kind}, step, of PyTorch's time", shares["step"], most))
    return summary | {"bars": held}


def job(kind: str, batch: int) -> training.TrainingStep:
    """Random maps: the work does not depend on them."""
    maps = (np.random.default_rng(0).random((batch, 32, 32, 32)) > 0.8).astype(np.float32)
    network = autoencoder.make_autoencoder(kind, LATENT)
    published = kind == "published"
    mirrored = maps[:, ::-1, ::-1, ::-1] if published else maps

    def peer(params, memory_format):
        module = torch_peer.autoencoder(params) if published else torch_peer.Lean(params)
        return torch_peer.ways(module, mirrored[:, None], mirrored[:, None],
                               functional.binary_cross_entropy_with_logits, memory_format)

    def output(y):
        return y[:, 0, ::-1, ::-1, ::-1] if published else y[:, 0]

    return training.TrainingStep(
        f"{kind} auto-encoder", network.init, lambda params, x: network.decode(params, network.encode(params, x)),
        losses.cross_entropy, maps, maps, peer, tuple(torch_peer.FORMATS) if published else (None,), output,
        2.0 * batch * conv.autoencoder_multiplications(LATENT) if published else None)
