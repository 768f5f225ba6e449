"""What a training of phasenet leaves for release."""

import pathlib
from typing import Any

import jax

from launch.machine import provenance
from phasenet import pretrained
from phasenet.maps.synthesis import Problem


def write(workdir: str | pathlib.Path, params: dict, architecture: pretrained.Architecture, problem: Problem, *,
          config: Any, step: int, scores: dict[str, float]) -> None:
    """workdir/weights, as `pretrained.load` takes it, with where it comes from; scores: of the validation."""
    info = {"step": step, "seed": config.seed, **provenance.code(), "validation": scores, "config": config.to_dict()}
    pretrained.save(pathlib.Path(workdir) / "weights", jax.device_get(params), architecture, problem, info)
