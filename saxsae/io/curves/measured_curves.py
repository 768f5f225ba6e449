"""Measured SAXS curves: read whatever a beamline or a data bank hands out, write curves and fits.

Content decides the format, whatever the file is called: text columns in their many dialects (.dat,
.csv, .fit, .sub; `columns`), GNOM output (.out; `gnom`), sasCIF (`sascif`). q is
4 pi sin(theta) / lambda; curves over s = 2 sin(theta) / lambda, as a few old files have them, are
not recognised: multiply s by 2 pi first.

What was assumed, dropped or estimated comes back as notes, for the caller to say aloud.
"""

import os
import pathlib
import tempfile
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from phasenet.errors import InputError
from saxsae.io.curves.cleaning import MIN_POINTS, clean
from saxsae.io.curves.columns import Table, read_columns
from saxsae.io.curves.gnom import is_gnom, read_gnom
from saxsae.io.curves.sascif import is_sascif, read_sascif
from saxsae.io.curves.units import TO_INVERSE_ANGSTROM, check_unit, decide_unit, radius_warning
from saxsae.profiles.guinier import guinier
from saxsae.profiles.rebinning import Rebinned, rebin

__all__ = ["Curve", "Rebinned", "read_curve", "rebin", "write_curve", "write_fit"]

_MAX_BYTES = 64 * 2**20
_MAX_POINTS = 100_000
_WANTED = "text: columns of q, intensity and sigma, GNOM .out, or sasCIF"


class Curve(NamedTuple):
    """A measured curve, fit to be used.

    Attributes:
      q_inv_angstrom: (N,) float64, 1/A, ascending, each value once.
      intensity: (N,) float64, unit of the file; negative where noise takes it there.
      sigma: (N,) float64, standard deviation of the intensity, positive.
      unit: of q in the file, "1/A" or "1/nm".
      columns: how many the table in the file has.
      notes: what was assumed, left out or estimated, one line each.
      path: the file.
      sigma_estimated: whether sigma is from the curve's own noise, not the file's.
    """

    q_inv_angstrom: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    unit: str
    notes: tuple[str, ...]
    path: str
    sigma_estimated: bool
    columns: int


def read_curve(path: str | os.PathLike, unit: str | None = None) -> Curve:
    """Reads a measured SAXS curve.

    Args:
        path: text columns, GNOM output or sasCIF.
        unit: of q in the file, "1/A" or "1/nm"; None: as the file states it, else decided from the
            Guinier radius and the q range (`units`), with a note that says so.

    Raises:
        InputError: no such file, not a curve, fewer than ten usable points, or an unknown unit.
    """
    if unit is not None:
        check_unit(unit)
    path = os.fspath(path)
    table = _read_table(_read_text(path), path)
    cleaned = clean(table.q, table.intensity, table.sigma)
    notes = table.notes + cleaned.notes
    if cleaned.q.size < MIN_POINTS:
        why = f" ({'; '.join(cleaned.notes)})" if cleaned.notes else ""
        points = f"{cleaned.q.size} usable point{'s' * (cleaned.q.size != 1)}"
        raise InputError(f"{path}: only {points}, at least {MIN_POINTS} are needed{why}")
    data = cleaned.q, cleaned.intensity, cleaned.sigma
    if unit is None:
        unit, note = decide_unit(*data, table.unit)
        notes += (note,)
    else:
        notes += (f"q in {unit}, as given",)
        if table.unit not in (None, unit):
            notes += (f"the file says {table.unit}",)
    q = cleaned.q * TO_INVERSE_ANGSTROM[unit]
    found = guinier(q, cleaned.intensity, cleaned.sigma)
    warning = radius_warning(found.rg_angstrom) if found.valid else None
    if warning:
        notes += (warning,)
    return Curve(q, cleaned.intensity, cleaned.sigma, unit, notes, path, cleaned.sigma_estimated,
                 table.columns)


def write_curve(path: str | os.PathLike, q_inv_angstrom, intensity, sigma,
                header: Iterable[str] = ()) -> None:
    """Writes q (1/A), I and sigma in three columns, after header lines as # comments."""
    _write_columns(path, (*header, "q(1/A)  I  sigma"), (q_inv_angstrom, intensity, sigma))


def write_fit(path: str | os.PathLike, q_inv_angstrom, intensity, sigma, fit,
              header: Iterable[str] = ()) -> None:
    """Writes a fit in the four columns of ATSAS's .fit: q (1/A), measured I, sigma, model's I."""
    _write_columns(path, (*header, "q(1/A)  I_exp  sigma  I_fit"),
                   (q_inv_angstrom, intensity, sigma, fit))


def _read_text(path: str) -> str:
    try:
        if os.path.isdir(path):
            raise InputError(f"{path}: is a directory, not a curve")
        size = os.path.getsize(path)
        if size > _MAX_BYTES:
            raise InputError(f"{path}: {size / 2**20:.0f} MB is too large for a curve (limit "
                             f"{_MAX_BYTES // 2**20} MB)")
        content = pathlib.Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not content.strip():
        raise InputError(f"{path}: the file is empty")
    text = _decode(content)
    if text is None:
        raise InputError(f"{path}: is binary; a curve is {_WANTED}")
    return text


def _decode(content: bytes) -> str | None:
    """The text of a file in UTF-8, UTF-16 or Latin-1, or None for a binary file."""
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
    text = text.replace("\x1a", "\n")   # DOS end of file, often right after the last number
    sample = text[:100_000]
    control = sum(ord(c) < 32 and c not in "\t\n\r\f\v" for c in sample)
    return None if control > 0.01 * len(sample) else text


def _read_table(text: str, path: str) -> Table:
    if is_gnom(text):
        table = read_gnom(text)
    elif is_sascif(text):
        table = read_sascif(text, path)
    else:
        table = read_columns(text)
    if table is not None and table.q.size > _MAX_POINTS:
        raise InputError(
            f"{path}: {table.q.size} rows are too many for a curve (limit {_MAX_POINTS})")
    if table is None:
        raise InputError(f"{path}: no table of numbers in it; a curve is {_WANTED}")
    return table


def _write_columns(path, header: Iterable[str], columns) -> None:
    """Writes to a file beside the target, then renames: a reader never sees half a file."""
    lines = [f"# {line}" for entry in header for line in entry.splitlines()]
    rows = np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
    lines += ["".join(f"{value:16.8E}" for value in row) for row in rows]
    path = pathlib.Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
