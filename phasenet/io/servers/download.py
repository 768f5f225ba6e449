"""Downloads files from one public server, a few at a time, with growing pauses between attempts.

`phasenet.io.servers.cod` and `saxsae.io.servers` build on it. A file gets its name only when it is complete, so a later
run downloads only the files that are missing.
"""

import concurrent.futures
import errno
import gzip
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
import zlib
from collections.abc import Callable, Iterable
from typing import IO, NamedTuple, TypeVar

from phasenet.errors import InputError, one_line
from phasenet.io.decompression import GZIP_MAGIC, gunzip

_Result = TypeVar("_Result")

_CHUNK_BYTES = 1 << 16
_MAX_FILE_BYTES = 2**30
_MAX_FAILURES_IN_A_ROW = 5  # of different files; the server or the connection is then at fault
_TRANSIENT_CODES = (408, 425, 429)  # 4xx status codes after which a later attempt may succeed


class DownloadFailed(Exception):
    """Says in one line why a file could not be downloaded; a later run may succeed."""

    def __init__(self, reason: object) -> None:
        super().__init__(one_line(reason))


class UnusableFile(DownloadFailed):
    """Says that no later attempt will help: the file is too large, or not on this server."""


class ServedFile(NamedTuple):
    """What the server says of a file that it has.

    Attributes:
      address: the file's address, after redirects.
      last_modified: the header Last-Modified; "" where the server sends none.
    """

    address: str
    last_modified: str


