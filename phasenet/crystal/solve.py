"""Solves a crystal from its reflections, cell, space group and composition: `solve_crystal`, for `crystal_pipeline`.

1. Unique reflections, Wilson plot, sharpened amplitudes (`normalisation`), a grid of the cell (`grids`).
2. For each start: phases in P1 from random ones (`learned`, `phasing`), the origin and the average over the group
   (`origin`), a few more rounds from the symmetric map, peaks, least squares and moves of atoms (`completion`).
   If the lattice has a rotation that the group lacks, the model is also refined as a twin (`twin_refinement`); if the
   intensities suggest such a twin, every second start is phased from intensities without the second component.
3. If no start is solved and the crystal is small: moves of single atoms (`one_atom_moves`), completed as in step 2.
4. The verdict (`verdict`); the first start that is solved ends the search. If none is solved, the models that fit best
   are candidates.
5. The atoms are assembled as molecules (`connectivity`), with the standard deviations of their coordinates.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from phasenet.crystal import connectivity, grids, normalisation, one_atom_moves, origin, phasing
from phasenet.crystal.grids import CrystalGrid
from phasenet.crystal.lattice import Intensities, SpaceGroupOperators
from phasenet.crystal.learned import features, iteration
from phasenet.crystal.learned.features import LearnedInput
from phasenet.crystal.learned.iteration import LearnedWeights
from phasenet.crystal.normalisation import NormalisedAmplitudes
from phasenet.crystal.phasing import AmplitudeConstraint
from phasenet.crystal.refinement import (
    completion,
    free_composition,
    least_squares,
    twin_refinement,
    twinning,
    verdict,
)
from phasenet.crystal.refinement.completion import CompletedModel, CompletionProblem
from phasenet.crystal.refinement.least_squares import CrystalAtoms, RefinementResult
from phasenet.crystal.refinement.standard_deviations import estimate_standard_deviations
from phasenet.crystal.refinement.twin_refinement import TwinCandidate
from phasenet.crystal.refinement.twinning import Twin
from phasenet.errors import InputError

_ROUNDS_PER_BLOCK = 50
_MAX_BLOCKS, _NETWORK_BLOCKS = 6, 3
_POLISHING_ROUNDS = 40
_GOOD_AGREEMENT = 0.985
_STARTS_AT_ONCE = {"cpu": 1}
_STARTS_AT_ONCE_ELSEWHERE = 8
_SWEEPS_PER_BLOCK = 12
_BLOCKS_PER_START = 2  # of the starts asked for
NETWORK_FROM = 1.3  # Angstrom; up to there the untrained iteration needs a start or two
_MAX_CANDIDATES = 8
# Twin fractions by the H-test between which intensities are detwinned before phasing. Untwinned crystals reach 0.13;
# beyond the second number detwinning multiplies the noise by more than seven.
_MIN_DETWINNED, _MAX_DETWINNED = 0.15, 0.45
_SAME_R1 = 0.002  # models whose R1 differ by less are taken for one
ENGINE = "relaxed reflections in P1, no training"
NETWORK_ENGINE = "relaxed reflections in P1, learned"
MOVES_ENGINE = "moves of single atoms in the space group"


class CandidateModel(NamedTuple):
    """A model of a crystal that is not solved; the fields are those of `CrystalSolution`, for its n atoms."""

    positions: np.ndarray
    elements: tuple[str, ...]
    b_iso: np.ndarray
    occupancies: np.ndarray
    r1: float
    twin: Twin | None = None


class CrystalSolution(NamedTuple):
    """The best model of a search.

    Attributes:
      positions: (n, 3) fractional coordinates of symmetry-unique atoms, chosen so that bonded atoms lie together.
      standard_deviations: (n, 3) of x, y and z, times the edges, Angstrom; 0 where the site symmetry fixes them.
      molecules: (n,) int, the connected fragment that an atom belongs to, from 0.
      elements: n symbols.
      b_iso: (n,) Angstrom^2.
      occupancies: (n,) with the crystallographic share: on a special position, 1 over the order of its site symmetry.
      r1: R1 over F > 4 sigma(F).
      wr2: weighted R of F^2.
      status: "solved", "ambiguous" or "not solved".
      overlap: mean correlation of the phased map with its symmetry copies; 1 where atoms were moved in the group.
      start: number of the start that gave the model, from 0; starts without a model are not counted.
      num_starts: how many starts gave a model.
      reflections_per_parameter: unique reflections over the parameters of the refinement.
      d_min: resolution in Angstrom.
      scale: factor from the calculated to the measured amplitudes.
      wilson_b: B of the Wilson plot, Angstrom^2.
      mean_e2_minus_1: mean |E^2 - 1|.
      engine: the method that phased.
      r1_of_starts: R1 of each start's model, in order.
      engines_of_starts: the method that phased each start, in order.
      overlaps_of_starts: overlap of each start's map, in order.
      candidates: unless the crystal is solved, the models with the lowest R1, the best first, at most 8.
      composition_known: whether the numbers of atoms of each element were given; otherwise they were fitted.
      notes: what was assumed or noticed.
      twin: the law and the fraction of a crystal that was refined as a twin; R1 and wR2 are then those of both
        components. None of an untwinned one.
    """

    positions: np.ndarray
    standard_deviations: np.ndarray
    molecules: np.ndarray
    elements: tuple[str, ...]
    b_iso: np.ndarray
    occupancies: np.ndarray
    r1: float
    wr2: float
    status: str
    overlap: float
    start: int
    num_starts: int
    reflections_per_parameter: float
    d_min: float
    scale: float
    wilson_b: float
    mean_e2_minus_1: float
    engine: str
    r1_of_starts: tuple[float, ...]
    engines_of_starts: tuple[str, ...]
    overlaps_of_starts: tuple[float, ...]
    candidates: tuple[CandidateModel, ...]
    composition_known: bool
    notes: tuple[str, ...]
    twin: Twin | None = None


class _Network(NamedTuple):
    """The weights of a network, and its input for the crystal."""

    weights: LearnedWeights
    data: LearnedInput


class _Attempt(NamedTuple):
    """One start's model.

    Attributes:
      model: the atoms.
      overlap: of the map; 1 where the symmetry was imposed.
      engine: that phased.
      problem: in which the model was refined, of a twin with both components.
      twin: of a model that was refined as one.
      r1_of_one: R1 of the model of one component.
    """

    model: CompletedModel
    overlap: float
    engine: str
    problem: CompletionProblem
    twin: Twin | None = None
    r1_of_one: float = 1.0


def solve_crystal(reflections: Intensities, cell: np.ndarray, operators: SpaceGroupOperators,
                  composition: Mapping[str, float], *, radiation: str = "xray",
                  composition_known: bool = True, num_starts: int = 16, seed: int = 0,
                  weights: LearnedWeights | None = None) -> CrystalSolution:
    """Returns the atoms of a crystal.

    Args:
      reflections: measured intensities.
      cell: (6,) Angstrom and degrees.
      operators: of the space group.
      composition: number of atoms of each element in the unit cell; hydrogens are not placed.
      radiation: "xray", "electron" or "neutron".
      composition_known: False takes the numbers of atoms for a guess, which the data may change.
      num_starts: largest number of starts from random phases; twice as many where the intensities suggest a twin.
      seed: of the random phases; the same arguments give the same answer.
      weights: of a network that phases the first half of the starts beyond 1.3 A resolution; None for none.

    Raises:
      InputError: too few reflections, an unknown element or radiation, no atom to place.
    """
    composition = {symbol: float(count) for symbol, count in composition.items() if count > 0}
    elements = completion.order_elements(composition, radiation)
    if not elements:
        raise InputError("composition: no element other than hydrogen, so there is no atom to place")
    unique = normalisation.merge_equivalents(reflections, cell, operators)
    amplitudes = normalisation.normalise(unique, composition, radiation)
    grid = grids.build_grid(unique.hkl, cell, operators, amplitudes.d_min)
    centring = len(grid.centring)
    problem = CompletionProblem(
        unique, least_squares.measure_amplitudes(unique),
        least_squares.build_model(unique, cell, operators, elements, radiation), grid, amplitudes.sharpening,
        tuple(composition[element] / centring for element in elements), amplitudes.wilson.b_iso)
    constraint = phasing.constrain(amplitudes.sharpened, grid, amplitudes.d_min)

    network = None
    if weights is not None and amplitudes.d_min > NETWORK_FROM:
        network = _Network(weights, features.describe_crystal(constraint, grid, unique, composition, amplitudes.d_min))
    twins = tuple(TwinCandidate(law, twinning.build_partner(unique, law, cell, operators, elements, radiation))
                  for law in twinning.find_twin_laws(cell, operators))

    attempts: list[_Attempt] = []
    start = 0  # of the best attempt
    starts = _attempts(constraint, problem, composition_known, num_starts, seed, network)
    detwinned = _detwinned_attempts(problem, twins, composition, cell, operators, radiation, composition_known,
                                    num_starts, seed)
    moves = _moved_attempts(amplitudes, problem, operators, num_starts, seed) if composition_known else ()
    for phased in itertools.chain(_alternate(starts, detwinned), moves):
        attempt = _refine_twin(phased, twins, composition_known)
        attempts.append(attempt)
        solved = _status(attempt, composition_known) == "solved"
        if solved or attempt.model.figures.r1 < attempts[start].model.figures.r1:
            start = len(attempts) - 1
        if solved:
            break
    if not attempts:
        raise InputError(f"no start of {num_starts} gave a map with peaks; check cell, space group and composition")
    best = attempts[start]
    result, molecules = _assemble(best.model.result, cell, operators)
    atoms, figures = result.atoms, best.model.figures
    status = _status(best, composition_known)
    candidates = _list_candidates(attempts, cell, operators) if status != "solved" else ()
    return CrystalSolution(
        atoms.positions, estimate_standard_deviations(result, best.problem.observed, best.problem.model), molecules,
        atoms.elements, atoms.b_iso, atoms.occupancies / atoms.site_orders, figures.r1,
        figures.wr2, status, best.overlap, start, len(attempts),
        figures.reflections_per_parameter, amplitudes.d_min, best.model.result.scale, amplitudes.wilson.b_iso,
        amplitudes.mean_e2_minus_1, best.engine, tuple(attempt.model.figures.r1 for attempt in attempts),
        tuple(attempt.engine for attempt in attempts), tuple(attempt.overlap for attempt in attempts), candidates,
        composition_known, _notes(best, composition, composition_known), best.twin)


def _refine_twin(attempt: _Attempt, candidates: Sequence[TwinCandidate], composition_known: bool) -> _Attempt:
    """Returns the attempt refined as a twin, or as it is where no law explains the data clearly better."""
    complete = completion.complete_atoms if composition_known else free_composition.complete_atoms
    trial = twin_refinement.refine_as_twin(attempt.model, attempt.problem, candidates, complete)
    return attempt._replace(model=trial.model, problem=trial.problem, twin=trial.twin, r1_of_one=trial.r1_of_one)


def _status(attempt: _Attempt, composition_known: bool) -> str:
    """Returns "solved", "ambiguous" or "not solved"."""
    return verdict.decide_status(attempt.model.figures, composition_known, attempt.problem.model.twin_fraction)


def _attempts(constraint: AmplitudeConstraint, problem: CompletionProblem, composition_known: bool, num_starts: int,
              seed: int, network: _Network | None) -> Iterator[_Attempt]:
    """Yields the model of each start; a start whose map has no peaks yields none.

    A network phases the first half of the starts, the untrained iteration the others.
    """
    complete = completion.complete if composition_known else free_composition.complete
    at_once = _STARTS_AT_ONCE.get(jax.default_backend(), _STARTS_AT_ONCE_ELSEWHERE)
    learned = 0 if network is None else (num_starts + 1) // 2
    batches = [(first, learned, network) for first in range(0, learned, at_once)]
    batches += [(first, num_starts, None) for first in range(learned, num_starts, at_once)]
    for first, end, used in batches:
        # All batches have the same size, so that one compiled program serves them.
        maps = _phase(constraint, problem.grid, range(first, first + at_once), seed, used)
        for start, density in enumerate(maps[:end - first], first):
            symmetric = origin.symmetrise(np.asarray(density, np.float64), problem.grid)
            polished = _polish(symmetric.density, start, constraint, problem.grid, at_once)
            model = complete(polished, problem)
            fraction = problem.model.twin_fraction
            if model is None or verdict.decide_status(model.figures, composition_known, fraction) != "solved":
                # A few rounds more with the symmetry make most maps better, some worse.
                other = complete(symmetric.density, problem)
                model = min((one for one in (model, other) if one is not None), key=lambda one: one.figures.r1,
                            default=None)
            if model is not None:
                yield _Attempt(model, symmetric.overlap, ENGINE if used is None else NETWORK_ENGINE, problem)


def _detwinned_attempts(problem: CompletionProblem, twins: Sequence[TwinCandidate], composition: Mapping[str, float],
                        cell: np.ndarray, operators: SpaceGroupOperators, radiation: str, composition_known: bool,
                        num_starts: int, seed: int) -> Iterator[_Attempt]:
    """Yields the model of each start from intensities without the second component of the twin that is most likely.

    Yields none where the intensities suggest no twin, or a twin of nearly equal components, which only a model can
    separate.
    """
    reflections = problem.reflections
    fractions = [twinning.estimate_fraction(reflections, operators, twin.law) for twin in twins]
    likely = int(np.argmax(fractions)) if fractions else 0
    if not fractions or not _MIN_DETWINNED < fractions[likely] <= _MAX_DETWINNED:
        return
    single = twinning.detwin(reflections, operators, twins[likely].law, fractions[likely])
    if not (single.intensity > 0).any():
        return
    amplitudes = normalisation.normalise(single, composition, radiation)
    grid = grids.build_grid(single.hkl, cell, operators, 1 / float(reflections.inverse_spacing.max()))
    constraint = phasing.constrain(amplitudes.sharpened, grid, amplitudes.d_min)
    yield from _attempts(constraint, twin_refinement.suppose_twin(problem, twins[likely], fractions[likely]),
                         composition_known, num_starts, seed, None)


def _alternate(first: Iterator[_Attempt], second: Iterator[_Attempt]) -> Iterator[_Attempt]:
    """Yields attempts of both iterators in turn, and of one alone after the other has ended."""
    for pair in itertools.zip_longest(first, second):
        yield from (attempt for attempt in pair if attempt is not None)


def _moved_attempts(amplitudes: NormalisedAmplitudes, problem: CompletionProblem, operators: SpaceGroupOperators,
                    num_starts: int, seed: int) -> Iterator[_Attempt]:
    """Yields the model of each new set of places that moves of single atoms keep; none for a large crystal."""
    atoms = one_atom_moves.list_atoms(problem.counts, problem.model.elements, len(problem.grid.rotations))
    if atoms is None:
        return
    target = amplitudes.normalised * np.sqrt(problem.reflections.epsilon)
    moves = one_atom_moves.prepare(atoms, target, amplitudes.d_min, problem.model, operators, problem.grid)
    if moves is None:
        return
    state = one_atom_moves.draw_start(jax.random.key(seed), moves)
    seen: set[bytes] = set()
    for _ in range(_BLOCKS_PER_START * num_starts):
        state = one_atom_moves.run_sweeps(state, moves, _SWEEPS_PER_BLOCK)
        positions = one_atom_moves.positions_of(state.kept, moves)
        if positions.tobytes() in seen:
            continue
        seen.add(positions.tobytes())
        n = len(atoms)
        model = completion.complete_atoms(CrystalAtoms(
            positions, atoms, np.full(n, max(problem.b_iso, 0.5)), np.ones(n), np.tile(np.eye(3), (n, 1, 1)),
            np.ones(n, int)), problem)
        yield _Attempt(model, 1.0, MOVES_ENGINE, problem)


def _phase(constraint: AmplitudeConstraint, grid: CrystalGrid, starts: range, seed: int,
           network: _Network | None) -> np.ndarray:
    """Returns densities (B, X, Y, Z) phased in P1, one for each start."""
    state = phasing.draw_phases(starts, seed, constraint, grid.shape)
    for _ in range(_MAX_BLOCKS if network is None else _NETWORK_BLOCKS):
        if network is None:
            state, maps = phasing.run_rounds(state, constraint, _ROUNDS_PER_BLOCK)
        else:
            state, maps = iteration.run_rounds(network.weights, state, network.data, _ROUNDS_PER_BLOCK)
        # Where unmeasured reflections stay whole, they take up what does not fit: agreement then proves nothing.
        if float(maps.agreement.min()) > _GOOD_AGREEMENT and float(state.share.max()) < 1:
            break
    return np.asarray(maps.density)


def _polish(density: np.ndarray, start: int, constraint: AmplitudeConstraint, grid: CrystalGrid,
            at_once: int) -> np.ndarray:
    """Returns a start's symmetric map (X, Y, Z) after some more untrained rounds, averaged over the group again."""
    copies = np.broadcast_to(density, (at_once, *grid.shape))
    state = phasing.state_from_maps(copies, [start] * at_once, constraint, grid.shape)
    _, maps = phasing.run_rounds(state, constraint, _POLISHING_ROUNDS)
    return grids.average_over_group(np.asarray(maps.density[0], np.float64), grid)


