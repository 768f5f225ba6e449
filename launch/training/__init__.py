"""Trains a `Task`: its network, its examples and its loss. `launch.train` calls `train`.

1. `step` compiles a training step for all devices, in which the task makes its examples.
2. `loop` calls the step, logs, evaluates, saves checkpoints, and resumes from them.

Except for `phasenet.errors` and `phasenet.io.npz`, nothing here depends on phasenet or saxsae; the tasks are in
launch/tasks.
"""

from launch.training.defaults import base_config
from launch.training.loop import TrainResult, train
from launch.training.task import Task

__all__ = ["Task", "TrainResult", "base_config", "train"]
