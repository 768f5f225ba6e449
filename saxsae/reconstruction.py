"""Reconstructs a 3D shape from a SAXS curve: `reconstruct`, which `saxsae` exports and `launch.reconstruct` runs.

The method is that of H. He, C. Liu, H. Liu, iScience 23, 100906 (2020), "the paper". The defaults differ from it;
`reconstruct(initial="distribution")` with weights of the published network reproduces it.

1. `saxsae.verdict` refuses a curve that is no protein's. `saxsae.profiles.guinier` finds the Guinier region; the
   radius of gyration bounds the radius r_max, the largest distance of an atom from the centroid.
2. `saxsae.profiles.rebinning` averages the curve to `NUM_POINTS` points.
3. `saxsae.genetic` evolves latent codes and radii, in independent runs. Each gene is scored in four steps:
   `saxsae.networks.autoencoder` decodes its code to a map of probabilities; `saxsae.shapes.connectivity` keeps the
   largest connected region above the threshold; `saxsae.profiles.zernike` computes its moments;
   `saxsae.profiles.scattering` computes its profile I(q) at several radii and the chi^2 with the measured curve.
4. `saxsae.superposition.alignment` superposes the models, one from each run, because a curve determines neither
   orientation nor hand. The mean of the models, blurred to a resolution of about 15 A, is the density.
5. The profile of the best model is fitted to all measured points, and `saxsae.verdict` judges the result.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from phasenet.errors import InputError
from saxsae import genetic
from saxsae.networks.autoencoder import AutoEncoder, make_autoencoder
from saxsae.pretrained import Pretrained
from saxsae.profiles import scattering, zernike
from saxsae.profiles.curve_quality import count_flare_points
from saxsae.profiles.guinier import GuinierFit, fit_guinier, radius_bounds
from saxsae.profiles.rebinning import CurveLike, rebin
from saxsae.shapes import connectivity, voxels
from saxsae.superposition import alignment
from saxsae.verdict import NO_SHAPE, Verdict, judge_curve, judge_result

RADIUS_STEPS = (-0.06, -0.03, 0.0, 0.03, 0.06)  # relative changes of the radius that each scoring tries
BLUR_ANGSTROM = 3.38  # standard deviation of the Gaussian blur: a resolution of 15 A over pi sqrt(2)
NUM_POINTS = 128  # of the rebinned curve; all curves have this length, so one compiled program serves them all
SCORE_CHUNKS = 2  # chunks in which a population is scored
_GENERATIONS_PER_CALL = 5  # generations between two calls of `progress`


class FittedCurve(NamedTuple):
    """The rebinned curve that the search fits.

    Attributes:
      q_inv_angstrom: (NUM_POINTS,) float32, 1/A.
      intensity: (NUM_POINTS,) float32, divided by the largest absolute intensity of the rebinned curve.
      weight: (NUM_POINTS,) float32, 1 / sigma^2 in the same unit; zero in the padding.
    """

    q_inv_angstrom: jax.Array
    intensity: jax.Array
    weight: jax.Array


class Reconstruction(NamedTuple):
    """The result of `reconstruct`, from K runs.

    Attributes:
      density: (31, 31, 31) float32 in [0, 1], the mean of the aligned models at about 15 A resolution. Voxel 15 of
        each axis is the origin.
      pitch_angstrom: edge of a voxel of `density` and `models`.
      radius_angstrom: r_max of the best model, the largest distance of an atom from the centroid.
      models: (K, 31, 31, 31) float32 in [0, 1], the aligned models on the same grid, the best first.
      model_radii: (K,) r_max of each model in Angstrom.
      model_chi_squared: (K,) chi^2 of each model over the rebinned curve.
      agreement: (K,) Pearson correlation of each model with the best one after superposition.
      q_inv_angstrom: (N,) float64, 1/A, of the measured points that were fitted.
      intensity: (N,) float64, in the unit of the curve.
      sigma: (N,) float64, standard deviations of `intensity`.
      fit: (N,) float64, `scale` times the profile of the best model, plus `background`.
      scale: fitted factor of the model's profile, whose unit is that of `saxsae.profiles.scattering`.
      background: fitted constant; 0 if none was fitted.
      chi_squared: chi^2 of the best model over the N points (eq. 4 of the paper).
      relative_residual: mean of |I - fit| / |fit| over the N points, weighted by (fit / sigma)^2.
      guinier: the Guinier fit of the curve.
      order: Zernike order of the profiles; None if they were computed from pair distances.
      history: a `genetic.GenerationRecord` of (K, generations) arrays, the best run first.
      generations: (K,) number of generations that each run bred after the first.
      notes: assumptions and left-out points, one line each; the curve's own notes come first.
      verdict: whether the result can be believed.
    """

    density: np.ndarray
    pitch_angstrom: float
    radius_angstrom: float
    models: np.ndarray
    model_radii: np.ndarray
    model_chi_squared: np.ndarray
    agreement: np.ndarray
    q_inv_angstrom: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    fit: np.ndarray
    scale: float
    background: float
    chi_squared: float
    relative_residual: float
    guinier: GuinierFit
    order: int | None
    history: genetic.GenerationRecord
    generations: np.ndarray
    notes: tuple[str, ...]
    verdict: Verdict


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


class _CompiledSearchKey(NamedTuple):
    """The static inputs of a search. Equal keys share one compiled program; all other inputs are its arguments."""

    kind: str
    latent_size: int
    order: int | None
    free_radius: bool
    background: bool
    settings: genetic.EvolutionSettings

    def score(self, params: dict[str, Any], threshold: jax.Array, curve: FittedCurve, latents: jax.Array,
              radii: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns the chi^2 (P,) of genes at the best of the radii tried around `radii` (P,), and those radii (P,)."""
        shapes = decode_shapes(make_autoencoder(self.kind, self.latent_size), params, threshold, latents)
        steps = jnp.array(RADIUS_STEPS if self.free_radius else (0.0,))
        tried = radii[:, None] * (1 + steps)
        intensity = profiles_at_radii(shapes, curve.q_inv_angstrom, tried, self.order)
        chi_squared = scattering.chi_squared(intensity, curve.intensity, curve.weight, self.background)
        chi_squared = jnp.where(shapes.any((1, 2, 3))[:, None], chi_squared, jnp.inf)
        best = jnp.argmin(chi_squared, axis=1)[:, None]
        return (jnp.take_along_axis(chi_squared, best, 1)[:, 0], jnp.take_along_axis(tried, best, 1)[:, 0])


