"""Trained on the 10 atoms alone, without their inverse; the loss doubled, to compare with 20 atoms (paper, figure 8).

    python -m launch.train --config=configs/patterson_paper/single10.py --workdir=work/comparison/single10

Expected: see the baseline, configs/patterson_paper/comparison.py.
"""

from ml_collections import ConfigDict

from configs.patterson_paper import comparison


def get_config() -> ConfigDict:
    config = comparison.get_config()
    config.problem.target = "single"
    config.loss_factor = 2.0
    return config
