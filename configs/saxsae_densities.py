r"""The density head of the lean auto-encoder, and the bank of structures; ten minutes each on one core.

    python -m launch.train --config=configs/saxsae_densities.py --workdir=work/densities \
        --config.structures=STRUCTURES --config.corpus=work/corpus.npz
    python -m launch.datasets.make_bank --structures=STRUCTURES --corpus=work/corpus.npz --weights=lean \
        --density=work/densities --output=work/lean
"""

from ml_collections import ConfigDict

from launch.training import base_config


def get_config() -> ConfigDict:
    config = base_config()
    config.task = "launch.tasks.densities:DensitiesTask"
    config.structures = "STRUCTURES"  # the value of --input of launch.prepare_structures
    config.corpus = "work/corpus.npz"  # what launch.prepare_structures wrote
    config.weights = "lean"
    config.count = 900  # structures for training
    config.validation = 100  # structures of the validation split
    config.width = 16  # channels of the hidden layers

    config.batch_size = 8
    config.num_steps = 1200
    config.ema_decay = 0.99
    config.optimizer.learning_rate = 5e-3
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 20
    config.optimizer.final_fraction = 0.01
    config.optimizer.clip_norm = 1.0
    config.log_every = 100
    config.eval_every = 600
    config.checkpoint_minutes = 2.0
    return config
