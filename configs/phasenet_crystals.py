r"""The learned iteration for measured crystals; launch.solve --reflections --weights=work/crystals uses its weights.

    python -m launch.datasets.make_crystals --count=2400 --seed=1 --min_volume=180 --max_volume=1900 \
        --output=work/crystals.npz
    python -m launch.datasets.make_crystals --count=2400 --seed=2 --min_volume=180 --max_volume=1900 \
        --space_groups=P21,P212121,P1,Pna21,C2,Pc,I222,P21212 --output=work/chiral.npz
    python -m launch.train --config=configs/phasenet_crystals.py --workdir=work/crystals

All crystals are made ones; no measured crystal is used. Crystals without an inversion are harder, so more are made.
"""

from ml_collections import ConfigDict

from launch.training import base_config


def get_config() -> ConfigDict:
    config = base_config()
    config.task = "launch.tasks.crystals:CrystalsTask"
    config.structures = "work/crystals.npz,work/chiral.npz"  # from launch.datasets.make_crystals
    # Voxels along the edges of the grids; the time of compilation grows with their number.
    config.shapes = ((12, 16, 20), (16, 16, 24), (16, 20, 28), (20, 24, 24))

    config.model = ConfigDict()
    config.model.width = 32  # width of the two hidden layers in each voxel
    config.model.filters = 8  # filtered maps, each a mixture of three

    config.examples = ConfigDict()
    config.examples.seed = 1
    config.rounds_before = 150  # largest number of rounds without gradients
    config.rounds = 6  # rounds with gradients, after those without
    config.validation = ConfigDict()
    config.validation.count = 60  # crystals that are kept apart
    config.validation.rounds = 200  # from one start

    config.batch_size = 8
    config.num_steps = 5000
    config.ema_decay = 0.99
    config.optimizer.learning_rate = 1.5e-3
    config.optimizer.warmup_steps = 50
    config.optimizer.schedule = "cosine"
    config.optimizer.final_fraction = 0.05
    config.optimizer.clip_norm = 0.1
    config.log_every = 100
    config.eval_every = 1250
    config.checkpoint_minutes = 4.0
    return config
