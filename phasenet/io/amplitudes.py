"""Measured amplitudes |F| from files: arrays over reciprocal space, or a table of h k l F; to a Patterson map.

    .npy (N, N, N)           the whole of reciprocal space, in the order of fftn or fftshifted
    .npy (N, N, N/2 + 1)     the half that rfftn keeps
    text                     rows of h k l F, one or both of each Friedel pair, in any order
"""

import os
import pathlib

import numpy as np

from phasenet.errors import InputError
from phasenet.io.patterson_maps import MeasuredMap, finite_doubles, read_array, read_start

# Friedel mates may differ by this much of the largest amplitude; they are averaged.
_TOLERANCE = 1e-3
# Beyond it an index is none and the square of an amplitude overflows.
_LARGEST = 1e15
_MOST_BYTES = 64 * 2**20
_WANTED = "(N, N, N), or (N, N, N/2 + 1) with N even, is needed"


def read_amplitudes(path: str | os.PathLike, grid: int) -> MeasuredMap:
    """Reads amplitudes; what comes back is their Patterson map, its origin at voxel 0.

    Args:
      path: the file.
      grid: N of the map made of a table of reflections, whose indices say nothing of it; even.

    Raises:
      InputError: no such file, another format or shape, a negative amplitude or one that is no
        number, Friedel mates that differ, reflections beyond the grid.
    """
    path = os.fspath(path)
    start = read_start(path)
    if start.startswith(b"\x93NUMPY"):
        amplitudes = finite_doubles(read_array(path), path)
        for extreme in (amplitudes.argmin(), amplitudes.argmax()):
            place = tuple(map(int, np.unravel_index(extreme, amplitudes.shape)))
            if not 0 <= amplitudes[place] < _LARGEST:
                raise InputError(f"{path}: the value at index {place} is {amplitudes[place]:.6g}; amplitudes are not "
                                 f"negative, and below {_LARGEST:g}")
        squared, notes = _from_array(amplitudes, path)
    elif b"\0" in start:
        raise InputError(f"{path}: neither a NumPy array (.npy) nor a text of rows h k l F")
    else:
        squared, notes = _from_rows(path, grid)
    if not squared.any():
        raise InputError(f"{path}: all amplitudes are zero")
    # The mates of the half's own planes stand in it twice; what is left of a difference is averaged.
    return MeasuredMap(np.fft.irfftn(squared, s=(squared.shape[0],) * 3, axes=(0, 1, 2)), None, notes)


