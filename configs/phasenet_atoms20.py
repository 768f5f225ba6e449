"""The scale-up that the paper proposes: 20 atoms in the box of 12.

    python -m launch.train --config=configs/phasenet_atoms20.py --workdir=work/atoms20

Expected: nothing is published.
"""

from configs import phasenet_published


def get_config():
    config = phasenet_published.get_config()
    config.problem.atoms.num_atoms = 20
    return config
