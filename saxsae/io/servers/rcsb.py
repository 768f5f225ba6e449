"""Entries of the Protein Data Bank, downloaded: politely, with retries, and resumable.

Of each entry the first biological assembly (`ID-assembly1.cif.gz`), or where there is none the
entry as deposited (`ID.cif.gz`).
"""

import os
import pathlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from phasenet.io.decompression import GZIP
from saxsae.io.servers.download import Server, read_ids
from saxsae.io.structures.structure_files import PDB_ID

URL = "https://files.rcsb.org"
_NAMES = ("{}-assembly1.cif.gz", "{}.cif.gz")


class StructureDownloads(NamedTuple):
    """What became of the entries asked for.

    Attributes:
      files: one per entry obtained, in the order asked.
      missing: ids that the server does not have.
      failed: (id, reason) of what was given up after the last attempt.
    """

    files: list[pathlib.Path]
    missing: list[str]
    failed: list[tuple[str, str]]


def read_id_list(path: str | os.PathLike) -> list[str]:
    """PDB ids from a text file, in lower case, each once.

    They are separated by blanks, commas or lines; `#` starts a comment.

    Raises:
      InputError: missing file, none in it, or a word that is no PDB id (with its line).
    """
    return read_ids(path, PDB_ID, "PDB id", "four characters such as 1abc")


def download_structures(ids: Iterable[str], folder: str | os.PathLike, url: str = URL,
             say: Callable[[str], None] | None = None, **manners: Any) -> StructureDownloads:
    """Fetches entries into `folder`, keeping what is already there.

    Args:
      ids: PDB ids.
      folder: made where missing.
      url: server; `/download/NAME` is asked of it.
      say: told now and then how far it is.
      manners: how it is asked, as `download.Server` takes it (workers, attempts, ...).

    Raises:
      InputError: several entries in a row could not be had: what came is kept, another run goes on
        from there.
    """
    ids, folder, server = list(ids), pathlib.Path(folder), Server(url, **manners)
    folder.mkdir(parents=True, exist_ok=True)

    def fetch(pdb_id: str) -> pathlib.Path | None:
        for target in (folder / name.format(pdb_id) for name in _NAMES):
            address = f"{server.url}/download/{target.name}"
            if target.is_file() or server.fetch(address, target, _check_gzip, absent=(403, 404, 410)):
                return target
        return None

    found, failed = server.each(ids, fetch, say)
    return StructureDownloads(
        [found[i] for i in ids if found.get(i)],
        [i for i in ids if i in found and not found[i]],
        [(i, failed[i]) for i in ids if i in failed],
    )


def _check_gzip(path: pathlib.Path) -> None:
    with open(path, "rb") as file:
        if file.read(len(GZIP)) != GZIP:
            raise ValueError("the answer is no gzip file")
