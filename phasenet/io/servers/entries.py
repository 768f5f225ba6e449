"""Downloads entries of a data bank, each into a folder of its id; the module of each data bank calls this one."""

import os
import pathlib
import re
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from phasenet.errors import InputError
from phasenet.io.servers.download import Server

AnyEntry = TypeVar("AnyEntry")


class EntryDownloads(NamedTuple, Generic[AnyEntry]):
    """The outcome for each entry that was asked for.

    Attributes:
      entries: those that the server has, in the order asked.
      unknown: ids that the server does not have.
      failed: (id, reason) of each entry that could not be downloaded.
    """

    entries: list[AnyEntry]
    unknown: list[str]
    failed: list[tuple[str, str]]


def download_each(fetch_entry: Callable[[Server, str, pathlib.Path], AnyEntry | None], ids: Iterable[str],
                  folder: str | os.PathLike, server: Server, report: Callable[[str], None] | None,
                  pattern: re.Pattern[str], kind: str, example: str) -> EntryDownloads[AnyEntry]:
    """Downloads entries, each into folder/ID.

    Args:
      fetch_entry: returns one entry in its folder, downloaded where it is not there yet; None where the server has no
        such entry.
      ids: each once.
      folder: made if it does not exist.
      server: where the entries are.
      report: called with a line of progress every few seconds.
      pattern: what a whole id matches.
      kind: the name of such ids in error messages, such as "COD id".
      example: what an id looks like, for error messages.

    Raises:
      InputError: an id is not one of the data bank's, or several entries in a row failed; a later run continues there.
    """
    ids = list(ids)
    for entry_id in ids:
        if not pattern.fullmatch(entry_id):  # the id becomes the name of a folder
            raise InputError(f"{entry_id[:60]!r} is not a {kind}; {example} is needed")
    found, failed = server.fetch_all(ids, lambda i: fetch_entry(server, i, pathlib.Path(folder) / i), report)
    return EntryDownloads([entry for i in ids if (entry := found.get(i))],
                          [i for i in ids if i in found and not found[i]],
                          [(i, failed[i]) for i in ids if i in failed])
