"""Writes the released weights of a training of phasenet; `patterson` and `dual_space` call `write`."""

import pathlib
from typing import Any

import jax

from launch.machine import provenance
from phasenet import pretrained
from phasenet.maps.synthesis import Problem


def write(workdir: str | pathlib.Path, params: dict[str, Any], architecture: pretrained.Architecture,
          problem: Problem, *, config: Any, step: int, scores: dict[str, float]) -> None:
    """Writes WORKDIR/weights, which `phasenet.pretrained.load` reads, with the provenance of the training.

    Args:
      workdir: folder in which the folder "weights" is made.
      params: parameters of the network, on the device.
      architecture: kind and sizes of the network.
      problem: atoms and maps that the network is for.
      config: config of the training.
      step: number of steps done.
      scores: metrics of the last evaluation.
    """
    info = {"step": step, "seed": config.seed, **provenance.describe_code(), "validation": scores,
            "config": config.to_dict()}
    pretrained.save(pathlib.Path(workdir) / "weights", jax.device_get(params), architecture, problem, info)
