"""The baseline trained on the 10 atoms alone, without their inverse (paper, figure 8).

The loss is doubled for comparison with the baseline, whose maps hold 20 atoms: 10 and their inverses.

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
