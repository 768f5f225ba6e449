"""Measures how complete and how strong merged data are, by resolution, and where they end in noise.

CC1/2 is computed from the scatter of the equivalents (sigma-tau method: Assmann, Brehm & Diederichs, J. Appl. Cryst.
49, 1021, 2016), so it needs no random halves.
"""

from typing import NamedTuple

import numpy as np

from phasenet.crystal.lattice import Intensities, SpaceGroupOperators, find_absences, inverse_spacing
from phasenet.crystal.measured.merging import Merged, find_rows, unique_indices

# Completeness at low angle is that below 0.2 1/A, which is d = 5 A.
LOW_ANGLE_INVERSE_D = 0.2
# Data end in noise where the mean I/sigma of a shell falls below this, or its CC1/2 below the second number.
_NOISE_I_OVER_SIGMA = 2.0
_NOISE_CC_HALF = 0.3
_REFLECTIONS_PER_SHELL = 50
_MAX_SHELLS = 20
_MIN_FOR_CC_HALF = 10


class ResolutionShell(NamedTuple):
    """Data between two spacings.

    Attributes:
      d_max: largest spacing d, in A.
      d_min: smallest spacing d, in A.
      num_possible: unique reflections that exist.
      num_unique: unique reflections that were measured.
      completeness: their ratio.
      mean_i_over_sigma: mean of I/sigma of the merged reflections; NaN in an empty shell.
      r_int: of the measurements with equivalents; NaN without any.
      cc_half: correlation of half data sets; NaN with too few reflections measured more than once.
    """

    d_max: float
    d_min: float
    num_possible: int
    num_unique: int
    completeness: float
    mean_i_over_sigma: float
    r_int: float
    cc_half: float


class DataQuality(NamedTuple):
    """Completeness and strength of merged data.

    Attributes:
      d_max: largest spacing measured, in A.
      d_min: smallest spacing measured, in A.
      completeness: unique reflections measured of those that exist to `d_min`.
      low_angle_completeness: the same below 0.2 1/A (d above 5 A); NaN where no reflection exists there.
      missing_low_angle: (K, 3) int32, the unique reflections below 0.2 1/A that were not measured.
      d_95_percent: smallest spacing to which the data are complete to 95%, in A; NaN if they nowhere are.
      mean_i_over_sigma: mean of I/sigma of the merged reflections.
      d_noise: spacing in A below which the data are noise: `d_min` if they are strong to the end, NaN if all is noise.
      noise_criterion: "I/sigma", "CC1/2", or "" if the data are strong to the end.
      shells: from low to high angle, of equal reciprocal volume.
    """

    d_max: float
    d_min: float
    completeness: float
    low_angle_completeness: float
    missing_low_angle: np.ndarray
    d_95_percent: float
    mean_i_over_sigma: float
    d_noise: float
    noise_criterion: str
    shells: tuple[ResolutionShell, ...]


def possible_reflections(cell: np.ndarray, operators: SpaceGroupOperators, d_min: float) -> np.ndarray:
    """Returns the unique reflections (K, 3) int32 of a space group to a spacing in A, systematic absences left out.

    Friedel mates count as one; the choice among equivalents is that of `merging.unique_indices`.

    Args:
      cell: (6,) Angstrom and degrees.
      operators: the space group; only its rotations matter for what is unique.
      d_min: smallest spacing in A.
    """
    # |h| <= a / d, and likewise k and l, holds for any cell.
    limits = np.floor(np.asarray(cell[:3]) / d_min + 1e-6).astype(int)
    axes = [np.arange(-limits[0], limits[0] + 1), np.arange(-limits[1], limits[1] + 1), np.arange(0, limits[2] + 1)]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    inverse_d = inverse_spacing(hkl, cell)
    hkl = hkl[(inverse_d > 0) & (inverse_d <= (1 + 1e-6) / d_min)]
    hkl = hkl[(unique_indices(hkl, operators.rotations) == hkl).all(1)]
    return hkl[~find_absences(hkl, operators)].astype(np.int32)


