"""Finds the Laue group that measured intensities obey, among all that the lattice allows.

1. The rotations of the lattice are found from the metric of the cell (Le Page, J. Appl. Cryst. 15, 255, 1982).
2. Each is tested: do the reflections that it relates have equal intensities? (Evans, Acta Cryst. D67, 282, 2011)
3. All groups of rotations are listed with their R_int; the data show the largest whose rotations all hold.

A rotation that relates no two measurements cannot be tested. If the sphere is complete only with this rotation, the
data are taken to have been merged with it before.
"""

from typing import NamedTuple

import gemmi
import numpy as np

from phasenet.crystal.lattice import Intensities, SpaceGroupOperators, find_absences, inverse_spacing
from phasenet.crystal.measured.data_quality import possible_reflections
from phasenet.crystal.measured.merging import (
    Merged,
    distinct_rotations,
    find_rows,
    merge,
    r_int_of_groups,
    unique_indices,
)
from phasenet.crystal.measured.wilson import normalized_intensities

# Largest angle in degrees between the axes of a rotation in direct and in reciprocal space: the deviation of the cell
# from the metric that the rotation needs.
_MAX_OBLIQUITY = 1.5
# With fewer pairs than the first number a rotation cannot be tested; with fewer than the second R_int alone is tested.
_MIN_PAIRS, _MIN_FOR_CORRELATION = 3, 8
# A rotation holds if the correlation of its pairs is at least this fraction of what the noise allows, and if their
# R_int exceeds that of the noise by at most the second value (electron data suffer from multiple scattering).
_MIN_CORRELATION = 0.72
_MAX_EXCESS = {"xray": 0.10, "neutron": 0.10, "electron": 0.15}
_MIN_COMPLETENESS_MERGED = 0.6
_CENTRINGS = {
    "P": [], "A": [(0, 3, 3)], "B": [(3, 0, 3)], "C": [(3, 3, 0)], "I": [(3, 3, 3)],
    "F": [(0, 3, 3), (3, 0, 3), (3, 3, 0)], "R": [(4, 2, 2), (2, 4, 4)],
}  # fmt: skip
_REVERSE = {(2, 4, 2), (4, 2, 4)}


class RotationTest(NamedTuple):
    """How well a rotation of the lattice maps the intensities onto themselves.

    Attributes:
      rotation: (3, 3) int32, on fractional coordinates, proper.
      num_pairs: number of pairs of reflections (Friedel mates merged) that it relates.
      r_pairs: sum |I1 - I2| / sum (I1 + I2), which is R_int of the pairs; NaN without pairs.
      r_noise: what `r_pairs` would be from the standard deviations alone.
      correlation: of E^2 over the pairs.
      holds: whether the rotation is one of the Laue group; None if it cannot be tested.
    """

    rotation: np.ndarray
    num_pairs: int
    r_pairs: float
    r_noise: float
    correlation: float
    holds: bool | None


class LaueGroupTest(NamedTuple):
    """Merging in one Laue group that the lattice allows.

    Attributes:
      name: "-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3" or "m-3m".
      rotations: (n, 3, 3) int32, inversion included.
      r_int: over all measurements; NaN without equivalents.
      redundancy: measurements per unique reflection.
      completeness: to the resolution of the data.
      holds: every rotation of the group that can be tested holds.
      num_untested: rotations that relate no two measurements.
    """

    name: str
    rotations: np.ndarray
    r_int: float
    redundancy: float
    completeness: float
    holds: bool
    num_untested: int


class LaueSymmetry(NamedTuple):
    """Symmetry of the intensities.

    Attributes:
      shown: the Laue group that the data show.
      groups: every Laue group the lattice allows, the largest first.
      rotations: the test of each rotation of the lattice, the identity left out.
      merged_before: the file holds no equivalents of `shown`: the rotations were taken from its completeness.
    """

    shown: LaueGroupTest
    groups: tuple[LaueGroupTest, ...]
    rotations: tuple[RotationTest, ...]
    merged_before: bool