class Server:
    """A server to download from; an instance serves for one call of `fetch_all`.

    Attributes:
      url: the server's address, without a slash at the end.
      workers: how many files are downloaded at the same time.
      attempts: how often a file is asked for.
      pause_seconds: the pause after the first failed attempt; it doubles after each further one.
      timeout_seconds: how long a silent connection is kept.

    Raises:
      InputError: the address does not begin with http:// or https://.
    """

    def __init__(self, url: str, workers: int = 4, attempts: int = 5, pause_seconds: float = 1.0,
                 timeout_seconds: float = 60.0) -> None:
        try:
            usable = bool(re.fullmatch(r"https?://[^\s?#]+", url)) and urllib.parse.urlsplit(url).hostname
        except ValueError:  # an incomplete IPv6 address
            usable = False
        if not usable:
            raise InputError(f"{url}: the server's address must begin with http:// or https://")
        self.url = url.rstrip("/")
        self.workers, self.attempts = workers, attempts
        self.pause_seconds, self.timeout_seconds = pause_seconds, timeout_seconds
        self._stop = threading.Event()  # ends the pauses between attempts
        self._opener = urllib.request.build_opener(_SameServerRedirects(self))

    def holds(self, address: str) -> bool:
        """Returns whether an address lies on this server, by the scheme of `url` or by https."""
        ours, theirs = urllib.parse.urlsplit(self.url), urllib.parse.urlsplit(address)
        place = theirs.scheme, theirs.netloc.lower()
        return place in ((ours.scheme, ours.netloc.lower()), ("https", ours.hostname))

    def fetch(self, address: str, target: pathlib.Path, check: Callable[[pathlib.Path], object] | None = None,
              max_bytes: int = _MAX_FILE_BYTES, missing_codes: tuple[int, ...] = (404, 410)) -> ServedFile | None:
        """Downloads one file, and returns what the server says of it; None where the server has no such file.

        A gzipped answer is unpacked, unless the name of `target` ends in .gz.

        Args:
          address: the file's address on this server; redirects are followed as long as they stay on it.
          target: the file to write, in a folder that exists.
          check: called with the downloaded file; raises ValueError where the content is not what was asked for (such
            as a proxy's page), and another attempt follows.
          max_bytes: larger files are refused.
          missing_codes: HTTP status codes that mean that the server has no such file.

        Raises:
          DownloadFailed: all attempts failed.
          UnusableFile: the file is too large, or a redirect leads to another server.
          OSError: the file cannot be written.
        """
        part = target.with_name(target.name + ".part")
        try:
            for attempt in range(1, self.attempts + 1):
                wait, last = 0.0, attempt == self.attempts
                try:
                    served = self._save(address, part, max_bytes)
                    if target.suffix.lower() != ".gz":
                        _unpack(part)
                    if check is not None:
                        check(part)
                    os.replace(part, target)
                    return served
                except urllib.error.HTTPError as error:
                    error.close()
                    if error.code in missing_codes:
                        return None
                    reason, wait = f"HTTP {error.code}", _retry_after_seconds(error.headers.get("Retry-After"))
                    last = last or (error.code // 100 == 4 and error.code not in _TRANSIENT_CODES)
                except (OSError, http.client.HTTPException, ValueError) as error:
                    if isinstance(error, OSError) and (error.filename or error.errno == errno.ENOSPC):
                        raise  # the local disk failed, not the connection
                    cause = getattr(error, "reason", error)
                    reason = str(cause) or type(error).__name__
                    last = last or isinstance(cause, ssl.SSLCertVerificationError)
                if last or self._stop.wait(max(wait, self.pause_seconds * 2 ** (attempt - 1))):
                    break
            raise DownloadFailed(reason)
        finally:
            part.unlink(missing_ok=True)

    def fetch_all(self, keys: Iterable[str], fetch: Callable[[str], _Result],
                  report: Callable[[str], None] | None = None) -> tuple[dict[str, _Result], dict[str, str]]:
        """Calls `fetch` for every key, for `workers` keys at the same time.

        Args:
          keys: ids of what is downloaded, each once.
          fetch: downloads what belongs to one key; may raise DownloadFailed.
          report: called with a line of progress every few seconds.

        Returns:
          What `fetch` returned, by key, and the reason of each failure, by key.

        Raises:
          InputError: five keys in a row failed, or all where there are fewer than five.
        """
        keys, in_a_row = list(keys), 0
        found: dict[str, _Result] = {}
        failed: dict[str, str] = {}
        last_report = time.monotonic()
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
                    if in_a_row >= min(_MAX_FAILURES_IN_A_ROW, len(keys)):
                        raise InputError(
                            f"{self.url}: {in_a_row} entr{'y' if in_a_row == 1 else 'ies in a row'}, the last {key}, "
                            f"could not be downloaded ({error}); finished files are kept; run again") from None
                if report and time.monotonic() - last_report > 5:
                    report(f"downloaded {done} of {len(keys)}")
                    last_report = time.monotonic()
        finally:
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
        return found, failed

    def _save(self, address: str, part: pathlib.Path, max_bytes: int) -> ServedFile:
        """Writes the body of the answer to `part`; raises OSError where its length is not the announced one."""
        request = urllib.request.Request(address, headers={"User-Agent": "phasenet-saxsae"})
        with self._opener.open(request, timeout=self.timeout_seconds) as response, open(part, "wb") as file:
            served = ServedFile(response.url, response.headers.get("Last-Modified") or "")
            announced, size = response.headers.get("Content-Length"), 0
            while size <= max_bytes and (chunk := response.read(_CHUNK_BYTES)):
                size += file.write(chunk)
        if size > max_bytes:
            raise UnusableFile(f"larger than {max_bytes / 2**20:.3g} MB")
        if announced is not None and announced != str(size):
            raise OSError(f"only {size} of {announced} bytes arrived")
        return served


class _SameServerRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects that stay on the server, and refuses others."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def redirect_request(self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str,
                         headers: http.client.HTTPMessage, newurl: str) -> urllib.request.Request | None:
        if not self.server.holds(newurl):
            fp.close()
            raise UnusableFile(f"redirected to {newurl}, which is not on {self.server.url}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_not_web_page(path: pathlib.Path) -> None:
    """Raises ValueError where the file is empty or begins as HTML or XML does."""
    with open(path, "rb") as file:
        head = file.read(200).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head or head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ValueError("the answer is a web page" if head else "the answer is empty")


def _unpack(path: pathlib.Path) -> None:
    """Replaces a gzipped file by its content; raises ValueError where it is damaged or unpacks to too much."""
    with open(path, "rb") as file:
        if file.read(len(GZIP_MAGIC)) != GZIP_MAGIC:
            return
    try:
        path.write_bytes(gunzip(path.read_bytes()))
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise ValueError("the answer is a damaged gzip file") from None


def _retry_after_seconds(retry_after: str | None) -> float:
    """Returns the seconds of a Retry-After header, 0 where it is absent, a date, or 1000 seconds or more."""
    return float(retry_after) if retry_after and re.fullmatch(r"\d{1,3}", retry_after) else 0.0
