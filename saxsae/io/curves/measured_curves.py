"""Reads measured SAXS curves of any usual format; writes curves and fits as text columns.

The content of a file decides its format, not its name: text columns (`columns`) or one of `formats`. q is 4 pi
sin(theta) / lambda; 2 theta and s = 2 sin(theta) / lambda are converted where the file states them. Called by
`launch.reconstruct` and by everything else that reads curves.
"""

import os
import pathlib
import tempfile
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from phasenet.errors import InputError
from saxsae.io.curves.cleaning import MIN_POINTS, clean_curve
from saxsae.io.curves.columns import CurveTable, read_columns
from saxsae.io.curves.formats.binary import is_hdf5, name_binary
from saxsae.io.curves.formats.cansas import is_xml, read_cansas
from saxsae.io.curves.formats.gnom import is_gnom, read_gnom
from saxsae.io.curves.formats.nxcansas import read_nxcansas
from saxsae.io.curves.formats.sascif import is_sascif, read_sascif
from saxsae.io.curves.units import TO_INVERSE_ANGSTROM, UNUSUAL, check_unit, decide_unit
from saxsae.profiles.rebinning import RebinnedCurve, rebin

__all__ = ["Curve", "RebinnedCurve", "read_curve", "rebin", "write_curve", "write_fit"]

_MAX_BYTES = 64 * 2**20
_MAX_POINTS = 100_000
_EXPECTED_FORMATS = "columns of q, intensity and sigma as text, GNOM .out, sasCIF, canSAS XML or NXcanSAS HDF5"


class Curve(NamedTuple):
    """A measured curve of N points, N >= 10, ready to be fitted.

    Attributes:
      q_inv_angstrom: (N,) float64, 1/A, positive, ascending, each value once.
      intensity: (N,) float64, unit of the file; noise may make it negative.
      sigma: (N,) float64, standard deviation of the intensity, positive.
      unit: unit of q in the file, "1/A", "1/nm" or "1/m".
      notes: what was assumed, left out or estimated, one line each; the caller prints them.
      path: the file.
      sigma_estimated: whether sigma was estimated from the scatter of the points, not read from the file.
      columns: number of columns of the table in the file.
      negative_share: sum of the intensities that were dropped because they lie further below zero than noise explains,
        relative to the sum of the positive ones and positive.
      doubts: notes that put the whole curve in doubt, for `saxsae.verdict`.
    """

    q_inv_angstrom: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    unit: str
    notes: tuple[str, ...]
    path: str
    sigma_estimated: bool
    columns: int
    negative_share: float = 0.0
    doubts: tuple[str, ...] = ()


def read_curve(path: str | os.PathLike, unit: str | None = None) -> Curve:
    """Reads a measured SAXS curve from text columns, GNOM output, sasCIF, canSAS XML or NXcanSAS HDF5.

    Args:
      path: the file, at most 64 MB and 100,000 points.
      unit: unit of q in the file, "1/A" or "1/nm". If None, the file's own statement is used or, without a statement,
        the unit that the Guinier radius and the q range suggest (`units.decide_unit`); a note says which.

    Returns:
      The cleaned curve (`cleaning`), with q in 1/A and the intensity in the unit of the file.

    Raises:
      UndecidedUnitError: the file states no unit of q, and both 1/A and 1/nm are possible.
      InputError: the file does not exist, cannot be read, is too large or is not a curve; it has fewer than ten usable
        points; or `unit` is unknown, or cannot be that of a q computed from 2 theta.
    """
    if unit is not None:
        check_unit(unit)
    path = os.fspath(path)
    table = _read_table(path)
    if table.from_angle and unit not in (None, table.unit):
        raise InputError(f"{path}: q is computed from 2 theta and the wavelength, in {table.unit}: leave out the unit, "
                         f"{unit}")
    cleaned = clean_curve(table.q, table.intensity, table.sigma)
    notes = table.notes + cleaned.notes
    if cleaned.q.size < MIN_POINTS:
        why = f" ({'; '.join(cleaned.notes)})" if cleaned.notes else ""
        points = f"{cleaned.q.size} usable point{'s' * (cleaned.q.size != 1)}"
        raise InputError(f"{path}: only {points}, at least {MIN_POINTS} are needed{why}")
    data = cleaned.q, cleaned.intensity, cleaned.sigma
    doubts: tuple[str, ...] = ()
    if unit is None:
        try:
            unit, note = decide_unit(*data, table.unit, header=table.header_text)
        except InputError as error:
            raise type(error)(f"{path}: {error}") from None
        notes += (note,)
        doubts = (note,) if UNUSUAL in note else ()
    else:
        notes += (f"q in {unit}, as given",)
        if table.unit not in (None, unit):
            notes += (f"the file states another unit of q, {table.unit}: ignored",)
    q = cleaned.q * TO_INVERSE_ANGSTROM[unit]
    return Curve(q, cleaned.intensity, cleaned.sigma, unit, notes, path, cleaned.sigma_estimated, table.columns,
                 cleaned.negative_share, doubts)


