"""A memory test that the paper proposes: a corner of the box is empty in training and filled in validation.

    python -m launch.train --config=configs/patterson_paper/corner.py --workdir=work/corner

Expected: the validation loss near that of configs/patterson_paper/published.py, if the network generalizes.
"""

from ml_collections import ConfigDict

from configs.patterson_paper import published


def get_config() -> ConfigDict:
    config = published.get_config()
    config.problem.atoms.corner = 4.0
    config.problem.atoms.corner_rule = "empty"
    config.validation.corner_rule = "filled"
    return config
