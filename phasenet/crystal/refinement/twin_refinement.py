"""Refines a promising model as a twin: which law and fraction, and whether the data prove a second component.

1. The fraction of every possible law is fitted to the model (`twinning.fit_fraction`); the most significant is kept.
2. The model is completed and refined against the intensities of both components; maps take the first component's part
   of each intensity, in the ratio of the calculated ones (Herbst-Irmer, Sheldrick, Acta Cryst. B54, 443, 1998).
3. The fraction is fitted again; steps 2 and 3 are repeated while it changes.

The twin is kept if its fraction is significant and R1 fell clearly. `solve` calls `refine_as_twin` for each start.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from phasenet.crystal.refinement import completion, least_squares, twinning
from phasenet.crystal.refinement.completion import CompletedModel, CompletionProblem
from phasenet.crystal.refinement.least_squares import CrystalAtoms, OverlappingReflections
from phasenet.crystal.refinement.twinning import FractionFit, Twin

_PROMISING_R1 = 0.45  # above it a model is too wrong to show a fraction
_MIN_FRACTION, _MIN_SIGNIFICANCE = 0.03, 5.0
_MIN_GAIN = 0.01  # of R1, by the second component
_SAME_FRACTION = 0.02  # a smaller change needs no more cycles
_MAX_CYCLES, _STEPS = 2, 8


class TwinCandidate(NamedTuple):
    """A law (3, 3) by which a crystal may be twinned, and the reflections of the second component."""

    law: np.ndarray
    partner: OverlappingReflections


class TwinTrial(NamedTuple):
    """A model after its refinement as a twin was tried.

    Attributes:
      model: of both components, or of one where the data show no second one.
      problem: in which it is refined.
      twin: None of an untwinned model.
      r1_of_one: R1 of the model of one component.
    """

    model: CompletedModel
    problem: CompletionProblem
    twin: Twin | None
    r1_of_one: float


def suppose_twin(problem: CompletionProblem, candidate: TwinCandidate, fraction: float) -> CompletionProblem:
    """Returns the problem with a second component."""
    return problem._replace(model=problem.model._replace(partner=candidate.partner, twin_fraction=fraction))


def refine_as_twin(model: CompletedModel, problem: CompletionProblem, candidates: Sequence[TwinCandidate],
                   complete: Callable[[CrystalAtoms, CompletionProblem], CompletedModel]) -> TwinTrial:
    """Returns the model refined as a twin, or as one component where the data show no second one.

    Args:
      model: refined.
      problem: in which it was refined; it may have a supposed second component.
      candidates: the possible laws.
      complete: completes a model from approximate atoms, such as `completion.complete_atoms`.
    """
    supposed = problem.model
    alone, untwinned = problem, model
    if supposed.partner is not None:
        alone = problem._replace(model=supposed._replace(partner=None, twin_fraction=0.0))
        untwinned = completion.refine_atoms(model.result.atoms, alone, _STEPS)
    as_one = TwinTrial(untwinned, alone, None, untwinned.figures.r1)
    if model.figures.r1 > _PROMISING_R1 or not candidates:
        return as_one
    fits = [_fit(model, candidate, problem) for candidate in candidates]
    chosen = int(np.argmax([fit.significance for fit in fits]))
    candidate, fit = candidates[chosen], fits[chosen]
    if not _is_twin(fit):
        return as_one
    fraction = supposed.twin_fraction if supposed.partner is candidate.partner else 0.0
    best = _refine(model.result.atoms, suppose_twin(problem, candidate, fit.fraction))
    for _ in range(_MAX_CYCLES):
        if abs(fit.fraction - fraction) < _SAME_FRACTION:
            break
        fraction, twinned = fit.fraction, suppose_twin(problem, candidate, fit.fraction)
        best = _refine(complete(best.result.atoms, twinned).result.atoms, twinned)
        fit = _fit(best, candidate, problem)
    twinned = suppose_twin(problem, candidate, fit.fraction)
    best = _refine(best.result.atoms, twinned)
    fit = _fit(best, candidate, problem)
    if not _is_twin(fit) or best.figures.r1 > untwinned.figures.r1 - _MIN_GAIN:
        return as_one
    return TwinTrial(best, twinned, Twin(candidate.law, twinned.model.twin_fraction, fit.sigma), untwinned.figures.r1)


def _is_twin(fit: FractionFit) -> bool:
    """Returns whether a fraction proves a second component."""
    return fit.significance > _MIN_SIGNIFICANCE and fit.fraction > _MIN_FRACTION


def _fit(model: CompletedModel, candidate: TwinCandidate, problem: CompletionProblem) -> FractionFit:
    """Returns the fraction of a law that a model shows."""
    second = least_squares.show_second_component(problem.model._replace(partner=candidate.partner))
    partner = least_squares.structure_factors(model.result.atoms, second)
    return twinning.fit_fraction(problem.reflections, np.abs(model.result.factors)**2, np.abs(partner)**2)


def _refine(atoms: CrystalAtoms, problem: CompletionProblem) -> CompletedModel:
    """Returns the model refined as it is."""
    return completion.refine_atoms(atoms, problem, _STEPS)
