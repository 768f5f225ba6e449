"""Weighs lattice centring, glide planes and screw axes by the reflections that they forbid.

Absences are evidence, not law: multiple scattering, half the wavelength and neighbouring reflections put intensity
where none should be. The likelihood of a reflection's intensity under "absent" therefore has three parts: noise, a
leak of unknown size (larger for electrons), and rare outliers. Under "present" it is Wilson's distribution with a tail
of weak classes. Forbidden reflections that are not in the file are evidence too: programs leave them out. (Bayesian
choice of extinction symbols: Markvardsen et al., Acta Cryst. A57, 47, 2001.)
"""

from fractions import Fraction
from math import erfc
from typing import NamedTuple

import numpy as np

from phasenet.crystal.lattice import Intensities, SpaceGroupOperators, find_absences, inverse_spacing
from phasenet.crystal.measured.data_quality import possible_reflections
from phasenet.crystal.measured.laue_symmetry import lattice_operators
from phasenet.crystal.measured.merging import Merged, distinct_rotations, find_rows, merge, select_reflections
from phasenet.crystal.measured.wilson import mean_intensity

# Leak of a forbidden reflection as a fraction of the mean intensity at its resolution, with its prior probability.
_LEAKS = {
    "xray": ((0.0005, 0.5), (0.003, 0.4), (0.02, 0.1)),
    "neutron": ((0.0005, 0.5), (0.003, 0.4), (0.02, 0.1)),
    "electron": ((0.003, 0.3), (0.03, 0.4), (0.12, 0.3)),
}
_OUTLIERS = {"xray": 0.01, "neutron": 0.01, "electron": 0.05}
# Present reflections: fraction of the mean intensity, with its prior probability (weak classes by pseudo-symmetry).
_PRESENT = ((1.0, 0.9), (0.1, 0.07), (0.01, 0.03))
# Prior probability that the file leaves forbidden reflections out, and the share of them that it then still holds.
_LEFT_OUT, _SLIPPED_IN = 0.5, 0.01
_SIGMA_INFLATION = 1.3
_VIOLATED_SIGMAS = 3.0
_LEAK_OF_CENTRING = {"xray": 0.01, "neutron": 0.01, "electron": 0.05}


class AbsenceEvidence(NamedTuple):
    """What the data say about one class of forbidden reflections.

    Attributes:
      description: the class and its condition, such as "h 0 l, l odd".
      num_possible: unique reflections of the class to the resolution of the data.
      num_measured: reflections of the class that were measured.
      num_violated: measured reflections with I > 3 sigma.
      mean_i_over_sigma: mean I/sigma of the measured reflections; NaN without any.
      mean_intensity_ratio: mean over the measured reflections of I divided by the mean I at the same resolution; NaN
        without any.
    """

    description: str
    num_possible: int
    num_measured: int
    num_violated: int
    mean_i_over_sigma: float
    mean_intensity_ratio: float


class AbsenceData(NamedTuple):
    """Every unique reflection that a Laue group and a centring allow, with what was measured of it.

    Attributes:
      hkl: (K, 3) int32.
      measured: (K,) bool.
      ratio: (K,) intensity over the mean at its resolution; 0 where not measured.
      ratio_sigma: (K,) its standard deviation; 1 where not measured.
      i_over_sigma: (K,) 0 where not measured.
      special_class: (K,) int64, which rotations of the Laue group leave the reflection as it is.
      log_present: (K,) log likelihood as a reflection that is not forbidden.
      log_absent: (L, K) the same as a forbidden one, for each size of leak.
      log_leaks: (L,) log prior probability of each leak.
    """

    hkl: np.ndarray
    measured: np.ndarray
    ratio: np.ndarray
    ratio_sigma: np.ndarray
    i_over_sigma: np.ndarray
    special_class: np.ndarray
    log_present: np.ndarray
    log_absent: np.ndarray
    log_leaks: np.ndarray


