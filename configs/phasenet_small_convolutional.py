"""The problem of configs/phasenet_small.py for a convolutional network of 206,833 weights.

    python -m launch.train --config=configs/phasenet_small_convolutional.py --workdir=work/small_convolutional

The layers are those of the paper's network, fewer and smaller, with shortcuts. Expected: not known. With direct
convolutions, an example costs about a hundred times the arithmetic of the dense network.
"""

from ml_collections import ConfigDict

from configs.patterson_paper import published


def get_config() -> ConfigDict:
    config = published.get_config()
    config.problem.grid = 24
    config.problem.atoms.num_atoms = 6
    config.problem.atoms.inner_box = 8.0
    config.model.features = 16
    config.model.outer_kernel = 3
    config.model.inner_kernel = 5
    config.model.inner_layers = 6
    config.model.skip = True
    config.num_steps = 20_000
    config.optimizer.learning_rate = 2e-3
    config.eval_every = 500
    return config
