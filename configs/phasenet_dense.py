"""The paper's problem, 10 atoms in a box of 12 voxels, for the dense network.

    python -m launch.train --config=configs/phasenet_dense.py --workdir=work/dense

Expected: not known yet; see "What waits for a GPU" in BUILD_NOTES.md.
"""

from ml_collections import ConfigDict

from configs import phasenet_small
from configs.patterson_paper import published


def get_config() -> ConfigDict:
    config = published.get_config()
    small = phasenet_small.get_config()
    config.model = small.model
    config.model.width = 1024
    config.model.blocks = 4
    config.model.patterson_reach = 14  # voxels: two atoms are at most 12 apart on an axis, and their spheres add 2
    config.model.density_reach = 7  # voxels: half the box and an atom's radius
    config.batch_size = 512
    config.num_steps = 100_000
    config.ema_decay = 0.999
    config.optimizer = small.optimizer
    config.eval_every = 1000
    return config
