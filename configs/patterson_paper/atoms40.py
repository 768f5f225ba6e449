"""The scale-up that the paper proposes: 40 atoms, in a box of 20 voxels (the Patterson map wraps around slightly).

    python -m launch.train --config=configs/patterson_paper/atoms40.py --workdir=work/atoms40

Expected: nothing is published.
"""

from ml_collections import ConfigDict

from configs.patterson_paper import published


def get_config() -> ConfigDict:
    config = published.get_config()
    config.problem.atoms.num_atoms = 40
    config.problem.atoms.inner_box = 20.0
    return config
