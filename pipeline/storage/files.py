"""Atomic writes, sha256 of files, and errors of the disk in words."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from pipeline.errors import StageError

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_RIGHT = (errno.EACCES, errno.EPERM)
TOO_MANY = (errno.EMFILE, errno.ENFILE)
IN_THE_WAY = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP)
MENDABLE = (*NO_RIGHT, *TOO_MANY, *IN_THE_WAY, errno.EROFS, errno.EIO, errno.ESTALE)


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(folder: Path, name: str, write: Callable[[Path], object]) -> tuple[Path, str, int]:
    """Path, sha256 and size of a file that appears by one rename, after its bytes reached the disk.

    `write(path)` writes to a temporary path in the same folder. The file gets the rights of a new file in that folder:
    safetensors' writer would keep other users from reading it. Raises StageError, with nothing left, if it cannot be
    written.
    """
    path = folder / name
    with _explained(path) as temporary:
        temporary.touch()
        rights = stat.S_IMODE(temporary.stat().st_mode)
        write(temporary)
        if stat.S_IMODE(temporary.stat().st_mode) != rights:
            temporary.chmod(rights)
        sha256 = file_sha256(temporary)
        size = temporary.stat().st_size
    return path, sha256, size


def write_alone(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Replace a large file that one process alone writes, such as a checkpoint, by one rename; it is not hashed.

    Temporary files of earlier, killed processes are removed. Raises StageError if it cannot be written, with
    the old file in its place.
    """
    with _explained(path) as temporary:
        for leftover in leftovers(path.parent, path.name):
            leftover.unlink(missing_ok=True)
        with temporary.open("wb") as file:
            write(file)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name in a file's folder, for the block to write: it takes the file's place by one rename at the end.

    Its bytes reach the disk before. Where the block or the disk fails, the old file stays and nothing else is left.
    Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.tmp-{uuid.uuid4().hex}")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def _explained(path: Path) -> Iterator[Path]:
    """As `replacing`. Raises StageError that says what to do where the disk fails."""
    written = 0
    try:
        with replacing(path) as temporary:
            try:
                yield temporary
            finally:
                with suppress(OSError):
                    written = temporary.stat().st_size
    except Exception as error:
        if is_full_disk(error):
            raise disk_full(path, written, error) from error
        if isinstance(error, OSError) and error.errno:
            raise unwritable(path, error) from error
        raise


def leftovers(folder: Path, name: str = "") -> list[Path]:
    """Temporary files of killed writers in a folder: of one file, or of all."""
    return sorted(folder.glob(f".{glob.escape(name) or '*'}.tmp-*"))


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


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises FileNotFoundError if there is no file, ValueError with the reason if it is no JSON file, and StageError if
    the disk cannot read it, in which case it may be sound.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("it is no file")
        return json.loads(path.read_text(encoding="utf-8"))
    except NotADirectoryError as error:
        raise FileNotFoundError(*error.args) from error
    except FileNotFoundError:
        raise
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError("it is a link that leads back to itself") from error
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> StageError:
    """The error of an existing file that cannot be read, with a remedy."""
    remedy = "Run again when it can be read."
    if error.errno in NO_RIGHT:
        remedy = "Ask its owner for the right to read it (chmod g+r), or name another folder with --outputs."
    if error.errno in TOO_MANY:
        remedy = "Too many files are open: raise the limit (ulimit -n)."
    return StageError(f"{path} cannot be read: {error.strerror or error}. {remedy} The file was left as it is.")


def unwritable(path: Path, error: OSError) -> StageError:
    """The error of a file that cannot be written, on a disk that is not full."""
    remedy = "Ask the owner of its folder for the right to write, or name another folder with --outputs."
    if error.errno in TOO_MANY:
        remedy = "Too many files are open: raise the limit (ulimit -n)."
    if error.errno == errno.ENOENT:
        remedy = "Was its folder removed or renamed meanwhile?"
    where = f" ({error.filename})" if error.filename else ""
    return StageError(f"Cannot write {path}: {error.strerror or error}{where}. {remedy} Nothing was published.")


def told(error: OSError) -> str:
    """A sentence for an unforeseen error of the disk that a user can mend; empty for any other error."""
    if error.errno not in (*FULL_DISK, *MENDABLE) or error.filename is None:
        return ""
    if error.errno in FULL_DISK:
        return str(disk_full(Path(os.fsdecode(error.filename)), 0, error))
    return f"{os.fsdecode(error.filename)}: {error.strerror}. Is that the right path, and yours to read and write?"


def is_full_disk(error: BaseException) -> bool:
    """Whether a disk, quota or file size limit is reached: an error of Python, one in words, or one raised upon it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in FULL_DISK
    before = error.__cause__ or error.__context__  # torch's writer raises another error where ours interrupts it
    said = any(f"(os error {number})" in str(error) for number in FULL_DISK)
    return said or (before is not None and is_full_disk(before))


def disk_full(path: Path, written: int, error: BaseException) -> StageError:
    """The error of a full disk, quota or file size limit, with the bytes that are needed to go on."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return StageError(
        f"Disk full: wrote {written:,} bytes of {path} and could not go on ({reason}; "
        f"{free:,} bytes are free there). Free at least {max(2 * written, 64 * 2**20):,} bytes, or raise the quota, "
        "and run again: finished shards are kept. Nothing was published."
    )
