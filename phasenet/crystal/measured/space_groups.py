"""Ranks every space group of a Laue class in every setting that the cell as given allows; none is removed.

The score of a group is a logarithm of its posterior probability: absences (`absences`), mean |E^2 - 1|
(`intensity_statistics`) and how often the group occurs. Groups that the data cannot tell apart say so in their notes.
"""

from collections.abc import Iterator
from typing import NamedTuple

import gemmi
import numpy as np

from phasenet.crystal.lattice import SpaceGroupOperators, find_absences, has_inversion, operators_of
from phasenet.crystal.measured.absences import (
    AbsenceData,
    AbsenceEvidence,
    absence_classes,
    log_likelihood_ratio,
)
from phasenet.crystal.measured.merging import distinct_rotations, laue_rotations

# Per cent of the entries of the Cambridge Structural Database (organic and metal-organic) and of the Inorganic Crystal
# Structure Database, rounded: P 21/c has 34% of the first, P n m a 7.6% of the second (counts quoted at
# aflow.org/prototype-encyclopedia/Tutorials/SpaceGroupDistribution). Only ratios matter.
_ORGANIC = {
    14: 34, 2: 25, 15: 8.3, 19: 7, 4: 5.1, 61: 3.3, 33: 1.3, 62: 1.1, 9: 1, 1: 1, 5: 0.8, 60: 0.8, 148: 0.8, 29: 0.7,
    13: 0.65, 12: 0.55, 11: 0.5, 88: 0.4, 7: 0.4, 18: 0.4, 43: 0.35, 56: 0.35, 86: 0.2, 82: 0.2, 20: 0.2, 36: 0.2,
    52: 0.2, 54: 0.15, 58: 0.2, 63: 0.2, 64: 0.2, 92: 0.2, 96: 0.2, 146: 0.2, 147: 0.15, 161: 0.15, 167: 0.2,
    76: 0.1, 78: 0.1, 85: 0.1, 87: 0.1, 114: 0.15, 130: 0.1, 144: 0.1, 145: 0.1, 152: 0.1, 154: 0.1, 163: 0.1,
    165: 0.1, 169: 0.1, 170: 0.05, 173: 0.1, 176: 0.15, 198: 0.1, 205: 0.15, 41: 0.05, 45: 0.1,
}  # fmt: skip
_INORGANIC = {
    62: 7.6, 14: 7, 225: 5, 227: 4.5, 2: 4, 194: 3.6, 15: 3.8, 12: 3.6, 139: 3.4, 166: 3, 221: 2.8, 63: 2.6, 148: 1.9,
    167: 1.9, 216: 1.4, 129: 1.4, 123: 1.2, 191: 1.2, 11: 1.3, 176: 1.1, 189: 1.1, 186: 1.1, 164: 1, 4: 1, 19: 0.9,
    33: 0.9, 140: 0.9, 136: 0.9, 229: 0.8, 193: 0.8, 187: 0.8, 127: 0.8, 61: 0.7, 141: 0.8, 64: 0.8, 36: 0.7, 60: 0.7,
    55: 0.6, 9: 0.6, 1: 0.6, 58: 0.6, 71: 0.6, 74: 0.5, 87: 0.5, 88: 0.5, 122: 0.6, 160: 0.4, 161: 0.5, 198: 0.5,
    205: 0.5, 206: 0.4, 230: 0.6, 223: 0.4, 217: 0.3, 220: 0.3, 57: 0.4, 59: 0.4, 65: 0.4, 72: 0.4, 5: 0.4, 8: 0.3,
    13: 0.3, 31: 0.3, 43: 0.3, 82: 0.3, 92: 0.3, 147: 0.3, 163: 0.3, 165: 0.3, 173: 0.5, 7: 0.3, 29: 0.2, 70: 0.2,
    26: 0.1, 38: 0.2, 40: 0.1, 41: 0.1, 44: 0.1, 47: 0.3, 51: 0.3, 52: 0.2, 53: 0.1, 113: 0.2, 121: 0.3, 137: 0.3,
    152: 0.2, 154: 0.2, 155: 0.2, 185: 0.3, 190: 0.2, 204: 0.3, 200: 0.1, 202: 0.1, 203: 0.1, 215: 0.2, 224: 0.1,
}  # fmt: skip
_RARE = 0.03
_ABSENCE_BOX = 6
_DISTINGUISHED = 1.0


