"""The baseline trained on 20 atoms alone, without their inverse (paper, figure 8).

    python -m launch.train --config=configs/patterson_paper/single20.py --workdir=work/comparison/single20

Expected: see the baseline, configs/patterson_paper/comparison.py.
"""

from ml_collections import ConfigDict

from configs.patterson_paper import comparison


def get_config() -> ConfigDict:
    config = comparison.get_config()
    config.problem.target = "single"
    config.problem.atoms.num_atoms = 20
    return config
