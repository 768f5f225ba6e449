"""Repairs PDB text before gemmi parses it; `structure_files.read_structure` calls it.

Files found in practice break the format in three ways:

1. An END record follows each subunit, and parsers stop at the first. Every stretch of atoms between END, MODEL and
   ENDMDL records becomes a model, numbered anew, because gemmi refuses repeated numbers.
2. Columns 73-80 hold a segment's name or the entry's id where columns 77-78 should hold the element. Text that is no
   element, or contradicts the atom's name, is cut off, and gemmi then derives the element from the name.
3. A coordinate is not a number. Parsers take it for zero; here it is an error that names the line.
"""

import math

import gemmi

from phasenet.errors import InputError

_COORDINATES = (("x", 30, 38), ("y", 38, 46), ("z", 46, 54))


def repair_pdb(text: str, path: str) -> str:
    """Returns PDB text that gemmi reads in full, with one MODEL for each stretch of atoms.

    It keeps HEADER, REMARK 350 (the biological assemblies), ATOM, HETATM and TER, and drops all other records.

    Args:
      text: the content of a PDB file.
      path: the file's name, for error messages.

    Raises:
      InputError: there is no ATOM or HETATM record, or a coordinate is not a finite number.
    """
    header: list[str] = []
    sections: list[list[str]] = []
    atoms: list[str] = []
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
        elif record == "HEADER" or line.startswith("REMARK 350"):
            header.append(line)
    if atoms:
        sections.append(atoms)
    if not sections:
        raise InputError(f"{path}: no ATOM or HETATM record; a PDB or mmCIF file with atoms is needed")
    lines = header
    for number, section in enumerate(sections, 1):
        lines += [f"MODEL     {number:4d}", *section, "ENDMDL"]
    lines.append("END")
    return "\n".join(lines) + "\n"


def _check_coordinates(line: str, number: int, path: str) -> None:
    """Raises InputError unless the atom record `line`, the file's line `number`, has three finite coordinates."""
    for axis, start, stop in _COORDINATES:
        field = line[start:stop]
        try:
            finite = math.isfinite(float(field)) and "_" not in field  # Python alone reads 1_0 as ten
        except ValueError:
            finite = False
        if not finite:
            raise InputError(
                f"{path}: line {number}: {axis} is {field.strip()!r}; a number is needed in "
                f"columns {start + 1}-{stop}"
            )


def _trim_element(line: str) -> str:
    """Returns an atom record, cut before column 73 unless columns 77-78 hold the element that the name begins with."""
    element = line[76:78].strip().upper()
    name = line[12:16].strip().lstrip("0123456789").upper()
    if element and gemmi.Element(element).atomic_number > 0 and name.startswith(element):
        return line
    return line[:72]
