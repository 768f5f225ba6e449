"""Turns a symmetric map into a complete refined model: `complete`, which `solve` calls.

1. `build_atoms`: takes symmetry-unique peaks, and difference peaks for atoms that have none; the heaviest elements of
   the composition go to the highest peaks.
2. `recycle`: repeats least squares, a map with the new phases (2 F_obs - F_calc, sharpened), and new peaks while R1
   falls.
3. `replace_atoms`: takes the atoms with the highest B out, and puts the highest peaks of the difference map in.
4. `exchange_elements`: assigns the elements again by refined occupancies, then swaps pairs by B.

A change is kept only if R1 falls; elements that fit their bonds may raise R1 a little. The strength of an atom is
defined in `elements`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from phasenet.crystal import form_factors, grids
from phasenet.crystal.grids import CrystalGrid
from phasenet.crystal.normalisation import UniqueReflections
from phasenet.crystal.refinement import elements, least_squares, peaks, verdict
from phasenet.crystal.refinement.least_squares import (
    CrystalAtoms,
    MeasuredAmplitudes,
    RefinementResult,
    ScatteringModel,
)
from phasenet.crystal.refinement.verdict import FiguresOfMerit
from phasenet.errors import InputError

_MAX_RECYCLES = 8
_MAX_FAILURES = 3  # moves of atoms in a row without a gain
_MIN_GAIN = 0.002  # of R1
_RECYCLE_STEPS, _MOVE_STEPS, _FINAL_STEPS = 5, 4, 20
_HOPELESS_R1 = 0.40  # above it atoms are not moved one by one
_PEAKS_PER_ATOM = 1.6
_SPARE_PEAKS = 30
_LOWEST_PEAK = 0.3  # of the median of the higher half of the peaks, each height over the power of its element
_EXCHANGE_ROUNDS = 4
_FREE_B_SHARE = 0.3  # weight of the strengths with a B for each atom; the others have one B for all atoms
_MAX_RISE = 0.002  # of R1, that elements which fit their bonds may cost
_MAX_PAIRS = 8


class CompletionProblem(NamedTuple):
    """A crystal whose atoms are to be found: its data and what is known of its contents.

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
    """Returns the elements of the atoms to place, which hydrogen is not, the strongest scatterer first.

    Raises:
      InputError: an element's neutron scattering length is not positive, so that its atoms are no peaks of a map.
    """
    placed = [symbol for symbol, count in composition.items() if symbol not in ("H", "D") and count > 0]
    power = form_factors.scattering(form_factors.form_factors(placed, radiation), np.array([0.3]))[:, 0]
    if not (power > 0).all():
        raise InputError(f"{', '.join(placed[row] for row in np.flatnonzero(power <= 0))}: the scattering length for "
                         f"{radiation}s is not positive; crystals with such atoms cannot be solved")
    return tuple(placed[row] for row in np.argsort(-power, kind="stable"))


def complete(density: np.ndarray, problem: CompletionProblem) -> CompletedModel | None:
    """Returns the refined model of a symmetric map (X, Y, Z), or None where the map has no peaks."""
    atoms = build_atoms(density, problem)
    return complete_atoms(atoms, problem) if atoms.elements else None


def complete_atoms(atoms: CrystalAtoms, problem: CompletionProblem) -> CompletedModel:
    """Returns the complete refined model that starts from approximate atoms."""
    best = recycle(atoms, problem)
    hopeless = _HOPELESS_R1 * verdict.spread_of_twin(problem.model.twin_fraction)
    if best.figures.r1 > hopeless:
        return best
    best = refine_atoms(best.result.atoms, problem, _FINAL_STEPS)
    best = replace_atoms(best, problem)
    best = exchange_elements(best, problem)
    if best.figures.r1 < hopeless:
        best = replace_atoms(best, problem)
    final = refine_atoms(best.result.atoms, problem, _FINAL_STEPS)
    return final if final.figures.r1 <= best.figures.r1 else best


