"""Entries of the Protein Data Bank, downloaded: politely, with retries, and resumable.

Of each entry the first biological assembly (`ID-assembly1.cif.gz`), or where there is none the
entry as deposited (`ID.cif.gz`). A file has its name only when it is whole, so whatever is there is
not asked for again.
"""

import concurrent.futures
import http.client
import os
import pathlib
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from typing import NamedTuple

from phasenet.errors import InputError
from saxsae.io.structures import PDB_ID

URL = "https://files.rcsb.org"
_NAMES = ("{}-assembly1.cif.gz", "{}.cif.gz")
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 16
_LONGEST_LIST = 2**24  # bytes: the whole data bank's ids are 2 MB
_OUTAGE = 5  # entries given up one after another: it is the server or the line, not the entry


class Downloads(NamedTuple):
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
    try:
        if os.path.getsize(path) > _LONGEST_LIST:
            raise InputError(f"{path}: larger than {_LONGEST_LIST // 2**20} MB; a text file of PDB ids is needed")
        lines = pathlib.Path(path).read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path}: not a text file of PDB ids ({error})") from None
    ids = {}
    for number, line in enumerate(lines, 1):
        for word in re.split(r"[\s,;]+", line.partition("#")[0].strip()):
            if word and not PDB_ID.fullmatch(word.lower()):
                raise InputError(
                    f"{path}: line {number}: {word[:40]!r} is no PDB id; four characters such as "
                    "1abc are needed"
                )
            if word:
                ids[word.lower()] = None
    if not ids:
        raise InputError(f"{path}: no PDB id in it")
    return list(ids)


def download(
    ids: Iterable[str],
    folder: str | os.PathLike,
    url: str = URL,
    say: Callable[[str], None] | None = None,
    workers: int = 4,
    attempts: int = 5,
    pause_seconds: float = 1.0,
    timeout_seconds: float = 60.0,
) -> Downloads:
    """Fetches entries into `folder`, keeping what is already there.

    Args:
      ids: PDB ids.
      folder: made where missing.
      url: server; `/download/NAME` is asked of it.
      say: told now and then how far it is.
      workers: connections at a time.
      attempts: tries per file; after each failure the pause doubles.
      pause_seconds: the first pause. timeout_seconds: of a connection that says nothing.

    Raises:
      InputError: several entries in a row could not be had: what came is kept, another run goes on
        from there.
    """
    ids, folder = list(ids), pathlib.Path(folder)
    if not re.match(r"https?://", url):
        raise InputError(f"{url}: the server's address must begin with http:// or https://")
    folder.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()

    def fetch(pdb_id: str) -> pathlib.Path | None:
        for name in _NAMES:
            target = folder / name.format(pdb_id)
            address = f"{url.rstrip('/')}/download/{target.name}"
            if target.is_file() or _fetch(
                address, target, attempts, pause_seconds, timeout_seconds, stop
            ):
                return target
        return None

    found, failed, last, in_a_row = {}, {}, time.monotonic(), 0
    pool = concurrent.futures.ThreadPoolExecutor(workers)
    try:
        jobs = {pool.submit(fetch, pdb_id): pdb_id for pdb_id in ids}
        for done, job in enumerate(concurrent.futures.as_completed(jobs), 1):
            pdb_id = jobs[job]
            try:
                found[pdb_id], in_a_row = job.result(), 0
            except _GivenUp as error:
                failed[pdb_id], in_a_row = str(error), in_a_row + 1
                if in_a_row >= min(_OUTAGE, len(ids)):
                    raise InputError(
                        f"{url}: {in_a_row} entries in a row, the last {pdb_id}, could not be "
                        f"downloaded after {attempts} attempts each ({error}); what came is kept "
                        f"in {folder}, run again to go on"
                    ) from None
            if say and time.monotonic() - last > 5:
                say(f"downloaded {done} of {len(ids)}")
                last = time.monotonic()
    finally:
        stop.set()  # whoever still waits between attempts gives up at once
        pool.shutdown(wait=True, cancel_futures=True)
    return Downloads(
        [found[i] for i in ids if found.get(i)],
        [i for i in ids if i in found and not found[i]],
        [(i, failed[i]) for i in ids if i in failed],
    )


class _GivenUp(Exception):
    """The last attempt failed; the message says how."""


def _fetch(
    address: str,
    target: pathlib.Path,
    attempts: int,
    pause: float,
    timeout: float,
    stop: threading.Event,
) -> bool:
    """Whether the file is now at `target`; False where the server has none."""
    part = target.with_name(target.name + ".part")
    for attempt in range(1, attempts + 1):
        try:
            request = urllib.request.Request(address, headers={"User-Agent": "phasenet-saxsae"})
            with urllib.request.urlopen(request, timeout=timeout) as response:
                _save(response, part)
            os.replace(part, target)
            return True
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (403, 404, 410):
                return False
            reason, wait = f"HTTP {error.code}", error.headers.get("Retry-After", "")
        except (OSError, http.client.HTTPException) as error:
            reason, wait = str(getattr(error, "reason", error)) or type(error).__name__, ""
        if attempt < attempts:
            asked = float(wait) if re.fullmatch(r"\d{1,3}", wait or "") else 0.0
            if stop.wait(max(asked, pause * 2 ** (attempt - 1))):
                break
    part.unlink(missing_ok=True)
    raise _GivenUp(reason)


def _save(response: http.client.HTTPResponse, part: pathlib.Path) -> None:
    """The body into `part`; OSError where it is shorter than announced, or not gzipped (a proxy's
    error page)."""
    announced, size, head = response.headers.get("Content-Length"), 0, b""
    with open(part, "wb") as file:
        while chunk := response.read(_CHUNK):
            head = head or chunk[:2]
            size += file.write(chunk)
    if announced is not None and size != int(announced):
        raise OSError(f"only {size} of {announced} bytes came")
    if head != _GZIP_MAGIC:
        raise OSError("the answer is no gzip file")
