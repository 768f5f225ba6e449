r"""The paper's auto-encoder, second stage: 200 latent numbers behind the first stage's frozen convolutions.

    python -m launch.train --config=configs/saxs_paper/stage2.py --workdir=work/stage2 \
        --init_from=work/stage1 --config.corpus=work/corpus.npz

Expected, as the paper reports on 542 reference models: mean correlation 0.88, 56% of them above 0.90.
"""

from ml_collections import ConfigDict

from configs.saxs_paper import stage1


def get_config() -> ConfigDict:
    config = stage1.get_config()
    config.model.latent_size = 200
    config.frozen_convolutions = True  # only the dense layers on both sides of the latent are trained
    config.optimizer.learning_rate = 1e-3
    return config
