"""The paper's auto-encoder with 200 latent numbers from the beginning.

    python -m launch.train --config=configs/saxsae_published_direct.py --workdir=work/direct \\
        --config.corpus=work/corpus.npz

The paper says that its loss does not converge: compare ``loss`` in metrics.jsonl with that of the second stage.
"""

from configs import saxsae_published_stage1


def get_config():
    config = saxsae_published_stage1.get_config()
    config.model.latent_size = 200
    return config
