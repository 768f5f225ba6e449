"""Tests the distribution of normalised intensities for a centre of symmetry, twinning and pseudo-translation.

For a structure of many equal atoms (Wilson, Acta Cryst. 2, 318, 1949; Stanley, J. Appl. Cryst. 5, 191, 1972):

    |                    | centrosymmetric | not  | centrosymmetric, perfect twin | not, perfect twin |
    | mean |E^2 - 1|     | 0.968           | 0.736| 0.736                         | 0.541             |
    | mean |L|           | 0.637           | 0.500| 0.500                         | 0.375             |
    | mean E^4           | 3               | 2    | 2                             | 1.5               |

L = (E1^2 - E2^2) / (E1^2 + E2^2) compares neighbours in reciprocal space (Padilla & Yeates, Acta Cryst. D59, 1124,
2003).
"""

from typing import NamedTuple

import numpy as np

from phasenet.crystal.lattice import SpaceGroupOperators, find_absences, inverse_spacing, orthogonalization_matrix
from phasenet.crystal.measured.merging import Merged, find_rows, laue_rotations, unique_indices

MEAN_E2_MINUS_1 = {"centrosymmetric": 0.968, "acentric": 0.736, "acentric twin": 0.541}
# Standard deviation of |E^2 - 1| of one reflection, from the moments of the two distributions.
_SCATTER = {"centrosymmetric": 1.031, "acentric": 0.677}
# How far real structures stray from ideal statistics (heavy atoms, planar molecules, pseudo-symmetry).
_MODEL_ERROR = 0.07
_TWIN_SHARE, _PSEUDO_CENTRE_SHARE = 0.02, 0.05
_STRONG_NEIGHBOR_SIGMAS = 3.0
_MIN_VECTOR_LENGTH = 3.0


class IntensityStatistics(NamedTuple):
    """Distribution of E^2 over the general reflections of a Laue group.

    Attributes:
      num_general: number of reflections used: not on a symmetry element, and within the resolution asked for.
      mean_e2_minus_1: mean |E^2 - 1|.
      mean_e2_minus_1_sigma: its standard deviation from the number of reflections alone.
      mean_e4: mean E^4 with the noise of the measurement subtracted.
      cumulative: (10,) fraction N(z) of reflections with E^2 below z = 0.1, 0.2 ... 1.
      mean_abs_l: mean |L| of neighbours; NaN with fewer than 50 pairs.
      mean_l2: mean L^2.
      num_l_pairs: number of pairs of neighbours.
      log_odds_centrosymmetric: natural logarithm of the odds that mean |E^2 - 1| is that of a centrosymmetric
        structure, prior odds one.
    """

    num_general: int
    mean_e2_minus_1: float
    mean_e2_minus_1_sigma: float
    mean_e4: float
    cumulative: np.ndarray
    mean_abs_l: float
    mean_l2: float
    num_l_pairs: int
    log_odds_centrosymmetric: float


class TwinLawTest(NamedTuple):
    """Test for twinning by a rotation of the lattice that the crystal does not have.

    Attributes:
      rotation: (3, 3) int32, on fractional coordinates.
      num_pairs: number of pairs of strong reflections that it relates.
      mean_h: mean of |I1 - I2| / (I1 + I2): 0.5 (acentric) or 0.637 (centric) untwinned, 0 for a perfect twin (Yeates,
        Acta Cryst. A44, 142, 1988).
      fraction: fraction of the smaller twin component, from `mean_h` over its untwinned value.
    """

    rotation: np.ndarray
    num_pairs: int
    mean_h: float
    fraction: float


class PseudoTranslation(NamedTuple):
    """A vector by which much of the structure repeats: an off-origin peak of the Patterson map of E^2.

    Attributes:
      vector: (3,) fractional.
      height: relative to the origin peak; 1 for a true translation.
      length: distance in A from the nearest lattice point.
    """

    vector: np.ndarray
    height: float
    length: float


