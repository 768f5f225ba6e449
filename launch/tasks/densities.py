"""Trains the density head, which turns decoded occupancy maps into densities of atoms, bound water and electrons.

configs/saxsae_densities.py names the task.
"""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch.datasets import structure_sources
from launch.training import Task
from launch.training.state import PyTree
from phasenet.errors import InputError
from saxsae import pretrained
from saxsae.io.structures.voxelized_corpus import read_voxelized
from saxsae.networks.density_head import DENSITIES, DensityHead, apply_head
from saxsae.profiles import hydration
from saxsae.shapes import voxels
from saxsae.superposition import metrics

_CHUNK = 32  # maps that are encoded at a time
_WEIGHTS = {"atoms": 1.0, "shell": 0.3, "excess": 1.0}  # weights of 1 - correlation in the loss
_SUM_WEIGHTS = {"atoms": 0.3, "shell": 0.1, "excess": 0.3}  # weights of squared log ratios of sums


class DensitiesTask(Task):
    """Maximizes the correlation of decoded densities with those of the structures, and keeps their sums.

    The constructor makes the data: structures of the corpus's training split, encoded and decoded by the weights.

    Config:
      structures: the value of --input from which launch.prepare_structures made the corpus.
      corpus: the packed set, from launch.prepare_structures.
      weights: released weights, or their folder.
      count, validation: how many structures of the training and of the validation split are taken.
      width: channels of the head's hidden layers.
    """

    free_fields = ("structures", "corpus", "weights")

    def __init__(self, config: Any) -> None:
        self.config = config
        if config.count < 1 or config.validation < 1 or config.width < 1:
            raise InputError("config: expected count, validation and width of at least 1")
        weights = pretrained.load(config.weights)
        corpus = read_voxelized(config.corpus)
        known = structure_sources.load_by_name(config.structures, config.corpus)
        rng = np.random.default_rng(config.seed)
        parts = []
        for split, count in ((0, config.count), (1, config.validation)):
            rows = [row for row in rng.permutation(np.flatnonzero(corpus.split == split))
                    if corpus.names[row] in known][:count]
            if not rows:
                raise InputError(f"{config.structures}: no structure of {config.corpus} in it")
            r_max = corpus.r_max_angstrom[rows]
            truth = []
            for row, radius in zip(rows, r_max, strict=True):
                structure = known[corpus.names[row]]
                xyz, _ = voxels.centre_and_radius(structure.xyz_angstrom)
                truth.append(hydration.densities_of_structure(xyz, structure.atomic_number, radius))
            parts.append({"probability": _decode(weights, corpus.occupancy[rows]),
                          "truth": np.array(truth, np.float16), "r_max": r_max})
        self.data, self.validation = parts
        self.head = DensityHead(config.width)

    def init(self, key: jax.Array) -> PyTree:
        """Returns initial parameters of the head."""
        return self.head.init(key, jnp.zeros((voxels.GRID,) * 3), jnp.float32(30.0))["params"]

    def batch(self, keys: jax.Array, step: jax.Array, data: PyTree) -> PyTree:
        """Returns n random structures: "probability", "truth" and "r_max"."""
        rows = jax.vmap(lambda key: jax.random.randint(key, (), 0, len(data["r_max"])))(keys)
        return jax.tree.map(lambda array: array[rows], data)

    def loss(self, params: PyTree, batch: PyTree, keys: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns the loss () and the means over the batch of `_rate`."""
        rated = jax.vmap(lambda one: self._rate(params, one))(batch)
        rated = jax.tree.map(jnp.mean, rated)
        loss = sum(weight * (1 - rated[name]) + _SUM_WEIGHTS[name] * rated[f"{name}_sum_error"]
                   for name, weight in _WEIGHTS.items())
        return jnp.asarray(loss), rated

    def _rate(self, params: PyTree, one: PyTree) -> dict[str, jax.Array]:
        """Returns the correlations of `DENSITIES`, and the squared logarithms of the ratios of sums."""
        found = apply_head(self.config.width, params, one["probability"].astype(jnp.float32), one["r_max"])
        truth = one["truth"].astype(jnp.float32)
        error = jnp.log(jnp.maximum(found.sum((1, 2, 3)), 1.0) / truth.sum((1, 2, 3)))**2
        correlation = jax.vmap(metrics.pearson)(found, truth)
        return {**dict(zip(DENSITIES, correlation, strict=True)),
                **{f"{name}_sum_error": one for name, one in zip(DENSITIES, error, strict=True)}}

    def evaluate(self, params: PyTree) -> dict[str, float]:
        """Returns the means of `_rate` over the validation structures."""
        rate = jax.jit(self._rate)
        rated = [rate(params, jax.tree.map(lambda array, row=row: array[row], self.validation))
                 for row in range(len(self.validation["r_max"]))]
        return {name: float(np.mean([one[name] for one in rated])) for name in rated[0]}

    def export(self, params: PyTree, workdir: pathlib.Path, step: int) -> None:
        """Writes the head; `launch.datasets.make_bank --density=WORKDIR` puts it into a release."""
        folder = pathlib.Path(workdir) / "weights"
        folder.mkdir(parents=True, exist_ok=True)
        pretrained.save_density_head(folder, jax.device_get(params))


def _decode(weights: pretrained.Pretrained, bits: np.ndarray) -> np.ndarray:
    """Returns the probabilities (N, 31, 31, 31) float16 of packed maps (N, 3724), encoded and decoded."""
    @jax.jit
    def there_and_back(bits: jax.Array) -> jax.Array:
        codes = weights.encode(voxels.pad(voxels.unpack(bits)))
        logits = weights.network.decode(weights.params, codes)[:, :voxels.GRID, :voxels.GRID, :voxels.GRID]
        return jax.nn.sigmoid(logits) * voxels.sphere_mask()

    found = []
    for start in range(0, len(bits), _CHUNK):
        part = np.resize(bits[start:start + _CHUNK], (_CHUNK, bits.shape[1]))  # one shape, one program
        found.append(np.asarray(there_and_back(part), np.float16)[:len(bits) - start])
    return np.concatenate(found)
