"""A lock file for one process at a time; the kernel releases it when its holder ends for any reason."""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pipeline.errors import BusyError, WeightsError
from pipeline.storage.locks import open_shared

log = logging.getLogger("latentbench")

LOOK_AGAIN = 0.2  # seconds


@contextmanager
def held(path: Path, title: str, wait: float) -> Iterator[None]:
    """Hold the lock file `path` while the block runs. The file is left behind and carries no state.

    Waits up to `wait` seconds for another holder. Raises BusyError with the holder's name, and WeightsError if the
    folder cannot be written or its file system does not support locks.
    """
    try:
        file = open_shared(path)
    except OSError as error:
        raise WeightsError(
            f"Cannot write {path} ({error.strerror}). Choose another folder for weights: set LATENTBENCH_WEIGHTS."
        ) from error
    with file:
        _take(file, path, title, wait)
        yield


def _take(file: IO[str], path: Path, title: str, wait: float) -> None:
    deadline, warned = time.monotonic() + wait, False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "another process"
        except OSError as error:
            raise WeightsError(f"Cannot lock {path}: {error.strerror}. Choose a folder whose files can be.") from error
        left = deadline - time.monotonic()
        if left <= 0:
            raise BusyError(f"{title} is being fetched by {holder}. Wait for it and try again. The lock is {path}.")
        if not warned:
            log.warning("Waiting for %s, which is fetching %s.", holder, title)
            warned = True
        time.sleep(min(LOOK_AGAIN, left))
    with suppress(OSError):  # the holder's name is optional: on a full disk the lock still holds
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), f"process {os.getpid()} on {platform.node()}".encode())
