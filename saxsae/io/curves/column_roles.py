"""Finds which columns of a table are q, intensity and sigma: by their names, else by their numbers.

Called by `columns.read_columns` for each table of a file. A table that is not I(q) gets the reason instead, as the rest
of a sentence that begins with "the table in lines 1 to 90".

By numbers, in this order: a plane of points (Qx, Qy); a column that counts the points; curves side by side, each with
its own q; a width of q in the second or third column; further curves or a fit behind the intensity.
"""

import re
from typing import NamedTuple

import numpy as np

from saxsae.io.curves import transforms
from saxsae.io.curves.abscissa import find_angle_unit, names_two_theta
from saxsae.io.curves.column_names import name_columns, name_is_linear_sigma
from saxsae.io.curves.tables import TextTable

_MAX_HEADER_LINES = 5  # names, units, comments
_MIN_ROWS = 10  # a shorter table tells nothing by its numbers
TWO_DIMENSIONAL = "is two-dimensional (Qx, Qy, I): average it over the angles and give q, I, sigma"
SESANS = "is spin-echo data (SESANS), not I(q): give the small-angle scattering curve"
_NOT_Q = {
    "theta": "has an angle theta in the first column: give q, or the scattering angle as 2theta and the wavelength",
    "q_rg": "is a dimensionless Kratky plot (q Rg): give q and I",
    "log_q": "has the logarithm of q in the first column: give q and I",
    "spin_echo": SESANS,
    "d_spacing": "has spacings d in the first column, not q: give q = 2 pi / d",
    "r": "is a function of the distance r, such as p(r): give the measured I(q)",
    "time": "is a trace against frame, time or volume (SEC), not I(q): give the averaged, subtracted curve",
    "index": "has channel numbers and no q: give q, or the scattering angle as 2theta and the wavelength",
}
_NOT_INTENSITY = {
    "log": "has \"log\" of the intensity without its base: give the intensity, or name the column log10(I) or ln(I)",
    "kratky": "is a Kratky plot (q^2 I): give q and I",
    "porod": "is a Porod plot (q^4 I): give q and I",
    "q_times_i": "gives q I(q) (a plot for rods): give q and I",
    "reciprocal": "gives 1/I or its root (a Zimm plot): give q and I",
    "p_r": "is a pair distance distribution p(r): give the measured I(q)",
    "structure_factor": "gives a structure factor S(q): give I(q)",
    "trace": "is a trace of whole frames (SEC): give the averaged, subtracted curve",
}
_MATRIX = "is a matrix of numbers, such as an image: integrate it over the angles first"
_COMPUTED = "a computed curve with its parts: the first intensity ({}) was read, without sigma"
_MIN_MATRIX_COLUMNS = 8
_MIN_RATIO_OF_CURVES = 0.15  # of a column without a known name to the intensity; a smaller one is taken as sigma
_PLOT_PHRASE = re.compile(
    r"\b(kratky|guinier|porod|zimm|holtzer)[ _-](?:plot|transform\w*|representation)", re.IGNORECASE)
_LOGARITHM = re.compile(r"\blog10\b|\b(?:log|ln)\s?\(|\blog(?:arithmic)?[ _-]scale", re.IGNORECASE)
_SUBTRACTED = re.compile(r"(?:^|[_\W])sub(?:tr\w*)?(?:$|[_\W\d])", re.IGNORECASE)  # sample less buffer
_NUMBER_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
RANK_CURVE, RANK_DOUBTFUL, RANK_FIT = 2, 1, 0  # how well a table's columns agree with a measured curve


class ColumnRoles(NamedTuple):
    """What the columns of a table are.

    Attributes:
      q: index of the column of q, or of the abscissa that is converted to q.
      intensity: index of the column of the intensity, or of its logarithm.
      sigma: index of the column of standard deviations, or None.
      rank: `RANK_CURVE`, `RANK_DOUBTFUL`, or `RANK_FIT` for a computed curve; -1 if the first column is constant.
      notes: what was assumed or passed over, one line each.
      q_name: the name of the q column; None if the columns have no names.
      angle_unit: "deg", "rad" or "mrad" if the q column is 2 theta, else None.
      scale: "log10" or "ln" if the intensity column is a logarithm, else "linear".
      linear_sigma: whether sigma is that of I although the intensity column is a logarithm.
    """

    q: int
    intensity: int
    sigma: int | None
    rank: int
    notes: tuple[str, ...] = ()
    q_name: str | None = None
    angle_unit: str | None = None
    scale: str = "linear"
    linear_sigma: bool = False


