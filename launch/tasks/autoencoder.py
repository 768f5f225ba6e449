"""Trains the auto-encoders of saxsae.networks.autoencoder on a packed set of structures (launch.prepare_structures)."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from launch.machine import provenance
from launch.tasks.precision import compute_dtype
from launch.training import Task
from launch.training.weights import adopt
from phasenet.errors import InputError
from saxsae import pretrained
from saxsae.io.structures.voxelized_corpus import read_voxelized
from saxsae.networks import autoencoder, code_refinement, losses
from saxsae.shapes import principal_components, voxels

THRESHOLDS = np.round(np.arange(0.05, 0.66, 0.05), 2)
VALIDATION_MAPS = 384
BANK_MAPS = 2000
LINEAR_GAIN = 8.0  # logits per unit of occupancy with which the linear code starts
MOST_COMPONENTS = 200  # of the linear code, which is the baseline as well
_CHUNK = 64
# Of the published network, what a smaller latent replaces (the paper's second stage).
_DENSE = ("encoder/latent", "decoder/expand")


@functools.partial(jax.jit, static_argnames="turn")
def prepare(bits, keys, turn: bool = True):
    """Packed maps (N, 3724) to the network's input (N, 32, 32, 32), each turned at random by its key."""
    def example(bits, key):
        occupancy = voxels.unpack(bits)
        if turn:
            occupancy = (voxels.rotate(occupancy, voxels.random_rotation(key)) > 0.5).astype(jnp.float32)
        return voxels.pad(occupancy)
    return jax.vmap(example)(bits, keys)


class AutoencoderTask(Task):
    """Cross-entropy between a map and what 200 numbers keep of it.

    Config: ``model.kind``, ``model.latent_size``, ``model.lowering``, ``model.dtype``; ``corpus``; ``rotations``;
    ``frozen_convolutions`` (stage 2); ``linear_start`` and ``linear_samples`` (lean network only); ``refinement`` of
    the release's codes.
    """

    free_fields = ("corpus", "model.dtype", "refinement.steps")

    def __init__(self, config):
        self.config = config
        _check(config)
        # Evaluated as it is released; trained in what may be a narrower type.
        self.network, self._trained_network = (
            autoencoder.make_autoencoder(config.model.kind, config.model.latent_size, config.model.lowering, dtype)
            for dtype in (jnp.float32, compute_dtype(config)))
        corpus = read_voxelized(config.corpus)
        held_out = np.asarray(corpus.split) == 1
        self.data = {"bits": np.asarray(corpus.occupancy)[~held_out]}
        validation = np.asarray(corpus.occupancy)[held_out][:VALIDATION_MAPS]
        if not len(validation) or not len(self.data["bits"]):
            raise InputError(f"{config.corpus}: needs structures for training and for validation")
        self.validation = np.concatenate([np.asarray(maps) for maps in self._chunks(validation, seed=1)])
        self._threshold, self._scores = 0.5, {}  # of the last evaluation, for the release
        # Outside init, which is traced.
        self._linear = self._linear_start() if config.linear_start else {}

    def init(self, key):
        params = self.network.init(key)
        for part, linear in self._linear.items():
            params[part]["linear"] = jax.tree.map(jnp.asarray, linear)
        return params

    def batch(self, keys, step, data):
        def choose(key):
            key_index, key_turn = jax.random.split(key)
            return data["bits"][jax.random.randint(key_index, (), 0, len(data["bits"]))], key_turn
        bits, keys_turn = jax.vmap(choose)(keys)
        return self.prepare(bits, keys_turn)

    def prepare(self, bits, keys):
        """Packed maps (N, 3724) to the network's input, each in a pose that its key draws."""
        return prepare(bits, keys, self.config.rotations)

    def loss(self, params, batch, keys):
        logits = self._trained_network.decode(params, self._trained_network.encode(params, batch))
        return losses.cross_entropy(logits, batch), {}

    def trainable(self, params):
        def free(path, _):
            name = "/".join(str(part.key) for part in path)
            return not self.config.frozen_convolutions or name.startswith(_DENSE)
        return jax.tree_util.tree_map_with_path(free, params)

    def adopt(self, params, source):
        return adopt(params, source, fresh=_DENSE if self.config.frozen_convolutions else ())

    def read_weights(self, path):
        """Of a release, too: its folder."""
        return pretrained.load(str(path)).params if (path / "config.json").is_file() else super().read_weights(path)

    def evaluate(self, params):
        return self.judge(params, self.network.encode)

    def judge(self, params, encode) -> dict[str, float]:
        """Figures of ``encode(params, maps)`` and the decoder on the validation maps, kept for the release."""
        encode, decode = jax.jit(encode), self._decode
        scores, silent = [], None
        for x in np.split(self.validation, range(_CHUNK, len(self.validation), _CHUNK)):
            latent = encode(params, x)
            zero = np.asarray((latent == 0).all(0))
            silent = zero if silent is None else silent & zero
            scores.append(_correlations(decode(params, latent), x))
        scores = np.concatenate(scores, axis=1)
        best = int(scores.mean(1).argmax())
        self._threshold = float(THRESHOLDS[best])
        self._scores = {"correlation": float(scores[best].mean()),
                        "fraction_above_0.90": float((scores[best] > 0.9).mean())}
        return self._scores | {"threshold": self._threshold, "latents_always_zero": silent.mean()}

    def export(self, params, workdir, step):
        """The release: half-precision weights, latent distribution, linear baseline, provenance."""
        rng = np.random.default_rng(self.config.seed)
        bits = self.data["bits"]
        chosen = bits[rng.permutation(len(bits))[:BANK_MAPS]]
        encode = jax.jit(self.network.encode)
        codes = np.concatenate([np.asarray(encode(params, x)) for x in self._chunks(chosen, seed=2)])
        latents = pretrained.Latents(codes.mean(0), codes.std(0), np.quantile(codes, np.linspace(0, 1, 101), axis=0),
                                     codes)
        config = self.config.to_dict() | {"corpus": pathlib.Path(self.config.corpus).name}
        info = {"kind": self.config.model.kind, "latent_size": self.config.model.latent_size,
                "threshold": self._threshold, "step": step, "seed": self.config.seed, **provenance.code(),
                "training_maps": len(bits), "config": config, "validation": self._scores} | self.facts()
        pretrained.save(pathlib.Path(workdir) / "weights", jax.device_get(params), latents, self.components, info)

    def facts(self) -> dict:
        """What else the release must say of itself."""
        refinement = self.config.refinement
        return {"refinement": {name: refinement[name] for name in code_refinement.Refinement._fields}}

    @functools.cached_property
    def components(self) -> principal_components.Components:
        """Principal components of the training maps in random orientations, cut where it serves validation best."""
        inside = np.concatenate([_sphere(maps) for maps in self._linear_maps()])
        fitted = principal_components.fit(inside, min(self.config.model.latent_size, MOST_COMPONENTS), seed=self.config.seed)
        held_out = _sphere(self.validation)
        linear = fitted.decode(fitted.encode(held_out))
        grids = [autoencoder.scatter_sphere(values, 0.0) for values in (linear, held_out)]
        scores = [float(losses.binary_correlation(*grids, cut).mean()) for cut in THRESHOLDS]
        return fitted._replace(threshold=float(THRESHOLDS[int(np.argmax(scores))]))

    @functools.cached_property
    def _decode(self):
        return jax.jit(lambda params, latent: jax.nn.sigmoid(self.network.decode(params, latent)))

    def _linear_start(self) -> dict:
        """The lean network's linear layers as the principal components, each latent in units of its spread."""
        code = self.components
        gram = product = 0.0
        for maps in self._linear_maps():
            pooled = np.asarray(autoencoder.pool_blocks(maps))
            pooled = np.concatenate([pooled, np.ones((len(pooled), 1), np.float32)], 1)
            gram = gram + pooled.T @ pooled
            product = product + pooled.T @ code.encode(_sphere(maps))
        gram[np.diag_indices_from(gram)] += 1e-3 * self.config.linear_samples
        solution = np.linalg.solve(gram, product).astype(np.float32)
        return {"encoder": {"kernel": solution[:-1], "bias": solution[-1]},
                "decoder": {"kernel": LINEAR_GAIN * (code.basis * code.sd).T.astype(np.float32),
                            "bias": (LINEAR_GAIN * (code.mean - code.threshold)).astype(np.float32)}}

    def _linear_maps(self):
        bits = self.data["bits"]
        rng = np.random.default_rng(self.config.seed)
        return self._chunks(bits[np.resize(rng.permutation(len(bits)), self.config.linear_samples)], seed=3)

    def _chunks(self, bits, seed: int):
        keys = jax.random.split(jax.random.key(seed), len(bits))
        for start in range(0, len(bits), _CHUNK):
            yield self.prepare(bits[start:start + _CHUNK], keys[start:start + _CHUNK])