def intensity_statistics(
    merged: Merged, e2: np.ndarray, e2_sigma: np.ndarray, operators: SpaceGroupOperators, selected: np.ndarray
) -> IntensityStatistics:
    """Returns the distribution of normalised intensities.

    Only general reflections are used: those on a symmetry element are centric in acentric groups too.

    Args:
      merged: unique reflections.
      e2: (M,) normalised intensities.
      e2_sigma: (M,) their standard deviations.
      operators: group whose rotations say which reflections are general.
      selected: (M,) bool, the reflections to use, such as those above the noise.
    """
    general = selected & ~find_absences(merged.hkl, operators)
    for rotation in laue_rotations(operators.rotations):
        if not (np.array_equal(rotation, np.eye(3)) or np.array_equal(rotation, -np.eye(3))):
            general &= ~(merged.hkl @ rotation == merged.hkl).all(1)
    values = e2[general]
    if not len(values):
        return IntensityStatistics(0, np.nan, np.nan, np.nan, np.full(10, np.nan), np.nan, np.nan, 0, 0.0)
    values = values / values.mean()
    deviations = np.abs(values - 1)
    mean = float(deviations.mean())
    mean_l, mean_l2, num_pairs = _neighbor_test(merged, e2, e2_sigma, operators, general)
    return IntensityStatistics(
        num_general=len(values),
        mean_e2_minus_1=mean,
        mean_e2_minus_1_sigma=float(deviations.std() / np.sqrt(len(values))),
        mean_e4=float((values**2 - (e2_sigma[general] / e2[general].mean()) ** 2).mean()),
        cumulative=(values[:, None] < np.arange(1, 11) / 10).mean(axis=0),
        mean_abs_l=mean_l,
        mean_l2=mean_l2,
        num_l_pairs=num_pairs,
        log_odds_centrosymmetric=log_odds_centrosymmetric(mean, len(values)),
    )


def log_odds_centrosymmetric(mean_e2_minus_1: float, num_reflections: int) -> float:
    """Returns the natural logarithm of the odds that mean |E^2 - 1| is a centrosymmetric structure's.

    Each hypothesis is a normal distribution about its ideal value. Its variance is that of the mean over
    `num_reflections` plus that of real structures about the ideal. A mean outside the two ideal values counts as the
    nearer one of them. A small share of centrosymmetric structures looks acentric (twins), and of acentric structures
    centrosymmetric (pseudo-centres).
    """
    clipped = np.clip(mean_e2_minus_1, MEAN_E2_MINUS_1["acentric"], MEAN_E2_MINUS_1["centrosymmetric"])
    logs = {}
    for name, scatter in _SCATTER.items():
        variance = scatter**2 / max(num_reflections, 1) + _MODEL_ERROR**2
        logs[name] = -((clipped - MEAN_E2_MINUS_1[name]) ** 2) / (2 * variance) - 0.5 * np.log(variance)
    centric, acentric = logs["centrosymmetric"], logs["acentric"]
    return float(
        np.logaddexp(np.log(1 - _TWIN_SHARE) + centric, np.log(_TWIN_SHARE) + acentric)
        - np.logaddexp(np.log(1 - _PSEUDO_CENTRE_SHARE) + acentric, np.log(_PSEUDO_CENTRE_SHARE) + centric)
    )


def find_neighbor_vectors(operators: SpaceGroupOperators) -> np.ndarray:
    """Returns even displacements (K, 3) in reciprocal space, one of each +/- pair, that the lattice centring allows."""
    steps = np.array(np.meshgrid(*[[-2, 0, 2]] * 3, indexing="ij")).reshape(3, -1).T
    steps = np.array(sorted({tuple(step) for step in steps.tolist() if tuple(step) > (0, 0, 0)}, key=np.linalg.norm))
    centring = operators.translations[(operators.rotations == np.eye(3, dtype=int)).all((1, 2))]
    phases = steps @ centring.T
    return steps[(np.abs(phases - np.round(phases)) < 1e-3).all(1)]


def estimate_twin_fraction(
    merged: Merged, rotations: np.ndarray, twin_rotation: np.ndarray, centric_fraction: float = 0.0
) -> TwinLawTest:
    """Returns the twin fraction by the H-test for a rotation of the lattice that is not one of the crystal.

    Args:
      merged: unique reflections of the crystal's Laue group.
      rotations: (n, 3, 3) of the crystal's point group.
      twin_rotation: (3, 3) on fractional coordinates.
      centric_fraction: 1 for a centrosymmetric structure, 0 otherwise: sets the untwinned value of mean H.
    """
    partner = find_rows(merged.hkl, unique_indices(merged.hkl @ np.asarray(twin_rotation), rotations))
    strong = merged.intensity > _STRONG_NEIGHBOR_SIGMAS * merged.sigma
    first = np.flatnonzero((partner > np.arange(len(partner))) & strong)
    first = first[strong[partner[first]]]
    if not len(first):
        return TwinLawTest(np.asarray(twin_rotation, np.int32), 0, np.nan, np.nan)
    one, two = merged.intensity[first], merged.intensity[partner[first]]
    mean_h = float((np.abs(one - two) / (one + two)).mean())
    untwinned = 0.5 + centric_fraction * (2 / np.pi - 0.5)
    return TwinLawTest(np.asarray(twin_rotation, np.int32), len(first), mean_h,
                       float(np.clip(0.5 * (1 - mean_h / untwinned), 0, 0.5)))


