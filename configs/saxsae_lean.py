"""The lean auto-encoder for laptops: the default weights of launch.reconstruct.

    python -m launch.prepare_structures --input=STRUCTURES --output=work/corpus.npz --exclude=PAIRS,REFERENCES.npz
    python -m launch.train --config=configs/saxsae_lean.py --workdir=work/lean --config.corpus=work/corpus.npz

This config trains the released weights `lean`, in an hour on 2 cores. Expected: the results in saxsae/README.md.
"""

from ml_collections import ConfigDict

from launch.training import base_config


def get_config() -> ConfigDict:
    config = base_config()
    config.task = "launch.tasks.autoencoder:AutoencoderTask"
    config.corpus = "work/corpus.npz"  # voxelized structures, from launch.prepare_structures
    config.batch_size = 64
    config.num_steps = 10000
    config.ema_decay = 0.999

    config.model = type(config)()
    config.model.kind = "lean"  # lean or published
    config.model.latent_size = 200
    config.model.lowering = "auto"  # how 3D convolutions are computed, see phasenet/networks/convolutions.py
    config.model.dtype = "float32"  # of the computations, not of the weights; or bfloat16, for a GPU

    config.rotations = True  # every example is rotated at random
    config.linear_start = True  # start as the principal components of the corpus
    config.linear_samples = 10000  # maps from which those components come
    config.frozen_convolutions = False  # the paper's second stage: train the dense layers alone

    config.refinement = type(config)()  # of codes, in the release: gradient steps that start from the encoder's code
    config.refinement.steps = 100  # number of gradient steps
    config.refinement.rate = 0.2  # learning rate of the first step, in units of a latent number
    config.refinement.sharpness = 4.0  # of the soft correlation that the steps raise

    config.optimizer.learning_rate = 1e-3
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 200
    config.optimizer.final_fraction = 0.02
    config.optimizer.clip_norm = 1.0

    config.log_every = 100
    config.eval_every = 1000
    config.checkpoint_every = 0
    config.checkpoint_minutes = 5.0
    config.max_to_keep = 2
    return config