def assign_roles(table: TextTable) -> ColumnRoles | str:
    """Returns the roles of the columns of a table, or why the table is not I(q).

    Args:
      table: a table with two columns or more.
    """
    values = table.values
    lines = [line for line in table.headers if any(map(str.isalnum, line))][:_MAX_HEADER_LINES]
    names = next(filter(None, (_usable_names(line, values.shape[1]) for line in lines)), None)
    roles = _assign_by_name(names, values) if names else None
    if roles is None:
        phrase = _PLOT_PHRASE.search(" ".join(lines)[:2000])
        if phrase:
            return f"is a {phrase[1].capitalize()} plot by its heading: give q and I"
        roles = _assign_by_numbers(values)
    if isinstance(roles, str):
        return roles
    if roles.q_name is None and names_two_theta("\n".join(lines)[:2000]):
        roles = roles._replace(angle_unit=find_angle_unit(" ".join(lines)), q_name="2theta")
    if roles.q_name is None and any(_LOGARITHM.search(line) for line in lines if len(line) < 200):
        return "has a logarithm in its heading: name the columns, such as q log10(I), or q I if they are no logarithms"
    if len(values) >= _MIN_ROWS and roles.scale == "linear" and roles.rank > RANK_FIT:
        sigma = None if roles.sigma is None else values[:, roles.sigma]
        reason = transforms.find_transform(
            values[:, roles.q], values[:, roles.intensity], sigma, roles.q_name is not None)
        if reason:
            return reason
    return roles._replace(rank=min(roles.rank, _rank_by_numbers(values[:, roles.q], values[:, roles.intensity])))


def _usable_names(line: str, columns: int) -> list[tuple[str, str | None]] | None:
    """Returns the names and roles of the columns if a line holds names, not only as many words as there are columns."""
    names = name_columns(line, columns)
    if names is None:
        return None
    known = [role for _, role in names if role not in (None, "other", "index")]
    certain = [name for name, role in names if role == "q" and name.lower().startswith("q")]
    return names if len(known) >= 2 or certain else None


def _assign_by_name(names: list[tuple[str, str | None]], values: np.ndarray) -> ColumnRoles | str | None:
    """Returns the roles that named columns have, why they are not I(q), or None if the names do not say."""
    roles = [role for _, role in names]
    if "qx" in roles and "qy" in roles:
        return TWO_DIMENSIONAL
    angle_unit = None
    if "q" in roles:
        q = roles.index("q")
    elif "two_theta" in roles:
        q = roles.index("two_theta")
        angle_unit = find_angle_unit(names[q][0])
    elif "q_squared" in roles:
        guinier = {"ln", "log10", "log"} & set(roles)
        return "is a Guinier plot (q^2, ln I): give q and I" if guinier else "has q^2 in the first column: give q and I"
    else:
        return next((reason for role, reason in _NOT_Q.items() if role in roles), None)
    blocks = [i for i, role in enumerate(roles) if role == roles[q]]
    notes = [f"column {names[i][0][:30]}, which counts the rows, skipped"
             for i, role in enumerate(roles[:q]) if role == "index" and names[i][0]]
    end = len(roles)
    if len(blocks) > 1:
        end = blocks[1]
        starts = [*blocks, len(roles)]
        measured = sum(not set(roles[a:b]) & {"fit"} for a, b in zip(starts, starts[1:], strict=False))
    chosen = _choose_intensity(names, values, range(q + 1 if len(blocks) > 1 else 0, end), q)
    if isinstance(chosen, str) or chosen is None:
        return chosen
    intensity, sigma, curves = chosen
    if len(blocks) > 1 and measured > 1:
        notes.append(_describe_curves(measured, "side by side", sigma is None))
    elif "component" in roles and sigma is None:
        notes.append(_COMPUTED.format(names[intensity][0][:40]))
    elif _SUBTRACTED.search(names[intensity][0]):
        notes.append(f"column {names[intensity][0][:30]} was read as the intensity")
    elif curves > 1:
        notes.append(_describe_curves(curves, "on one q", sigma is None, names[intensity][0]))
    role = roles[intensity]
    scale = role if role in ("log10", "ln") else "linear"
    linear = scale != "linear" and sigma is not None and name_is_linear_sigma(names[sigma][0])
    rank = RANK_FIT if role in ("fit", "component") or "extrap" in names[q][0].lower() else RANK_CURVE
    return ColumnRoles(q, intensity, sigma, rank, tuple(notes), names[q][0], angle_unit, str(scale), linear)