def assess_quality(
    reflections: Intensities, merged: Merged, cell: np.ndarray, operators: SpaceGroupOperators
) -> DataQuality:
    """Returns completeness and strength of data by resolution.

    Args:
      reflections: the N measurements that were merged.
      merged: what `merging.merge` made of them, Friedel mates merged; absences are left out here.
      cell: (6,) Angstrom and degrees.
      operators: the group the data were merged in; its absences do not count as possible reflections.
    """
    allowed = ~find_absences(merged.hkl, operators)
    inverse_d = inverse_spacing(merged.hkl, cell)
    if not allowed.any():
        allowed[:] = True
    d_min, d_max = 1 / inverse_d[allowed].max(), 1 / inverse_d[allowed].min()
    possible = possible_reflections(cell, operators, d_min)
    possible_inverse_d = inverse_spacing(possible, cell)
    measured = find_rows(merged.hkl, possible) >= 0
    low = possible_inverse_d < LOW_ANGLE_INVERSE_D

    num_shells = int(np.clip(allowed.sum() // _REFLECTIONS_PER_SHELL, 1, _MAX_SHELLS))
    edges = (1 + 1e-6) / d_min * (np.arange(num_shells + 1) / num_shells) ** (1 / 3)
    shells = tuple(
        _shell(reflections, merged, allowed & (inverse_d >= low_edge) & (inverse_d < high_edge),
               measured[(possible_inverse_d >= low_edge) & (possible_inverse_d < high_edge)],
               min(d_max, 1 / max(low_edge, 1e-9)), 1 / high_edge)
        for low_edge, high_edge in zip(edges[:-1], edges[1:], strict=True)
    )
    order = np.argsort(possible_inverse_d)
    cumulative = np.cumsum(measured[order]) / np.arange(1, len(order) + 1)
    complete = np.flatnonzero(cumulative >= 0.95)
    d_noise, criterion = _end_of_data(shells, d_min)
    ratio = merged.intensity[allowed] / merged.sigma[allowed]
    return DataQuality(
        d_max=float(d_max),
        d_min=float(d_min),
        completeness=float(measured.mean()),
        low_angle_completeness=float(measured[low].mean()) if low.any() else np.nan,
        missing_low_angle=possible[low & ~measured],
        d_95_percent=float(1 / possible_inverse_d[order][complete[-1]]) if len(complete) else np.nan,
        mean_i_over_sigma=float(ratio.mean()),
        d_noise=d_noise,
        noise_criterion=criterion,
        shells=shells,
    )


def cc_half(reflections: Intensities, merged: Merged, selected: np.ndarray) -> float:
    """Returns the correlation of two random halves of the measurements, without drawing them.

    CC1/2 = (V - E) / (V + E): V is the variance of the means over the unique reflections less E, and E the mean
    variance of a half data set's mean, which is twice that of the mean (Assmann et al. 2016, unweighted).

    Args:
      reflections: N measurements.
      merged: M unique reflections.
      selected: (M,) bool, the unique reflections to use.

    Returns:
      CC1/2; NaN with fewer than ten unique reflections that were measured more than once.
    """
    use = selected & (merged.multiplicity > 1)
    if use.sum() < _MIN_FOR_CC_HALF:
        return np.nan
    count = merged.multiplicity.astype(float)
    mean = np.bincount(merged.unique_index, reflections.intensity) / count
    squares = np.bincount(merged.unique_index, (reflections.intensity - mean[merged.unique_index]) ** 2)
    variance_of_mean = (squares / np.maximum(count - 1, 1) / count)[use]
    half_error = 2 * float(variance_of_mean.mean())
    # The variance of the full means holds half of `half_error`.
    true_variance = float(mean[use].var(ddof=1)) - half_error / 2
    return (true_variance / (true_variance + half_error)) if true_variance + half_error > 0 else np.nan


def _shell(
    reflections: Intensities, merged: Merged, selected: np.ndarray, measured: np.ndarray, d_max: float, d_min: float
) -> ResolutionShell:
    """Returns the figures of one shell: `selected` (M,) unique reflections, `measured` flags of the possible ones."""
    ratio = merged.intensity[selected] / merged.sigma[selected]
    several = (selected & (merged.multiplicity > 1))[merged.unique_index]
    intensity = reflections.intensity[several]
    residual = np.abs(intensity - merged.intensity[merged.unique_index][several]).sum()
    return ResolutionShell(
        d_max=float(d_max),
        d_min=float(d_min),
        num_possible=len(measured),
        num_unique=int(selected.sum()),
        completeness=float(measured.mean()) if len(measured) else np.nan,
        mean_i_over_sigma=float(ratio.mean()) if len(ratio) else np.nan,
        r_int=float(residual / intensity.sum()) if intensity.sum() > 0 else np.nan,
        cc_half=cc_half(reflections, merged, selected),
    )


def _end_of_data(shells: tuple[ResolutionShell, ...], d_min: float) -> tuple[float, str]:
    """Returns the spacing in A below which every shell is noise, and by which criterion it was found.

    A shell is data if its I/sigma is high enough and its CC1/2, where known, is too. Both are asked for, because sigmas
    may be wrong.
    """
    criterion = ""
    for position in range(len(shells) - 1, -1, -1):
        shell = shells[position]
        if shell.num_unique == 0:
            continue
        strong = shell.mean_i_over_sigma >= _NOISE_I_OVER_SIGMA
        correlated = not shell.cc_half < _NOISE_CC_HALF
        if strong and correlated:
            return (float(shell.d_min) if criterion else float(d_min)), criterion
        criterion = criterion or ("I/sigma" if not strong else "CC1/2")
    return np.nan, criterion