class SpaceGroupCandidate(NamedTuple):
    """A space group in one setting, with what speaks for and against it.

    Attributes:
      operators: all operators in the setting of the cell as given.
      symbol: extended Hermann-Mauguin symbol.
      number: in the International Tables; 0 for a given setting that no table has.
      evidence: classes of reflections that the group forbids beyond the lattice.
      num_violated: forbidden reflections with I > 3 sigma.
      log_absences: log likelihood of the absences over that of the group of this lattice without any.
      log_statistics: half of the log odds of mean |E^2 - 1|, positive if in favour.
      log_frequency: log of the share of known crystals in the group.
      probability: of the group among all candidates, from the sum of the three; overconfident, as correlations
        between reflections are left out.
      notes: one line each, such as which other groups the data cannot tell from this one.
    """

    operators: SpaceGroupOperators
    symbol: str
    number: int
    evidence: tuple[AbsenceEvidence, ...]
    num_violated: int
    log_absences: float
    log_statistics: float
    log_frequency: float
    probability: float
    notes: tuple[str, ...]

    @property
    def score(self) -> float:
        """Returns the log of the posterior probability up to a constant."""
        return self.log_absences + self.log_statistics + self.log_frequency


def rank_space_groups(
    data: AbsenceData,
    laue: SpaceGroupOperators,
    log_odds_centrosymmetric: float = 0.0,
    is_organic: bool | None = None,
    given: SpaceGroupOperators | None = None,
) -> tuple[SpaceGroupCandidate, ...]:
    """Returns all space groups of a Laue class and centring in the axes of the cell, the likeliest first.

    Args:
      data: measured and missing reflections of the Laue class.
      laue: rotations of the Laue group with the translations of the centring.
      log_odds_centrosymmetric: from mean |E^2 - 1|.
      is_organic: which table of frequencies to use; None takes the mean of both.
      given: the user's operators: kept as they are, origin and symbol included, where their group is ranked.
    """
    found = []
    for operators, number in _groups_of(laue, given):
        centrosymmetric = has_inversion(operators)
        absent = find_absences(data.hkl, operators)
        evidence = absence_classes(data, operators)
        found.append(SpaceGroupCandidate(
            operators=operators,
            symbol=operators.symbol,
            number=number,
            evidence=evidence,
            num_violated=int((data.i_over_sigma[absent & data.measured] > 3).sum()),
            log_absences=log_likelihood_ratio(data, absent),
            log_statistics=log_odds_centrosymmetric / 2 * (1 if centrosymmetric else -1),
            log_frequency=float(np.log(space_group_frequency(number, is_organic))),
            probability=0.0,
            notes=(),
        ))
    scores = np.array([candidate.score for candidate in found])
    probabilities = np.exp(scores - np.logaddexp.reduce(scores))
    found = [c._replace(probability=float(p)) for c, p in zip(found, probabilities, strict=True)]
    found.sort(key=lambda candidate: (-candidate.score, candidate.number))
    masks = [find_absences(data.hkl, candidate.operators) for candidate in found]
    return tuple(
        candidate._replace(notes=_notes(position, found, masks)) for position, candidate in enumerate(found)
    )


def space_group_frequency(number: int, is_organic: bool | None = None) -> float:
    """Returns the percentage of known crystals in a space group; None takes the mean of organic and inorganic ones."""
    organic, inorganic = _ORGANIC.get(number, _RARE), _INORGANIC.get(number, _RARE)
    return {True: organic, False: inorganic, None: (organic + inorganic) / 2}[is_organic]


