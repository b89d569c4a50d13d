"""Files that are there whole or not at all, their sha256, and what to say of a disk that is full."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.errors import StageError

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(folder: Path, name: str, write: Callable[[Path], None]) -> tuple[Path, str, int]:
    """Path, sha256 and size of a file that appears by one rename, after its bytes reached the disk.

    `write(path)` writes to a temporary path in the same folder. Raises StageError on a full disk, with nothing left.
    """
    path = folder / name
    temporary = folder / f".{name}.tmp-{uuid.uuid4().hex}"
    try:
        write(temporary)
        sha256 = file_sha256(temporary)
        size = temporary.stat().st_size
        sync(temporary)
        os.replace(temporary, path)
        sync(folder)
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        written = temporary.stat().st_size if temporary.exists() else 0
        raise disk_full(path, written, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path, sha256, size


def write_json(folder: Path, name: str, value: dict[str, Any]) -> None:
    """A JSON file that appears whole or not at all."""
    text = json.dumps(value, indent=1, sort_keys=True) + "\n"

    def write(path: Path) -> None:
        path.write_text(text)

    write_whole(folder, name, write)


def sync(path: Path) -> None:
    """Force a file's bytes, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def disk_full(path: Path, written: int, error: OSError) -> StageError:
    """The error of a disk, quota or file size limit that is reached, with what is needed to go on."""
    there = next(folder for folder in path.absolute().parents if folder.exists())
    free = shutil.disk_usage(there).free
    return StageError(
        f"Disk full: wrote {written:,} bytes of {path} and could not go on ({os.strerror(error.errno or 0)}; "
        f"{free:,} bytes are free there). Free at least {max(2 * written, 64 * 2**20):,} bytes, or raise the quota, "
        "and run again: finished shards are kept. Nothing was published."
    )
