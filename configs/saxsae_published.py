"""The SAXS paper's auto-encoder, trained on a CPU: a quarter of its channels first, then all.

    python -m launch.train --config=configs/saxsae_published.py:quarter --workdir=work/quarter
    python -m launch.train --config=configs/saxsae_published.py:whole --workdir=work/published --init_from=work/quarter

The corpus is that of configs/saxsae_lean.py. The second training makes the released weights `published`. The first
starts as the principal components of the corpus; the second starts with a network that computes the same as the first
(saxsae/networks/published_start.py). The paper's own training, in two stages, is configs/saxs_paper.
Expected: saxsae/README.md.
"""

from ml_collections import ConfigDict

from configs.saxs_paper import direct

# Channels of the first block; number of steps; step at which the learning rate would reach its end; highest rate.
_TRAININGS = {"quarter": (16, 700, 1400, 4e-4), "whole": (64, 200, 200, 2e-4)}


def get_config(name: str = "quarter") -> ConfigDict:
    config = direct.get_config()
    (config.model.width, config.num_steps, config.optimizer.decay_steps,
     config.optimizer.learning_rate) = _TRAININGS[name]
    config.linear_start = name == "quarter"
    config.linear_samples = 6000
    config.batch_size = 16
    config.micro_batches = 1
    config.ema_decay = 0.99
    config.optimizer.name = "muon"
    config.optimizer.schedule = "cosine"
    config.optimizer.final_fraction = 0.02
    config.optimizer.warmup_steps = 20
    config.optimizer.clip_norm = 1.0
    config.log_every = 10
    config.eval_every = 100
    return config