def laue_operators(rotations: np.ndarray, lattice: SpaceGroupOperators) -> SpaceGroupOperators:
    """Returns the operators of a Laue group (n, 3, 3) with the centring of a lattice, no glides or screws."""
    rotations = laue_rotations(rotations).astype(np.int32)
    pure = lattice.translations[(lattice.rotations == np.eye(3, dtype=int)).all((1, 2))]
    pure = np.unique(np.round(pure % 1, 9) % 1, axis=0)
    return SpaceGroupOperators(np.repeat(rotations, len(pure), axis=0), np.tile(pure, (len(rotations), 1)), "")


def _groups_of(
    laue: SpaceGroupOperators, given: SpaceGroupOperators | None
) -> Iterator[tuple[SpaceGroupOperators, int]]:
    """Yields each space group of a Laue class and centring once in each setting of its axes, with its number.

    A Laue class that no table has with this centring gives one group, without glide planes and screw axes, number 0.
    Settings that differ by their origin alone count as one: the one given, else the one with the inversion centre at
    the origin, else the first of the tables.
    """
    wanted = _set_of_rotations(laue.rotations)
    centring = _centring_of(laue)
    grid = np.array(np.meshgrid(*[range(-_ABSENCE_BOX, _ABSENCE_BOX + 1)] * 3, indexing="ij")).reshape(3, -1).T
    chosen: dict[tuple[int, frozenset[bytes], bytes], SpaceGroupOperators] = {}
    given_set = None if given is None else _set_of_operators(given)
    given_found, given_key = False, None
    # An R lattice in reverse setting turns the axes of the tables by 180 degrees about c.
    reverse = centring == frozenset({(0, 0, 0), (4, 8, 4), (8, 4, 8)})
    for group in gemmi.spacegroup_table():
        operations = group.operations()
        if reverse and group.centring_type() == "R":
            operations.change_basis_forward(gemmi.Op("-x,-y,z"))
        operators = operators_of(operations, group.xhm() + (" (reverse)" if reverse else ""))
        if _centring_of(operators) != centring or _set_of_rotations(laue_rotations(operators.rotations)) != wanted:
            continue
        key = group.number, _set_of_rotations(operators.rotations), find_absences(grid, operators).tobytes()
        if given is not None and _set_of_operators(operators) == given_set:
            chosen[key] = given._replace(symbol=given.symbol or operators.symbol)
            given_found, given_key = True, key
        elif key not in chosen or (_inversion_at_origin(operators) and not _inversion_at_origin(chosen[key])
                                   and key != given_key):
            chosen[key] = operators
    if given is not None and not given_found:
        for key, operators in chosen.items():
            if differ_by_origin(given, operators):
                chosen[key] = given._replace(symbol=given.symbol or operators.symbol)
                given_found = True
                break
    for (number, _, _), operators in chosen.items():
        yield operators, number
    if not chosen:
        # Such as a tetragonal F lattice: the group without glide planes and screw axes stands for all.
        yield laue, 0
    if given is not None and not given_found and _set_of_rotations(laue_rotations(given.rotations)) == wanted \
            and _centring_of(given) == centring:
        yield given, 0


