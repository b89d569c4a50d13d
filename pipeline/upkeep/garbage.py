"""What of the outputs folder nobody needs: found and sorted here, removed by `removal`.

A published run is never among it, nor a night's note, nor the link to the newest run.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.nights.notes import ASIDE, NIGHTLY
from pipeline.report.archive import ABLATIONS, PUBLISHING
from pipeline.storage.locks import LOCK, holder_of
from pipeline.storage.manifests import MANIFEST
from pipeline.storage.runs import REPORT, RUN
from pipeline.storage.stages import STAGES

REMOVING = ".removing"  # in the outputs folder: what a removal has taken out of its place
SHORT = 16  # digits of a fingerprint in the name of a stage's folder
DAY = 86_400.0  # seconds
TEMPORARY = (".*.tmp-*", ".seen-by-workers-*", ".latentbench-lock-*", ".unpacking-*")

UNNEEDED = "no published run needs it, nor luigi.cfg as it is now"
UNFINISHED = "not finished, and luigi.cfg as it is now does not name it"
OVER = "the lock and log of a run that is over"
PUBLISHED = "the lock of a publication that is over"
DAMAGED = "damaged and set aside; it was computed again"
ASIDE_FOR = "set aside by a night that measured again; no verb reads it"
HALF = "half-written, by a process that was killed"
TAKEN = "left of a removal that was interrupted"


@dataclass(frozen=True)
class Garbage:
    """A file or folder that can be removed, and why.

    bytes: sizes of all files in it. changed: when one of them last changed, in seconds since 1970. stage: whether it is
    the folder of a stage, which a run may be building or building on.
    """

    path: Path
    title: str
    reason: str
    bytes: int
    changed: float
    stage: bool = False

    def as_json(self) -> dict[str, Any]:
        """The entry, JSON-compatible."""
        return asdict(self) | {"path": str(self.path)}


def find_garbage(outputs: Path, needed: Collection[str]) -> list[Garbage]:
    """All that can be removed while the stages with the fingerprints `needed` stay, by path.

    Raises OSError for a folder that cannot be read.
    """
    folders = [*_stages(outputs, needed), *_set_aside(outputs)]
    inside = {entry.path for entry in folders}
    files = [entry for entry in _half_written(outputs) if entry.path.parent not in inside]
    return sorted([*folders, *files], key=lambda entry: entry.path)


def limited(
    garbage: Sequence[Garbage], now: float, *, older_than: float = 1.0, keep: int = 0
) -> tuple[list[Garbage], list[Garbage]]:
    """What is to go, and what the limits spare: what changed less than `older_than` days before `now`, and of the rest
    the youngest, up to `keep` bytes together. What is half-written is spared for a day, since a process may be writing
    it; what an interrupted removal left is not spared.
    """
    going, spared, kept = [], [], 0
    for entry in sorted(garbage, key=lambda entry: entry.changed, reverse=True):
        if entry.reason == TAKEN:
            going.append(entry)
        elif now - entry.changed < DAY * (max(older_than, 1.0) if entry.reason == HALF else older_than):
            spared.append(entry)
        elif kept + entry.bytes <= keep:
            kept += entry.bytes
            spared.append(entry)
        else:
            going.append(entry)
            keep = kept  # what is older goes too, however small it is
    return sorted(going, key=lambda entry: entry.path), sorted(spared, key=lambda entry: entry.path)


def size_and_change(path: Path) -> tuple[int, float]:
    """Bytes of all files in a file or folder, links not followed, and the newest time of change in it.

    What vanishes meanwhile counts as nothing.
    """
    try:
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            return status.st_size, status.st_mtime
        parts = [size_and_change(Path(entry.path)) for entry in os.scandir(path)]
    except FileNotFoundError:
        return 0, 0.0
    return sum(size for size, _ in parts), max((changed for _, changed in parts), default=status.st_mtime)


def _entry(path: Path, title: str, reason: str, *, stage: bool = False) -> Garbage:
    return Garbage(path, title, reason, *size_and_change(path), stage)


def _stages(outputs: Path, needed: Collection[str]) -> Iterator[Garbage]:
    short = {fingerprint[:SHORT] for fingerprint in needed}
    for folder in sorted((outputs / STAGES).glob("*/*")):
        if folder.is_symlink() or not folder.is_dir() or holder_of(folder / LOCK):
            continue
        kind, (label, _, mark) = folder.parent.name, folder.name.rpartition("-")
        title = f"{kind} {label}".strip()
        if kind in (RUN, REPORT):
            yield _entry(folder, title, OVER if kind == RUN else PUBLISHED, stage=True)
        elif mark not in short:
            reason = UNNEEDED if (folder / MANIFEST).exists() else UNFINISHED
            yield _entry(folder, title, reason, stage=True)
        else:
            for path in sorted(folder.glob("*.corrupt")):
                yield _entry(path, f"{title}: {path.name}", DAMAGED)


def _set_aside(outputs: Path) -> Iterator[Garbage]:
    """Stages of nights that are concluded, and damaged ablations."""
    for folder in sorted((outputs / ASIDE).glob("*")):
        if (outputs / NIGHTLY / f"{folder.name}.json").is_file():
            yield _entry(folder, f"night {folder.name}", ASIDE_FOR)
    for folder in sorted((outputs / ABLATIONS).glob("*.corrupt-*")):
        yield _entry(folder, f"ablation {folder.name}", DAMAGED)


def _half_written(outputs: Path) -> Iterator[Garbage]:
    places = (".", NIGHTLY, f"{STAGES}/*/*", f"{ABLATIONS}/*")
    patterns = [f"{place}/{name}" for place in places for name in TEMPORARY] + [f"{PUBLISHING}/*"]
    for path in sorted({path for pattern in patterns for path in outputs.glob(pattern)}):
        yield _entry(path, path.name, HALF)
    for path in sorted((outputs / REMOVING).glob("*")):
        yield _entry(path, path.name, TAKEN)
