"""Downloads entries of the Crystallography Open Database (COD), each into a folder; for `launch.fetch_cod`.

    ID/ID.cif        the structure as served: cell, symmetry, formula, and the published atoms
    ID/ID.hkl        the measured reflections, where the authors deposited them
    ID/source.json   where the files came from, and what to cite

Files that are already there are not downloaded again. Reference: S. Grazulis et al., Nucleic Acids Research 40 (2012)
D420.
"""

import contextlib
import json
import os
import pathlib
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from phasenet.errors import InputError, one_line
from phasenet.io.atomic_writes import replacing
from phasenet.io.reflections.cif import facts_from_blocks, rows_from_blocks
from phasenet.io.reflections.cif_blocks import CifBlock, read_blocks
from phasenet.io.reflections.crystal_facts import CrystalFacts
from phasenet.io.reflections.crystal_files import read_crystal
from phasenet.io.reflections.hklf import has_rows_first
from phasenet.io.reflections.user_files import is_cif, read_text
from phasenet.io.servers import ids as entry_ids
from phasenet.io.servers.download import DownloadFailed, Server, check_not_web_page
from phasenet.io.servers.entries import EntryDownloads, download_each

URL = "https://www.crystallography.net/cod"
_ID = re.compile(r"[1-9]\d{6}", re.ASCII)
_ID_KIND, _ID_EXAMPLE = "COD id", "seven digits such as 2016452"
_MAX_BYTES = 2**28  # of a file; `read_text` reads no larger one
_TITLE_TAG = "_publ_section_title"
_LICENCE = "Public domain (CC0). The COD asks for attribution to the article that the data come from."
_CITATION = "S. Grazulis et al., Nucleic Acids Research 40 (2012) D420-D427, doi:10.1093/nar/gkr900"


class CodEntry(NamedTuple):
    """An entry of the data bank, as downloaded into its folder.

    Attributes:
      id: the entry's id, such as "2016452".
      title: title of the article; "" if the entry has none.
      formula: of one formula unit; "" if the entry has none.
      cell: (6,) float64, edges in A, angles in degrees; None if the entry has none.
      space_group: symbol; "" if the entry has none.
      reflections: the file to give to `launch.solve`: ID.hkl, or ID.cif where that holds the reflections. None if the
        entry has no reflections that can be read.
      num_reflections: the number of measured reflections that were read.
      notes: what cannot be read, one line each.
    """

    id: str
    title: str
    formula: str
    cell: np.ndarray | None
    space_group: str
    reflections: pathlib.Path | None
    num_reflections: int
    notes: tuple[str, ...]


def parse_ids(text: str) -> list[str]:
    """Returns the ids in a text such as "2016452,2242624", each once.

    Args:
      text: ids separated by commas, semicolons or blanks; or the name of a text file of ids (see `ids.read_ids`).

    Raises:
      InputError: the text is neither, or the file cannot be read, has no id, or has a word that is not an id.
    """
    return entry_ids.parse_ids(text, _ID, _ID_KIND, _ID_EXAMPLE)


def download_entries(ids: Iterable[str], folder: str | os.PathLike, url: str = URL,
                     report: Callable[[str], None] | None = None, workers: int = 2, **server_options: Any
                     ) -> EntryDownloads[CodEntry]:
    """Downloads entries, each into folder/ID; files that are already there are kept and not asked for again.

    Args:
      ids: ids of seven digits, each once.
      folder: made if it does not exist.
      url: the server; a file has the address url/ID.cif or url/ID.hkl.
      report: called with a line of progress every few seconds.
      workers: how many entries are downloaded at the same time.
      **server_options: further arguments of `Server` (attempts, pause_seconds, timeout_seconds).

    Raises:
      InputError: an id is not one of the data bank's, `url` is not an http(s) address, or several entries in a row
        failed; a later run continues there.
    """
    return download_each(_fetch_entry, ids, folder, Server(url, workers, **server_options), report, _ID, _ID_KIND,
                         _ID_EXAMPLE)


def _fetch_entry(server: Server, entry_id: str, folder: pathlib.Path) -> CodEntry | None:
    """Returns one entry, downloaded where it is not there yet; None where the server has no such entry."""
    folder.mkdir(parents=True, exist_ok=True)
    structure, reflections = folder / f"{entry_id}.cif", folder / f"{entry_id}.hkl"
    files = _read_source(folder)
    try:
        if not _fetch_file(server, structure, _check_structure, files):
            return None
        _write_source(structure, files)  # now, so that after an interruption its Last-Modified is still known
        if _fetch_file(server, reflections, _check_reflections, files):
            _write_source(structure, files)
    finally:
        with contextlib.suppress(OSError):  # the folder stays where it holds files
            folder.rmdir()
    return _read_entry(entry_id, structure, reflections)


