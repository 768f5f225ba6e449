"""Reads curves from NXcanSAS and other NeXus HDF5 files, with h5py if it is installed.

The default entry and its default data group are read: a SASdata group with I, Q and the uncertainties that an attribute
of I names, or an NXdata group whose axis is q. Links to other files are not followed, and the size of an array is
checked before it is read. Called by `measured_curves.read_curve`.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from phasenet.errors import InputError
from saxsae.io.curves.column_names import find_role
from saxsae.io.curves.columns import MAX_HEADER_CHARACTERS, CurveTable
from saxsae.io.curves.formats.hdf5_texts import (
    TextHeaps,
    find_heaps,
    has_broken_attribute,
    is_sound_reference,
)
from saxsae.io.curves.stated_units import find_stated_unit

_MAX_NUMBERS = 2_000_000  # in one array
_MAX_GROUPS, _MAX_DEPTH = 2000, 12
_MAX_ATTRIBUTE_BYTES = 100_000
_ATTRIBUTES = ("default", "canSAS_class", "NX_class", "signal", "I_axes", "axes", "Q_indices", "units", "unit",
               "uncertainties", "uncertainty")


def read_nxcansas(path: str, content: bytes) -> CurveTable:
    """Returns the default curve of a NeXus HDF5 file, or the first one if the file names no default.

    Args:
      path: a file for which `binary.is_hdf5` is true.
      content: what the file holds.

    Raises:
      InputError: h5py is not installed, the file is damaged, has no curve, or only two-dimensional data.
    """
    try:
        import h5py
    except ImportError:
        raise InputError(
            f"{path}: is HDF5, which needs h5py: python -m pip install h5py (the extra nxcansas)") from None
    heaps = find_heaps(content)
    if heaps is None or has_broken_attribute(content, _ATTRIBUTES, heaps):
        raise InputError(f"{path}: cannot be read as HDF5 (its texts are damaged)")
    try:
        with h5py.File(path, "r") as file:
            table = _read_file(file, path)
            return table._replace(header_text=table.header_text + _collect_header(file, content, heaps))
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError,
            MemoryError) as error:
        raise InputError(f"{path}: cannot be read as HDF5 ({' '.join(str(error).split())[:200]})") from error


def _read_file(file: Any, path: str) -> CurveTable:
    """Returns the default curve of an open HDF5 file."""
    groups = list(_iterate_groups(file))
    candidates = [group for group in groups if _is_class(group, "SASdata")]
    kind = "NXcanSAS"
    if not candidates:
        kind = "NeXus"
        candidates = [group for group in groups if _is_class(group, "NXdata")]
    if not candidates:
        raise InputError(
            f"{path}: is HDF5 without a SASdata or NXdata group: give NXcanSAS, or export q, I, sigma as text")
    default = _follow_default(file, candidates)
    ordered = [default, *(one for one in candidates if one != default)] if default is not None else candidates
    curve, count = None, 0
    reasons: list[str] = []
    for group in ordered[:100]:
        result = _read_group(group)
        if isinstance(result, str):
            reasons.append(result)
            if group == default:
                break  # the curve that the file means is refused, not replaced
        else:
            curve, count = curve or result, count + 1
    if curve is None:
        raise InputError(f"{path}: {reasons[0]}")
    notes = [kind, *curve.notes]
    if count > 1:
        which = "the default" if default is not None else "the first"
        class_name = "SASdata" if kind == "NXcanSAS" else "NXdata"
        notes.append(f"the file has {count} curves ({class_name}): {which} was read")
    return curve._replace(notes=tuple(notes))


def _read_group(group: Any) -> CurveTable | str:
    """Returns the curve of a SASdata or NXdata group, or why it has none."""
    where = f"HDF5 group {group.name[:80]}"
    signal = _as_text(_attribute(group, "signal")) or "I"
    axes = _as_names(_attribute(group, "I_axes")) or _as_names(_attribute(group, "axes"))
    q_axes = [name for name in axes if find_role(name, 0) == "q" or name.lower() in ("qx", "qy", "qz")]
    names = list(group)[:1000]
    if len(q_axes) > 1 or {"Qx", "Qy"} <= set(names) or np.size(_attribute(group, "Q_indices")) > 1:
        return f"{where} is two-dimensional (more than one Q axis): average it over the angles first"
    data = _get_array(group, signal)
    if data is None:
        return f"{where} has no array of numbers {signal[:40]}: give NXcanSAS with I and Q"
    q_name = q_axes[0] if q_axes else "Q" if "Q" in names else axes[-1] if axes else ""
    if find_role(q_name, 0) != "q":
        given = f"its axis is {q_name[:40]}" if q_name else "it names no axis"
        return f"{where} is not I(q), {given}: give NXcanSAS with I and Q"
    q = _get_array(group, q_name)
    if q is None:
        return f"{where} has no array of numbers {q_name[:40]}: give NXcanSAS with I and Q"
    notes = []
    values = group[signal]
    sigma_name = next((name for name in (
        *_as_names(_attribute(values, "uncertainties")), *_as_names(_attribute(values, "uncertainty")), "Idev",
        f"{signal}_errors", f"{signal}_error", "errors", "sigma") if name in names), None)
    sigma = None if sigma_name is None else _get_array(group, sigma_name)
    q, data = np.squeeze(q), np.squeeze(data)
    if data.ndim > 1 and q.ndim and data.shape[-1] == q.shape[-1]:  # frames, temperatures
        if q.ndim == 1 and not _as_names(_attribute(group, "I_axes")) and not axes:
            return f"{where} has an array I of {data.ndim} dimensions and names no axes: give one curve"
        notes.append(f"the group has {data.size // data.shape[-1]} curves: the first was read")
        sigma = sigma.reshape(-1, sigma.shape[-1])[0] if sigma is not None and sigma.shape == data.shape else None
        data, q = data.reshape(-1, data.shape[-1])[0], q.reshape(-1, q.shape[-1])[0]
    if data.ndim != 1 or q.shape != data.shape:
        return f"{where} is not one curve: I has the shape {data.shape} and Q the shape {q.shape}"
    sigma = None if sigma is None or sigma.size != data.size else sigma.reshape(data.shape)
    units = _as_text(_attribute(group[q_name], "units")) or _as_text(_attribute(group[q_name], "unit"))
    unit, header = find_stated_unit(f"Q ({units})") if units else None, ""
    if units and unit is None:
        notes.append(f"the unit of Q in the file, {units[:40]}, is not known")
        header = f"Q ({units[:40]})\n"
    return CurveTable(q, data, sigma, unit, 2 + (sigma is not None), tuple(notes), header)


def _get_array(group: Any, name: str) -> np.ndarray | None:
    """Returns a data set as float64, or None if the group has none of this name that is a small array of numbers."""
    item = _get(group, name)
    if item is None or not hasattr(item, "dtype") or not hasattr(item, "shape") or item.shape is None:
        return None
    if item.dtype.kind not in "fiu" or not 0 < item.size <= _MAX_NUMBERS or item.external or item.is_virtual:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(item[()], np.float64).reshape(item.shape or (1,))


def _attribute(item: Any, name: str) -> Any:
    """Returns an attribute of a group or a data set, or None if it is missing, large, or neither text nor number."""
    if name not in item.attrs:
        return None
    stored = item.attrs.get_id(name)
    if not _is_simple(stored.get_type()) or stored.shape is None:
        return None
    if np.prod(stored.shape, dtype=float) * stored.dtype.itemsize > _MAX_ATTRIBUTE_BYTES:
        return None
    return item.attrs[name]


def _is_simple(stored_type: Any) -> bool:
    """Returns whether an HDF5 type is a text or a number; on damaged types of other kinds the library may crash."""
    import h5py

    return isinstance(stored_type, (h5py.h5t.TypeStringID, h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID))


def _get(group: Any, name: str) -> Any:
    """Returns a member of a group, or None if it is missing or a link to another file."""
    import h5py

    if not name or name not in group or isinstance(group.get(name, getlink=True), h5py.ExternalLink):
        return None
    return group.get(name)


def _iterate_groups(file: Any) -> Iterator[Any]:
    """Yields the groups of a file, parents first and each once, without those behind links to other files."""
    stack = [(file, 0)]
    seen: set[Any] = set()
    while stack and len(seen) < _MAX_GROUPS:
        group, depth = stack.pop()
        if group.id in seen:
            continue
        seen.add(group.id)
        yield group
        if depth < _MAX_DEPTH:
            members = [_get(group, name) for name in list(group)[:_MAX_GROUPS]]
            stack += [(one, depth + 1) for one in reversed(members) if hasattr(one, "keys") and hasattr(one, "attrs")]


def _follow_default(file: Any, candidates: list[Any]) -> Any:
    """Returns the candidate that the attributes `default` lead to from the top, or None."""
    group = file
    for _ in range(_MAX_DEPTH):
        name = _as_text(_attribute(group, "default"))
        target = _get(group, name) if name else None
        if target is None and group == file:  # the only entry of a file needs no name
            entries = [one for one in map(lambda name: _get(file, name), list(file)[:100]) if hasattr(one, "keys")]
            target = entries[0] if len(entries) == 1 else None
        if target is None or not hasattr(target, "keys"):
            return None
        group = target
        if group in candidates:
            return group
    return None


def _is_class(group: Any, name: str) -> bool:
    """Returns whether a group has a class of canSAS or NeXus."""
    return name in (_as_text(_attribute(group, "canSAS_class")), _as_text(_attribute(group, "NX_class")))


def _collect_header(file: Any, content: bytes, heaps: TextHeaps) -> str:
    """Returns the short texts and single numbers in a file: title, run, sample, instrument."""
    lines: list[str] = []
    for group in itertools.islice(_iterate_groups(file), 100):
        for name in list(group)[:100]:
            item = _get(group, name)
            if not hasattr(item, "dtype") or item.shape is None or item.size != 1 or item.external or item.is_virtual:
                continue
            offset = item.id.get_offset() if item.dtype.kind == "O" else 0
            if offset is None or not _is_simple(item.id.get_type()) or item.dtype.itemsize > _MAX_ATTRIBUTE_BYTES:
                continue
            if item.dtype.kind == "O" and not is_sound_reference(content, offset, heaps):
                continue
            value = _as_text(item[()])
            if value:
                lines.append(f"{name[:60]}: {value[:500]} {_as_text(_attribute(item, 'units'))[:40]}".rstrip())
        if sum(map(len, lines)) > MAX_HEADER_CHARACTERS:
            break
    return "\n".join(lines)[:MAX_HEADER_CHARACTERS]


def _as_text(value: Any) -> str:
    """Returns an attribute as text: the first of several; "" if there is none."""
    while isinstance(value, (list, tuple, np.ndarray)):
        value = np.ravel(np.asarray(value, object))[0] if np.size(value) else ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return str(value).strip() if isinstance(value, (str, int, float, np.number)) else ""


def _as_names(value: Any) -> list[str]:
    """Returns an attribute with names, one or several, an array or separated by commas; "." stands for no name."""
    if isinstance(value, (list, tuple, np.ndarray)):
        texts = [_as_text(one) for one in np.ravel(np.asarray(value, object))[:20]]
    else:
        texts = _as_text(value).replace(":", ",").split(",")
    return [text.strip() for text in texts if text.strip() and text.strip() != "."]
