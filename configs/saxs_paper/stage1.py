r"""The paper's auto-encoder, first stage: 3000 latent numbers (decodeSAXS, section 2.2).

    python -m launch.train --config=configs/saxs_paper/stage1.py --workdir=work/stage1 \
        --config.corpus=work/corpus.npz

Expected, as the paper reports: about 90% of the 3000 numbers are zero for every structure (the evaluation's
`latents_always_zero`). Second stage: configs/saxs_paper/stage2.py. Without stages: configs/saxs_paper/direct.py.
"""

from ml_collections import ConfigDict

from configs import saxsae_lean


def get_config() -> ConfigDict:
    config = saxsae_lean.get_config()
    config.model.kind = "published"
    config.model.latent_size = 3000
    config.model.width = 64  # channels of the first block, half of those of the others
    config.micro_batches = 8  # 8 maps at a time, which takes 7 GB in all (launch.benchmark --suite=memory)
    config.num_steps = 11700  # 15 epochs of 50,000 structures, as in the public code
    config.ema_decay = 0.0
    config.linear_start = False
    config.refinement.steps = 0  # the paper's codes are the encoder's

    config.optimizer.learning_rate = 5e-4
    config.optimizer.schedule = "constant"
    config.optimizer.warmup_steps = 0
    config.optimizer.clip_norm = 0.0
    return config