def gather_absence_data(
    merged: Merged, cell: np.ndarray, laue: SpaceGroupOperators, radiation: str = "xray"
) -> AbsenceData:
    """Returns all reflections that the Laue group `laue` with its centring allows, and what was measured of them.

    Args:
      merged: unique reflections, merged over the rotations of `laue`, with the forbidden ones in it.
      cell: (6,) Angstrom and degrees.
      laue: rotations of the Laue group with the translations of the centring only.
      radiation: "xray", "electron" or "neutron".
    """
    allowed = ~find_absences(merged.hkl, laue)
    hkl = possible_reflections(cell, laue, 1 / inverse_spacing(merged.hkl[allowed], cell).max())
    row = find_rows(merged.hkl, hkl)
    measured = row >= 0
    rotations = distinct_rotations(laue.rotations)
    special = np.zeros(len(hkl), np.int64)
    for position, rotation in enumerate(rotations):
        special |= (hkl @ rotation == hkl).all(1).astype(np.int64) << position
    # The mean is that of general reflections, which no glide plane or screw axis can forbid.
    general = special == special.min()
    used = np.zeros(len(merged.hkl), bool)
    used[row[measured & general]] = True
    if used.sum() < 30:
        used = allowed
    mean = mean_intensity(select_reflections(merged, used), cell, inverse_spacing(hkl, cell))
    mean = mean * np.array([bin(bits).count("1") for bits in special])
    ratio = np.where(measured, merged.intensity[row], 0) / mean
    ratio_sigma = np.where(measured, merged.sigma[row] / mean, 1.0)

    log_present, log_absent = np.zeros(len(hkl)), np.zeros((len(_LEAKS[radiation]), len(hkl)))
    # Only special reflections can be forbidden; the likelihoods of the others are never asked for.
    index = np.flatnonzero(measured & ~general)
    noise = _SIGMA_INFLATION * ratio_sigma[index]
    present = sum(share * _exponential_plus_noise(ratio[index], size, noise) for size, share in _PRESENT)
    present = np.maximum(present, 1e-200)
    log_present[index] = np.log(present)
    share = _OUTLIERS[radiation]
    for position, (leak, _) in enumerate(_LEAKS[radiation]):
        absent = (1 - share) * _exponential_plus_noise(ratio[index], leak, noise) + share * present
        log_absent[position, index] = np.log(absent)
    return AbsenceData(hkl, measured, ratio, ratio_sigma, np.where(measured, ratio / ratio_sigma, 0), special,
                       log_present, log_absent, np.log([prior for _, prior in _LEAKS[radiation]]))


def log_likelihood_ratio(data: AbsenceData, absent: np.ndarray) -> float:
    """Returns the log likelihood ratio of the data: some reflections are forbidden, against none is.

    Two cases are summed: the file holds forbidden reflections like any others, or leaves them out.

    Args:
      data: from `gather_absence_data`.
      absent: (K,) bool, the reflections that a space group forbids.
    """
    if not absent.any():
        return 0.0
    seen, missing = absent & data.measured, absent & ~data.measured
    per_leak = data.log_leaks + (data.log_absent[:, seen] - data.log_present[seen]).sum(axis=1)
    intensities = float(np.logaddexp.reduce(per_leak))
    # Completeness of the allowed reflections of the same row or plane: what is missing there says nothing.
    _, place = np.unique(data.special_class, return_inverse=True)
    num_allowed = np.bincount(place, ~absent)
    num_seen = np.bincount(place, ~absent & data.measured)
    completeness = ((num_seen + 1) / (num_allowed + 2))[place]
    left_out = -np.log(1 - completeness[missing]).sum() + np.log(_SLIPPED_IN / completeness[seen]).sum()
    return intensities + float(np.logaddexp(np.log(1 - _LEFT_OUT), np.log(_LEFT_OUT) + left_out))


def absence_classes(data: AbsenceData, operators: SpaceGroupOperators) -> tuple[AbsenceEvidence, ...]:
    """Returns the evidence for each glide plane and screw axis of a space group, one of each set of equivalents."""
    rotations = distinct_rotations(operators.rotations)
    inverses = np.round(np.linalg.inv(rotations)).astype(int)
    masks: dict[bytes, np.ndarray] = {}
    names: dict[bytes, str] = {}
    for rotation, translation in zip(operators.rotations, operators.translations, strict=True):
        if np.array_equal(rotation, np.eye(3)):
            continue
        phase = data.hkl @ translation
        absent = (data.hkl @ rotation == data.hkl).all(1) & (np.abs(phase - np.round(phase)) > 1e-3)
        if not absent.any():
            continue
        key = min((turn @ rotation @ back).astype(np.int8).tobytes()
                  for turn, back in zip(rotations, inverses, strict=True))
        names.setdefault(key, describe_condition(rotation, translation))
        masks[key] = masks.get(key, np.zeros(len(absent), bool)) | absent
    return tuple(
        summarize_absences(data, mask, names[key])
        for key, mask in masks.items()
        if not any(other is not mask and (mask <= other).all() and mask.sum() < other.sum()
                   and names[other_key].split(",")[0] == names[key].split(",")[0]
                   for other_key, other in masks.items())
    )


def summarize_absences(data: AbsenceData, absent: np.ndarray, description: str) -> AbsenceEvidence:
    """Returns the figures of a class of forbidden reflections (K,) bool."""
    seen = absent & data.measured
    return AbsenceEvidence(
        description=description,
        num_possible=int(absent.sum()),
        num_measured=int(seen.sum()),
        num_violated=int((data.i_over_sigma[seen] > _VIOLATED_SIGMAS).sum()),
        mean_i_over_sigma=float(data.i_over_sigma[seen].mean()) if seen.any() else np.nan,
        mean_intensity_ratio=float(data.ratio[seen].mean()) if seen.any() else np.nan,
    )


