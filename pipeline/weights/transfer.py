"""One URL into one partial file: resumed where it stopped, bounded, tried again after failures.

What has arrived lies in the partial file, and in a note beside it which file of which server it is a part of (RFC 9110:
ETag or Last-Modified). A later attempt, in this process or another, asks for the rest (Range) of that very file
(If-Range), and starts over where the server has another one by now.
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
from pipeline.weights.telling import in_bytes

if TYPE_CHECKING:
    import requests

log = logging.getLogger("latentbench")

CHUNK = 2**18  # bytes read at once, at most
PROGRESS = 2**20  # an attempt that brought as many bytes counts as a success: the next failure is the first
RESERVE = 2**24  # bytes of disk that stay free
LARGEST = 2**31  # bytes; no file whose size is not published may be larger
LONGEST_PAUSE = 60.0  # seconds
PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses after which it may go better a little later


@dataclass(frozen=True)
class Wanted:
    """What is downloaded: `title` for people, bytes and sha256 where known (0 and empty where not)."""

    title: str
    url: str
    size: int = 0
    sha256: str = ""


class _FailedError(Exception):
    """An attempt that failed in a way that may pass; `pause` is what the server asks to wait, in seconds."""

    def __init__(self, told: str, pause: float | None = None) -> None:
        super().__init__(told)
        self.pause = pause


def download(wanted: Wanted, partial: Partial, settings: Downloads) -> None:
    """Bring the partial file to its full length. Its hash is the caller's to check.

    Raises WeightsError: no such file there, a redirect that is not safe, a file of another size, more bytes than
    announced, a full disk, or more failures in a row than `settings.retries`. What has arrived stays for the next call,
    unless it is of no use.
    """
    from pipeline.weights.asking import session

    failures = 0
    with session() as asking:
        while True:
            before = partial.size
            try:
                return _attempt(asking, wanted, partial, settings)
            except _FailedError as error:
                failures = 1 if partial.size - before >= PROGRESS else failures + 1
                if failures > settings.retries:
                    raise _given_up(wanted, partial, failures, error) from error
                doubled = settings.pause * 2 ** (failures - 1)
                pause = min(LONGEST_PAUSE, doubled if error.pause is None else error.pause)
                again = f"attempt {failures + 1} of {settings.retries + 1} in {in_time(pause)}"
                log.warning("%s: %s; %s, from byte %s.", wanted.title, error, again, f"{partial.size:,}")
                time.sleep(pause)


def _given_up(wanted: Wanted, partial: Partial, failures: int, error: Exception) -> WeightsError:
    kept = f" {partial.size:,} bytes are kept, and the next fetch goes on from there." if partial.size else ""
    return WeightsError(
        f"{wanted.title}: {wanted.url} failed {failures} times, at last with: {error}.{kept} Check the network and "
        f"the proxy "
        "(HTTPS_PROXY, or [weights] proxy), name another server (--mirror URL), or bring the file: --from DIR"
    )


def _attempt(asking: requests.Session, wanted: Wanted, partial: Partial, settings: Downloads) -> None:
    """One request, and the bytes of its answer appended to what is there."""
    import requests
    import urllib3

    from pipeline.weights.asking import ask

    offset, headers = partial.resume(wanted.url, wanted.size, known=bool(wanted.sha256))
    if offset and offset == (wanted.size or partial.note().get("total")):
        return  # an earlier process died between the last byte and the hash
    try:
        with ask(asking, wanted.url, headers, settings) as answer:
            offset, total = _judge(answer, wanted, partial, offset)
            _check_room(partial.path.parent, total - offset, wanted)
            _write(answer, wanted, partial, offset, total)
    except requests.exceptions.SSLError as error:
        raise WeightsError(
            f"{wanted.title}: {wanted.url} is not who it says it is: {error}. Nothing was taken."
        ) from error
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
    ) as error:
        raise WeightsError(
            f"{wanted.title}: {wanted.url} cannot be asked for: {error}. Expected an https URL."
        ) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _FailedError(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """The innermost cause in a chain of network errors, in one line."""
    inner: object = error
    while isinstance(inner, BaseException):
        error = inner
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    return f"{type(error).__name__}: {error}"


def _judge(answer: requests.Response, wanted: Wanted, partial: Partial, offset: int) -> tuple[int, int]:
    """Offset at which the answer's bytes belong, and length of the whole file. Prepares the partial file for them."""
    status, told = answer.status_code, f"{wanted.title}: {wanted.url}"
    if status == 416:  # what we have is no beginning of what the server has
        partial.discard()
        raise _FailedError("the server has another file by now; starting over", 0.0)
    if status in PASSING:
        raise _FailedError(f"the server answered {status} {answer.reason}", _asked_pause(answer))
    if status not in (200, 206):
        raise WeightsError(
            f"{told} answered {status} {answer.reason}; expected the file. Has it moved? Another server: --mirror URL; "
            "from a folder: --from DIR."
        )
    if answer.headers.get("Content-Encoding", "identity") not in ("identity", ""):
        raise WeightsError(
            f"{told} sends the file encoded ({answer.headers['Content-Encoding']}), though asked not to."
        )
    if status == 206:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != offset or int(found[2]) != int(found[3]) - 1:
            partial.discard()
            given = answer.headers.get("Content-Range", "nothing")
            raise _FailedError(f"the server answered with another range ({given}); starting over", 0.0)
        total = int(found[3])
    else:
        offset, total = 0, _announced(answer, wanted)
    if wanted.size and total != wanted.size:
        partial.discard()
        raise WeightsError(
            f"{told} has {total:,} bytes, expected {wanted.size:,}: it is another file. Nothing was taken."
        )
    if total > LARGEST and not wanted.size:
        partial.discard()
        raise WeightsError(
            f"{told} announces {in_bytes(total)}; at most {in_bytes(LARGEST)} is taken. Nothing was taken."
        )
    if not offset:
        partial.begin(wanted.url, answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", ""), total)
    return offset, total


def _announced(answer: requests.Response, wanted: Wanted) -> int:
    """Length of a whole file, by the answer or, where it is silent, by the table."""
    length = answer.headers.get("Content-Length", "")
    if length.isdecimal():
        return int(length)
    if wanted.size:
        return wanted.size
    raise WeightsError(
        f"{wanted.title}: {wanted.url} does not say how long the file is, and no size is published: whether all of it "
        f"came "
        "could not be told. Use another server (--mirror URL), or bring the file: --from DIR."
    )


def _asked_pause(answer: requests.Response) -> float | None:
    """Seconds that the server asks to wait (Retry-After), or None."""
    asked = answer.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else None


def _write(answer: requests.Response, wanted: Wanted, partial: Partial, offset: int, total: int) -> None:
    """Append the body, never more than `total` bytes in all; every byte is in the file as soon as it has come."""
    read: Callable[..., bytes] = answer.raw.read1
    with (
        partial.appending() as file,
        Display(f"fetch {wanted.title}", total / 1e6, "MB", before=offset / 1e6) as display,
    ):
        while chunk := read(CHUNK, decode_content=False):
            if offset + len(chunk) > total:
                answer.close()
                partial.discard()
                raise WeightsError(
                    f"{wanted.title}: {wanted.url} sends more than the {total:,} bytes that were announced. It was "
                    f"cut off, "
                    "and nothing was taken. Is it the right server?"
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
        except OSError as error:  # some file systems find out only now that they are full
            raise _cannot_write(partial, error, total) from error


def _write_all(file: IO[bytes], chunk: bytes) -> int:
    """Write a chunk to an unbuffered file, which may take it in parts; answers its length."""
    left = memoryview(chunk)
    while left:
        left = left[file.write(left) :]
    return len(chunk)


def _check_room(folder: Path, needed: int, wanted: Wanted) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + RESERVE:
        raise WeightsError(
            f"Disk full: {wanted.title} needs {needed:,} more bytes in {folder} (and {in_bytes(RESERVE)} to spare); "
            f"{free:,} are "
            "free there. Make room, or choose another folder: set LATENTBENCH_WEIGHTS."
        )


def _cannot_write(partial: Partial, error: OSError, total: int) -> WeightsError:
    if error.errno not in FULL_DISK:
        return WeightsError(f"Cannot write {partial.path}: {error.strerror}. Nothing was taken.")
    return WeightsError(
        f"Disk full: {partial.path} has {partial.size:,} of {total:,} bytes and cannot grow ({error.strerror}). Make "
        f"room or "
        "raise the limit, and fetch again: it goes on from there."
    )
