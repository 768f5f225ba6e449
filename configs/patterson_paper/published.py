"""The Patterson paper's training: 10 atoms in a box of 12 voxels, maps of 40, the network of 1,202,821 weights.

    python -m launch.train --config=configs/patterson_paper/published.py --workdir=work/phasenet

Expected, as the paper reports after 12.5 days on a GTX 1080 Ti: 4994 of 5000 atoms matched, mean error 0.283 voxel.
The text leaves batch size and learning rates open: the values here are ours. public_code.py has those of the public
code.
"""

from ml_collections import ConfigDict, config_dict

from launch.training import base_config


def get_config() -> ConfigDict:
    config = base_config()
    config.task = "launch.tasks.patterson:PattersonTask"
    config.batch_size = 16
    config.num_steps = 200_000
    config.ema_decay = 0.999

    config.problem = ConfigDict()
    config.problem.grid = 40  # voxels per edge of both maps
    config.problem.form_factor = "sphere"  # sphere (of radius 1 voxel) or gaussian
    config.problem.b_factor = 0.0  # of gaussian atoms, voxels^2
    config.problem.h_max = config_dict.placeholder(float)  # largest |h| that is kept, cycles per map edge; None: all
    config.problem.noise = 0.0  # standard deviation of a squared amplitude, relative to its value
    config.problem.target = "pair"  # pair: atoms and their inverse; single: the atoms alone
    config.problem.scale = "raw"  # of the Patterson map that the network gets: raw, origin or rms
    config.problem.centred = True  # the Patterson map has its origin in the middle of the grid

    config.problem.atoms = ConfigDict()
    config.problem.atoms.num_atoms = 10
    config.problem.atoms.inner_box = 12.0  # edge of the box of the atoms' centres, voxels
    config.problem.atoms.min_distance = 2.0  # between two atoms, voxels: touching spheres
    config.problem.atoms.stay_inside = True  # the atoms lie in that box also after they are centred on their mean
    config.problem.atoms.corner = 0.0  # edge of a reserved corner of that box, voxels
    config.problem.atoms.corner_rule = "any"  # any, empty or filled: whether atoms lie in that corner

    config.model = ConfigDict()
    config.model.kind = "convolutional"  # or dense (phasenet/networks/dense.py), which has fields of its own
    config.model.features = 20  # channels of every layer but the last
    config.model.outer_kernel = 5  # edge of the kernels at full resolution
    config.model.inner_kernel = 7  # edge of the kernels at half resolution
    config.model.inner_layers = 8  # number of layers at half resolution
    config.model.skip = False  # shortcuts past layers: not in the paper
    config.model.batch_norm = False
    config.model.window = 0  # voxels per edge that the network reads of larger maps; 0: all
    config.model.symmetry = "none"  # of the kernels: none, inversion or cube (phasenet/networks/published_symmetric.py)
    config.model.start = "random"  # or identity: layers that begin near the identity
    config.model.lowering = "auto"  # how 3D convolutions are computed, see phasenet/networks/convolutions.py
    config.model.dtype = "float32"  # of the computations, not of the weights; or bfloat16, for a GPU

    config.loss_factor = 1.0  # factor of the mean squared error
    config.examples = ConfigDict()
    config.examples.seed = 0  # of the examples; validation examples use other keys of this seed
    config.examples.count = 0  # size of the set that batches are drawn from; 0: every example is new
    config.examples.steps_a_set = 0  # number of steps after which the set is made anew
    config.validation = ConfigDict()
    config.validation.count = 100  # number of validation examples, which are always the same
    config.validation.corner_rule = ""  # corner_rule of the validation examples; "": that of problem.atoms

    config.optimizer.learning_rate = 1e-3
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 500
    config.optimizer.final_fraction = 0.02
    config.optimizer.clip_norm = 1.0

    config.log_every = 100
    config.eval_every = 2000
    config.checkpoint_every = 0
    config.checkpoint_minutes = 5.0
    config.max_to_keep = 2
    return config