@functools.lru_cache(maxsize=8)
def _compile_search(search: _CompiledSearchKey, devices: int) -> tuple[Callable[..., genetic.EvolutionState],
                                                                       Callable[..., genetic.EvolutionState]]:
    """Returns `start_runs` and `continue_runs`, each pmapped over devices and vmapped over the runs of a device."""
    def start_runs(key, params, threshold, curve, prior):
        score = genetic.score_in_chunks(functools.partial(search.score, params, threshold, curve), SCORE_CHUNKS)
        return genetic.draw_first_generation(key, prior, score, search.settings)

    def continue_runs(key, state, until, params, threshold, curve, prior):
        score = genetic.score_in_chunks(functools.partial(search.score, params, threshold, curve), SCORE_CHUNKS)
        return genetic.evolve(key, state, until, prior, score, search.settings)

    def over_runs(function, mapped: int, shared: int):
        axes = (0,) * mapped + (None,) * shared
        inner = jax.vmap(function, in_axes=axes)
        # Without `axis_name`, pmap names the axis after the address of an object. Each process would then compile
        # another program, and none would be found in the compilation cache.
        return jax.pmap(inner, axis_name="devices", in_axes=axes, devices=jax.local_devices()[:devices])

    return over_runs(start_runs, 1, 4), over_runs(continue_runs, 2, 5)


