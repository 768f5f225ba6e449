"""The paper's training by the rules of its public code, which differ from its text.

Atoms lie at least 3 voxels apart in a box of 12.25 voxels, which they may leave when they are centred. Batches hold one
example, the learning rate is 4e-5, and the 3,000 examples are made anew every 3 epochs.

    python -m launch.train --config=configs/patterson_paper/public_code.py --workdir=work/public_code

Expected: as configs/patterson_paper/published.py. In the paper's text, atoms do not overlap (they lie at least 2 voxels
apart) and the box has 12 voxels.
"""

from ml_collections import ConfigDict

from configs.patterson_paper import published


def get_config() -> ConfigDict:
    config = published.get_config()
    config.problem.atoms.min_distance = 3.0
    config.problem.atoms.inner_box = 12.25
    config.problem.atoms.stay_inside = False
    config.batch_size = 1
    config.num_steps = 13_200_000  # 4,400 epochs of 3,000
    config.ema_decay = 0.0
    config.examples.count = 3000
    config.examples.steps_a_set = 9000  # 3 epochs
    config.optimizer.learning_rate = 4e-5  # 5e-6 late in the paper's training
    config.optimizer.schedule = "constant"
    config.optimizer.warmup_steps = 0
    config.optimizer.clip_norm = 0.0
    config.log_every = 3000
    config.eval_every = 30_000
    return config
