"""How a file was read: what the page shows before anything is computed."""

import pathlib
from typing import Any

import numpy as np

from phasenet.errors import InputError
from phasenet.io.amplitudes import read_amplitudes
from phasenet.io.patterson_maps import MeasuredMap, read_patterson
from saxsae.io.curves.measured_curves import read_curve
from saxsae.io.structures.structure_files import read_structure
from saxsae.profiles.guinier import guinier

MEGABYTE = 2**20
# By what a file is given for: the largest, bytes.
LARGEST = {"curve": 8 * MEGABYTE, "reference": 64 * MEGABYTE, "patterson": 64 * MEGABYTE, "amplitudes": 64 * MEGABYTE}
_MOST_SHOWN = 400  # points of a curve that are drawn
_GRID = 40  # of the map of a table of reflections: that of the released weights


def read(kind: str, path: pathlib.Path, name: str, unit: str | None = None) -> dict[str, Any]:
    """What a file holds, for the page.

    Args:
      kind: one of LARGEST.   path: where it lies.   name: as the user calls it; what messages say.
      unit: of q, as `read_curve` takes it.

    Raises InputError, the reader's one line.
    """
    try:
        return _READERS[kind](path, unit)
    except InputError as error:
        raise InputError(str(error).replace(str(path), name)) from None


def _curve(path: pathlib.Path, unit: str | None) -> dict[str, Any]:
    curve = read_curve(path, unit)
    q, intensity, sigma = curve.q_inv_angstrom, curve.intensity, curve.sigma
    found = guinier(q, intensity, sigma)
    line = None
    if found.valid:
        line = {"rg": found.rg_angstrom, "rg_sigma": found.rg_sigma, "i0": found.i0, "first": found.first + 1,
                "last": found.last, "q_rg_min": found.q_rg_min, "q_rg_max": found.q_rg_max}
    # Each point or each second, third, ...: a mean would hide the noise that there is.
    shown = slice(None, None, -(-len(q) // _MOST_SHOWN))
    return {"points": len(q), "q_min": float(q[0]), "q_max": float(q[-1]), "unit": curve.unit,
            "columns": curve.columns, "sigma_estimated": curve.sigma_estimated, "notes": curve.notes,
            "guinier": line, "no_guinier": found.reason,
            "q": q[shown].tolist(), "intensity": intensity[shown].tolist(), "sigma": sigma[shown].tolist()}


def _reference(path: pathlib.Path, _: str | None) -> dict[str, Any]:
    structure = read_structure(path, assembly=None)
    return {"atoms": len(structure.xyz_angstrom), "of": structure.kind, "notes": structure.notes}


def _patterson(path: pathlib.Path, _: str | None) -> dict[str, Any]:
    return _map(read_patterson(path))


def _amplitudes(path: pathlib.Path, _: str | None) -> dict[str, Any]:
    return _map(read_amplitudes(path, _GRID))


def _map(measured: MeasuredMap) -> dict[str, Any]:
    values = np.asarray(measured.values)
    return {"voxels": values.shape, "pitch": measured.pitch_angstrom, "notes": measured.notes}


_READERS = {"curve": _curve, "reference": _reference, "patterson": _patterson, "amplitudes": _amplitudes}
