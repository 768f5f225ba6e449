"""Suite "genetic": a generation of 300 genes, part by part, and beside it the published decoder.

In the rows of the parts the "peer" is the whole generation: the ratio's inverse is the part's share. The published
decoder has random parameters here, which costs it no more and no less; it decodes a few genes at a time, and
its generation is its decoding with all other parts as they are.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch.benchmarks import bars
from launch.benchmarks.timing import Row, compare
from saxsae import genetic, pretrained, reconstruction
from saxsae.networks import autoencoder
from saxsae.profiles import scattering, zernike
from saxsae.shapes import connectivity, voxels

LEAST_PUBLISHED_RATIO = 10.0  # time of a generation with the published decoder over ours
MOST_SECONDS = 0.5  # of a generation
ORDER = 20
R_MAX_ANGSTROM = 40.0
_PUBLISHED_GENES = 10  # decoded at a time: all at once would need 5 GB and more
SETTINGS = genetic.EvolutionSettings()


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """The whole generation's milliseconds, each part's share, and the ratio to the published decoder."""
    generation = Generation(pretrained.load(), SETTINGS)
    whole = generation.compiled("generation")
    summary = {}
    for part in PARTS:
        row = compare(part, "whole", generation.compiled(part), whole, seconds=6)
        report(row)
        summary |= {f"share_{part}": 1 / row.ratio, f"milliseconds_{part}": 1e3 * row.seconds}
    row = beside_published(generation, whole, decoding=1 / summary["share_decode"])
    report(row)
    return summary | {"milliseconds_generation": 1e3 * row.seconds, "ratio_published": row.ratio, "bars": [
        bars.at_least("time with the published decoder over ours", row.ratio, LEAST_PUBLISHED_RATIO),
        bars.at_most("seconds of a generation", row.seconds, MOST_SECONDS)]}


def beside_published(generation: "Generation", whole: Callable, decoding: float, genes: int = _PUBLISHED_GENES) -> Row:
    """A generation of ours against one with the published decoder, which takes so many genes at a time.

    decoding: how many times its own decoder's time our generation takes.
    """
    network = autoencoder.make_autoencoder("published", generation.latents.shape[1])
    params = jax.jit(network.init)(jax.random.key(0))
    latents = generation.latents[:genes]
    decode = jax.jit(network.decode).lower(params, latents).compile()
    jax.block_until_ready(decode(params, latents))
    row = compare("generation, the published decoder beside it", "publ.", whole, lambda: decode(params, latents),
                  seconds=12)
    children = generation.settings.population - generation.settings.elites
    ratio = row.ratio * children / genes + 1 - 1 / decoding
    return row._replace(ratio=ratio, peer_seconds=ratio * row.seconds,
                        peer_cpu_seconds=row.peer_cpu_seconds * children / genes + row.cpu_seconds * (1 - 1 / decoding),
                        details={"genes_at_a_time": genes, "decode_ratio": row.ratio * children / genes * decoding})


# What a generation does, in its order; each method of Generation of that name is one program.
PARTS = ("operators", "decode", "connectivity", "moments", "profile")


class Generation:
    """One generation of `saxsae.genetic` on a curve of the first gene's own shape, and its parts apart."""

    def __init__(self, released: pretrained.Pretrained, settings: genetic.EvolutionSettings) -> None:
        self.released, self.settings = released, settings
        bank = jnp.asarray(released.latents.bank)
        children = settings.population - settings.elites
        self.latents = jnp.resize(bank, (children, bank.shape[1]))
        self.radii = jnp.full(children, R_MAX_ANGSTROM)
        self.prior = genetic.CodePrior(jnp.asarray(released.latents.quantiles), bank, jnp.float32(0.7 * R_MAX_ANGSTROM),
                                   jnp.float32(1.4 * R_MAX_ANGSTROM))
        self.q = jnp.linspace(0.01, 0.2, reconstruction.NUM_POINTS)
        params = {"decoder": jax.tree.map(jnp.asarray, released.params["decoder"])}
        logits = jax.jit(self.decode)(params, self.latents)
        shapes = jax.jit(self.connectivity)(logits)
        moments = jax.jit(self.moments)(shapes)
        first = functools.partial(scattering.profile_from_moments, n_max=ORDER)
        curve = jax.jit(first)(moments[0], self.q, jnp.float32(R_MAX_ANGSTROM))
        state = jax.jit(genetic.init, static_argnums=(2, 3))(jax.random.key(0), self.prior, _no_score, settings)
        chance = jax.random.key(1), state, self.prior
        # All that changes is an argument: a compiler must find nothing to work out beforehand.
        self.inputs = {"operators": chance, "decode": (params, self.latents), "connectivity": (logits,),
                       "moments": (shapes,), "profile": (curve, moments, self.radii),
                       "generation": (*chance, params, curve)}

    def compiled(self, part: str) -> Callable[[], Any]:
        """A part on its own input, or the whole `generation`, ready to be timed."""
        inputs = self.inputs[part]
        program = jax.jit(getattr(self, part)).lower(*inputs).compile()
        return lambda: program(*inputs)

    def generation(self, key, state, prior, params, curve) -> genetic.EvolutionState:
        """All of it."""
        def score(latents, radii):
            return self.profile(curve, self.moments(self.connectivity(self.decode(params, latents))), radii)

        return genetic.step(key, state, prior, genetic.score_in_chunks(score, reconstruction.SCORE_CHUNKS), self.settings)

    def operators(self, key, state, prior) -> genetic.EvolutionState:
        """Selection, crossing, mutation and sorting: a generation whose score is nothing to find."""
        return genetic.step(key, state, prior, _no_score, self.settings)

    def decode(self, params: dict, latents: jax.Array) -> jax.Array:
        """Genes (P, K) to logits (P, 31, 31, 31)."""
        return self.released.network.decode(params, latents)[(slice(None), *(slice(voxels.GRID),) * 3)]

    def connectivity(self, logits: jax.Array) -> jax.Array:
        """The main region of each map."""
        level = float(np.log(self.released.threshold / (1 - self.released.threshold)))
        return connectivity.main_regions(logits, level, voxels.sphere_mask())

    def moments(self, shapes: jax.Array) -> jax.Array:
        """(P, 31, 31, 31) to (P, K)."""
        return zernike.moments(shapes, ORDER)

    def profile(self, curve: jax.Array, moments: jax.Array, radii: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Profiles at the radii about each gene's own, chi^2 of each, and the best."""
        tried = radii[:, None] * (1 + jnp.array(reconstruction.RADIUS_STEPS))
        invariants = scattering.shape_invariants(moments, ORDER)
        over_radii = jax.vmap(scattering.profile_from_invariants, (None, None, 0))
        intensity = jax.vmap(over_radii, (0, None, 0))(invariants, self.q, tried)
        chi_squared = scattering.chi_squared(intensity, curve, 1e4 / curve**2)
        best = jnp.argmin(chi_squared, axis=1)[:, None]
        return jnp.take_along_axis(chi_squared, best, 1)[:, 0], jnp.take_along_axis(tried, best, 1)[:, 0]


def _no_score(latents: jax.Array, radii: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jnp.square(latents).mean(1), radii
