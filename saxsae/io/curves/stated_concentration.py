"""Reads the concentration of the sample that the header of a curve states. `launch.reconstruction.series` calls it."""

import os
import pathlib
import re

_READ_BYTES = 2**20  # a statement stands in a header, or at the end of a short file
_NUMBER = r"(\d+(?:[.,]\d+)?(?:e[-+]?\d+)?)"
_UNIT = r"(?:mg ?/ ?ml|mg[ *]{0,2}ml ?\^? ?-1|g ?/ ?l)"
_WORD = r"\b(?:conc(?:entration)?|c)\b"
# "concentration = 2.5 mg/mL", "c= 2.5 mg/ml" (ATSAS); "Sample concentration (mg/ml): 2.5". Blanks are single.
_STATEMENTS = (
    re.compile(rf'{_WORD}\.?"? ?[:=]? ?"?{_NUMBER} ?[(\[]?{_UNIT}(?![\w/])', re.IGNORECASE),
    re.compile(rf'{_WORD}\.? ?[,_]? ?[(\[]? ?(?:in )?{_UNIT} ?[)\]]?"? ?[:=,]? ?"?{_NUMBER}(?![\w.,]*\d)',
               re.IGNORECASE))


def find_stated_concentration(text: str) -> float | None:
    """Returns the concentration in mg/ml that a text states, or None if it states none, zero, or several.

    Args:
      text: header and columns of a curve.
    """
    lines = [" ".join(line.split()) for line in text.splitlines() if "/" in line or "-1" in line]
    found = {float(match[1].replace(",", "."))
             for line in lines for pattern in _STATEMENTS for match in pattern.finditer(line)}
    return found.pop() if len(found) == 1 and min(found) > 0 else None


def read_stated_concentration(path: str | os.PathLike) -> float | None:
    """Returns the concentration in mg/ml that the text of a file states, or None.

    Raises:
      OSError: the file cannot be read.
    """
    with pathlib.Path(path).open("rb") as file:
        content = file.read(_READ_BYTES)
    return None if b"\0" in content else find_stated_concentration(content.decode("utf-8", "replace"))
