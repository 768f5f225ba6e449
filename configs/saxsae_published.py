r"""The SAXS paper's auto-encoder, trained on a CPU: a quarter of the channels first, then half, then all.

    python -m launch.train --config=configs/saxsae_published.py:quarter --workdir=work/quarter --config.corpus=work/corpus.npz
    python -m launch.train --config=configs/saxsae_published.py:half --workdir=work/half --init_from=work/quarter --config.corpus=work/corpus.npz
    python -m launch.train --config=configs/saxsae_published.py:whole --workdir=work/published --init_from=work/half --config.corpus=work/corpus.npz

The third training makes the released weights `published`. The first starts as the principal components of the corpus;
each of the others starts with a network that computes the same as the one before
(saxsae/networks/published_start.py). The paper's own training, in two stages, is configs/saxs_paper.
Expected: saxsae/README.md.
"""

from ml_collections import ConfigDict

from configs.saxs_paper import direct

# Channels of the first block; steps; learning rate.
_TRAININGS = {"quarter": (16, 1400, 4e-4), "half": (32, 500, 3e-4), "whole": (64, 150, 2e-4)}


def get_config(name: str = "quarter") -> ConfigDict:
    config = direct.get_config()
    config.model.width, config.num_steps, config.optimizer.learning_rate = _TRAININGS[name]
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
    config.log_every = 20
    config.eval_every = 200
    return config
