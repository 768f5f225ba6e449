"""Makes what `launch.reconstruct` prints (curve, progress, table) and the content of log.json."""

import functools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from launch import app
from launch.reconstruction import curve_rows, reference
from launch.reconstruction.reference import Comparison, PlacedMap, ScoredReference
from saxsae import genetic, genetic_search
from saxsae.analysis.curve_report import CurveNumbers
from saxsae.bank.descent import DescentSettings
from saxsae.bank.scoring import FITS
from saxsae.io.curves.measured_curves import Curve
from saxsae.pretrained import Pretrained
from saxsae.profiles.guinier import GuinierFit
from saxsae.reconstruction import Reconstruction
from saxsae.shapes import voxels
from saxsae.superposition import ensemble
from saxsae.symmetric_search import SymmetryEvidence
from saxsae.verdict import LIMITS, measure_symmetry


def describe_curve(curve: Curve, guinier: GuinierFit) -> list[str]:
    """Returns lines that describe what was read from the file, and the Guinier region of the curve."""
    q = curve.q_inv_angstrom
    sigma = "estimated from the curve's own scatter" if curve.sigma_estimated else "from the file"
    lines = [f"{curve.path}: {len(q)} points, q {q[0]:.4g} to {q[-1]:.4g} 1/A, sigma {sigma}"]
    lines += [f"  {note}" for note in curve.notes]
    if guinier.valid:
        return [*lines, f"  Guinier: Rg {guinier.rg_angstrom:.2f} +- {guinier.rg_sigma:.2f} A, I(0) "
                        f"{guinier.i0:.5g}, points {guinier.first + 1} to {guinier.last} "
                        f"(q Rg {guinier.q_rg_min:.2f} to {guinier.q_rg_max:.2f})"]
    return [*lines, f"  no Guinier region: {guinier.reason}"]


class ProgressReport:
    """Prints a line for each report of a search, and keeps the best model of each report.

    A model, or gene, is a latent vector (K,) and a radius (A). If several searches follow one another, each counts its
    steps from the beginning, and its name in `searches` begins its lines.

    Attributes:
      snapshots: (generation, latent (K,), radius in Angstrom) of the best gene of all runs, one for each report.
    """

    def __init__(self, settings: genetic.EvolutionSettings | DescentSettings, print_line: Callable[[str], None],
                 write_progress: Callable[[dict[str, Any], np.ndarray, float], None] | None = None,
                 searches: Sequence[str] = ("",)) -> None:
        self.snapshots: list[tuple[int, np.ndarray, float]] = []
        self._settings, self._print_line, self._write_progress = settings, print_line, write_progress
        self._searches = list(searches)  # the present one first
        self._start = time.perf_counter()

    def __call__(self, state: genetic.EvolutionState) -> None:
        """Prints and keeps the best of the runs, and hands them to `write_progress`, see `stream.progress_writer`."""
        generation, best = int(state.generation.max()), state.chi_squared[:, 0]
        run = int(best.argmin())
        if len(self._searches) > 1 and self.snapshots and generation <= self.snapshots[-1][0]:
            del self._searches[0]
        search = self._searches[0]
        self.snapshots.append((generation, state.latents[run, 0], float(state.radii[run, 0])))
        if isinstance(self._settings, DescentSettings):
            word, measure, last = "step", "misfit", self._settings.steps
            running, going_on = int(generation < last), f"{state.chi_squared.shape[1]} models"
        else:
            word, measure, last = "generation", "chi^2", self._settings.generations - 1
            running = int(genetic.is_running(state, self._settings).sum())
            going_on = f"{running} of {len(best)} runs go on"
        seconds = time.perf_counter() - self._start
        if self._write_progress is not None:
            numbers = {"generation": generation, "generations": last + 1,
                       "chi_squared": best.tolist(), "radius_angstrom": float(state.radii[run, 0]),
                       "running": running or len(self._searches) - 1, "seconds": seconds}
            if search:
                numbers["search"] = search
            self._write_progress(numbers, *self.snapshots[-1][1:])
        # Only the best runs, to keep the line short; log.json has all of them.
        runs = " ".join(f"{value:.3g}" for value in np.sort(best)[:8])
        name = f"{search}: " if search else ""
        self._print_line(f"{name}{word} {generation:3d}/{last}: {measure} {runs}; best r_max "
                         f"{state.radii[run, 0]:.1f} A; {going_on}; {seconds:.0f} s")


def correlation_history(snapshots: list[tuple[int, np.ndarray, float]], weights: Pretrained,
                        comparison: Comparison) -> tuple[np.ndarray, np.ndarray]:
    """Returns the correlation of the best model with the reference, by generation.

    Args:
      snapshots: (generation, latent (K,), radius in Angstrom), see `ProgressReport`.
      weights: weights of the auto-encoder.
      comparison: compares with the reference.

    Returns:
      Generations (C,) and correlations (C,).
    """
    generations, latents, radii = (np.array(column) for column in zip(*snapshots, strict=True))
    decode = jax.jit(functools.partial(genetic_search.decode_shapes, weights.network))
    values: list[float] = []
    for i, (latent, radius) in enumerate(zip(latents, radii, strict=True)):
        if i and (latent == latents[i - 1]).all() and radius == radii[i - 1]:
            values.append(values[-1])  # the same model as before
        else:
            shape = np.asarray(decode(weights.params, weights.threshold, latent[None]))[0]
            values.append(comparison.correlation(shape, voxels.pitch(radius)))
    return generations, np.array(values)


