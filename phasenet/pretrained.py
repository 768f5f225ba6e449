"""Released weights of a Patterson network: a folder with config.json and params.npz, written and read here.

    config.json   the problem and the architecture that the weights are for, and where they come from
    params.npz    float16 parameters, names joined by "/"
"""

import json
import pathlib
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from phasenet.errors import InputError
from phasenet.io.atomic_writes import replacing
from phasenet.io.npz import read_npz
from phasenet.io.releases import find_release
from phasenet.maps import synthesis
from phasenet.maps.atoms import AtomRules
from phasenet.networks import dense, dual_space, published

WEIGHTS = pathlib.Path(__file__).parent / "weights"
DEFAULT = "dual_space"

# What a config may ask for: more would be worked out for hours, or not fit any memory, before the arrays tell that it
# is wrong. Layers and kernels are unrolled where the network's shapes are found.
_MOST = {"inner_layers": 200, "blocks": 200, "outer_kernel": 63, "inner_kernel": 63, "grid": 512}
_MOST_OTHERWISE = 20_000
_LARGEST_PARAMETER = np.finfo(np.float32).max

Architecture = published.ConvolutionalArchitecture | dense.DenseArchitecture | dual_space.DualSpaceArchitecture

# For each kind its sizes and what checks them.
_KINDS = {"convolutional": (published.ConvolutionalArchitecture, published.check_architecture),
          "dense": (dense.DenseArchitecture, dense.check_dense),
          "dual_space": (dual_space.DualSpaceArchitecture, dual_space.check_dual_space)}


class Pretrained(NamedTuple):
    """A network ready for use.

    Attributes:
      architecture: its kind and sizes, see `network_of`.
      params: float32, as that network takes them.
      problem: what it was trained for.
      info: config.json as it stands: scores, seed, revision.
    """

    architecture: Architecture
    params: dict
    problem: synthesis.Problem
    info: dict

    def answer(self, patterson_map: jax.Array) -> jax.Array:
        """The network on one prepared map: (N, N, N) -> (N, N, N)."""
        return network_of(self.architecture, self.problem).apply(self.params, patterson_map[None])[0]


def save(folder: pathlib.Path, params: dict, architecture: Architecture, problem: synthesis.Problem,
         info: dict) -> None:
    """Writes a release; `info` tells where it comes from."""
    folder = pathlib.Path(folder)
    leaves = jax.tree_util.tree_leaves_with_path(params)
    with replacing(folder / "params.npz") as part:
        np.savez_compressed(part, **{_name(path): np.asarray(leaf, np.float16) for path, leaf in leaves})
    info = {"architecture": {"kind": kind_of(architecture)} | architecture._asdict(),
            "problem": problem._asdict() | {"atoms": problem.atoms._asdict()}, **info}
    with replacing(folder / "config.json") as part:
        pathlib.Path(part).write_text(json.dumps(info, indent=1) + "\n", encoding="utf-8")


def find_weights(name: str) -> pathlib.Path:
    """The folder of released weights by name or path. Raises InputError where there is none."""
    return find_release(WEIGHTS, name)


def load(name: str = DEFAULT) -> Pretrained:
    """Reads released weights by name or folder.

    Raises:
      InputError: when the folder is missing, a file is damaged, or the arrays do not fit config.json.
    """
    folder = find_weights(name)
    path = folder / "config.json"
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON ({error})") from error
    if isinstance(info, dict) and "architecture" not in info and "kind" in info:
        raise InputError(f"{path}: weights of a network for shapes (kind {info['kind']!r}), not of one for Patterson "
                         "maps")
    try:
        architecture = architecture_from(info["architecture"])
        problem = problem_from(info["problem"])
        check_fits(architecture, problem)
        shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), architecture, problem))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: not the weights of a Patterson network ({error})") from error
    arrays = read_npz(folder / "params.npz", ())
    leaves, structure = jax.tree_util.tree_flatten_with_path(shapes)
    wanted = {_name(path): leaf.shape for path, leaf in leaves}
    for parameter in sorted(set(wanted) ^ set(arrays)):
        what = "missing" if parameter in wanted else "not a parameter of the architecture in config.json"
        raise InputError(f"{folder / 'params.npz'}: array {parameter!r} is {what}")
    for parameter, shape in wanted.items():
        array = arrays[parameter]
        # Finite also where they are wider than what they become.
        if array.shape != shape or array.dtype.kind != "f" or not (np.abs(array) < _LARGEST_PARAMETER).all():
            raise InputError(f"{folder / 'params.npz'}: array {parameter!r} is {array.dtype} {array.shape}, but "
                             f"config.json needs finite numbers {shape}")
    params = jax.tree_util.tree_unflatten(structure, [arrays[name].astype(np.float32) for name in wanted])
    return Pretrained(architecture, params, problem, info)


