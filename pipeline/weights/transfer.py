"""Download of one URL into a partial file: resumable, bounded in size, with retries.

The partial file holds the bytes so far; a note next to it holds the URL and the file's version on the server (RFC 9110:
ETag or Last-Modified). A later attempt, in this process or another, requests the rest (Range) of the same version
(If-Range), and starts over if the server has another version.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipeline.errors import WeightsError
from pipeline.progress import Display, in_time
from pipeline.settings.downloads import Downloads
from pipeline.storage.files import FULL_DISK
from pipeline.weights.partial import Partial
from pipeline.weights.telling import in_mb

if TYPE_CHECKING:
    import requests

log = logging.getLogger("latentbench")

CHUNK = 2**18  # bytes read at once, at most
PROGRESS = 2**20  # after an attempt that brought this many bytes, the count of failures starts again
RESERVE = 2**24  # bytes of disk to leave free
LARGEST = 2**31  # bytes; upper bound of a file whose size is not published
LONGEST_PAUSE = 60.0  # seconds
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)  # statuses after which a retry can succeed


@dataclass(frozen=True)
class Target:
    """The file to download: a title for messages, URL, and size in bytes and sha256 (0 and empty if unknown)."""

    title: str
    url: str
    size: int = 0
    sha256: str = ""


class _FailedError(Exception):
    """An attempt that failed for a transient reason; `pause` is the pause in seconds that the server asks for."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


def download(target: Target, partial: Partial, settings: Downloads) -> None:
    """Download the rest of the partial file. The caller checks its hash.

    Raises WeightsError for a missing file, an unsafe redirect, another size, more bytes than announced, a full disk, or
    more consecutive failures than `settings.retries`. Useful bytes are kept for the next call.
    """
    from pipeline.weights.asking import session

    failures = 0
    with session() as connections:
        while True:
            before = partial.size
            try:
                return _attempt(connections, target, partial, settings)
            except _FailedError as error:
                failures = 1 if partial.size - before >= PROGRESS else failures + 1
                if failures > settings.retries:
                    raise _given_up(target, partial, failures, error) from error
                doubled = settings.pause * 2 ** (failures - 1)
                pause = min(LONGEST_PAUSE, doubled if error.pause is None else error.pause)
                again = f"attempt {failures + 1} of {settings.retries + 1} in {in_time(pause)}"
                log.warning("%s: %s; %s, from byte %s.", target.title, error, again, f"{partial.size:,}")
                time.sleep(pause)


def _given_up(target: Target, partial: Partial, failures: int, error: Exception) -> WeightsError:
    kept = f" {partial.size:,} bytes are kept, and the next fetch continues from there." if partial.size else ""
    return WeightsError(
        f"{target.title}: {target.url} failed {failures} times. Last error: {error}.{kept} Check the network and the "
        "proxy (HTTPS_PROXY, or [weights] proxy), name another server (--mirror URL), or bring the file: --from DIR"
    )


def _attempt(connections: requests.Session, target: Target, partial: Partial, settings: Downloads) -> None:
    """One request; the bytes of its response are appended to the partial file."""
    import requests
    import urllib3

    from pipeline.weights.asking import ask

    offset, headers = partial.resume(target.url, target.size, known=bool(target.sha256))
    if offset and offset == (target.size or partial.note().get("total")):
        return  # an earlier process ended between the last byte and the hash
    try:
        with ask(connections, target.url, headers, settings) as response:
            offset, total = _check_response(response, target, partial, offset)
            check_room(partial.path.parent, total - offset, target.title)
            _write(response, target, partial, offset, total)
    except requests.exceptions.SSLError as error:
        raise WeightsError(
            f"{target.title}: the certificate of {target.url} is not valid: {error}. Nothing was saved."
        ) from error
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
    ) as error:
        raise WeightsError(
            f"{target.title}: {target.url} cannot be requested: {error}. Expected an https URL."
        ) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _FailedError(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """The innermost cause of a chain of network errors, as one line."""
    inner: object = error
    while isinstance(inner, BaseException):
        error = inner
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    return f"{type(error).__name__}: {error}"


def _check_response(response: requests.Response, target: Target, partial: Partial, offset: int) -> tuple[int, int]:
    """The offset of the response's bytes and the length of the whole file. Prepares the partial file for them."""
    status, subject = response.status_code, f"{target.title}: {target.url}"
    if status == 416:  # our bytes are not the start of the server's file
        partial.discard()
        raise _FailedError("the server has another file now; starting over", 0.0)
    if status in TRANSIENT:
        raise _FailedError(f"the server answered {status} {response.reason}", _asked_pause(response))
    if status not in (200, 206):
        raise WeightsError(
            f"{subject} answered {status} {response.reason}; expected the file. Has it moved? Another server: "
            "--mirror URL; from a folder: --from DIR."
        )
    if response.headers.get("Content-Encoding", "identity") not in ("identity", ""):
        raise WeightsError(
            f"{subject} sends the file encoded ({response.headers['Content-Encoding']}), although it was asked not to."
        )
    if status == 206:
        span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", ""))
        if span is None or int(span[1]) != offset or int(span[2]) != int(span[3]) - 1:
            partial.discard()
            given = response.headers.get("Content-Range", "nothing")
            raise _FailedError(f"the server answered with another range ({given}); starting over", 0.0)
        total = int(span[3])
    else:
        offset, total = 0, _announced(response, target)
    if target.size and total != target.size:
        partial.discard()
        raise WeightsError(
            f"{subject} has {total:,} bytes, expected {target.size:,}: it is another file. Nothing was saved."
        )
    if total > LARGEST and not target.size:
        partial.discard()
        raise WeightsError(
            f"{subject} announces {in_mb(total)}; at most {in_mb(LARGEST)} is accepted. Nothing was saved."
        )
    if not offset:
        partial.begin(target.url, response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""), total)
    return offset, total


