"""Trains the lean auto-encoder for codes that gradient steps will refine, on maps that were voxelized in many poses."""

import functools

import jax

from launch.tasks.autoencoder import AutoencoderTask
from phasenet.errors import InputError
from saxsae.networks import code_refinement, losses
from saxsae.shapes import voxels


class RefinedAutoencoderTask(AutoencoderTask):
    """Cross-entropy plus one minus the soft correlation, which the refinement climbs.

    Config, beside that of AutoencoderTask: ``refinement.validation_steps`` in evaluations, fewer to save time.
    """

    free_fields = (*AutoencoderTask.free_fields, "refinement.validation_steps")

    def __init__(self, config):
        settings = config.refinement
        if settings.validation_steps < 0:
            raise InputError(f"config.refinement.validation_steps={settings.validation_steps}: expected at least 0")
        self._settings = code_refinement.Refinement(settings.steps, settings.rate, settings.sharpness)
        super().__init__(config)
        if config.rotations:
            raise InputError("config.rotations: this task turns maps on their grid alone; the poses between come from "
                             "launch.prepare_structures --poses")

    def prepare(self, bits, keys):
        return _turned(bits, keys)

    def evaluate(self, params):
        alone = self.judge(params, self.network.encode)
        refined = self.judge(params, self._encode)
        self._scores["encoder_correlation"] = alone["correlation"]
        return refined | {"encoder_correlation": alone["correlation"]}

    def loss(self, params, batch, keys):
        network = self._trained_network
        logits = network.decode(params, network.encode(params, batch))
        correlation = losses.soft_correlation(logits, batch, 0.5, self._settings.sharpness).mean()
        return losses.cross_entropy(logits, batch) + 1 - correlation, {"soft_correlation": correlation}

    def _encode(self, params, maps):
        settings = self._settings._replace(steps=self.config.refinement.validation_steps)
        return code_refinement.refine(functools.partial(self.network.decode, params), self.network.encode(params, maps), maps,
                               0.5, settings)


@jax.jit
def _turned(bits, keys):
    """Packed maps (N, 3724) to the network's input (N, 32, 32, 32), each in one of 48 poses."""
    return voxels.pad(jax.vmap(voxels.random_symmetry)(voxels.unpack(bits), keys))