def summarize_forbidden(merged: Merged, forbidden: np.ndarray) -> AbsenceEvidence:
    """Returns the figures of reflections that a lattice forbids, against the mean of all others.

    Args:
      merged: M unique reflections.
      forbidden: (M,) bool.
    """
    ratio = merged.intensity[forbidden] / merged.sigma[forbidden]
    some = forbidden.any() and not forbidden.all()
    return AbsenceEvidence(
        description="lattice centring",
        num_possible=int(forbidden.sum()),
        num_measured=int(forbidden.sum()),
        num_violated=int((ratio > _VIOLATED_SIGMAS).sum()),
        mean_i_over_sigma=float(ratio.mean()) if len(ratio) else np.nan,
        mean_intensity_ratio=float(merged.intensity[forbidden].mean() / merged.intensity[~forbidden].mean())
        if some else np.nan,
    )


def describe_condition(rotation: np.ndarray, translation: np.ndarray) -> str:
    """Returns the reflections that an operator forbids, such as "h 0 l, h+l odd" or "0 0 l, l not 4n"."""
    grid = np.array(np.meshgrid(*[range(-2, 3)] * 3, indexing="ij")).reshape(3, -1).T
    fixed = grid[(grid @ rotation == grid).all(1) & grid.any(1)]
    fixed = fixed[[row[np.flatnonzero(row)[0]] > 0 for row in fixed]]
    fixed = sorted(fixed.tolist(), key=lambda row: (np.abs(row).sum(), [-value for value in row]))
    basis: list[list[int]] = []
    for row in fixed:
        if np.linalg.matrix_rank(np.array([*basis, row])) > len(basis):
            basis.append(row)
    basis.sort(key=lambda row: np.flatnonzero(row)[0])
    letters: list[str] = []
    for row in basis:
        letters.append(next("hkl"[axis] for axis in np.flatnonzero(row) if "hkl"[axis] not in letters))
    indices = " ".join(_sum_of_terms([row[axis] for row in basis], letters) for axis in range(3))
    phases = [Fraction(float(np.dot(row, translation)) % 1).limit_denominator(12) for row in basis]
    denominator = int(np.lcm.reduce([phase.denominator for phase in phases]))
    numerators = [int(phase * denominator) for phase in phases]
    numerators = [value - denominator if value > denominator / 2 else value for value in numerators]
    if next((value for value in numerators if value), 0) < 0:
        numerators = [-value if 2 * abs(value) != denominator else value for value in numerators]
    condition = _sum_of_terms(numerators, letters)
    return f"{indices}, {condition} " + ("odd" if denominator == 2 else f"not {denominator}n")


def find_centring(reflections: Intensities, cell: np.ndarray, radiation: str = "xray") -> SpaceGroupOperators:
    """Returns the lattice that the data show, as its translations and inversion (obverse setting first for R).

    A centring is accepted if the reflections that it forbids are on average below 1% of the others (5% in electron
    data), or are not in the file at all.
    """
    merged = merge(reflections, np.eye(3, dtype=np.int32)[None])
    candidates = [lattice_operators(letter) for letter in "FIABC"]
    if abs(cell[0] - cell[1]) < 0.01 * cell[0] and np.allclose(cell[3:], [90, 90, 120], atol=0.3):
        obverse = lattice_operators("R")
        reverse = obverse._replace(translations=obverse.translations * [-1, -1, 1] % 1, symbol="R -1 (reverse)")
        candidates += [obverse, reverse]
    for lattice in candidates:
        absent = find_absences(merged.hkl, lattice)
        if absent.all() or (~absent).sum() < 10:
            continue
        if not absent.any():
            return lattice
        share = merged.intensity[absent].mean() / merged.intensity[~absent].mean()
        ratio = (merged.intensity[absent] / merged.sigma[absent]).mean()
        if share < _LEAK_OF_CENTRING[radiation] or (share < 5 * _LEAK_OF_CENTRING[radiation] and ratio < 1):
            return lattice
    return lattice_operators("P")


def _exponential_plus_noise(values: np.ndarray, mean: float, noise: np.ndarray) -> np.ndarray:
    """Returns the density at `values` (N,) of an exponential distribution convolved with normal noise (N,)."""
    x = (noise / mean - values / noise) / np.sqrt(2)
    exponent = noise**2 / (2 * mean**2) - values / mean
    large = x > 5
    safe = np.where(large, x, 5.0)
    # exp(exponent) erfc(x) for large x, where the two factors overflow and underflow.
    asymptotic = np.exp(-(values**2) / (2 * noise**2)) / (safe * np.sqrt(np.pi)) * (1 - 0.5 / safe**2)
    direct = np.exp(np.minimum(exponent, 700)) * np.array([erfc(value) for value in np.where(large, 0, x)])
    return np.where(large, asymptotic, direct) / (2 * mean)


def _sum_of_terms(coefficients: list[int], letters: list[str]) -> str:
    """Returns a sum such as "2h-l", "0" if all coefficients are."""
    text = ""
    for coefficient, letter in zip(coefficients, letters, strict=True):
        if coefficient:
            sign = "-" if coefficient < 0 else "+" if text else ""
            text += sign + ("" if abs(coefficient) == 1 else str(abs(coefficient))) + letter
    return text or "0"
