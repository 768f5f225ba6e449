"""Files of a public server: asked for politely, with retries, and resumable.

A file has its name only when it is whole, so whatever is there need not be asked for again.
"""

import concurrent.futures
import errno
import http.client
import os
import pathlib
import re
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any

from phasenet.errors import InputError, one_line

_CHUNK = 1 << 16
_MOST_BYTES = 2**30
_LONGEST_LIST = 2**24  # bytes: the whole Protein Data Bank's ids are 2 MB
_OUTAGE = 5  # items given up one after another: it is the server or the line, not the item
_PASSING = (408, 425, 429)  # of the answers 4xx those that another attempt may change


class DownloadFailed(Exception):
    """A file could not be had; the message says why, in one line."""

    def __init__(self, reason: object) -> None:
        super().__init__(one_line(reason))


class UnusableFile(DownloadFailed):
    """Nor will it be: too large, or not on this server."""


class Server:
    """A server that is asked for files, for the length of one `each`.

    Attributes:
      url: its address, without a slash at the end.
      workers: connections at a time.
      attempts: tries per file; after each failure the pause doubles.
      pause_seconds: the first pause.
      timeout_seconds: of a connection that says nothing.

    Raises:
      InputError: the address is none of http or https.
    """

    def __init__(self, url: str, workers: int = 4, attempts: int = 5, pause_seconds: float = 1.0,
                 timeout_seconds: float = 60.0) -> None:
        try:
            usable = bool(re.fullmatch(r"https?://[^\s?#]+", url)) and urllib.parse.urlsplit(url).hostname
        except ValueError:  # half an IPv6 address
            usable = False
        if not usable:
            raise InputError(f"{url}: the server's address must begin with http:// or https://")
        self.url = url.rstrip("/")
        self.workers, self.attempts = workers, attempts
        self.pause_seconds, self.timeout_seconds = pause_seconds, timeout_seconds
        self._stop = threading.Event()  # whoever waits between attempts gives up at once
        self._opener = urllib.request.build_opener(_Redirects(self))

    def holds(self, address: str) -> bool:
        """Whether an address lies on this server, as it was given or, safer, by https."""
        ours, theirs = urllib.parse.urlsplit(self.url), urllib.parse.urlsplit(address)
        place = theirs.scheme, theirs.netloc.lower()
        return place in ((ours.scheme, ours.netloc.lower()), ("https", ours.hostname))

    def fetch(self, address: str, target: pathlib.Path, check: Callable[[pathlib.Path], None] | None = None,
              most_bytes: int = _MOST_BYTES, absent: tuple[int, ...] = (404, 410)) -> bool:
        """Whether the file is now at `target`; False where the server has none.

        Args:
          address: of this server; redirects are followed within it.
          target: in a folder that exists.
          check: raises ValueError for a file that is not what was asked for (a proxy's page, say); another attempt
            follows.
          most_bytes: larger files are not taken.
          absent: the answers that mean that the server has no such file.

        Raises:
          GivenUp: the last attempt failed. Unfit: no attempt will do.
          OSError: the file cannot be written.
        """
        part = target.with_name(target.name + ".part")
        try:
            for attempt in range(1, self.attempts + 1):
                wait, last = 0.0, attempt == self.attempts
                try:
                    self._save(address, part, most_bytes)
                    if check is not None:
                        check(part)
                    os.replace(part, target)
                    return True
                except urllib.error.HTTPError as error:
                    error.close()
                    if error.code in absent:
                        return False
                    reason, wait = f"HTTP {error.code}", _seconds(error.headers.get("Retry-After"))
                    last = last or (error.code // 100 == 4 and error.code not in _PASSING)
                except (OSError, http.client.HTTPException, ValueError) as error:
                    if isinstance(error, OSError) and (error.filename or error.errno == errno.ENOSPC):
                        raise  # of our disk
                    cause = getattr(error, "reason", error)
                    reason = str(cause) or type(error).__name__
                    last = last or isinstance(cause, ssl.SSLCertVerificationError)
                if last or self._stop.wait(max(wait, self.pause_seconds * 2 ** (attempt - 1))):
                    break
            raise DownloadFailed(reason)
        finally:
            part.unlink(missing_ok=True)

    def each(self, keys: Iterable[str], fetch: Callable[[str], Any],
             say: Callable[[str], None] | None = None) -> tuple[dict[str, Any], dict[str, str]]:
        """What `fetch` returned for each key, and why the others were given up; `workers` of them at a time.

        Args:
          keys: each once.
          fetch: may raise GivenUp.
          say: told now and then how far it is.

        Raises:
          InputError: several in a row could not be had.
        """
        keys, found, failed, in_a_row = list(keys), {}, {}, 0
        spoken = time.monotonic()
        pool = concurrent.futures.ThreadPoolExecutor(self.workers)
        try:
            jobs = {pool.submit(fetch, key): key for key in keys}
            for done, job in enumerate(concurrent.futures.as_completed(jobs), 1):
                key = jobs[job]
                try:
                    found[key], in_a_row = job.result(), 0
                except DownloadFailed as error:
                    failed[key] = str(error)
                    in_a_row += not isinstance(error, UnusableFile)
                    if in_a_row >= min(_OUTAGE, len(keys)):
                        raise InputError(
                            f"{self.url}: {in_a_row} entr{'y' if in_a_row == 1 else 'ies in a row'}, the last {key}, "
                            f"could not be downloaded ({error}); what came is kept, run again to go on") from None
                if say and time.monotonic() - spoken > 5:
                    say(f"downloaded {done} of {len(keys)}")
                    spoken = time.monotonic()
        finally:
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
        return found, failed

    def _save(self, address: str, part: pathlib.Path, most_bytes: int) -> None:
        """The body into `part`; OSError where it is shorter than announced."""
        request = urllib.request.Request(address, headers={"User-Agent": "phasenet-saxsae"})
        with self._opener.open(request, timeout=self.timeout_seconds) as response, open(part, "wb") as file:
            announced, size = response.headers.get("Content-Length"), 0
            while size <= most_bytes and (chunk := response.read(_CHUNK)):
                size += file.write(chunk)
        if size > most_bytes:
            raise UnusableFile(f"larger than {most_bytes / 2**20:.3g} MB")
        if announced is not None and announced != str(size):
            raise OSError(f"only {size} of {announced} bytes came")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a server's redirects as far as they stay with it."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if not self.server.holds(newurl):
            fp.close()
            raise UnusableFile(f"redirected to {newurl}, which is not on {self.server.url}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def read_ids(path: str | os.PathLike, pattern: re.Pattern, kind: str, example: str,
             case: Callable[[str], str] = str.lower) -> list[str]:
    """Ids from a text file, each once.

    They are separated by blanks, commas or lines; `#` starts a comment.

    Args:
      pattern: of an id, in the case that `case` gives it.
      kind, example: what an id is called and what it looks like, for messages.

    Raises:
      InputError: missing file, none in it, or a word that is no id (with its line).
    """
    try:
        if os.path.getsize(path) > _LONGEST_LIST:
            raise InputError(f"{path}: larger than {_LONGEST_LIST // 2**20} MB; a text file of {kind}s is needed")
        lines = pathlib.Path(path).read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path}: not a text file of {kind}s ({error})") from None
    ids = {}
    for number, line in enumerate(lines, 1):
        for word in filter(None, re.split(r"[\s,;]+", line.partition("#")[0])):
            if not pattern.fullmatch(case(word)):
                raise InputError(f"{path}: line {number}: {word[:40]!r} is no {kind}; {example} is needed")
            ids[case(word)] = None
    if not ids:
        raise InputError(f"{path}: no {kind} in it")
    return list(ids)


def _seconds(retry_after: str | None) -> float:
    """What a server asks us to wait, where it says so in seconds and in reason."""
    return float(retry_after) if re.fullmatch(r"\d{1,3}", retry_after or "") else 0.0
