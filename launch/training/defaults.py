"""The config fields that every training has; a file of configs/ starts from them and overrides."""

from typing import Any

from ml_collections import ConfigDict

from phasenet.errors import InputError

# May change when a run is resumed: they steer the loop, not what it computes at a step. (num_steps
# also ends a cosine unless optimizer.decay_steps is given; micro_batches round otherwise.)
FREE_FIELDS = ("num_steps", "micro_batches", "steps_a_call", "log_every", "eval_every", "checkpoint_every",
               "checkpoint_minutes", "max_to_keep", "max_minutes", "max_loss_growth")

_LOWEST = {"batch_size": 1, "micro_batches": 1, "steps_a_call": 1, "num_steps": 1, "ema_decay": 0, "log_every": 1,
           "eval_every": 0, "checkpoint_every": 0, "checkpoint_minutes": 0, "max_to_keep": 1,
           "max_minutes": 0, "max_loss_growth": 0}


def base_config() -> ConfigDict:
    """The common fields with their defaults."""
    config = ConfigDict()
    config.seed = 0  # initial parameters and all randomness of the training
    config.task = ""  # "package.module:Class", called with this config
    config.batch_size = 64  # examples a step, over all devices
    config.micro_batches = 1  # parts of a device's examples, done in turn: the same with less memory
    config.steps_a_call = 1  # steps in one program: more for small networks on a GPU, not on a CPU
    config.num_steps = 1000  # optimizer steps in all; a multiple of steps_a_call, as what comes every so often
    config.ema_decay = 0.0  # > 0: evaluation and export use a running average of the parameters

    config.log_every = 100  # steps between lines of progress and rows of metrics.jsonl
    config.eval_every = 1000  # steps between evaluations (and exports); 0: only at the end
    config.checkpoint_every = 1000  # steps between checkpoints; 0: by time and at the end only
    config.checkpoint_minutes = 10.0  # minutes between checkpoints; 0: by steps only
    config.max_to_keep = 3  # newest checkpoints kept
    config.max_minutes = 0.0  # > 0: save and leave after so long; the same command goes on
    config.max_loss_growth = 100.0  # a mean loss above so many times the first row's ends the training; 0: none does

    config.optimizer = ConfigDict()
    config.optimizer.name = "adam"  # adam, adamw or sgd (with momentum b1)
    config.optimizer.learning_rate = 1e-3  # at its highest
    config.optimizer.schedule = "constant"  # constant or cosine
    config.optimizer.warmup_steps = 0  # linear rise from 0
    config.optimizer.decay_steps = 0  # where a cosine ends, warm-up included; 0: at num_steps
    config.optimizer.final_fraction = 0.0  # of learning_rate at the cosine's end
    config.optimizer.clip_norm = 0.0  # > 0: gradients are cut to this global norm
    config.optimizer.weight_decay = 0.0  # adamw's; on arrays of two and more dimensions
    config.optimizer.b1 = 0.9
    config.optimizer.b2 = 0.999
    config.optimizer.eps = 1e-8
    return config


def check_config(config: Any) -> None:
    """Raises InputError for a common field that is missing or out of its range."""
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
