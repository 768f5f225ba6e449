"""Atoms in a box of 24 voxels instead of 12: the Patterson map wraps around (paper, figure 9).

    python -m launch.train --config=configs/phasenet_box24.py --workdir=work/comparison/box24

Expected: see the baseline, configs/phasenet_comparison.py.
"""

from configs import phasenet_comparison


def get_config():
    config = phasenet_comparison.get_config()
    config.problem.atoms.inner_box = 24.0
    return config