def build_atoms(density: np.ndarray, problem: CompletionProblem) -> CrystalAtoms:
    """Returns atoms at the highest unique peaks of a map (X, Y, Z), as many as the composition has.

    A peak that is much too low for its element is noise: its atom shares the peak of another atom, or has no peak. Such
    atoms are taken from the difference map of the others instead, before any B is refined, because a refined B would
    hide them.
    """
    count = sum(problem.counts)
    mates = count * len(problem.grid.centring)
    positions, heights = peaks.find_peaks_in_cell(density, int(_PEAKS_PER_ATOM * mates) + _SPARE_PEAKS)
    unique = peaks.select_unique(positions, heights, problem.grid, cell_count=count)
    dealt = assign_elements(unique.heights, unique.site_orders, problem)
    n = len(dealt)
    atoms = CrystalAtoms(unique.positions, dealt, np.full(n, max(problem.b_iso, 0.5)), np.ones(n),
                         unique.projections, unique.site_orders)
    if not n:
        return atoms
    relative = unique.heights / np.array([_scattering_power(element, problem) for element in dealt])
    high = np.flatnonzero(relative >= _LOWEST_PEAK * np.median(relative[:(n + 1) // 2]))
    return _add_missing(take_atoms(atoms, high), [dealt[row] for row in np.setdiff1d(np.arange(n), high)], problem, 0)


def assign_elements(strengths: np.ndarray, site_orders: np.ndarray, problem: CompletionProblem) -> tuple[str, ...]:
    """Assigns the elements of the composition to n sites, the strongest scatterers to the largest of `strengths` (n,).

    A site gets the strongest element of which at least half as many atoms are left as the site has mates. If there is
    none, the site gets the most frequent element.
    """
    sites = len(problem.grid.rotations) / site_orders
    left = np.array(problem.counts, float)
    most_frequent = int(left.argmax())
    chosen = [""] * len(strengths)
    for place in np.argsort(-strengths, kind="stable"):
        fitting = np.flatnonzero(left >= 0.5 * sites[place] - 1e-6)
        row = int(fitting[0]) if len(fitting) else most_frequent
        left[row] -= sites[place]
        chosen[place] = problem.model.elements[row]
    return tuple(chosen)


def recycle(atoms: CrystalAtoms, problem: CompletionProblem) -> CompletedModel:
    """Refines atoms, and takes new peaks of the map with their phases while R1 falls."""
    best = refine_atoms(atoms, problem, _RECYCLE_STEPS)
    for _ in range(_MAX_RECYCLES):
        trial_atoms = build_atoms(phased_map(best.result, problem), problem)
        if not trial_atoms.elements:
            break
        trial = refine_atoms(trial_atoms, problem, _RECYCLE_STEPS)
        gain = best.figures.r1 - trial.figures.r1
        if gain > 0:
            best = trial
        if gain < _MIN_GAIN:
            break
    return best


def replace_atoms(best: CompletedModel, problem: CompletionProblem) -> CompletedModel:
    """Replaces the atoms of the highest B by the highest difference peaks, several at a time, then one by one."""
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
    """Assigns the elements again by the atoms' strengths, exchanges pairs by strengths and bonds, then by B.

    A change is kept if R1 falls; elements that fit their bonds may raise R1 by less than 0.002.
    """
    if len(set(best.result.atoms.elements)) == 1:
        return best
    mates = len(problem.grid.rotations) / best.result.atoms.site_orders
    powers = problem.model.scattering.mean(1)
    for _ in range(_EXCHANGE_ROUNDS):
        atoms = best.result.atoms
        strengths = refine_strengths(atoms, problem)
        dealt = assign_elements(strengths, atoms.site_orders, problem)
        bonded = elements.exchange_by_evidence(strengths, mates, powers, problem.model.elements,
                                               find_bonds_for_elements(atoms, problem), dealt)
        improved = None
        for symbols, max_rise in ((bonded, _MAX_RISE), (dealt, 0.0)):
            if symbols == atoms.elements:
                break
            trial = _with_elements(atoms, symbols, problem)
            if trial.figures.r1 < best.figures.r1 + max_rise:
                improved = trial
                break
        if improved is None:
            break
        best = improved
    for _ in range(_EXCHANGE_ROUNDS):
        swapped = _swap_pair(best, problem)
        if swapped is None:
            break
        best = swapped
    return best


def _with_elements(atoms: CrystalAtoms, symbols: tuple[str, ...], problem: CompletionProblem) -> CompletedModel:
    """Returns the refined model with other elements, all B at their median first."""
    flat = atoms._replace(elements=symbols, b_iso=np.full(len(symbols), np.median(atoms.b_iso)))
    return refine_atoms(flat, problem, _MOVE_STEPS + 2)


def refine_strengths(atoms: CrystalAtoms, problem: CompletionProblem) -> np.ndarray:
    """Returns the strength of each atom, (n,): occupancy times mean form factor, refined.

    With one B for all, an atom of large B looks weak; with each B refined, an atom of small B does. A weighted
    geometric mean of both strengths has the smallest error.
    """
    powers = np.array([_scattering_power(element, problem) for element in atoms.elements])
    flat = atoms._replace(b_iso=np.full(len(atoms.elements), np.median(atoms.b_iso)))
    with_one_b = least_squares.refine(flat, problem.observed, problem.model, 4, ("occupancies",)).atoms
    with_all = least_squares.refine(atoms, problem.observed, problem.model, 4, ("b_iso", "occupancies")).atoms
    return powers * with_one_b.occupancies**(1 - _FREE_B_SHARE) * with_all.occupancies**_FREE_B_SHARE


def find_bonds_for_elements(atoms: CrystalAtoms, problem: CompletionProblem) -> elements.Bonds:
    """Returns the neighbours of each atom at the distance of a bond of C, N and O."""
    grid = problem.grid
    images = atoms.positions @ np.swapaxes(grid.rotations, 1, 2) + grid.translations[:, None]
    images = images[None] + grid.centring[:, None, None]
    return elements.find_cno_bonds(atoms.positions, images.reshape(-1, len(atoms.elements), 3), atoms.site_orders,
                                   grid.metric_root.T)


def phased_map(result: RefinementResult, problem: CompletionProblem) -> np.ndarray:
    """Returns the sharpened map (X, Y, Z) of 2 F_obs - F_calc."""
    return _sharpened_map(result, problem, observed_part=2.0)


def difference_map(result: RefinementResult, problem: CompletionProblem) -> np.ndarray:
    """Returns the sharpened map (X, Y, Z) of F_obs - F_calc."""
    return _sharpened_map(result, problem, observed_part=1.0)


def _swap_pair(best: CompletedModel, problem: CompletionProblem) -> CompletedModel | None:
    """Swaps a heavier atom of high B with a lighter one of low B; None where none of the first pairs lowers R1."""
    atoms = best.result.atoms
    powers = np.array([_scattering_power(element, problem) for element in atoms.elements])
    pairs = [(atoms.b_iso[heavy] - atoms.b_iso[light], heavy, light)
             for heavy in range(len(powers)) for light in range(len(powers))
             if powers[heavy] > powers[light] and atoms.site_orders[heavy] == atoms.site_orders[light]]
    for _, heavy, light in sorted(pairs, reverse=True)[:_MAX_PAIRS]:
        symbols, b_iso = list(atoms.elements), atoms.b_iso.copy()
        symbols[heavy], symbols[light] = symbols[light], symbols[heavy]
        b_iso[[heavy, light]] = np.median(atoms.b_iso)
        trial = refine_atoms(atoms._replace(elements=tuple(symbols), b_iso=b_iso), problem, _MOVE_STEPS)
        if trial.figures.r1 < best.figures.r1 - _MIN_GAIN / 4:
            return trial
    return None


def _move(atoms: CrystalAtoms, worst: np.ndarray, problem: CompletionProblem) -> CompletedModel | None:
    """Returns the model with the atoms `worst` at the highest difference peaks of the others; None without others."""
    kept = np.setdiff1d(np.arange(len(atoms.elements)), worst)
    if len(kept) == 0:
        return None
    filled = _add_missing(take_atoms(atoms, kept), [atoms.elements[row] for row in worst], problem, 2)
    return refine_atoms(filled, problem, _MOVE_STEPS)


def _add_missing(atoms: CrystalAtoms, elements: Sequence[str], problem: CompletionProblem, steps: int) -> CrystalAtoms:
    """Returns atoms refined by `steps` steps, and more at the highest peaks of their difference map.

    The new ones, as many as the composition still has, get `elements`, then the most frequent element.
    """
    rest = refine_atoms(atoms, problem, steps).result
    count = sum(problem.counts) - (len(problem.grid.rotations) / rest.atoms.site_orders).sum()
    if count < 0.5:
        return rest.atoms
    positions, heights = peaks.find_peaks_in_cell(difference_map(rest, problem), 4 * int(count) + _SPARE_PEAKS)
    found = peaks.select_unique(positions, heights, problem.grid, existing=rest.atoms.positions, cell_count=count)
    n = len(found.heights)
    symbols = sorted(elements, key=problem.model.elements.index)
    symbols += [problem.model.elements[int(np.argmax(problem.counts))]] * max(0, n - len(symbols))
    more = CrystalAtoms(found.positions, tuple(symbols[:n]), np.full(n, np.median(rest.atoms.b_iso)), np.ones(n),
                        found.projections, found.site_orders)
    return join_atoms(rest.atoms, more)


def join_atoms(first: CrystalAtoms, second: CrystalAtoms) -> CrystalAtoms:
    """Returns all atoms of two sets."""
    return CrystalAtoms(
        np.concatenate([first.positions, second.positions]), first.elements + second.elements,
        np.concatenate([first.b_iso, second.b_iso]), np.concatenate([first.occupancies, second.occupancies]),
        np.concatenate([first.projections, second.projections]),
        np.concatenate([first.site_orders, second.site_orders]))


def take_atoms(atoms: CrystalAtoms, places: np.ndarray) -> CrystalAtoms:
    """Returns some of the atoms."""
    return CrystalAtoms(atoms.positions[places], tuple(atoms.elements[place] for place in places), atoms.b_iso[places],
                        atoms.occupancies[places], atoms.projections[places], atoms.site_orders[places])


def refine_atoms(atoms: CrystalAtoms, problem: CompletionProblem, steps: int) -> CompletedModel:
    """Returns atoms refined by at most `steps` steps, with their figures of merit."""
    result = least_squares.refine(atoms, problem.observed, problem.model, steps)
    return CompletedModel(result, verdict.judge_fit(result, problem.reflections, problem.observed))


def _sharpened_map(result: RefinementResult, problem: CompletionProblem, observed_part: float) -> np.ndarray:
    """Returns the sharpened map (X, Y, Z) of observed_part * F_obs - F_calc with the calculated phases."""
    size = np.abs(result.factors)
    measured = problem.observed.amplitude
    if problem.model.partner is not None:
        measured = least_squares.take_first_component(measured, result.factors, result.amplitude)
    coefficient = observed_part * measured - result.scale * size
    phased = problem.sharpening * coefficient * result.factors / np.maximum(size, 1e-12)
    return grids.map_from_structure_factors(phased, problem.grid)


def _high_b(atoms: CrystalAtoms) -> float:
    """Returns the B above which an atom is suspect."""
    return 2.5 * float(np.median(atoms.b_iso)) + 1.0


def _scattering_power(element: str, problem: CompletionProblem) -> float:
    """Returns the mean form factor of an element over the reflections."""
    return float(problem.model.scattering[problem.model.elements.index(element)].mean())
