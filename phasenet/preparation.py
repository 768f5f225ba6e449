"""Turns a measured Patterson map into the map and the `Problem` that the pipeline solves: stage 1 of the product.

`prepare` takes these steps in NumPy and float64, except for step 7 and the test of step 3, which run in JAX and
float32. It notes each assumption for the user:

1. Check the shape and that all values are finite.
2. `move_origin_to_voxel_0`: find the origin peak and move it to voxel (0, 0, 0).
3. `symmetrize`: average the map with its inverse.
4. `problem_from_map`: read grid, resolution and box from the map, for a network that takes any grid.
5. `resample_to_grid`: for other networks cut or pad the map to the network's grid.
6. `clip_negative_intensities`: set negative squared amplitudes to 0.
7. `scale_to_atoms`: bring the map to the scale of its atoms (`maps.absolute_scale`), and estimate their number.
"""

import math
from typing import NamedTuple

import numpy as np

from phasenet.errors import InputError
from phasenet.maps import absolute_scale, density, patterson
from phasenet.maps.synthesis import Problem

# Differences below this fraction of the largest value count as rounding of float32.
ROUNDING = 1e-5
# Largest |P(u) - P(-u)| that counts as rounding or noise, relative to the largest |P|.
SYMMETRY_TOLERANCE = 1e-3
# Values that differ from the flat level by less than this fraction of the range (max - min) of the map may be cut off.
LOSS_TOLERANCE = 1e-3
# Largest sum of the negative squared amplitudes, relative to the sum of all absolute values; both without F000^2.
NEGATIVE_TOLERANCE = 0.02
# Maps with an origin peak between these values keep their scale: squares of float32 neither overflow nor vanish.
_MIN_PEAK, _MAX_PEAK = 1e-9, 1e9
# Edge of the box that is centred on the atoms' mean, relative to the extent of the atoms.
_BOX_PER_EXTENT = 1.25
# Largest relative difference between the number of atoms assumed and the estimate that counts as agreement.
_COUNT_TOLERANCE = 0.2


class PreparedMap(NamedTuple):
    """A map that `pipeline.solve` can work on.

    Attributes:
      patterson: (N, N, N) float32, N = problem.grid, its origin at voxel 0, on the scale of the atoms.
      problem: number of atoms, box, grid and resolution that the map is solved with.
      has_f000: whether the map held F000; otherwise F000 was set from the number of atoms.
      estimate: number of atoms estimated from the map's sum and power; None without F000.
      notes: what was found and what was assumed, one line each, for the user.
    """

    patterson: np.ndarray
    problem: Problem
    has_f000: bool
    estimate: float | None
    notes: tuple[str, ...]


