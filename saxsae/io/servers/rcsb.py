"""Downloads entries of the Protein Data Bank from RCSB, for `launch.prepare_structures`.

For each entry it downloads the first biological assembly (ID-assembly1.cif.gz) or, where there is none, the entry as
deposited (ID.cif.gz).
"""

import os
import pathlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from phasenet.io.decompression import GZIP_MAGIC
from phasenet.io.servers.download import Server
from phasenet.io.servers.ids import read_ids
from saxsae.io.structures.structure_files import PDB_ID

URL = "https://files.rcsb.org"
_FILE_NAMES = ("{}-assembly1.cif.gz", "{}.cif.gz")


class StructureDownloads(NamedTuple):
    """The outcome for each requested entry.

    Attributes:
      files: one file for each entry that is there now, in the order of the request.
      missing: ids that the server does not have.
      failed: (id, reason) of each entry that could not be downloaded.
    """

    files: list[pathlib.Path]
    missing: list[str]
    failed: list[tuple[str, str]]


def read_pdb_ids(path: str | os.PathLike) -> list[str]:
    """Returns the PDB ids in a text file, in lower case, each once.

    Ids are separated by blanks, commas, semicolons or line ends; `#` starts a comment.

    Raises:
      InputError: the file is missing, too large or not text, has no id, or has a word that is not a PDB id.
    """
    return read_ids(path, PDB_ID, "PDB id", "four characters such as 1abc")


def download_structures(ids: Iterable[str], folder: str | os.PathLike, url: str = URL,
                        report: Callable[[str], None] | None = None, **server_options: Any) -> StructureDownloads:
    """Downloads entries into a folder; files that are already there are not downloaded again.

    Args:
      ids: PDB ids in lower case.
      folder: made if it does not exist.
      url: the server; a file has the address url/download/NAME.
      report: called with a line of progress every few seconds.
      **server_options: arguments of `Server` (workers, attempts, pause_seconds, timeout_seconds).

    Raises:
      InputError: `url` is not an http(s) address, or several entries in a row failed; a later run continues there.
    """
    ids, folder, server = list(ids), pathlib.Path(folder), Server(url, **server_options)
    folder.mkdir(parents=True, exist_ok=True)

    def fetch(pdb_id: str) -> pathlib.Path | None:
        """Returns the entry's file, None where the server has no such entry."""
        for target in (folder / name.format(pdb_id) for name in _FILE_NAMES):
            address = f"{server.url}/download/{target.name}"
            if target.is_file() or server.fetch(address, target, _check_gzip, missing_codes=(403, 404, 410)):
                return target
        return None

    found, failed = server.fetch_all(ids, fetch, report)
    return StructureDownloads(
        [file for i in ids if (file := found.get(i))],
        [i for i in ids if i in found and not found[i]],
        [(i, failed[i]) for i in ids if i in failed],
    )


def _check_gzip(path: pathlib.Path) -> None:
    """Raises ValueError unless the file begins as a gzip file does."""
    with open(path, "rb") as file:
        if file.read(len(GZIP_MAGIC)) != GZIP_MAGIC:
            raise ValueError("the answer is not a gzip file")
