"""Averages equivalent reflections with weights 1/sigma^2 and measures how well they agree.

R_int and R_sigma are those of SHELXL (Sheldrick, Acta Cryst. C71, 3, 2015); R_meas and R_pim are those of
Diederichs & Karplus (Nat. Struct. Biol. 4, 269, 1997) and Weiss (J. Appl. Cryst. 34, 130, 2001).
No measurement is dropped: outliers and absences are flagged.
"""

from typing import NamedTuple

import numpy as np

from phasenet.crystal.lattice import Intensities
from phasenet.errors import InputError

# A measurement is flagged as an outlier if it lies further than this many standard deviations from the median of its
# equivalents, of which there must be at least `_MIN_FOR_OUTLIERS`.
_OUTLIER_SIGMAS = 6.0
_MIN_FOR_OUTLIERS = 3
# Half the width of the cube of indices that one integer of 63 bits can hold.
_MAX_INDEX = 2**19


class MergingStatistics(NamedTuple):
    """How well equivalent reflections agree; the R values are NaN where nothing was measured twice.

    Attributes:
      num_measured: number of measurements.
      num_unique: number of unique reflections.
      redundancy: measurements per unique reflection.
      r_int: sum |I - mean I| / sum I over the measurements that have equivalents.
      r_meas: the same with sqrt(n / (n - 1)), independent of the redundancy.
      r_pim: the same with sqrt(1 / (n - 1)), the precision of the mean.
      r_sigma: sum sigma(mean I) / sum mean I over the unique reflections.
      num_outliers: number of measurements flagged as outliers.
    """

    num_measured: int
    num_unique: int
    redundancy: float
    r_int: float
    r_meas: float
    r_pim: float
    r_sigma: float
    num_outliers: int


class Merged(NamedTuple):
    """Unique reflections; row j of `hkl` is the mean of the measurements with `unique_index == j`.

    Attributes:
      hkl: (M, 3) int32, the equivalent with the largest l, then k, then h; with Friedel mates kept apart, this one or
        its negative.
      intensity: (M,) float64, mean weighted by 1/sigma^2.
      sigma: (M,) float64, the larger of two estimates: from the sigmas, and from the spread of the equivalents.
      multiplicity: (M,) int32, number of measurements.
      epsilon: (M,) int32, number of rotations that leave the reflection as it is; its mean intensity is epsilon times
        that of a general one.
      centric: (M,) bool, whether a rotation turns the reflection into its Friedel mate.
      unique_index: (N,) int64, row of each measurement.
      is_outlier: (N,) bool, measurements far from the median of their equivalents; they are kept in the mean.
      statistics: agreement of the equivalents.
    """

    hkl: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    multiplicity: np.ndarray
    epsilon: np.ndarray
    centric: np.ndarray
    unique_index: np.ndarray
    is_outlier: np.ndarray
    statistics: MergingStatistics

    @property
    def reflections(self) -> Intensities:
        """Returns the unique reflections without their statistics."""
        return Intensities(self.hkl, self.intensity, self.sigma)


