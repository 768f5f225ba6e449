"""The whole way from a SAXS curve to a 3D shape: ``reconstruct``.

Independent runs of the genetic algorithm each give their best model; the models are brought onto one another (a curve
does not know orientation or hand) and averaged.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phasenet.errors import InputError
from saxsae import genetic
from saxsae.networks.autoencoder import AutoEncoder, make_autoencoder
from saxsae.pretrained import Pretrained
from saxsae.profiles import scattering, zernike
from saxsae.profiles.guinier import Guinier, guinier, radius_bounds
from saxsae.profiles.rebinning import rebin
from saxsae.shapes import connectivity, voxels
from saxsae.superposition import alignment

RADIUS_LIMITS = (10.0, 300.0)  # Angstrom, where the curve has no Guinier region
RADIUS_STEPS = (-0.06, -0.03, 0.0, 0.03, 0.06)  # tried around every radius at every scoring
BLUR_ANGSTROM = 3.38  # of the final map: about 15 A resolution; edges sharper than that are no knowledge of the curve's
NUM_POINTS = 128  # of the curve that is fitted: one length, one compiled program
SCORE_CHUNKS = 2  # of a population
_GENERATIONS_A_CALL = 5  # between reports of progress


class FittedCurve(NamedTuple):
    """The curve as the algorithm sees it: (NUM_POINTS,) float32 each, weight zero in the padding."""

    q_inv_angstrom: jax.Array
    intensity: jax.Array
    weight: jax.Array


class Reconstruction(NamedTuple):
    """What a curve gave.

    Attributes:
      density: (31, 31, 31) float32 in [0, 1], the mean of the aligned models at about 15 A resolution; voxel 15 of
        each axis is the origin.
      pitch_angstrom: its voxel pitch.
      radius_angstrom: r_max of the best model.
      models: (K, 31, 31, 31) the aligned models on the same grid, the best first.
      model_radii, model_chi_squared: (K,).
      agreement: (K,) correlation of each model with the best one after superposition.
      q_inv_angstrom, intensity, sigma, fit: (N,) the points that were fitted and the best model's profile.
      scale: factor between the model's profile and ``fit``; background: constant in it, 0 unless asked for.
      chi_squared: of the best model over these points (eq. 4).
      relative_residual: mean of |I - fit| / |fit| over them, weighted by (fit / sigma)^2.
      guinier: the curve's Guinier region.
      order: Zernike order, or None where the pair-distance histogram was used.
      history: ``genetic.GenerationRecord`` of (K, generations) arrays, the best run first.
      generations: (K,) generations done.
      notes: what was assumed.
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
    guinier: Guinier
    order: int | None
    history: genetic.GenerationRecord
    generations: np.ndarray
    notes: tuple[str, ...]


def decode_shapes(network: AutoEncoder, params: dict, threshold, latents):
    """Latents (P, K) to the main connected region of each decoded map: boolean (P, 31, 31, 31)."""
    grid = voxels.GRID
    logits = network.decode(params, latents)[:, :grid, :grid, :grid]
    return connectivity.main_regions(logits, jax.scipy.special.logit(threshold), voxels.sphere_mask())


def profiles(shapes, q_inv_angstrom, radii, order: int | None):
    """I(q) of each shape at each of its radii: (P, 31, 31, 31), (Q,), (P, S) to (P, S, Q)."""
    if order is None:
        return scattering.debye_profiles(shapes, q_inv_angstrom, radii)
    invariants = scattering.shape_invariants(zernike.moments(shapes, order), order)
    over_radii = jax.vmap(scattering.profile_from_invariants, (None, None, 0))
    return jax.vmap(over_radii, (0, None, 0))(invariants, q_inv_angstrom, radii)


class _CompiledSearchKey(NamedTuple):
    """What is compiled once: everything static. All else is an argument."""

    kind: str
    latent_size: int
    order: int | None
    free_radius: bool
    background: bool
    settings: genetic.EvolutionSettings

    def score(self, params, threshold, curve: FittedCurve, latents, radii):
        """chi^2 of each gene at the best radius within its neighbourhood, and that radius."""
        shapes = decode_shapes(make_autoencoder(self.kind, self.latent_size), params, threshold, latents)
        steps = jnp.array(RADIUS_STEPS if self.free_radius else (0.0,))
        tried = radii[:, None] * (1 + steps)
        intensity = profiles(shapes, curve.q_inv_angstrom, tried, self.order)
        chi_squared = scattering.chi_squared(intensity, curve.intensity, curve.weight, self.background)
        chi_squared = jnp.where(shapes.any((1, 2, 3))[:, None], chi_squared, jnp.inf)
        best = jnp.argmin(chi_squared, axis=1)[:, None]
        return (jnp.take_along_axis(chi_squared, best, 1)[:, 0], jnp.take_along_axis(tried, best, 1)[:, 0])