def write_curve(path: str | os.PathLike, q_inv_angstrom: ArrayLike, intensity: ArrayLike, sigma: ArrayLike,
                header: Iterable[str] = ()) -> None:
    """Writes a curve in three text columns; an existing file is replaced only when the new one is complete.

    Args:
      path: the file to write.
      q_inv_angstrom: (N,), 1/A.
      intensity: (N,), any unit.
      sigma: (N,) standard deviations of `intensity`.
      header: lines to write above the columns, as # comments.

    Raises:
      ValueError: the arrays differ in length.
      OSError: the file cannot be written.
    """
    _write_columns(path, (*header, "q(1/A)  I  sigma"), (q_inv_angstrom, intensity, sigma))


def write_fit(path: str | os.PathLike, q_inv_angstrom: ArrayLike, intensity: ArrayLike, sigma: ArrayLike,
              fit: ArrayLike, header: Iterable[str] = ()) -> None:
    """Writes a fit in the four columns of ATSAS's .fit files: q, measured intensity, sigma, intensity of the model.

    Args:
      path: the file to write, replaced as in `write_curve`.
      q_inv_angstrom: (N,), 1/A.
      intensity: (N,) measured intensities, any unit.
      sigma: (N,) standard deviations of `intensity`.
      fit: (N,) intensities of the model, in the unit and scale of `intensity`.
      header: lines to write above the columns, as # comments.

    Raises:
      ValueError: the arrays differ in length.
      OSError: the file cannot be written.
    """
    _write_columns(path, (*header, "q(1/A)  I_exp  sigma  I_fit"),
                   (q_inv_angstrom, intensity, sigma, fit))


def _read_bytes(path: str) -> bytes:
    """Returns the content of a file; raises an InputError if it cannot be read, is empty or too large."""
    try:
        if os.path.isdir(path):
            raise InputError(f"{path}: is a directory, not a curve")
        size = os.path.getsize(path)
        if size > _MAX_BYTES:
            raise InputError(
                f"{path}: {size / 2**20:.0f} MB is too large for a curve (limit {_MAX_BYTES // 2**20} MB)")
        content = pathlib.Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not content.strip():
        raise InputError(f"{path}: the file is empty")
    return content


def _decode(content: bytes) -> str | None:
    """Returns the text of a file in UTF-8, UTF-16 or Latin-1, or None if the file is binary."""
    encoding = "utf-8-sig"
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif content[1:40:2].count(0) > 15:
        encoding = "utf-16-le"
    elif content[0:40:2].count(0) > 15:
        encoding = "utf-16-be"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    text = text.replace("\x1a", "\n")  # DOS end-of-file mark, often right after the last number
    sample = text[:100_000]
    control = sum(ord(c) < 32 and c not in "\t\n\r\f\v" for c in sample)
    return None if control > 0.01 * len(sample) else text


def _read_table(path: str) -> CurveTable:
    """Returns the table of a file in the format that its content shows; raises an InputError if there is none."""
    content = _read_bytes(path)
    table = read_nxcansas(path, content) if is_hdf5(content) else _read_text_table(content, path)
    if table is None:
        raise InputError(f"{path}: has no table of numbers; a curve is {_EXPECTED_FORMATS}")
    if table.q.size > _MAX_POINTS:
        raise InputError(f"{path}: {table.q.size} rows are too many for a curve (limit {_MAX_POINTS})")
    return table


def _read_text_table(content: bytes, path: str) -> CurveTable | None:
    """Returns the table of a text, or None if it has none; raises an InputError if the file is binary."""
    kind = name_binary(content)
    if kind is not None:
        raise InputError(f"{path}: is {kind}")
    text = _decode(content)
    if text is None:
        raise InputError(f"{path}: is binary; a curve is {_EXPECTED_FORMATS}")
    if is_gnom(text):
        return read_gnom(text)
    if is_sascif(text):
        return read_sascif(text, path)
    if is_xml(text):
        return read_cansas(text, path)
    return read_columns(text, path)


def _write_columns(path: str | os.PathLike, header: Iterable[str], columns: Iterable[ArrayLike]) -> None:
    """Writes the columns, each (N,), to a temporary file that then replaces `path`: a reader never sees half a file."""
    lines = [f"# {line}" for entry in header for line in entry.splitlines()]
    rows = np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
    lines += ["".join(f"{value:16.8E}" for value in row) for row in rows]
    target = pathlib.Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