def reconstruct(curve: CurveLike, pretrained: Pretrained, *, radius: float | None = None, q_max: float = 0.2,
                num_models: int = 8, seed: int = 0, background: bool = False, initial: str = "bank",
                settings: genetic.EvolutionSettings = genetic.EvolutionSettings(),
                progress: Callable[[genetic.EvolutionState], None] | None = None) -> Reconstruction:
    """Returns the 3D shape of a SAXS curve, as the mean of independent models and as the models.

    Args:
      curve: `saxsae.io.curves.measured_curves.Curve`, or any object with `q_inv_angstrom` (1/A, ascending),
        `intensity` and `sigma`, (N,) each. Its `notes`, if it has any, begin the notes of the result.
      pretrained: the auto-encoder, from `saxsae.pretrained.load()`.
      radius: r_max in Angstrom (the largest distance of an atom from the centroid) if it is known; None searches for
        it together with the code.
      q_max: largest q that is fitted, 1/A. The models have uniform density, an approximation that holds to about 0.2.
        Of large bodies less is fitted, see `scattering.resolved_q_max`.
      num_models: number of independent runs; each gives one model.
      seed: seed of all randomness.
      background: fit a constant background as well.
      initial: source of the first generation: "bank" draws codes of training maps; "distribution" draws each latent
        number from its distribution, as in the paper.
      settings: settings of the genetic algorithm.
      progress: called every few generations with the populations, a `genetic.EvolutionState` of NumPy arrays with a
        leading axis of runs.

    Returns:
      The `Reconstruction`; its `verdict` says whether to believe it.

    Raises:
      InputError: `radius`, `q_max`, `num_models` or `initial` is out of range; fewer than five points lie between the
        first point of the Guinier region and `q_max`; or `verdict.judge_curve` finds that the curve has no shape.
    """
    if radius is not None and not 1 < radius <= 2000:
        raise InputError(f"radius {radius:g}: expected r_max in Angstrom, between 1 and 2000")
    if num_models < 1:
        raise InputError(f"num_models {num_models}: expected at least 1")
    if initial not in ("bank", "distribution"):
        raise InputError(f"initial {initial!r}: expected 'bank' or 'distribution'")
    if not q_max > 0:
        raise InputError(f"q_max {q_max:g}: expected a positive number in 1/A")
    before = judge_curve(curve, radius, background)
    if before.status == NO_SHAPE:
        raise InputError(before.sentence)
    guinier = fit_guinier(curve.q_inv_angstrom, curve.intensity, curve.sigma)
    notes = list(getattr(curve, "notes", ()))
    radius_low, radius_high = (radius, radius) if radius is not None else radius_bounds(guinier.rg_angstrom)
    first = guinier.first if guinier.valid else count_flare_points(curve, radius_high)
    q_min = float(curve.q_inv_angstrom[first])
    if first:
        notes.append(f"the first {first} point{'s' * (first > 1)}, to q = {curve.q_inv_angstrom[first - 1]:.4g} 1/A, "
                     f"{'before the Guinier region' if guinier.valid else 'too steep for this size'}, not fitted")
    largest_radius = radius_high * (1 + max(RADIUS_STEPS))
    resolved = scattering.resolved_q_max(curve.q_inv_angstrom[first:], q_max, largest_radius)
    if resolved < min(q_max, float(curve.q_inv_angstrom[-1])):
        q_max = resolved
        notes.append(f"points above q = {q_max:.4g} 1/A are not fitted: at radii up to {radius_high:.0f} A the voxels "
                     "are too large for them")
    binned = rebin(curve, q_max=q_max, num_points=NUM_POINTS, q_min=q_min)
    order = scattering.choose_order(float(binned.q_inv_angstrom.max()), largest_radius)
    if order is None:
        notes.append(f"radii up to {radius_high:.0f} A need more than Zernike order {max(scattering.ORDERS)}: profiles "
                     "are computed from pair distances")

    # Intensities are divided by the largest, so that float32 does not overflow, whatever their unit.
    unit = float(np.max(np.abs(binned.intensity)))
    fitted_curve = FittedCurve(*(jnp.asarray(a, jnp.float32) for a in (
        binned.q_inv_angstrom, binned.intensity / unit, binned.weight * unit**2)))
    latents = pretrained.latents
    bank = latents.bank if initial == "bank" else latents.bank[:0]
    prior = genetic.CodePrior(*(jnp.asarray(a, jnp.float32) for a in (
        latents.quantiles, bank, radius_low, radius_high)))
    search = _CompiledSearchKey(pretrained.info["kind"], pretrained.info["latent_size"], order, radius is None,
                                background, settings)
    state = _run_searches(search, pretrained, fitted_curve, prior, num_models, seed, progress)

    ranking = np.argsort(state.chi_squared[:, 0], kind="stable")
    state = jax.tree.map(lambda a: a[ranking], state)
    shapes = jax.jit(functools.partial(decode_shapes, pretrained.network))(
        pretrained.params, pretrained.threshold, state.latents[:, 0])
    radii = state.radii[:, 0]
    density, models, pitch, agreement = superpose_and_average(np.asarray(shapes, np.float32), radii)
    fit = _fit_measured_points(curve, q_min, q_max, shapes[0], radii[0], order, background)
    found = Reconstruction(
        density=density, pitch_angstrom=pitch, radius_angstrom=float(radii[0]), models=models, model_radii=radii,
        model_chi_squared=state.chi_squared[:, 0], agreement=agreement, guinier=guinier, order=order,
        history=state.history, generations=state.generation, notes=tuple(notes), verdict=before, **fit)
    rg = voxels.radius_of_gyration(models[0], pitch)
    return found._replace(verdict=judge_result(found, rg, before, background))


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
    # Small arrays are made in NumPy, because JAX would compile a program for each small operation.
    pitches = np.asarray(voxels.pitch(radii), np.float32)
    identity = alignment.Superposition(
        np.asarray(np.eye(3), np.float32), np.asarray(np.zeros(3), np.float32), np.asarray(0, np.float32),
        np.asarray(1, np.float32))
    first = alignment.apply_superposition(shapes[0], pitches[0], identity, pitch)
    if len(shapes) == 1:
        return _blur(np.asarray(first), pitch), np.asarray(first)[None], pitch, np.ones(1)
    # The second round superposes on the mean of the first round, which is smoother than any single model.
    aligned, superposed = alignment.align_to(shapes, pitches, first, pitch)
    models = np.asarray(alignment.align_to(shapes, pitches, np.asarray(aligned).mean(0), pitch)[0])
    return _blur(models.mean(0), pitch), models, pitch, np.asarray(superposed.correlation)