@functools.lru_cache(maxsize=8)
def _compiled(program: _CompiledSearchKey, devices: int):
    """``begin`` and ``go_on``, each pmapped over devices and vmapped over runs."""
    def begin(key, params, threshold, curve, prior):
        score = genetic.score_in_chunks(functools.partial(program.score, params, threshold, curve), SCORE_CHUNKS)
        return genetic.init(key, prior, score, program.settings)

    def go_on(key, state, until, params, threshold, curve, prior):
        score = genetic.score_in_chunks(functools.partial(program.score, params, threshold, curve), SCORE_CHUNKS)
        return genetic.evolve(key, state, until, prior, score, program.settings)

    def over_runs(function, mapped: int, shared: int):
        axes = (0,) * mapped + (None,) * shared
        inner = jax.vmap(function, in_axes=axes)
        # Without a name the axis is called by an object's address: another program in every process, and never one
        # that was kept.
        return jax.pmap(inner, axis_name="devices", in_axes=axes, devices=jax.local_devices()[:devices])

    return over_runs(begin, 1, 4), over_runs(go_on, 2, 5)


def reconstruct(curve: Any, pretrained: Pretrained, *, radius: float | None = None, q_max: float = 0.2,
                num_models: int = 8, seed: int = 0, background: bool = False, initial: str = "bank",
                settings: genetic.EvolutionSettings = genetic.EvolutionSettings(),
                progress: Callable[[genetic.EvolutionState], None] | None = None) -> Reconstruction:
    """A 3D shape from a SAXS curve.

    Args:
      curve: ``saxsae.io.curves.measured_curves.Curve``, or anything with ``q_inv_angstrom``, ``intensity`` and ``sigma``, (N,) each.
      pretrained: ``saxsae.pretrained.load()``.
      radius: r_max in Angstrom (largest distance from the centroid) where it is known; otherwise it is the 201st gene.
      q_max: largest q fitted, 1/A; the uniform density of the models holds to about 0.2.
      num_models: independent runs.
      seed: of all randomness.
      background: fit a constant background as well.
      initial: first generation from the ``bank`` of training codes, or number by number from their ``distribution``.
      settings: of the genetic algorithm.
      progress: called now and then with the populations, NumPy arrays with a leading axis of runs.

    Raises:
      InputError: for a radius, q_max or number of models that cannot be, or too few points below q_max.
    """
    if radius is not None and not 1 < radius < 2000:
        raise InputError(f"radius {radius:g}: expected Angstrom between 1 and 2000")
    if num_models < 1:
        raise InputError(f"num_models {num_models}: expected at least 1")
    if initial not in ("bank", "distribution"):
        raise InputError(f"initial {initial!r}: expected 'bank' or 'distribution'")
    if not q_max > 0:
        raise InputError(f"q_max {q_max:g}: expected a positive number in 1/A")
    found = guinier(curve.q_inv_angstrom, curve.intensity, curve.sigma)
    notes = list(getattr(curve, "notes", ()))
    low, high = _radius_range(radius, found, notes)
    q_first = float(curve.q_inv_angstrom[found.first]) if found.valid else 0.0
    if found.valid and found.first:
        notes.append(f"the first {found.first} points, before the Guinier region, are not fitted")
    binned = rebin(curve, q_max=q_max, num_points=NUM_POINTS, q_min=q_first)
    order = scattering.order_for(float(binned.q_inv_angstrom.max()), high * (1 + max(RADIUS_STEPS)))
    if order is None:
        notes.append(f"a radius up to {high:.0f} A is past every Zernike order: profiles by pair distances, slower")

    # A common factor keeps float32 far from its limits whatever the units of I.
    unit = float(np.max(np.abs(binned.intensity)))
    fitted = FittedCurve(*(jnp.asarray(a, jnp.float32) for a in (
        binned.q_inv_angstrom, binned.intensity / unit, binned.weight * unit**2)))
    latents = pretrained.latents
    bank = latents.bank if initial == "bank" else latents.bank[:0]
    prior = genetic.CodePrior(*(jnp.asarray(a, jnp.float32) for a in (latents.quantiles, bank, low, high)))
    program = _CompiledSearchKey(pretrained.info["kind"], pretrained.info["latent_size"], order, radius is None, background,
                       settings)
    state = _run(program, pretrained, fitted, prior, num_models, seed, progress)

    ranking = np.argsort(state.chi_squared[:, 0], kind="stable")
    state = jax.tree.map(lambda a: a[ranking], state)
    shapes = jax.jit(functools.partial(decode_shapes, pretrained.network))(
        pretrained.params, pretrained.threshold, state.latents[:, 0])
    radii = state.radii[:, 0]
    density, models, pitch, agreement = average(np.asarray(shapes, np.float32), radii)
    fit = _fit(curve, q_first, q_max, shapes[0], radii[0], order, background)
    return Reconstruction(
        density=density, pitch_angstrom=pitch, radius_angstrom=float(radii[0]), models=models, model_radii=radii,
        model_chi_squared=state.chi_squared[:, 0], agreement=agreement, guinier=found, order=order,
        history=state.history, generations=state.generation, notes=tuple(notes), **fit)


