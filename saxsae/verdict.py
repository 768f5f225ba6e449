"""Judges whether a curve, and the shape found for it, can be believed: *shape*, *doubtful* or *no shape*.

1. `judge_curve` compares the measures of `saxsae.profiles.curve_quality` with `LIMITS`, before the search.
2. `judge_result` adds how well the models fit and agree, after it.

`saxsae.reconstruction` calls both. The limits were measured: `python -m launch.evaluate --task=verdicts` prints what
good and unfit curves reach.
"""

import math
from typing import NamedTuple, Protocol

import numpy as np

from saxsae.io.curves.units import RG_RANGE_ANGSTROM
from saxsae.profiles.curve_quality import CurveQuality, measure_quality
from saxsae.profiles.fitting import cormap_probability, sum_in_bins
from saxsae.profiles.guinier import GuinierFit
from saxsae.profiles.rebinning import CurveLike

SHAPE, DOUBTFUL, NO_SHAPE = "shape", "doubtful", "no shape"
# Relative error of the profile of a model beside sigma, in the measure `misfit`, whose limits were set with it.
MODEL_ERROR = 0.02
_FLEXIBLE_KRATKY = 1.5  # a compact particle has fallen below 1.1; of a Gaussian chain 1.5 to 1.8 is measured
_REASONS_SHOWN = 3  # in the sentence; all are in log.json and in the report
_INF = math.inf


class Limit(NamedTuple):
    """The range of a measure for each verdict.

    Attributes:
      doubtful: (low, high); outside, the result is doubtful.
      no_shape: (low, high); outside, there is no shape.
      below: what a value below the range means; `{}` is the value.
      above: what a value above the range means.
    """

    doubtful: tuple[float, float]
    no_shape: tuple[float, float]
    below: str = ""
    above: str = ""


# The measures up to `points` are those of the curve (`CurveQuality`), the others those of the result. saxsae/README.md
# says where the limits come from.
LIMITS = {
    "low_q_signal": Limit(
        (20, _INF), (5, _INF),
        below="the mean intensity at low q is {:.2g} times its standard deviation: negative, or lost in noise"),
    "rg_angstrom": Limit(
        RG_RANGE_ANGSTROM, (5, 1000),
        below="the Guinier Rg is {:.3g} A, smaller than that of a protein: is the unit of q right?",
        above="the Guinier Rg is {:.3g} A, larger than that of a protein complex: is the unit of q right?"),
    "rg_error": Limit((-_INF, 0.08), (-_INF, _INF), above="the standard deviation of the Guinier Rg is {:.0%}"),
    "q_rg_start": Limit(
        (-_INF, 0.8), (-_INF, _INF),
        above="the Guinier region begins at q Rg = {:.2f}, so that I(0) is an extrapolation"),
    "low_q_excess": Limit(
        (-0.08, 0.08), (-0.5, 5),
        below="the intensity at the smallest q is off the Guinier line by {:.0%} of I(0): repulsion, the beamstop's "
              "shadow, or no intensities",
        above="the intensity at the smallest q is above the Guinier line by {:.0%} of I(0): aggregates"),
    "guinier_curvature": Limit(
        (-0.25, 0.3), (-1, 5),
        below="the Guinier plot turns down towards q = 0 (curvature {:.2f}): repulsion, or too much buffer subtracted",
        above="the Guinier plot turns up towards q = 0 (curvature {:.2f}): aggregates"),
    "level": Limit(
        (-0.005, 0.1), (-0.1, 0.5),
        below="the intensity at high q is {:.1%} of I(0), negative: too much buffer is subtracted (--background fits a "
              "constant), or no intensities",
        above="the intensity at high q is still {:.0%} of I(0)"),
    "plateau": Limit(
        (-_INF, 0.03), (-_INF, 0.5),
        above="the intensity levels off at {:.0%} of I(0), where even a thin rod falls: a constant background is left "
              "in (--background fits it)"),
    "kratky": Limit(
        (-0.3, _FLEXIBLE_KRATKY), (-_INF, _INF),
        below="(q Rg)^2 I / I(0) is {:.2f} at q Rg = 3 to 5: too much buffer is subtracted",
        above="(q Rg)^2 I / I(0) is {:.2f} at q Rg = 3 to 5, where a folded protein is below 1.1: a disordered chain, "
              "a long rod, or a background"),
    "negative_share": Limit(
        (-_INF, 0.003), (-_INF, 0.3),
        above="{:.1%} of the intensity lies further below zero than noise explains: too much buffer subtracted, a "
              "difference curve or a logarithm"),
    "points": Limit((20, _INF), (10, _INF), below="the curve has only {:.0f} points"),
    "misfit": Limit(
        (-_INF, 4), (-_INF, 25),
        above="the best model misses the curve: chi^2 is {:.3g} even with 2% of the intensity added to sigma"),
    "cormap_p": Limit(
        (1e-12, _INF), (-_INF, _INF), below="the residuals of the fit are systematic (CorMap p = {:.1g})"),
    "bank_misfit": Limit(
        (-_INF, 2), (-_INF, 25),
        above="no structure of the bank resembles the body: the misfit of the best is {:.3g}"),
    "negative_density": Limit(
        (-_INF, 0.05), (-_INF, 0.5),
        above="{:.0%} of the density of the best model is negative: no body of one density fits"),
    "rg_ratio": Limit(
        (0.87, 1.15), (0.6, 1.6), below="Rg of the best model is {:.2f} times Guinier's",
        above="Rg of the best model is {:.2f} times Guinier's"),
    "rsc_with_best": Limit(
        (0.55, _INF), (-_INF, _INF),
        below="the real-space correlation (RSC) of the models with the best is {:.2f} only: different shapes fit the "
              "curve"),
    "rsc_with_mean": Limit(
        (0.75, _INF), (-_INF, _INF),
        below="the real-space correlation (RSC) of the models with their mean is {:.2f} only: different shapes fit the "
              "curve"),
    "symmetry_chi_squared": Limit(
        (-_INF, 1.3), (-_INF, _INF),
        above="with the symmetry chi^2 is {:.2f} times that without it: the curve speaks against the symmetry"),
    "symmetry_evidence": Limit(
        (-_INF, 6), (-_INF, _INF),
        above="the log evidence against the symmetry is {:.1f}: the curve speaks against the symmetry"),
}
RESULT_MEASURES = ("misfit", "cormap_p", "bank_misfit", "negative_density", "rg_ratio", "rsc_with_best",
                   "rsc_with_mean", "symmetry_chi_squared", "symmetry_evidence")
