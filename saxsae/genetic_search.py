"""Searches for shapes that fit a curve by the paper's genetic algorithm, several runs at a time.

H. He, C. Liu, H. Liu, iScience 23, 100906 (2020). `saxsae.genetic` evolves latent codes and radii, in independent runs.
Each gene is scored in four steps:

1. `saxsae.networks.autoencoder` decodes its code to a map of probabilities.
2. `saxsae.shapes.connectivity` keeps the largest connected region above the threshold.
3. `saxsae.profiles.zernike` computes its moments.
4. `saxsae.profiles.scattering` computes its profile I(q) at several radii and the chi^2 with the measured curve.

`saxsae.reconstruction` calls `run_searches` and `superpose_and_average`.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from saxsae import genetic
from saxsae.networks.autoencoder import AutoEncoder, make_autoencoder
from saxsae.pretrained import Pretrained
from saxsae.profiles import scattering, zernike
from saxsae.profiles.scattering import WeightedCurve
from saxsae.shapes import connectivity, densities, voxels
from saxsae.superposition import alignment
from saxsae.superposition.averaging import identity

RADIUS_STEPS = (-0.06, -0.03, 0.0, 0.03, 0.06)  # relative changes of the radius that each scoring tries
SCORE_CHUNKS = 2  # chunks in which a population is scored
_GENERATIONS_PER_CALL = 5  # generations between two calls of `progress`


def decode_shapes(network: AutoEncoder, params: dict[str, Any], threshold: ArrayLike, latents: jax.Array) -> jax.Array:
    """Returns the binary shapes of latent codes: the largest connected region of each decoded map.

    Args:
      network: the auto-encoder.
      params: its parameters; only `params["decoder"]` is used.
      threshold: probability above which a voxel is filled, in (0, 1).
      latents: (P, K) codes.

    Returns:
      Boolean (P, 31, 31, 31).
    """
    grid = voxels.GRID
    logits = network.decode(params, latents)[:, :grid, :grid, :grid]
    return connectivity.main_regions(logits, jax.scipy.special.logit(threshold), voxels.sphere_mask())


def profiles_at_radii(shapes: jax.Array, q_inv_angstrom: jax.Array, radii: jax.Array, order: int | None) -> jax.Array:
    """Returns the scattering profiles I(q) of shapes, each at several radii.

    Args:
      shapes: (P, 31, 31, 31) binary maps.
      q_inv_angstrom: (Q,) in 1/A.
      radii: (P, S) values of r_max in Angstrom.
      order: Zernike order (static); None computes the profiles from pair distances.

    Returns:
      (P, S, Q) float32, in the unit of `scattering.profile_from_invariants`.
    """
    if order is None:
        return scattering.debye_profiles(shapes, q_inv_angstrom, radii)
    invariants = scattering.shape_invariants(zernike.moments(shapes, order), order)
    over_radii = jax.vmap(scattering.profile_from_invariants, (None, None, 0))
    return jax.vmap(over_radii, (0, None, 0))(invariants, q_inv_angstrom, radii)


class CompiledSearchKey(NamedTuple):
    """The static inputs of a search. Equal keys share one compiled program; all other inputs are its arguments."""

    kind: str
    latent_size: int
    order: int | None
    settings: genetic.EvolutionSettings

    def score(self, params: dict[str, Any], threshold: jax.Array, curve: WeightedCurve, background: ArrayLike,
              free_radius: ArrayLike, latents: jax.Array, radii: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns the chi^2 (P,) of genes at the best of the radii tried around `radii` (P,), and those radii (P,).

        A radius that is not free is tried as often, so that all searches share one program.
        """
        shapes = decode_shapes(make_autoencoder(self.kind, self.latent_size), params, threshold, latents)
        steps = jnp.where(free_radius, jnp.array(RADIUS_STEPS), 0.0)
        tried = radii[:, None] * (1 + steps)
        intensity = profiles_at_radii(shapes, curve.q_inv_angstrom, tried, self.order)
        chi_squared = scattering.chi_squared(intensity, curve.intensity, curve.weight, background)
        chi_squared = jnp.where(shapes.any((1, 2, 3))[:, None], chi_squared, jnp.inf)
        best = jnp.argmin(chi_squared, axis=1)[:, None]
        return (jnp.take_along_axis(chi_squared, best, 1)[:, 0], jnp.take_along_axis(tried, best, 1)[:, 0])


