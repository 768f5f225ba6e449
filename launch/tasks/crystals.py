"""Trains the learned iteration for measured crystals on made ones.

The crystals come from `launch.datasets.make_crystals`; their measurement is simulated in the training step.
configs/phasenet_crystals.py names the task.
"""

import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch.machine import provenance
from launch.training import Task
from phasenet import crystal_pretrained
from phasenet.crystal import phasing
from phasenet.crystal.learned import examples
from phasenet.crystal.learned.examples import CrystalExample
from phasenet.crystal.learned.learned_round import LearnedRound
from phasenet.crystal.learned.structures import TrainingStructures, find_resolutions, pack_structures
from phasenet.crystal.made import arrays
from phasenet.crystal.phasing import PhasingState
from phasenet.errors import InputError
from phasenet.io.npz import read_npz
from phasenet.networks import losses

# A map that correlates with the true one above this shows nearly all atoms.
_SOLVED_CORRELATION = 0.8
# The power of the correlation in the loss. With 1, the network settles on a wrong map as fast as it can; with more, the
# loss hardly depends on how wrong a wrong map is.
_POWER = 4
# Edges of ranges of resolution (Angstrom), and how often a resolution in each range is drawn, relative.
_RESOLUTION_EDGES, _RESOLUTION_WEIGHTS = (0.95, 1.35, 2.1), (0.2, 1.0)
_MAX_ATOMS = 256  # in the unit cell, hydrogen among them
_VALIDATION_BANDS = (1.1, 1.35, 1.65, 1.95, 2.1)


