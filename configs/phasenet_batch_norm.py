"""With batch normalization, which the paper found to hurt (section 2.3).

    python -m launch.train --config=configs/phasenet_batch_norm.py --workdir=work/comparison/batch_norm

Expected: see the baseline, configs/phasenet_comparison.py.
"""

from configs import phasenet_comparison


def get_config():
    config = phasenet_comparison.get_config()
    config.model.batch_norm = True
    return config
