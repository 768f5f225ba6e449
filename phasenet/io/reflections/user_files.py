"""Reads a user's texts, and finds the files that belong together: NAME.ins, NAME.res, NAME.cif beside NAME.hkl."""

import os
import pathlib
import re

from phasenet.errors import InputError
from phasenet.io.reflections import cif
from phasenet.io.reflections.cif_blocks import read_blocks
from phasenet.io.reflections.crystal_facts import CrystalFacts, combine_facts
from phasenet.io.reflections.shelx_instructions import read_instructions

_FACT_ENDINGS, _ROW_ENDINGS = (".ins", ".res", ".cif"), (".hkl", ".fcf", ".hkl_archive")
_MAX_BYTES = 256 * 2**20
_DATA_LINE = re.compile(r"^\s*data_\S*\s*$", re.IGNORECASE | re.MULTILINE)
_CIF_ITEM = re.compile(r"^\s*(loop_|_[a-z]\w*[_.]\S+)", re.IGNORECASE | re.MULTILINE)
_CRYSTAL_ITEM = re.compile(r"^\s*_(refln|cell)[_.]", re.IGNORECASE | re.MULTILINE)


def read_start(path: str) -> bytes:
    """Returns the first bytes of a file.

    Raises:
      InputError: the file is missing, a folder, or cannot be read.
    """
    try:
        if os.path.isdir(path):
            raise InputError(f"{path}: a folder; expected a file .hkl, .cif, .fcf, .mtz, .ins or .res")
        with open(path, "rb") as file:
            return file.read(512)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


def read_text(path: str) -> str:
    """Returns a text file, UTF-8, UTF-16 or Latin-1, line ends as newlines.

    Raises:
      InputError: the file is missing, too large, empty or no text.
    """
    start = read_start(path)
    size = os.path.getsize(path)
    if size > _MAX_BYTES:
        raise InputError(f"{path}: {size / 2**20:.0f} MB; a text may have up to {_MAX_BYTES // 2**20} MB")
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", errors="replace")
    else:
        # A NUL among the text is damage, many are a binary file.
        if data.count(b"\0") > len(data) // 100:
            raise InputError(f"{path}: neither a text nor an MTZ file; expected .hkl, .cif, .fcf, .mtz, .ins or .res")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    text = text.replace("\0", " ").replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise InputError(f"{path}: the file is empty")
    return text


def is_cif(text: str) -> bool:
    """Returns whether a text is a CIF: it has items, and a line data_NAME before them or a loop of reflections."""
    if not _CIF_ITEM.search(text):
        return False
    return bool(_DATA_LINE.search(text) or _CRYSTAL_ITEM.search(text))


def find_reflections(path: str) -> str:
    """Returns the reflection file beside a file without reflections: NAME.hkl, or else the only one in the folder.

    Raises:
      InputError: there is none, or there are several of other names.
    """
    same, others = _files_beside(path, _ROW_ENDINGS)
    if same or len(others) == 1:
        return (same or others)[0]
    stem = os.path.splitext(os.path.basename(path))[0]
    found = f"{len(others)} reflection files of other names" if others else "no reflection file"
    raise InputError(f"{path}: no reflections in the file, and beside it {found}; put {stem}.hkl there, or "
                     "give the .hkl itself")


def facts_of_companions(path: str, own: list[CrystalFacts], given: CrystalFacts,
                        has_hklf_rows: bool) -> tuple[CrystalFacts, list[str]]:
    """Returns the facts of the caller, of a reflection file and of the files beside it, and notes.

    Files of the same name are always read. If they leave the cell or the composition open, the only file .ins, .res or
    .cif of another name in the folder is read, too; for the composition only if its cell is the same.

    Args:
      path: the reflection file.
      own: facts that the reflection file states itself.
      given: facts of the caller.
      has_hklf_rows: whether HKLF, in the files beside the reflection file, describes the rows of that file.

    Raises:
      InputError: the only file with a cell cannot be read, or a SHELX file says HKLF 5.
    """
    notes: list[str] = []
    errors: list[InputError] = []
    same, others = _files_beside(path, _FACT_ENDINGS)
    sources = [given._replace(space_group="", hklf=None), *own]
    known = {facts.source for facts in own}
    for companion in same:
        if os.path.basename(companion) not in known:
            sources += _read_companion(companion, errors, has_hklf_rows)
    combined = combine_facts(sources)
    if combined.cell is None or not combined.elements:
        stems = {os.path.splitext(other)[0] for other in others}
        extra = [facts for other in others for facts in _read_companion(other, errors, has_hklf_rows)
                 ] if len(stems) == 1 else []
        if extra and (combined.cell is None or not _has_other_cell(combined, extra[0])):
            names = ", ".join(os.path.basename(other) for other in others)
            if not all(name in known for name in names.split(", ")):
                notes.append(f"{names}, the only .ins, .res or .cif beside {os.path.basename(path)}, is taken to "
                             "belong to it")
            combined = combine_facts([*sources, *extra])
        elif len(stems) > 1 and combined.cell is None:
            notes.append(f"{len(stems)} files of other names beside {os.path.basename(path)} are not read")
    if errors and combined.cell is None:
        raise errors[0]
    return combined, [*notes, *(f"passed over: {error}" for error in errors)]


def _has_other_cell(facts: CrystalFacts, other: CrystalFacts) -> bool:
    """Returns whether two files give different cells."""
    return any(" disagree: cell" in note for note in combine_facts([facts, other]).notes)


def _files_beside(path: str, endings: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Returns the other files of a folder with one of the endings: those of the same name, and the rest."""
    folder, own = os.path.split(path)
    try:
        names = sorted(os.listdir(folder or "."))
    except OSError:
        return [], []
    found = sorted((endings.index(os.path.splitext(name)[1].lower()), name) for name in names
                    if os.path.splitext(name)[1].lower() in endings and name != own
                    and os.path.isfile(os.path.join(folder, name)))
    stem = os.path.splitext(own)[0].lower()
    same = [os.path.join(folder, name) for _, name in found if os.path.splitext(name)[0].lower() == stem]
    rest = [os.path.join(folder, name) for _, name in found if os.path.splitext(name)[0].lower() != stem]
    return same, rest


def _read_companion(path: str, errors: list[InputError], has_hklf_rows: bool) -> list[CrystalFacts]:
    """Returns the facts of one companion; an error that leaves the reflections usable is collected.

    Raises:
      InputError: a SHELX file says HKLF 5, or another format that is not read.
    """
    source = os.path.basename(path)
    try:
        text = read_text(path)
        if not is_cif(text):
            return [read_instructions(text, source, path, has_hklf_rows)]
        blocks, notes = read_blocks(text)
        facts = cif.facts_from_blocks(blocks, source, path)
        facts = facts._replace(notes=(*(f"{source}: {note}" for note in notes), *facts.notes))
        embedded = [cif.embedded_instructions(block, source, path, has_hklf_rows) for block in blocks]
        return [facts, *(each for each in embedded[:1] if each is not None)]
    except InputError as error:
        if ": HKLF " in str(error):
            raise
        errors.append(error)
        return []