# Measures that a constant background changes. If the background is fitted, only their limits for no shape count.
_CHANGED_BY_BACKGROUND = ("level", "plateau", "kratky", "negative_share", "rg_ratio")


class Verdict(NamedTuple):
    """Whether a result can be believed.

    Attributes:
      status: `SHAPE`, `DOUBTFUL` or `NO_SHAPE`.
      reasons: why it is not `SHAPE`, the reasons against a shape first; () if it is.
      remarks: what else the curve says about the sample, one line each.
      measures: the value of each measure of `LIMITS` that was determined.
    """

    status: str
    reasons: tuple[str, ...]
    remarks: tuple[str, ...]
    measures: dict[str, float]

    @property
    def sentence(self) -> str:
        """The verdict in one line."""
        if self.status == SHAPE:
            judged = "curve, the fit or the models" if "misfit" in self.measures else "curve"
            return f"{SHAPE}: nothing in the {judged} speaks against it"
        more = len(self.reasons) - _REASONS_SHOWN
        return f"{self.status}: {'; '.join(self.reasons[:_REASONS_SHOWN])}" + (f"; and {more} more" if more > 0 else "")


class EvidenceLike(Protocol):
    """The fields of `saxsae.symmetric_search.SymmetryEvidence` that are judged."""

    @property
    def chi_squared(self) -> float:
        """Chi^2 of the best model with the symmetry."""

    @property
    def chi_squared_c1(self) -> float:
        """Chi^2 of the best model without."""

    @property
    def log_evidence_against(self) -> float:
        """Logarithm of the mean likelihood without the symmetry over that with it."""


class ResultLike(CurveLike, Protocol):
    """The fields of `saxsae.reconstruction.Reconstruction` that are judged; its points are those fitted."""

    @property
    def fit(self) -> np.ndarray:
        """The fitted intensities (N,)."""

    @property
    def rsc(self) -> np.ndarray:
        """The correlation (K,) of each model with the best, or with the mean of densities."""

    @property
    def bank_misfit(self) -> float:
        """The lowest misfit of a structure of the bank; NaN from the genetic algorithm."""

    @property
    def negative_density(self) -> float:
        """Negative over positive density of the best model; NaN from the genetic algorithm."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The structures that the models began as, if these are densities; otherwise ()."""

    @property
    def symmetry(self) -> "EvidenceLike | None":
        """What the curve says about the symmetry that was imposed; None if none was."""

    @property
    def guinier(self) -> GuinierFit:
        """The Guinier fit of the curve."""


