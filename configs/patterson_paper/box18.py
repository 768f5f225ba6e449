"""Atoms in a box of 18 voxels instead of 12: vectors of the Patterson map begin to be ambiguous (paper, figure 9).

    python -m launch.train --config=configs/patterson_paper/box18.py --workdir=work/comparison/box18

Expected: see the baseline, configs/patterson_paper/comparison.py.
"""

from ml_collections import ConfigDict

from configs.patterson_paper import comparison


def get_config() -> ConfigDict:
    config = comparison.get_config()
    config.problem.atoms.inner_box = 18.0
    return config