def summary(found: Reconstruction, placed: PlacedMap | None, single: float | None) -> dict[str, Any]:
    """Returns the numbers of the result that the table, the page and the log show.

    Args:
      found: the reconstruction.
      placed: the map superposed on the reference; None without a reference.
      single: correlation of the best model with the reference; None without a reference.
    """
    others = _compared(found)
    numbers = {
        "chi_squared": found.chi_squared, "relative_residual": found.relative_residual,
        "radius_angstrom": found.radius_angstrom,
        "rg_angstrom": found.rg_angstrom,
        "guinier_rg_angstrom": found.guinier.rg_angstrom if found.guinier.valid else None,
        "rsc": float(others.mean()) if len(others) else None,
        "volume_angstrom3": float(found.density.sum() * found.pitch_angstrom**3), **_describe_ensemble(found)}
    if found.confidence is not None:
        numbers |= found.confidence._asdict()
    if found.num_fitting is not None:
        numbers["num_fitting"] = found.num_fitting
    if placed is not None:
        numbers |= {"correlation": placed.correlation, "single_chosen": single, "mirrored": placed.mirrored}
    return numbers


def _describe_ensemble(found: Reconstruction) -> dict[str, Any]:
    """Returns means and standard deviations over the models, the outliers (from 1) and the clusters; {} for one."""
    if len(found.models) == 1:
        return {}
    statistics = found.ensemble
    numbers: dict[str, Any] = {}
    for name, values in (("rsc_pairs", ensemble.off_diagonal(statistics.correlations)),
                         ("nsd_pairs", ensemble.off_diagonal(statistics.nsd)),
                         ("model_resolution_angstrom", statistics.resolution_angstrom)):
        numbers |= {f"{name}_mean": float(values.mean()), f"{name}_sd": float(values.std())}
    return numbers | {
        "outliers": (np.flatnonzero(statistics.outliers) + 1).tolist(),
        "clusters": {ensemble.name_cluster(label): (np.flatnonzero(statistics.clusters == label) + 1).tolist()
                     for label in range(statistics.clusters.max() + 1)}}


