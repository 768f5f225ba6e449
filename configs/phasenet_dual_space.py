"""The dual-space network for a mixture of problems: the default weights of launch.solve.

    python -m launch.train --config=configs/phasenet_dual_space.py --workdir=work/dual_space

This config trains the released weights `dual_space`, in half an hour on 2 cores. Expected: the results in
phasenet/README.md.
"""

from ml_collections import ConfigDict

from configs.patterson_paper import published


def get_config() -> ConfigDict:
    config = published.get_config()
    config.task = "launch.tasks.dual_space:DualSpaceTask"
    config.problem.target = "single"  # the network shows the atoms in one hand

    config.model = ConfigDict()
    config.model.kind = "dual_space"
    config.model.width = 16  # width of the two hidden layers in each voxel
    config.model.filters = 4  # learned isotropic filters of the current map
    config.model.projected_filters = 2  # learned filters of the last map with the measured amplitudes
    config.model.atom_width = 0.75  # standard deviation of the Gaussian atoms of the network's maps, voxels
    config.model.rounds = 60  # largest number of rounds from one start
    config.model.starts = 16  # largest number of starts
    config.model.good = 0.998  # the correlation of Patterson maps that ends the search

    # Each problem: number of atoms, edge of the box (voxels), largest |h| (cycles per edge of a map of 40 voxels; 0:
    # all), relative noise.
    config.mixture = (
        (10, 12.0, 0.0, 0.0), (10, 12.0, 0.0, 0.1), (20, 12.0, 0.0, 0.0), (40, 12.0, 0.0, 0.0), (40, 12.0, 0.0, 0.1),
        (40, 18.0, 0.0, 0.1), (20, 18.0, 0.0, 0.0), (5, 12.0, 14.0, 0.0), (10, 12.0, 10.0, 0.0),
        (10, 12.0, 7.0, 0.0), (10, 12.0, 5.0, 0.0), (20, 12.0, 14.0, 0.05), (20, 12.0, 10.0, 0.0),
        (20, 20.0, 10.0, 0.0), (40, 18.0, 14.0, 0.0), (10, 18.0, 7.0, 0.1))
    config.training_grid = 28  # voxels per edge of the periodic training maps
    config.rounds_before = 45  # largest number of rounds without gradients
    config.rounds = 6  # rounds with gradients, after those without

    config.batch_size = 16
    config.num_steps = 1200
    config.ema_decay = 0.98
    config.validation.count = 16  # cases of each problem
    del config.validation.corner_rule, config.examples.count, config.examples.steps_a_set, config.loss_factor
    config.optimizer.learning_rate = 3e-3
    config.optimizer.warmup_steps = 0
    config.optimizer.clip_norm = 0.3
    config.log_every = 25
    config.eval_every = 300
    return config