def _choose_intensity(names: list[tuple[str, str | None]], values: np.ndarray, span: range,
                      q: int) -> tuple[int, int | None, int] | str | None:
    """Returns the columns of intensity and sigma in `span` and the number of curves, or why there is no intensity."""
    roles = {i: names[i][1] for i in span if i != q}
    measured = [i for i, role in roles.items() if role == "intensity"]
    if len(measured) > 1:  # counts beside an intensity are no second curve
        measured = [i for i in measured if names[i][0].lower() not in ("counts", "cts", "data")] or measured
    measured = measured or [i for i, role in roles.items() if role in ("log10", "ln")][:1]
    unknown = [i for i, role in roles.items() if role is None]
    if not measured:
        reason = next((_NOT_INTENSITY[role] for role in roles.values() if role in _NOT_INTENSITY), None)
        if reason:
            return reason
        if unknown:
            measured = [unknown[0]]
        else:
            measured = [i for i, role in roles.items() if role in ("fit", "component")][:1]
        if not measured:
            return None
    subtracted = [i for i, role in roles.items() if role in (None, "intensity") and _SUBTRACTED.search(names[i][0])]
    intensity = (subtracted or measured)[0]
    unknown = [i for i in unknown if i != intensity]
    usable = ("sigma", "log_sigma") if roles[intensity] in ("log10", "ln") else ("sigma",)
    sigmas = [i for i, role in roles.items() if role in usable]
    after = [i for i in (*measured, *subtracted) if i > intensity]
    between = [i for i in sigmas if i > intensity and (not after or i < min(after))]
    curves = 1 if subtracted else len(measured)
    if sigmas:
        return intensity, (between or sigmas)[0], curves
    if unknown and len(values) >= _MIN_ROWS:
        similar = [i for i in unknown if transforms.is_as_large_as(
            values[:, i], values[:, intensity], _MIN_RATIO_OF_CURVES)]
        if unknown[0] in similar:
            return intensity, None, curves + len(similar)
    return intensity, unknown[0] if unknown and curves == 1 else None, curves


def _assign_by_numbers(values: np.ndarray) -> ColumnRoles | str:
    """Returns the roles of columns without names."""
    columns = values.shape[1]
    if len(values) < _MIN_ROWS:
        return ColumnRoles(0, 1, 2 if columns > 2 else None, RANK_DOUBTFUL)
    if transforms.is_plane(values):
        return TWO_DIMENSIONAL
    if columns >= _MIN_MATRIX_COLUMNS and not transforms.is_mostly_monotonic(values[:, 0]):
        return _MATRIX
    start, notes = 0, []
    if _is_row_counter(values[:, 0]):
        if columns < 3 or not _rises(values[:, 1]) and not _rises(values[::-1, 1]):
            return _NOT_Q["index"]
        start = 1
        notes.append("the first column only counts the rows: skipped")
    q, rest = values[:, start], columns - start
    for width in (2, 3):
        starts = range(start, columns, width)
        if rest % width == 0 and len(starts) > 1 and not _rises(values[:, start + 1]) and all(
                _is_same_abscissa(values[:, i], q) for i in starts[1:]):
            notes.append(_describe_curves(len(starts), "side by side", width == 2))
            return ColumnRoles(start, start + 1, start + 2 if width == 3 else None, RANK_CURVE, tuple(notes))
    if rest > 2 and transforms.is_resolution(q, values[:, start + 1]):
        notes.append(f"column {start + 2} is the width of q: column {start + 3} was read as the intensity")
        return ColumnRoles(start, start + 2, start + 3 if rest > 3 else None, RANK_CURVE, tuple(notes))
    intensity, sigma = start + 1, start + 2 if rest > 2 else None
    if rest > 2 and transforms.is_proportional(q, values[:, start + 2]):
        sigma = start + 3 if rest > 3 else None
        notes.append(f"column {start + 3} is the width of q: not taken as sigma")
    elif rest > 3:
        sigma = _find_sigma(values, intensity, notes)
    return ColumnRoles(start, intensity, sigma, RANK_CURVE, tuple(notes))


