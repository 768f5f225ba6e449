"""Loads the network that --weights names for measured crystals, and describes it for the log."""

from typing import Any

from launch.machine import provenance
from phasenet import crystal_pretrained, pretrained
from phasenet.crystal.learned.iteration import LearnedWeights

NONE = "none"


def load(name: str | None) -> tuple[LearnedWeights | None, dict[str, Any] | None]:
    """Returns the network and its description, both None where the name is "none".

    Args:
      name: of released weights, their folder, the workdir of a training, or "none"; None for the default.

    Raises:
      InputError: there are no such weights, or they are those of another network.
    """
    name = crystal_pretrained.DEFAULT if name is None else name
    if name == NONE:
        return None, None
    loaded = crystal_pretrained.load(name)
    return loaded.weights, provenance.describe_weights(name, pretrained.find_weights(name), loaded.info)
