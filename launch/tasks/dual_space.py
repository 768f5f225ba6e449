"""Trains the dual-space network of phasenet on a mixture of problems, made up in the training step."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from launch.tasks import release
from launch.training import Task
from phasenet import pretrained
from phasenet.errors import InputError
from phasenet.maps import synthesis
from phasenet.maps.atoms import random_atoms
from phasenet.maps.synthesis import Problem
from phasenet.networks import dual_space, losses

# Folded into the key of the validation cases.
_VALIDATION = 2
# A map with this correlation with the true one shows all atoms.
_SOLVED = 0.9


class DualSpaceTask(Task):
    """One minus the correlation with the true map, over a few rounds of the iteration somewhere on its way.

    Gradients go through these rounds alone. Each example is of one problem of the mixture, by chance.

    Config: ``problem`` (of the release); ``model`` (the fields of dual_space.DualSpaceArchitecture and its kind);
    ``mixture`` (num_atoms, inner_box, h_max (0: all), noise) of each problem, h_max in the units of ``problem.grid``;
    ``training_grid`` of their periodic maps; ``rounds_before`` (at most) and ``rounds`` of gradients;
    ``examples.seed``; ``validation.count`` cases of each problem.
    """

    def __init__(self, config):
        self.config = config
        try:
            self.problem = pretrained.problem_from(config.problem)
            self.architecture = pretrained.architecture_from(config.model.to_dict())
            pretrained.check_fits(self.architecture, self.problem)
            self.mixture = [self._part(*fields) for fields in config.mixture]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"config: {error}") from error
        if not self.mixture or config.rounds < 1 or config.rounds_before < 0 or config.validation.count < 1:
            raise InputError("config: expected a mixture of at least one problem, rounds and validation.count of at "
                             "least 1, and rounds_before of at least 0")
        self.round = dual_space.Round(self.architecture)
        self._scores = {}

    def init(self, key):
        return pretrained.init_params(key, self.architecture, self.problem)

    def batch(self, keys, step, data):
        seed = self.config.examples.seed

        def of_one(key):
            key_problem, key_rounds, key_example = jax.random.split(jax.random.fold_in(key, seed), 3)
            number = jax.random.randint(key_problem, (), 0, len(self.mixture))
            rounds = jax.random.randint(key_rounds, (), 0, self.config.rounds_before + 1)
            return *self.example(number, key_example), rounds

        # One after another: of all branches of the mixture but one is taken.
        measured, transform, valid, rounds = jax.lax.map(of_one, keys)
        return {"data": measured, "transform": transform, "valid": valid, "rounds_before": rounds}

    def example(self, number: jax.Array, key: jax.Array) -> tuple[dual_space.PhasingInput, jax.Array, jax.Array]:
        """Of a problem of the mixture: what is known, the transform of the true map, whether the atoms are valid."""
        return jax.lax.switch(number, [functools.partial(self._example, problem) for problem in self.mixture], key)

    def loss(self, params, batch, keys):
        weights = np.arange(1.0, self.config.rounds + 1)

        def of_one(example):
            data, transform, rounds, key = example
            state, _ = self._iterate(jax.lax.stop_gradient(params), dual_space.draw_start(key, data), data, rounds)
            return self._correlations(params, jax.lax.stop_gradient(state), data, transform)

        # One after another: a round of many maps at once would not fit a cache.
        correlations = jax.lax.map(of_one, (batch["data"], batch["transform"], batch["rounds_before"], keys))
        return 1 - (correlations * weights).sum(-1).mean() / weights.sum(), {
            "correlation": correlations[:, -1].mean(), "valid": batch["valid"].mean()}

    def evaluate(self, params):
        """Over fixed cases, each from one start: the mean correlation at the end, and the share that is solved."""
        # Apart from all keys of the training, which come from config.seed.
        key = jax.random.fold_in(jax.random.key(self.config.examples.seed), _VALIDATION)
        keys = jax.random.split(key, (len(self.mixture), self.config.validation.count))
        correlations = np.stack([self._evaluate(params, number, keys[number]) for number in range(len(keys))])
        self._scores = {"correlation": float(correlations.mean()), "solved": float((correlations > _SOLVED).mean())}
        self._scores |= {f"solved_{_name(problem)}": float((of_one > _SOLVED).mean())
                         for problem, of_one in zip(self.mixture, correlations, strict=True)}
        return self._scores

    def export(self, params, workdir, step):
        release.write(workdir, params, self.architecture, self.problem, config=self.config, step=step,
                      scores=self._scores)

    def _part(self, num_atoms: int, inner_box: float, h_max: float, noise: float) -> Problem:
        atoms = self.problem.atoms._replace(num_atoms=num_atoms, inner_box=inner_box)
        grid = self.config.training_grid
        # The same spacing of reflections in a voxel's units.
        h_max = h_max * grid / self.problem.grid if h_max else None
        problem = self.problem._replace(atoms=atoms, grid=grid, h_max=h_max, noise=noise)
        synthesis.check_problem(problem)
        return problem

    def _example(self, problem, key):
        key_atoms, key_noise = jax.random.split(key)
        positions, valid = random_atoms(key_atoms, problem.atoms)
        intensities = jnp.fft.rfftn(synthesis.measure_patterson(key_noise, positions, problem)).real
        width = self.architecture.atom_width
        return (dual_space.prepare_input(intensities, problem, width),
                dual_space.transform_of_atoms(positions, problem.grid, width), valid)

    def _iterate(self, params, state, data, rounds):
        start = state, jnp.zeros_like(state.projected)
        return jax.lax.fori_loop(0, rounds, lambda _, carry: self.round.apply(params, carry[0], data), start)

    def _correlations(self, params, state, data, transform):
        def step_fn(state, _):
            state, found = jax.checkpoint(self.round.apply)(params, state, data)
            return state, losses.correlation_of_maps(found, transform)

        return jax.lax.scan(step_fn, state, length=self.config.rounds)[1]

    @functools.partial(jax.jit, static_argnums=0)
    def _evaluate(self, params, number, keys):
        def of_one(key):
            key_example, key_start = jax.random.split(key)
            data, transform, _ = self.example(number, key_example)
            state = dual_space.draw_start(key_start, data)
            return losses.correlation_of_maps(
                self._iterate(params, state, data, self.architecture.rounds)[1], transform)

        return jax.lax.map(of_one, keys)


def _name(problem: Problem) -> str:
    """A problem in the log, as 10_12_h7_n0.1."""
    atoms = problem.atoms
    return (f"{atoms.num_atoms}_{atoms.inner_box:g}" + (f"_h{problem.h_max:.3g}" if problem.h_max else "")
            + (f"_n{problem.noise:g}" if problem.noise else ""))