@functools.lru_cache(maxsize=8)
def _compile_search(search: CompiledSearchKey, devices: int) -> tuple[Callable[..., genetic.EvolutionState],
                                                                       Callable[..., genetic.EvolutionState]]:
    """Returns `start_runs` and `continue_runs`, each pmapped over devices and vmapped over the runs of a device."""
    def make_score(params, threshold, curve, background, prior):
        free_radius = prior.radius_low < prior.radius_high
        return genetic.score_in_chunks(
            functools.partial(search.score, params, threshold, curve, background, free_radius), SCORE_CHUNKS)

    def start_runs(key, *shared):
        return genetic.draw_first_generation(key, shared[-1], make_score(*shared), search.settings)

    def continue_runs(key, state, until, *shared):
        return genetic.evolve(key, state, until, shared[-1], make_score(*shared), search.settings)

    def over_runs(function, mapped: int, shared: int):
        axes = (0,) * mapped + (None,) * shared
        inner = jax.vmap(function, in_axes=axes)
        # Without `axis_name`, pmap names the axis after the address of an object. Each process would then compile
        # another program, and none would be found in the compilation cache.
        return jax.pmap(inner, axis_name="devices", in_axes=axes, devices=jax.local_devices()[:devices])

    return over_runs(start_runs, 1, 5), over_runs(continue_runs, 2, 6)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _draw_run_keys(seed: int, devices: int, runs_per_device: int) -> tuple[jax.Array, ...]:
    """Returns two arrays of keys (devices, runs_per_device): to start the runs, and to continue them.

    The keys of run i depend only on the seed and i, not on the number of runs or devices.
    """
    numbers = jnp.arange(devices * runs_per_device).reshape(devices, runs_per_device)
    return tuple(jax.vmap(jax.vmap(functools.partial(jax.random.fold_in, key)))(numbers)
                 for key in jax.random.split(jax.random.key(seed)))


def run_searches(search: CompiledSearchKey, pretrained: Pretrained, curve: WeightedCurve, background: bool,
                 prior: genetic.CodePrior, runs: int, seed: int,
                 progress: Callable[[genetic.EvolutionState], None] | None) -> genetic.EvolutionState:
    """Returns the final states of all runs, as NumPy arrays with a leading axis of runs."""
    devices = math.gcd(runs, jax.local_device_count())
    start_runs, continue_runs = _compile_search(search, devices)
    start_keys, continue_keys = _draw_run_keys(seed, devices, runs // devices)
    decoder = {"decoder": pretrained.params["decoder"]}  # the encoder is not copied to each device
    shared = (decoder, jnp.float32(pretrained.threshold), curve, jnp.asarray(background), prior)
    state = start_runs(start_keys, *shared)
    until = 0
    while True:
        populations = jax.tree.map(lambda a: np.asarray(a).reshape(runs, *a.shape[2:]), state)
        if progress is not None:
            progress(populations)
        if not genetic.is_running(populations, search.settings).any():
            return populations
        until += _GENERATIONS_PER_CALL
        state = continue_runs(continue_keys, state, np.int32(until), *shared)


def superpose_and_average(shapes: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Superposes models on the first one and averages them.

    Args:
      shapes: (K, 31, 31, 31) float32 maps, the best first.
      radii: (K,) r_max of each in Angstrom.

    Returns:
      The blurred mean (31, 31, 31); the aligned models (K, 31, 31, 31); the pitch of both in Angstrom, which is the
      pitch of the model of largest r_max; and the Pearson correlation (K,) of each model with the first.
    """
    pitch = float(voxels.pitch(np.max(radii)))
    pitches = np.asarray(voxels.pitch(radii), np.float32)
    first = alignment.apply_superposition(shapes[0], pitches[0], identity(), pitch)
    if len(shapes) == 1:
        return _blur_to_resolution(np.asarray(first), pitch), np.asarray(first)[None], pitch, np.ones(1)
    # The second round superposes on the mean of the first round, which is smoother than any single model.
    aligned, superposed = alignment.align_to(shapes, pitches, first, pitch)
    models = np.asarray(alignment.align_to(shapes, pitches, np.asarray(aligned).mean(0), pitch)[0])
    return _blur_to_resolution(models.mean(0), pitch), models, pitch, np.asarray(superposed.correlation)


def _blur_to_resolution(density: np.ndarray, pitch: float) -> np.ndarray:
    """Returns a map (31, 31, 31) float32 of this pitch (A), blurred by `densities.BLUR_ANGSTROM` along each axis."""
    return densities.blur(density, pitch, densities.BLUR_ANGSTROM**2).astype(np.float32)