def average(shapes: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Superposes models on the first and averages them.

    Args:
      shapes: (K, 31, 31, 31); radii: (K,) r_max in Angstrom.

    Returns:
      The blurred mean (31, 31, 31), the aligned models (K, 31, 31, 31), the pitch of both (that of the largest model)
      and the correlation (K,) of each with the first.
    """
    pitch = float(voxels.pitch(np.max(radii)))
    # NumPy around the compiled calls: each small operation of jax would be a program of its own.
    pitches = np.asarray(voxels.pitch(radii), np.float32)
    still = alignment.Superposition(*(np.asarray(a, np.float32) for a in (np.eye(3), np.zeros(3), 0, 1)))
    first = alignment.apply_superposition(shapes[0], pitches[0], still, pitch)
    if len(shapes) == 1:
        return _blurred(np.asarray(first), pitch), np.asarray(first)[None], pitch, np.ones(1)
    # A second round against the mean of the first: it is smoother than any single model.
    aligned, superposed = alignment.align_to(shapes, pitches, first, pitch)
    aligned = np.asarray(alignment.align_to(shapes, pitches, np.asarray(aligned).mean(0), pitch)[0])
    return _blurred(aligned.mean(0), pitch), aligned, pitch, np.asarray(superposed.correlation)


def _blurred(density: np.ndarray, pitch: float) -> np.ndarray:
    """A map at the resolution that is claimed for it: a Gaussian of ``BLUR_ANGSTROM`` along each axis."""
    lag = (np.arange(voxels.GRID)[:, None] - np.arange(voxels.GRID)) * pitch
    kernel = np.exp(-0.5 * (lag / BLUR_ANGSTROM) ** 2)
    kernel = (kernel / kernel[voxels.CENTRE].sum()).astype(np.float32)
    return np.einsum("ai,bj,ck,ijk->abc", kernel, kernel, kernel, density, optimize=True)


def _radius_range(radius: float | None, found: Guinier, notes: list[str]) -> tuple[float, float]:
    if radius is not None:
        return radius, radius
    if found.valid:
        return radius_bounds(found.rg_angstrom)
    notes.append(f"no Guinier region ({found.reason}): the radius is sought between {RADIUS_LIMITS[0]:g} and "
                 f"{RADIUS_LIMITS[1]:g} A")
    return RADIUS_LIMITS


@functools.partial(jax.jit, static_argnums=(1, 2))
def _run_keys(seed, devices: int, each: int):
    """Keys (devices, each) to begin and to go on; run i is the same run however many there are, and wherever."""
    numbers = jnp.arange(devices * each).reshape(devices, each)
    return tuple(jax.vmap(jax.vmap(functools.partial(jax.random.fold_in, key)))(numbers)
                 for key in jax.random.split(jax.random.key(seed)))


def _run(program: _CompiledSearchKey, pretrained: Pretrained, curve: FittedCurve, prior: genetic.CodePrior, runs: int, seed: int,
         progress) -> genetic.EvolutionState:
    """All runs to their ends; a state with a leading axis of runs."""
    devices = math.gcd(runs, jax.local_device_count())
    begin, go_on = _compiled(program, devices)
    keys_begin, keys_go_on = _run_keys(seed, devices, runs // devices)
    decoder = {"decoder": pretrained.params["decoder"]}  # each device gets a copy
    shared = (decoder, jnp.float32(pretrained.threshold), curve, prior)
    state = begin(keys_begin, *shared)
    until = 0
    while True:
        populations = jax.tree.map(lambda a: np.asarray(a).reshape(runs, *a.shape[2:]), state)
        if progress is not None:
            progress(populations)
        if not genetic.is_running(populations, program.settings).any():
            return populations
        until += _GENERATIONS_A_CALL
        state = go_on(keys_go_on, state, np.int32(until), *shared)


def _fit(curve, q_first: float, q_max: float, shape, radius, order: int | None, background: bool) -> dict:
    """The best model's profile on the measured points themselves, not on their bins."""
    q, intensity, sigma = (np.asarray(a, np.float64) for a in (
        curve.q_inv_angstrom, curve.intensity, curve.sigma))
    used = (q >= q_first) & (q <= q_max)
    q, intensity, sigma = q[used], intensity[used], sigma[used]
    # On a table of fixed length, then interpolated: no program for each curve's length.
    table = np.linspace(0.0, q_max, 512)
    profile = jax.jit(profiles, static_argnums=3)(
        shape[None], jnp.asarray(table, jnp.float32), jnp.asarray([[radius]], jnp.float32), order)
    model = np.interp(q, table, np.asarray(profile, np.float64)[0, 0])
    weight = sigma**-2
    design = np.stack([model, np.ones_like(model)], 1)[:, : 1 + background]
    solution = np.linalg.lstsq(design * np.sqrt(weight)[:, None], intensity * np.sqrt(weight), rcond=None)[0]
    fit = design @ solution
    trust = weight * fit**2
    return {"q_inv_angstrom": q, "intensity": intensity, "sigma": sigma, "fit": fit, "scale": float(solution[0]),
            "background": float(solution[1]) if background else 0.0,
            "chi_squared": float(np.mean(weight * (intensity - fit) ** 2)),
            "relative_residual": float(np.average(np.abs(intensity - fit) / np.abs(fit), weights=trust))}
