"""Trains the auto-encoders of saxsae, our own (lean) and the paper's (published).

The structures come from `launch.prepare_structures`. configs/saxsae_lean.py and configs/saxs_paper name the task.
"""

import functools
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch.machine import provenance
from launch.tasks.precision import compute_dtype
from launch.training import Task
from launch.training.state import PyTree, named_leaves
from launch.training.weights import adopt
from phasenet.errors import InputError
from saxsae import pretrained
from saxsae.io.structures.voxelized_corpus import read_voxelized
from saxsae.networks import autoencoder, code_refinement, losses, published_start
from saxsae.shapes import principal_components, voxels

THRESHOLDS = np.round(np.arange(0.05, 0.66, 0.05), 2)  # candidates for the threshold of the release
VALIDATION_MAPS = 384  # largest number of validation maps
BANK_MAPS = 2000  # training maps whose codes the release holds
MOST_COMPONENTS = 200  # most principal components; they form the linear code, the trivial baseline
_CHUNK = 64  # maps that are computed at once
# The layers of the published network that the paper's second stage replaces by layers of a smaller latent.
_DENSE = ("encoder/latent", "decoder/expand")


@functools.partial(jax.jit, static_argnames="turn")
def unpack_and_rotate(bits: jax.Array, keys: jax.Array, turn: bool = True) -> jax.Array:
    """Returns the network's input from packed maps.

    Args:
      bits: (N, 3724) uint8, see `voxelized_corpus.VoxelizedCorpus`.
      keys: (N,) typed keys of the random rotations.
      turn: whether the maps are rotated.

    Returns:
      (N, 32, 32, 32) float32, 0 or 1.
    """
    def example(bits: jax.Array, key: jax.Array) -> jax.Array:
        occupancy = voxels.unpack(bits)
        if turn:
            occupancy = (voxels.rotate(occupancy, voxels.random_rotation(key)) > 0.5).astype(jnp.float32)
        return voxels.pad(occupancy)
    return jax.vmap(example)(bits, keys)


