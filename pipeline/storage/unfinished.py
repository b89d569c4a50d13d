"""Stages that are begun and not published: running, failed or interrupted."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import StageError
from pipeline.storage.files import read_json
from pipeline.storage.locks import LOCK, holder_of
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
    """Write into a stage's folder why its last attempt failed; a disk that refuses is ignored."""
    folder = stage.folder(outputs)
    note = {
        "error": str(error) or type(error).__name__,
        "title": stage.title,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with suppress(OSError):  # the error itself reports a full disk
        if folder.is_dir() and not (folder / MANIFEST).exists():
            (folder / FAILURE).write_text(json.dumps(note, indent=1) + "\n")


def find_unfinished(outputs: Path) -> list[Unfinished]:
    """Every stage under `outputs` that is begun and not published."""
    folders = sorted(path.parent for path in (outputs / STAGES).glob(f"*/*/{LOCK}"))
    entries = [_unfinished(folder) for folder in folders if not (folder / MANIFEST).exists()]
    return [entry for entry in entries if entry.holder or entry.error or entry.shards]


def _unfinished(folder: Path) -> Unfinished:
    shards = sum(1 for path in folder.glob("*.json") if (folder / path.stem).exists())
    label = folder.name.rpartition("-")[0]
    note = {"title": f"{folder.parent.name} {label}".strip(), "error": "", "time": ""}
    with suppress(FileNotFoundError, ValueError, StageError):
        failure = read_json(folder / FAILURE)
        note |= {key: str(failure[key]) for key in note if isinstance(failure, dict) and key in failure}
    return Unfinished(note["title"], str(folder), shards, holder_of(folder / LOCK), note["error"], note["time"])
