"""The note of a night: which report it published, and what the comparison with earlier nights found.

    outputs/nightly/2026-11-28-synthface-smoke-1a2b3c4d.json
    outputs/set-aside/2026-11-28-synthface-smoke-1a2b3c4d-edits/edits/l2l-0123456789abcdef/

A night that measures again (`recompute_from`) has a note of its own. The stage folders that it set aside stay where the
new ones have other bits, since published reports were made from them.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from pipeline.errors import StageError
from pipeline.nights.findings import GateResult
from pipeline.settings.settings import Settings
from pipeline.storage.files import read_json, write_json
from pipeline.storage.fingerprint import digest
from pipeline.storage.manifests import Manifest, load_manifest
from pipeline.storage.runs import set_aside
from pipeline.storage.stages import STAGES, Stage

log = logging.getLogger("latentbench")

NIGHTLY, ASIDE = "nightly", "set-aside"
MARKER = "set-aside.json"  # in a night's folder of stages: written when all of them lie there


@dataclass(frozen=True)
class Note:
    """A night: its date, the id of its report, the stage from which it measured again, and its comparison as JSON.

    `same`, `other`: how many of the stages that were measured again have the same bits as before, and other ones.
    """

    date: str
    report: str
    recompute_from: str = ""
    same: int = 0
    other: int = 0
    comparison: dict[str, Any] = field(default_factory=dict)


def night_name(settings: Settings, night: date, recompute_from: str = "") -> str:
    """The name of a night's files: date, domain, profile and the digest of all that can change a number."""
    again = f"-{recompute_from}" if recompute_from else ""
    run = f"{settings.domain}-{settings.experiment.profile}-{digest(settings.as_json())[:8]}"
    return f"{night:%Y-%m-%d}-{run}{again}"


def note_path(outputs: Path, name: str) -> Path:
    """Where the note of a night lies."""
    return outputs / NIGHTLY / f"{name}.json"


def is_published(outputs: Path, settings: Settings, night: date) -> bool:
    """Whether a night of this domain and profile has a note, whatever its other settings were."""
    start = f"{night:%Y-%m-%d}-{settings.domain}-{settings.experiment.profile}-"
    rest = re.compile(rf"{re.escape(start)}[0-9a-f]{{8}}(-\w+)?\.json")
    return any(rest.fullmatch(path.name) for path in (outputs / NIGHTLY).glob("*.json"))


def write_note(outputs: Path, name: str, note: Note) -> None:
    """Write the note of a night. Raises StageError if it cannot be written."""
    path = note_path(outputs, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path.parent, path.name, asdict(note))


def read_notes(outputs: Path, name: str = "[0-9]*") -> list[Note]:
    """Every night's note, or the one of that name, oldest first; one that cannot be read is named in a warning."""
    notes: list[Note] = []
    for path in sorted((outputs / NIGHTLY).glob(f"{name}.json")):
        try:
            value = read_json(path)
            note = Note(**{key: value[key] for key in Note.__dataclass_fields__ if key in value})
            GateResult.from_json(note.comparison)
        except (ValueError, TypeError, KeyError, AttributeError, StageError) as error:
            log.warning("%s is no note of a night (%s). It is passed over.", path, error)
            continue
        notes.append(note)
    return sorted(notes, key=lambda note: (note.date, note.report))


def marker(outputs: Path, name: str) -> Path:
    """The file that says that every stage of a night that measures again was set aside."""
    return outputs / ASIDE / name / MARKER


def set_aside_for(settings: Settings, name: str, stages: Sequence[Stage]) -> None:
    """Set these stages aside, in this order, for a night that measures again. Raises BusyError, StageError."""
    folder = marker(settings.outputs, name).parent
    folder.mkdir(parents=True, exist_ok=True)
    set_aside(stages, settings.outputs, folder, settings)
    write_json(folder, MARKER, {"stages": [stage.title for stage in stages]})


def settle(settings: Settings, name: str) -> tuple[int, int]:
    """Remove the stages set aside that were measured again to the same bits; answers how many are the same, and not.

    A stage that differs, or was not measured again, stays set aside.
    """
    folder = marker(settings.outputs, name).parent
    same, other = 0, 0
    for before in sorted(folder.glob("*/*")):
        now = settings.outputs / STAGES / before.relative_to(folder)
        if _bits(load_manifest(before)) == _bits(load_manifest(now)):
            shutil.rmtree(before)
            same += 1
        else:
            other += 1
    for kind in folder.iterdir():
        if kind.is_dir() and not any(kind.iterdir()):
            kind.rmdir()
    return same, other


def _bits(manifest: Manifest | None) -> dict[str, str] | None:
    """sha256 by file of a stage; None for one that is not published."""
    return None if manifest is None else {record.name: record.sha256 for record in manifest.shards}
