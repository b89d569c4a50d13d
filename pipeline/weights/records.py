"""weights.lock.json, beside the weight files: the sha256 under which each was taken, and where it came from.

Where no sha256 is published, the first file that comes is recorded here, and no other is taken from then on.
"""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import StageError, WeightsError
from pipeline.storage.files import read_json
from pipeline.storage.manifests import checked
from pipeline.weights.holding import held

RECORDS = "weights.lock.json"
WAIT = 60.0  # seconds; records are written in an instant


@dataclass(frozen=True)
class Record:
    """How a file was taken: sha256, bytes, source (a URL or a path), when (UTC, ISO 8601), its time of change.

    `stand_in`: it only has the shapes of the published file (`latentbench weights stand-in`).
    """

    file: str
    sha256: str
    size: int
    source: str
    recorded: str
    changed: int  # st_mtime_ns when it was hashed: while it stays, a listing need not hash again
    stand_in: bool = False


def read_records(folder: Path) -> dict[str, Record]:
    """Name -> record. Raises WeightsError for a lock file that cannot be read: without it nothing is enforced."""
    path = folder / RECORDS
    try:
        entries = read_json(path)
        return {name: checked(Record, entry) for name, entry in entries.items()}
    except FileNotFoundError:
        return {}
    except (StageError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"{path} cannot be read as the lock file of weights ({error}). It says which sha256 each file must have: "
            f"bring "
            "it back from a copy, or remove it, and every file without a published sha256 is taken anew as it is found."
        ) from error


def write_record(folder: Path, name: str, record: Record) -> None:
    """Add or replace one record; the others stay, whoever writes at the same time."""
    with held(folder / ".records.lock", RECORDS, WAIT):
        records: dict[str, Any] = {key: asdict(value) for key, value in read_records(folder).items()}
        records[name] = asdict(record)
        replace_text(folder / RECORDS, json.dumps(records, indent=1, sort_keys=True) + "\n")


def replace_text(path: Path, text: str) -> None:
    """Write a text file so that others see the old content or the new, never a part. Raises WeightsError."""
    temporary = path.with_name(f".{path.name}.tmp-{uuid.uuid4().hex}")
    try:
        with temporary.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise WeightsError(f"Cannot write {path}: {error.strerror}. Make room or choose another folder.") from error
    finally:
        temporary.unlink(missing_ok=True)
