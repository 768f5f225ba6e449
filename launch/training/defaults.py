"""The config fields that every training has; a file in configs/ starts from here and overrides."""

from ml_collections import ConfigDict

# Fields that may change when a run is resumed: they steer the loop, not what it computes at a step.
# (num_steps also ends the learning rate's schedule unless optimizer.decay_steps is given.)
FREE_FIELDS = (
    "num_steps", "log_every", "eval_every", "checkpoint_every", "checkpoint_minutes", "max_to_keep", "max_minutes")


def base_config() -> ConfigDict:
    """The common fields with their defaults."""
    config = ConfigDict()
    config.seed = 0  # initial parameters and all training randomness
    config.task = ""  # "package.module:Class", called with this config
    config.batch_size = 64  # examples a step, over all devices
    config.num_steps = 1000  # optimizer steps in all
    config.ema_decay = 0.0  # > 0: evaluation and export use the running average of the parameters

    config.log_every = 100  # steps between lines of progress and rows of metrics.jsonl
    config.eval_every = 1000  # steps between evaluations (and exports); 0: only at the end
    config.checkpoint_every = 1000  # steps between checkpoints; 0: by time and at the end only
    config.checkpoint_minutes = 10.0  # and minutes between them; 0: by steps only
    config.max_to_keep = 3  # newest checkpoints kept
    config.max_minutes = 0.0  # > 0: save and leave after so long; the next run goes on

    config.optimizer = ConfigDict()
    config.optimizer.name = "adam"  # adam, adamw or sgd (momentum b1)
    config.optimizer.learning_rate = 1e-3  # its highest value
    config.optimizer.schedule = "constant"  # constant or cosine
    config.optimizer.warmup_steps = 0  # linear rise from 0
    config.optimizer.decay_steps = 0  # where a cosine ends, warmup included; 0: at num_steps
    config.optimizer.final_fraction = 0.0  # of learning_rate at the cosine's end
    config.optimizer.clip_norm = 0.0  # > 0: gradients are cut to this global norm
    config.optimizer.weight_decay = 0.0  # adamw only; on arrays of two and more dimensions
    config.optimizer.b1 = 0.9
    config.optimizer.b2 = 0.999
    config.optimizer.eps = 1e-8
    return config
