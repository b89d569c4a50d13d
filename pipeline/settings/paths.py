"""Paths that people write, and file names that come from files."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from pipeline.errors import ConfigError


def expanded(path: str | Path) -> Path:
    """The path with `~` or `~NAME` at its beginning as a home directory, which no shell did for `--outputs=~/x`.

    Raises ConfigError where no such home directory is known.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"{path}: the home directory that it begins with is not known here. Write the whole path."
        ) from error


def documents() -> Path:
    """The folder of the pages that help and errors name as docs/NAME.md: the package's, or the checkout's."""
    root = Path(__file__).resolve().parents[2]
    installed = root / "latentbench" / "docs"
    return installed if installed.is_dir() else root / "docs"


def open_regular(path: Path) -> BufferedReader:
    """Open a file to be read, or a link to one. Raises OSError for anything else: a pipe may never come to an end.

    Nothing is waited for.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise _no_file(path)
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise _no_file(path)
    return file


def _no_file(path: Path) -> OSError:
    if path.is_dir():
        return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return OSError(errno.EINVAL, "it is a pipe or a device, expected a file", str(path))


def readable(path: str | Path) -> str:
    """A path or name for messages and tables: bytes that are no UTF-8, which Linux allows in names, as \\udcXX."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def folder_to_be(path: Path) -> Path:
    """The path, if it is a folder or one can be made there. Raises ConfigError that names the obstacle."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise ConfigError(f"{path}: expected a folder, found a broken symbolic link.") from None
        longest = os.pathconf(_nearest(path), "PC_NAME_MAX")
        if any(len(os.fsencode(part)) > longest for part in path.parts):
            raise ConfigError(f"{path}: a name in it has more than {longest} bytes: choose a shorter one.") from None
        return path
    except OSError as error:
        files = [parent for parent in path.parents if parent.is_file()] if error.errno == errno.ENOTDIR else []
        reason = f"{files[0]} is a file" if files else error.strerror
        raise ConfigError(f"{path}: expected a folder, or the name of one that can be made; {reason}.") from error
    if not stat.S_ISDIR(mode):
        raise ConfigError(f"{path}: expected a folder, found another kind of file: move it, or name another folder.")
    return path


def unwritable_folder(path: Path) -> str:
    """Why no file can be written in a folder or in its nearest parent; empty if files can be written."""
    folder = _nearest(path)
    if os.access(folder, os.W_OK | os.X_OK):
        return ""
    return f"Nothing can be written in {folder}: ask its owner for the right to, or name another folder with --outputs."


def _nearest(path: Path) -> Path:
    """The path, if it is a folder, or else the nearest folder above it."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())


def is_bare_name(name: object) -> bool:
    """Whether a text that a file names is the name of a file in one folder: it leads nowhere else."""
    return isinstance(name, str) and bool(name) and name not in (".", "..") and not {"/", "\0"} & set(name)