def prepare(values: np.ndarray, problem: Problem, name: str, *, estimate_num_atoms: bool = False,
            adapt_problem: bool = False) -> PreparedMap:
    """Returns a Patterson map on the scale of its atoms and on the grid of a problem.

    Args:
      values: (M, M, M) the map, on any scale, its origin at voxel 0 or in the middle.
      problem: the problem that the network was trained on.
      name: the map's name in messages: a file or a flag.
      estimate_num_atoms: whether the number of atoms is estimated from the map if it holds F000, instead of taken from
        `problem`.
      adapt_problem: whether grid, box and resolution are read from the map instead of taken from `problem`.

    Returns:
      The prepared map, its problem, and notes on what was assumed.

    Raises:
      InputError: the values are not a Patterson map, or cannot be brought to the grid without loss.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 3 or len(set(values.shape)) != 1 or values.shape[0] < 2:
        raise InputError(f"{name}: the shape is {values.shape}; expected a cubic map (N, N, N)")
    if not np.isfinite(values).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise InputError(f"{name}: the value at index {place} is {values[place]}; expected finite values")
    values, origin = move_origin_to_voxel_0(values, name)
    if not _MIN_PEAK < values[0, 0, 0] < _MAX_PEAK and values[0, 0, 0] > 0:
        values = values / values[0, 0, 0]  # scale_to_atoms sets the scale
    values, symmetry = symmetrize(values, name)
    problem, adapted = problem_from_map(values, problem) if adapt_problem else (problem, [])
    values, grid = resample_to_grid(values, problem.grid, name)
    values, positive = clip_negative_intensities(values, name)
    scaled, estimate, scale = scale_to_atoms(values, problem)
    if estimate_num_atoms:
        counted, count_note = _choose_num_atoms(problem, estimate)
        if counted != problem:
            scaled, _, scale = scale_to_atoms(values, counted)
        problem, scale = counted, [*scale, count_note]
    notes = (*origin, *symmetry, *adapted, *grid, *positive, *scale)
    return PreparedMap(scaled, problem, estimate is not None, estimate, notes)


def _choose_num_atoms(problem: Problem, estimate: float | None) -> tuple[Problem, str]:
    """Returns the problem with the estimated number of atoms, or unchanged without an estimate; and a note."""
    if estimate is None:
        return problem, (f"{problem.atoms.num_atoms} atoms are assumed, the number that the weights were trained for; "
                         "if there are more or fewer, give num_atoms")
    number = max(round(estimate), 1)
    return (problem._replace(atoms=problem.atoms._replace(num_atoms=number)),
            f"{number} atoms, estimated from the map's sum and power ({estimate:.2f})")


def problem_from_map(values: np.ndarray, problem: Problem) -> tuple[Problem, list[str]]:
    """Returns the problem with the grid, resolution and box that a map shows.

    `h_max` (cycles per map edge) is the |h| of the last reflection that is not 0. The box (voxels) follows from the
    distance at which the map becomes flat.

    Args:
      values: (M, M, M) the map, its origin at voxel 0.
      problem: gives the other fields. It is returned unchanged if M is not a multiple of 4, or is below 8.

    Returns:
      The problem, and notes for the user.
    """
    size = len(values)
    if size % 4 or size < 8:
        return problem, []  # `resample_to_grid` then tries the problem's own grid
    intensities = np.abs(np.fft.rfftn(values).real)
    radius = patterson.index_radius(size)
    finest = float(radius[intensities > ROUNDING * np.delete(intensities.ravel(), 0).max()].max())
    notes = []
    h_max = None
    if finest < size / 2:
        h_max = math.ceil(100 * finest) / 100
        notes.append(f"the map has no reflections beyond |h| = {finest:.2f}: those are taken as not measured")
    axis = np.abs(np.fft.fftfreq(size, 1 / size))
    distance = np.maximum.reduce(np.meshgrid(axis, axis, axis, indexing="ij"))
    above_median = values - np.median(values[distance >= size // 2 - 1])
    reach = float(distance[np.abs(above_median) > LOSS_TOLERANCE * np.ptp(values)].max())
    if reach < size // 2 - 1:
        # The spheres of two atoms add 2 voxels to the distance of their centres. The box is centred on the atoms' mean,
        # from which an atom may lie farther than half their extent.
        box = float(math.ceil(_BOX_PER_EXTENT * max(reach - 2, 1)))
        notes.append(f"the map is flat beyond {reach:g} voxels from its origin: the atoms are taken to lie in a box of "
                     f"{box:g} voxels")
    else:
        box = float(size // 2 + 4)
        notes.append(f"the map is not flat at its edges: the atoms are taken to lie in a box of {box:g} voxels in a "
                     "periodic unit cell")
    return problem._replace(grid=size, h_max=h_max, atoms=problem.atoms._replace(inner_box=box)), notes


def move_origin_to_voxel_0(values: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
    """Returns a map (M, M, M) with its origin, the place of its highest value, at voxel (0, 0, 0); and a note.

    Args:
      values: (M, M, M), its origin at voxel 0 or in the middle, at index M // 2 on each axis.
      name: the map's name in messages.

    Raises:
      InputError: all values are equal, or the highest value lies neither at voxel 0 nor in the middle.
    """
    if np.ptp(values) <= ROUNDING * np.abs(values).max():
        raise InputError(f"{name}: all values are {values.flat[0]:.6g}; expected a map with an origin peak")
    place = tuple(map(int, np.unravel_index(values.argmax(), values.shape)))
    middle = tuple(edge // 2 for edge in values.shape)
    if place == (0, 0, 0):
        return values, [f"origin peak at voxel {place}"]
    if place == middle:
        return np.fft.ifftshift(values), [f"origin peak in the middle, at voxel {place}: moved to voxel (0, 0, 0)"]
    raise InputError(f"{name}: not a Patterson map, or one without its origin peak: the highest value is at voxel "
                     f"{place}; expected it at (0, 0, 0) or in the middle, at {middle}")


def symmetrize(values: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
    """Returns a map (M, M, M), its origin at voxel 0, averaged with its inverse; and a note.

    Raises:
      InputError: the map and its inverse differ by more than `SYMMETRY_TOLERANCE`.
    """
    difference = float(patterson.asymmetry(values))
    if difference > SYMMETRY_TOLERANCE:
        raise InputError(f"{name}: not a Patterson map: P(u) and P(-u) differ by up to {difference:.2g} of the "
                         f"largest value ({SYMMETRY_TOLERANCE:g} is allowed)")
    mirrored = np.roll(np.flip(values), 1, axis=(0, 1, 2))
    if difference < ROUNDING:
        return (values + mirrored) / 2, ["centrosymmetric to rounding"]
    return (values + mirrored) / 2, [f"centrosymmetric to {difference:.1e} of the largest value: P(u) and P(-u) "
                                     "averaged"]


def resample_to_grid(values: np.ndarray, grid: int, name: str) -> tuple[np.ndarray, list[str]]:
    """Returns a map cut or padded about its origin to (grid, grid, grid); and notes.

    If M = grid, the map is returned as it is. Otherwise the level of its flat outer part, the median of the values
    there, is subtracted.

    Args:
      values: (M, M, M), its origin at voxel 0.
      grid: voxels per edge of the result.
      name: the map's name in messages.

    Raises:
      InputError: the map is not flat where it would be cut, or at its edge where it would be padded.
    """
    size = len(values)
    if size == grid:
        return values, []
    reach = np.abs(np.fft.fftfreq(size, 1 / size))
    distance = np.maximum.reduce(np.meshgrid(reach, reach, reach, indexing="ij"))
    # Only values at a distance below this are kept. A map that is not flat at its edge was cut before, or is periodic.
    within = min(grid // 2, (size - 1) // 2)
    outside = values[distance >= within]
    level = float(np.median(outside))
    span = float(np.ptp(values))
    lost = float(np.abs(outside - level).max()) / span
    if lost > LOSS_TOLERANCE:
        raise InputError(
            f"{name}: {size} voxels per edge, the weights are for {grid}, and this map cannot be "
            f"{'cut' if size > grid else 'padded'} without loss: values up to {lost:.2g} of its largest lie {within} "
            f"or more voxels from the origin; give a map of {grid} voxels per edge or fitting weights (--weights)")
    near = np.fft.fftshift(np.where(distance < within, values - level, 0.0))
    if size > grid:
        low = size // 2 - grid // 2
        near = near[(slice(low, low + grid),) * 3]
    else:
        low = grid // 2 - size // 2
        near = np.pad(near, (low, grid - size - low))
    notes = [f"{'cut' if size > grid else 'padded'} about the origin from {size} to {grid} voxels per edge; farther "
             f"out the map is flat to {lost:.1e} of its largest value"]
    if abs(level) > ROUNDING * span:
        notes.append(f"the level of the flat part, {level:.3g}, was subtracted, because it should be 0")
    return np.fft.ifftshift(near), notes


def clip_negative_intensities(values: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
    """Returns a centrosymmetric map (N, N, N) with negative squared amplitudes, except F000^2, set to 0; and a note.

    Raises:
      InputError: the negative part is more than `NEGATIVE_TOLERANCE` of the sum of absolute values, F000^2 left out.
    """
    intensities = np.fft.rfftn(values).real
    weights = patterson.multiplicity(len(values))
    f000, intensities[0, 0, 0] = intensities[0, 0, 0], 0.0
    share = float((weights * np.maximum(-intensities, 0)).sum() / (weights * np.abs(intensities)).sum())
    if share > NEGATIVE_TOLERANCE:
        raise InputError(f"{name}: not a Patterson map: {share:.0%} of the Fourier transform is negative, which "
                         "squared amplitudes cannot be")
    if share < ROUNDING:
        return values, []
    intensities = np.maximum(intensities, 0.0)
    intensities[0, 0, 0] = f000
    return (np.fft.irfftn(intensities, s=values.shape, axes=(0, 1, 2)),
            [f"{share:.1e} of the Fourier transform was negative, which squared amplitudes cannot be: set to 0"])


def scale_to_atoms(values: np.ndarray, problem: Problem) -> tuple[np.ndarray, float | None, list[str]]:
    """Returns a map on the scale of its atoms, an estimate of their number, and notes.

    F000^2 is the sum over the map. The map counts as holding F000 if two conditions are met. First, every other squared
    amplitude is less than twice that sum, because F000 is the largest amplitude of a density without negative values.
    Second, the sum and the power of the other reflections give a possible number of atoms: more than 0.8, and fewer
    than fill the box. Otherwise F000 is set from the problem's number of atoms.

    Args:
      values: (N, N, N), N = problem.grid, its origin at voxel 0, on any scale.
      problem: number and form factor of the atoms, box and resolution.

    Returns:
      The map (N, N, N) float32; the estimate, None where the map does not hold F000; and notes for the user.
    """
    num_atoms = problem.atoms.num_atoms
    expected = (num_atoms * density.ATOM_VOLUME) ** 2
    intensities = np.fft.rfftn(values).real
    f000, intensities[0, 0, 0] = float(intensities[0, 0, 0]), 0.0
    values = values.astype(np.float32)
    by_power = np.asarray(absolute_scale.put_on_absolute_scale(values, problem, has_f000=False))
    # The sum, F000^2, grows as the square of the number of atoms, the power in proportion to it. So the two scales
    # are equal for one number only.
    estimate = num_atoms * by_power.sum(dtype=np.float64) / expected
    # At most as many spheres as fill the box of the atoms' centres and a margin of one radius around that box.
    possible = 1 - _COUNT_TOLERANCE < estimate < (problem.atoms.inner_box + 2) ** 3 / density.ATOM_VOLUME
    if f000 > intensities.max() / 2 and possible:
        on_scale = np.asarray(absolute_scale.put_on_absolute_scale(values, problem, has_f000=True))
        if abs(estimate / num_atoms - 1) <= _COUNT_TOLERANCE:
            return on_scale, float(estimate), [
                f"scale: from the map's sum, taken as the squared total of {num_atoms} atoms (the map holds F000)"]
        # The map's number of atoms is not the problem's: the scale follows the map's number.
        return on_scale * np.float32((estimate / num_atoms) ** 2), float(estimate), [
            f"scale: from the map's sum and power, which indicate {estimate:.1f} atoms, not {num_atoms}"]
    reason = (f"its sum is {f000:.3g}, its largest squared amplitude {intensities.max():.3g}"
              if f000 <= intensities.max() / 2 else f"its sum and power would indicate {estimate:.3g} atoms")
    missing = (expected - by_power.sum(dtype=np.float64)) / by_power.size
    return by_power + np.float32(missing), None, [
        f"scale: from the power of the reflections, with F000 of {num_atoms} atoms, because the map does not hold F000 "
        f"({reason})"]