def _blur(density: np.ndarray, pitch: float) -> np.ndarray:
    """Returns a map (31, 31, 31) of this pitch (A), blurred by a Gaussian of `BLUR_ANGSTROM` along each axis."""
    lag = (np.arange(voxels.GRID)[:, None] - np.arange(voxels.GRID)) * pitch
    kernel = np.exp(-0.5 * (lag / BLUR_ANGSTROM) ** 2)
    kernel = (kernel / kernel[voxels.CENTRE].sum()).astype(np.float32)
    return np.einsum("ai,bj,ck,ijk->abc", kernel, kernel, kernel, density, optimize=True)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _draw_run_keys(seed: int, devices: int, runs_per_device: int) -> tuple[jax.Array, ...]:
    """Returns two arrays of keys (devices, runs_per_device): to start the runs, and to continue them.

    The keys of run i depend only on the seed and i, not on the number of runs or devices.
    """
    numbers = jnp.arange(devices * runs_per_device).reshape(devices, runs_per_device)
    return tuple(jax.vmap(jax.vmap(functools.partial(jax.random.fold_in, key)))(numbers)
                 for key in jax.random.split(jax.random.key(seed)))


def _run_searches(search: _CompiledSearchKey, pretrained: Pretrained, curve: FittedCurve, prior: genetic.CodePrior,
                  runs: int, seed: int, progress: Callable[[genetic.EvolutionState], None] | None,
                  ) -> genetic.EvolutionState:
    """Returns the final states of all runs, as NumPy arrays with a leading axis of runs."""
    devices = math.gcd(runs, jax.local_device_count())
    start_runs, continue_runs = _compile_search(search, devices)
    start_keys, continue_keys = _draw_run_keys(seed, devices, runs // devices)
    decoder = {"decoder": pretrained.params["decoder"]}  # the encoder is not copied to each device
    shared = (decoder, jnp.float32(pretrained.threshold), curve, prior)
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


def _fit_measured_points(curve: CurveLike, q_min: float, q_max: float, shape: jax.Array, radius: float,
                         order: int | None, background: bool) -> dict[str, Any]:
    """Returns the fit of the profile of a model to the measured points, unbinned, from q_min to q_max (1/A).

    Args:
      curve: the measured curve.
      q_min: smallest q used.
      q_max: largest q used.
      shape: boolean (31, 31, 31), the model.
      radius: r_max of the shape in Angstrom.
      order: Zernike order, or None for pair distances.
      background: fit a constant as well.

    Returns:
      The fields of `Reconstruction` that describe the fit: the points used, `fit`, `scale`, `background`,
      `chi_squared` and `relative_residual`.
    """
    q, intensity, sigma = (np.asarray(a, np.float64) for a in (
        curve.q_inv_angstrom, curve.intensity, curve.sigma))
    used = (q >= q_min) & (q <= q_max)
    q, intensity, sigma = q[used], intensity[used], sigma[used]
    # The profile is computed on a table of fixed length and interpolated: one program serves curves of any length.
    table = np.linspace(0.0, q[-1], 512)
    profile = jax.jit(profiles_at_radii, static_argnums=3)(
        shape[None], jnp.asarray(table, jnp.float32), jnp.asarray([[radius]], jnp.float32), order)
    model = np.interp(q, table, np.asarray(profile, np.float64)[0, 0])
    weight = sigma**-2
    design = np.stack([model, np.ones_like(model)], 1)[:, : 1 + background]
    solution = np.linalg.lstsq(design * np.sqrt(weight)[:, None], intensity * np.sqrt(weight), rcond=None)[0]
    fit = design @ solution
    residual_weight = weight * fit**2
    return {"q_inv_angstrom": q, "intensity": intensity, "sigma": sigma, "fit": fit, "scale": float(solution[0]),
            "background": float(solution[1]) if background else 0.0,
            "chi_squared": float(np.mean(weight * (intensity - fit) ** 2)),
            "relative_residual": float(np.average(np.abs(intensity - fit) / np.abs(fit), weights=residual_weight))}