def _list_candidates(attempts: list[_Attempt], cell: np.ndarray,
                     operators: SpaceGroupOperators) -> tuple[CandidateModel, ...]:
    """Returns the models with the lowest R1, each of them once."""
    found: list[CandidateModel] = []
    for attempt in sorted(attempts, key=lambda one: one.model.figures.r1):
        r1 = attempt.model.figures.r1
        if len(found) < _MAX_CANDIDATES and (not found or r1 - found[-1].r1 >= _SAME_R1):
            atoms = _assemble(attempt.model.result, cell, operators)[0].atoms
            found.append(CandidateModel(atoms.positions, atoms.elements, atoms.b_iso,
                                        atoms.occupancies / atoms.site_orders, r1, attempt.twin))
    return tuple(found)


def _assemble(result: RefinementResult, cell: np.ndarray,
              operators: SpaceGroupOperators) -> tuple[RefinementResult, np.ndarray]:
    """Returns the same atoms as symmetry copies that lie together, and the molecule of each atom (n,)."""
    atoms = result.atoms
    placed = connectivity.assemble(atoms.positions, atoms.elements, cell, operators)
    projections = placed.rotations @ atoms.projections @ np.linalg.inv(placed.rotations)
    return result._replace(atoms=atoms._replace(positions=placed.positions, projections=projections)), placed.molecules


def _notes(best: _Attempt, composition: Mapping[str, float], composition_known: bool) -> tuple[str, ...]:
    """Returns what was assumed or noticed."""
    notes = []
    problem, atoms = best.problem, best.model.result.atoms
    if best.twin is not None:
        notes.append(f"a twin by the rotation {twinning.describe_law(best.twin.law)} of the lattice, fraction "
                     f"{best.twin.fraction:.3f} (standard deviation {best.twin.sigma:.3f}): R1 "
                     f"{best.r1_of_one:.3f} without the second component, {best.model.figures.r1:.3f} with it")
    placed = (len(problem.grid.rotations) / atoms.site_orders).sum() * len(problem.grid.centring)
    wanted = sum(problem.counts) * len(problem.grid.centring)
    if composition_known and abs(placed - wanted) > 0.5:
        notes.append(f"{placed:.0f} atoms in the cell, the composition has {wanted:.0f} without hydrogen")
    if normalisation.uses_debye_curve(composition):
        notes.append("the mean Debye curve of organic crystals was used in the Wilson plot")
    return tuple(notes)
