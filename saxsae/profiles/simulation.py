"""Simulates measured curves of known structures, for evaluation.

The intensity is the Debye sum over the atoms or beads, not over voxels: a reconstruction from a curve of the fitted
model itself would prove nothing. There are two kinds of curves:

* `simulate_curve`: all scatterers have the same weight and a Gaussian form factor, and there is no bound water, because
  nothing more is known of beads.
* `solution_intensity`: atoms with the amplitudes of their elements, in a shell of bound water, as in a measurement.

Called by `launch.evaluate`, `launch.datasets.held_out` and `launch.datasets.calibrate_curve_numbers`.
"""

from typing import NamedTuple

import numpy as np

from saxsae.profiles import excess_electrons
from saxsae.shapes import densities
from saxsae.shapes.densities import ATOM_VOLUME_ANGSTROM3
from saxsae.shapes.voxels import CENTRE

_BIN_ANGSTROM = 0.2  # width of the bins of pair distances; pairs take the mean distance of their bin (error 2e-4)
_MAX_SCATTERERS = 30_000  # of a Debye sum; more are merged
_BLOCK_PAIRS = 1 << 22  # pairs that are computed at a time
# The constants of `noise_sigma`, those of a good curve of 250 points: the noise is about 0.5 % where I is half of I(0),
# and 5 % where I is a hundredth of I(0).
_EXPOSURE_ANGSTROM = 1.2e6  # k
_BUFFER_ANGSTROM3 = 3000.0  # b is this constant over the volume of the particle, at most 1


class SimulatedCurve(NamedTuple):
    """A curve with noise. Intensities are in units of I(0).

    Attributes:
      q_inv_angstrom: (Q,) 1/A, ascending.
      intensity: (Q,) with noise.
      sigma: (Q,) standard deviation of the noise.
      exact: (Q,) the intensity without noise.
    """

    q_inv_angstrom: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    exact: np.ndarray


def bead_volume(spacing_angstrom: float) -> float:
    """Returns the volume (A^3) of a bead in a close packing of the given nearest-neighbour spacing."""
    return spacing_angstrom**3 / np.sqrt(2)


def choose_q(rg_angstrom: float, q_max: float = 0.3, num_points: int = 250) -> np.ndarray:
    """Returns q (num_points,) in 1/A, equally spaced from 0.01, or from 0.5 / Rg if that is smaller, to q_max.

    For a large particle a curve from 0.01 would not show the Guinier region.
    """
    return np.linspace(min(0.01, 0.5 / rg_angstrom), q_max, num_points)


def debye_intensity(xyz_angstrom: np.ndarray, q_inv_angstrom: np.ndarray,
                    volume_angstrom3: float = ATOM_VOLUME_ANGSTROM3) -> np.ndarray:
    """Returns I(q) / I(0) of equal scatterers by the Debye sum over all pairs.

    Args:
      xyz_angstrom: (N, 3) positions. If there are more than 30,000, neighbours are merged at their centres of mass.
      q_inv_angstrom: (Q,) 1/A.
      volume_angstrom3: volume of one scatterer. Its form factor is the Guinier approximation for a sphere of this
        volume.

    Returns:
      (Q,) float64.
    """
    points, mass = _merge_scatterers(np.asarray(xyz_angstrom, np.float64) - np.mean(xyz_angstrom, axis=0))
    q = np.asarray(q_inv_angstrom, np.float64)
    intensity = mass @ mass + 2 * _sum_sinc(q, *_pair_histogram(points, mass))
    radius = (3 * volume_angstrom3 / (4 * np.pi)) ** (1 / 3)
    return intensity / mass.sum() ** 2 * np.exp(-((q * radius) ** 2) / 5)


def solution_intensity(xyz_angstrom: np.ndarray, atomic_number: np.ndarray, q_inv_angstrom: np.ndarray,
                       contrast: float) -> np.ndarray:
    """Returns I(q) of a structure with the amplitudes of its elements and a shell of bound water, on any scale.

    Args:
      xyz_angstrom: (N, 3) positions of the heavy atoms.
      atomic_number: (N,).
      q_inv_angstrom: (Q,) 1/A.
      contrast: of the shell, e/A^3; see `saxsae.shapes.densities.shell_density`.

    Returns:
      (Q,) float64.
    """
    xyz = np.asarray(xyz_angstrom, np.float64) - np.mean(xyz_angstrom, axis=0)
    q = np.asarray(q_inv_angstrom, np.float64)
    r_max = float(np.sqrt((xyz**2).sum(-1).max()))
    pitch = densities.density_pitch(r_max)
    covered = densities.shell_fraction(xyz, r_max)
    voxels = np.argwhere(covered > 0)
    # Each class of scatterers: points, their weights, their common amplitude.
    classes = [((voxels - CENTRE) * pitch, covered[tuple(voxels.T)],
                contrast * pitch**3 * np.exp(-((q * pitch) ** 2) / 24))]
    elements = excess_electrons.known_elements(atomic_number)
    for number in np.unique(elements):
        chosen = xyz[elements == number]
        points, mass = _merge_scatterers(chosen)
        classes.append((points, mass, excess_electrons.amplitude(int(number), q)))
    intensity = np.zeros(len(q))
    for place, (points, weights, amplitude) in enumerate(classes):
        intensity += amplitude**2 * (weights @ weights + 2 * _sum_sinc(q, *_pair_histogram(points, weights)))
        for others, their_weights, their_amplitude in classes[place + 1:]:
            pairs = _sum_sinc(q, *_cross_histogram(points, weights, others, their_weights))
            intensity += 2 * amplitude * their_amplitude * pairs
    return intensity


