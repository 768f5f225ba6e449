"""The Patterson paper's network and problem, trained on a CPU: fewer atoms first, then the paper's 10 in a box of 12.

    python -m launch.train --config=configs/phasenet_published.py:small --workdir=work/small
    python -m launch.train --config=configs/phasenet_published.py:paper --workdir=work/published --init_from=work/small

The second training makes the released weights `published`. Maps have 40^3 voxels, as in the paper. The Patterson map of
atoms in a box of 12 is empty outside a window of 28 voxels, and the network reads this window alone (20 for a box of
8). The kernels have the symmetries of the cube (phasenet/networks/published_symmetric.py), so a training takes less
than half of the time, and fewer examples.
Expected: phasenet/README.md. BUILD_NOTES.md compares trainings of equal length with other kernels and starts.
"""

from ml_collections import ConfigDict

from configs.patterson_paper import published

# Atoms, edge of their box and of the window in voxels; steps.
_TRAININGS = {"small": (6, 8.0, 20, 1500), "paper": (10, 12.0, 28, 5000)}


def get_config(name: str = "small") -> ConfigDict:
    config = published.get_config()
    (config.problem.atoms.num_atoms, config.problem.atoms.inner_box, config.model.window,
     config.num_steps) = _TRAININGS[name]
    config.model.symmetry = "cube"
    config.model.start = "identity"
    config.ema_decay = 0.99
    config.loss_factor = 1000.0  # the error is a mean over mostly empty voxels
    config.optimizer.name = "muon"
    config.optimizer.learning_rate = 6e-4
    config.optimizer.warmup_steps = 50
    config.eval_every = 200
    return config