def centring_letter(operators: SpaceGroupOperators) -> str:
    """Returns the letter of the lattice of a space group: P, A, B, C, I, F, R; "" for another centring."""
    pure = (operators.rotations == np.eye(3, dtype=int)).all((1, 2))
    vectors = {tuple(v) for v in np.round(operators.translations[pure] * 6).astype(int).tolist()} - {(0, 0, 0)}
    if vectors == _REVERSE:
        return "R"
    return next((letter for letter, known in _CENTRINGS.items() if vectors == set(known)), "")


def lattice_operators(letter: str) -> SpaceGroupOperators:
    """Returns the operators of the lattice with a centring: translations and inversion only."""
    vectors = np.array([(0, 0, 0), *_CENTRINGS[letter]]) / 6
    rotations = np.repeat(np.stack([np.eye(3), -np.eye(3)]), len(vectors), axis=0).astype(np.int32)
    return SpaceGroupOperators(rotations, np.tile(vectors, (2, 1)), f"{letter} -1")


def lattice_rotations(cell: np.ndarray, letter: str, max_obliquity: float = _MAX_OBLIQUITY) -> np.ndarray:
    """Returns the proper rotations (n, 3, 3) int32 of a lattice on fractional coordinates of the cell as given.

    Args:
      cell: (6,) Angstrom and degrees.
      letter: centring.
      max_obliquity: tolerance in degrees.
    """
    operations = gemmi.find_lattice_symmetry(gemmi.UnitCell(*cell), letter or "P", max_obliquity)
    rotations = np.array([op.rot for op in operations.sym_ops]) / gemmi.Op.DEN
    integral = np.abs(rotations - np.round(rotations)).max(axis=(1, 2)) < 1e-6
    return distinct_rotations(np.round(rotations[integral]).astype(np.int32))


def find_laue_symmetry(
    reflections: Intensities, cell: np.ndarray, lattice: SpaceGroupOperators | None = None, radiation: str = "xray"
) -> LaueSymmetry:
    """Returns the Laue group that the intensities obey and the figures of all others that the lattice allows.

    Args:
      reflections: N measurements, not merged.
      cell: (6,) Angstrom and degrees.
      lattice: centring translations and inversion, as from `lattice_operators`; None for a primitive cell.
      radiation: "xray", "electron" or "neutron".
    """
    lattice = lattice_operators("P") if lattice is None else lattice
    letter = centring_letter(lattice)
    present = ~find_absences(reflections.hkl, lattice)
    if present.any():
        reflections = Intensities(*(column[present] for column in reflections))
    rotations = lattice_rotations(cell, letter)
    merged = merge(reflections, np.eye(3, dtype=np.int32)[None])
    tests = _test_rotations(merged, cell, rotations, _MAX_EXCESS[radiation])
    verdicts = [True, *(test.holds for test in tests)]
    rotations = np.stack([np.eye(3, dtype=np.int32), *(test.rotation for test in tests)])
    d_min = 1 / inverse_spacing(reflections.hkl, cell).max()
    groups = []
    for members in _subgroups(rotations):
        chosen = rotations[sorted(members)]
        laue = np.concatenate([chosen, -chosen])
        operators = SpaceGroupOperators(
            np.concatenate([r[None] @ lattice.rotations for r in chosen]),
            np.tile(lattice.translations, (len(chosen), 1)), "",
        )
        unique, index = np.unique(unique_indices(merged.hkl, chosen), axis=0, return_inverse=True)
        groups.append(LaueGroupTest(
            name=_laue_name(chosen),
            rotations=laue,
            r_int=r_int_of_groups(reflections, index.ravel()[merged.unique_index]),
            redundancy=len(reflections.hkl) / len(unique),
            completeness=len(unique) / max(len(possible_reflections(cell, operators, d_min)), 1),
            holds=all(verdicts[member] is not False for member in members),
            num_untested=sum(verdicts[member] is None for member in members),
        ))
    groups.sort(key=lambda group: (-len(group.rotations), -group.completeness))
    shown = next(group for group in groups if group.holds and (
        group.num_untested == 0 or group.completeness >= _MIN_COMPLETENESS_MERGED))
    return LaueSymmetry(shown, tuple(groups), tuple(tests), shown.num_untested > 0)


