"""weights.lock.json, next to the weight files: the sha256 with which each was accepted, and its source.

If no sha256 is published, the sha256 of the first file is recorded here, and no other file is accepted afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import StageError, WeightsError
from pipeline.storage.files import read_json, replacing
from pipeline.storage.locks import locked
from pipeline.storage.manifests import checked

RECORDS = "weights.lock.json"
WAIT = 60.0  # seconds; records are written in an instant


@dataclass(frozen=True)
class Record:
    """An accepted file: sha256, bytes, source (a URL or a path), time (UTC, ISO 8601) and time of change.

    `stand_in`: the file only has the shapes of the published file (`latentbench weights stand-in`).
    """

    file: str
    sha256: str
    size: int
    source: str
    recorded: str
    changed: int  # st_mtime_ns when it was hashed; while it is the same, a listing does not hash again
    stand_in: bool = False


def read_records(folder: Path) -> dict[str, Record]:
    """Name -> record. Raises WeightsError for a lock file that cannot be read; without it no sha256 is enforced."""
    path = folder / RECORDS
    try:
        entries = read_json(path)
        return {name: checked(Record, entry) for name, entry in entries.items()}
    except FileNotFoundError:
        return {}
    except (StageError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"{path} cannot be read as the lock file of weights ({error}). It records the sha256 of each file. Restore "
            "it from a copy, or remove it: then every file without a published sha256 is accepted again unchecked."
        ) from error


def write_record(folder: Path, name: str, record: Record) -> None:
    """Add or replace one record. Other records are kept, even if other processes write at the same time."""
    with held(folder / ".records.lock", RECORDS, WAIT):
        records: dict[str, Any] = {key: asdict(value) for key, value in read_records(folder).items()}
        records[name] = asdict(record)
        replace_text(folder / RECORDS, json.dumps(records, indent=1, sort_keys=True) + "\n")


@contextmanager
def held(path: Path, name: str, wait: float) -> Iterator[None]:
    """Hold the lock file of a weight file, or of the records; another holder is waited for, up to `wait` seconds.

    Raises BusyError that names the holder, WeightsError if the folder cannot be written or its disk does not lock.
    """
    with ExitStack() as stack:
        try:
            remedy = "Wait for it and try again."
            stack.enter_context(locked(path, f"{name} is being fetched", wait=wait, remedy=remedy))
        except OSError as error:
            raise WeightsError(
                f"Cannot write and lock {path} ({error.strerror}). Choose another folder for weights: set "
                "LATENTBENCH_WEIGHTS."
            ) from error
        yield


def replace_text(path: Path, text: str) -> None:
    """Write a text file atomically: readers see the old content or the new content. Raises WeightsError."""
    try:
        with replacing(path) as temporary:
            temporary.write_text(text)
    except OSError as error:
        raise WeightsError(f"Cannot write {path}: {error.strerror}. Make room or choose another folder.") from error
