"""A measured Patterson map to one that the solver takes: origin, symmetry, grid and scale, each said aloud.

Plain NumPy in float64: this runs once a map, before anything is compiled. `name` is what a message
calls the map, a file's name or a flag.
"""

import math
from typing import NamedTuple

import numpy as np

from phasenet.errors import InputError
from phasenet.maps import absolute_scale, density, patterson
from phasenet.maps.synthesis import Problem

# Of the largest value: what is but rounding of float32.
ROUNDING = 1e-5
# Of the largest value: how far from centrosymmetric a map may be; rounding and noise stay below.
SYMMETRY_TOLERANCE = 1e-3
# Of the largest value: what is cut off where a map is larger than the grid.
LOSS_TOLERANCE = 1e-3
# Of the sum of all squared amplitudes: how much of it may be negative.
NEGATIVE_TOLERANCE = 0.02
# Largest values between these are kept as they are: in single precision their squares neither overflow nor vanish.
_SMALL, _LARGE = 1e-9, 1e9
# Edge of the box about the atoms' mean, of their extent.
_ROOM = 1.25
# Relative disagreement of two estimates of the number of atoms that is worth a word.
_COUNT_TOLERANCE = 0.2


class PreparedMap(NamedTuple):
    """A map ready for `pipeline.solve`.

    Attributes:
      patterson: (N, N, N) float32, N = problem.grid, its origin at voxel 0, on the atoms' scale.
      problem: what it is solved as.
      has_f000: whether F000 came with the map; otherwise the number of atoms gave it.
      estimate: how many atoms its sum and power speak of; None without F000.
      notes: what was found and assumed, one line each.
    """

    patterson: np.ndarray
    problem: Problem
    has_f000: bool
    estimate: float | None
    notes: tuple[str, ...]