def _fetch_file(server: Server, target: pathlib.Path, check: Callable[[pathlib.Path], None],
                files: dict[str, dict]) -> bool:
    """Returns whether the file is at `target` now, downloaded where it was not; enters it into `files` by its name."""
    address = f"{server.url}/{target.name}"
    if not target.is_file():
        try:
            served = server.fetch(address, target, check, _MAX_BYTES)
        except DownloadFailed as error:
            raise type(error)(f"{target.name}: {error}") from None
        if served is None:
            return False
        files[target.name] = {"address": served.address, "last_modified": one_line(served.last_modified) or None}
    record = files.get(target.name, {"address": address, "last_modified": None})
    files[target.name] = record | {"bytes": target.stat().st_size}
    return True


def _check_structure(path: pathlib.Path) -> None:
    """Raises ValueError where the file is no CIF."""
    check_not_web_page(path)
    if not is_cif(read_text(os.fspath(path))):
        raise ValueError("the answer is no CIF")


def _check_reflections(path: pathlib.Path) -> None:
    """Raises ValueError where the file is neither a CIF nor rows h k l F^2 sigma."""
    check_not_web_page(path)
    text = read_text(os.fspath(path))
    if not (is_cif(text) or has_rows_first(text)):
        raise ValueError("the answer holds no reflections")


def _read_entry(entry_id: str, structure: pathlib.Path, reflections: pathlib.Path) -> CodEntry:
    """Returns what the files of an entry hold; the file of reflections may be missing."""
    blocks, facts, notes = _read_structure(structure)
    title = _find_value(blocks, _TITLE_TAG)
    candidates = [reflections] if reflections.is_file() else []
    candidates += [structure] if _embeds_reflections(blocks, structure, notes) else []
    for path in candidates:
        try:
            crystal = read_crystal(path)
        except InputError as error:
            notes.append(f"{path.name} cannot be read ({error})")
        else:
            return CodEntry(entry_id, title, crystal.formula, crystal.cell, crystal.space_group, path,
                            len(crystal.hkl), tuple(notes))
    return CodEntry(entry_id, title, facts.formula, facts.cell, facts.space_group, None, 0, tuple(notes))


def _read_structure(path: pathlib.Path) -> tuple[list[CifBlock], CrystalFacts, list[str]]:
    """Returns the blocks of a CIF, what they say of the crystal, and notes on what cannot be read."""
    blocks: list[CifBlock] = []
    try:
        blocks, _ = read_blocks(read_text(os.fspath(path)))
        return blocks, facts_from_blocks(blocks, path.name, os.fspath(path)), []
    except InputError as error:
        return blocks, CrystalFacts(path.name), [f"{path.name} cannot be read ({error}); delete the file to have it "
                                                 "downloaded again"]


def _embeds_reflections(blocks: list[CifBlock], path: pathlib.Path, notes: list[str]) -> bool:
    """Returns whether a CIF holds measured reflections; adds a note where it holds some that cannot be read."""
    try:
        return rows_from_blocks(blocks, os.fspath(path)) is not None
    except InputError as error:
        notes.append(f"{path.name} holds no reflections that can be read ({error})")
        return False


def _find_value(blocks: list[CifBlock], tag: str) -> str:
    """Returns an item of a CIF as one line, "" where no block has it."""
    return one_line(next(filter(None, (block.value(tag) for block in blocks)), ""))


def _write_source(structure: pathlib.Path, files: dict[str, dict]) -> None:
    """Writes source.json beside the structure, with the article that the structure names."""
    blocks, _, _ = _read_structure(structure)
    source = {
        "id": structure.stem, "title": _find_value(blocks, _TITLE_TAG),
        "journal": _find_value(blocks, "_journal_name_full"), "year": _find_value(blocks, "_journal_year"),
        "doi": _find_value(blocks, "_journal_paper_doi"), "licence": _LICENCE, "cite": ["the article", _CITATION],
        "files": [{"file": name, **record} for name, record in files.items()]}
    with replacing(structure.with_name("source.json")) as part:
        pathlib.Path(part).write_text(json.dumps(source, indent=1) + "\n", encoding="utf-8")


def _read_source(folder: pathlib.Path) -> dict[str, dict]:
    """Returns what an earlier run wrote of the files that are still there, by file name."""
    try:
        records = json.loads((folder / "source.json").read_bytes())["files"]
        return {record["file"]: {"address": record["address"], "last_modified": record["last_modified"]}
                for record in records if (folder / record["file"]).is_file()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
