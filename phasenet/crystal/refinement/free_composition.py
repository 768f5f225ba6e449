"""Completes a model where it is not known how many atoms of each element the cell holds.

`solve` then calls `complete` in place of `completion.complete`. In each round:

1. The strength of each atom is refined; `elements` chooses its element by strength, bonds and the volume of the cell.
2. Atoms of less than half the strength of the lightest element are removed.
3. The highest peaks of the difference map are added as atoms; step 2 of the next round removes those that are noise.

The model of the lowest R1, corrected for the number of parameters, then goes through the moves of `completion`, and
through steps 1 and 2 again.
"""

import numpy as np

from phasenet.crystal.measured.packing import element_volume
from phasenet.crystal.refinement import completion, elements, peaks, verdict
from phasenet.crystal.refinement.completion import CompletedModel, CompletionProblem
from phasenet.crystal.refinement.least_squares import CrystalAtoms

_ROUNDS = 5
_HOPELESS_R1 = 0.60
_ACCEPTED_R1 = 0.40
_MIN_STRENGTH = 0.5  # of the lightest element, below which a peak is not an atom
_PEAKS_A_ROUND = 0.15  # new atoms of a round, as a fraction of the present ones
_MIN_PEAKS = 3
_STEPS, _FINAL_STEPS = 6, 20
# Share of the cell that the usual volumes of the atoms may fill, with carbon and without; minerals are far denser than
# these volumes.
_FULL = {True: 1.1, False: 2.5}
_MAX_RISE = 0.003  # of R1, that elements chosen by strengths and bonds may cost


def complete(density: np.ndarray, problem: CompletionProblem) -> CompletedModel | None:
    """Returns the refined model of a symmetric map (X, Y, Z), or None where the map has no peaks."""
    atoms = completion.build_atoms(density, problem)
    if not atoms.elements:
        return None
    best = completion.recycle(atoms, problem)
    spread = verdict.spread_of_twin(problem.model.twin_fraction)
    if best.figures.r1 > _HOPELESS_R1 * spread:
        return best
    current = best
    for number in range(_ROUNDS):
        revised = _revise(current.result.atoms, problem)
        if not revised.elements:
            break
        current = completion.refine_atoms(revised, problem, _STEPS)
        if number == 0 or _corrected_r1(current) < _corrected_r1(best):
            best = current
        if number + 1 < _ROUNDS:
            current = _add_peaks(current, problem)
    problem = problem._replace(counts=_count(best.result.atoms, problem))
    if best.figures.r1 < _ACCEPTED_R1 * spread:
        best = completion.replace_atoms(best, problem)
        revised = _revise(best.result.atoms, problem)
        final = completion.refine_atoms(revised, problem, _FINAL_STEPS)
        best = final if _corrected_r1(final) < _corrected_r1(best) + _MAX_RISE else best
    return best


def complete_atoms(atoms: CrystalAtoms, problem: CompletionProblem) -> CompletedModel:
    """Returns the complete refined model that starts from approximate atoms."""
    refined = completion.refine_atoms(atoms, problem, _STEPS)
    return complete(completion.phased_map(refined.result, problem), problem) or refined


def _revise(atoms: CrystalAtoms, problem: CompletionProblem) -> CrystalAtoms:
    """Returns the atoms that are strong enough, with chosen elements and B within a factor of 2 of the median."""
    strengths = completion.refine_strengths(atoms, problem)
    symbols = problem.model.elements
    powers = problem.model.scattering.mean(1)
    mates = len(problem.grid.rotations) * len(problem.grid.centring) / atoms.site_orders
    volumes = np.array([element_volume(symbol) for symbol in symbols])
    factor = elements.calibrate(strengths, mates, powers, symbols, volumes,
                                float(np.linalg.det(problem.grid.metric_root)))
    kept = np.flatnonzero(factor * strengths > _MIN_STRENGTH * powers.min())
    atoms = completion.take_atoms(atoms, kept)
    if not len(kept):
        return atoms
    bonds = completion.find_bonds_for_elements(atoms, problem)
    chosen = elements.choose_elements(factor * strengths[kept], powers, symbols, bonds)
    b_iso = np.clip(atoms.b_iso, 0.5 * np.median(atoms.b_iso), 2 * np.median(atoms.b_iso))
    return atoms._replace(elements=chosen, b_iso=b_iso, occupancies=np.ones(len(kept)))


def _add_peaks(model: CompletedModel, problem: CompletionProblem) -> CompletedModel:
    """Returns the model with the highest difference peaks as atoms of the lightest element, refined."""
    atoms = model.result.atoms
    count = max(_MIN_PEAKS, int(_PEAKS_A_ROUND * len(atoms.elements)))
    mates = len(problem.grid.rotations) * len(problem.grid.centring) / atoms.site_orders
    filled = sum(mates * np.array([element_volume(symbol) for symbol in atoms.elements]))
    if filled > _FULL["C" in problem.model.elements] * np.linalg.det(problem.grid.metric_root):
        return model
    positions, heights = peaks.find_peaks_in_cell(completion.difference_map(model.result, problem), 8 * count + 30)
    found = peaks.select_unique(positions, heights, problem.grid, existing=atoms.positions)
    n = min(count, len(found.heights))
    lightest = problem.model.elements[int(problem.model.scattering.mean(1).argmin())]
    more = CrystalAtoms(found.positions[:n], (lightest,) * n, np.full(n, np.median(atoms.b_iso)), np.ones(n),
                        found.projections[:n], found.site_orders[:n])
    return completion.refine_atoms(completion.join_atoms(atoms, more), problem, _STEPS)


def _corrected_r1(model: CompletedModel) -> float:
    """Returns R1 over the root of (N - p) / N, of N reflections and p parameters."""
    share = 1 - 1 / max(model.figures.reflections_per_parameter, 1.05)
    return model.figures.r1 / share**0.5


def _count(atoms: CrystalAtoms, problem: CompletionProblem) -> tuple[float, ...]:
    """Returns the number of atoms of each element in the primitive cell."""
    sites = len(problem.grid.rotations) / atoms.site_orders
    return tuple(float(sum(share for share, element in zip(sites, atoms.elements, strict=True) if element == symbol))
                 for symbol in problem.model.elements)
