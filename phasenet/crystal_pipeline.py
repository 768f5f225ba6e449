"""Solves a measured crystal: `solve_file` from what its files say, `solve_measured` from arrays.

1. `phasenet.crystal.measured` judges the data: Laue group, completeness, Wilson plot, a ranking of the space groups.
2. The space group is the given one; without one, or if asked, the likeliest groups are tried in turn.
3. The composition is the given one; without one, numbers of C, N, O and a few heavier atoms are guessed from the
   volume of the cell.
4. `phasenet.crystal.solve` phases, completes and refines; the first group that is solved ends the search. If no group
   is solved with the numbers of atoms given, but R1 is promising, a few more starts find the numbers, too.
5. The verdict is lowered where the cell looks wrong, or the model is not plausible (`plausibility`).
6. For a solved, untwinned crystal without an inversion, anomalous scattering determines the hand, if it was measured.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import gemmi
import numpy as np

from phasenet.crystal.lattice import (
    Intensities,
    SpaceGroupOperators,
    has_inversion,
    operators_of,
    orthogonalization_matrix,
)
from phasenet.crystal.learned.iteration import LearnedWeights
from phasenet.crystal.measured.cell_check import suggests_wrong_cell
from phasenet.crystal.measured.judgement import judge_data
from phasenet.crystal.measured.report import DataReport
from phasenet.crystal.plausibility import fraction_bonded, has_extra_inversion, has_unusual_bonds
from phasenet.crystal.refinement.absolute_structure import (
    MAX_SIGMA,
    SAFE_SIGMA,
    FlackParameter,
    fit_flack_parameter,
    invert,
)
from phasenet.crystal.solve import CrystalSolution, solve_crystal
from phasenet.errors import InputError
from phasenet.io.reflections.crystal_files import CrystalFile

_GROUPS_TRIED = 3  # of the ranked list, where no group is given
_MIN_BONDED = 0.7
_TWINNED_X = 0.2  # Flack x, in the better hand, above which the crystal may be a twin by inversion
_VOLUME_PER_ATOM_ANGSTROM3 = 18.0  # of organic crystals, hydrogen counted with its carrier
_PROMISING_R1, _FREED_STARTS, _MIN_GAIN_OF_FREED = 0.45, 4, 0.02
_POSSIBLE_VOLUMES = (0.3, 3.0)  # times the volume that the elements usually take; hydrogens are often left out
_GUESSED_FRACTIONS = {"C": 0.78, "O": 0.14, "N": 0.08}
# Where not even the elements are known, a heavy atom gets the nearest of these.
_UNKNOWN_FRACTIONS = _GUESSED_FRACTIONS | {"S": 1e-3, "Fe": 1e-3, "Br": 1e-3, "I": 1e-3}


class TriedGroup(NamedTuple):
    """A space group, the best model in it, and whether the atoms have an inversion that the group lacks."""

    operators: SpaceGroupOperators
    solution: CrystalSolution
    has_extra_inversion: bool


class CrystalResult(NamedTuple):
    """The result for one crystal, solved or not.

    Attributes:
      report: what the data say before anything is solved.
      composition: atoms of each element in the unit cell: those that were given, else those that were found.
      best: the group and the model that are the answer.
      tried: all groups that were tried, in order.
      status: "solved", "ambiguous" or "not solved"; that of the best model, or a lower one.
      flack: the Flack parameter of a solved crystal without an inversion, where Friedel pairs were measured with
        X-rays of a known wavelength.
      notes: what was assumed, one line each; the notes of the file and of the report are not among them.
    """

    report: DataReport
    composition: dict[str, float]
    best: TriedGroup
    tried: tuple[TriedGroup, ...]
    status: str
    flack: FlackParameter | None
    notes: tuple[str, ...]


def solve_file(crystal: CrystalFile, *, unknown_group: bool = False, num_starts: int = 16, seed: int = 0,
               weights: LearnedWeights | None = None,
               progress: Callable[[str], None] = lambda line: None) -> CrystalResult:
    """Returns the atoms of a crystal as its files describe it.

    Args:
      crystal: from `phasenet.io.reflections.crystal_files.read_crystal`.
      unknown_group: whether the space group of the files is ignored.
      num_starts: largest number of starts in each group.
      seed: of the random phases.
      weights: of a network that phases part of the starts, see `solve_crystal`.
      progress: gets a line for each group that is tried.

    Raises:
      InputError: the data or the composition cannot be used.
    """
    given = None
    if crystal.operators is not None:
        listed = gemmi.GroupOps([gemmi.Op(triplet) for triplet in crystal.operators])
        named = gemmi.find_spacegroup_by_ops(listed)
        given = operators_of(listed, named.xhm() if named is not None else crystal.space_group)
    numbers = [count for symbol, count in crystal.elements.items() if symbol not in ("H", "D")]
    composition = crystal.elements if numbers and min(numbers) > 0 else None
    return solve_measured(
        Intensities(crystal.hkl, crystal.intensity, crystal.sigma), crystal.cell, given, composition,
        symbols=tuple(crystal.elements), wavelength=crystal.wavelength, radiation=crystal.radiation,
        unknown_group=unknown_group, num_starts=num_starts, seed=seed, weights=weights, progress=progress)


def solve_measured(reflections: Intensities, cell: np.ndarray, given: SpaceGroupOperators | None,
                   composition: Mapping[str, float] | None, *, symbols: tuple[str, ...] = (),
                   wavelength: float | None = None, radiation: str = "xray", unknown_group: bool = False,
                   num_starts: int = 16, seed: int = 0, weights: LearnedWeights | None = None,
                   progress: Callable[[str], None] = lambda line: None) -> CrystalResult:
    """Returns the atoms of a crystal.

    Args:
      reflections: measured intensities.
      cell: (6,) Angstrom and degrees.
      given: the space group, where it is known.
      composition: atoms of each element in the unit cell, where they are known.
      symbols: the elements, where only they are known.
      wavelength: Angstrom, where it is known.
      radiation: "xray", "electron" or "neutron".
      unknown_group: whether the space group is ignored.
      num_starts: largest number of starts in each group.
      seed: of the random phases.
      weights: of a network that phases part of the starts, see `solve_crystal`.
      progress: gets a line for each group that is tried.

    Raises:
      InputError: the data or the composition cannot be used.
    """
    notes: list[str] = []
    report = judge_data(reflections, cell, None if unknown_group else given, composition, wavelength, radiation)
    reason = "no formula is known"
    hydrogens = {symbol: count for symbol, count in (composition or {}).items() if symbol in ("H", "D")}
    if composition is not None and len(hydrogens) == len(composition):
        raise InputError("composition: no element other than hydrogen, so there is no atom to place")
    if composition is not None and not _POSSIBLE_VOLUMES[0] < report.contents.ratio < _POSSIBLE_VOLUMES[1]:
        reason = f"the cell has {report.contents.ratio:.1f} times the volume of the given contents"
        symbols, composition = tuple(composition), None
    composition_known = composition is not None
    if composition is None:
        composition = guess_composition(symbols, cell)
        notes.append(f"{reason}: numbers of atoms and their elements are found by density, bonds and volume, out of "
                     f"{', '.join(composition)}")
    if given is not None and not unknown_group:
        groups = [given]
    else:
        groups = [candidate.operators for candidate in report.space_groups][:_GROUPS_TRIED]
        notes.append("space group from the data, the likeliest first: " + ", ".join(
            group.symbol or "without a name" for group in groups))
    tried = solve_in_groups(groups, reflections, cell, composition, radiation=radiation,
                            composition_known=composition_known, num_starts=num_starts, seed=seed, weights=weights,
                            progress=progress)
    best = choose_group(tried)
    if composition_known and best.solution.status != "solved" and best.solution.r1 < _PROMISING_R1:
        freed = solve_in_groups([best.operators], reflections, cell, composition, radiation=radiation,
                                composition_known=False, num_starts=min(num_starts, _FREED_STARTS), seed=seed,
                                weights=weights,
                                progress=lambda line: progress(f"{line}, other numbers of atoms"))
        if freed[0].solution.status == "solved" and freed[0].solution.r1 < best.solution.r1 - _MIN_GAIN_OF_FREED:
            tried, best, composition_known = (*tried, *freed), freed[0], False
            notes.append("solved with other numbers of atoms than were given, which do not explain the reflections: Z "
                         "or the formula may be wrong, or solvent is in the crystal")
    status = best.solution.status
    if best.has_extra_inversion:
        if given is None or unknown_group:
            status = "ambiguous" if status == "solved" else status
        notes.append("most atoms are related by an inversion that the space group does not have: the group may be a "
                     "centrosymmetric one")
    if suggests_wrong_cell(report.axis_scale):
        status = "not solved"
        notes.append("not called solved, because the cell looks wrong")
    elif "C" in composition and (share := fraction_bonded(best.solution, cell, best.operators)) < _MIN_BONDED:
        status = "ambiguous" if status == "solved" else status
        notes.append(f"only {share:.0%} of the C, N and O atoms have a neighbour at the length of a bond"
                     if "C" in best.solution.elements else
                     "no carbon was found; if the crystal has none, give its elements")
    elif "C" in composition and has_unusual_bonds(best.solution, cell, best.operators,
                                                  unusual_volume=report.contents.is_unusual):
        status = "ambiguous" if status == "solved" else status
        notes.append("most bonds of C, N and O have unusual lengths: the cell or the wavelength may be wrong")
    flack = None
    if status == "solved" and not has_inversion(best.operators) and best.solution.twin is not None:
        notes.append("the hand is not determined: the crystal is a twin by a rotation")
    elif status == "solved" and not has_inversion(best.operators):
        best, flack, note = _determine_hand(best, reflections, cell, wavelength if radiation == "xray" else None)
        notes.append(note)
    contents = dict(composition) if composition_known else _count_atoms(best) | hydrogens
    return CrystalResult(report, contents, best, tried, status, flack, tuple(notes))


def solve_in_groups(groups: Sequence[SpaceGroupOperators], reflections: Intensities, cell: np.ndarray,
                    composition: Mapping[str, float], *, radiation: str, composition_known: bool = True,
                    num_starts: int, seed: int, weights: LearnedWeights | None = None,
                    progress: Callable[[str], None] = lambda line: None) -> tuple[TriedGroup, ...]:
    """Returns the model in each group, up to the first that is solved and shows no inversion that the group lacks.

    Args:
      groups: in the order in which they are tried.
      reflections: measured intensities.
      cell: (6,) Angstrom and degrees.
      composition: atoms of each element in the unit cell.
      radiation: "xray", "electron" or "neutron".
      composition_known: False takes the numbers of atoms for a guess.
      num_starts: largest number of starts in each group.
      seed: of the random phases.
      weights: of a network that phases part of the starts, see `solve_crystal`.
      progress: gets a line for each group.
    """
    tried: list[TriedGroup] = []
    for group in groups:
        solution = solve_crystal(reflections, cell, group, composition, radiation=radiation,
                                 composition_known=composition_known, num_starts=num_starts, seed=seed,
                                 weights=weights)
        tried.append(TriedGroup(group, solution, has_extra_inversion(solution, cell, group)))
        progress(f"{group.symbol or 'the group'}: {solution.status}, R1 {solution.r1:.3f}, start {solution.start + 1} "
                 f"of {solution.num_starts}")
        if solution.status == "solved" and not tried[-1].has_extra_inversion:
            break
    return tuple(tried)


def choose_group(tried: Sequence[TriedGroup]) -> TriedGroup:
    """Returns the best group: first one that is solved, then one without an extra inversion, then the lowest R1."""
    return min(tried, key=lambda one: (one.solution.status != "solved", one.has_extra_inversion, one.solution.r1))


def _count_atoms(best: TriedGroup) -> dict[str, float]:
    """Returns the atoms of each element in the unit cell of a model."""
    shares = best.solution.occupancies * len(best.operators.rotations)
    return {symbol: float(round(sum(share for share, element in zip(shares, best.solution.elements, strict=True)
                                    if element == symbol), 2)) for symbol in dict.fromkeys(best.solution.elements)}


def _determine_hand(best: TriedGroup, reflections: Intensities, cell: np.ndarray,
                    wavelength: float | None) -> tuple[TriedGroup, FlackParameter | None, str]:
    """Returns the answer in the hand that the Friedel pairs show, the Flack parameter, and a note; see CrystalResult.

    `wavelength` is that of X-rays in Angstrom, None for other or unknown radiation.
    """
    if wavelength is None:
        return best, None, "the hand is not determined: X-rays of a known wavelength would be needed"

    def fit(answer: TriedGroup) -> FlackParameter | None:
        solution = answer.solution
        return fit_flack_parameter(reflections, cell, answer.operators, solution.positions, solution.elements,
                                   solution.b_iso, solution.occupancies, wavelength)

    flack = fit(best)
    if flack is None:
        return best, None, "the hand is not determined: hardly any Friedel pairs were measured"
    if flack.x > 0.5:
        positions, operators = invert(best.solution.positions, best.operators)
        best = best._replace(operators=operators, solution=best.solution._replace(positions=positions))
        flack = fit(best) or flack
    value = f"Flack x {flack.x:.3f} (standard deviation {flack.sigma:.3f}, {flack.num_pairs} Friedel pairs)"
    if flack.sigma > MAX_SIGMA:
        return best, flack, f"the hand is not determined: {value}"
    if flack.x > _TWINNED_X:
        return best, flack, f"the hand is not determined: {value}; a twin by inversion, or Friedel mates were averaged"
    if flack.x < -max(3 * flack.sigma, 0.1):
        return best, flack, f"the hand is not determined: {value} is impossible; check the Friedel pairs"
    condition = ", if the crystal is known to hold one hand" if flack.sigma > SAFE_SIGMA else ""
    return best, flack, f"the hand is determined{condition}: {value}"


def guess_composition(symbols: tuple[str, ...], cell: np.ndarray) -> dict[str, float]:
    """Returns the atoms of each element in the unit cell, guessed from its volume.

    Args:
      symbols: the elements, where they are known; C, N, O, S, Fe, Br and I otherwise.
      cell: (6,) Angstrom and degrees.

    Raises:
      InputError: the cell has no room for an atom.
    """
    heavy = [symbol for symbol in symbols if symbol not in ("H", "D")]
    shares = {symbol: _GUESSED_FRACTIONS.get(symbol, 0.05) for symbol in heavy} or _UNKNOWN_FRACTIONS
    total = float(np.linalg.det(orthogonalization_matrix(cell))) / _VOLUME_PER_ATOM_ANGSTROM3
    guessed = {symbol: max(0.01, round(share * total / sum(shares.values()), 2)) for symbol, share in shares.items()}
    if sum(guessed.values()) < 1:
        raise InputError(f"cell {' '.join(f'{value:g}' for value in cell)}: it has no room for an atom; check the "
                         "edges and angles")
    return guessed
