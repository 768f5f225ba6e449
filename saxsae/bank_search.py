"""Finds shapes for a curve from the structures of the bank, and fits them by gradient steps.

`saxsae.reconstruction` calls the steps in this order:

1. `choose` scores all structures of the bank (`saxsae.bank.scoring`) and returns the best.
2. `fit_structures` improves their codes and sizes by gradient steps (`descend`, `saxsae.bank.descent`), as long as they
   gain, and turns codes into densities (`decode`).
3. `average` superposes the densities and returns their weighted mean.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phasenet.errors import InputError
from saxsae.bank import descent, scoring
from saxsae.bank.descent import CompiledDescentKey, DescentInput, DescentSettings, FitOptions, Symmetrization
from saxsae.bank.scoring import ChosenStructures
from saxsae.bank.structure_bank import StructureBank
from saxsae.genetic import EvolutionState, GenerationRecord
from saxsae.pretrained import Pretrained
from saxsae.profiles import hydration, scattering
from saxsae.profiles.scattering import WeightedCurve
from saxsae.shapes import densities
from saxsae.shapes.densities import FILLED
from saxsae.superposition import averaging, ensemble, symmetry
from saxsae.superposition.ensemble import EnsembleStatistics
from saxsae.superposition.point_groups import SymmetryGroup

_LEAST_RADIUS_ANGSTROM = 8.0  # r_max; the smallest structure of the corpus has 14.7
_STEPS_PER_CALL = 7  # between two calls of `progress`
_MIN_RELATIVE_GAIN = 0.02  # relative fall of the median misfit in that many steps; with less, the descent ends
_R_MAX_TIMES_Q = 0.1  # r_max times the small q whose intensity, over that at q = 0, gives Rg
_MISFIT_SCALE = 0.5  # misfit above the lowest at which a model's weight has fallen to exp(-1/2)


class BankModels(NamedTuple):
    """M models, the best first.

    Attributes:
      chosen: the structures of the bank they began as.
      codes: (M, K) latent codes.
      r_max_angstrom: (M,).
      misfit: (M,) see `scoring.misfits`.
      num_fitting: how many structures of the bank fit within the errors.
      history: (1, G) arrays; a step counts as a generation, and all models as elites.
      frames: (M, 3, 3) the rotations of the models into the frame of their group; None without a symmetry.
    """

    chosen: ChosenStructures
    codes: np.ndarray
    r_max_angstrom: np.ndarray
    misfit: np.ndarray
    num_fitting: int
    history: GenerationRecord
    frames: np.ndarray | None = None


class BankSearch(NamedTuple):
    """The inputs, for one curve, of the steps after `choose`.

    Attributes:
      pretrained: weights with a bank and a density head.
      curve: the curve, with the error of the model in its weights.
      static: the static inputs of the descent.
      options: how profiles are compared with the curve.
      free_radius: whether r_max is not known.
      group: the point group over which the models are averaged; None without a symmetry.
    """

    pretrained: Pretrained
    curve: WeightedCurve
    static: CompiledDescentKey
    options: FitOptions
    free_radius: bool
    group: SymmetryGroup | None = None


def prepare(pretrained: Pretrained, curve: WeightedCurve, models: ChosenStructures, background: bool,
            free_radius: bool, equal_atoms: bool, group: SymmetryGroup | None = None) -> BankSearch:
    """Returns the inputs of the steps after `choose`.

    Args:
      pretrained: weights with a bank and a density head.
      curve: the curve, with the error of the model in its weights.
      models: the structures that the models begin as; the largest decides the order of the profiles.
      background: whether a constant is fitted as well.
      free_radius: whether r_max is not known.
      equal_atoms: whether the curve was computed from equal atoms.
      group: the point group over which the models are averaged; None without a symmetry.

    Raises:
      InputError: the weights have no density head.
    """
    if pretrained.density_head is None:
        raise InputError("these weights have no density head: give --stages=evolve, or make a release with "
                         "launch.datasets.make_bank")
    width = pretrained.density_head["output_kernel"].shape[0]
    order = hydration.choose_density_order(float(curve.q_inv_angstrom.max()), float(models.r_max_angstrom.max()))
    return BankSearch(pretrained, curve, CompiledDescentKey(
        pretrained.info["kind"], pretrained.info["latent_size"], width, order),
        FitOptions(background, equal_atoms), free_radius, group)


def choose(pretrained: Pretrained, curve: WeightedCurve, rg_angstrom: float, count: int, *,
           contrasts: tuple[float, ...], radius: float | None, rg_known: bool, background: bool,
           equal_atoms: bool) -> BankModels:
    """Returns the best structures of the bank as models; the arguments are those of `scoring.choose_structures`.

    Raises:
      InputError: the weights have no bank, or the body is smaller than the structures of the bank.
    """
    bank = pretrained.bank
    if bank is None:
        raise InputError("these weights have no bank of structures: give --stages=evolve, or make a bank with "
                         "launch.datasets.make_bank")
    chosen, num_fitting = scoring.choose_structures(
        bank, curve, rg_angstrom, count, contrasts=contrasts, radius=radius, rg_known=rg_known, background=background,
        equal_atoms=equal_atoms)
    if chosen.r_max_angstrom.min() < _LEAST_RADIUS_ANGSTROM:
        raise InputError(f"r_max is {chosen.r_max_angstrom.min():.3g} A: smaller than any structure of the bank; "
                         "--stages=evolve finds shapes of any size")
    return make_models(bank, chosen, num_fitting)


def make_models(bank: StructureBank, chosen: ChosenStructures, num_fitting: int,
             frames: np.ndarray | None = None) -> BankModels:
    """Returns structures of a bank as models, before any step; the arguments are fields of `BankModels`."""
    return BankModels(chosen, bank.codes[chosen.rows], chosen.r_max_angstrom, chosen.misfit, num_fitting,
                      _record(chosen.misfit[None], chosen.r_max_angstrom), frames)


def take_first(models: BankModels, count: int) -> BankModels:
    """Returns the first `count` of models that have taken no step."""
    chosen = models.chosen.take(slice(count))
    return models._replace(
        chosen=chosen, codes=models.codes[:count], r_max_angstrom=models.r_max_angstrom[:count],
        misfit=models.misfit[:count], history=_record(chosen.misfit[None], chosen.r_max_angstrom))


def descend(search: BankSearch, models: BankModels, settings: DescentSettings,
            progress: Callable[[EvolutionState], None] | None) -> BankModels:
    """Returns the models after gradient steps.

    Args:
      search: the search.
      models: from `choose`.
      settings: of the steps.
      progress: called every few steps with the models as one population, the best first.
    """
    weights = search.pretrained
    inputs = DescentInput(
        weights.params["decoder"], weights.density_head, jnp.asarray(weights.latents.sd), search.curve,
        search.options, jnp.asarray(models.codes), jnp.asarray(np.log(models.r_max_angstrom), jnp.float32),
        jnp.asarray(models.chosen.contrast, jnp.float32), descent.SIZE_RATE if search.free_radius else 0.0,
        _symmetrization(search, models.frames))
    state = descent.start(inputs)
    misfits = np.zeros((0, len(models.codes)))
    while True:
        # All calls have the same length, so that one program is compiled. A step computes the misfits before it moves
        # the models, so one step more than `settings.steps` rates the final models.
        state, found = descent.take_steps(search.static, inputs, state, settings, _STEPS_PER_CALL)
        before = np.median(misfits.min(0)) if len(misfits) else np.inf
        misfits = np.concatenate([misfits, np.asarray(found)])
        codes, radii = (np.asarray(a) for a in descent.codes_and_radii(inputs, state.best))
        order = np.argsort(np.asarray(state.misfit), kind="stable")
        result = BankModels(models.chosen.take(order), codes[order], radii[order],
                            np.asarray(state.misfit)[order], models.num_fitting,
                            _record(misfits, radii[order]), None if models.frames is None else models.frames[order])
        ended = len(misfits) > settings.steps or np.median(misfits.min(0)) > (1 - _MIN_RELATIVE_GAIN) * before
        if ended:  # the history is filled up: steps that were not taken leave the misfits as they are
            rest = np.repeat(misfits[-1:], max(settings.steps + 1 - len(misfits), 0), axis=0)
            misfits = np.concatenate([misfits, rest])[:settings.steps + 1]
            result = result._replace(history=_record(misfits, radii[order]))
        if progress is not None:
            progress(_as_population(result))
        if ended:
            return result


def decode(search: BankSearch, models: BankModels) -> np.ndarray:
    """Returns the densities (M, 3, 31, 31, 31) of atoms, shell and excess electrons of the models."""
    weights = search.pretrained
    return np.asarray(_decode(search.static, weights.params["decoder"], weights.density_head, jnp.asarray(models.codes),
                              jnp.asarray(models.r_max_angstrom, jnp.float32)))


_decode = jax.jit(descent.decode_densities, static_argnums=0)


class FittedStructures(NamedTuple):
    """Structures of the bank after gradient steps, if any were taken.

    Attributes:
      search: the inputs of the fit.
      structures: the models before the steps.
      models: the models after the steps.
      decoded: (M, 3, 31, 31, 31) densities of the models.
    """

    search: BankSearch
    structures: BankModels
    models: BankModels
    decoded: np.ndarray

    def profile(self, q_inv_angstrom: np.ndarray) -> np.ndarray:
        """Returns I(q) (Q,) of the best model at q (Q,) in 1/A."""
        return profile_of_best(self.search, self.decoded, self.models, q_inv_angstrom)


def fit_structures(search: BankSearch, structures: BankModels, settings: DescentSettings | None,
                   progress: Callable[[EvolutionState], None] | None) -> FittedStructures:
    """Returns structures after gradient steps; without steps if `settings` is None. See `descend` for the arguments."""
    models = structures if settings is None else descend(search, structures, settings, progress)
    return FittedStructures(search, structures, models, decode(search, models))


class MeanDensity(NamedTuple):
    """The mean of the models' densities of atoms.

    Attributes:
      density: (31, 31, 31) float32, at least 0, the mean.
      r_max_angstrom: mean r_max of the models.
      maps: (M, 31, 31, 31) the superposed densities.
      pitch_angstrom: edge of a voxel of `density` and `maps`.
      correlations: (M,) Pearson correlation of each map with the mean of all.
      ensemble: how the models differ; outliers do not enter `density`.
    """

    density: np.ndarray
    r_max_angstrom: float
    maps: np.ndarray
    pitch_angstrom: float
    correlations: np.ndarray
    ensemble: EnsembleStatistics


def average(search: BankSearch, decoded: np.ndarray, models: BankModels) -> MeanDensity:
    """Returns the mean of the models' densities of atoms, from `decode`, weighted by likelihood, without outliers.

    With a symmetry, each density and the mean are averaged over the group, and the axis of the mean is z of all maps.
    Models are superposed by their shapes, not by their axes: where the curve does not determine which axis of a shape
    is that of the group, a common axis would lay long shapes across each other. A single model may therefore have its
    axis in another direction.

    `_MISFIT_SCALE` was chosen on held-out structures and synthetic shapes. It does not follow from the noise, because
    the errors of a model are not noise.
    """
    weights = np.exp(-(models.misfit - models.misfit.min()) / (2 * _MISFIT_SCALE))
    maps, pitches = decoded[:, 0], np.asarray(densities.density_pitch(models.r_max_angstrom))
    if search.group is not None:
        assert models.frames is not None
        maps = np.stack([symmetry.average_map(one, pitch, frame, np.zeros(3), search.group)
                         for one, pitch, frame in zip(maps, pitches, models.frames, strict=True)])
    found = averaging.superpose_on_mean(maps, pitches, weights)
    described = ensemble.describe(np.maximum(found.maps, 0), found.pitch_angstrom, FILLED)
    kept = np.where(described.outliers, 0.0, weights)
    weights = kept if kept.sum() > 0 else weights  # of a curve that nothing fits, one model may have all the weight
    mean, maps = np.average(found.maps, axis=0, weights=weights), found.maps
    if search.group is not None:
        frame, centre = symmetry.find_frame_of_map(mean, found.pitch_angstrom, search.group)
        mean = symmetry.average_map(mean, found.pitch_angstrom, frame, centre, search.group)
        maps = np.stack([symmetry.turn_map(one, found.pitch_angstrom, frame, centre) for one in maps])
    return MeanDensity(np.maximum(mean, 0).astype(np.float32),
                       float(np.average(models.r_max_angstrom, weights=weights)), maps, found.pitch_angstrom,
                       found.correlations, described)


def profile_of_best(search: BankSearch, decoded: np.ndarray, models: BankModels,
                    q_inv_angstrom: np.ndarray) -> np.ndarray:
    """Returns the profile (Q,) float64 of the best model at q (Q,) in 1/A, on any scale."""
    return np.asarray(_profiles(search, decoded[:1], models, q_inv_angstrom)[0], np.float64)[0]


def chi_squared(search: BankSearch, decoded: np.ndarray, models: BankModels, curve: WeightedCurve) -> np.ndarray:
    """Returns chi^2 (M,) of the models over the rebinned curve, with the measured sigma alone."""
    computed, _ = _profiles(search, decoded, models, curve.q_inv_angstrom)
    return np.asarray(scattering.chi_squared(computed, curve.intensity, curve.weight, search.options.background))


def rate_densities(search: BankSearch, decoded: np.ndarray, models: BankModels) -> tuple[np.ndarray, np.ndarray]:
    """Returns the misfits (M,) of models by their densities, and how far they (M,) are from the symmetry, 0 to 1.

    The misfits of `choose` are those of the structures themselves, whose densities have more details.
    """
    computed, asymmetry = _profiles(search, decoded, models, search.curve.q_inv_angstrom)
    misfit = scoring.misfits(computed, search.curve, search.options.background)
    return np.asarray(misfit, np.float64), np.asarray(asymmetry)


def _profiles(search: BankSearch, decoded: np.ndarray, models: BankModels,
              q_inv_angstrom: Any) -> tuple[jax.Array, jax.Array]:
    """Returns the profiles (M, Q) of the first models, and how far these (M,) are from the symmetry."""
    count = len(decoded)
    return _compiled_profiles(search.static, jnp.asarray(decoded), jnp.asarray(q_inv_angstrom, jnp.float32),
                              jnp.asarray(models.r_max_angstrom[:count], jnp.float32),
                              jnp.asarray(models.chosen.contrast[:count], jnp.float32), search.options.equal_atoms,
                              _symmetrization(search, None if models.frames is None else models.frames[:count]))


def _symmetrization(search: BankSearch, frames: np.ndarray | None) -> Symmetrization | None:
    """Returns how moments are averaged over the group in frames (M, 3, 3); None without a symmetry."""
    if search.group is None:
        return None
    assert frames is not None
    return Symmetrization(jnp.asarray(symmetry.euler_angles(frames), jnp.float32),
                          jnp.asarray(symmetry.kept_modes(search.group, search.static.order)))


_compiled_profiles = jax.jit(descent.profiles_and_asymmetry, static_argnums=0)


def radius_of_gyration(search: BankSearch, decoded: np.ndarray, models: BankModels) -> float:
    """Returns the radius of gyration (A) of the best model with its shell, from its profile at small q.

    Args:
      search: the search.
      decoded: (M, 3, 31, 31, 31) from `decode`.
      models: the M models, the best first.
    """
    q = np.array([0.0, _R_MAX_TIMES_Q / models.r_max_angstrom[0]])
    at_zero, beside = np.maximum(profile_of_best(search, decoded, models, q), 1e-30)
    return float(np.sqrt(max(3 * np.log(at_zero / beside), 0.0)) / q[1])


def negative_density(maps: np.ndarray) -> float:
    """Returns the sum of the negative density of the best model's atoms over the sum of the positive density.

    Args:
      maps: (M, 31, 31, 31) densities of atoms, the best first.
    """
    return float(-np.minimum(maps[0], 0).sum() / np.maximum(maps[0], 1e-9).sum())


def describe_sources(search: BankSearch, models: BankModels) -> tuple[str, ...]:
    """Returns a line for each model: the structure that the model began as, and the misfit of this structure."""
    bank = search.pretrained.bank
    assert bank is not None
    chosen = models.chosen
    return tuple(
        f"{bank.names[row]}{f' (PDB {bank.pdb_ids[row]})' if bank.pdb_ids[row] else ''}: misfit {misfit:.2f} at r_max "
        f"{radius:.1f} A, {radius / bank.r_max_angstrom[row]:.2f} of its own"
        for row, radius, misfit in zip(chosen.rows, chosen.r_max_angstrom, chosen.misfit, strict=True))


def made_share(search: BankSearch, models: BankModels) -> float:
    """Returns the share of the models that began as synthetic shapes."""
    bank = search.pretrained.bank
    assert bank is not None
    return float(np.mean(bank.is_made[models.chosen.rows]))


def _record(misfits: np.ndarray, radii: np.ndarray) -> GenerationRecord:
    """Returns the history of one run from the misfits (G, M) of its steps; it holds the lowest misfit so far."""
    lowest = np.minimum.accumulate(misfits, axis=0)
    return GenerationRecord(lowest.min(1)[None], lowest.mean(1)[None], np.median(lowest, axis=1)[None],
                            np.full((1, len(lowest)), radii[0]))


def _as_population(models: BankModels) -> EvolutionState:
    """Returns the models as the population of a single run."""
    steps = models.history.best.shape[1] - 1
    return EvolutionState(models.codes[None], models.r_max_angstrom[None], models.misfit[None], np.array([steps]),
                          np.array([0]), models.misfit.mean()[None], models.history)