def prepare(values: np.ndarray, problem: Problem, name: str, *, estimate_num_atoms: bool = False, adapt_problem: bool = False) -> PreparedMap:
    """A Patterson map (M, M, M) of any scale as the atoms of a problem on its grid would give it.

    Args:
      values: the map.
      problem: what the network is for.
      name: what messages call the map.
      estimate_num_atoms: seek as many atoms as the map speaks of, if it does, not as many as the problem has.
      adapt_problem: the network takes any grid, box and resolution: those of the map.

    Raises InputError for what is not a Patterson map, or does not fit the grid.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 3 or len(set(values.shape)) != 1 or values.shape[0] < 2:
        raise InputError(f"{name}: shape {values.shape}; a cubic map (N, N, N) is needed")
    if not np.isfinite(values).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise InputError(f"{name}: the value at index {place} is {values[place]}")
    values, origin = move_origin_to_voxel_0(values, name)
    if not _SMALL < values[0, 0, 0] < _LARGE and values[0, 0, 0] > 0:
        values = values / values[0, 0, 0]  # the scale is found anew below
    values, symmetry = symmetrize(values, name)
    problem, adapted = problem_from_map(values, problem) if adapt_problem else (problem, [])
    values, grid = resample_to_grid(values, problem.grid, name)
    values, positive = clip_negative_intensities(values, name)
    scaled, estimate, scale = scale_to_atoms(values, problem)
    if estimate_num_atoms:
        counted, counting = _counted(problem, estimate)
        if counted != problem:
            scaled, _, scale = scale_to_atoms(values, counted)
        problem, scale = counted, [*scale, counting]
    notes = (*origin, *symmetry, *adapted, *grid, *positive, *scale)
    return PreparedMap(scaled, problem, estimate is not None, estimate, notes)


def _counted(problem: Problem, estimate: float | None) -> tuple[Problem, str]:
    if estimate is None:
        return problem, (f"{problem.atoms.num_atoms} atoms are assumed, as the weights' own: say how many there are")
    number = max(round(estimate), 1)
    return (problem._replace(atoms=problem.atoms._replace(num_atoms=number)),
            f"{number} atoms, by its sum and power ({estimate:.2f})")


def problem_from_map(values: np.ndarray, problem: Problem) -> tuple[Problem, list[str]]:
    """The problem on the grid of a map, origin at voxel 0, of its resolution and the box that its extent speaks of."""
    size = len(values)
    if size % 4 or size < 8:
        return problem, []  # on the weights' grid, if it fits there
    intensities = np.abs(np.fft.rfftn(values).real)
    radius = patterson.index_radius(size)
    finest = float(radius[intensities > ROUNDING * np.delete(intensities.ravel(), 0).max()].max())
    notes = []
    h_max = None
    if finest < size / 2:
        h_max = math.ceil(100 * finest) / 100
        notes.append(f"no reflections beyond |h| = {finest:.2f}: what lies beyond is taken as not measured")
    axis = np.abs(np.fft.fftfreq(size, 1 / size))
    distance = np.maximum.reduce(np.meshgrid(axis, axis, axis, indexing="ij"))
    rest = values - np.median(values[distance >= size // 2 - 1])
    reach = float(distance[np.abs(rest) > LOSS_TOLERANCE * np.ptp(values)].max())
    if reach < size // 2 - 1:
        # Two atoms' spheres add 2 voxels to the distance of their centres; about their mean some lie farther out.
        box = float(math.ceil(_ROOM * max(reach - 2, 1)))
        notes.append(f"it ends {reach:g} voxels from its origin: the atoms are taken to lie in a box of {box:g}")
    else:
        box = float(size // 2 + 4)
        notes.append(f"it does not end: the atoms are taken to lie in a box of {box:g} voxels of a periodic cell")
    return problem._replace(grid=size, h_max=h_max, atoms=problem.atoms._replace(inner_box=box)), notes


def move_origin_to_voxel_0(values: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
    """A map with its origin, which is its highest value, at voxel 0; it may lie in the middle, index N // 2."""
    if np.ptp(values) <= ROUNDING * np.abs(values).max():
        raise InputError(f"{name}: all values are {values.flat[0]:.6g}; there is nothing in this map")
    place = tuple(map(int, np.unravel_index(values.argmax(), values.shape)))
    middle = tuple(edge // 2 for edge in values.shape)
    if place == (0, 0, 0):
        return values, [f"origin peak at voxel {place}"]
    if place == middle:
        return np.fft.ifftshift(values), [f"origin peak in the middle, at voxel {place}: moved to voxel (0, 0, 0)"]
    raise InputError(f"{name}: not a Patterson map, or one without its origin peak: the highest value is at voxel "
                     f"{place}, that of a Patterson map at (0, 0, 0) or in the middle, {middle}")


def symmetrize(values: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
    """A map, origin at voxel 0, averaged with its inverse. Raises InputError where the two are not alike."""
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
    """A map, origin at voxel 0, cut or padded about its origin to grid^3, where that loses nothing.

    Raises InputError where it would: there is something where the map is cut, or where it ends.
    """
    size = len(values)
    if size == grid:
        return values, []
    reach = np.abs(np.fft.fftfreq(size, 1 / size))
    distance = np.maximum.reduce(np.meshgrid(reach, reach, reach, indexing="ij"))
    # Only what lies within can be kept; a map that ends in the midst of something has been cut, or wraps.
    within = min(grid // 2, (size - 1) // 2)
    outside = values[distance >= within]
    level = float(np.median(outside))
    span = float(np.ptp(values))
    left = float(np.abs(outside - level).max()) / span
    if left > LOSS_TOLERANCE:
        raise InputError(
            f"{name}: {size} voxels an edge, the weights are for {grid}, and this map cannot be "
            f"{'cut' if size > grid else 'padded'} without loss: {left:.2g} of its largest value lies {within} or more "
            f"voxels from the origin; give a map of {grid} voxels an edge, or weights for such maps (--weights)")
    near = np.fft.fftshift(np.where(distance < within, values - level, 0.0))
    if size > grid:
        low = size // 2 - grid // 2
        near = near[(slice(low, low + grid),) * 3]
    else:
        low = grid // 2 - size // 2
        near = np.pad(near, (low, grid - size - low))
    notes = [f"{'cut' if size > grid else 'padded'} about the origin from {size} to {grid} voxels an edge; the rest "
             f"is flat to {left:.1e} of the largest value"]
    if abs(level) > ROUNDING * span:
        notes.append(f"that flat rest, {level:.3g}, was subtracted: it should be 0")
    return np.fft.ifftshift(near), notes


def clip_negative_intensities(values: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
    """A centrosymmetric map with negative squared amplitudes at 0. Raises InputError where they are many."""
    intensities = np.fft.rfftn(values).real
    weights = patterson.multiplicity(len(values))
    f000, intensities[0, 0, 0] = intensities[0, 0, 0], 0.0
    share = float((weights * np.maximum(-intensities, 0)).sum() / (weights * np.abs(intensities)).sum())
    if share > NEGATIVE_TOLERANCE:
        raise InputError(f"{name}: not a Patterson map: {share:.0%} of its transform is negative, where squared "
                         "amplitudes are not")
    if share < ROUNDING:
        return values, []
    intensities = np.maximum(intensities, 0.0)
    intensities[0, 0, 0] = f000
    return (np.fft.irfftn(intensities, s=values.shape, axes=(0, 1, 2)),
            [f"{share:.1e} of its transform is negative, where squared amplitudes are not: set to 0"])


def scale_to_atoms(values: np.ndarray, problem: Problem) -> tuple[np.ndarray, float | None, list[str]]:
    """A map, origin at voxel 0, on the scale of its atoms, float32; how many these are; and what was assumed.

    F000^2 is the sum over the map. It is believed where it can be true: no squared amplitude of a
    density that is nowhere negative is larger, and the power of the others speaks of a like number
    of atoms. Otherwise it is put in its place.
    """
    num_atoms = problem.atoms.num_atoms
    expected = (num_atoms * density.ATOM_VOLUME) ** 2
    intensities = np.fft.rfftn(values).real
    f000, intensities[0, 0, 0] = float(intensities[0, 0, 0]), 0.0
    values = values.astype(np.float32)
    by_power = np.asarray(absolute_scale.put_on_absolute_scale(values, problem, has_f000=False))
    # Total^2 / power grows as the number of atoms: scales by both agree for one number alone.
    estimate = num_atoms * by_power.sum(dtype=np.float64) / expected
    # No more than fill the box.
    likely = 1 - _COUNT_TOLERANCE < estimate < (problem.atoms.inner_box + 2) ** 3 / density.ATOM_VOLUME
    if f000 > intensities.max() / 2 and likely:
        on_scale = np.asarray(absolute_scale.put_on_absolute_scale(values, problem, has_f000=True))
        if abs(estimate / num_atoms - 1) <= _COUNT_TOLERANCE:
            return on_scale, float(estimate), [
                f"scale from its sum, taken as the squared total of {num_atoms} atoms (F000 is there)"]
        # What is there is not what is asked for: the map goes by what is there.
        return on_scale * np.float32((estimate / num_atoms) ** 2), float(estimate), [
            f"sum and power of the map speak of about {estimate:.1f} atoms, not {num_atoms}: scaled as that many"]
    reason = (f"its sum is {f000:.3g}, the largest squared amplitude {intensities.max():.3g}"
              if f000 <= intensities.max() / 2 else f"with its sum the map speaks of {estimate:.3g} atoms")
    missing = (expected - by_power.sum(dtype=np.float64)) / by_power.size
    return by_power + np.float32(missing), None, [
        f"no F000 in it ({reason}): scale from the power of all others, F000 from {num_atoms} atoms"]