def noise_sigma(q_inv_angstrom: np.ndarray, intensity: np.ndarray,
                particle_volume_angstrom3: float) -> np.ndarray:
    """Returns the standard deviation (Q,) of a measurement of I(q) / I(0).

    sigma^2 = (I + b) / (k q): photons of the sample (I) and of the buffer (b) are counted on rings whose area grows
    with q (S. M. Sedlak, L. K. Bruetzel, J. Lipfert, J. Appl. Cryst. 50, 621, 2017). In units of I(0), b is larger for
    a small particle, because its I(0) is lower at the same concentration by weight.

    Args:
      q_inv_angstrom: (Q,) 1/A, positive.
      intensity: (Q,) I(q) / I(0) without noise.
      particle_volume_angstrom3: volume of the particle, A^3.
    """
    return np.sqrt((intensity + buffer_level(particle_volume_angstrom3)) / (_EXPOSURE_ANGSTROM * q_inv_angstrom))


def buffer_level(particle_volume_angstrom3: float) -> float:
    """Returns the intensity of the buffer, in units of I(0), under the curve of a particle of this volume (A^3)."""
    return min(_BUFFER_ANGSTROM3 / particle_volume_angstrom3, 1.0)


def simulate_curve(xyz_angstrom: np.ndarray, seed: int | list[int],
                   volume_angstrom3: float = ATOM_VOLUME_ANGSTROM3,
                   q_inv_angstrom: np.ndarray | None = None) -> SimulatedCurve:
    """Returns a curve of a structure with simulated noise.

    Args:
      xyz_angstrom: (N, 3) positions of heavy atoms or beads.
      seed: seed of the noise, for `np.random.default_rng`.
      volume_angstrom3: volume of one scatterer in A^3, `ATOM_VOLUME_ANGSTROM3` or `bead_volume(spacing)`.
      q_inv_angstrom: (Q,) 1/A, ascending and positive; by default `choose_q` of the radius of gyration.
    """
    if q_inv_angstrom is None:
        centred = xyz_angstrom - np.mean(xyz_angstrom, axis=0, dtype=np.float64)
        q_inv_angstrom = choose_q(float(np.sqrt((centred**2).sum(-1).mean())))
    exact = debye_intensity(xyz_angstrom, q_inv_angstrom, volume_angstrom3)
    sigma = noise_sigma(q_inv_angstrom, exact, volume_angstrom3 * len(xyz_angstrom))
    noise = np.random.default_rng(seed).standard_normal(len(exact))
    return SimulatedCurve(q_inv_angstrom, exact + sigma * noise, sigma, exact)


def _merge_scatterers(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns points (M, 3) and masses (M,), M <= `_MAX_SCATTERERS`, by merging the atoms (N, 3) of each cubic cell."""
    points, mass, cell = xyz, np.ones(len(xyz)), 1.0
    while len(points) > _MAX_SCATTERERS:
        cell *= 1.2
        _, index, counts = np.unique(np.floor(xyz / cell).astype(np.int64), axis=0,
                                     return_inverse=True, return_counts=True)
        index, mass = index.reshape(-1), counts.astype(np.float64)
        points = np.stack([np.bincount(index, axis) for axis in xyz.T], axis=-1) / mass[:, None]
    return points, mass


def _sum_sinc(q: np.ndarray, distances: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns the sum (Q,) of sin(q d) / (q d) over a histogram of distances (B,) in Angstrom, at q (Q,) in 1/A."""
    return np.sinc(q[:, None] * distances / np.pi) @ counts


def _pair_histogram(points: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean distance (B,) and the sum of mass products (B,) of the unordered pairs in bins of distance."""
    histogram = np.zeros((2, int(2 * np.linalg.norm(points, axis=-1).max() / _BIN_ANGSTROM) + 2))
    start = 0
    while start < len(points) - 1:
        rows = slice(start, start + max(1, _BLOCK_PAIRS // (len(points) - start)))
        products = np.triu(mass[rows, None] * mass[start:], 1)  # row i is point start + i
        _add_pairs(histogram, points[rows], points[start:], products)
        start = rows.stop
    return _means_of_bins(histogram)


def _cross_histogram(first: np.ndarray, first_mass: np.ndarray, second: np.ndarray,
                     second_mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean distance (B,) and the sum of mass products (B,) of all pairs of a first and a second point."""
    reach = np.linalg.norm(first, axis=-1).max() + np.linalg.norm(second, axis=-1).max()
    histogram = np.zeros((2, int(reach / _BIN_ANGSTROM) + 2))
    rows = max(1, _BLOCK_PAIRS // len(second))
    for start in range(0, len(first), rows):
        part = slice(start, start + rows)
        _add_pairs(histogram, first[part], second, first_mass[part, None] * second_mass)
    return _means_of_bins(histogram)


def _add_pairs(histogram: np.ndarray, first: np.ndarray, second: np.ndarray, products: np.ndarray) -> None:
    """Adds pairs of points (M, 3) and (N, 3) with mass products (M, N) to sums (2, B) of products and of distances."""
    first, second = first.astype(np.float32), second.astype(np.float32)
    square = (first**2).sum(-1)[:, None] + (second**2).sum(-1) - 2 * first @ second.T
    distance = np.sqrt(np.maximum(square, 0.0))
    size = histogram.shape[1]
    bins = np.minimum((distance / _BIN_ANGSTROM).astype(np.int32), size - 1).reshape(-1)
    histogram[0] += np.bincount(bins, products.reshape(-1), minlength=size)
    histogram[1] += np.bincount(bins, (products * distance).reshape(-1), minlength=size)


def _means_of_bins(histogram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean distance and the sum of products of the bins that are not empty, from sums (2, B)."""
    counts, lengths = histogram[:, histogram[0] > 0]
    return lengths / counts, counts
