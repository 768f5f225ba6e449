"""Atoms in a box of 18 voxels instead of 12: vectors of the Patterson map begin to be ambiguous (paper, figure 9).

    python -m launch.train --config=configs/phasenet_box18.py --workdir=work/comparison/box18

Expected: see the baseline, configs/phasenet_comparison.py.
"""

from configs import phasenet_comparison


def get_config():
    config = phasenet_comparison.get_config()
    config.problem.atoms.inner_box = 18.0
    return config