def merge(reflections: Intensities, rotations: np.ndarray, keep_friedel_mates: bool = False) -> Merged:
    """Returns the mean of all reflections that a point group, with an inversion centre added, makes equivalent.

    Args:
      reflections: N measurements.
      rotations: (n, 3, 3) rotations of the space group on fractional coordinates; may repeat.
      keep_friedel_mates: no inversion centre is added, so h and -h stay apart unless the point group joins them (as
        the Flack parameter needs them). Mates then have the indices h and -h.

    Raises:
      InputError: a reflection is 0 0 0, a value is not finite, or a standard deviation is not positive.
    """
    hkl, intensity, sigma = _checked(reflections)
    rotations = distinct_rotations(rotations)
    unique, index = np.unique(_keys(unique_indices(hkl, rotations, keep_friedel_mates)), return_inverse=True)
    unique_hkl = _hkl_of_keys(unique)
    weights = 1 / sigma**2
    total = np.bincount(index, weights)
    multiplicity = np.bincount(index)
    mean = np.bincount(index, weights * intensity) / total
    residuals = intensity - mean[index]
    scatter = np.bincount(index, weights * residuals**2) / np.maximum(multiplicity - 1, 1)
    mean_sigma = np.sqrt(np.maximum(scatter, 1) / total)
    is_outlier = _find_outliers(index, intensity, sigma, multiplicity)
    epsilon, centric = epsilon_and_centric(unique_hkl, rotations)

    several = multiplicity[index] > 1
    absolute, norm = np.abs(residuals[several]), intensity[several].sum()
    count = multiplicity[index][several]

    def r_value(factors: np.ndarray) -> float:
        return float((absolute * factors).sum() / norm) if norm > 0 else np.nan

    statistics = MergingStatistics(
        num_measured=len(hkl),
        num_unique=len(unique),
        redundancy=len(hkl) / max(len(unique), 1),
        r_int=r_value(np.ones(len(count))),
        r_meas=r_value(np.sqrt(count / np.maximum(count - 1, 1))),
        r_pim=r_value(np.sqrt(1 / np.maximum(count - 1, 1))),
        r_sigma=float(mean_sigma.sum() / mean.sum()) if mean.sum() > 0 else np.nan,
        num_outliers=int(is_outlier.sum()),
    )
    return Merged(unique_hkl, mean, mean_sigma, multiplicity.astype(np.int32), epsilon, centric, index, is_outlier,
                  statistics)


def r_int_of_groups(reflections: Intensities, index: np.ndarray) -> float:
    """Returns R_int of measurements that are grouped by `index`, as in `MergingStatistics`; NaN without equivalents.

    Args:
      reflections: N measurements.
      index: (N,) number of the unique reflection of each measurement, from 0.
    """
    weights = 1 / reflections.sigma**2
    mean = np.bincount(index, weights * reflections.intensity) / np.maximum(np.bincount(index, weights), 1e-300)
    several = np.bincount(index)[index] > 1
    norm = reflections.intensity[several].sum()
    return float(np.abs(reflections.intensity - mean[index])[several].sum() / norm) if norm > 0 else np.nan


def select_reflections(merged: Merged, selected: np.ndarray) -> Merged:
    """Returns the unique reflections `selected` (M,) bool; the fields of single measurements stay as they are."""
    return merged._replace(
        hkl=merged.hkl[selected], intensity=merged.intensity[selected], sigma=merged.sigma[selected],
        multiplicity=merged.multiplicity[selected], epsilon=merged.epsilon[selected], centric=merged.centric[selected],
    )


def distinct_rotations(rotations: np.ndarray) -> np.ndarray:
    """Returns the distinct ones among the rotations (n, 3, 3), in the order in which they first appear."""
    rotations = np.asarray(rotations).reshape(-1, 3, 3)
    _, first = np.unique(rotations.reshape(-1, 9), axis=0, return_index=True)
    return rotations[np.sort(first)]


def laue_rotations(rotations: np.ndarray) -> np.ndarray:
    """Returns the distinct rotations (n, 3, 3) of a point group with an inversion centre added."""
    rotations = np.asarray(rotations)
    return distinct_rotations(np.concatenate([rotations, -rotations]))


def unique_indices(hkl: np.ndarray, rotations: np.ndarray, keep_friedel_mates: bool = False) -> np.ndarray:
    """Returns for each reflection (N, 3) the equivalent with the largest l, then k, then h.

    Args:
      hkl: (N, 3) indices.
      rotations: (n, 3, 3) rotations; an inversion centre is added.
      keep_friedel_mates: a reflection that only the added centre turns into that equivalent gets its negative.
    """
    hkl = np.asarray(hkl, np.int64)
    best = best_direct = np.full(len(hkl), np.iinfo(np.int64).min)
    for rotation in distinct_rotations(rotations):
        equivalent = hkl @ rotation.astype(np.int64)
        best_direct = np.maximum(best_direct, _keys(equivalent))
        best = np.maximum(best, np.maximum(_keys(equivalent), _keys(-equivalent)))
    unique = _hkl_of_keys(best)
    return np.where((best == best_direct)[:, None], unique, -unique) if keep_friedel_mates else unique


