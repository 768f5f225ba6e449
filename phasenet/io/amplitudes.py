"""Reads amplitudes |F| and returns their Patterson map, the Fourier transform of |F|^2. Called by `launch.solve`.

The content decides which of these forms a file has:

    .npy (N, N, N)           all of reciprocal space, in the order of numpy.fft.fftn, or shifted by numpy.fft.fftshift
    .npy (N, N, N/2 + 1)     the half of reciprocal space that numpy.fft.rfftn returns
    text                     rows h k l F, one or both of each Friedel pair, in any order

An index counts cycles per edge of the map (N voxels), as in a cubic unit cell of space group P1.
"""

import os
import pathlib

import numpy as np

from phasenet.errors import InputError
from phasenet.io.patterson_maps import MeasuredMap, read_array, read_first_bytes, to_finite_float64

# Largest difference of Friedel mates, relative to the largest amplitude. Smaller differences are averaged.
_FRIEDEL_TOLERANCE = 1e-3
# Upper limit of indices and amplitudes. Maps are used in float32, where the square of 1e20 would overflow.
_MAX_VALUE = 1e15
_MAX_TEXT_BYTES = 64 * 2**20
_EXPECTED_SHAPES = "expected (N, N, N) or (N, N, N/2 + 1), N even"


def read_amplitudes(path: str | os.PathLike, grid: int) -> MeasuredMap:
    """Reads amplitudes and returns their Patterson map.

    Args:
      path: an array or a text, in one of the forms at the head of this module.
      grid: N, even, of the map of a text, because rows do not state N. The N of an array follows from its shape.

    Returns:
      The map (N, N, N) float64, in the squared unit of the amplitudes, origin at voxel 0, without a pitch. The notes
      say which form was recognized, how complete the reflections are, and what was averaged or set to 0.

    Raises:
      InputError: the file is missing, damaged, or of another form; an amplitude is negative or not finite; Friedel
        mates differ; or a row of a text cannot be read or does not fit on the grid (the message names its line).
    """
    path = os.fspath(path)
    start = read_first_bytes(path)
    if start.startswith(b"\x93NUMPY"):
        amplitudes = to_finite_float64(read_array(path), path)
        for extreme in (amplitudes.argmin(), amplitudes.argmax()):
            place = tuple(map(int, np.unravel_index(extreme, amplitudes.shape)))
            if not 0 <= amplitudes[place] < _MAX_VALUE:
                raise InputError(f"{path}: the value at index {place} is {amplitudes[place]:.6g}; expected amplitudes "
                                 f"from 0 to below {_MAX_VALUE:g}")
        squared, notes = _squares_from_array(amplitudes, path)
    elif b"\0" in start:
        raise InputError(f"{path}: neither a NumPy array (.npy) nor a text with rows h k l F")
    else:
        squared, notes = _squares_from_rows(path, grid)
    if not squared.any():
        raise InputError(f"{path}: all amplitudes are zero")
    # irfftn averages the Friedel mates in the planes l = 0 and l = N/2, the only planes that hold both mates.
    return MeasuredMap(np.fft.irfftn(squared, s=(squared.shape[0],) * 3, axes=(0, 1, 2)), None, notes)


