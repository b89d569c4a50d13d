"""The record of each file of a stage, and the manifest: a stage exists if its manifest does.

Both are JSON that others could have written or damaged, so every field is looked at before it is believed.
"""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pipeline.settings.paths import is_bare_name
from pipeline.storage.files import read_json

log = logging.getLogger("latentbench")

MANIFEST = "manifest.json"

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class ShardRecord:
    """One finished file of a stage: its name in the stage's folder, rows, sha256, bytes and seconds.

    `code` is the digest of the code that computed it (`provenance.code_digest`), empty where none was noted.
    """

    name: str
    rows: int
    sha256: str
    bytes: int
    seconds: float
    extra: dict[str, Any] = field(default_factory=dict)
    code: str = ""

    @classmethod
    def from_json(cls, value: Any) -> ShardRecord:
        """The record that `dataclasses.asdict` gave. Raises ValueError, saying why, if it is another thing."""
        record = checked(cls, value)
        if not is_bare_name(record.name) or record.name.startswith(".") or record.name == MANIFEST:
            raise ValueError(f"name is {record.name!r}, expected the name of a file in the stage's folder")
        return record


@dataclass(frozen=True)
class Manifest:
    """What a published stage is: the only thing that makes it exist. `started` is UTC, ISO 8601.

    `wall_seconds`, `commit` and `code` are of the process that published; the seconds of each shard, and the code
    that computed it, stand in its record.
    """

    stage: str
    label: str
    version: int
    fingerprint: str
    parameters: dict[str, Any]
    weights: dict[str, str]
    upstream: dict[str, str]
    shards: tuple[ShardRecord, ...]
    rows: int
    packages: dict[str, str]
    commit: str
    machine: dict[str, Any]
    started: str
    wall_seconds: float
    extra: dict[str, Any]
    code: str = ""

    def as_json(self) -> dict[str, Any]:
        """The manifest as it lies on disk."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Manifest:
        """The manifest that `as_json` gave. Raises ValueError, saying why, if it is another thing."""
        return checked(cls, value)


def load_manifest(folder: Path) -> Manifest | None:
    """The manifest in a folder, or None; one that is damaged is named in a warning.

    Raises StageError, naming the file, if it exists and cannot be read.
    """
    path = folder / MANIFEST
    try:
        return Manifest.from_json(read_json(path))
    except FileNotFoundError:
        return None
    except ValueError as error:
        log.warning("%s is no manifest (%s): the stage counts as not computed.", path, error)
        return None


def load_record(folder: Path, name: str) -> ShardRecord | None:
    """The record of a file; None if it is missing, damaged or of another file.

    Raises StageError, naming it, if it exists and cannot be read.
    """
    try:
        record = ShardRecord.from_json(read_json(folder / f"{name}.json"))
    except (FileNotFoundError, ValueError):
        return None
    return record if record.name == name else None


def checked(kind: type[Kind], value: Any) -> Kind:
    """A dataclass of JSON, every field present and of its type. Raises ValueError that names the first fault."""
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, found {_shown(value)}")
    hints, known = get_type_hints(kind), {field.name for field in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(value) - known)
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}")
    try:
        return kind(**{name: _as(hints[name], name, found) for name, found in value.items()})
    except TypeError as error:  # a field without a default is missing
        raise ValueError(str(error).partition(") ")[2] or str(error)) from error


def is_finite(value: Any) -> bool:
    """Whether a value of JSON is a number that a float holds."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _as(hint: Any, name: str, value: Any) -> Any:
    """The value of a field of this type. Raises ValueError if it is of another."""
    if hint in (str, bool) and isinstance(value, hint):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if hint is float and is_finite(value):
        return value
    if get_origin(hint) is dict and isinstance(value, dict):
        if get_args(hint)[1] is Any or all(isinstance(text, str) for text in value.values()):
            return value
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(get_args(hint)[0].from_json(entry) for entry in value)
    expected = getattr(get_origin(hint) or hint, "__name__", hint)
    raise ValueError(f"{name} is {_shown(value)}, expected {expected}")


def _shown(value: Any) -> str:
    """A damaged value, short enough for a line."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
