"""The bytes of a file of strangers: a regular one, no larger than it is on disk, read once.

Imports no torch: what is no checkpoint at all is refused before that is loaded.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from stylegan.checkpoints.limits import LARGEST_FILE, MOST_HOLES, CheckpointError, RefusalError

ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"
BEGINNING = 9
"""Bytes that tell the formats apart."""


def first_look(path: Path, *, beginning: bool = True) -> None:
    """Raise CheckpointError for a file that cannot be opened, or, with `beginning`, begins as no known format does."""
    try:
        found = read_bytes(path, BEGINNING)
        if beginning:
            check_beginning(found)
    except RefusalError as refusal:
        raise refused(path, refusal) from refusal


def check_beginning(data: bytes) -> None:
    """RefusalError for bytes that begin as no known format does."""
    if not data:
        raise RefusalError("it is empty")
    if not (data.startswith((ZIP_MAGIC, PICKLE_MAGIC)) or is_safetensors(data)):
        raise RefusalError(
            "it is neither a pickle of NVIDIA's, nor a file of torch.save, nor safetensors; if it was downloaded, it "
            "may be a page that says why not"
        )


def is_safetensors(data: bytes) -> bool:
    """Whether a file begins as one of that format: with eight bytes, the length of a header of JSON."""
    return data[8:9] == b"{"


def refused(path: Path, refusal: RefusalError) -> CheckpointError:
    """The error for people: which file, and why. It may quote the file."""
    reason = "".join(c if c.isprintable() else "?" for c in str(refusal))
    return CheckpointError(f"'{readable(path)}' is not imported: {reason}. Nothing in it was executed.")


def exhausted(path: Path) -> CheckpointError:
    """The error for people where memory did not suffice."""
    return CheckpointError(
        f"'{readable(path)}' is not imported: this machine has too little memory for it. Close other programs, or "
        "raise the limit. Nothing in it was executed."
    )


def read_bytes(path: Path, most: int = LARGEST_FILE) -> bytes:
    """A regular file, read once, so that what was hashed is what is used; its first bytes alone if `most` is fewer.

    RefusalError for anything else.
    """
    try:
        if path.is_symlink():
            raise RefusalError(f"it is a symbolic link to '{os.readlink(path)}'; give the file itself")
        with open(path, "rb", opener=_open_itself) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise RefusalError("it is no regular file")
            if facts.st_size > LARGEST_FILE:
                raise RefusalError(f"it has {facts.st_size:,} bytes; at most {LARGEST_FILE:,} are read")
            _check_holes(file.fileno(), facts.st_size)
            return file.read(min(most, facts.st_size))
    except OSError as error:
        raise RefusalError(f"it cannot be read ({error.strerror or error})") from error


def readable(text: object) -> str:
    """A path or name for messages and cards: bytes that are no UTF-8, which Linux allows in names, as \\udcXX."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def _open_itself(path: str, flags: int) -> int:
    """Open a file, not what a link leads to, and without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _check_holes(file: int, size: int) -> None:
    """RefusalError if most of a large file is holes, which read as zeros and take no disk."""
    if size <= MOST_HOLES:
        return
    place, there = 0, 0
    while there < size - MOST_HOLES:
        try:
            begin = os.lseek(file, place, os.SEEK_DATA)
        except OSError:  # nothing but holes from here on
            raise RefusalError(
                f"it announces {size:,} bytes, of which {there:,} are on the disk: the rest are holes"
            ) from None
        place = os.lseek(file, begin, os.SEEK_HOLE)
        there += place - begin
    os.lseek(file, 0, os.SEEK_SET)
