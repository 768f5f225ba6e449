"""Describes an uploaded file as the program reads it; the page shows this before anything is computed."""

import pathlib
from typing import Any

import numpy as np

from launch.serving import crystals
from phasenet.errors import InputError
from phasenet.io.amplitudes import read_amplitudes
from phasenet.io.patterson_maps import MeasuredMap, read_patterson
from phasenet.io.reflections.user_files import read_text
from saxsae.io.curves.measured_curves import read_curve
from saxsae.io.curves.units import UndecidedUnitError
from saxsae.io.structures.structure_files import read_structure
from saxsae.profiles.guinier import fit_guinier
from saxsae.verdict import judge_curve

MEGABYTE = 2**20
# Largest size of a file, by what it is uploaded as.
MAX_BYTES = {"curve": 8 * MEGABYTE, "reference": 64 * MEGABYTE, "patterson": 64 * MEGABYTE,
             "amplitudes": 64 * MEGABYTE, **dict.fromkeys(crystals.FILES, 64 * MEGABYTE)}
_MAX_POINTS_SHOWN = 400  # points of a curve
_GRID = 40  # voxels per edge of the map that a table of reflections becomes, as for the released weights


def describe_file(kind: str, path: pathlib.Path, name: str, unit: str | None = None) -> dict[str, Any]:
    """Returns what a file holds, as JSON for the page.

    Args:
      kind: a key of `MAX_BYTES` but the reflections of a crystal, which `crystals.describe_crystal` describes.
      path: the file.
      name: display name of the file, which messages use.
      unit: unit of q of a curve, as `read_curve` takes it; None to read or guess it.

    Returns:
      Numbers and notes for the page. Of a curve: q in 1/Angstrom, Rg in Angstrom, intensities in the file's unit. Of a
      map: its voxels along each axis, and their edge in Angstrom.

    Raises:
      InputError: the file cannot be read; the message is one line.
    """
    try:
        return _READERS[kind](path, unit)
    except InputError as error:
        raise InputError(str(error).replace(str(path), name)) from None


def _curve(path: pathlib.Path, unit: str | None) -> dict[str, Any]:
    """Returns what a curve file holds: the points to draw, the notes, the Guinier region and the verdict on the curve.

    If the unit of q has to be given, "undecided" says so, and the rest is that of 1/A.
    """
    try:
        curve = read_curve(path, unit)
    except UndecidedUnitError as error:
        return _curve(path, "1/A") | {"undecided": str(error).removeprefix(f"{path}: ")}
    q, intensity, sigma = curve.q_inv_angstrom, curve.intensity, curve.sigma
    found = fit_guinier(q, intensity, sigma)
    verdict = judge_curve(curve, found)
    line = None
    if found.valid:
        line = {"rg": found.rg_angstrom, "rg_sigma": found.rg_sigma, "i0": found.i0, "first": found.first + 1,
                "last": found.last, "q_rg_min": found.q_rg_min, "q_rg_max": found.q_rg_max}
    # Every n-th point is shown, because means would hide the noise.
    shown = slice(None, None, -(-len(q) // _MAX_POINTS_SHOWN))
    return {"points": len(q), "q_min": float(q[0]), "q_max": float(q[-1]), "unit": curve.unit,
            "columns": curve.columns, "sigma_estimated": curve.sigma_estimated,
            "notes": [*curve.notes, *verdict.remarks], "verdict": verdict.sentence,
            "guinier": line, "no_guinier": found.reason,
            "q": q[shown].tolist(), "intensity": intensity[shown].tolist(), "sigma": sigma[shown].tolist()}


def _reference(path: pathlib.Path, _: str | None) -> dict[str, Any]:
    """Returns what a structure file holds."""
    structure = read_structure(path, assembly=None)
    return {"atoms": len(structure.xyz_angstrom), "of": structure.kind, "notes": structure.notes}


def _companion(path: pathlib.Path, _: str | None) -> dict[str, Any]:
    """Returns the number of lines of a text that belongs to the reflections of a crystal, which are read with it."""
    return {"lines": read_text(str(path)).count("\n") + 1}


def _patterson(path: pathlib.Path, _: str | None) -> dict[str, Any]:
    """Returns what a file of a Patterson map holds."""
    return _map(read_patterson(path))


def _amplitudes(path: pathlib.Path, _: str | None) -> dict[str, Any]:
    """Returns what a file of amplitudes holds."""
    return _map(read_amplitudes(path, _GRID))


def _map(measured: MeasuredMap) -> dict[str, Any]:
    """Returns the size of a map, the edge of its voxels (A, None where unknown) and the reader's notes."""
    values = np.asarray(measured.values)
    return {"voxels": values.shape, "pitch": measured.pitch_angstrom, "notes": measured.notes}


_READERS = {"curve": _curve, "reference": _reference, "patterson": _patterson, "amplitudes": _amplitudes,
            **dict.fromkeys(crystals.COMPANIONS, _companion)}
