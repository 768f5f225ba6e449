"""Trained on the 10 atoms alone, without their inverse; the loss doubled, to compare with 20 atoms (paper, figure 8).

    python -m launch.train --config=configs/phasenet_single10.py --workdir=work/comparison/single10

Expected: see the baseline, configs/phasenet_comparison.py.
"""

from configs import phasenet_comparison


def get_config():
    config = phasenet_comparison.get_config()
    config.problem.target = "single"
    config.loss_factor = 2.0
    return config
