"""Trains the lean auto-encoder for codes that are refined by gradient steps.

The corpus holds each structure in several poses (`launch.prepare_structures --poses`).
configs/saxsae_lean_refined.py names the task.
"""

import functools
from typing import Any

import jax
import numpy as np

from launch.tasks.autoencoder import AutoencoderTask
from launch.training.state import PyTree
from phasenet.errors import InputError
from saxsae.networks import code_refinement, losses
from saxsae.shapes import voxels


class RefinedAutoencoderTask(AutoencoderTask):
    """Minimizes the cross-entropy plus one minus the soft correlation, which the refinement of codes maximizes.

    Config, in addition to that of `AutoencoderTask`:
      refinement.validation_steps: steps of the refinement in evaluations, fewer than in the release to save time.
    """

    free_fields: tuple[str, ...] = (*AutoencoderTask.free_fields, "refinement.validation_steps")

    def __init__(self, config: Any) -> None:
        settings = config.refinement
        if settings.validation_steps < 0:
            raise InputError(f"config.refinement.validation_steps={settings.validation_steps}: expected at least 0")
        self._settings = code_refinement.Refinement(settings.steps, settings.rate, settings.sharpness)
        super().__init__(config)
        if config.rotations:
            raise InputError("config.rotations: expected False, because this task only applies the 48 symmetries of "
                             "the grid; other poses come from launch.prepare_structures --poses")

    def prepare_maps(self, bits: jax.Array | np.ndarray, keys: jax.Array) -> jax.Array:
        """Returns the network's input (N, 32, 32, 32) from packed maps (N, 3724), each with a random symmetry."""
        return _unpack_and_turn(bits, keys)

    def evaluate(self, params: PyTree) -> dict[str, float]:
        """Returns the metrics of the refined codes, and "encoder_correlation", the correlation without refinement."""
        alone = self.score(params, self.network.encode)
        refined = self.score(params, self._encode)
        self._scores["encoder_correlation"] = alone["correlation"]
        return refined | {"encoder_correlation": alone["correlation"]}

    def loss(self, params: PyTree, batch: jax.Array, keys: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns the loss (), and "soft_correlation", the mean () over the batch."""
        network = self._trained_network
        logits = network.decode(params, network.encode(params, batch))
        correlation = losses.soft_correlation(logits, batch, 0.5, self._settings.sharpness).mean()
        return losses.cross_entropy(logits, batch) + 1 - correlation, {"soft_correlation": correlation}

    def _encode(self, params: PyTree, maps: jax.Array) -> jax.Array:
        """Returns the refined codes (N, K) of maps (N, 32, 32, 32)."""
        settings = self._settings._replace(steps=self.config.refinement.validation_steps)
        decode = functools.partial(self.network.decode, params)
        return code_refinement.refine(decode, self.network.encode(params, maps), maps, 0.5, settings)


@jax.jit
def _unpack_and_turn(bits: jax.Array, keys: jax.Array) -> jax.Array:
    """Returns the network's input (N, 32, 32, 32) from packed maps (N, 3724), each in one of 48 poses."""
    return voxels.pad(jax.vmap(voxels.random_symmetry)(voxels.unpack(bits), keys))
