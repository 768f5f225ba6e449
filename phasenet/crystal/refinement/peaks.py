"""Finds the peaks of a symmetric map, between voxels, and keeps one of each set of symmetry mates; for `completion`."""

from typing import NamedTuple

import numpy as np

from phasenet.crystal.grids import CrystalGrid

_SPECIAL_DISTANCE = 0.5  # Angstrom within which mates of an atom are one atom on a special position
_MIN_SEPARATION = 0.9  # Angstrom between two peaks that are both kept
_SAME_PLACE = 0.05  # Angstrom
_EXCESS = 1.02  # of the number of atoms that a composition has
_FINER = 2  # times as many voxels along each edge before peaks are picked


class SymmetryUniquePeaks(NamedTuple):
    """P peaks, the highest first, one of each set of symmetry mates.

    Attributes:
      positions: (P, 3) fractional.
      heights: (P,) density at the peak.
      projections: (P, 3, 3) of fractional shifts onto those that the site symmetry allows.
      site_orders: (P,) int, number of operators that leave a peak where it is; 1 on a general position.
    """

    positions: np.ndarray
    heights: np.ndarray
    projections: np.ndarray
    site_orders: np.ndarray


def find_peaks_in_cell(density: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places (P, 3), fractional, and heights (P,) of the highest maxima, at most `count`.

    The map is interpolated to twice as many voxels along each edge by its Fourier series; a parabola along each edge
    then gives the place.
    """
    fine = _refine_grid(density)
    highest = fine
    for axis in range(3):
        highest = np.maximum(highest, np.maximum(np.roll(highest, 1, axis), np.roll(highest, -1, axis)))
    index = np.argwhere((fine >= highest) & (fine > 0))
    values = fine[tuple(index.T)]
    order = np.argsort(-values, kind="stable")[:count]
    index, values = index[order], values[order]
    size = np.array(fine.shape)
    offset = np.zeros((len(index), 3))
    heights = values.copy()
    for axis in range(3):
        step = np.eye(3, dtype=int)[axis]
        after, before = (fine[tuple(((index + sign * step) % size).T)] for sign in (1, -1))
        curvature = after + before - 2 * values
        safe = np.where(curvature < 0, curvature, -1.0)
        offset[:, axis] = np.where(curvature < 0, np.clip((before - after) / (2 * safe), -0.5, 0.5), 0.0)
        heights -= np.where(curvature < 0, (after - before)**2 / (8 * safe), 0.0)
    return (index + offset) / size % 1, heights


def select_unique(positions: np.ndarray, heights: np.ndarray, grid: CrystalGrid, existing: np.ndarray | None = None,
                  cell_count: float = np.inf, min_separation: float = _MIN_SEPARATION) -> SymmetryUniquePeaks:
    """Keeps one peak of each set of symmetry mates, from the highest down.

    Args:
      positions: (P, 3) fractional, the highest first.
      heights: (P,).
      grid: gives the operators, the centring translations and the metric.
      existing: (n, 3) fractional, places that peaks must keep their distance from.
      cell_count: largest number of peaks in the primitive cell, mates counted.
      min_separation: Angstrom.
    """
    kept = np.zeros((0, 3)) if existing is None else existing
    first = len(kept)
    chosen_heights, projections, site_orders, total = [], [], [], 0.0
    for position, height in zip(positions, heights, strict=True):
        if total >= cell_count - 0.5:
            break
        place, projection, site_order = to_special_position(position, grid)
        if total + len(grid.rotations) / site_order > _EXCESS * cell_count + 0.5:
            continue
        images = place @ np.swapaxes(grid.rotations, 1, 2) + grid.translations
        if len(kept) and shortest_distances(images, kept, grid).min() < min_separation:
            continue
        kept = np.concatenate([kept, place[None] % 1])
        chosen_heights.append(height)
        projections.append(projection)
        site_orders.append(site_order)
        total += len(grid.rotations) / site_order
    return SymmetryUniquePeaks(kept[first:], np.array(chosen_heights), np.array(projections).reshape(-1, 3, 3),
                               np.array(site_orders, int))


def to_special_position(position: np.ndarray, grid: CrystalGrid) -> tuple[np.ndarray, np.ndarray, int]:
    """Moves a position (3,) to the mean of its mates within 0.5 A.

    Returns:
      The position (3,); the projection (3, 3) of fractional shifts onto those that its site symmetry allows; the number
      of operators that leave it where it is.
    """
    for _ in range(4):  # the mean of some mates may lie within reach of others
        images = grid.rotations @ position + grid.translations
        difference = nearest_image(images - position, grid)
        near = np.linalg.norm(difference @ grid.metric_root, axis=1) < _SPECIAL_DISTANCE
        position = position + difference[near].mean(0)
    images = grid.rotations @ position + grid.translations
    stays = np.linalg.norm(nearest_image(images - position, grid) @ grid.metric_root, axis=1) < _SAME_PLACE
    return position, grid.rotations[stays].mean(0), int(stays.sum())


def shortest_distances(first: np.ndarray, second: np.ndarray, grid: CrystalGrid) -> np.ndarray:
    """Returns distances (A, B) in Angstrom between positions (A, 3) and the nearest lattice images of (B, 3)."""
    return np.linalg.norm(nearest_image(first[:, None] - second[None], grid) @ grid.metric_root, axis=-1)


def nearest_image(difference: np.ndarray, grid: CrystalGrid) -> np.ndarray:
    """Returns fractional differences (..., 3) less the lattice vector, centring included, that is nearest to them."""
    candidates = difference[..., None, :] - grid.centring
    candidates = candidates - np.round(candidates)
    if len(grid.centring) == 1:
        return candidates[..., 0, :]
    lengths = np.square(candidates @ grid.metric_root).sum(-1)
    return np.take_along_axis(candidates, lengths.argmin(-1)[..., None, None], -2)[..., 0, :]


def _refine_grid(density: np.ndarray) -> np.ndarray:
    """Returns a map (X, Y, Z) with even edges on twice as many voxels along each edge, by its Fourier series."""
    shape = density.shape
    transform = np.fft.fftshift(np.fft.rfftn(density), axes=(0, 1))
    padding = [((edge * (_FINER - 1)) // 2,) * 2 for edge in shape[:2]]
    fine = (shape[0] * _FINER, shape[1] * _FINER, shape[2] * _FINER)
    padded = np.pad(transform, [*padding, (0, fine[2] // 2 + 1 - transform.shape[2])])
    return np.fft.irfftn(np.fft.ifftshift(padded, axes=(0, 1)), s=fine, axes=(0, 1, 2)) * _FINER**3
