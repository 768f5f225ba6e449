"""The baseline with batch normalization, which the paper found to hurt (section 2.3).

    python -m launch.train --config=configs/patterson_paper/batch_norm.py --workdir=work/comparison/batch_norm

Expected: see the baseline, configs/patterson_paper/comparison.py.
"""

from ml_collections import ConfigDict

from configs.patterson_paper import comparison


def get_config() -> ConfigDict:
    config = comparison.get_config()
    config.model.batch_norm = True
    return config
