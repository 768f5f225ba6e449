"""The Patterson paper's method at small scale: 6 atoms in a box of 8 voxels, maps of 24^3.

    python -m launch.train --config=configs/phasenet_small.py --workdir=work/small

This config trains the released weights `small`, a dense network, in half an hour on 2 cores. Expected: the results in
phasenet/README.md. The paper's convolutions at this size are in configs/phasenet_small_convolutional.py.
"""

from ml_collections import ConfigDict

from configs.patterson_paper import published


def get_config() -> ConfigDict:
    config = published.get_config()
    config.problem.grid = 24
    config.problem.atoms.num_atoms = 6
    config.problem.atoms.inner_box = 8.0

    config.model = ConfigDict()
    config.model.kind = "dense"
    config.model.width = 640  # channels of every hidden layer
    config.model.blocks = 3  # number of residual blocks, of two layers each
    config.model.patterson_reach = 10  # voxels: two atoms are at most 8 apart on an axis, and their spheres add 2
    config.model.density_reach = 5  # voxels: half the box and an atom's radius
    config.model.lowering = "auto"
    config.model.dtype = "float32"

    config.batch_size = 256
    config.num_steps = 10_000
    config.ema_decay = 0.998
    config.validation.count = 200
    config.optimizer.learning_rate = 1e-3
    config.optimizer.warmup_steps = 200
    config.optimizer.eps = 1e-12  # the error is a mean over mostly empty voxels: its gradients are tiny
    config.eval_every = 500
    return config
