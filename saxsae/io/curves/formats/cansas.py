"""Reads curves from canSAS XML, versions 1.0 and 1.1 (canSAS working group, https://www.cansas.org/formats).

A file holds SASentry elements, each with SASdata; a point is an Idata element with Q, I and mostly Idev. The SASdata
with the most points is read. Document types and entities, which the format does not need and which could blow up, are
refused. Called by `measured_curves.read_curve`.
"""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

import numpy as np

from phasenet.errors import InputError
from saxsae.io.curves.columns import MAX_HEADER_CHARACTERS, CurveTable
from saxsae.io.curves.stated_units import find_stated_unit
from saxsae.io.curves.tables import parse_number

_ROOT = re.compile(r"<(?:[\w.-]{1,40}:)?SAS(?:root|entry|data)\b")
_MAX_ELEMENTS = 2_000_000
_SIGMA_NAMES = ("Idev", "dI", "Ierr", "Isd")


def is_xml(text: str) -> bool:
    """Returns whether a text is XML or a web page."""
    head = text[:100_000].lstrip()
    return head.startswith("<") and (
        re.match(r"<\?xml\b|<!DOCTYPE\b|<html\b", head, re.IGNORECASE) is not None or _ROOT.search(head) is not None)


def read_cansas(text: str, name: str) -> CurveTable:
    """Returns the curve with the most points in a canSAS XML file; of equal ones the first.

    Args:
      text: a text for which `is_xml` is true.
      name: name of the file, for messages.

    Raises:
      InputError: the text is not XML, not canSAS, declares entities, or has two-dimensional data.
    """
    if re.match(r"\s*(?:<!DOCTYPE\s+html|<html)", text, re.IGNORECASE):
        raise InputError(f"{name}: is a web page (HTML), not a curve: download the file behind it")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError(f"{name}: declares a DOCTYPE or an ENTITY, which canSAS XML does not need: remove it")
    if text.count("<") > _MAX_ELEMENTS:
        raise InputError(f"{name}: has too many XML elements for a curve (limit {_MAX_ELEMENTS // 2})")
    try:
        root = ElementTree.fromstring(text.lstrip())
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{name}: is not valid XML ({' '.join(str(error).split())})") from error
    curves = [element for element in root.iter() if _local(element) == "SASdata"]
    points = [[one for one in curve if _local(one) == "Idata"] for curve in curves]
    if any(_local(child) in ("Qx", "Qy") for rows in points for child in (rows[0] if rows else ())):
        raise InputError(f"{name}: is two-dimensional canSAS data (Qx, Qy): average it over the angles first")
    if not any(points):
        what = "is canSAS XML without points (Idata)" if curves else "is XML, but not canSAS (no SASdata)"
        raise InputError(f"{name}: {what}: give canSAS XML or text columns of q, intensity and sigma")
    rows = max(points, key=len)
    notes = ["canSAS XML"]
    others = sum(map(bool, points)) - 1
    if others:
        longest = sum(len(one) == len(rows) for one in points) == 1
        which = "the longest" if longest else "the first"
        notes.append(f"the file has {others + 1} curves (SASdata): {which} was read")
    fields = [{_local(child): child for child in row} for row in rows]
    q, intensity = _read_column(fields, "Q"), _read_column(fields, "I")
    sigma_name = next((key for key in _SIGMA_NAMES if any(key in row for row in fields)), None)
    sigma = None if sigma_name is None else _read_column(fields, sigma_name)
    units = {field["Q"].get("unit", field["Q"].get("units", "")) for field in fields if "Q" in field}
    if len(units) > 1:
        named = ", ".join(sorted(units))[:80]
        raise InputError(f"{name}: its points have different units of Q ({named}): give all in one unit")
    stated = units.pop().strip()[:40] if units else ""
    unit, header = find_stated_unit(f"Q ({stated})") if stated else None, _collect_header(root)
    if stated and unit is None:
        notes.append(f"the unit of Q in the file, {stated}, is not known")
        header = f"Q ({stated})\n{header}"
    return CurveTable(q, intensity, sigma, unit, 2 + (sigma is not None), tuple(notes), header)


def _local(element: ElementTree.Element) -> str:
    """Returns the name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def _read_column(fields: list[dict[str, ElementTree.Element]], key: str) -> np.ndarray:
    """Returns the numbers (N,) of one child of each point; NaN where it is missing or not a number."""
    texts = ((field[key].text or "").strip()[:100] if key in field else "" for field in fields)
    values = (parse_number(text) for text in texts)
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _collect_header(root: ElementTree.Element) -> str:
    """Returns the texts of title, run, sample and instrument: each element's name and content on one line."""
    lines, characters = [], 0
    for element in _iterate_outside_data(root):
        content = " ".join((element.text or "").split())[:1000]
        if content:
            unit = str(element.get("unit", ""))[:40]
            lines.append(f"{_local(element)[:60]}: {content} {unit}".rstrip())
            characters += len(lines[-1])
        if characters > MAX_HEADER_CHARACTERS:
            break
    return "\n".join(lines)[:MAX_HEADER_CHARACTERS]


def _iterate_outside_data(root: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Yields the elements of a document in their order, without those of SASdata."""
    stack = [root]
    while stack:
        element = stack.pop()
        yield element
        stack += [child for child in reversed(element) if _local(child) != "SASdata"]
