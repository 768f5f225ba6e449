"""Reads the files of a crystal that a browser uploads, as `launch.solve --reflections` reads them.

The reflections and what lies beside them are uploaded one by one and stored under the names of `FILES`, so that the
reader finds them together; messages name the user's files.
"""

import pathlib
import re
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any, NamedTuple

from phasenet.errors import InputError
from phasenet.io.reflections.crystal_files import read_crystal

_STEM = "crystal"
REFLECTIONS = f"{_STEM}.hkl"
# Kinds of uploads, each also the name under which it is stored: SHELX instructions (.ins, .res) and a CIF.
COMPANIONS = (f"{_STEM}.ins", f"{_STEM}.cif")
FILES = (REFLECTIONS, *COMPANIONS)
GIVEN = ("cell", "space_group", "formula", "radiation")  # settings that the reader is told


class NamedFile(NamedTuple):
    """An uploaded file and the user's name for it."""

    path: pathlib.Path
    name: str


def describe_crystal(files: Mapping[str, NamedFile], given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the files of a crystal hold, as JSON for the page.

    Args:
      files: by their keys of `FILES`; the reflections must be among them.
      given: a value, or None, for each of `GIVEN`.

    Returns:
      Form, number of reflections, cell (Angstrom and degrees), space group, elements in the cell, radiation and notes.

    Raises:
      InputError: the files cannot be used; the message is one line.
    """
    def with_names(text: str) -> str:
        # A file that was not given has no name of the user's: only its ending is told. All names are replaced in one
        # pass, as the user's name may itself be or end in one of ours.
        text = re.sub(rf"\b{_STEM}(\.\w+)", lambda ours: files[ours[0]].name if ours[0] in files else ours[1], text)
        return text.replace("--cell=a,b,c,alpha,beta,gamma", "the unit cell below")

    with tempfile.TemporaryDirectory() as folder:
        for kind, file in files.items():
            shutil.copyfile(file.path, pathlib.Path(folder) / kind)
        try:
            crystal = read_crystal(pathlib.Path(folder) / REFLECTIONS, **{name: given[name] for name in GIVEN})
        except InputError as error:
            raise InputError(with_names(str(error).replace(f"{folder}/", ""))) from None
    return {"form": crystal.form, "reflections": len(crystal.hkl), "cell": crystal.cell.tolist(),
            "space_group": crystal.space_group or None, "has_symmetry": crystal.operators is not None,
            "elements": crystal.elements, "radiation": crystal.radiation,
            "beside": [files[kind].name for kind in COMPANIONS if kind in files],
            "notes": [with_names(note) for note in crystal.notes]}