def _test_rotations(merged: Merged, cell: np.ndarray, rotations: np.ndarray, max_excess: float) -> list[RotationTest]:
    """Returns the test of each rotation but the identity on data merged over Friedel mates."""
    e2, e2_sigma = normalized_intensities(merged, cell)
    tests = []
    for rotation in rotations:
        if np.array_equal(rotation, np.eye(3)):
            continue
        partner = find_rows(merged.hkl, unique_indices(merged.hkl @ rotation, np.eye(3, dtype=np.int32)[None]))
        first = np.flatnonzero((partner >= 0) & (partner != np.arange(len(partner))))
        if len(first) < _MIN_PAIRS:
            tests.append(RotationTest(rotation, len(first), np.nan, np.nan, np.nan, None))
            continue
        second = partner[first]
        difference = merged.intensity[first] - merged.intensity[second]
        noise = np.hypot(merged.sigma[first], merged.sigma[second])
        total = (merged.intensity[first] + merged.intensity[second]).sum()
        one, two = np.minimum(e2[first], 10), np.minimum(e2[second], 10)
        variance = (one.var() + two.var()) / 2
        correlation = float(1 - ((one - two) ** 2).mean() / (2 * variance)) if variance > 0 else 0.0
        noise_share = (np.minimum(e2_sigma[first], 3) ** 2 + np.minimum(e2_sigma[second], 3) ** 2).mean() / 2
        reachable = max(1 - float(noise_share) / max(float(variance), 1e-12), 0.2)
        r_pairs = float(np.abs(difference).sum() / total)
        r_noise = float(np.sqrt(2 / np.pi) * noise.sum() / total)
        excess = np.sqrt(max(r_pairs**2 - r_noise**2, 0))
        correlates = len(first) < _MIN_FOR_CORRELATION or correlation >= _MIN_CORRELATION * reachable
        holds = bool(correlates and excess <= max_excess)
        tests.append(RotationTest(rotation, len(first), r_pairs, r_noise, correlation, holds))
    return tests


def _subgroups(rotations: np.ndarray) -> set[frozenset[int]]:
    """Returns all subgroups of a group of rotations (n, 3, 3), the identity first, as sets of positions."""
    positions = {rotation.tobytes(): index for index, rotation in enumerate(rotations)}
    table = [[positions.get((one @ two).tobytes(), -1) for two in rotations] for one in rotations]

    def closure(members: frozenset[int]) -> frozenset[int] | None:
        while True:
            products = {table[one][two] for one in members for two in members}
            if -1 in products:
                return None
            if products <= members:
                return members
            members = members | products

    found, waiting = {frozenset([0])}, [frozenset([0])]
    while waiting:
        group = waiting.pop()
        for element in range(len(rotations)):
            if element not in group:
                larger = closure(group | {element})
                if larger is not None and larger not in found:
                    found.add(larger)
                    waiting.append(larger)
    return found


def _laue_name(rotations: np.ndarray) -> str:
    """Returns the Hermann-Mauguin symbol of the Laue group of proper rotations (n, 3, 3)."""
    traces = {int(trace) for trace in np.trace(rotations, axis1=1, axis2=2)}
    four, six = 1 in traces, 2 in traces
    return {
        1: "-1", 2: "2/m", 3: "-3", 4: "4/m" if four else "mmm", 6: "6/m" if six else "-3m", 8: "4/mmm",
        12: "6/mmm" if six else "m-3", 24: "m-3m",
    }.get(len(rotations), "?")  # fmt: skip