def _check(config) -> None:
    """Raises InputError for what cannot be, before the corpus is read."""
    kind, size = config.model.kind, config.model.latent_size
    if kind not in ("published", "lean"):
        raise InputError(f"config.model.kind={kind!r}: expected 'published' or 'lean'")
    if size < 1:
        raise InputError(f"config.model.latent_size={size}: expected at least 1")
    if config.frozen_convolutions and kind != "published":
        raise InputError(f"config.frozen_convolutions: the {kind} network has no convolutions to freeze")
    if config.refinement.steps < 0:
        raise InputError(f"config.refinement.steps={config.refinement.steps}: expected at least 0")
    if config.linear_start and kind != "lean":
        raise InputError(f"config.linear_start: the {kind} network has no linear code to start from")
    if config.linear_start and size > MOST_COMPONENTS:
        raise InputError(f"config.model.latent_size={size}: a linear start gives at most {MOST_COMPONENTS} (or set "
                         "config.linear_start=False)")
    if config.linear_samples < min(size, MOST_COMPONENTS):
        raise InputError(f"config.linear_samples={config.linear_samples}: fewer maps than components "
                         f"({min(size, MOST_COMPONENTS)})")


def _sphere(maps) -> np.ndarray:
    """The unit sphere's voxels of padded maps: (N, 32, 32, 32) to (N, 14147)."""
    return np.asarray(maps)[:, :voxels.GRID, :voxels.GRID, :voxels.GRID][:, voxels.sphere_mask()]


@jax.jit
def _correlations(probability, occupancy):
    """Correlation at each of THRESHOLDS: (len(THRESHOLDS), N)."""
    return jax.vmap(lambda cut: losses.binary_correlation(probability, occupancy, cut))(jnp.array(THRESHOLDS))