class CrystalsTask(Task):
    """Maximizes the correlation with the true map over a few rounds of the learned iteration.

    1. Each example is a made crystal on one of a few grids, with data simulated to a random resolution.
    2. The network iterates from random phases for a random number of rounds, without gradients.
    3. The loss is one minus the mean of a power of the correlation with the true map over the next rounds, later ones
       weighted more.

    Config:
      model: the fields of `LearnedArchitecture`.
      structures: paths of files of made crystals, separated by commas; may differ when the training is resumed.
      shapes: shapes of the grids; a program is compiled for each.
      rounds_before, rounds: the largest number of rounds without gradients; the number of rounds with gradients.
      examples.seed: seed of the examples.
      validation.count, validation.rounds: how many crystals, drawn once, are kept apart for validation; rounds of each,
        from one start.
    """

    free_fields = ("structures",)

    def __init__(self, config: Any) -> None:
        self.config = config
        self.architecture = crystal_pretrained.architecture_from(config.model.to_dict())
        if config.rounds < 1 or config.rounds_before < 0 or config.validation.count < 1:
            raise InputError("config: expected rounds and validation.count of at least 1, and rounds_before of at "
                             "least 0")
        self.round = LearnedRound(self.architecture)
        self.shapes = tuple(tuple(shape) for shape in config.shapes)
        if not self.shapes or any(len(shape) != 3 or min(shape) < 4 or shape[2] % 2 for shape in self.shapes):
            raise InputError(f"config.shapes={config.shapes}: expected shapes of three numbers, the last even")
        made = arrays.join([read_npz(pathlib.Path(path), arrays.NAMES) for path in config.structures.split(",")])
        order = np.random.default_rng(config.examples.seed).permutation(len(made["cell"]))
        held = pack_structures((arrays.unpack(made, number) for number in order), _MAX_ATOMS, self.shapes)
        train = len(held.kinds) - config.validation.count
        if train < 1:
            raise InputError(f"{config.structures}: {len(held.kinds)} crystals fit a grid, of which "
                             f"config.validation.count={config.validation.count} are kept apart; make more with "
                             "launch.datasets.make_crystals")
        self.validation = TrainingStructures(*(array[train:] for array in held))
        resolutions = find_resolutions(held.reciprocal, self.shapes)
        self._validation_resolutions = resolutions[train:]
        self.data = {"structures": TrainingStructures(*(array[:train] for array in held)),
                     "resolutions": resolutions[:train], **_list_pairs(resolutions[:train])}
        self._scores: dict[str, float] = {}

    def init(self, key: jax.Array) -> Any:
        """Returns initial parameters of the network's round."""
        return crystal_pretrained.init_params(key, self.architecture)

    def batch(self, keys: jax.Array, step: jax.Array, data: Any) -> dict[str, Any]:
        """Returns n examples without data; `loss` simulates their measurement, because grids differ in shape.

        Returns:
          "structure": arrays of one crystal each; "shape" (n,) number of the grid's shape; "resolutions" (n, 2);
          "key" (n,) typed key of the measurement; "rounds_before" (n,) rounds without gradients; "variant" (n, 2), see
          `draw_start`.
        """
        def draw_one(key: jax.Array) -> dict[str, Any]:
            key_pair, key_rounds, key_example, key_variant = jax.random.split(
                jax.random.fold_in(key, self.config.examples.seed), 4)
            pair = jnp.searchsorted(data["cumulative"], jax.random.uniform(key_pair))
            pair = jnp.minimum(pair, len(data["cumulative"]) - 1)
            crystal, shape = data["pairs"][pair]
            return {"structure": jax.tree.map(lambda array: array[crystal], data["structures"]), "shape": shape,
                    "resolutions": data["resolutions"][crystal, shape], "key": key_example,
                    "rounds_before": jax.random.randint(key_rounds, (), 0, self.config.rounds_before + 1),
                    "variant": jax.random.choice(key_variant, jnp.array(phasing.VARIANTS))}

        return jax.lax.map(draw_one, keys)

    def loss(self, params: Any, batch: Any, keys: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns the loss (), and the () means over the batch of "correlation" after the last round and "solved"."""
        weights = np.arange(1.0, self.config.rounds + 1)

        def rate_one(item: Any) -> jax.Array:
            case, key = item
            return jax.lax.switch(
                case["shape"], [functools.partial(self._rate, params, shape) for shape in self.shapes], case, key)

        # The maps are computed one after another, because a round of many would not fit into the processor's cache.
        correlations = jax.lax.map(rate_one, (batch, keys))
        return 1 - (correlations**_POWER * weights).sum(-1).mean() / weights.sum(), {
            "correlation": correlations[:, -1].mean(), "solved": (correlations[:, -1] > _SOLVED_CORRELATION).mean()}

    def _rate(self, params: Any, shape: tuple[int, int, int], case: Any, key: jax.Array) -> jax.Array:
        """Returns the correlations (config.rounds,) of one case on a grid with the true map, after each round."""
        example = examples.make_example(case["key"], case["structure"], case["resolutions"], shape)
        state = draw_start(key, example, case["variant"], shape)
        fixed = jax.lax.stop_gradient(params)
        state = jax.lax.fori_loop(
            0, case["rounds_before"], lambda _, state: self.round.apply(fixed, state, example.data)[0], state)

        def step_fn(state: PhasingState, _: None) -> tuple[PhasingState, jax.Array]:
            state, density = jax.checkpoint(self.round.apply)(params, state, example.data)
            return state, losses.correlation_of_maps(density, example.transform)

        return jax.lax.scan(step_fn, jax.lax.stop_gradient(state), length=self.config.rounds)[1]

    def evaluate(self, params: Any) -> dict[str, float]:
        """Returns metrics over the crystals that are kept apart, each from one start.

        Returns:
          "correlation" with the true map, the mean; "solved", the fraction with a correlation above 0.8; and
          "solved_1.10_to_1.35" and so on, that fraction in bands of resolution, Angstrom.
        """
        correlations, resolutions = self.rate_validation(params)
        solved = correlations > _SOLVED_CORRELATION
        self._scores = {"correlation": float(correlations.mean()), "solved": float(solved.mean())}
        for low, high in zip(_VALIDATION_BANDS[:-1], _VALIDATION_BANDS[1:], strict=True):
            inside = (resolutions >= low) & (resolutions < high)
            if inside.any():
                self._scores[f"solved_{low:.2f}_to_{high:.2f}"] = float(solved[inside].mean())
        return self._scores

    def rate_validation(self, params: Any) -> tuple[np.ndarray, np.ndarray]:
        """Returns the final correlations (n,) of the validation cases, and their resolutions (n,), Angstrom."""
        pairs = _list_pairs(self._validation_resolutions)["pairs"]
        # One grid of those that fit each crystal, drawn once and for all.
        order = np.random.default_rng(self.config.examples.seed).permutation(len(pairs))
        _, first = np.unique(pairs[order, 0], return_index=True)
        chosen = pairs[order[first]]
        found: list[tuple[float, float]] = []
        for number, shape in enumerate(self.shapes):
            cases = chosen[chosen[:, 1] == number, 0]
            if len(cases):
                held = jax.tree.map(lambda array, cases=cases: jnp.asarray(array[cases]), self.validation)
                resolutions = jnp.asarray(self._validation_resolutions[cases, number])
                keys = jax.vmap(lambda case: jax.random.fold_in(jax.random.key(self.config.examples.seed), case))(cases)
                found += zip(*map(np.asarray, self._evaluate(params, shape, held, resolutions, keys)), strict=True)
        return np.array([correlation for correlation, _ in found]), np.array([d_min for _, d_min in found])

    @functools.partial(jax.jit, static_argnums=(0, 2))
    def _evaluate(self, params: Any, shape: tuple[int, int, int], held: TrainingStructures, resolutions: jax.Array,
                  keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns the final correlations (n,) and the resolutions (n,) of cases on one grid."""
        def of_one(item: Any) -> tuple[jax.Array, jax.Array]:
            structure, limits, key = item
            key_example, key_start = jax.random.split(key)
            example = examples.make_example(key_example, structure, limits, shape)
            state = draw_start(key_start, example, jnp.array(phasing.VARIANTS[0]), shape)
            state, density = jax.lax.fori_loop(
                0, self.config.validation.rounds, lambda _, carry: self.round.apply(params, carry[0], example.data),
                (state, jnp.zeros(shape)))
            return losses.correlation_of_maps(density, example.transform), example.d_min

        return jax.lax.map(of_one, (held, resolutions, keys))

    def export(self, params: Any, workdir: pathlib.Path, step: int) -> None:
        """Writes the release with the scores of the last evaluation."""
        info = {"step": step, "seed": self.config.seed, **provenance.describe_code(), "validation": self._scores,
                "config": self.config.to_dict()}
        crystal_pretrained.save(pathlib.Path(workdir) / "weights", jax.device_get(params), self.architecture, info)


def draw_start(key: jax.Array, example: CrystalExample, variant: jax.Array,
               shape: tuple[int, int, int]) -> PhasingState:
    """Returns the state of one start with random phases; `variant` (2,) is its threshold and its share."""
    state = phasing.make_states(jax.random.normal(key, (1, *shape)), variant[:1], variant[1:], example.data.constraint,
                                shape)
    return jax.tree.map(lambda array: array[0], state)


def _list_pairs(resolutions: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the pairs of a crystal and a shape of grid that fits it, and how often each is drawn.

    Args:
      resolutions: (S, G, 2), see `find_resolutions`.

    Returns:
      "pairs" (P, 2) int32, and "cumulative" (P,) float32, the running sum of their probabilities.
    """
    low, high = resolutions[..., 0], resolutions[..., 1]
    weights = sum(weight * np.clip(np.minimum(high, end) - np.maximum(low, begin), 0.0, None) for begin, end, weight in
                  zip(_RESOLUTION_EDGES[:-1], _RESOLUTION_EDGES[1:], _RESOLUTION_WEIGHTS, strict=True))
    pairs = np.argwhere(weights > 0)
    drawn = weights[tuple(pairs.T)]
    return {"pairs": pairs.astype(np.int32), "cumulative": (np.cumsum(drawn) / drawn.sum()).astype(np.float32)}
