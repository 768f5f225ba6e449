"""Suite "genetic": a generation of 300 genes of `saxsae.genetic`, its parts, and the published decoder beside ours.

In a part's row the "peer" is the whole generation, so the inverse of the ratio is the part's share. The published
decoder gets random parameters, which do not change its time, and decodes a few genes at a time. The time of a
generation with the published decoder is its decoding time plus our time of all other parts.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch.benchmarks import bars
from launch.benchmarks.timing import Row, compare
from saxsae import genetic, genetic_search, preparation, pretrained
from saxsae.networks import autoencoder
from saxsae.profiles import scattering, zernike
from saxsae.shapes import connectivity, voxels

LEAST_PUBLISHED_RATIO = 10.0  # of the time of a generation with the published decoder over ours
MOST_SECONDS = 0.5  # of a generation
ORDER = 20  # largest order of the Zernike moments
R_MAX_ANGSTROM = 40.0  # radius of every gene
_PUBLISHED_GENES = 10  # decoded at a time, because all at once need more than 5 GB
SETTINGS = genetic.EvolutionSettings()


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """Measures the parts of a generation, then the generation beside the published decoder.

    Args:
      report: receives each row as soon as it is measured.

    Returns:
      Milliseconds of the generation and of each part, each part's share, the ratio to the published decoder, and bars.
    """
    generation = Generation(pretrained.load(), SETTINGS)
    whole = generation.compiled("generation")
    summary: dict[str, float] = {}
    for part in PARTS:
        row = compare(part, "whole", generation.compiled(part), whole, seconds=6)
        report(row)
        summary |= {f"share_{part}": 1 / row.ratio, f"milliseconds_{part}": 1e3 * row.seconds}
    row = compare_with_published(generation, whole, decoding=1 / summary["share_decode"])
    report(row)
    return summary | {"milliseconds_generation": 1e3 * row.seconds, "ratio_published": row.ratio, "bars": [
        bars.at_least("time with the published decoder over ours", row.ratio, LEAST_PUBLISHED_RATIO),
        bars.at_most("seconds of a generation", row.seconds, MOST_SECONDS)]}


def compare_with_published(generation: "Generation", whole: Callable[[], Any], decoding: float,
                           genes: int = _PUBLISHED_GENES) -> Row:
    """Compares our generation with one that uses the published decoder.

    Args:
      generation: the inputs of our generation.
      whole: our compiled generation.
      decoding: time of our generation over the time of its own decoder.
      genes: how many genes the published decoder takes at a time.

    Returns:
      The row: our generation, against the estimated generation with the published decoder (the "peer").
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


# The parts of a generation in their order; each is a method of `Generation`, compiled as one program.
PARTS = ("operators", "decode", "connectivity", "moments", "profile")


