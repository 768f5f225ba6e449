"""Trains a Task: a pmapped step, a loop that saves and resumes. It knows no physics."""

from launch.training.defaults import base_config
from launch.training.loop import TrainResult, train
from launch.training.task import Task

__all__ = ["Task", "TrainResult", "base_config", "train"]