def _squares_from_array(amplitudes: np.ndarray, path: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns |F|^2 (N, N, N/2 + 1) of amplitudes (N, N, N) or (N, N, N/2 + 1), and a note on what was assumed."""
    n, second, third = amplitudes.shape
    planes: tuple[slice | int, ...]
    if n != second or n % 2 or third not in (n, n // 2 + 1):
        raise InputError(f"{path}: the shape is {amplitudes.shape}; {_EXPECTED_SHAPES}")
    if third == n:
        amplitudes, note = _move_f000_to_index_0(amplitudes)
        planes = (slice(None),)
    else:
        note, planes = f"the half of reciprocal space that rfftn keeps, N = {n}", (0, n // 2)
    difference = max(_friedel_difference(amplitudes[:, :, plane]) for plane in planes)
    if difference > _FRIEDEL_TOLERANCE * amplitudes.max():
        raise InputError(f"{path}: Friedel mates |F(h)| and |F(-h)| differ by up to "
                         f"{difference / amplitudes.max():.2g} of the largest amplitude; expected equal values, in the "
                         "order of numpy.fft.fftn, fftshift(fftn) or rfftn")
    squared = np.square(amplitudes)
    if third == n:
        squared = (squared + _friedel_mates(squared)) / 2
    return squared[:, :, :n // 2 + 1], (note,)


def _move_f000_to_index_0(amplitudes: np.ndarray) -> tuple[np.ndarray, str]:
    """Returns amplitudes (N, N, N) in the order of fftn, and a note.

    Of the orders fftn and fftshift(fftn), the one is taken in which the reflections near F000 are stronger, because
    amplitudes decrease with |h|.
    """
    n = len(amplitudes)
    index = np.abs(np.fft.fftfreq(n, 1 / n))
    is_low = np.maximum.reduce(np.meshgrid(index, index, index, indexing="ij")) <= n / 8
    shifted = np.fft.ifftshift(amplitudes)
    # The sum of all low reflections is compared, because F000 itself may be missing.
    if shifted[is_low].sum() > amplitudes[is_low].sum():
        return shifted, f"all of reciprocal space, F000 in the middle (fftshifted), N = {n}"
    return amplitudes, f"all of reciprocal space, F000 at index (0, 0, 0), N = {n}"


def _squares_from_rows(path: str, grid: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns |F|^2 (grid, grid, grid/2 + 1) of a text with rows h k l F, and notes; missing reflections are 0."""
    lines, hkl, amplitudes, notes = _parse_rows(path)
    beyond = np.abs(hkl).max(axis=1) > grid // 2
    if beyond.any():
        first = int(beyond.argmax())
        raise InputError(f"{path}, line {lines[first]}: reflection {tuple(map(int, hkl[first]))} lies beyond "
                         f"the grid of {grid} voxels per edge that the weights are for; expected indices from "
                         f"{-(grid // 2)} to {grid // 2}")
    total, count = np.zeros((grid,) * 3), np.zeros((grid,) * 3, int)
    # Each row also counts for its Friedel mate, unless both have the same place on the grid.
    places = np.concatenate([hkl % grid, -hkl % grid])
    is_own_mate = (places[:len(hkl)] == places[len(hkl):]).all(1)
    kept = np.concatenate([np.ones(len(hkl), bool), ~is_own_mate])
    np.add.at(total, tuple(places[kept].T), np.tile(np.square(amplitudes), 2)[kept])
    np.add.at(count, tuple(places[kept].T), 1)
    squared = (total / np.maximum(count, 1))[:, :, :grid // 2 + 1]
    return squared, (*notes, *_describe_coverage(hkl, count, grid))


def _describe_coverage(hkl: np.ndarray, count: np.ndarray, grid: int) -> list[str]:
    """Returns notes on how much of reciprocal space the rows (R, 3) cover; count: (N, N, N) rows per reflection."""
    given = count > 0
    radius = np.sqrt(sum(np.square(axis) for axis in np.meshgrid(*[np.fft.fftfreq(grid, 1 / grid)] * 3,
                                                                 indexing="ij")))
    h_max = float(radius[given].max())
    inside = radius <= h_max + 1e-6
    inside[0, 0, 0] = False
    missing = int((inside & ~given).sum())
    notes = [f"{len(hkl)} rows; reflections to |h| = {h_max:.4g}, Friedel mates taken as equal",
             "F000 is in the text" if given[0, 0, 0] else "F000 is not in the text"]
    if missing:
        notes.append(f"{missing} of {int(inside.sum())} reflections to that radius are missing, taken as 0")
    repeated = int(count.max()) - 1
    if repeated:
        notes.append("reflections given more than once, or with their Friedel mate, are averaged")
    return notes


def _parse_rows(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Returns line numbers (R,), indices (R, 3), amplitudes (R,) and notes of a text with R rows h k l F.

    Separators are blanks, commas or semicolons; # begins a comment. Lines of text before the first row are skipped.
    """
    if os.path.getsize(path) > _MAX_TEXT_BYTES:
        raise InputError(f"{path}: {os.path.getsize(path) / 2**20:.0f} MB; a text with rows h k l F may have up to "
                         f"{_MAX_TEXT_BYTES // 2**20} MB (a NumPy array is smaller)")
    text = pathlib.Path(path).read_text(encoding="utf-8-sig", errors="replace")
    lines, widths = [], set()
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].replace(",", " ").replace(";", " ").split()
        if not words:
            continue
        try:
            row = [float(word) for word in words]
        except ValueError:
            if not rows:
                continue  # a title, or the names of the columns
            raise InputError(f"{path}, line {number}: {line.strip()[:60]!r} is not a row of numbers h k l F; remove "
                             "the line, or begin it with #") from None
        if len(row) < 4:
            raise InputError(f"{path}, line {number}: {len(row)} column{'s' * (len(row) > 1)}; expected h, k, l and "
                             "F")
        if (not np.abs(row[:4]).max() < _MAX_VALUE  # true for NaN, too
                or any(index % 1 for index in row[:3]) or row[3] < 0):
            raise InputError(f"{path}, line {number}: {line.strip()[:60]!r}; expected integers h k l and an "
                             f"amplitude from 0 to below {_MAX_VALUE:g}")
        lines.append(number)
        rows.append(row[:4])
        widths.add(len(row))
    if not rows:
        raise InputError(f"{path}: no rows of h k l F in the text")
    table = np.array(rows)
    notes = [] if max(widths) == 4 else ["columns after the fourth are not used"]
    return np.array(lines), table[:, :3].astype(int), table[:, 3], notes


def _friedel_mates(values: np.ndarray) -> np.ndarray:
    """Returns the values of the Friedel mates, index -h for h, of an array with the origin at index 0 on every axis."""
    return np.roll(np.flip(values), 1, axis=tuple(range(values.ndim)))


def _friedel_difference(values: np.ndarray) -> float:
    """Returns the largest absolute difference between values of Friedel mates, the origin at index 0 on every axis."""
    return float(np.abs(values - _friedel_mates(values)).max())
