"""The Patterson paper's network, trained on a CPU: fewer atoms first, on the grids that hold their maps.

    python -m launch.train --config=configs/phasenet_published.py:small --workdir=work/small
    python -m launch.train --config=configs/phasenet_published.py:paper --workdir=work/paper --init_from=work/small
    python -m launch.train --config=configs/phasenet_published.py:whole --workdir=work/whole --init_from=work/paper

The layers are the paper's. Convolutions do not depend on the grid, and with atoms in a box of 12 voxels the Patterson
map is empty beyond 28; so the first two trainings have small grids, and the last one has the paper's, 40. The kernels
have the symmetries of the cube (phasenet/networks/published_half.py): half of the time, and far fewer examples.
"""

from ml_collections import ConfigDict

from configs.patterson_paper import published

# Atoms, box and grid, in voxels; batch, steps and learning rate.
_PROBLEMS = {"small": (6, 8.0, 20), "paper": (10, 12.0, 28), "whole": (10, 12.0, 40)}
_STEPS = {"small": (1500, 6e-4), "paper": (5000, 6e-4), "whole": (200, 1e-4)}


def get_config(name: str = "small") -> ConfigDict:
    config = published.get_config()
    config.problem.atoms.num_atoms, config.problem.atoms.inner_box, config.problem.grid = _PROBLEMS[name]
    config.model.symmetry = "cube"
    config.model.start = "identity"
    config.batch_size = 16
    config.num_steps, config.optimizer.learning_rate = _STEPS[name]
    config.ema_decay = 0.99
    config.loss_factor = 1000.0  # the error is a mean over mostly empty voxels
    config.optimizer.name = "muon"
    config.optimizer.warmup_steps = 50
    config.eval_every = 200
    return config
