"""`CrystalFacts`: what one file says about a crystal besides its reflections, and how several files are combined."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from phasenet.io.reflections.formulas import format_formula

# An electron at 30 keV has a wavelength of 0.07 A, one at 300 keV 0.02 A; X-rays this short are not used.
_LONGEST_ELECTRON_WAVELENGTH = 0.06
# Two files give the same cell up to these differences.
_EDGE_TOLERANCE, _ANGLE_TOLERANCE_DEGREES = 0.003, 0.3
_WAVELENGTH_TOLERANCE = 0.002
_COUNT_TOLERANCE = 0.02


class CrystalFacts(NamedTuple):
    """What a file says about a crystal; None, "" or an empty tuple or dict where it says nothing.

    Attributes:
      source: name of the file.
      cell: (6,) float64, edges in A, angles in degrees.
      cell_sigma: (6,) float64, their standard deviations.
      operators: triplets of all operators of the space group, centring included.
      space_group: the symbol as the file spells it.
      wavelength: in A.
      radiation: "xray", "electron" or "neutron".
      formula: formula of one formula unit, as the file spells it.
      elements: number of atoms of each element in the unit cell; 0 where unknown.
      z: number of formula units in the unit cell.
      hklf: 3 if the reflections of this crystal are amplitudes F, 4 if they are F^2.
      matrix: (3, 3) float64 that turns the indices (as columns) of the reflection file into those of the cell.
      scales: factors for the intensities and for their standard deviations.
      twin: TWIN and BASF as the file has them.
      instructions: TITL, CELL, ZERR, LATT, SYMM, SFAC and UNIT of a SHELX file, one a line.
      notes: what was assumed or passed over, one line each.
    """

    source: str
    cell: np.ndarray | None = None
    cell_sigma: np.ndarray | None = None
    operators: tuple[str, ...] | None = None
    space_group: str = ""
    wavelength: float | None = None
    radiation: str = ""
    formula: str = ""
    elements: dict[str, float] = {}  # noqa: RUF012  never written to
    z: int | None = None
    hklf: int | None = None
    matrix: np.ndarray | None = None
    scales: tuple[float, float] = (1.0, 1.0)
    twin: str = ""
    instructions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def combine_facts(sources: Sequence[CrystalFacts]) -> CrystalFacts:
    """Returns the facts of several files; of each fact, the first file that states it is used.

    The notes say from which file each main fact comes, and where two files disagree.
    """
    notes = [note for facts in sources for note in facts.notes]
    merged = CrystalFacts(source=", ".join(facts.source for facts in sources))
    for name in CrystalFacts._fields:
        if name in ("source", "notes"):
            continue
        if name in ("matrix", "scales"):  # of the file whose HKLF is used
            stated = [facts for facts in sources if facts.hklf is not None][:1]
        else:
            stated = [facts for facts in sources if _is_stated(getattr(facts, name))]
        if not stated:
            continue
        first = stated[0]
        value = getattr(first, name)
        merged = merged._replace(**{name: value})
        if name == "hklf" and any(not np.array_equal(_matrix(first), _matrix(other)) for other in stated[1:]):
            notes.append(f"the matrices on HKLF disagree; that of {first.source} is used")
        if name in ("cell", "operators", "wavelength", "radiation", "elements", "z", "hklf"):
            for other in stated[1:]:
                difference = _difference(name, value, getattr(other, name))
                if difference:
                    notes.append(f"{first.source} and {other.source} disagree: {difference}; that of {first.source} is "
                                 "used")
    return merged._replace(notes=tuple(dict.fromkeys(notes)))


def is_electron_wavelength(wavelength: float | None) -> bool:
    """Returns whether a wavelength, A, is one of electrons in a microscope."""
    return wavelength is not None and 0 < wavelength < _LONGEST_ELECTRON_WAVELENGTH


def _matrix(facts: CrystalFacts) -> np.ndarray:
    """Returns the matrix (3, 3) on HKLF, the identity if there is none."""
    return np.eye(3) if facts.matrix is None else facts.matrix


def _is_stated(value: object) -> bool:
    """Returns whether a value states anything."""
    return not (value is None or isinstance(value, str | dict | tuple) and not value)


def _difference(name: str, first: object, second: object) -> str:
    """Returns how two values of a fact differ, or "" if they agree."""
    if name == "cell":
        assert isinstance(first, np.ndarray) and isinstance(second, np.ndarray)
        if (np.abs(second[:3] / first[:3] - 1).max() > _EDGE_TOLERANCE
                or np.abs(second[3:] - first[3:]).max() > _ANGLE_TOLERANCE_DEGREES):
            return f"cell {_format(first)} against {_format(second)}"
    elif name == "operators":
        assert isinstance(first, tuple) and isinstance(second, tuple)
        if set(first) != set(second):
            return f"{len(first)} symmetry operators against {len(second)}, or others"
    elif name == "elements":
        assert isinstance(first, dict) and isinstance(second, dict)
        if any(abs(first.get(symbol, 0.0) - second.get(symbol, 0.0))
               > _COUNT_TOLERANCE * max(first.get(symbol, 0.0), second.get(symbol, 0.0))
               for symbol in first.keys() | second.keys()):
            return f"atoms in the cell {format_formula(first)} against {format_formula(second)}"
    elif name == "wavelength":
        assert isinstance(first, float) and isinstance(second, float)
        if abs(first - second) > _WAVELENGTH_TOLERANCE * max(first, second):
            return f"wavelength {first:g} A against {second:g} A"
    elif first != second:
        return f"{name} {first} against {second}"
    return ""


def _format(cell: np.ndarray) -> str:
    """Returns a cell (6,) as text."""
    return " ".join(f"{value:.6g}" for value in cell)
