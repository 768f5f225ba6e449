"""Reads the ids of entries that a user wants from a data bank: from a flag, or from a text file."""

import os
import pathlib
import re
from collections.abc import Callable

from phasenet.errors import InputError

_MAX_LIST_BYTES = 2**24  # the ids of the whole Protein Data Bank take 2 MB


def parse_ids(text: str, pattern: re.Pattern[str], kind: str, example: str,
              normalize: Callable[[str], str] = str.lower) -> list[str]:
    """Returns the ids in a text, in order, each once.

    Args:
      text: ids separated by commas, semicolons or blanks; or the name of a text file of ids (see `read_ids`).
      pattern: what a whole id matches after `normalize`.
      kind: the name of such ids in error messages, such as "PDB id".
      example: what an id looks like, for error messages.
      normalize: brings an id to upper or lower case.

    Raises:
      InputError: the text is neither, or the file cannot be read, has no id, or has a word that is not an id.
    """
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    wrong = next((word for word in words or [text] if not pattern.fullmatch(normalize(word))), None)
    if wrong is None:
        return list(dict.fromkeys(map(normalize, words)))
    if os.path.exists(text):
        return read_ids(text, pattern, kind, example, normalize)
    raise InputError(f"{wrong[:60]!r} is neither a {kind} nor a file; {example} is needed")


def read_ids(path: str | os.PathLike, pattern: re.Pattern[str], kind: str, example: str,
             normalize: Callable[[str], str] = str.lower) -> list[str]:
    """Returns the ids in a text file, in order, each once.

    Ids are separated by blanks, commas, semicolons or line ends; `#` starts a comment.

    Args:
      path: the text file, in UTF-8.
      pattern: what a whole id matches after `normalize`.
      kind: the name of such ids in error messages, such as "PDB id".
      example: what an id looks like, for error messages.
      normalize: brings an id to upper or lower case.

    Raises:
      InputError: the file is missing, too large or not text, has no id, or has a word that is not an id.
    """
    try:
        if os.path.getsize(path) > _MAX_LIST_BYTES:
            raise InputError(f"{path}: larger than {_MAX_LIST_BYTES // 2**20} MB; a text file of {kind}s is needed")
        lines = pathlib.Path(path).read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path}: not a text file of {kind}s ({error})") from None
    ids: dict[str, None] = {}  # an ordered set
    for number, line in enumerate(lines, 1):
        for word in filter(None, re.split(r"[\s,;]+", line.partition("#")[0])):
            if not pattern.fullmatch(normalize(word)):
                raise InputError(f"{path}: line {number}: {word[:40]!r} is not a {kind}; {example} is needed")
            ids[normalize(word)] = None
    if not ids:
        raise InputError(f"{path}: no {kind} in it")
    return list(ids)
