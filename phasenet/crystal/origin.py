"""Finds the origin of a map that was phased without symmetry, from the symmetry that the map shows; `solve` calls it.

1. Correlate rho(y) with rho(R y + v) for each operator x -> R x + t and for all v, by FFT.
2. Take the grid point u, as the new origin, at which v = t + u - R u correlates best, summed over the operators.
3. Refine u between the grid points, by Newton steps on the phases of the map and of its copies.
4. `symmetrise` shifts the map to this origin and averages it over the group.

The mean correlation at the best shift is the overlap, a figure of merit that the phasing does not optimise.
"""

from typing import NamedTuple

import numpy as np

from phasenet.crystal import grids
from phasenet.crystal.grids import CrystalGrid

_NEWTON_STEPS = 3
_MIN_COHERENCE = 0.3  # of a map with a copy; below it a Newton step would be too long


class SymmetricMap(NamedTuple):
    """A map about the origin of its space group, averaged over the group.

    Attributes:
      density: (X, Y, Z).
      overlap: mean correlation of the map with its symmetry copies before averaging; 1 in P1.
      shift: (3,) fractional, the place of the new origin in the old map.
    """

    density: np.ndarray
    overlap: float
    shift: np.ndarray


def symmetrise(density: np.ndarray, grid: CrystalGrid) -> SymmetricMap:
    """Finds the origin of a map (X, Y, Z) and averages the map over the group."""
    shift = find_origin(density, grid)
    moved = shift_map(density, shift)
    average = grids.average_over_group(moved, grid)
    return SymmetricMap(average, _overlap(moved, average, len(grid.rotations)), shift)


def find_origin(density: np.ndarray, grid: CrystalGrid) -> np.ndarray:
    """Returns the place (3,), fractional, about which a map (X, Y, Z) obeys the operators best."""
    if len(grid.rotations) == 1:
        return np.zeros(3)
    size = np.array(grid.shape)
    voxels = np.stack(np.meshgrid(*[np.arange(edge) for edge in grid.shape], indexing="ij"), -1).reshape(-1, 3)
    positive = np.maximum(density, 0.0)
    positive = positive - positive.mean()
    transform = np.conj(np.fft.rfftn(positive))
    total = np.zeros(len(voxels))
    for rotation, translation in zip(grid.rotations[1:], grid.translations[1:], strict=True):
        rotated = positive.ravel()[_moved_voxels(voxels, rotation, np.zeros(3), size)].reshape(grid.shape)
        # c(w) = sum_y rho(y) rho(R (y + w)), so v = R w
        correlation = np.fft.irfftn(transform * np.fft.rfftn(rotated), s=grid.shape, axes=(0, 1, 2))
        inverse = np.round(np.linalg.inv(rotation)).astype(np.int64)
        # w = R^-1 (t + u - R u) = R^-1 u - u + R^-1 t
        total += correlation.ravel()[_moved_voxels(voxels, inverse, inverse @ translation, size, subtract=True)]
    shift = voxels[int(total.argmax())] / size
    for _ in range(_NEWTON_STEPS):
        shift = shift + np.clip(_remaining_shift(shift_map(positive, shift), grid), -1 / size, 1 / size)
    return shift % 1


def _remaining_shift(density: np.ndarray, grid: CrystalGrid) -> np.ndarray:
    """Returns the shift (3,), fractional and less than a voxel, from the origin of a map to that of its symmetry.

    A map that obeys the operators about d has map(R x + t) = map(x + w) with w = d - R^-1 d. One Newton step on the
    phases of both, weighted by their amplitudes, gives w for each operator; least squares then give d.
    """
    transform = np.fft.rfftn(density)
    index = np.stack(np.meshgrid(*_frequencies(grid.shape), indexing="ij"), -1)[grid.measured]
    matrices, offsets = [], []
    for rotation, permutation in zip(grid.rotations[1:], grid.permutations[1:], strict=True):
        copy = np.fft.rfftn(density.ravel()[permutation].reshape(grid.shape))
        product = (np.conj(transform) * copy)[grid.measured]
        gradient = 2 * np.pi * product.imag @ index
        size = np.abs(product)
        coherence = max(float(product.real.sum() / (size.sum() + 1e-30)), _MIN_COHERENCE)
        curvature = coherence * (2 * np.pi)**2 * (index * size[:, None]).T @ index
        inverse = np.linalg.inv(rotation)
        matrices.append(curvature @ (np.eye(3) - inverse))
        offsets.append(gradient)
    scale = np.abs(matrices[0]).max() + 1e-30
    return np.linalg.lstsq(np.concatenate(matrices) / scale, np.concatenate(offsets) / scale, rcond=1e-6)[0]


def shift_map(density: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Returns the map (X, Y, Z) about a new origin at `shift` (3,), fractional, by its Fourier series."""
    shape = density.shape
    waves = [np.exp(2j * np.pi * frequency * part) for frequency, part in zip(_frequencies(shape), shift, strict=True)]
    for wave, edge in zip(waves, shape, strict=True):
        if edge % 2 == 0:
            wave[edge // 2] = wave[edge // 2].real
    factor = waves[0][:, None, None] * waves[1][None, :, None] * waves[2][None, None]
    return np.fft.irfftn(np.fft.rfftn(density) * factor, s=shape, axes=(0, 1, 2))


def _overlap(density: np.ndarray, average: np.ndarray, order: int) -> float:
    """Returns the mean correlation of a map with its copies by all operators but the identity.

    The mean over all operators is <density, average> / <density, density>, the identity's part 1.
    """
    if order == 1:
        return 1.0
    centred = density - density.mean()
    mean = float((centred * average).sum() / max(np.square(centred).sum(), 1e-30))
    return (order * mean - 1) / (order - 1)


def _moved_voxels(voxels: np.ndarray, rotation: np.ndarray, translation: np.ndarray, size: np.ndarray,
                  subtract: bool = False) -> np.ndarray:
    """Returns the flat index of rotation @ x + translation, less x with `subtract`, for all voxels x, (V,)."""
    on_grid = np.round(rotation * (size[:, None] / size[None, :])).astype(np.int64)
    moved = voxels @ on_grid.T + np.round(translation * size).astype(np.int64)
    moved = (moved - voxels if subtract else moved) % size
    return np.ravel_multi_index(tuple(moved.T), tuple(size))


def _frequencies(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Returns the indices h, k and l of the half-complex transform of a map."""
    return [*(np.fft.fftfreq(edge, 1 / edge) for edge in shape[:2]), np.arange(shape[2] // 2 + 1.0)]
