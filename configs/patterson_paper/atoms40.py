"""The scale-up that the paper proposes: 40 atoms, in a box of 20 (the Patterson map just wraps around).

    python -m launch.train --config=configs/patterson_paper/atoms40.py --workdir=work/atoms40

Expected: nothing is published.
"""

from configs.patterson_paper import published


def get_config():
    config = published.get_config()
    config.problem.atoms.num_atoms = 40
    config.problem.atoms.inner_box = 20.0
    return config
