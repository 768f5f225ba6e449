"""Turns rows of a reflection file into F^2 with usable standard deviations; says what was dropped or set."""

import numpy as np

from phasenet.errors import InputError
from phasenet.io.reflections.hklf import ReflectionRows

# A missing standard deviation is the median of this many rows of similar intensity.
_NEIGHBOURS = 21
# Without any standard deviation: this part of F^2, and at least the same part of the mean F^2.
_ASSUMED_RELATIVE_SIGMA = 0.05
_MAX_INDEX = 32000


def squared_intensities(rows: ReflectionRows, path: str, is_amplitude: bool) -> tuple[ReflectionRows, list[str]]:
    """Returns measured rows as F^2 with positive standard deviations, and notes.

    Rows with F^2 = sigma = -1 were not measured; they are dropped, and so are rows without a value, rows of F(000) and
    rows with impossible indices. Amplitudes F become F |F| with the standard deviation 2 |F| sigma(F), at least
    sigma(F)^2. Missing standard deviations are taken from rows of similar intensity.

    Raises:
      InputError: no row is left.
    """
    notes = []
    values, sigma = rows.values, rows.sigma
    unmeasured = (values == -1) & (sigma == -1)
    missing = ~np.isfinite(values)
    origin = ~rows.hkl.any(axis=1)
    far = np.abs(rows.hkl).max(axis=1, initial=0) > _MAX_INDEX
    for mask, what in ((unmeasured, "rows with -1 -1 are not measured"), (missing, "rows have no value"),
                       (far & ~missing, "rows have indices that cannot be"),
                       (origin & ~missing, "rows are F(000)")):
        if mask.any():
            notes.append(f"{int(mask.sum())} of {len(values)} {what}: left out")
    kept = ~(unmeasured | missing | far | origin)
    if not kept.any():
        raise InputError(f"{path}: none of the {len(values)} rows is measured; expected rows h k l F^2 sigma")
    values, sigma = values[kept], sigma[kept].copy()
    hkl = rows.hkl[kept]
    batch = None if rows.batch is None else rows.batch[kept]
    if not values.any():
        raise InputError(f"{path}: all {len(values)} values are 0; expected rows h k l F^2 sigma")
    without = ~((sigma > 0) & np.isfinite(sigma))
    if is_amplitude:
        with np.errstate(invalid="ignore"):
            sigma = np.where(without, np.nan, np.maximum(2 * np.abs(values) * sigma, np.square(sigma)))
        values = values * np.abs(values)
        notes.append("amplitudes F are squared: F^2, with the standard deviation 2 F sigma(F), at least sigma(F)^2")
    if without.all():
        sigma = _ASSUMED_RELATIVE_SIGMA * np.maximum(np.abs(values), np.abs(values).mean())
        notes.append(f"no standard deviations in the file: {_ASSUMED_RELATIVE_SIGMA:g} of F^2 is assumed, at least "
                     f"{_ASSUMED_RELATIVE_SIGMA:g} of the mean F^2")
    elif without.any():
        sigma = _fill_from_neighbours(values, sigma, without)
        notes.append(f"{int(without.sum())} rows have no positive standard deviation: the median of "
                     f"{min(_NEIGHBOURS, int((~without).sum()))} rows of similar F^2 is set")
    return rows._replace(hkl=hkl, values=values, sigma=sigma, batch=batch), notes


def _fill_from_neighbours(values: np.ndarray, sigma: np.ndarray, without: np.ndarray) -> np.ndarray:
    """Returns sigma (N,) in which each row without one has the median of the rows nearest in value."""
    order = np.argsort(values[~without], kind="stable")
    known_values, known_sigma = values[~without][order], sigma[~without][order]
    filled = sigma.copy()
    width = min(_NEIGHBOURS, len(order))
    starts = np.clip(np.searchsorted(known_values, values[without]) - width // 2, 0, len(order) - width)
    filled[without] = np.median(known_sigma[starts[:, None] + np.arange(width)], axis=1)
    return filled


def transform_indices(hkl: np.ndarray, matrix: np.ndarray, path: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Returns indices (N, 3) times a matrix (3, 3) from HKLF, which of them are whole (N,), and notes.

    Raises:
      InputError: no reflection has whole indices after the transformation.
    """
    turned = hkl @ matrix.T
    whole = np.abs(turned - np.round(turned)).max(axis=1, initial=0) < 0.1
    said = " ".join(f"{value:g}" for value in matrix.ravel())
    if not whole.any():
        raise InputError(f"{path}: the matrix {said} on HKLF makes whole indices of no reflection; correct it")
    notes = [f"the matrix {said} on HKLF turns the indices into those of the cell"]
    if not whole.all():
        notes.append(f"{int((~whole).sum())} of {len(hkl)} reflections get no whole indices from the matrix: left out")
    return np.round(turned).astype(np.int64), whole, notes
