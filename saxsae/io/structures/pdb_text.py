"""Repairs PDB text before gemmi reads it, because files in use break the format in known ways.

* An END after each subunit: readers stop at the first. Every stretch between END, MODEL and ENDMDL
  records becomes a MODEL of its own, numbered anew (numbers may repeat in the wild, which gemmi
  refuses).
* Text in columns 73-80 (segment names, the entry's id in old files) where columns 77-78 should hold
  an element: cut away where it is no element or contradicts the atom's name, so that the element is
  told from the name.
* Coordinates that are not numbers: an error with its line, where readers would take a zero.
"""

import math

import gemmi

from phasenet.errors import InputError

_COORDINATES = (("x", 30, 38), ("y", 38, 46), ("z", 46, 54))


def repair(text: str, path: str) -> str:
    """The text with one MODEL per stretch of atoms, freed of what the atoms do not need.

    Args:
      text: a whole PDB file.
      path: its name, for errors.

    Raises:
      InputError: no ATOM or HETATM record, or a coordinate that is not a finite number (with its
        line).
    """
    header, sections, atoms = [], [], []
    for number, line in enumerate(text.splitlines(), 1):
        record = line[:6].rstrip().upper()
        if record in ("ATOM", "HETATM"):
            _check_coordinates(line, number, path)
            atoms.append(_trim_element(line))
        elif record == "TER" and atoms:
            atoms.append(line)
        elif record in ("END", "MODEL", "ENDMDL"):
            if atoms:
                sections.append(atoms)
            atoms = []
        elif record == "HEADER" or line.startswith("REMARK 350"):  # the id and the assemblies
            header.append(line)
    if atoms:
        sections.append(atoms)
    if not sections:
        raise InputError(f"{path}: no ATOM or HETATM record: not a structure, or one without atoms")
    lines = header
    for number, section in enumerate(sections, 1):
        lines += [f"MODEL     {number:4d}", *section, "ENDMDL"]
    lines.append("END")
    return "\n".join(lines) + "\n"


def _check_coordinates(line: str, number: int, path: str) -> None:
    for axis, start, stop in _COORDINATES:
        field = line[start:stop]
        try:
            finite = math.isfinite(float(field)) and "_" not in field  # 1_0 is ten to Python alone
        except ValueError:
            finite = False
        if not finite:
            raise InputError(
                f"{path}: line {number}: {axis} is {field.strip()!r}; a number is needed in "
                f"columns {start + 1}-{stop}"
            )


def _trim_element(line: str) -> str:
    element = line[76:78].strip().upper()
    name = line[12:16].strip().lstrip("0123456789").upper()
    if element and gemmi.Element(element).atomic_number > 0 and name.startswith(element):
        return line
    return line[:72]
