"""The lean auto-encoder for laptops: the default weights of launch.reconstruct.

    python -m launch.prepare_structures --input=STRUCTURES --output=work/corpus.npz --exclude=PAIRS,REFERENCES.npz
    python -m launch.train --config=configs/saxsae_lean.py --workdir=work/lean --config.corpus=work/corpus.npz

Expected: see the table of released weights in README.md.
"""

from launch.training import base_config


def get_config():
    config = base_config()
    config.task = "launch.tasks.autoencoder:AutoencoderTask"
    config.corpus = "work/corpus.npz"  # packed structures, from launch.prepare_structures
    config.batch_size = 64
    config.num_steps = 10000
    config.ema_decay = 0.999

    config.model = type(config)()
    config.model.kind = "lean"  # lean or published
    config.model.latent_size = 200
    config.model.lowering = "auto"  # of the 3D convolutions, see phasenet/networks/layers.py
    config.model.dtype = "float32"  # or bfloat16 (for a GPU): of the computations, not of the weights

    config.rotations = True  # every example is turned at random
    config.linear_start = True  # lean only: start as the principal components of the corpus
    config.linear_samples = 10000  # maps from which those components come
    config.frozen_convolutions = False  # the paper's second stage: train the dense layers alone

    config.refinement = type(config)()  # of codes in the release: gradient steps from the encoder's answer
    config.refinement.steps = 100
    config.refinement.rate = 0.2  # of the first, in units of a latent number
    config.refinement.sharpness = 4.0  # of the soft correlation that they climb

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
