"""Trains the lean auto-encoder on shapes in their principal axes, for codes that gradient steps will refine."""

import functools

import jax

from launch.tasks.autoencoder import AutoencoderTask
from phasenet.errors import InputError
from saxsae import encoding, losses, pose, voxels


class RefinedAutoencoderTask(AutoencoderTask):
    """Cross-entropy plus one minus the soft correlation, which the refinement climbs.

    Config, beside that of AutoencoderTask: ``refinement.steps``, ``rate`` and ``sharpness``, which the release
    carries, and ``refinement.validation_steps`` in evaluations, fewer to save time.
    """

    free_fields = (*AutoencoderTask.free_fields, "refinement.steps", "refinement.validation_steps")

    def __init__(self, config):
        settings = config.refinement
        if min(settings.validation_steps, settings.steps) < 0:
            raise InputError("config.refinement: a number of steps below 0")
        self._settings = encoding.Refinement(settings.steps, settings.rate, settings.sharpness)
        super().__init__(config)
        if self.pose != "principal" or config.rotations:
            raise InputError(f"{config.corpus}: shapes in pose {self.pose!r}, rotations={config.rotations}; this task "
                             "needs 'principal' (launch.prepare_structures --poses) and config.rotations=False")

    def prepare(self, bits, keys):
        return _mirrored(bits, keys)

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

    def facts(self):
        return super().facts() | {"refinement": self._settings._asdict()}

    def _encode(self, params, maps):
        settings = self._settings._replace(steps=self.config.refinement.validation_steps)
        return encoding.refine(functools.partial(self.network.decode, params), self.network.encode(params, maps), maps,
                               0.5, settings)


@jax.jit
def _mirrored(bits, keys):
    """Packed maps (N, 3724) to the network's input (N, 32, 32, 32), each in one of eight mirrored poses."""
    return voxels.pad(jax.vmap(pose.mirror)(voxels.unpack(bits), keys))