def epsilon_and_centric(hkl: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns how many rotations leave each reflection (M, 3) as it is, and whether one turns it into its mate.

    Returns:
      (M,) int32 and (M,) bool.
    """
    hkl = np.asarray(hkl, np.int64)
    epsilon = np.zeros(len(hkl), np.int32)
    centric = np.zeros(len(hkl), bool)
    for rotation in distinct_rotations(rotations):
        equivalent = hkl @ rotation.astype(np.int64)
        epsilon += (equivalent == hkl).all(1)
        centric |= (equivalent == -hkl).all(1)
    return epsilon, centric


def find_rows(table: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the position (N,) of each of the reflections (N, 3) in a table (M, 3) of distinct ones, else -1."""
    if not len(table):
        return np.full(len(rows), -1)
    keys, wanted = _keys(np.asarray(table, np.int64)), _keys(np.asarray(rows, np.int64))
    order = np.argsort(keys)
    place = np.minimum(np.searchsorted(keys[order], wanted), len(order) - 1)
    return np.where(keys[order][place] == wanted, order[place], -1)


def _checked(reflections: Intensities) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the indices (N, 3), intensities (N,) and sigmas (N,) of reflections that can be merged."""
    hkl = np.asarray(reflections.hkl, np.int64).reshape(-1, 3)
    intensity = np.asarray(reflections.intensity, np.float64)
    sigma = np.asarray(reflections.sigma, np.float64)
    if not len(hkl):
        raise InputError("no reflections: nothing to merge")
    bad = ~np.isfinite(intensity) | ~np.isfinite(sigma) | (sigma <= 0) | (np.abs(hkl) >= _MAX_INDEX).any(1)
    bad |= ~hkl.any(1)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"reflection {row + 1} ({' '.join(map(str, hkl[row]))}, intensity {intensity[row]:g}, sigma "
            f"{sigma[row]:g}): expected indices other than 0 0 0, a finite intensity and a positive sigma"
        )
    return hkl, intensity, sigma


def _keys(hkl: np.ndarray) -> np.ndarray:
    """Returns one integer (N,) for each reflection (N, 3), ordered by l, then k, then h."""
    shifted = np.asarray(hkl, np.int64) + _MAX_INDEX
    return (shifted[:, 2] * 2 * _MAX_INDEX + shifted[:, 1]) * 2 * _MAX_INDEX + shifted[:, 0]


def _hkl_of_keys(keys: np.ndarray) -> np.ndarray:
    """Returns the indices (N, 3) int32 that `_keys` made into integers."""
    width = 2 * _MAX_INDEX
    columns = keys % width, keys // width % width, keys // width**2
    return (np.stack(columns, axis=-1) - _MAX_INDEX).astype(np.int32)


def _find_outliers(
    index: np.ndarray, intensity: np.ndarray, sigma: np.ndarray, multiplicity: np.ndarray
) -> np.ndarray:
    """Returns which measurements (N,) lie far from the median of their equivalents.

    The yardstick is the larger of the measurement's sigma and the median distance of the equivalents from their median,
    so that data whose sigmas are too small are not flagged as a whole.
    """
    def group_medians(values: np.ndarray) -> np.ndarray:
        ordered = values[np.lexsort((values, index))]
        starts = np.cumsum(multiplicity) - multiplicity
        return (ordered[starts + (multiplicity - 1) // 2] + ordered[starts + multiplicity // 2]) / 2

    distance = np.abs(intensity - group_medians(intensity)[index])
    spread = 1.4826 * group_medians(distance)[index]
    return (distance > _OUTLIER_SIGMAS * np.maximum(sigma, spread)) & (multiplicity[index] >= _MIN_FOR_OUTLIERS)