def _find_sigma(values: np.ndarray, intensity: int, notes: list[str]) -> int | None:
    """Returns the column of sigma behind the intensity in a table of three columns or more from the intensity on."""
    columns = values.shape[1]
    similar = [transforms.is_as_large_as(values[:, i], values[:, intensity]) for i in range(intensity + 1, columns)]
    first, last = intensity + 2, columns
    if not similar[0]:
        pairs = similar[1::2]
        if len(similar) % 2 and len(pairs) > 0 and all(pairs) and not any(
                similar[i] or _is_constant(values[:, intensity + 1 + i]) for i in range(2, len(similar), 2)):
            notes.append(_describe_curves(1 + len(pairs), "on one q", False))
        return intensity + 1
    if not similar[1] and not _is_constant(values[:, intensity + 2]):
        notes.append(f"column {first} follows the intensity (a fit?): column {first + 1} was taken as sigma")
        return intensity + 2
    notes.append(f"columns {first} to {last} are as large as the intensity (other curves, or parts of a computed one): "
                 "the first intensity was read, without sigma")
    return None


def _rank_by_numbers(q: np.ndarray, intensity: np.ndarray) -> int:
    """Returns how well numbers agree with a curve that is positive and falls at positive q."""
    usable = np.isfinite(q) & np.isfinite(intensity)
    q, intensity = q[usable], intensity[usable]
    if q.size < 3 or np.all(q == q[0]):
        return -1
    with np.errstate(over="ignore", invalid="ignore"):
        third = max(q.size // 3, 1)
        intensity = intensity[np.argsort(q, kind="stable")]
        falls = np.median(intensity[:third]) > np.median(intensity[-third:])
        positive = np.mean(q > 0) > 0.8 and np.mean(intensity > 0) > 0.5
    return RANK_CURVE if falls and positive else RANK_DOUBTFUL


def _describe_curves(number: int, arrangement: str, without_sigma: bool, name: str = "") -> str:
    """Returns the note that a file has several curves, of which the first was read."""
    what = f"the first ({name[:30]})" if name else "the first"
    return (f"the file has {_NUMBER_WORDS.get(number, number)} curves, {arrangement}: {what} was read"
            + ", without sigma" * without_sigma)


def _is_row_counter(column: np.ndarray) -> bool:
    """Returns whether a column (N,) holds integers that rise by exactly 1."""
    return bool(np.isfinite(column).all() and column[0] >= 0 and column[0] == np.floor(column[0])
                and np.all(np.diff(column) == 1))


def _rises(column: np.ndarray) -> bool:
    """Returns whether nearly all steps of a column (N,) go up."""
    column = column[np.isfinite(column)]
    return bool(column.size > 2 and np.mean(column[1:] > column[:-1]) > 0.95)


def _is_same_abscissa(column: np.ndarray, q: np.ndarray) -> bool:
    """Returns whether a column (N,) is q again, or the q of another curve in a similar range."""
    usable = np.isfinite(column) & np.isfinite(q)
    column, q = column[usable], q[usable]
    if q.size < _MIN_ROWS or not (_rises(column) and _rises(q)) or not (column[0] > 0 and q[0] > 0):
        return False
    ratios = column[[0, -1]] / q[[0, -1]]
    return bool(np.all((ratios > 0.3) & (ratios < 3)))


def _is_constant(column: np.ndarray) -> bool:
    """Returns whether a column (N,) has one value, missing ones aside."""
    column = column[np.isfinite(column)]
    return bool(column.size == 0 or np.all(column == column[0]))
