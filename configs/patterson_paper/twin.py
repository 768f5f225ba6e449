"""Small-scale twins of the paper's trainings from scratch (figures 8 and 9), for a CPU.

    python -m launch.train --config=configs/patterson_paper/twin.py:baseline --workdir=work/twins/baseline
    python -m launch.train --config=configs/patterson_paper/twin.py:single10 --workdir=work/twins/single10

and likewise single20, box18, box24, batch_norm. The grid shrinks from 40 to 16 voxels, so that a box of 12 becomes 4.8;
the paper's 10 atoms become 3 (2 would be their own inverse). The network keeps the paper's plan with 12 features and
kernels of 3 and 5. A training takes 100 epochs of 240 examples, made anew every 3 epochs. Expected: the table in
phasenet/README.md. The paper trained its baseline twice; here the baseline is trained once.
"""

import importlib

from ml_collections import ConfigDict

from configs.patterson_paper import comparison

_SHRINK = 16 / 40


def get_config(name: str = "baseline") -> ConfigDict:
    config = importlib.import_module(
        "configs.patterson_paper.comparison" if name == "baseline" else f"configs.patterson_paper.{name}").get_config()
    config.problem.grid = 16
    config.problem.atoms.num_atoms = config.problem.atoms.num_atoms * 3 // 10
    config.problem.atoms.inner_box *= _SHRINK
    config.model.features = 12
    config.model.outer_kernel = 3
    config.model.inner_kernel = 5
    config.batch_size = 16
    config.examples.count = 240
    config.validation.count = 100
    return comparison.set_epochs(config)
