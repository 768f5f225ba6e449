"""FFT grids of a unit cell that the space-group operators map onto themselves, and reflections placed on them.

Maps are real arrays with voxel (i, j, k) at the fractional coordinates (i, j, k) / shape. With F(h) = sum_j f_j
exp(2 pi i h . x_j), `rfftn` of a map is proportional to the complex conjugate of F.
"""

from typing import NamedTuple

import numpy as np

from phasenet.crystal import lattice
from phasenet.crystal.lattice import SpaceGroupOperators

POINTS_PER_D_MIN = 2.8
_LARGEST_PRIME = 7
_MAX_EDGE = 512


class CrystalGrid(NamedTuple):
    """A grid, and where it holds N unique reflections with their mates (M places of the half-complex transform).

    Attributes:
      shape: voxels along a, b and c; even.
      rotations: (P, 3, 3) int, operators of the group without centring translations, the identity first.
      translations: (P, 3) their translations.
      centring: (C, 3) centring translations, (0, 0, 0) first.
      metric_root: (3, 3); fractional coordinates as rows @ metric_root are in Angstrom.
      permutations: (P, V) int32; `map.ravel()[permutations[p]]` is the map at rotation @ x + translation.
      places: (M,) int32, flat index into the `rfftn` of a map.
      sources: (M,) int32, the unique reflection at a place.
      phase_factors: (M,) complex; the transform at a place is this factor times F of the unique reflection, or times
        the complex conjugate of F where `conjugated`.
      conjugated: (M,) bool, see `phase_factors`.
      measured: (X, Y, Z/2 + 1) bool, reflections whose amplitude is known: measured, or zero as systematic absences.
      inverse_spacing: (X, Y, Z/2 + 1) 1/d in 1/A.
    """

    shape: tuple[int, int, int]
    rotations: np.ndarray
    translations: np.ndarray
    centring: np.ndarray
    metric_root: np.ndarray
    permutations: np.ndarray
    places: np.ndarray
    sources: np.ndarray
    phase_factors: np.ndarray
    conjugated: np.ndarray
    measured: np.ndarray
    inverse_spacing: np.ndarray

    @property
    def half_shape(self) -> tuple[int, int, int]:
        """Shape of the `rfftn` of a map."""
        return (*self.shape[:2], self.shape[2] // 2 + 1)


def build_grid(hkl: np.ndarray, cell: np.ndarray, operators: SpaceGroupOperators, d_min: float) -> CrystalGrid:
    """Returns the grid of a crystal and places its reflections.

    Args:
      hkl: (N, 3) unique reflections without systematic absences.
      cell: (6,) Angstrom and degrees.
      operators: of the space group.
      d_min: resolution in Angstrom.
    """
    shape = choose_shape(cell, operators, d_min)
    rotations, translations = primitive_operators(operators)
    size, half = np.array(shape), shape[2] // 2 + 1
    indices = np.stack(np.meshgrid(np.fft.fftfreq(shape[0], 1 / shape[0]), np.fft.fftfreq(shape[1], 1 / shape[1]),
                                   np.arange(half), indexing="ij"), -1).astype(np.int64)
    spacing = lattice.inverse_spacing(indices, cell)

    places, sources, factors, conjugated = [], [], [], []
    for rotation, translation in zip(rotations, translations, strict=True):
        mates = np.asarray(hkl, np.int64) @ rotation
        factor = np.exp(-2j * np.pi * (hkl @ translation))
        for sign in (1, -1):
            index = (sign * mates) % size
            inside = index[:, 2] < half
            places.append(np.ravel_multi_index(tuple(index[inside].T), (*shape[:2], half)))
            sources.append(np.flatnonzero(inside))
            # rfftn of the map at h is the conjugate of F(h), and that of F(-h) is F(h).
            factors.append((np.conj(factor) if sign == 1 else factor)[inside])
            conjugated.append(np.full(inside.sum(), sign == 1))
    place, first = np.unique(np.concatenate(places), return_index=True)
    measured = np.zeros((*shape[:2], half), bool)
    measured.ravel()[place] = True
    measured |= lattice.find_absences(indices, operators) & (spacing <= 1 / d_min)
    measured[0, 0, 0] = False
    identity = (operators.rotations == np.eye(3)).all((1, 2))
    return CrystalGrid(shape, rotations, translations, operators.translations[identity],
                       lattice.orthogonalization_matrix(cell).T, _permutations(shape, rotations, translations),
                       place.astype(np.int32), np.concatenate(sources)[first].astype(np.int32),
                       np.concatenate(factors)[first], np.concatenate(conjugated)[first], measured, spacing)


def choose_shape(cell: np.ndarray, operators: SpaceGroupOperators, d_min: float) -> tuple[int, int, int]:
    """Returns the voxels along the edges of a cell (6,) for data to `d_min` A.

    The numbers are even, have small prime factors, and the operators map the grid onto itself.
    """
    needed = POINTS_PER_D_MIN * np.asarray(cell[:3], float) / d_min - 0.2
    mixed = (operators.rotations != 0).any(0)
    reach = np.linalg.matrix_power(mixed.astype(int) + mixed.T.astype(int) + np.eye(3, dtype=int), 3) > 0
    needed = np.where(reach, needed[None], 0.0).max(1)
    fractions = np.round(operators.translations * 24).astype(int)
    shape = []
    for axis in range(3):
        steps = fractions[:, reach[axis]].ravel()
        denominator = np.lcm.reduce(24 // np.gcd(steps, 24))
        step = int(np.lcm(denominator, 2))
        candidates = (size for size in range(step, _MAX_EDGE * step, step) if _is_smooth(size) and size >= 8)
        shape.append(next(size for size in candidates if size >= needed[axis]))
    return shape[0], shape[1], shape[2]


def primitive_operators(operators: SpaceGroupOperators) -> tuple[np.ndarray, np.ndarray]:
    """Returns one operator of each rotation, (P, 3, 3) and (P, 3), the identity without translation first."""
    _, first = np.unique(operators.rotations.reshape(-1, 9), axis=0, return_index=True)
    first = np.sort(first)
    return operators.rotations[first].astype(np.int64), operators.translations[first]


def place_on_grid(values: np.ndarray, grid: CrystalGrid) -> np.ndarray:
    """Spreads values of the unique reflections over the half-complex transform.

    Args:
      values: (N,) real amplitudes, which become the amplitudes of all mates, or complex structure factors.
      grid: their grid.

    Returns:
      (X, Y, Z/2 + 1) of the same kind; zero where no reflection is. `irfftn` of placed structure factors is the map.
    """
    placed = np.zeros(int(np.prod(grid.half_shape)), values.dtype)
    chosen = values[grid.sources]
    if np.iscomplexobj(values):
        chosen = np.where(grid.conjugated, np.conj(chosen), chosen) * grid.phase_factors
    placed[grid.places] = chosen
    return placed.reshape(grid.half_shape)


def map_from_structure_factors(values: np.ndarray, grid: CrystalGrid) -> np.ndarray:
    """Returns the map (X, Y, Z), the sum over all h of F(h) exp(-2 pi i h . x), of unique structure factors F (N,)."""
    return np.fft.irfftn(place_on_grid(values, grid), s=grid.shape, axes=(0, 1, 2)) * np.prod(grid.shape)


def average_over_group(density: np.ndarray, grid: CrystalGrid) -> np.ndarray:
    """Returns the mean of a map (X, Y, Z) and its copies by all operators."""
    total = np.zeros(density.size)
    for permutation in grid.permutations:
        total += density.ravel()[permutation]
    return (total / len(grid.permutations)).reshape(grid.shape)


def half_multiplicity(shape: tuple[int, int, int]) -> np.ndarray:
    """Returns how often each plane of the half-complex transform counts, (Z/2 + 1,): 1 at its ends, else 2."""
    count = np.full(shape[2] // 2 + 1, 2.0)
    count[0] = 1.0
    count[-1] = 1.0 if shape[2] % 2 == 0 else 2.0
    return count


def _permutations(shape: tuple[int, int, int], rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """Returns for each operator the flat index of the voxel at rotation @ x + translation, (P, V)."""
    size = np.array(shape)
    voxels = np.stack(np.meshgrid(*[np.arange(edge) for edge in shape], indexing="ij"), -1).reshape(-1, 3)
    permutations = []
    for rotation, translation in zip(rotations, translations, strict=True):
        on_grid = np.round(rotation * (size[:, None] / size[None, :])).astype(np.int64)
        moved = (voxels @ on_grid.T + np.round(translation * size).astype(np.int64)) % size
        permutations.append(np.ravel_multi_index(tuple(moved.T), shape))
    return np.array(permutations, np.int32)


def _is_smooth(size: int) -> bool:
    """Returns whether a size has no prime factor above 7."""
    for prime in range(2, _LARGEST_PRIME + 1):
        while size % prime == 0:
            size //= prime
    return size == 1
