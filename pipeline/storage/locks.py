"""One process at a time: a lock file that names its holder, and that the kernel releases however the holder ends."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import platform
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from pipeline.errors import BusyError
from pipeline.storage.files import FULL_DISK, disk_full, unwritable

log = logging.getLogger("latentbench")

LOCK = ".lock"
GONE = "the lock of a folder that was removed"
POLL = 0.2  # seconds between two tries


@contextmanager
def locked(path: Path, doing: str, *, wait: float, remedy: str) -> Iterator[None]:
    """Hold the lock file `path`, made with its folder if it is not there, while the block runs. The file stays.

    `doing` says what the holder does, such as "Stage latents train is being computed". Another holder is waited for, up
    to `wait` seconds. Raises BusyError, with the holder and the `remedy`, and OSError if the file cannot be written or
    its disk does not lock.
    """
    file = _take(path, doing, wait, remedy)
    try:
        yield
    finally:
        file.close()


@contextmanager
def held(folder: Path, title: str, *, wait: float) -> Iterator[None]:
    """Hold the lock of a stage's folder, as `locked`. Raises BusyError, StageError if the lock cannot be had."""
    path = folder / LOCK
    remedy = "Wait for it to finish and run again, or set [machine] lock_wait to the seconds to wait."
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path, f"Stage {title} is being computed", wait=wait, remedy=remedy))
        except OSError as error:
            if error.errno in FULL_DISK:
                raise disk_full(path, 0, error) from error
            raise unwritable(path, error) from error
        yield


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock file. Raises OSError.

    Linux lists the locks, so that asking never gets in the way of a process that wants to hold it.
    """
    try:
        rows = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return not _can_lock(path)
    inode = str(path.stat().st_ino)
    return any("FLOCK" in row and "->" not in row and row[5].rpartition(":")[2] == inode for row in rows)


def holder_of(path: Path) -> str:
    """The process that holds a lock file, in words; empty if none does or the file cannot be read."""
    with suppress(OSError):
        if not is_locked(path):
            return ""
        with path.open() as file:
            return _signed_by(file)
    return ""


def try_locks(folder: Path) -> None:
    """Write, lock and remove a file in a folder. Raises OSError if the folder or its disk does not allow it."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".latentbench-lock-") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def open_shared(path: Path) -> IO[str]:
    """A file to be locked, made with its folder if it is not there. Raises OSError.

    Every user who may write in its folder may lock it, also if another user made it.
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


def _take(path: Path, doing: str, wait: float, remedy: str) -> IO[str]:
    deadline = time.monotonic() + wait
    warned = False
    while True:
        file = open_shared(path)
        holder = _try(file, path)
        if not holder:
            return file
        file.close()
        left = deadline - time.monotonic()
        if holder == GONE:
            continue
        if left <= 0:
            raise BusyError(f"{doing} by {holder}. {remedy} The lock is {path}.")
        if not warned:
            log.warning("Waiting for %s: %s.", holder, doing)
            warned = True
        time.sleep(min(POLL, left))


def _try(file: IO[str], path: Path) -> str:
    """Lock and sign an open file; answers the process that holds it, `GONE` for a file that left its path."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _signed_by(file)
    except OSError:
        file.close()
        raise
    if not _same_file(file, path):
        return GONE
    _sign(file)
    return ""


def _can_lock(path: Path) -> bool:
    with path.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


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


def _signed_by(file: IO[str]) -> str:
    try:
        file.seek(0)
        holder = json.loads(file.read())
        return f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError, RecursionError, OSError):
        return "another process"
