"""The lean auto-encoder for shapes in their principal axes: the default weights of launch.reconstruct.

    python -m launch.prepare_structures --input=STRUCTURES --output=work/principal.npz --exclude=PAIRS,REFERENCES.npz \\
        --poses=6 --made=12000
    python -m launch.train --config=configs/saxsae_lean_principal.py --workdir=work/principal \\
        --config.corpus=work/principal.npz

Expected: see the table of released weights in README.md.
"""

from configs import saxsae_lean


def get_config():
    config = saxsae_lean.get_config()
    config.task = "launch.tasks.refined_autoencoder:RefinedAutoencoderTask"
    config.corpus = "work/principal.npz"  # packed structures in principal-axis pose
    config.rotations = False  # the pose is a part of the code; mirrored along the axes they are
    config.linear_samples = 6000

    config.refinement = type(config)()
    config.refinement.steps = 100  # of gradient steps from the encoder's code, in the release
    config.refinement.validation_steps = 20  # the same in the evaluations of the training
    config.refinement.rate = 0.2  # of the first, in units of a latent number
    config.refinement.sharpness = 4.0  # of the soft correlation, in the loss as well

    config.num_steps = 10000
    config.optimizer.final_fraction = 0.0
    config.optimizer.b2 = 0.99
    config.eval_every = 2000
    return config
