"""Stages that are begun and not published: running, failed or interrupted."""

from __future__ import annotations

import fcntl
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import StageError
from pipeline.storage.files import read_json
from pipeline.storage.locks import LOCK
from pipeline.storage.stages import MANIFEST, STAGES, Stage

FAILURE = "failed.json"  # in a stage's folder: why its last attempt failed; gone once the stage is published


@dataclass(frozen=True)
class Unfinished:
    """A stage's folder without a manifest.

    `holder` says which process is computing it, empty if none; `error` why the last attempt failed, empty if it
    was interrupted; `shards` how many files are finished and will be kept.
    """

    title: str
    folder: str
    shards: int
    holder: str = ""
    error: str = ""
    failed_at: str = ""

    def as_json(self) -> dict[str, Any]:
        """The entry, JSON-compatible."""
        return asdict(self)


def note_failure(stage: Stage, outputs: Path, error: BaseException) -> None:
    """Write beside a stage's shards why its last attempt failed, if that can be written."""
    folder = stage.folder(outputs)
    note = {
        "error": str(error) or type(error).__name__,
        "title": stage.title,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with suppress(OSError):  # a full disk is told by the error itself
        if folder.is_dir() and not (folder / MANIFEST).exists():
            (folder / FAILURE).write_text(json.dumps(note, indent=1) + "\n")


def find_unfinished(outputs: Path) -> list[Unfinished]:
    """Every stage under `outputs` that is begun and not published."""
    folders = sorted(path.parent for path in (outputs / STAGES).glob(f"*/*/{LOCK}"))
    found = [_unfinished(folder) for folder in folders if not (folder / MANIFEST).exists()]
    return [entry for entry in found if entry.holder or entry.error or entry.shards]


def _unfinished(folder: Path) -> Unfinished:
    shards = sum(1 for path in folder.glob("*.json") if (folder / path.stem).exists())
    label = folder.name.rpartition("-")[0]
    note = {"title": f"{folder.parent.name} {label}".strip(), "error": "", "time": ""}
    with suppress(FileNotFoundError, ValueError, StageError):
        found = read_json(folder / FAILURE)
        note |= {key: str(found[key]) for key in note if isinstance(found, dict) and key in found}
    return Unfinished(note["title"], str(folder), shards, lock_holder(folder), note["error"], note["time"])


def lock_holder(folder: Path) -> str:
    """The process that is computing a stage's folder, in words; empty if none is."""
    path = folder / LOCK
    with suppress(OSError):
        if not _is_locked(path):
            return ""
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError, StageError):
            holder = read_json(path)
            return f"process {holder['pid']} on {holder['host']}"
        return "another process"
    return ""


def _is_locked(path: Path) -> bool:
    """Whether a process holds a file's lock. Linux lists them, so that asking never gets in a builder's way."""
    try:
        rows = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return not _can_lock(path)
    inode = str(path.stat().st_ino)
    return any("FLOCK" in row and "->" not in row and row[5].rpartition(":")[2] == inode for row in rows)


def _can_lock(path: Path) -> bool:
    with path.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
