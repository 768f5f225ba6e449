"""Trains the paper's network and the small one of phasenet; the examples are made in the training step.

configs/patterson_paper, configs/phasenet_published.py and configs/phasenet_small.py name the task.
"""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch.tasks import release
from launch.tasks.precision import compute_dtype
from launch.training import Task
from phasenet import pretrained
from phasenet.errors import InputError
from phasenet.maps import synthesis
from phasenet.networks import losses, published, published_symmetric
from phasenet.networks.centrosymmetric_convolution import expand
from phasenet.search import peaks

_CHUNK = 20  # validation examples that are evaluated at once
# Folded into the key of config.examples.seed, so that training and validation examples differ.
_TRAINING, _VALIDATION = 0, 1


class PattersonTask(Task):
    """Minimizes the mean squared error of the network's map against the target (paper, section 2.4).

    Config:
      problem: the fields of `synthesis.Problem`; problem.atoms those of `atoms.AtomRules`.
      model: "kind", the fields of `published.ConvolutionalArchitecture` or `dense.DenseArchitecture`, "lowering" and
        "dtype". Of convolutional networks also "symmetry" of the kernels, one of `published_symmetric.SYMMETRIES`, and
        "start", how they begin: "random", or "identity" (`published_symmetric.start_near_identity`).
      loss_factor: factor of the loss.
      examples.seed: seed of the examples.
      examples.count, examples.steps_a_set: 0 and 0 make new examples for each batch. Otherwise batches are drawn from a
        set of `count` examples, which is replaced after `steps_a_set` steps, as in the paper.
      validation.count: number of validation examples.
      validation.corner_rule: `AtomRules.corner_rule` of the validation examples; "" keeps that of the training.
    """

    free_fields: tuple[str, ...] = ("model.dtype",)

    def __init__(self, config: Any) -> None:
        self.config = config
        dtype = compute_dtype(config)
        try:
            self.problem = pretrained.problem_from(config.problem)
            fields = config.model.to_dict()
            lowering = fields.pop("lowering")
            fields.pop("dtype", None)
            self.symmetry, self._start = fields.pop("symmetry", "none"), fields.pop("start", "random")
            self.architecture = pretrained.architecture_from(fields)
            pretrained.check_fits(self.architecture, self.problem)
            rule = config.validation.corner_rule or self.problem.atoms.corner_rule
            self.validation_problem = self.problem._replace(atoms=self.problem.atoms._replace(corner_rule=rule))
            synthesis.check_problem(self.validation_problem)
            self._check_symmetry(dtype, lowering)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"config: {error}") from error
        if config.examples.count < 0 or (config.examples.count and config.examples.steps_a_set < 1):
            raise InputError(f"config.examples.count={config.examples.count}, steps_a_set="
                             f"{config.examples.steps_a_set}: expected 0 and 0, or both above 0")
        if config.validation.count < 1:
            raise InputError(f"config.validation.count={config.validation.count}: expected at least 1")
        # Evaluation and release use float32; the training may use a narrower type.
        self.network = pretrained.network_of(self.architecture, self.problem, lowering)
        self._trained_network = self.network.clone(dtype=dtype)
        self._scores: dict[str, float] = {}

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Returns initial parameters of the network."""
        params = pretrained.init_params(key, self.architecture, self.problem)
        params = published_symmetric.symmetrize_params(params, self.symmetry)
        return published_symmetric.start_near_identity(params) if self._start == "identity" else params

    def batch(self, keys: jax.Array, step: jax.Array, data: Any) -> dict[str, jax.Array]:
        """Returns n examples: "patterson" and "target" (n, N, N, N) float32, and "valid" (n,) bool."""
        examples = self.config.examples
        if examples.count:
            sets = jax.random.fold_in(_examples_key(examples.seed, _TRAINING), step // examples.steps_a_set)
            chosen = jax.vmap(lambda key: jax.random.randint(key, (), 0, examples.count))(keys)
            keys = jax.vmap(lambda index: jax.random.fold_in(sets, index))(chosen)
        made = jax.vmap(lambda key: synthesis.make_example(key, self.problem))(keys)
        return {"patterson": made.patterson, "target": made.target, "valid": made.valid}

    def loss(self, params: Any, batch: dict[str, jax.Array], keys: jax.Array,
             ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns the loss (), and "valid", the fraction () of examples whose atoms meet the rules."""
        if self.symmetry == "none":
            density, target = self._trained_network.apply(params, batch["patterson"]), batch["target"]
        else:
            density, target = self._half_maps(params, batch["patterson"], batch["target"])
        return self.config.loss_factor * losses.mean_squared_error(density, target), {"valid": batch["valid"].mean()}

    def _half_maps(self, params: Any, patterson_maps: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns the density and the target, within the window, as half maps (n, W/2, W, W) of symmetric kernels.

        Args:
          params: of the network.
          patterson_maps: (n, N, N, N).
          target: (n, N, N, N).
        """
        assert isinstance(self.architecture, published.ConvolutionalArchitecture)  # as `_check_symmetry` found
        density = published_symmetric.apply_to_half(
            published_symmetric.symmetrize_params(params, self.symmetry), patterson_maps, self.architecture)
        target = published.crop_to_window(target, self.architecture.window)
        return density, target[:, target.shape[1] // 2:]

    def evaluate(self, params: Any) -> dict[str, float]:
        """Returns "loss", and "atoms_found", the fraction of the target's atoms with a peak within 1 voxel."""
        chunks = [self._evaluate(params, chunk) for chunk in self._validation]
        sizes = [len(chunk.positions) for chunk in self._validation]
        means = {name: np.average([chunk[name] for chunk in chunks], weights=sizes) for name in chunks[0]}
        self._scores = {name: float(value) for name, value in means.items()}
        return self._scores

    def export(self, params: Any, workdir: pathlib.Path, step: int) -> None:
        """Writes the release with the scores of the last evaluation."""
        params = published_symmetric.symmetrize_params(params, self.symmetry)
        release.write(workdir, params, self.architecture, self.problem, config=self.config, step=step,
                      scores=self._scores)

    def _check_symmetry(self, dtype: Any, lowering: str) -> None:
        """Raises ValueError where symmetry or start are unknown, or are not for this network and problem."""
        if self.symmetry not in published_symmetric.SYMMETRIES:
            known = ", ".join(published_symmetric.SYMMETRIES)
            raise ValueError(f"model.symmetry={self.symmetry!r}: expected one of {known}")
        if self._start not in ("random", "identity"):
            raise ValueError(f"model.start={self._start!r}: expected random or identity")
        if (self.symmetry, self._start) == ("none", "random"):
            return
        if not isinstance(self.architecture, published.ConvolutionalArchitecture):
            raise ValueError("model.symmetry and model.start are for the kind convolutional")
        if self._start == "identity" and self.architecture.batch_norm:
            raise ValueError("model.start='identity': not with batch_norm")
        if self.symmetry == "none":
            return
        published_symmetric.check_symmetrizable(self.architecture)
        if self.problem.target != "pair" or not self.problem.centred:
            raise ValueError(f"model.symmetry={self.symmetry!r} needs problem.target='pair' and problem.centred")
        if dtype != jnp.float32 or lowering != "auto":
            raise ValueError(f"model.symmetry={self.symmetry!r} needs model.dtype='float32', model.lowering='auto'")
        window = min(self.architecture.window or self.problem.grid, self.problem.grid)
        if not synthesis.is_within_grid(self.problem._replace(grid=window)):
            raise ValueError(f"model.symmetry={self.symmetry!r} needs a window that holds the Patterson map: spheres "
                             f"that stay in an inner_box of at most {window // 2 - 2}, without h_max and noise")

    @functools.cached_property
    def _validation(self) -> list[synthesis.Example]:
        """Makes the fixed validation examples, in chunks of at most `_CHUNK`."""
        key = _examples_key(self.config.examples.seed, _VALIDATION)
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(self.config.validation.count))
        make = jax.jit(jax.vmap(lambda key: synthesis.make_example(key, self.validation_problem)))
        chunks = [make(keys[start:start + _CHUNK]) for start in range(0, len(keys), _CHUNK)]
        if not all(chunk.valid.all() for chunk in chunks):
            raise InputError("config.problem.atoms: too few random sets of atoms meet these rules: raise inner_box, or "
                             "lower num_atoms or min_distance")
        return chunks

    @functools.cached_property
    def _evaluate(self) -> Callable[[Any, synthesis.Example], dict[str, jax.Array]]:
        """Compiled: parameters and a chunk of examples to () metrics."""
        def evaluate(params: Any, chunk: synthesis.Example) -> dict[str, jax.Array]:
            if self.symmetry == "none":
                density = self.network.apply(params, chunk.patterson)
                error = losses.mean_squared_error(density, chunk.target)
            else:
                half_density, half_target = self._half_maps(params, chunk.patterson, chunk.target)
                error, density = losses.mean_squared_error(half_density, half_target), expand(half_density)
            loss = self.config.loss_factor * error
            return {"loss": loss, "atoms_found": jax.vmap(self._fraction_found)(density, chunk.positions).mean()}
        return jax.jit(evaluate)

    def _fraction_found(self, density: jax.Array, positions: jax.Array) -> jax.Array:
        """Returns the fraction () of the target's atoms, known from the atoms (n, 3), within 1 voxel of a peak."""
        if self.problem.target == "pair":
            positions = jnp.concatenate([positions, -positions])
        candidates = peaks.find_peaks(density, most=2 * len(positions))
        distance = jnp.linalg.norm(positions[:, None] - candidates.positions, axis=-1)
        return (jnp.where(candidates.valid, distance, jnp.inf).min(1) < 1).mean()


def _examples_key(seed: int, use: int) -> jax.Array:
    """Returns the typed key of the training or of the validation examples."""
    return jax.random.fold_in(jax.random.key(seed), use)
