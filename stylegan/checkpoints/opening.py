"""Bytes of an untrusted file: a regular file that really takes its size on disk, read once.

Imports no torch, so a file that is no checkpoint is refused before torch is loaded.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from stylegan.checkpoints.limits import LARGEST_FILE, MOST_HOLES, CheckpointError, RefusalError

ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"
BEGINNING = 9
"""Number of bytes by which the format is recognised."""


def first_look(path: Path, *, beginning: bool = True) -> None:
    """Raise CheckpointError for a file that cannot be opened or, with `beginning`, has no known format."""
    try:
        data = read_bytes(path, BEGINNING)
        if beginning:
            check_beginning(data)
    except RefusalError as refusal:
        raise refused(path, refusal) from refusal


def check_beginning(data: bytes) -> None:
    """Raise RefusalError unless the first bytes are of a known format."""
    if not data:
        raise RefusalError("it is empty")
    if not (data.startswith((ZIP_MAGIC, PICKLE_MAGIC)) or is_safetensors(data)):
        raise RefusalError(
            "it is neither a pickle of NVIDIA's, nor a file of torch.save, nor safetensors; if it was downloaded, it "
            "may be the error page of a web server"
        )


def is_safetensors(data: bytes) -> bool:
    """Whether the first bytes are of safetensors: eight bytes of header length, then a JSON object."""
    return data[8:9] == b"{"


def refused(path: Path, refusal: RefusalError) -> CheckpointError:
    """The CheckpointError for a refused file: its path and the reason, which may quote the file."""
    reason = "".join(c if c.isprintable() else "?" for c in str(refusal))
    return CheckpointError(f"'{readable(path)}' is not imported: {reason}. Nothing in it was executed.")


def exhausted(path: Path) -> CheckpointError:
    """The CheckpointError for a file that needs more memory than there is."""
    return CheckpointError(
        f"'{readable(path)}' is not imported: this machine has too little memory for it. Close other programs, or "
        "raise the limit. Nothing in it was executed."
    )


def read_bytes(path: Path, most: int = LARGEST_FILE) -> bytes:
    """The first `most` bytes of a regular file, read once, so that the hashed bytes are the bytes used.

    Raises RefusalError for links, folders, pipes, sparse files and files that are too large.
    """
    try:
        if path.is_symlink():
            raise RefusalError(f"it is a symbolic link to '{os.readlink(path)}'; give the file itself")
        with open(path, "rb", opener=_open_itself) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise RefusalError("it is not a regular file")
            if facts.st_size > LARGEST_FILE:
                raise RefusalError(f"it has {facts.st_size:,} bytes; at most {LARGEST_FILE:,} are read")
            _check_holes(file.fileno(), facts.st_size)
            return file.read(min(most, facts.st_size))
    except OSError as error:
        raise RefusalError(f"it cannot be read ({error.strerror or error})") from error


def read_checked(path: Path, expected_sha256: str | None) -> tuple[bytes, str]:
    """All bytes of a file, and their sha256. Raises RefusalError as `read_bytes`, and for another sha256 if given."""
    data = read_bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if expected_sha256 is not None and sha256 != expected_sha256.strip().lower():
        raise RefusalError(
            f"its sha256 is {sha256}, expected {expected_sha256}. Fetch it again, or give the sha256 from its publisher"
        )
    return data, sha256


def readable(text: object) -> str:
    """A path or name for messages and cards. Bytes that are not UTF-8, which Linux allows in names, become \\udcXX."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def _open_itself(path: str, flags: int) -> int:
    """Open a file without following links and without waiting for the writer of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _check_holes(file: int, size: int) -> None:
    """Raise RefusalError if more than MOST_HOLES bytes are holes, which read as zeros and take no disk space."""
    if size <= MOST_HOLES:
        return
    position, stored = 0, 0
    while stored < size - MOST_HOLES:
        try:
            begin = os.lseek(file, position, os.SEEK_DATA)
        except OSError:  # only holes from here on
            raise RefusalError(
                f"it announces {size:,} bytes, but only {stored:,} are on the disk: the rest are holes"
            ) from None
        position = os.lseek(file, begin, os.SEEK_HOLE)
        stored += position - begin
    os.lseek(file, 0, os.SEEK_SET)