def problem_from(fields: Any) -> synthesis.Problem:
    """A Problem from a mapping of its fields, `atoms` a mapping too. Raises TypeError, ValueError."""
    fields = dict(fields)
    atoms = _made(AtomRules, dict(fields.pop("atoms", {})))
    problem = _made(synthesis.Problem, fields)._replace(atoms=atoms)
    synthesis.check_problem(problem)
    return problem


def architecture_from(fields: Any) -> Architecture:
    """An architecture from a mapping of its kind and fields. Raises KeyError, TypeError, ValueError."""
    fields = dict(fields)
    kind = fields.pop("kind")
    if kind not in _KINDS:
        raise ValueError(f"kind={kind!r}: expected one of {', '.join(_KINDS)}")
    sizes, check = _KINDS[kind]
    architecture = _made(sizes, fields)
    check(architecture)
    return architecture


def _made(kind: type, fields: dict[str, Any]) -> Any:
    """A named tuple of fields from a file: true and false where these are meant, and no size beyond all measure."""
    for name, value in fields.items():
        if isinstance(kind._field_defaults.get(name), bool) and not isinstance(value, bool):
            raise ValueError(f"{name}={value!r}: expected true or false")
        if isinstance(value, (int, float)) and not abs(value) <= _MOST.get(name, _MOST_OTHERWISE):
            raise ValueError(f"{name}={value}: expected at most {_MOST.get(name, _MOST_OTHERWISE)}")
    return kind(**fields)


def check_fits(architecture: Architecture, problem: synthesis.Problem) -> None:
    """Raises ValueError where a network of this architecture cannot answer this problem."""
    if isinstance(architecture, dense.DenseArchitecture) and (problem.target != "pair" or not problem.centred):
        raise ValueError("a dense network needs target=pair and centred=True")
    if isinstance(architecture, dual_space.DualSpaceArchitecture) and (
            problem.target != "single" or problem.scale != "raw" or not problem.centred):
        raise ValueError("a dual-space network needs target=single, scale=raw and centred=True")
    jax.eval_shape(lambda: init_params(jax.random.key(0), architecture, problem))


def kind_of(architecture: Architecture) -> str:
    """The name of an architecture's kind in a config."""
    return next(kind for kind, (sizes, _) in _KINDS.items() if isinstance(architecture, sizes))


def network_of(architecture: Architecture, problem: synthesis.Problem,
               lowering: str = "auto") -> nn.Module | dual_space.DualSpaceNetwork:
    """The network of an architecture, with its init and apply, for a problem; lowering: of its convolutions."""
    if isinstance(architecture, dual_space.DualSpaceArchitecture):
        return dual_space.DualSpaceNetwork(architecture, problem)
    if isinstance(architecture, dense.DenseArchitecture):
        return dense.DensePattersonNetwork(architecture)
    return published.PattersonNetwork(architecture, lowering)


def init_params(key: jax.Array, architecture: Architecture, problem: synthesis.Problem) -> dict:
    """Fresh parameters. Raises ValueError where the architecture does not fit the problem's grid."""
    return network_of(architecture, problem).init(key, jnp.zeros((1,) + (problem.grid,) * 3))


def _name(path: tuple) -> str:
    return "/".join(str(key.key) for key in path)
