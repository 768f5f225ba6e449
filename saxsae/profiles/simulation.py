"""Curves as an instrument would measure them, computed from structures: tests with a known answer.

The intensity is the Debye sum over the atoms or beads themselves, never over voxels: a curve made
by the forward model that is fitted to it would prove nothing. All scatterers weigh the same and
fill their share of the volume (no shell of bound water, no contrast between elements).
"""

from typing import NamedTuple

import numpy as np

ATOM_VOLUME_ANGSTROM3 = 17.2  # of a protein per heavy atom: 134 A^3 and 7.8 atoms in a mean residue
_BIN_ANGSTROM = 0.2  # of pair distances, each bin at its mean: good to 2e-4 at q = 0.3
_MAX_SCATTERERS = 30_000
_BLOCK_PAIRS = 1 << 22
# Noise of a good curve of 250 points: 0.6 % where I is half of I(0), 5 % at a hundredth of it.
_EXPOSURE_ANGSTROM = 1.2e6
_BUFFER_ANGSTROM3 = 3000.0


class SimulatedCurve(NamedTuple):
    """A curve with noise; I(0) = 1 without it.

    Attributes:
      q_inv_angstrom: (Q,) 1/A.
      intensity: (Q,) with noise.
      sigma: (Q,) its standard deviation.
      exact: (Q,) the intensity before the noise.
    """

    q_inv_angstrom: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    exact: np.ndarray


def bead_volume(spacing_angstrom: float) -> float:
    """Volume (A^3) of a bead in a close packing of the given nearest-neighbour spacing."""
    return spacing_angstrom**3 / np.sqrt(2)


def sampling(rg_angstrom: float, q_max: float = 0.3, num_points: int = 250) -> np.ndarray:
    """q (Q,) in 1/A from 0.01, or from 0.5 / Rg where that is lower: 0.01 would miss the Rg."""
    return np.linspace(min(0.01, 0.5 / rg_angstrom), q_max, num_points)


def debye_intensity(xyz_angstrom: np.ndarray, q_inv_angstrom: np.ndarray,
                    volume_angstrom3: float = ATOM_VOLUME_ANGSTROM3) -> np.ndarray:
    """I(q) / I(0) of equal scatterers by the Debye sum over all pairs, in float64.

    Args:
        xyz_angstrom: (N, 3). Beyond 30,000, neighbours are merged at their centres of mass.
        q_inv_angstrom: (Q,).
        volume_angstrom3: of one scatterer, a sphere: its form factor (Guinier's Gaussian).

    Returns: (Q,).
    """
    points, mass = _merged(np.asarray(xyz_angstrom, np.float64) - np.mean(xyz_angstrom, axis=0))
    distances, counts = _pair_histogram(points, mass)
    q = np.asarray(q_inv_angstrom, np.float64)
    intensity = mass @ mass + 2 * np.sinc(q[:, None] * distances / np.pi) @ counts
    radius = (3 * volume_angstrom3 / (4 * np.pi)) ** (1 / 3)
    return intensity / mass.sum() ** 2 * np.exp(-((q * radius) ** 2) / 5)


def noise_level(q_inv_angstrom: np.ndarray, intensity: np.ndarray,
                particle_volume_angstrom3: float) -> np.ndarray:
    """Standard deviation (Q,) of a measurement of I(q) / I(0).

    sigma^2 = (I + b) / (k q): photons of sample and buffer, counted on rings that widen with q
    (Sedlak, Bruetzel, Lipfert, J. Appl. Cryst. 50, 621, 2017). The buffer counts for more beside a
    small particle, whose I(0) is lower at the same concentration by weight.
    """
    buffer = min(_BUFFER_ANGSTROM3 / particle_volume_angstrom3, 1.0)
    return np.sqrt((intensity + buffer) / (_EXPOSURE_ANGSTROM * q_inv_angstrom))


def simulate_curve(xyz_angstrom: np.ndarray, seed: int | list[int],
                   volume_angstrom3: float = ATOM_VOLUME_ANGSTROM3,
                   q_inv_angstrom: np.ndarray | None = None) -> SimulatedCurve:
    """The measured curve of a structure.

    Args:
        xyz_angstrom: (N, 3) heavy atoms or beads.
        seed: of the noise, whatever numpy's generators take.
        volume_angstrom3: of one scatterer: `ATOM_VOLUME_ANGSTROM3` or `bead_volume`.
        q_inv_angstrom: (Q,) ascending; default `sampling`.
    """
    if q_inv_angstrom is None:
        centred = xyz_angstrom - np.mean(xyz_angstrom, axis=0, dtype=np.float64)
        q_inv_angstrom = sampling(float(np.sqrt((centred**2).sum(-1).mean())))
    exact = debye_intensity(xyz_angstrom, q_inv_angstrom, volume_angstrom3)
    sigma = noise_level(q_inv_angstrom, exact, volume_angstrom3 * len(xyz_angstrom))
    noise = np.random.default_rng(seed).standard_normal(len(exact))
    return SimulatedCurve(q_inv_angstrom, exact + sigma * noise, sigma, exact)


def _merged(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (M, 3) and masses (M,): the atoms, or what shares a cell as small as can be."""
    points, mass, cell = xyz, np.ones(len(xyz)), 1.0
    while len(points) > _MAX_SCATTERERS:
        cell *= 1.2
        _, index, counts = np.unique(np.floor(xyz / cell).astype(np.int64), axis=0,
                                     return_inverse=True, return_counts=True)
        index, mass = index.reshape(-1), counts.astype(np.float64)
        points = np.stack([np.bincount(index, axis) for axis in xyz.T], axis=-1) / mass[:, None]
    return points, mass


def _pair_histogram(points: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unordered pairs in bins of distance: the mean distance and the sum of mass products (B,)."""
    size = int(2 * np.linalg.norm(points, axis=-1).max() / _BIN_ANGSTROM) + 2
    counts, lengths = np.zeros((2, size))
    points = points.astype(np.float32)
    squares = (points**2).sum(-1)
    start = 0
    while start < len(points) - 1:
        rows = slice(start, start + max(1, _BLOCK_PAIRS // (len(points) - start)))
        square = squares[rows, None] + squares[start:] - 2 * points[rows] @ points[start:].T
        distance = np.sqrt(np.maximum(square, 0.0))
        bins = (distance / _BIN_ANGSTROM).astype(np.int32).reshape(-1)
        pairs = np.triu(mass[rows, None] * mass[start:], 1)  # row i is point start + i
        counts += np.bincount(bins, pairs.reshape(-1), minlength=size)[:size]
        lengths += np.bincount(bins, (pairs * distance).reshape(-1), minlength=size)[:size]
        start = rows.stop
    filled = counts > 0
    return lengths[filled] / counts[filled], counts[filled]
