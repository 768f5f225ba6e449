r"""Continues the training of the lean auto-encoder with codes that gradient steps refine; not released.

    python -m launch.prepare_structures --input=STRUCTURES --output=work/posed.npz --exclude=PAIRS,REFERENCES.npz \
        --poses=4 --made=8000
    python -m launch.train --config=configs/saxsae_lean_refined.py --workdir=work/refined --init_from=WEIGHTS \
        --config.corpus=work/posed.npz

WEIGHTS is a release or a workdir of configs/saxsae_lean.py; without --init_from the training starts from principal
components.
Expected, 1,778 steps after the released weights: no better on proteins, slightly better on synthetic shapes.
"""

from ml_collections import ConfigDict

from configs import saxsae_lean


def get_config() -> ConfigDict:
    config = saxsae_lean.get_config()
    config.task = "launch.tasks.refined_autoencoder:RefinedAutoencoderTask"
    config.corpus = "work/posed.npz"  # voxelized structures in several poses each, and synthetic shapes
    # Only rotations that map the grid onto itself: interpolated maps are smoother than real ones.
    config.rotations = False
    config.linear_samples = 6000

    config.refinement.validation_steps = 20  # gradient steps in the evaluations of the training

    config.num_steps = 6000
    config.optimizer.learning_rate = 5e-4
    config.optimizer.final_fraction = 0.0
    config.optimizer.b2 = 0.99
    config.eval_every = 2000
    return config