def judge_curve(curve: CurveLike, guinier: GuinierFit, radius: float | None = None,
                background: bool = False) -> Verdict:
    """Returns the verdict on a curve before a shape is sought.

    Args:
      curve: the measured curve. Its `doubts`, if it has any, are reasons of the reader.
      guinier: its Guinier fit.
      radius: r_max in A if it is known. A curve without a Guinier region is then doubtful; otherwise it has no shape.
      background: whether a constant background will be fitted.
    """
    quality = measure_quality(curve, guinier)
    measures = {name: float(getattr(quality, name)) for name in LIMITS if name in CurveQuality._fields}
    reasons = [(DOUBTFUL, doubt) for doubt in getattr(curve, "doubts", ())]
    if not guinier.valid:
        advice = " (if the size is known, give it as the radius)" if radius is None else ""
        reasons.append((NO_SHAPE if radius is None else DOUBTFUL,
                        f"no Guinier region: {guinier.reason}{advice}"))
    return _combine(reasons, measures, background, _describe_sample(quality))


def judge_result(found: ResultLike, rg_angstrom: float, before: Verdict, background: bool = False) -> Verdict:
    """Returns the verdict on a result.

    Args:
      found: the reconstruction.
      rg_angstrom: radius of gyration of its best model, A.
      before: the verdict of `judge_curve`.
      background: whether a constant background was fitted.
    """
    sigma = np.hypot(found.sigma, MODEL_ERROR * found.intensity)
    misfit = float(np.mean(((found.intensity - found.fit) / sigma) ** 2))
    residual = sum_in_bins(np.asarray(found.q_inv_angstrom), (found.intensity - found.fit) / found.sigma)
    others = found.rsc if found.sources else found.rsc[1:]  # the best agrees with itself
    measures = {
        "misfit": misfit if math.isfinite(misfit) else math.inf, "cormap_p": cormap_probability(residual),
        "bank_misfit": found.bank_misfit, "negative_density": found.negative_density,
        "rg_ratio": rg_angstrom / found.guinier.rg_angstrom if found.guinier.valid else math.nan,
        "rsc_with_mean" if found.sources else "rsc_with_best":
            float(np.mean(others)) if len(found.rsc) > 1 else math.nan}
    if found.symmetry is not None:
        measures |= measure_symmetry(found.symmetry)
    after = _combine([], measures, background, ())
    status = max(before.status, after.status, key=(SHAPE, DOUBTFUL, NO_SHAPE).index)
    return Verdict(status, before.reasons + after.reasons, before.remarks, before.measures | after.measures)


def measure_symmetry(evidence: EvidenceLike) -> dict[str, float]:
    """Returns the measures of `LIMITS` that speak about a symmetry that was imposed."""
    return {"symmetry_chi_squared": evidence.chi_squared / evidence.chi_squared_c1,
            "symmetry_evidence": evidence.log_evidence_against}


def _combine(reasons: list[tuple[str, str]], measures: dict[str, float], background: bool,
             remarks: tuple[str, ...]) -> Verdict:
    """Returns the verdict from (status, reason) and from the measures, of which NaN says nothing."""
    for name, value in measures.items():
        limit = LIMITS[name]
        if name == "level" and measures["plateau"] > LIMITS["plateau"].doubtful[1]:
            continue  # the plateau says more
        for status, (low, high) in ((NO_SHAPE, limit.no_shape), (DOUBTFUL, limit.doubtful)):
            if background and status == DOUBTFUL and name in _CHANGED_BY_BACKGROUND:
                continue
            if value < low or value > high:
                reasons = [*reasons, (status, (limit.below if value < low else limit.above).format(value))]
                break
    status = max((found for found, _ in reasons), default=SHAPE, key=(SHAPE, DOUBTFUL, NO_SHAPE).index)
    ordered = sorted(reasons, key=lambda reason: reason[0] != NO_SHAPE)
    return Verdict(status, tuple(reason for _, reason in ordered), remarks, measures)


def _describe_sample(quality: CurveQuality) -> tuple[str, ...]:
    """Returns a remark if the Kratky plot shows an elongated or flexible particle."""
    if quality.kratky > _FLEXIBLE_KRATKY:
        return (f"(q Rg)^2 I / I(0) is {quality.kratky:.2f} at q Rg = 3 to 5 (1.1 at most for a compact particle, 2 "
                "for a chain): elongated or flexible",)
    return ()
