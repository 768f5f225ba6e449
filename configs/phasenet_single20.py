"""Trained on 20 atoms alone, without their inverse (paper, figure 8).

    python -m launch.train --config=configs/phasenet_single20.py --workdir=work/comparison/single20

Expected: see the baseline, configs/phasenet_comparison.py.
"""

from configs import phasenet_comparison


def get_config():
    config = phasenet_comparison.get_config()
    config.problem.target = "single"
    config.problem.atoms.num_atoms = 20
    return config
