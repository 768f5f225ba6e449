"""The scale-up that the paper proposes: 20 atoms in the box of 12 voxels.

    python -m launch.train --config=configs/patterson_paper/atoms20.py --workdir=work/atoms20

Expected: nothing is published.
"""

from ml_collections import ConfigDict

from configs.patterson_paper import published


def get_config() -> ConfigDict:
    config = published.get_config()
    config.problem.atoms.num_atoms = 20
    return config