class Generation:
    """One generation of `saxsae.genetic` and its parts; the curve is that of the first gene's shape.

    Args:
      released: the network, its parameters and its bank of latent codes.
      settings: settings of the genetic algorithm.
    """

    def __init__(self, released: pretrained.Pretrained, settings: genetic.EvolutionSettings) -> None:
        self.released, self.settings = released, settings
        bank = jnp.asarray(released.latents.bank)
        children = settings.population - settings.elites
        self.latents = jnp.resize(bank, (children, bank.shape[1]))
        self.radii = jnp.full(children, R_MAX_ANGSTROM)
        self.prior = genetic.CodePrior(jnp.asarray(released.latents.quantiles), bank, jnp.float32(0.7 * R_MAX_ANGSTROM),
                                       jnp.float32(1.4 * R_MAX_ANGSTROM))
        self.q = jnp.linspace(0.01, 0.2, preparation.NUM_POINTS)
        params = {"decoder": jax.tree.map(jnp.asarray, released.params["decoder"])}
        logits = jax.jit(self.decode)(params, self.latents)
        shapes = jax.jit(self.connectivity)(logits)
        moments = jax.jit(self.moments)(shapes)
        first = functools.partial(scattering.profile_from_moments, n_max=ORDER)
        curve = jax.jit(first)(moments[0], self.q, jnp.float32(R_MAX_ANGSTROM))
        state = jax.jit(genetic.draw_first_generation, static_argnums=(2, 3))(
            jax.random.key(0), self.prior, _no_score, settings)
        chance = jax.random.key(1), state, self.prior
        # All arrays are arguments, because XLA would compute what depends on constants while it compiles.
        self.inputs = {"operators": chance, "decode": (params, self.latents), "connectivity": (logits,),
                       "moments": (shapes,), "profile": (curve, moments, self.radii),
                       "generation": (*chance, params, curve)}

    def compiled(self, part: str) -> Callable[[], Any]:
        """Returns a part of `PARTS`, or "generation", compiled for its own input."""
        inputs = self.inputs[part]
        program = jax.jit(getattr(self, part)).lower(*inputs).compile()
        return lambda: program(*inputs)

    def generation(self, key: jax.Array, state: genetic.EvolutionState, prior: genetic.CodePrior,
                   params: dict[str, Any], curve: jax.Array) -> genetic.EvolutionState:
        """Returns the state after one generation.

        Args:
          key: a random key.
          state: the population.
          prior: the distribution that genes are drawn from.
          params: parameters of the decoder.
          curve: (Q,) the intensities to fit.
        """
        def score(latents: jax.Array, radii: jax.Array) -> tuple[jax.Array, jax.Array]:
            return self.profile(curve, self.moments(self.connectivity(self.decode(params, latents))), radii)

        in_chunks = genetic.score_in_chunks(score, genetic_search.SCORE_CHUNKS)
        return genetic.breed_next_generation(key, state, prior, in_chunks, self.settings)

    def operators(self, key: jax.Array, state: genetic.EvolutionState, prior: genetic.CodePrior,
                  ) -> genetic.EvolutionState:
        """Returns the state after selection, crossover, mutation and sorting, with a trivial score."""
        return genetic.breed_next_generation(key, state, prior, _no_score, self.settings)

    def decode(self, params: dict, latents: jax.Array) -> jax.Array:
        """Returns logits (P, 31, 31, 31) of genes (P, K)."""
        return self.released.network.decode(params, latents)[(slice(None), *(slice(voxels.GRID),) * 3)]

    def connectivity(self, logits: jax.Array) -> jax.Array:
        """Returns the main connected regions (P, 31, 31, 31) of the shapes of logits (P, 31, 31, 31)."""
        level = float(np.log(self.released.threshold / (1 - self.released.threshold)))
        return connectivity.main_regions(logits, level, voxels.sphere_mask())

    def moments(self, shapes: jax.Array) -> jax.Array:
        """Returns Zernike moments (P, K) of shapes (P, 31, 31, 31)."""
        return zernike.moments(shapes, ORDER)

    def profile(self, curve: jax.Array, moments: jax.Array, radii: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns the least chi^2 (P,) over several radii about that of each gene, and its radius (P,), Angstrom.

        Args:
          curve: (Q,) the intensities to fit; sigma is 1 % of each.
          moments: (P, K) Zernike moments.
          radii: (P,) radii of the genes, Angstrom.
        """
        tried = radii[:, None] * (1 + jnp.array(genetic_search.RADIUS_STEPS))
        invariants = scattering.shape_invariants(moments, ORDER)
        over_radii = jax.vmap(scattering.profile_from_invariants, (None, None, 0))
        intensity = jax.vmap(over_radii, (0, None, 0))(invariants, self.q, tried)
        chi_squared = scattering.chi_squared(intensity, curve, 1e4 / curve**2)
        best = jnp.argmin(chi_squared, axis=1)[:, None]
        return jnp.take_along_axis(chi_squared, best, 1)[:, 0], jnp.take_along_axis(tried, best, 1)[:, 0]


def _no_score(latents: jax.Array, radii: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns a score (P,) that costs next to nothing, and the radii."""
    return jnp.square(latents).mean(1), radii
