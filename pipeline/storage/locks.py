"""One process at a time: a lock that says whose it is, and that the kernel drops however its process dies."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import platform
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pipeline.errors import BusyError, StageError
from pipeline.storage.files import FULL_DISK, disk_full, unwritable

log = logging.getLogger("latentbench")

LOCK = ".lock"


@contextmanager
def held(folder: Path, title: str, *, wait: float) -> Iterator[None]:
    """Hold folder/.lock, which the kernel releases when the process dies. Raises BusyError."""
    file = _take_lock(folder, title, wait)
    try:
        yield
    finally:
        file.close()


def _take_lock(folder: Path, title: str, wait: float) -> IO[str]:
    path = folder / LOCK
    deadline = time.monotonic() + wait
    told = False
    while True:
        file = _open_lock(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same_file(file, path):  # not a folder that was removed while we waited
                _sign(file)
                return file
            file.close()
            continue
        except BlockingIOError:
            holder = _holder(file)
            file.close()
        except OSError as error:
            file.close()
            raise StageError(f"Cannot lock {path}: {error.strerror}. Nothing was published.") from error
        left = deadline - time.monotonic()
        if left <= 0:
            raise BusyError(
                f"Stage {title} is being computed by {holder}. Wait for it to finish and run again, or set "
                f"[machine] lock_wait to the seconds to wait. The lock is {path}."
            )
        if not told:
            log.warning("Waiting for %s, which is computing stage %s.", holder, title)
            told = True
        time.sleep(min(0.2, left))


def open_shared(path: Path) -> IO[str]:
    """A file for `fcntl.flock`, made with its folder if it is not there. Raises OSError.

    All who may write in its folder may lock it, whoever made it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = path.open("a+")
    except PermissionError:
        if not path.exists():
            raise
        return path.open()  # another user's: a lock needs no right to write, but for a network disk
    _share(file, path.parent)
    return file


def _open_lock(path: Path) -> IO[str]:
    try:
        return open_shared(path)
    except OSError as error:
        if error.errno in FULL_DISK:
            raise disk_full(path, 0, error) from error
        raise unwritable(path, error) from error


def _share(file: IO[str], folder: Path) -> None:
    """Give the lock's group, and others, the right to write that they have in its folder, where that is ours to do."""
    status = os.fstat(file.fileno())
    rights = stat.S_IMODE(status.st_mode) | (stat.S_IMODE(folder.stat().st_mode) & 0o022)
    if status.st_uid == os.geteuid() and rights != stat.S_IMODE(status.st_mode):
        os.fchmod(file.fileno(), rights)


def _same_file(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _sign(file: IO[str]) -> None:
    """Write into the lock who holds it. The lock holds on a full disk too."""
    with suppress(OSError):
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), json.dumps({"pid": os.getpid(), "host": platform.node()}).encode())


def _holder(file: IO[str]) -> str:
    try:
        file.seek(0)
        holder = json.loads(file.read())
        return f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError, RecursionError, OSError):
        return "another process"
