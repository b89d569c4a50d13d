"""The bytes of a file of strangers: a regular one, no larger than it is on disk, read once."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from stylegan.checkpoints.limits import LARGEST_FILE, MOST_HOLES, RefusalError


def read_bytes(path: Path) -> bytes:
    """All of a regular file, read once, so that what was hashed is what is used. RefusalError for any other."""
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
            return file.read(facts.st_size)
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
