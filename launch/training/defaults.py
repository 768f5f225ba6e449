"""Defines the config fields that every training has; each file of configs/ starts from them and overrides some."""

from typing import Any

from ml_collections import ConfigDict

from phasenet.errors import InputError

# Fields that may differ when a training is resumed, because they do not change what a step computes. There are two
# exceptions: num_steps ends a cosine schedule where optimizer.decay_steps is 0, and micro_batches changes rounding.
FREE_FIELDS = ("num_steps", "micro_batches", "steps_a_call", "log_every", "eval_every", "checkpoint_every",
               "checkpoint_minutes", "max_to_keep", "max_minutes", "max_loss_growth")

_LOWEST = {"batch_size": 1, "micro_batches": 1, "steps_a_call": 1, "num_steps": 1, "ema_decay": 0, "log_every": 1,
           "eval_every": 0, "checkpoint_every": 0, "checkpoint_minutes": 0, "max_to_keep": 1,
           "max_minutes": 0, "max_loss_growth": 0}


def base_config() -> ConfigDict:
    """Returns the common fields with their defaults; the comments in this function describe them."""
    config = ConfigDict()
    config.seed = 0  # seed of the initial parameters and of all randomness of the training
    config.task = ""  # "package.module:Class" of the task, which is called with this config
    config.batch_size = 64  # examples a step, over all devices
    config.micro_batches = 1  # parts in which a device computes its examples, one after another, to save memory
    config.steps_a_call = 1  # steps in one compiled call; above 1 it is faster for small networks on a GPU, not a CPU
    config.num_steps = 1000  # total number of steps; this number and the _every fields are multiples of steps_a_call
    config.ema_decay = 0.0  # above 0: evaluation and export use a running average of the parameters

    config.log_every = 100  # steps between lines of progress and rows of metrics.jsonl
    config.eval_every = 1000  # steps between evaluations (and exports); 0: only at the end
    config.checkpoint_every = 1000  # steps between checkpoints; 0: by time and at the end only
    config.checkpoint_minutes = 10.0  # minutes between checkpoints; 0: by steps only
    config.max_to_keep = 3  # number of newest checkpoints that are kept
    config.max_minutes = 0.0  # above 0: minutes after which the training saves and ends; the same command resumes it
    config.max_loss_growth = 100.0  # largest loss allowed, relative to that of the first row; 0: no limit

    config.optimizer = ConfigDict()
    config.optimizer.name = "adam"  # adam, adamw, sgd (with momentum b1), or muon (vectors by adam)
    config.optimizer.learning_rate = 1e-3  # the highest rate of the schedule
    config.optimizer.schedule = "constant"  # constant or cosine
    config.optimizer.warmup_steps = 0  # steps in which the rate rises linearly from 0
    config.optimizer.decay_steps = 0  # step at which a cosine ends, warm-up steps included; 0: num_steps
    config.optimizer.final_fraction = 0.0  # the rate at the end of a cosine, as a fraction of learning_rate
    config.optimizer.clip_norm = 0.0  # above 0: the global norm to which gradients are clipped
    config.optimizer.weight_decay = 0.0  # of adamw, on arrays of two or more dimensions
    config.optimizer.b1 = 0.9  # decay of the mean gradient, of muon only for vectors; the momentum of sgd
    config.optimizer.b2 = 0.999  # decay of the mean squared gradient, of adam, adamw and muon
    config.optimizer.eps = 1e-8  # added to the root of the mean squared gradient, of adam and adamw
    return config


def check_config(config: Any) -> None:
    """Checks the common fields of a config.

    Raises:
      InputError: a field is missing, out of its range, or not a multiple of steps_a_call.
    """
    for name in base_config():
        if name not in config:
            raise InputError(f"config.{name} is missing: start from launch.training.base_config()")
    for name, lowest in _LOWEST.items():
        if not config[name] >= lowest:
            raise InputError(f"config.{name}={config[name]}: expected at least {lowest}")
    for name in ("num_steps", "log_every", "eval_every", "checkpoint_every"):
        if config[name] % config.steps_a_call:
            raise InputError(f"config.{name}={config[name]}: expected a multiple of config.steps_a_call="
                             f"{config.steps_a_call}")
    if not config.ema_decay < 1:
        raise InputError(f"config.ema_decay={config.ema_decay}: expected less than 1")
