"""Reads and writes weights of the learned iteration for crystals; the format is that of `phasenet.io.releases`.

A training (configs/phasenet_crystals.py) writes them to WORKDIR/weights:

    config.json   the architecture, and where the weights come from
    params.npz    the parameters
"""

import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from phasenet.crystal.learned import features
from phasenet.crystal.learned.features import LearnedInput
from phasenet.crystal.learned.iteration import LearnedWeights
from phasenet.crystal.learned.learned_round import LearnedArchitecture, LearnedRound
from phasenet.crystal.phasing import AmplitudeConstraint, PhasingState
from phasenet.errors import InputError
from phasenet.io import releases
from phasenet.pretrained import find_weights

DEFAULT = "crystals"
KIND = "crystal_phasing"
_MAX_SIZE = 512


class PretrainedCrystals(NamedTuple):
    """Released weights, ready for use.

    Attributes:
      weights: architecture and parameters.
      info: the content of `config.json`: scores, seed, revision.
    """

    weights: LearnedWeights
    info: dict[str, Any]


def save(folder: pathlib.Path, params: dict[str, Any], architecture: LearnedArchitecture, info: dict[str, Any]) -> None:
    """Writes the parameters and `config.json` of a release.

    Args:
      folder: made if it does not exist.
      params: nested dicts of arrays, written as float16.
      architecture: sizes of the network.
      info: further fields of `config.json`, such as where the weights come from.
    """
    releases.write_params(folder / "params.npz", params)
    releases.write_config(folder, {"architecture": {"kind": KIND} | architecture._asdict(), **info})


def load(name: str = DEFAULT) -> PretrainedCrystals:
    """Reads released weights by name or folder.

    Raises:
      InputError: the folder is missing, a file is damaged, or the arrays do not fit `config.json`.
    """
    folder = find_weights(name)
    info = releases.read_config(folder)
    fields = info.get("architecture")
    if not isinstance(fields, dict) or fields.get("kind") != KIND:
        raise InputError(f"{folder / releases.CONFIG}: not the weights of an iteration for crystals; "
                         "launch.train --config=configs/phasenet_crystals.py makes such")
    architecture = architecture_from({name: value for name, value in fields.items() if name != "kind"})
    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), architecture))
    params = releases.read_params(folder / "params.npz", shapes, f"the architecture in {releases.CONFIG}")
    return PretrainedCrystals(LearnedWeights(architecture, params), info)


def architecture_from(fields: dict[str, Any]) -> LearnedArchitecture:
    """Makes an architecture from a mapping of its fields.

    Raises:
      InputError: a field is unknown, or its value is not possible.
    """
    for name, value in fields.items():
        if name not in LearnedArchitecture._fields:
            raise InputError(f"architecture: no field {name!r}; it has {', '.join(LearnedArchitecture._fields)}")
        if type(value) is not int or not 1 <= value <= _MAX_SIZE:
            raise InputError(f"architecture: {name}={value!r}: expected a whole number from 1 to {_MAX_SIZE}")
    return LearnedArchitecture(**fields)


def init_params(key: jax.Array, architecture: LearnedArchitecture) -> Any:
    """Draws fresh parameters, with which the learned iteration equals the untrained one."""
    shape, half = (4, 4, 4), (4, 4, 3)
    data = LearnedInput(AmplitudeConstraint(jnp.ones(half), jnp.ones(half, bool), jnp.ones(half, bool), jnp.ones(())),
                        jnp.ones((features.NUM_PROFILES, *half)), jnp.zeros(features.NUM_CONDITIONS))
    state = PhasingState(jnp.ones(shape), jnp.ones(shape), jnp.ones((1, 1, 1)), jnp.ones((1, 1, 1)))
    return LearnedRound(architecture).init(key, state, data)