def _announced(response: requests.Response, target: Target) -> int:
    """The length of the whole file, from the response or otherwise from the table. Raises WeightsError."""
    length = response.headers.get("Content-Length", "")
    if length.isdecimal():
        return int(length)
    if target.size:
        return target.size
    raise WeightsError(
        f"{target.title}: {target.url} does not state the file's length, and no size is published, so a truncated file "
        "could not be recognised. Use another server (--mirror URL), or bring the file: --from DIR."
    )


def _asked_pause(response: requests.Response) -> float | None:
    """The pause in seconds that the server asks for (Retry-After), or None."""
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else None


def _write(response: requests.Response, target: Target, partial: Partial, offset: int, total: int) -> None:
    """Append the body unbuffered, up to `total` bytes in all. Raises WeightsError, _FailedError."""
    read: Callable[..., bytes] = response.raw.read1
    with (
        partial.appending() as file,
        Display(f"fetch {target.title}", total / 1e6, "MB", before=offset / 1e6) as display,
    ):
        while chunk := read(CHUNK, decode_content=False):
            if offset + len(chunk) > total:
                response.close()
                partial.discard()
                raise WeightsError(
                    f"{target.title}: {target.url} sends more than the {total:,} bytes that were announced. The "
                    "download was stopped, and nothing was saved. Is it the right server?"
                )
            try:
                offset += _write_all(file, chunk)
            except OSError as error:
                raise _cannot_write(partial, error, total) from error
            display.update(offset / 1e6)
        if offset < total:
            raise _FailedError(f"the connection ended at byte {offset:,} of {total:,}")
        try:
            os.fsync(file.fileno())
        except OSError as error:  # some file systems report only now that they are full
            raise _cannot_write(partial, error, total) from error


def _write_all(file: IO[bytes], chunk: bytes) -> int:
    """Write a chunk to an unbuffered file, which may take it in parts; returns its length."""
    left = memoryview(chunk)
    while left:
        left = left[file.write(left) :]
    return len(chunk)


def check_room(folder: Path, needed: int, title: str) -> None:
    """Raise WeightsError unless a folder's disk has room for so many bytes, and a reserve."""
    free = shutil.disk_usage(folder).free
    if free < needed + RESERVE:
        raise WeightsError(
            f"Disk full: {title} needs {needed:,} more bytes in {folder} (and {in_mb(RESERVE)} in reserve); "
            f"{free:,} are free there. Make room, or choose another folder: set LATENTBENCH_WEIGHTS."
        )


def _cannot_write(partial: Partial, error: OSError, total: int) -> WeightsError:
    if error.errno not in FULL_DISK:
        return WeightsError(f"Cannot write {partial.path}: {error.strerror}. Nothing was saved.")
    return WeightsError(
        f"Disk full: {partial.path} has {partial.size:,} of {total:,} bytes and cannot grow ({error.strerror}). Make "
        "room or raise the limit, and fetch again: the download continues from there."
    )
