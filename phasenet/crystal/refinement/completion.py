"""From a symmetric map to a complete refined model: peaks, elements, least squares, atoms moved until nothing gains.

1. `build_atoms`: symmetry-unique peaks; the heaviest elements of the composition go to the highest peaks.
2. `recycle`: least squares, a map with the new phases (2 F_obs - F_calc, sharpened), new peaks; while R1 falls.
3. `replace_atoms`: the atoms with the highest B are taken out, the highest peaks of the difference map put in.
4. `exchange_elements`: the elements are dealt out again by refined occupancies, then pairs are swapped by B.

Each change is kept only if R1 falls. `solve` calls `complete`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from phasenet.crystal import form_factors, grids
from phasenet.crystal.grids import CrystalGrid
from phasenet.crystal.normalisation import UniqueReflections
from phasenet.crystal.refinement import least_squares, peaks, verdict
from phasenet.crystal.refinement.least_squares import (
    CrystalAtoms,
    MeasuredAmplitudes,
    RefinementResult,
    ScatteringModel,
)
from phasenet.crystal.refinement.verdict import FiguresOfMerit

_MAX_RECYCLES = 8
_MAX_FAILURES = 3  # moves of atoms in a row without a gain
_MIN_GAIN = 0.002  # of R1
_RECYCLE_STEPS, _MOVE_STEPS, _FINAL_STEPS = 5, 4, 20
_HOPELESS_R1 = 0.40  # above it atoms are not moved one by one
_PEAKS_PER_ATOM = 1.6
_SPARE_PEAKS = 30
_EXCHANGE_ROUNDS = 4
_MAX_PAIRS = 8


class CompletionProblem(NamedTuple):
    """All that is known of a crystal, prepared.

    Attributes:
      reflections: N unique reflections.
      observed: their amplitudes and weights.
      model: scattering of the same reflections; its elements stand in order of scattering power, the strongest first.
      grid: of the cell.
      sharpening: (N,) sharpened over measured amplitude.
      counts: number of atoms in the primitive cell of each of the model's elements.
      b_iso: B of the Wilson plot, Angstrom^2.
    """

    reflections: UniqueReflections
    observed: MeasuredAmplitudes
    model: ScatteringModel
    grid: CrystalGrid
    sharpening: np.ndarray
    counts: tuple[float, ...]
    b_iso: float


class CompletedModel(NamedTuple):
    """Refined atoms and how well they fit."""

    result: RefinementResult
    figures: FiguresOfMerit


def order_elements(composition: Mapping[str, float], radiation: str) -> tuple[str, ...]:
    """Returns the elements that are placed, hydrogen not, in order of scattering power, the strongest first."""
    placed = [symbol for symbol, count in composition.items() if symbol not in ("H", "D") and count > 0]
    power = form_factors.scattering(form_factors.form_factors(placed, radiation), np.array([0.3]))[:, 0]
    return tuple(placed[row] for row in np.argsort(-power, kind="stable"))


def complete(density: np.ndarray, problem: CompletionProblem) -> CompletedModel | None:
    """Returns the refined model of a symmetric map (X, Y, Z), or None where the map has no peaks."""
    atoms = build_atoms(density, problem)
    if not atoms.elements:
        return None
    best = recycle(atoms, problem)
    if best.figures.r1 > _HOPELESS_R1:
        return best
    best = _refine(best.result.atoms, problem, _FINAL_STEPS)
    best = replace_atoms(best, problem)
    best = exchange_elements(best, problem)
    if best.figures.r1 < _HOPELESS_R1:
        best = replace_atoms(best, problem)
    final = _refine(best.result.atoms, problem, _FINAL_STEPS)
    return final if final.figures.r1 <= best.figures.r1 else best


def build_atoms(density: np.ndarray, problem: CompletionProblem) -> CrystalAtoms:
    """Returns atoms at the highest unique peaks of a map (X, Y, Z), as many as the composition has."""
    count = sum(problem.counts)
    mates = count * len(problem.grid.centring)
    positions, heights = peaks.find_peaks(density, int(_PEAKS_PER_ATOM * mates) + _SPARE_PEAKS)
    unique = peaks.select_unique(positions, heights, problem.grid, cell_count=count)
    elements = assign_elements(unique.heights, unique.multiplicities, problem)
    n = len(elements)
    return CrystalAtoms(unique.positions, elements, np.full(n, max(problem.b_iso, 0.5)), np.ones(n),
                        unique.projections, unique.multiplicities)


def assign_elements(strengths: np.ndarray, multiplicities: np.ndarray, problem: CompletionProblem) -> tuple[str, ...]:
    """Deals out the elements of the composition: the strongest scatterers to the largest of `strengths` (n,).

    An element takes sites until its atoms in the cell are used up to half a site. What is left over is of the most
    frequent element.
    """
    sites = len(problem.grid.rotations) / multiplicities
    left = np.array(problem.counts, float)
    most_frequent = int(left.argmax())
    chosen = [""] * len(strengths)
    current = 0
    for place in np.argsort(-strengths, kind="stable"):
        while current < len(left) and left[current] < 0.5 * sites[place] - 1e-6:
            current += 1
        row = current if current < len(left) else most_frequent
        left[row] -= sites[place]
        chosen[place] = problem.model.elements[row]
    return tuple(chosen)


def recycle(atoms: CrystalAtoms, problem: CompletionProblem) -> CompletedModel:
    """Refines atoms, and takes new peaks of the map with their phases while R1 falls."""
    best = _refine(atoms, problem, _RECYCLE_STEPS)
    for _ in range(_MAX_RECYCLES):
        trial_atoms = build_atoms(_sharpened_map(best.result, problem, observed_part=2.0), problem)
        if not trial_atoms.elements:
            break
        trial = _refine(trial_atoms, problem, _RECYCLE_STEPS)
        gain = best.figures.r1 - trial.figures.r1
        if gain > 0:
            best = trial
        if gain < _MIN_GAIN:
            break
    return best


def replace_atoms(best: CompletedModel, problem: CompletionProblem) -> CompletedModel:
    """Takes out the worst atoms and puts the highest difference peaks in, several at a time, then one by one."""
    suspects = int((best.result.atoms.b_iso > _high_b(best.result.atoms)).sum())
    number, failures, rank = max(suspects, 1), 0, 0
    while failures < _MAX_FAILURES:
        atoms = best.result.atoms
        worst = np.argsort(-atoms.b_iso, kind="stable")[rank:rank + number]
        trial = _move(atoms, worst, problem)
        if trial is not None and trial.figures.r1 < best.figures.r1 - _MIN_GAIN:
            best, failures, rank = trial, 0, 0
            continue
        if number > 1:
            number = number // 2
        else:
            failures, rank = failures + 1, rank + 1
        if rank + number > len(best.result.atoms.elements):
            break
    return best


def exchange_elements(best: CompletedModel, problem: CompletionProblem) -> CompletedModel:
    """Deals the elements out again by refined occupancies, then swaps pairs whose B say so; keeps what lowers R1."""
    if len(set(best.result.atoms.elements)) == 1:
        return best
    for _ in range(_EXCHANGE_ROUNDS):
        atoms = best.result.atoms
        flat = atoms._replace(b_iso=np.full(len(atoms.elements), np.median(atoms.b_iso)))
        free = least_squares.refine(flat, problem.observed, problem.model, 4, ("occupancies",)).atoms
        powers = np.array([_scattering_power(element, problem) for element in atoms.elements])
        elements = assign_elements(free.occupancies * powers, atoms.multiplicities, problem)
        if elements == atoms.elements:
            break
        trial = _refine(flat._replace(elements=elements), problem, _MOVE_STEPS + 2)
        if trial.figures.r1 >= best.figures.r1:
            break
        best = trial
    for _ in range(_EXCHANGE_ROUNDS):
        improved = _swap_pair(best, problem)
        if improved is None:
            break
        best = improved
    return best


def difference_map(result: RefinementResult, problem: CompletionProblem) -> np.ndarray:
    """Returns the sharpened map (X, Y, Z) of F_obs - F_calc."""
    return _sharpened_map(result, problem, observed_part=1.0)


def _swap_pair(best: CompletedModel, problem: CompletionProblem) -> CompletedModel | None:
    """Swaps a heavier atom of high B with a lighter one of low B; None where none of the first pairs lowers R1."""
    atoms = best.result.atoms
    powers = np.array([_scattering_power(element, problem) for element in atoms.elements])
    pairs = [(atoms.b_iso[heavy] - atoms.b_iso[light], heavy, light)
             for heavy in range(len(powers)) for light in range(len(powers))
             if powers[heavy] > powers[light] and atoms.multiplicities[heavy] == atoms.multiplicities[light]]
    for _, heavy, light in sorted(pairs, reverse=True)[:_MAX_PAIRS]:
        elements, b_iso = list(atoms.elements), atoms.b_iso.copy()
        elements[heavy], elements[light] = elements[light], elements[heavy]
        b_iso[[heavy, light]] = np.median(atoms.b_iso)
        trial = _refine(atoms._replace(elements=tuple(elements), b_iso=b_iso), problem, _MOVE_STEPS)
        if trial.figures.r1 < best.figures.r1 - _MIN_GAIN / 4:
            return trial
    return None


def _move(atoms: CrystalAtoms, worst: np.ndarray, problem: CompletionProblem) -> CompletedModel | None:
    """Returns the model with the atoms `worst` at the highest peaks that are there without them, or None."""
    kept = np.setdiff1d(np.arange(len(atoms.elements)), worst)
    if len(kept) == 0:
        return None
    rest = _refine(_take(atoms, kept), problem, 2)
    positions, heights = peaks.find_peaks(difference_map(rest.result, problem), 4 * len(worst) + _SPARE_PEAKS)
    atoms_left = rest.result.atoms
    primitive = len(problem.grid.rotations)
    count = sum(problem.counts) - (primitive / atoms_left.multiplicities).sum()
    found = peaks.select_unique(positions, heights, problem.grid, existing=atoms_left.positions, cell_count=count)
    if len(found.heights) == 0:
        return rest
    removed = [atoms.elements[place] for place in worst]
    spare = [problem.model.elements[int(np.argmax(problem.counts))]] * max(0, len(found.heights) - len(removed))
    elements = sorted(removed, key=problem.model.elements.index) + spare
    n = len(found.heights)
    trial = CrystalAtoms(np.concatenate([atoms_left.positions, found.positions]),
                         (*atoms_left.elements, *elements[:n]),
                         np.concatenate([atoms_left.b_iso, np.full(n, np.median(atoms_left.b_iso))]),
                         np.concatenate([atoms_left.occupancies, np.ones(n)]),
                         np.concatenate([atoms_left.projections, found.projections]),
                         np.concatenate([atoms_left.multiplicities, found.multiplicities]))
    return _refine(trial, problem, _MOVE_STEPS)


def _take(atoms: CrystalAtoms, places: np.ndarray) -> CrystalAtoms:
    """Returns some of the atoms."""
    return CrystalAtoms(atoms.positions[places], tuple(atoms.elements[place] for place in places), atoms.b_iso[places],
                        atoms.occupancies[places], atoms.projections[places], atoms.multiplicities[places])


def _refine(atoms: CrystalAtoms, problem: CompletionProblem, steps: int) -> CompletedModel:
    """Returns atoms refined by at most `steps` steps, with their figures of merit."""
    result = least_squares.refine(atoms, problem.observed, problem.model, steps)
    return CompletedModel(result, verdict.judge_fit(result, problem.reflections, problem.observed))


def _sharpened_map(result: RefinementResult, problem: CompletionProblem, observed_part: float) -> np.ndarray:
    """Returns the sharpened map (X, Y, Z) of observed_part * F_obs - F_calc with the calculated phases."""
    size = np.abs(result.factors)
    coefficient = observed_part * problem.observed.amplitude - result.scale * size
    phased = problem.sharpening * coefficient * result.factors / np.maximum(size, 1e-12)
    return grids.map_from_structure_factors(phased, problem.grid)


def _high_b(atoms: CrystalAtoms) -> float:
    """Returns the B above which an atom is suspect."""
    return 2.5 * float(np.median(atoms.b_iso)) + 1.0


def _scattering_power(element: str, problem: CompletionProblem) -> float:
    """Returns the mean form factor of an element over the reflections."""
    return float(problem.model.scattering[problem.model.elements.index(element)].mean())
