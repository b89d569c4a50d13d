"""The table of weight files, table.toml next to this module, checked when it is read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import ConfigError, UnknownNameError
from pipeline.weights.archives import ARCHIVES, FILE_NAME, Archive, read_archives

TABLE = Path(__file__).with_name("table.toml")
HEXADECIMAL = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True)
class Weight:
    """One published file. Sizes are in bytes, 0 if unknown; a sha256 is empty if unknown.

    `role` is the file's role in its domain; of several files with the same role, one is enough. `sha256_start` holds
    the first digits of the sha256 if only they are published; `size_about` is a rounded size that is never enforced.
    `evidence` names the source of size and sha256. A file inside the archive of a package has `archive`, and `member`,
    its path in there; size and sha256 are the member's.
    """

    name: str
    file: str
    url: str
    licence: str
    domain: str
    role: str
    used_by: str
    size: int = 0
    size_about: int = 0
    sha256: str = ""
    sha256_start: str = ""
    evidence: str = ""
    archive: Archive | None = None
    member: str = ""


@lru_cache(maxsize=4)
def read_table(path: Path = TABLE) -> dict[str, Weight]:
    """Name -> file, in the table's order. Raises ConfigError, with the entry and the key, for an invalid table."""
    try:
        entries = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"Cannot read the table of weights {path}: {error}") from error
    archives = read_archives(entries.pop(ARCHIVES, {}), path)
    table = {name: _entry(name, entry, path, archives) for name, entry in entries.items()}
    files = [weight.file for weight in table.values()]
    for file in files:
        if files.count(file) > 1:
            raise ConfigError(f"{path}: two entries have the file {file}; expected one each.")
    for group in groups(table):
        if group in table:
            raise ConfigError(f"{path}: {group} is the name of a file and of a domain; expected two names.")
    return table


def groups(table: Mapping[str, Weight]) -> dict[str, list[Weight]]:
    """Domain -> its files. A domain's name stands for all of them where files are fetched and verified."""
    chosen: dict[str, list[Weight]] = {}
    for weight in table.values():
        chosen.setdefault(weight.domain, []).append(weight)
    return chosen


def choose(names: Iterable[str], table: Mapping[str, Weight]) -> list[Weight]:
    """The entries that names of files and of groups stand for, as `find`. Raises UnknownNameError."""
    domains, chosen = groups(table), list(names)
    for name in chosen:
        if name not in table and name not in domains:
            raise UnknownNameError("weight file or group", name, [*table, *domains])
    return [weight for name, weight in table.items() if name in chosen or weight.domain in chosen]


def find(names: Iterable[str], table: dict[str, Weight]) -> list[Weight]:
    """The entries with these names, each once, in the table's order. Raises UnknownNameError."""
    chosen = list(names)
    for name in chosen:
        if name not in table:
            raise UnknownNameError("weight file", name, table)
    return [weight for name, weight in table.items() if name in chosen]


def _entry(name: str, entry: Any, path: Path, archives: Mapping[str, Archive]) -> Weight:
    if not isinstance(entry, dict):
        raise ConfigError(f"{path}: {name}: expected a table, found {entry!r}.")
    known = {field.name: field for field in fields(Weight) if field.name != "name"}
    for key, value in entry.items():
        if key not in known:
            raise UnknownNameError(f"key of [{name}] in {path.name}", key, known)
        if key.startswith("size") and not (type(value) is int and value > 0):
            raise ConfigError(f"{path}: [{name}] {key}: expected a whole number above 0, found {value!r}.")
        if not (key.startswith("size") or isinstance(value, str)):
            raise ConfigError(f"{path}: [{name}] {key}: expected a text, found {value!r}.")
    values = entry | _of_archive(name, entry, path, archives)
    for key, field in known.items():
        if field.default is MISSING and not values.get(key):
            raise ConfigError(f"{path}: [{name}] {key}: expected a text, found nothing.")
    weight = Weight(name=name, **values)
    _check(weight, path)
    return weight


def _of_archive(name: str, entry: Mapping[str, Any], path: Path, archives: Mapping[str, Archive]) -> dict[str, Any]:
    """What a file inside an archive takes from it; of a file of its own, nothing."""
    if "archive" not in entry and "member" not in entry:
        return {}
    for key in ("archive", "member", "size", "sha256"):
        if not entry.get(key):
            raise ConfigError(
                f"{path}: [{name}] {key}: expected one, since the file is inside an archive; found nothing."
            )
    if "url" in entry:
        raise ConfigError(f"{path}: [{name}] url: expected none, since the file is inside an archive.")
    if entry["archive"] not in archives:
        raise UnknownNameError(f"archive of [{name}] in {path.name}", entry["archive"], archives)
    archive = archives[entry["archive"]]
    return {"archive": archive, "url": archive.url, "licence": entry.get("licence") or archive.licence}


def _check(weight: Weight, path: Path) -> None:
    """Raise ConfigError for a file name, a URL or a hash that is none."""
    name = weight.name
    if not FILE_NAME.fullmatch(weight.file):
        raise ConfigError(f"{path}: [{name}] file: expected a bare file name, found {weight.file!r}.")
    if urlsplit(weight.url).scheme != "https":
        raise ConfigError(f"{path}: [{name}] url: expected one that starts with https://, found {weight.url!r}.")
    if weight.sha256 and not (len(weight.sha256) == 64 and HEXADECIMAL.fullmatch(weight.sha256)):
        raise ConfigError(f"{path}: [{name}] sha256: expected 64 hexadecimal digits, found {weight.sha256!r}.")
    if weight.sha256_start and not HEXADECIMAL.fullmatch(weight.sha256_start):
        raise ConfigError(f"{path}: [{name}] sha256_start: expected hexadecimal digits, found {weight.sha256_start!r}.")
