"""Paths that people write, and names of files that others wrote."""

from __future__ import annotations

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


def is_bare_name(name: object) -> bool:
    """Whether a text that a file names is the name of a file in one folder: it leads nowhere else."""
    return isinstance(name, str) and bool(name) and name not in (".", "..") and not {"/", "\0"} & set(name)
