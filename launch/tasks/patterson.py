"""Trains the networks of phasenet on examples made up in the training step."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from launch.tasks import release
from launch.tasks.precision import compute_dtype
from launch.training import Task
from phasenet import pretrained
from phasenet.errors import InputError
from phasenet.maps import synthesis
from phasenet.networks import losses
from phasenet.search import peaks

_CHUNK = 20
# Apart from all training keys: examples of the training come from fold_in(key, 0), these from 1.
_TRAINING, _VALIDATION = 0, 1


class PattersonTask(Task):
    """Mean squared error between the network's answer and the atoms with their inverse.

    Config: ``problem`` (the fields of synthesis.Problem, ``problem.atoms`` those of atoms.AtomRules);
    ``model`` (``kind``, the fields of model.Architecture or dense.DenseArchitecture, ``lowering`` and ``dtype``);
    ``loss_factor``; ``examples.seed``, ``examples.count`` and ``examples.steps_a_set`` (0: a fresh example for
    every place in every batch; else so many are drawn from, and remade after so many steps: the paper's schedule);
    ``validation.count`` and, if validation examples are to be made otherwise, ``validation.corner_rule``.
    """

    free_fields = ("model.dtype",)

    def __init__(self, config):
        self.config = config
        dtype = compute_dtype(config)
        try:
            self.problem = pretrained.problem_from(config.problem)
            fields = config.model.to_dict()
            lowering = fields.pop("lowering")
            fields.pop("dtype", None)
            self.architecture = pretrained.architecture_from(fields)
            pretrained.check_fits(self.architecture, self.problem)
            rule = config.validation.corner_rule or self.problem.atoms.corner_rule
            self.validation_problem = self.problem._replace(atoms=self.problem.atoms._replace(corner_rule=rule))
            synthesis.check_problem(self.validation_problem)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"config: {error}") from error
        if config.examples.count < 0 or (config.examples.count and config.examples.steps_a_set < 1):
            raise InputError(f"config.examples.count={config.examples.count}, steps_a_set="
                             f"{config.examples.steps_a_set}: expected 0 and 0, or both above 0")
        if config.validation.count < 1:
            raise InputError(f"config.validation.count={config.validation.count}: expected at least 1")
        # Evaluated as it is released; trained in what may be a narrower type.
        self.network = pretrained.network_of(self.architecture, self.problem, lowering)
        self._trained_network = self.network.clone(dtype=dtype)
        self._scores = {}

    def init(self, key):
        return pretrained.init_params(key, self.architecture, self.problem)

    def batch(self, keys, step, data):
        examples = self.config.examples
        if examples.count:
            sets = jax.random.fold_in(_examples_key(examples.seed, _TRAINING), step // examples.steps_a_set)
            chosen = jax.vmap(lambda key: jax.random.randint(key, (), 0, examples.count))(keys)
            keys = jax.vmap(lambda index: jax.random.fold_in(sets, index))(chosen)
        made = jax.vmap(lambda key: synthesis.make_example(key, self.problem))(keys)
        return {"patterson": made.patterson, "target": made.target, "valid": made.valid}

    def loss(self, params, batch, keys):
        answer = self._trained_network.apply(params, batch["patterson"])
        return self.config.loss_factor * losses.mean_squared_error(answer, batch["target"]), {
            "valid": batch["valid"].mean()}

    def evaluate(self, params):
        """Loss, and the share of true atoms (those of the target) with a peak of the answer within 1 voxel."""
        chunks = [self._evaluate(params, chunk) for chunk in self._validation]
        sizes = [len(chunk.positions) for chunk in self._validation]
        means = {name: np.average([chunk[name] for chunk in chunks], weights=sizes) for name in chunks[0]}
        self._scores = {name: float(value) for name, value in means.items()}
        return self._scores

    def export(self, params, workdir, step):
        release.write(workdir, params, self.architecture, self.problem, config=self.config, step=step,
                      scores=self._scores)

    @functools.cached_property
    def _validation(self) -> list[synthesis.Example]:
        """The fixed validation set, in chunks."""
        key = _examples_key(self.config.examples.seed, _VALIDATION)
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(self.config.validation.count))
        make = jax.jit(jax.vmap(lambda key: synthesis.make_example(key, self.validation_problem)))
        chunks = [make(keys[start:start + _CHUNK]) for start in range(0, len(keys), _CHUNK)]
        if not all(chunk.valid.all() for chunk in chunks):
            raise InputError("config.problem.atoms: hardly any set of atoms meets these rules")
        return chunks

    @functools.cached_property
    def _evaluate(self):
        def evaluate(params, chunk):
            answer = self.network.apply(params, chunk.patterson)
            loss = self.config.loss_factor * losses.mean_squared_error(answer, chunk.target)
            return {"loss": loss, "atoms_found": jax.vmap(self._found)(answer, chunk.positions).mean()}
        return jax.jit(evaluate)

    def _found(self, answer, positions):
        if self.problem.target == "pair":
            positions = jnp.concatenate([positions, -positions])
        candidates = peaks.find_peaks(answer, most=2 * len(positions))
        distance = jnp.linalg.norm(positions[:, None] - candidates.positions, axis=-1)
        return (jnp.where(candidates.valid, distance, jnp.inf).min(1) < 1).mean()


def _examples_key(seed: int, use: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed), use)
