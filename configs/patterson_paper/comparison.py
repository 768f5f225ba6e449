"""The baseline of the paper's trainings from scratch (figures 8 and 9): 100 epochs of 3,000 examples.

The examples are made anew every 3 epochs.

    python -m launch.train --config=configs/patterson_paper/comparison.py --workdir=work/comparison/baseline

The variants of the baseline are single10, single20, box18, box24 and batch_norm; twin.py holds each of them at small
scale. Expected, as the paper reports: without the inverse, or in a box of 24 voxels, the network hardly learns; in a
box of 18 voxels it learns in part.
"""

from ml_collections import ConfigDict

from configs.patterson_paper import published

EPOCHS = 100


def get_config() -> ConfigDict:
    config = published.get_config()
    config.examples.count = 3000
    config.validation.count = 300
    config.ema_decay = 0.0
    config.optimizer.schedule = "constant"
    return set_epochs(config)


def set_epochs(config: ConfigDict) -> ConfigDict:
    """Sets the numbers of steps that follow from the examples, the batch and the epochs; returns the config."""
    epoch = -(-config.examples.count // config.batch_size)
    config.num_steps = EPOCHS * epoch
    config.examples.steps_a_set = 3 * epoch
    config.log_every = config.eval_every = epoch
    return config