def find_pseudo_translations(
    merged: Merged, e2: np.ndarray, cell: np.ndarray, operators: SpaceGroupOperators, min_height: float = 0.3
) -> tuple[PseudoTranslation, ...]:
    """Returns the highest off-origin peaks of the Patterson map of E^2, one of each set of equivalents.

    Args:
      merged: unique reflections, systematic absences taken out.
      e2: (M,) normalised intensities.
      cell: (6,) Angstrom and degrees.
      operators: rotations of the Laue group with the centring, whose vectors are no peaks.
      min_height: lowest height that is reported, relative to the origin peak.
    """
    laue = laue_rotations(operators.rotations)
    hkl = np.concatenate([merged.hkl @ rotation for rotation in laue])
    values = np.tile(np.clip(e2, 0, 25), len(laue))
    _, first = np.unique(hkl, axis=0, return_index=True)
    hkl, values = hkl[first], values[first]
    # A multiple of 12 in each direction puts halves, thirds, quarters and sixths on the grid.
    size = [int(12 * np.ceil((2.5 * np.abs(hkl[:, axis]).max() + 1) / 12)) for axis in range(3)]
    coefficients = np.zeros(size)
    coefficients[tuple(hkl.T % np.array(size)[:, None])] = values
    patterson = np.fft.fftn(coefficients).real / values.sum()
    is_peak = patterson >= min_height
    for shift in np.array(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij")).reshape(3, -1).T:
        if shift.any():
            is_peak &= patterson >= np.roll(patterson, shift, axis=(0, 1, 2))
    places = np.argwhere(is_peak) / np.array(size)
    heights = patterson[is_peak]
    found: list[PseudoTranslation] = []
    matrix = orthogonalization_matrix(cell)
    centring = operators.translations[(operators.rotations == np.eye(3, dtype=int)).all((1, 2))]
    for index in np.argsort(-heights, kind="stable")[:500]:
        vector = places[index]
        length = _length_modulo_lattice(vector, centring, matrix)
        equivalents = vector @ laue.transpose(0, 2, 1)
        if length >= _MIN_VECTOR_LENGTH and not any(
            min(_length_modulo_lattice(other.vector - equivalent, centring, matrix) for equivalent in equivalents) < 0.7
            for other in found
        ):
            found.append(PseudoTranslation(vector, float(heights[index]), length))
    return tuple(found)


def _length_modulo_lattice(vector: np.ndarray, centring: np.ndarray, matrix: np.ndarray) -> float:
    """Returns the distance in A of a fractional vector (3,) from the nearest lattice point, centring (n, 3) too."""
    shifts = np.array(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij")).reshape(3, 1, -1).transpose(2, 1, 0)
    from_point = vector - centring
    return float(np.linalg.norm((from_point - np.round(from_point) + shifts) @ matrix.T, axis=-1).min())


def _neighbor_test(
    merged: Merged, e2: np.ndarray, e2_sigma: np.ndarray, operators: SpaceGroupOperators, general: np.ndarray
) -> tuple[float, float, int]:
    """Returns mean |L|, mean L^2 and the number of pairs of general reflections next to each other.

    L is taken of E^2 and not of I, because neighbours in the reciprocal lattice of a small cell differ in resolution.
    """
    values = []
    for step in find_neighbor_vectors(operators):
        partner = find_rows(merged.hkl, unique_indices(merged.hkl + step, operators.rotations))
        use = np.flatnonzero((partner >= 0) & (partner != np.arange(len(partner))) & general)
        use = use[general[partner[use]]]
        one, two = np.maximum(e2[use], 0), np.maximum(e2[partner[use]], 0)
        noise = np.hypot(e2_sigma[use], e2_sigma[partner[use]])
        enough = one + two > _STRONG_NEIGHBOR_SIGMAS * noise
        values.append((one - two)[enough] / (one + two)[enough])
    ratios = np.concatenate(values) if values else np.zeros(0)
    if len(ratios) < 50:
        return np.nan, np.nan, len(ratios)
    return float(np.abs(ratios).mean()), float((ratios**2).mean()), len(ratios)


def within_resolution(merged: Merged, cell: np.ndarray, d_min: float) -> np.ndarray:
    """Returns which reflections (M,) have spacings of at least `d_min` A; all of them if it is NaN."""
    return ~(inverse_spacing(merged.hkl, cell) > (1 + 1e-6) / d_min)
