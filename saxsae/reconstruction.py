"""Reconstructs a 3D shape from a SAXS curve: `reconstruct`, which `saxsae` exports and `launch.reconstruct` runs.

1. `saxsae.verdict` refuses a curve that is no protein's. `saxsae.profiles.guinier` finds the Guinier region; the
   radius of gyration bounds the radius r_max, the largest distance of an atom from the centroid.
2. `saxsae.preparation` averages the curve to fewer points.
3. Models are found, by the stages that the caller names:
   * "bank": the structures of the corpus whose profiles fit best, decoded to densities (`saxsae.bank_search`).
   * "search": gradient steps in the codes and sizes of these structures.
   * "evolve": the genetic algorithm of H. He, C. Liu, H. Liu, iScience 23, 100906 (2020), "the paper"
     (`saxsae.genetic_search`), on binary shapes; with "bank" before it, from the codes of the best structures.
4. The models are superposed and averaged to the density, because a curve determines neither orientation nor hand;
   `saxsae.superposition.ensemble` compares them with each other.
5. The profile of the best model is fitted to all measured points, and `saxsae.verdict` judges the result.
6. `saxsae.confidence` states how close the density can be expected to be to the true one.

`reconstruct(stages=("evolve",), initial="distribution")` with weights of the published network is the paper's method.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phasenet.errors import InputError
from saxsae import bank_search, confidence, genetic, genetic_search, symmetric_search
from saxsae.bank.descent import DescentSettings
from saxsae.bank_search import BankModels, BankSearch
from saxsae.confidence import Confidence
from saxsae.genetic_search import CompiledSearchKey
from saxsae.preparation import PreparedCurve, largest_tried, prepare_curve
from saxsae.pretrained import Pretrained
from saxsae.profiles import hydration, scattering
from saxsae.profiles.fitting import fit_measured_points
from saxsae.profiles.guinier import GuinierFit, fit_guinier
from saxsae.profiles.rebinning import CurveLike
from saxsae.shapes import voxels
from saxsae.shapes.densities import FILLED
from saxsae.superposition import ensemble
from saxsae.superposition.ensemble import EnsembleStatistics
from saxsae.superposition.point_groups import SymmetryGroup, parse_group
from saxsae.symmetric_search import SymmetryEvidence
from saxsae.verdict import NO_SHAPE, Verdict, judge_curve, judge_result

STAGES = (("bank",), ("bank", "search"), ("evolve",), ("bank", "evolve"))
LEAST_CONTRAST, MOST_CONTRAST = -0.05, 0.1  # of the shell, e/A^3; water has 0.334
DENSITY_MODELS, EVOLVED_MODELS = 32, 8  # if the caller does not say how many
_FEWEST_MODELS = 16  # with fewer, the agreement of the models says too little for the confidence
_decode_shapes = jax.jit(genetic_search.decode_shapes, static_argnums=0)
_profiles_at_radii = jax.jit(genetic_search.profiles_at_radii, static_argnums=3)


class Reconstruction(NamedTuple):
    """The result of `reconstruct`, from K models.

    Attributes:
      density: (31, 31, 31) float32 in [0, 1], the mean of the aligned models at about 15 A resolution. Voxel 15 of
        each axis is the origin.
      pitch_angstrom: edge of a voxel of `density` and `models`.
      radius_angstrom: r_max, the largest distance of an atom from the centroid: the mean of the models of the bank, or
        that of the best binary shape.
      models: (K, 31, 31, 31) float32 in [0, 1], the aligned models on the same grid, the best first: densities at 15 A
        resolution from the bank, binary shapes from the genetic algorithm.
      model_radii: (K,) r_max of each model in Angstrom.
      model_chi_squared: (K,) chi^2 of each model over the rebinned curve.
      rsc: (K,) Pearson correlation of each model after superposition: with the mean for densities, with the
        best model for binary shapes.
      ensemble: how the models differ; from the bank, outliers are not in `density`.
      rg_angstrom: radius of gyration of the best model, with its shell.
      bank_misfit: the lowest misfit of a structure as it is in the bank, without steps and symmetry; NaN from the
        genetic algorithm.
      negative_density: negative over positive density of the best model, before it is cut off; NaN from the genetic
        algorithm.
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
      history: a `genetic.GenerationRecord` of (R, generations) arrays of the R runs, the best first. The models of the
        bank are one run; its generations are the gradient steps, and its chi^2 has the model's error in sigma.
      generations: (K,) number of generations, or of gradient steps, after the first.
      sources: the structures of the bank that the models began as, one line each; () from the genetic algorithm.
      notes: assumptions and left-out points, one line each; the curve's own notes come first.
      verdict: whether the result can be believed.
      num_fitting: how many structures of the bank fit within noise and model error; None from the genetic algorithm.
      features: (F,) what `saxsae.confidence` takes of the result; None from the genetic algorithm.
      confidence: how close `density` can be expected to be to the true one; None where that is not known.
      occupancy: (31, 31, 31) probability that a voxel is filled at 15 A resolution, or where the weights have no
        confidence the share of models that fill it; None from the genetic algorithm.
      symmetry: what the curve says about the symmetry that was imposed; None if none was. The axis of the group is z of
        `density`, and of a dihedral group x is a two-fold axis.
    """

    density: np.ndarray
    pitch_angstrom: float
    radius_angstrom: float
    models: np.ndarray
    model_radii: np.ndarray
    model_chi_squared: np.ndarray
    rsc: np.ndarray
    ensemble: EnsembleStatistics
    rg_angstrom: float
    bank_misfit: float
    negative_density: float
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
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    verdict: Verdict
    num_fitting: int | None = None
    features: np.ndarray | None = None
    confidence: Confidence | None = None
    occupancy: np.ndarray | None = None
    symmetry: SymmetryEvidence | None = None


class _ForwardModel(NamedTuple):
    """How the profiles of models are computed; the arguments of `reconstruct`."""

    background: bool
    contrasts: tuple[float, ...]
    equal_atoms: bool


class _Models(NamedTuple):
    """The result of a stage.

    Attributes:
      fields: values of fields of `Reconstruction`, by name.
      profile: q (Q,) in 1/A -> I(q) (Q,) of the best model.
      made_share: share of the models of the bank that began as synthetic shapes.
    """

    fields: dict[str, Any]
    profile: Callable[[np.ndarray], np.ndarray]
    made_share: float = 0.0


def reconstruct(curve: CurveLike, pretrained: Pretrained, *, radius: float | None = None, q_max: float = 0.2,
                num_models: int | None = None, seed: int = 0, background: bool = False,
                stages: Sequence[str] | None = None, initial: str = "bank",
                contrasts: tuple[float, ...] = hydration.CONTRASTS, equal_atoms: bool = False,
                settings: genetic.EvolutionSettings = genetic.EvolutionSettings(),
                descent: DescentSettings = DescentSettings(),
                symmetry: str | None = None,
                progress: Callable[[genetic.EvolutionState], None] | None = None) -> Reconstruction:
    """Returns the 3D shape of a SAXS curve, as the mean of models and as the models.

    Args:
      curve: `saxsae.io.curves.measured_curves.Curve`, or any object with `q_inv_angstrom` (1/A, ascending),
        `intensity` and `sigma`, (N,) each. Its `notes`, if it has any, begin the notes of the result.
      pretrained: the auto-encoder, from `saxsae.pretrained.load()`.
      radius: r_max in Angstrom (the largest distance of an atom from the centroid) if it is known; None searches for
        it together with the code.
      q_max: largest q that is fitted, 1/A; beyond 0.2 a curve says little more about the shape. For large bodies the
        limit is lower, see `scattering.resolved_q_max`.
      num_models: number of models; None is 32 structures of the bank, or 8 independent runs.
      seed: seed of all randomness. The stages "bank" and "search" have none.
      background: fit a constant background as well.
      stages: one of `STAGES`; None is ("bank", "search") where the weights have a bank, otherwise ("evolve",).
      initial: source of the first generation of "evolve": "bank" draws codes of training maps; "distribution" draws
        each latent number from its distribution, as in the paper.
      contrasts: contrasts of the shell of bound water that are tried in the bank, e/A^3; (0.0,) for a curve without
        water.
      equal_atoms: whether the curve was computed from atoms or beads of equal weight. Otherwise each element has its
        own weight, except with "evolve", whose shapes are of uniform density.
      settings: settings of the genetic algorithm.
      descent: settings of the gradient steps.
      symmetry: Schoenflies symbol of a point group, C2 to C12 or D2 to D6, over which the models are averaged; for the
        stages "bank" and "bank", "search". The curve is then fitted without symmetry too, for comparison.
      progress: called every few generations or steps with the populations, a `genetic.EvolutionState` of NumPy arrays
        with a leading axis of runs. With a symmetry, the models without it follow; their steps are counted anew.

    Returns:
      The `Reconstruction`; its `verdict` says whether to believe it.

    Raises:
      InputError: an argument is out of range; the weights lack what the stages need; fewer than five points lie between
        the first point of the Guinier region and `q_max`; or `verdict.judge_curve` finds that the curve has no shape.
    """
    stages = choose_stages(stages, pretrained.bank is not None and pretrained.density_head is not None)
    if radius is not None and not 1 < radius <= 2000:
        raise InputError(f"radius {radius:g}: expected r_max in Angstrom, between 1 and 2000")
    if num_models is not None and num_models < 1:
        raise InputError(f"num_models {num_models}: expected at least 1")
    if initial not in ("bank", "distribution"):
        raise InputError(f"initial {initial!r}: expected 'bank' or 'distribution'")
    if not q_max > 0:
        raise InputError(f"q_max {q_max:g}: expected a positive number in 1/A")
    if initial == "distribution" and stages != ("evolve",):
        raise InputError(f"initial {initial!r}: it has a meaning for the stages 'evolve' alone, not {','.join(stages)}")
    if not contrasts or not all(LEAST_CONTRAST <= contrast <= MOST_CONTRAST for contrast in contrasts):
        raise InputError(f"contrasts {contrasts}: expected numbers from {LEAST_CONTRAST} to {MOST_CONTRAST} e/A^3")
    if descent.steps < 1:
        raise InputError(f"descent.steps {descent.steps}: expected at least 1")
    group = None if symmetry is None else parse_group(symmetry)
    if group is not None and "evolve" in stages:
        raise InputError(f"symmetry {group.name}: it can be imposed with the stages bank and bank,search, not "
                         f"{','.join(stages)}")
    guinier = fit_guinier(curve.q_inv_angstrom, curve.intensity, curve.sigma)
    before = judge_curve(curve, guinier, radius, background)
    if before.status == NO_SHAPE:
        raise InputError(before.sentence)
    prepared = prepare_curve(curve, guinier, radius, q_max, densities="evolve" not in stages)
    forward = _ForwardModel(background, contrasts, equal_atoms)
    if "evolve" in stages:
        found = _evolve(prepared, pretrained, num_models or EVOLVED_MODELS, seed, forward, initial,
                        settings, progress, from_bank="bank" in stages)
    else:
        found = _search_bank(curve, prepared, pretrained, num_models or DENSITY_MODELS, forward,
                             descent if "search" in stages else None, group, progress)
    fit = fit_measured_points(curve, prepared.q_range, found.profile, background)
    result = Reconstruction(guinier=guinier, notes=tuple(prepared.notes), verdict=before, **found.fields, **fit)
    result = result._replace(verdict=judge_result(result, result.rg_angstrom, before, background))
    if not result.sources:
        return result
    as_calibrated = ("search" in stages and radius is None and not equal_atoms and group is None
                     and len(result.models) >= _FEWEST_MODELS)
    return _add_confidence(result, found.made_share, pretrained, as_calibrated)


def _add_confidence(result: Reconstruction, made_share: float, pretrained: Pretrained,
                    as_calibrated: bool) -> Reconstruction:
    """Returns a result from the bank with its features and occupancy, and with its confidence.

    Args:
      result: the result.
      made_share: share of the models that began as synthetic shapes.
      pretrained: the weights, which may have constants of the confidence.
      as_calibrated: whether the result was found under the conditions of the calibration; otherwise no confidence is
        stated, and the occupancy is the share of the models.
    """
    rg = result.guinier.rg_angstrom if result.guinier.valid else result.rg_angstrom
    features = confidence.measure(
        result.rsc, result.bank_misfit, result.verdict.measures["misfit"], made_share,
        float(result.q_inv_angstrom[-1]), rg, result.model_radii)
    occupancy = confidence.filled_share(result.models)
    if pretrained.confidence is None:
        return result._replace(features=features, occupancy=occupancy)
    if not as_calibrated:
        note = (f"no confidence is stated: it was measured for the stages bank,search with at least {_FEWEST_MODELS} "
                "models, an unknown radius, the elements' own weights and no symmetry")
        return result._replace(features=features, occupancy=occupancy, notes=(*result.notes, note))
    return result._replace(features=features, confidence=confidence.predict(pretrained.confidence, features),
                           occupancy=confidence.calibrate_occupancy(pretrained.confidence, occupancy))


def choose_stages(stages: Sequence[str] | None, has_bank: bool) -> tuple[str, ...]:
    """Returns the stages, by default those that weights with or without a bank allow; raises InputError for others."""
    if stages is None:
        return ("bank", "search") if has_bank else ("evolve",)
    if tuple(stages) not in STAGES:
        known = "; ".join(",".join(one) for one in STAGES)
        raise InputError(f"stages {','.join(stages)}: expected one of {known}")
    return tuple(stages)


def _search_bank(curve: CurveLike, prepared: PreparedCurve, pretrained: Pretrained, count: int,
                 forward: _ForwardModel, descent: DescentSettings | None, group: SymmetryGroup | None,
                 progress: Callable[[genetic.EvolutionState], None] | None) -> _Models:
    """Returns densities from the bank, after gradient steps unless `descent` is None, averaged over a group if any."""
    def prepare(structures: BankModels, group: SymmetryGroup | None) -> BankSearch:
        return bank_search.prepare(pretrained, prepared.curve_for_bank, structures.chosen, forward.background,
                                   free_radius=prepared.radius is None, equal_atoms=forward.equal_atoms, group=group)

    candidates_per_model = 1 if group is None else symmetric_search.CANDIDATES_PER_MODEL
    candidates = _choose_structures(prepared, pretrained, count * candidates_per_model, forward)
    structures_c1 = bank_search.take_first(candidates, count)
    evidence = None
    if group is None:
        found = bank_search.fit_structures(prepare(structures_c1, None), structures_c1, descent, progress)
    else:
        search = prepare(candidates, group)
        found = bank_search.fit_structures(
            search, symmetric_search.choose_symmetric(search, candidates, count), descent, progress)
        without = bank_search.fit_structures(prepare(structures_c1, None), structures_c1, descent, progress)
        evidence = symmetric_search.compare_with_c1(curve, prepared.q_range, found, without)
    models, decoded = found.models, found.decoded
    averaged = bank_search.average(found.search, decoded, models)
    return _Models({
        "density": np.minimum(averaged.density, 1), "pitch_angstrom": averaged.pitch_angstrom,
        "radius_angstrom": averaged.r_max_angstrom,
        "models": np.clip(averaged.maps, 0, 1), "model_radii": models.r_max_angstrom,
        "model_chi_squared": bank_search.chi_squared(found.search, decoded, models, prepared.curve),
        "rsc": averaged.correlations, "ensemble": averaged.ensemble,
        "rg_angstrom": bank_search.radius_of_gyration(found.search, decoded, models),
        "bank_misfit": float(structures_c1.misfit.min()),
        "negative_density": bank_search.negative_density(averaged.maps if group else decoded[:, 0]),
        "order": found.search.static.order, "symmetry": evidence,
        "history": models.history, "generations": np.full(len(models.misfit), models.history.best.shape[1] - 1),
        "num_fitting": models.num_fitting, "sources": bank_search.describe_sources(found.search, models)},
        found.profile, bank_search.made_share(found.search, models))


def _choose_structures(prepared: PreparedCurve, pretrained: Pretrained, count: int,
                       forward: _ForwardModel) -> bank_search.BankModels:
    """Returns the structures of the bank that fit best, at most `count`."""
    return bank_search.choose(
        pretrained, prepared.curve_for_bank, prepared.rg_angstrom, count, radius=prepared.radius,
        rg_known=prepared.guinier.valid, **forward._asdict())


def _evolve(prepared: PreparedCurve, pretrained: Pretrained, runs: int, seed: int, forward: _ForwardModel, initial: str,
            settings: genetic.EvolutionSettings, progress: Callable[[genetic.EvolutionState], None] | None,
            from_bank: bool) -> _Models:
    """Returns binary shapes by the genetic algorithm, which may begin with the best structures of the bank."""
    curve, (low, high) = prepared.curve, prepared.radii
    order = scattering.choose_order(float(curve.q_inv_angstrom.max()), largest_tried(prepared.radii))
    if order is None:
        prepared.notes.append(f"radii up to {high:.0f} A need more than Zernike order {max(scattering.ORDERS)}: "
                              "profiles are computed from pair distances")
    latents = pretrained.latents
    codes = latents.bank if initial == "bank" else latents.bank[:0]
    if from_bank:
        codes = _choose_structures(prepared, pretrained, settings.population, forward).codes
    prior = genetic.CodePrior(*(jnp.asarray(a, jnp.float32) for a in (latents.quantiles, codes, low, high)))
    key = CompiledSearchKey(pretrained.info["kind"], pretrained.info["latent_size"], order, settings)
    state = genetic_search.run_searches(key, pretrained, curve, forward.background, prior, runs, seed, progress)
    ranking = np.argsort(state.chi_squared[:, 0], kind="stable")
    state = jax.tree.map(lambda a: a[ranking], state)
    shapes = _decode_shapes(pretrained.network, pretrained.params, pretrained.threshold, state.latents[:, 0])
    radii = state.radii[:, 0]
    density, models, pitch, rsc = genetic_search.superpose_and_average(np.asarray(shapes, np.float32), radii)

    def profile(q_inv_angstrom: np.ndarray) -> np.ndarray:
        computed = _profiles_at_radii(
            shapes[0][None], jnp.asarray(q_inv_angstrom, jnp.float32), jnp.asarray([[radii[0]]], jnp.float32), order)
        return np.asarray(computed, np.float64)[0, 0]

    return _Models({
        "density": density, "pitch_angstrom": pitch, "radius_angstrom": float(radii[0]), "models": models,
        "model_radii": radii, "model_chi_squared": state.chi_squared[:, 0], "rsc": rsc,
        "ensemble": ensemble.describe(models, pitch, FILLED),
        "rg_angstrom": voxels.radius_of_gyration(models[0], pitch), "bank_misfit": np.nan, "negative_density": np.nan,
        "order": order, "history": state.history,
        "generations": state.generation, "sources": ()}, profile)