def _from_array(amplitudes: np.ndarray, path: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """|F|^2 on the half of reciprocal space, (N, N, N/2 + 1), and what was assumed."""
    n, second, third = amplitudes.shape
    if n != second or n % 2 or third not in (n, n // 2 + 1):
        raise InputError(f"{path}: shape {amplitudes.shape}; {_WANTED}")
    if third == n:
        amplitudes, note = _with_f000_first(amplitudes)
        planes = (slice(None),)
    else:
        note, planes = f"the half of reciprocal space that rfftn keeps, N = {n}", (0, n // 2)
    difference = max(_friedel_difference(amplitudes[:, :, plane]) for plane in planes)
    if difference > _TOLERANCE * amplitudes.max():
        raise InputError(f"{path}: Friedel mates |F(h)| and |F(-h)| differ by up to "
                         f"{difference / amplitudes.max():.2g} of the largest amplitude")
    squared = np.square(amplitudes)
    if third == n:
        squared = (squared + _mates(squared)) / 2
    return squared[:, :, :n // 2 + 1], (note,)


def _with_f000_first(amplitudes: np.ndarray) -> tuple[np.ndarray, str]:
    """The whole of reciprocal space in the order of fftn: amplitudes fall from F000 outwards."""
    n = len(amplitudes)
    index = np.abs(np.fft.fftfreq(n, 1 / n))
    near = np.maximum.reduce(np.meshgrid(index, index, index, indexing="ij")) <= n / 8
    shifted = np.fft.ifftshift(amplitudes)
    # F000 itself may be missing, so the low reflections together decide.
    if shifted[near].sum() > amplitudes[near].sum():
        return shifted, f"all of reciprocal space, F000 in the middle (fftshifted), N = {n}"
    return amplitudes, f"all of reciprocal space, F000 at index (0, 0, 0), N = {n}"


def _from_rows(path: str, grid: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """|F|^2 on the half of reciprocal space of a map of grid^3, of rows h k l F."""
    lines, hkl, amplitudes, more = _rows(path)
    beyond = np.abs(hkl).max(axis=1) > grid // 2
    if beyond.any():
        first = int(beyond.argmax())
        raise InputError(f"{path}, line {lines[first]}: reflection {tuple(map(int, hkl[first]))} lies beyond "
                         f"the grid of {grid} voxels that the weights are for (indices to {grid // 2})")
    total, count = np.zeros((grid,) * 3), np.zeros((grid,) * 3, int)
    # Both of a Friedel pair are one measurement, also where only one of them is given.
    places = np.concatenate([hkl % grid, -hkl % grid])
    own = (places[:len(hkl)] == places[len(hkl):]).all(1)
    kept = np.concatenate([np.ones(len(hkl), bool), ~own])
    np.add.at(total, tuple(places[kept].T), np.tile(np.square(amplitudes), 2)[kept])
    np.add.at(count, tuple(places[kept].T), 1)
    squared = (total / np.maximum(count, 1))[:, :, :grid // 2 + 1]
    return squared, (*more, *_coverage(hkl, count, grid))


def _coverage(hkl: np.ndarray, count: np.ndarray, grid: int) -> list[str]:
    """How much of reciprocal space the rows tell."""
    given = count > 0
    radius = np.sqrt(sum(np.square(axis) for axis in np.meshgrid(*[np.fft.fftfreq(grid, 1 / grid)] * 3,
                                                                 indexing="ij")))
    reach = float(radius[given].max())
    inside = radius <= reach + 1e-6
    inside[0, 0, 0] = False
    missing = int((inside & ~given).sum())
    notes = [f"{len(hkl)} rows; reflections to |h| = {reach:.4g}, Friedel mates taken as equal",
             "F000 is in the table" if given[0, 0, 0] else "F000 is not in the table"]
    if missing:
        notes.append(f"{missing} of {int(inside.sum())} reflections to that radius are missing, taken as 0")
    repeated = int(count.max()) - 1
    if repeated:
        notes.append("reflections given more than once, Friedel mates included, are averaged")
    return notes


def _rows(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Line numbers (R,), indices (R, 3), amplitudes (R,) and notes; one line of names may come first."""
    if os.path.getsize(path) > _MOST_BYTES:
        raise InputError(f"{path}: larger than {_MOST_BYTES // 2**20} MB")
    text = pathlib.Path(path).read_text(encoding="utf-8-sig", errors="replace")
    lines, rows, widths = [], [], set()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].replace(",", " ").replace(";", " ").split()
        if not words:
            continue
        try:
            row = [float(word) for word in words]
        except ValueError:
            if not rows:
                continue  # names of the columns
            raise InputError(f"{path}, line {number}: {line.strip()[:60]!r} is no row of numbers h k l F") from None
        if len(row) < 4:
            raise InputError(f"{path}, line {number}: {len(row)} columns; h, k, l and F are needed")
        if (not np.abs(row[:4]).max() < _LARGEST  # nor NaN
                or any(index % 1 for index in row[:3]) or row[3] < 0):
            raise InputError(f"{path}, line {number}: {line.strip()[:60]!r}; whole h k l and an amplitude that is "
                             "not negative are needed")
        lines.append(number)
        rows.append(row[:4])
        widths.add(len(row))
    if not rows:
        raise InputError(f"{path}: no rows of h k l F, and no NumPy array (.npy)")
    table = np.array(rows)
    notes = [] if max(widths) == 4 else ["columns after the fourth are not used"]
    return np.array(lines), table[:, :3].astype(int), table[:, 3], notes


def _mates(values: np.ndarray) -> np.ndarray:
    """Each reflection's Friedel mate, the origin at index 0 on every axis."""
    return np.roll(np.flip(values), 1, axis=tuple(range(values.ndim)))


def _friedel_difference(values: np.ndarray) -> float:
    return float(np.abs(values - _mates(values)).max())