def _notes(position: int, found: list[SpaceGroupCandidate], masks: list[np.ndarray]) -> tuple[str, ...]:
    """Returns what a crystallographer would say of a candidate: violated absences, and groups that look the same."""
    candidate, notes = found[position], []
    for evidence in candidate.evidence:
        if evidence.num_violated:
            notes.append(
                f"{evidence.description}: {evidence.num_violated} of {evidence.num_measured} forbidden reflections "
                f"have I > 3 sigma (mean I/sigma {evidence.mean_i_over_sigma:.1f}, mean I "
                f"{100 * evidence.mean_intensity_ratio:.2g}% of the average)"
            )
        elif not evidence.num_measured:
            notes.append(f"{evidence.description}: none of {evidence.num_possible} forbidden reflections is in the "
                         "file")
        else:
            notes.append(f"{evidence.description}: {evidence.num_measured} forbidden reflections measured, all weak "
                         f"(mean I/sigma {evidence.mean_i_over_sigma:.1f})")
    same = [
        other for place, other in enumerate(found)
        if place != position and np.array_equal(masks[place], masks[position])
    ]
    inverted = [other for other in same if _are_enantiomorphic(candidate.operators, other.operators)]
    if inverted:
        notes.append(f"{inverted[0].symbol} is its mirror image: only anomalous scattering tells them apart")
    others = [other for other in same if other not in inverted]
    if others:
        notes.append("same absences as " + ", ".join(other.symbol for other in others[:8]))
    return tuple(notes)


def _are_enantiomorphic(one: SpaceGroupOperators, two: SpaceGroupOperators) -> bool:
    """Returns whether inverting all translations turns one group, without inversion centre, into the other."""
    inverted = one._replace(translations=-one.translations % 1)
    return _set_of_operators(one) != _set_of_operators(inverted) == _set_of_operators(two)


def differ_by_origin(one: SpaceGroupOperators, two: SpaceGroupOperators) -> bool:
    """Returns whether a shift of the origin by multiples of 1/24 turns one space group into the other."""
    return find_origin_shift(one, two) is not None


def find_origin_shift(one: SpaceGroupOperators, two: SpaceGroupOperators) -> np.ndarray | None:
    """Returns the first shift, (3,) in multiples of 1/24 of the edges, that turns one space group into the other.

    The operator x -> R x + t of the first becomes x -> R x + t + (R - 1) shift; None where no shift does it.
    """
    if _set_of_rotations(one.rotations) != _set_of_rotations(two.rotations) or _centring_of(one) != _centring_of(two):
        return None
    centring = np.array(sorted(_centring_of(one))) / 12
    shifts = np.array(np.meshgrid(*[range(24)] * 3, indexing="ij")).reshape(3, -1).T / 24
    translation_of = {rotation.astype(np.int8).tobytes(): translation
                      for rotation, translation in zip(two.rotations, two.translations, strict=True)}
    for rotation, translation in zip(one.rotations, one.translations, strict=True):
        moved = translation + shifts @ (rotation - np.eye(3)).T - translation_of[rotation.astype(np.int8).tobytes()]
        remainder = moved[:, None] - centring
        shifts = shifts[(np.abs(remainder - np.round(remainder)) < 1e-3).all(2).any(1)]
        if not len(shifts):
            return None
    return np.asarray(shifts[0])


def _inversion_at_origin(operators: SpaceGroupOperators) -> bool:
    inversions = (operators.rotations == -np.eye(3, dtype=int)).all((1, 2))
    return bool((np.abs(operators.translations[inversions]) < 1e-6).all(1).any())


def _set_of_rotations(rotations: np.ndarray) -> frozenset[bytes]:
    return frozenset(rotation.astype(np.int8).tobytes() for rotation in distinct_rotations(rotations))


def _set_of_operators(operators: SpaceGroupOperators) -> frozenset[bytes]:
    steps = np.round(operators.translations * 24).astype(np.int8) % 24
    return frozenset(
        rotation.astype(np.int8).tobytes() + step.tobytes()
        for rotation, step in zip(operators.rotations, steps, strict=True)
    )


def _centring_of(operators: SpaceGroupOperators) -> frozenset[tuple[int, ...]]:
    """Returns the centring translations in twelfths."""
    pure = (operators.rotations == np.eye(3, dtype=int)).all((1, 2))
    return frozenset(tuple(step) for step in (np.round(operators.translations[pure] * 12).astype(int) % 12).tolist())