class AutoencoderTask(Task):
    """Minimizes the cross-entropy between a binary map and the map decoded from its code.

    Config:
      model: "kind" (lean or published), "latent_size", "lowering" (see `autoencoder.make_autoencoder`) and "dtype"; of
        the published network also "width".
      corpus: path of the voxelized structures.
      rotations: whether each example is rotated at random.
      frozen_convolutions: whether only the dense layers are trained (the paper's second stage).
      linear_start, linear_samples: whether the network starts as the principal components of the corpus (the published
        one nearly so, see `published_start`); number of maps from which the components are computed.
      refinement: the fields of `code_refinement.Refinement` with which the release refines its codes.
    """

    free_fields: tuple[str, ...] = ("corpus", "model.dtype", "refinement.steps")

    def __init__(self, config: Any) -> None:
        self.config = config
        _check(config)
        # Evaluation and release use float32; the training may use a narrower type.
        self.network, self._trained_network = (
            autoencoder.make_autoencoder(config.model.kind, config.model.latent_size, config.model.lowering, dtype,
                                         _width(config))
            for dtype in (jnp.float32, compute_dtype(config)))
        corpus = read_voxelized(config.corpus)
        held_out = np.asarray(corpus.split) == 1
        self.data = {"bits": np.asarray(corpus.occupancy)[~held_out]}
        validation = np.asarray(corpus.occupancy)[held_out][:VALIDATION_MAPS]
        if not len(validation) or not len(self.data["bits"]):
            raise InputError(f"{config.corpus}: needs structures for training and for validation, but has "
                             f"{len(self.data['bits'])} and {len(validation)}")
        self.validation = np.concatenate([np.asarray(maps) for maps in self._chunks(validation, seed=1)])
        # The threshold and scores of the last evaluation, which the release states.
        self._threshold = 0.5
        self._scores: dict[str, float] = {}
        # Computed here, because `init` is traced.
        self._linear: dict[str, Any] = {}
        if config.linear_start:
            self._linear = self._lean_start() if config.model.kind == "lean" else self._published_start()

    def init(self, key: jax.Array) -> PyTree:
        """Returns initial parameters, those of the linear start where the config asks for it."""
        params = self.network.init(key)
        for part, layers in self._linear.items():
            params[part] = params[part] | jax.tree.map(jnp.asarray, layers)
        return params

    def batch(self, keys: jax.Array, step: jax.Array, data: PyTree) -> jax.Array:
        """Returns n random structures of the corpus in random poses, (n, 32, 32, 32) float32, 0 or 1."""
        def choose(key: jax.Array) -> tuple[jax.Array, jax.Array]:
            key_index, key_turn = jax.random.split(key)
            return data["bits"][jax.random.randint(key_index, (), 0, len(data["bits"]))], key_turn
        bits, keys_turn = jax.vmap(choose)(keys)
        return self.prepare_maps(bits, keys_turn)

    def prepare_maps(self, bits: jax.Array | np.ndarray, keys: jax.Array) -> jax.Array:
        """Returns the network's input (N, 32, 32, 32) from packed maps (N, 3724), in poses that the keys draw."""
        return unpack_and_rotate(bits, keys, self.config.rotations)

    def loss(self, params: PyTree, batch: jax.Array, keys: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns the cross-entropy (), and no other metric."""
        logits = self._trained_network.decode(params, self._trained_network.encode(params, batch))
        return losses.cross_entropy(logits, batch), {}

    def trainable(self, params: PyTree) -> PyTree:
        """Returns False for the convolutions where config.frozen_convolutions is set, and True for all other arrays."""
        def free(path: tuple[Any, ...], _: Any) -> bool:
            name = "/".join(str(part.key) for part in path)
            return not self.config.frozen_convolutions or name.startswith(_DENSE)
        return jax.tree_util.tree_map_with_path(free, params)

    def adopt(self, params: PyTree, source: PyTree) -> PyTree:
        """Returns the parameters, replaced by other weights.

        In the second stage the layers of the latent stay new. Weights of a narrower published network are widened.
        """
        if self.config.frozen_convolutions:
            return adopt(params, source, fresh=_DENSE)
        bias = np.shape(dict(named_leaves(source)).get("encoder/Conv3D_0/bias", ()))
        if self.config.model.kind == "published" and len(bias) == 1 and 0 < bias[0] < _width(self.config):
            narrow = autoencoder.make_autoencoder("published", self.config.model.latent_size, width=bias[0])
            return published_start.widen(params, adopt(jax.eval_shape(narrow.init, jax.random.key(0)), source))
        return adopt(params, source)

    def read_weights(self, path: pathlib.Path) -> PyTree:
        """Returns the parameters of a release (a folder with config.json), or of what any task reads."""
        return pretrained.load(str(path)).params if (path / "config.json").is_file() else super().read_weights(path)

    def evaluate(self, params: PyTree) -> dict[str, float]:
        """Returns the metrics of `score` for the network's encoder."""
        return self.score(params, self.network.encode)

    def score(self, params: PyTree, encode: Callable[[PyTree, jax.Array], jax.Array]) -> dict[str, float]:
        """Measures an encoder with the decoder on the validation maps; the release states the results.

        Args:
          params: parameters of the network.
          encode: (params, (N, 32, 32, 32) maps) -> (N, K) codes.

        Returns:
          "threshold" with the best mean correlation, "correlation" and "fraction_above_0.90" at that threshold, and
          "latents_always_zero", the fraction of latent numbers that are 0 for all maps.
        """
        encode, decode = jax.jit(encode), self._decode
        chunk_scores = []
        always_zero: Any = None
        for maps in np.split(self.validation, range(_CHUNK, len(self.validation), _CHUNK)):
            latent = encode(params, maps)
            zero = np.asarray((latent == 0).all(0))
            always_zero = zero if always_zero is None else always_zero & zero
            chunk_scores.append(_correlations(decode(params, latent), maps))
        scores = np.concatenate(chunk_scores, axis=1)
        best = int(scores.mean(1).argmax())
        self._threshold = float(THRESHOLDS[best])
        self._scores = {"correlation": float(scores[best].mean()),
                        "fraction_above_0.90": float((scores[best] > 0.9).mean())}
        return self._scores | {"threshold": self._threshold, "latents_always_zero": always_zero.mean()}

    def export(self, params: PyTree, workdir: pathlib.Path, step: int) -> None:
        """Writes the release: weights in half precision, codes of training maps, the linear code, and provenance."""
        rng = np.random.default_rng(self.config.seed)
        bits = self.data["bits"]
        chosen = bits[rng.permutation(len(bits))[:BANK_MAPS]]
        encode = jax.jit(self.network.encode)
        codes = np.concatenate([np.asarray(encode(params, maps)) for maps in self._chunks(chosen, seed=2)])
        latents = pretrained.Latents(codes.mean(0), codes.std(0), np.quantile(codes, np.linspace(0, 1, 101), axis=0),
                                     codes)
        config = self.config.to_dict() | {"corpus": pathlib.Path(self.config.corpus).name}
        info = {"kind": self.config.model.kind, "latent_size": self.config.model.latent_size,
                "threshold": self._threshold, "step": step, "seed": self.config.seed, **provenance.describe_code(),
                "training_maps": len(bits), "config": config, "validation": self._scores} | self.release_info()
        if self.config.model.kind == "published":
            info["width"] = _width(self.config)
        pretrained.save(pathlib.Path(workdir) / "weights", jax.device_get(params), latents, self.components, info)

    def release_info(self) -> dict[str, Any]:
        """Returns further fields of the release's config.json."""
        refinement = self.config.refinement
        return {"refinement": {name: refinement[name] for name in code_refinement.Refinement._fields}}

    @functools.cached_property
    def components(self) -> principal_components.Components:
        """Principal components of training maps in random poses, with the best threshold for the validation maps."""
        inside = np.concatenate([_values_in_sphere(maps) for maps in self._linear_maps()])
        size = min(self.config.model.latent_size, MOST_COMPONENTS)
        fitted = principal_components.fit_components(inside, size, seed=self.config.seed)
        held_out = _values_in_sphere(self.validation)
        linear = fitted.decode(fitted.encode(held_out))
        decoded, true = (autoencoder.scatter_sphere(values, 0.0) for values in (linear, held_out))
        scores = [float(losses.binary_correlation(decoded, true, threshold).mean()) for threshold in THRESHOLDS]
        return fitted._replace(threshold=float(THRESHOLDS[int(np.argmax(scores))]))

    @functools.cached_property
    def _decode(self) -> Callable[[PyTree, jax.Array], jax.Array]:
        """Compiled: parameters and codes (N, K) to probabilities (N, 32, 32, 32)."""
        return jax.jit(lambda params, latent: jax.nn.sigmoid(self.network.decode(params, latent)))

    def _lean_start(self) -> dict[str, Any]:
        """Returns linear layers that make the lean network compute the principal components, codes of unit variance.

        The encoder sees means of 2^3 blocks of voxels; its kernel is the least-squares fit of the components'
        codes to these means.
        """
        code = self.components
        gram: Any = 0.0
        product: Any = 0.0
        for maps in self._linear_maps():
            pooled = np.asarray(autoencoder.pool_blocks(maps))
            pooled = np.concatenate([pooled, np.ones((len(pooled), 1), np.float32)], 1)
            gram = gram + pooled.T @ pooled
            product = product + pooled.T @ code.encode(_values_in_sphere(maps))
        gram[np.diag_indices_from(gram)] += 1e-3 * self.config.linear_samples
        solution = np.linalg.solve(gram, product).astype(np.float32)
        gain = principal_components.LINEAR_GAIN
        return {"encoder": {"linear": {"kernel": solution[:-1], "bias": solution[-1]}},
                "decoder": {"linear": {"kernel": gain * (code.basis * code.sd).T.astype(np.float32),
                                       "bias": (gain * (code.mean - code.threshold)).astype(np.float32)}}}

    def _published_start(self) -> dict[str, Any]:
        """Returns layers that make the published network nearly compute the principal components."""
        # `step.init_params` and `init_state` fold 0 and 1 into this key.
        params = jax.jit(self.network.init)(jax.random.fold_in(jax.random.key(self.config.seed), 2))
        encoder = params["encoder"]
        compute_features = jax.jit(functools.partial(published_start.compute_features, self.network.encoder, encoder))
        features, codes = [], []
        for maps in self._linear_maps():
            features.append(np.asarray(compute_features(maps)))
            codes.append(self.components.encode(_values_in_sphere(maps)))
        latent = published_start.fit_dense_layer(np.concatenate(features), np.concatenate(codes))
        return {"encoder": encoder | {"latent": latent},
                "decoder": published_start.linear_decoder(params["decoder"], self.components)}

    def _linear_maps(self) -> Iterator[jax.Array]:
        """Yields the maps of which the principal components are computed, in chunks (n, 32, 32, 32)."""
        bits = self.data["bits"]
        rng = np.random.default_rng(self.config.seed)
        return self._chunks(bits[np.resize(rng.permutation(len(bits)), self.config.linear_samples)], seed=3)

    def _chunks(self, bits: np.ndarray, seed: int) -> Iterator[jax.Array]:
        """Yields the network's input from packed maps (N, 3724), in chunks (n, 32, 32, 32) in random poses."""
        keys = jax.random.split(jax.random.key(seed), len(bits))
        for start in range(0, len(bits), _CHUNK):
            yield self.prepare_maps(bits[start:start + _CHUNK], keys[start:start + _CHUNK])


def _check(config: Any) -> None:
    """Raises InputError for fields that are out of range or contradict each other, before the corpus is read."""
    kind, size = config.model.kind, config.model.latent_size
    if kind not in ("published", "lean"):
        raise InputError(f"config.model.kind={kind!r}: expected 'published' or 'lean'")
    if size < 1:
        raise InputError(f"config.model.latent_size={size}: expected at least 1")
    if config.frozen_convolutions and kind != "published":
        raise InputError(f"config.frozen_convolutions: the {kind} network has no convolutions to freeze: set False")
    if config.refinement.steps < 0:
        raise InputError(f"config.refinement.steps={config.refinement.steps}: expected at least 0")
    if not 1 <= _width(config) <= autoencoder.PUBLISHED_WIDTH:
        raise InputError(f"config.model.width={_width(config)}: expected 1 to {autoencoder.PUBLISHED_WIDTH}")
    if config.linear_start and size > MOST_COMPONENTS:
        raise InputError(f"config.model.latent_size={size}: a linear start gives at most {MOST_COMPONENTS} (or set "
                         "config.linear_start=False)")
    if config.linear_samples < min(size, MOST_COMPONENTS):
        raise InputError(f"config.linear_samples={config.linear_samples}: fewer maps than components: expected at "
                         f"least {min(size, MOST_COMPONENTS)}")


def _width(config: Any) -> int:
    """Returns config.model.width; the lean network's config has no such field."""
    return int(config.model.get("width", autoencoder.PUBLISHED_WIDTH))


def _values_in_sphere(maps: jax.Array | np.ndarray) -> np.ndarray:
    """Returns the values (N, 14147) of padded maps (N, 32, 32, 32) at the voxels of the unit sphere."""
    return np.asarray(maps)[:, :voxels.GRID, :voxels.GRID, :voxels.GRID][:, voxels.sphere_mask()]


@jax.jit
def _correlations(probability: jax.Array, occupancy: jax.Array) -> jax.Array:
    """Returns the correlations (len(THRESHOLDS), N) of decoded with true maps (N, 32, 32, 32) at each threshold."""
    return jax.vmap(lambda cut: losses.binary_correlation(probability, occupancy, cut))(jnp.array(THRESHOLDS))
