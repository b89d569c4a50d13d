"""Files checked against their records, and set aside where they differ.

A file is damaged if it is missing, or has another size or sha256. A file that cannot be read (no right to it, too many
files open, a disk that does not answer) may be sound, and stays as it is.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from pipeline.errors import CorruptShardError
from pipeline.storage import elsewhere
from pipeline.storage.files import file_sha256, unreadable
from pipeline.storage.manifests import MANIFEST, Manifest, ShardRecord, load_manifest

log = logging.getLogger("latentbench")

_verified: dict[tuple[str, int, int, int], str] = {}  # path, size, time of change, inode -> sha256


def check_shard(path: Path, record: ShardRecord) -> None:
    """Raise CorruptShardError, naming the file, if it has not the size and sha256 of its record.

    A file's sha256 is computed once per process, and again when its size or time of change differ. A file of an outputs
    folder elsewhere is fetched first. Raises StageError if it cannot be read.
    """
    reason = fault(path.parent, record)
    away = elsewhere.current()
    if reason and away is not None:
        away.fetch(path, record.sha256)
        reason = fault(path.parent, record)
    if reason:
        raise CorruptShardError(f"{path}: {reason}. Run again: this file alone will be computed again.")


def fault(folder: Path, record: ShardRecord) -> str:
    """The fault of a recorded file; empty if it is sound. Raises StageError if it cannot be read."""
    path = folder / record.name
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return "it is no file"
        if status.st_size != record.bytes:
            return f"it has {status.st_size} bytes, expected {record.bytes}"
        key = _identity(path, status)
        if key not in _verified:
            _verified[key] = file_sha256(path)
    except FileNotFoundError:
        return "the file is missing"
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "it is a link that leads back to itself"
        raise unreadable(path, error) from error
    return "" if _verified[key] == record.sha256 else f"its sha256 is {_verified[key]}, expected {record.sha256}"


def faults(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Name -> fault of every damaged file of a published stage."""
    return {record.name: reason for record in manifest.shards if (reason := fault(folder, record))}


def remember(path: Path, sha256: str) -> None:
    """A file that was just written need not be hashed again."""
    with suppress(OSError):
        _verified[_identity(path, path.stat())] = sha256


def quarantine(folder: Path, fingerprint: str) -> None:
    """Set aside every file that differs from the manifest, then drop the manifest. Call with the lock held.

    A manifest that is damaged, or belongs to another stage, is dropped alone: the files keep their records.
    """
    manifest = load_manifest(folder)
    if manifest is None or manifest.fingerprint != fingerprint:
        _drop_manifest(folder)
        return
    damaged = faults(folder, manifest)
    if damaged:
        _drop_manifest(folder)
    for name, reason in damaged.items():
        set_aside(folder, name, reason)


def set_aside(folder: Path, name: str, reason: str) -> None:
    """Move a bad file to NAME.corrupt and forget its record."""
    log.warning("%s: %s. It is set aside as %s.corrupt and computed again.", folder / name, reason, name)
    (folder / f"{name}.json").unlink(missing_ok=True)
    aside = folder / f"{name}.corrupt"
    if aside.is_dir() and not aside.is_symlink():  # no rename replaces a folder that holds something
        shutil.rmtree(aside)
    with suppress(FileNotFoundError):
        os.replace(folder / name, aside)


def _drop_manifest(folder: Path) -> None:
    """Remove the manifest; a folder of that name is set aside."""
    path = folder / MANIFEST
    if path.is_dir() and not path.is_symlink():
        set_aside(folder, MANIFEST, "it is a folder")
    else:
        path.unlink(missing_ok=True)


def _identity(path: Path, status: os.stat_result) -> tuple[str, int, int, int]:
    return str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ino
