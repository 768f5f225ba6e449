"""Trains the dual-space network of phasenet on a mixture of problems.

The examples are made in the training step. configs/phasenet_dual_space.py names the task.
"""

import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch.tasks import release
from launch.training import Task
from phasenet import pretrained
from phasenet.errors import InputError
from phasenet.maps import synthesis
from phasenet.maps.atoms import draw_atoms
from phasenet.maps.synthesis import Problem
from phasenet.networks import dual_space, losses

# The number that is folded into the key of the validation cases.
_VALIDATION = 2
# A map that correlates with the true one above this shows all atoms.
_SOLVED_CORRELATION = 0.9


class DualSpaceTask(Task):
    """Maximizes the correlation with the true map over a few rounds of the network's iteration.

    1. Each example is drawn from a random problem of the mixture.
    2. The network iterates from random phases for a random number of rounds, without gradients.
    3. The loss is one minus the mean correlation with the true map over the next rounds, later ones weighted more.

    Config:
      problem: problem of the release.
      model: "kind" and the fields of `dual_space.DualSpaceArchitecture`.
      mixture: (num_atoms, inner_box, h_max, noise) of each problem, see `synthesis.Problem`; h_max is in cycles per
        edge of problem.grid, 0: all reflections.
      training_grid: voxels per edge of the periodic training maps.
      rounds_before, rounds: the largest number of rounds without gradients; the number of rounds with gradients.
      examples.seed, validation.count: seed of the examples; number of validation cases for each problem.
    """

    def __init__(self, config: Any) -> None:
        self.config = config
        try:
            self.problem = pretrained.problem_from(config.problem)
            architecture = pretrained.architecture_from(config.model.to_dict())
            if not isinstance(architecture, dual_space.DualSpaceArchitecture):
                raise ValueError(f"model.kind={config.model.kind!r}: expected 'dual_space'")
            self.architecture = architecture
            pretrained.check_fits(self.architecture, self.problem)
            self.mixture = [self._training_problem(*fields) for fields in config.mixture]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"config: {error}") from error
        if not self.mixture or config.rounds < 1 or config.rounds_before < 0 or config.validation.count < 1:
            raise InputError("config: expected a mixture of at least one problem, rounds and validation.count of at "
                             "least 1, and rounds_before of at least 0")
        self.round = dual_space.Round(self.architecture)
        self._scores: dict[str, float] = {}

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Returns initial parameters of the network's round."""
        return pretrained.init_params(key, self.architecture, self.problem)

    def batch(self, keys: jax.Array, step: jax.Array, data: Any) -> dict[str, Any]:
        """Returns n examples, each array with a leading axis n.

        Returns:
          "data", "transform" and "valid" as `make_example` returns them; "rounds_before" (n,) int32, the number of
          rounds without gradients.
        """
        seed = self.config.examples.seed

        def make_one(key: jax.Array) -> tuple[dual_space.PhasingInput, jax.Array, jax.Array, jax.Array]:
            key_problem, key_rounds, key_example = jax.random.split(jax.random.fold_in(key, seed), 3)
            number = jax.random.randint(key_problem, (), 0, len(self.mixture))
            rounds = jax.random.randint(key_rounds, (), 0, self.config.rounds_before + 1)
            return *self.make_example(number, key_example), rounds

        # The examples are made one after another: under vmap, every problem of the mixture would be computed for each.
        measured, transform, valid, rounds = jax.lax.map(make_one, keys)
        return {"data": measured, "transform": transform, "valid": valid, "rounds_before": rounds}

    def make_example(self, number: jax.Array | int,
                     key: jax.Array) -> tuple[dual_space.PhasingInput, jax.Array, jax.Array]:
        """Makes an example of one problem of the mixture.

        Args:
          number: () number of the problem.
          key: typed key of the example.

        Returns:
          What is measured; the (N, N, N/2 + 1) complex transform of the true map; () bool, whether the atoms meet the
          rules.
        """
        return jax.lax.switch(number, [functools.partial(self._make_example, problem) for problem in self.mixture], key)

    def loss(self, params: Any, batch: Any, keys: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns the loss (), and the () means over the batch of "correlation" after the last round and of "valid"."""
        weights = np.arange(1.0, self.config.rounds + 1)

        def rate_one(example: Any) -> jax.Array:
            data, transform, rounds, key = example
            state, _ = self._iterate(jax.lax.stop_gradient(params), dual_space.draw_start(key, data), data, rounds)
            return self._correlations(params, jax.lax.stop_gradient(state), data, transform)

        # The maps are computed one after another, because a round of many would not fit into the processor's cache.
        correlations = jax.lax.map(rate_one, (batch["data"], batch["transform"], batch["rounds_before"], keys))
        return 1 - (correlations * weights).sum(-1).mean() / weights.sum(), {
            "correlation": correlations[:, -1].mean(), "valid": batch["valid"].mean()}

    def evaluate(self, params: Any) -> dict[str, float]:
        """Returns metrics over fixed cases, each from one start.

        Returns:
          "correlation", the mean at the end; "solved", the fraction of cases whose map correlates with the true one
          above 0.9; and "solved_NAME", that fraction for each problem, see `_problem_name`.
        """
        # The keys of the training come from config.seed, so these cases are not among its examples.
        key = jax.random.fold_in(jax.random.key(self.config.examples.seed), _VALIDATION)
        keys = jax.random.split(key, (len(self.mixture), self.config.validation.count))
        correlations = np.stack([self._evaluate(params, number, keys[number]) for number in range(len(keys))])
        self._scores = {"correlation": float(correlations.mean()),
                        "solved": float((correlations > _SOLVED_CORRELATION).mean())}
        self._scores |= {f"solved_{_problem_name(problem)}": float((values > _SOLVED_CORRELATION).mean())
                         for problem, values in zip(self.mixture, correlations, strict=True)}
        return self._scores

    def export(self, params: Any, workdir: pathlib.Path, step: int) -> None:
        """Writes the release with the scores of the last evaluation."""
        release.write(workdir, params, self.architecture, self.problem, config=self.config, step=step,
                      scores=self._scores)

    def _training_problem(self, num_atoms: int, inner_box: float, h_max: float, noise: float) -> Problem:
        """Returns a problem of the mixture on the training grid; raises ValueError for an invalid one."""
        atoms = self.problem.atoms._replace(num_atoms=num_atoms, inner_box=inner_box)
        grid = self.config.training_grid
        # h_max counts cycles per map edge: scaled to keep the resolution in voxels.
        grid_h_max = h_max * grid / self.problem.grid if h_max else None
        problem = self.problem._replace(atoms=atoms, grid=grid, h_max=grid_h_max, noise=noise)
        synthesis.check_problem(problem)
        return problem

    def _make_example(self, problem: Problem, key: jax.Array) -> tuple[dual_space.PhasingInput, jax.Array, jax.Array]:
        """Makes an example of a problem; see `make_example`."""
        key_atoms, key_noise = jax.random.split(key)
        positions, valid = draw_atoms(key_atoms, problem.atoms)
        intensities = jnp.fft.rfftn(synthesis.simulate_patterson(key_noise, positions, problem)).real
        width = self.architecture.atom_width
        return (dual_space.prepare_input(intensities, problem, width),
                dual_space.transform_of_atoms(positions, problem.grid, width), valid)

    def _iterate(self, params: Any, state: dual_space.IterationState, data: dual_space.PhasingInput,
                 rounds: jax.Array | int) -> tuple[dual_space.IterationState, jax.Array]:
        """Returns state and map (N, N, N) after so many rounds; the map is 0 after none."""
        start = state, jnp.zeros_like(state.projected)
        return jax.lax.fori_loop(0, rounds, lambda _, carry: self.round.apply(params, carry[0], data), start)

    def _correlations(self, params: Any, state: dual_space.IterationState, data: dual_space.PhasingInput,
                      transform: jax.Array) -> jax.Array:
        """Returns the correlation (config.rounds,) with the true map after each round; gradients go through all."""
        def step_fn(state: dual_space.IterationState, _: None) -> tuple[dual_space.IterationState, jax.Array]:
            state, found = jax.checkpoint(self.round.apply)(params, state, data)
            return state, losses.correlation_of_maps(found, transform)

        return jax.lax.scan(step_fn, state, length=self.config.rounds)[1]

    @functools.partial(jax.jit, static_argnums=0)
    def _evaluate(self, params: Any, number: jax.Array | int, keys: jax.Array) -> jax.Array:
        """Returns the final correlation (n,) of the cases of one problem, one for each key."""
        def of_one(key: jax.Array) -> jax.Array:
            key_example, key_start = jax.random.split(key)
            data, transform, _ = self.make_example(number, key_example)
            state = dual_space.draw_start(key_start, data)
            return losses.correlation_of_maps(
                self._iterate(params, state, data, self.architecture.rounds)[1], transform)

        return jax.lax.map(of_one, keys)


def _problem_name(problem: Problem) -> str:
    """Returns a problem's name in the log: "10_12_h7_n0.1" is 10 atoms, box 12, h_max 7, noise 0.1."""
    atoms = problem.atoms
    return (f"{atoms.num_atoms}_{atoms.inner_box:g}" + (f"_h{problem.h_max:.3g}" if problem.h_max else "")
            + (f"_n{problem.noise:g}" if problem.noise else ""))
