"""Reads and writes released weights of Patterson networks; the format is that of `phasenet.io.releases`.

    config.json   the problem and the architecture that the weights are for, and where they come from
    params.npz    the parameters
"""

import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from phasenet.errors import InputError
from phasenet.io import releases
from phasenet.maps import synthesis
from phasenet.maps.atoms import AtomRules
from phasenet.networks import dense, dual_space, published

WEIGHTS = pathlib.Path(__file__).parent / "weights"
DEFAULT = "dual_space"

# The largest sizes that a config may ask for. Layers and kernels are unrolled when the network's shapes are worked
# out: beyond these sizes that takes hours, or all memory, before the arrays show that the config is wrong.
_MAX_SIZES = {"inner_layers": 200, "blocks": 200, "outer_kernel": 63, "inner_kernel": 63, "grid": 512}
_MAX_OTHER_SIZE = 20_000

Architecture = published.ConvolutionalArchitecture | dense.DenseArchitecture | dual_space.DualSpaceArchitecture

# The sizes of each kind of network, and the function that checks them.
_KINDS: dict[str, tuple[Any, Any]] = {
    "convolutional": (published.ConvolutionalArchitecture, published.check_architecture),
    "dense": (dense.DenseArchitecture, dense.check_dense),
    "dual_space": (dual_space.DualSpaceArchitecture, dual_space.check_dual_space)}


class Pretrained(NamedTuple):
    """A network ready for use.

    Attributes:
      architecture: its kind and sizes, see `network_of`.
      params: its parameters, float32.
      problem: the atoms and Patterson maps that it was trained for.
      info: the content of `config.json`: scores, seed, revision.
    """

    architecture: Architecture
    params: dict[str, Any]
    problem: synthesis.Problem
    info: dict[str, Any]

    def compute_occupancy(self, patterson_map: jax.Array) -> jax.Array:
        """Applies the network to one prepared Patterson map (N, N, N); returns an occupancy map (N, N, N)."""
        return network_of(self.architecture, self.problem).apply(self.params, patterson_map[None])[0]


def save(folder: pathlib.Path, params: dict[str, Any], architecture: Architecture, problem: synthesis.Problem,
         info: dict[str, Any]) -> None:
    """Writes the parameters and `config.json` of a release.

    Args:
      folder: made if it does not exist.
      params: nested dicts of arrays, written as float16.
      architecture: kind and sizes of the network.
      problem: what the network was trained for.
      info: further fields of `config.json`, such as where the weights come from.
    """
    folder = pathlib.Path(folder)
    releases.write_params(folder / "params.npz", params)
    releases.write_config(folder, {
        "architecture": {"kind": kind_of(architecture)} | architecture._asdict(),
        "problem": problem._asdict() | {"atoms": problem.atoms._asdict()}, **info})


def find_weights(name: str) -> pathlib.Path:
    """Returns the folder of released weights, given by name or path.

    Raises:
      InputError: there are no such weights.
    """
    return releases.find_release(WEIGHTS, name)


def load(name: str = DEFAULT) -> Pretrained:
    """Reads released weights by name or folder.

    Raises:
      InputError: the folder is missing, a file is damaged, or the arrays do not fit `config.json`.
    """
    folder = find_weights(name)
    path = folder / releases.CONFIG
    info = releases.read_config(folder)
    if "architecture" not in info and "kind" in info:
        raise InputError(f"{path}: weights of a network for shapes (kind {info['kind']!r}), not for Patterson "
                         "maps; `launch.reconstruct --weights` takes them")
    try:
        architecture = architecture_from(info["architecture"])
        problem = problem_from(info["problem"])
        check_fits(architecture, problem)
        shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), architecture, problem))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: not the weights of a Patterson network ({error})") from error
    params = releases.read_params(folder / "params.npz", shapes, f"the architecture in {releases.CONFIG}")
    return Pretrained(architecture, params, problem, info)


def problem_from(fields: Any) -> synthesis.Problem:
    """Makes a problem from a mapping of its fields; `atoms` is a mapping too, absent fields have their defaults.

    Raises:
      TypeError, ValueError: a field is unknown, or its value is not possible.
    """
    fields = dict(fields)
    atoms = _make_checked(AtomRules, dict(fields.pop("atoms", {})))
    problem = _make_checked(synthesis.Problem, fields)._replace(atoms=atoms)
    synthesis.check_problem(problem)
    return problem


def architecture_from(fields: Any) -> Architecture:
    """Makes an architecture from a mapping of its kind and its fields.

    Raises:
      KeyError, TypeError, ValueError: a field is unknown or missing, or its value is not possible.
    """
    fields = dict(fields)
    kind = fields.pop("kind")
    if kind not in _KINDS:
        raise ValueError(f"kind={kind!r}: expected one of {', '.join(_KINDS)}")
    sizes, check = _KINDS[kind]
    architecture = _make_checked(sizes, fields)
    check(architecture)
    return architecture


def _make_checked(kind: Any, fields: dict[str, Any]) -> Any:
    """Makes a named tuple from a file's fields; refuses sizes above the limits, and numbers where a bool is needed."""
    for name, value in fields.items():
        if isinstance(kind._field_defaults.get(name), bool) and not isinstance(value, bool):
            raise ValueError(f"{name}={value!r}: expected true or false")
        largest = _MAX_SIZES.get(name, _MAX_OTHER_SIZE)
        if isinstance(value, int | float) and not abs(value) <= largest:
            raise ValueError(f"{name}={value}: expected at most {largest}")
    return kind(**fields)


def check_fits(architecture: Architecture, problem: synthesis.Problem) -> None:
    """Checks that a network of this architecture can be made and trained for this problem.

    Raises:
      ValueError: the problem's target, scale, origin or grid does not suit the architecture.
    """
    if isinstance(architecture, dense.DenseArchitecture) and (problem.target != "pair" or not problem.centred):
        raise ValueError("a dense network needs target=pair and centred=True")
    if isinstance(architecture, dual_space.DualSpaceArchitecture) and (
            problem.target != "single" or problem.scale != "raw" or not problem.centred):
        raise ValueError("a dual-space network needs target=single, scale=raw and centred=True")
    jax.eval_shape(lambda: init_params(jax.random.key(0), architecture, problem))


def kind_of(architecture: Architecture) -> str:
    """Returns the name of an architecture's kind, as a config spells it."""
    return next(kind for kind, (sizes, _) in _KINDS.items() if isinstance(architecture, sizes))


def network_of(architecture: Architecture, problem: synthesis.Problem, lowering: str = "auto") -> Any:
    """Returns the network of an architecture, with its `init` and `apply`.

    Args:
      architecture: kind and sizes.
      problem: the atoms and Patterson maps that the network is for.
      lowering: how its convolutions are computed, see `convolutions.LOWERINGS`.
    """
    if isinstance(architecture, dual_space.DualSpaceArchitecture):
        return dual_space.DualSpaceNetwork(architecture, problem)
    if isinstance(architecture, dense.DenseArchitecture):
        return dense.DensePattersonNetwork(architecture)
    return published.PattersonNetwork(architecture, lowering)


def init_params(key: jax.Array, architecture: Architecture, problem: synthesis.Problem) -> dict[str, Any]:
    """Draws fresh parameters.

    Raises:
      ValueError: the architecture does not fit the problem's grid.
    """
    return network_of(architecture, problem).init(key, jnp.zeros((1,) + (problem.grid,) * 3))
