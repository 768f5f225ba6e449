"""Atoms in a box of 24 voxels instead of 12: the Patterson map wraps around (paper, figure 9).

    python -m launch.train --config=configs/patterson_paper/box24.py --workdir=work/comparison/box24

Expected: see the baseline, configs/patterson_paper/comparison.py.
"""

from ml_collections import ConfigDict

from configs.patterson_paper import comparison


def get_config() -> ConfigDict:
    config = comparison.get_config()
    config.problem.atoms.inner_box = 24.0
    return config