def _ensemble_rows(numbers: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Returns the lines of the table on how well the models agree with each other."""
    if "rsc_pairs_mean" not in numbers:
        return []

    def with_spread(name: str, digits: int) -> str:
        return f"{numbers[f'{name}_mean']:.{digits}f} +- {numbers[f'{name}_sd']:.{digits}f}"

    lines = [("RSC of pairs of models", with_spread("rsc_pairs", 3), ""),
             ("NSD of pairs of models", with_spread("nsd_pairs", 2), "good: below 0.6; bad: above 1.0"),
             ("resolution of the models", f"{with_spread('model_resolution_angstrom', 1)} A",
              "FSC 0.5 of each with the mean of the others")]
    if numbers["outliers"]:
        lines.append(("left out of the mean", f"{len(numbers['outliers'])} models",
                      f"RSC below mean - 2 sd: {', '.join(map(str, numbers['outliers']))}"))
    if len(numbers["clusters"]) > 1:
        sizes = ", ".join(f"{name}: {len(members)}" for name, members in numbers["clusters"].items())
        lines.append(("clusters of models", str(len(numbers["clusters"])), sizes))
    return lines


def _confidence_rows(numbers: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Returns the lines of the table on the expected agreement with the true shape."""
    if "expected_correlation" not in numbers:
        return []
    low, high = numbers["expected_correlation_90"]
    finest, coarsest = numbers["resolution_angstrom_90"]
    return [("expected correlation", f"{numbers['expected_correlation']:.2f}",
             f"with the true shape at 15 A, 90%: {low:.2f} to {high:.2f}"),
            ("expected resolution", f"{numbers['resolution_angstrom']:.0f} A",
             f"FSC 0.5 with the true shape, 90%: {finest:.0f} to {coarsest:.0f} A")]


def describe_symmetry(evidence: SymmetryEvidence, bank_misfit: float) -> tuple[str, str, str]:
    """Returns the line of the table about the symmetry that was imposed.

    Args:
      evidence: of the symmetry.
      bank_misfit: the lowest misfit of a structure of the bank without symmetry.
    """
    against = evidence.log_evidence_against
    beyond = {name for name, value in measure_symmetry(evidence).items() if value > LIMITS[name].doubtful[1]}
    if "symmetry_chi_squared" not in beyond and bank_misfit > FITS:  # then likelihoods are those of wrong shapes
        meaning = "which says little, because no structure of the bank fits without symmetry either"
    elif beyond:
        meaning = "the curve speaks against it"
    elif against < -LIMITS["symmetry_evidence"].doubtful[1]:
        meaning = "the curve fits better with it"
    else:
        meaning = "the curve allows it and does not show it"
    return ("symmetry", evidence.name, f"chi^2 {evidence.chi_squared:.2f}, without {evidence.chi_squared_c1:.2f}; log "
            f"evidence against it {against:+.1f}: {meaning}")


def _compared(found: Reconstruction) -> np.ndarray:
    """Returns the RSC of the models with their mean, or of all but the best with the best; () for one model."""
    return found.rsc if found.sources and len(found.rsc) > 1 else found.rsc[1:]


def rows(found: Reconstruction, numbers: dict[str, Any], of_curve: CurveNumbers | None = None,
         scored: Sequence[ScoredReference] = ()) -> list[tuple[str, str, str]]:
    """Returns (name, value, remark) of each line of the table.

    Args:
      found: the reconstruction.
      numbers: what `summary` returns.
      of_curve: the numbers of the curve itself.
      scored: the known structures, the best first.
    """
    radii, others = found.model_radii, _compared(found)
    lines = [("chi^2", f"{numbers['chi_squared']:.3f}",
              f"{len(found.q_inv_angstrom)} points to q = {found.q_inv_angstrom[-1]:.3f} 1/A"),
             ("mean relative residual", f"{numbers['relative_residual']:.4f}", ""),
             ("r_max", f"{numbers['radius_angstrom']:.1f} A",
              f"models {radii.min():.1f} to {radii.max():.1f}" if len(others) else ""),
             ("Rg", f"{numbers['rg_angstrom']:.1f} A",
              f"Guinier {found.guinier.rg_angstrom:.1f}" if found.guinier.valid else "")]
    if found.symmetry is not None:
        lines.append(describe_symmetry(found.symmetry, found.bank_misfit))
    if len(others):
        lines.append(("RSC of the models", f"{others.mean():.3f}",
                      f"correlation with the {'mean' if found.sources else 'best'}, {others.min():.3f} to "
                      f"{others.max():.3f}"))
    lines += [*_ensemble_rows(numbers), *_confidence_rows(numbers)]
    if found.sources:
        lines.append(("made of", f"{len(found.sources)} structures", f"the best: {found.sources[0]}"))
    if "num_fitting" in numbers:
        count = numbers["num_fitting"]
        lines.append(("ambiguity", f"{math.log10(count):.1f}" if count else "-",
                      f"log10 of {count} structures of the bank that fit" if count else
                      "no structure of the bank fits within noise and model error"))
    if of_curve is not None:
        lines += curve_rows.rows(of_curve, numbers.get("volume_angstrom3"))
    if "correlation" in numbers:
        lines.append(("correlation with reference", f"{numbers['correlation']:.3f}",
                      f"the best model alone {numbers['single_chosen']:.3f}"))
    return lines + reference.rows(scored)


def format_table(found: Reconstruction, numbers: dict[str, Any], timing: dict[str, float],
                 of_curve: CurveNumbers | None = None, scored: Sequence[ScoredReference] = ()) -> str:
    """Returns the printed table; the arguments are those of `rows`, and `timing` is that of `app.format_table`."""
    return app.format_table(rows(found, numbers, of_curve, scored), timing)


def log(curve: Curve, found: Reconstruction, numbers: dict[str, Any],
        correlations: tuple[np.ndarray, np.ndarray] | None, level: float) -> dict[str, Any]:
    """Returns the part of log.json that describes the curve and the result.

    Args:
      curve: the measured curve.
      found: the reconstruction.
      numbers: what `summary` returns.
      correlations: what `correlation_history` returns; None without a reference, and for densities.
      level: value of the map above which a voxel is a bead.
    """
    models = [{"chi_squared": chi_squared, "radius_angstrom": radius, "rsc": rsc,
               "generations": generations}
              for chi_squared, radius, rsc, generations in zip(
                  found.model_chi_squared, found.model_radii, found.rsc, found.generations, strict=True)]
    history: dict[str, Any] = {name: [run[np.isfinite(run)] for run in series]
               for name, series in found.history._asdict().items()}
    if correlations is not None:
        history["correlation_generation"], history["correlation"] = correlations
    q = curve.q_inv_angstrom
    return {
        "profile": curve.path, **found.verdict._asdict(), "summary": numbers, "notes": found.notes,
        "guinier": found.guinier, "symmetry": found.symmetry,
        "curve": {"points": len(q), "columns": curve.columns, "unit": curve.unit,
                  "sigma_estimated": curve.sigma_estimated, "q_inv_angstrom": [q[0], q[-1]],
                  "q_fitted_inv_angstrom": [found.q_inv_angstrom[0], found.q_inv_angstrom[-1]]},
        "models": models, "sources": found.sources, "scale": found.scale, "background": found.background,
        "zernike_order": found.order, "pitch_angstrom": found.pitch_angstrom, "bead_level": level,
        "history": history}
