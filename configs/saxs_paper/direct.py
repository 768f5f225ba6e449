r"""The paper's auto-encoder with 200 latent numbers from the beginning.

    python -m launch.train --config=configs/saxs_paper/direct.py --workdir=work/direct \
        --config.corpus=work/corpus.npz

The paper says that the loss of this network does not converge: compare `loss` in metrics.jsonl with
that of the second stage.
"""

from ml_collections import ConfigDict

from configs.saxs_paper import stage1


def get_config() -> ConfigDict:
    config = stage1.get_config()
    config.model.latent_size = 200
    return config
