"""The published runs: where they lie, how one is named, found and checked.

    outputs/reports/run_id=20261120T031500Z-1a2b3c4d/{scores,ranges,edits,matched,...,runs}.parquet
    (and report.html, manifest.json)
    outputs/latest -> reports/run_id=...

Analysts read `outputs/reports/*/scores.parquet` with whatever they like. A run id is a time and the first digits of the
report's fingerprint; it looks like neither a date nor a number, since readers guess types of such names differently.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.errors import CorruptShardError, StageError
from pipeline.files import file_sha256
from pipeline.stages import MANIFEST

log = logging.getLogger("latentbench")

REPORTS = "reports"
LATEST = "latest"
PAGE = "report.html"
PREFIX = "run_id="


@dataclass(frozen=True)
class Published:
    """A published run as its manifest tells it."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def run_id(self) -> str:
        """Time and digest of the run."""
        return str(self.manifest["run_id"])


def published_runs(outputs: Path) -> list[Published]:
    """Every published run, oldest first; a folder whose manifest cannot be read is named in a warning."""
    found = []
    for folder in sorted((outputs / REPORTS).glob(f"{PREFIX}*")):
        try:
            found.append(Published(folder, read_report_manifest(folder)))
        except CorruptShardError as error:
            log.warning("%s", error)
    return found


def latest_report(outputs: Path) -> Path:
    """The folder of the newest published run. Raises StageError if there is none."""
    newest = newest_report(outputs)
    if newest is None:
        raise StageError(f"No run is published under {outputs / REPORTS}. Compute one: latentbench run")
    return newest


def find_run(outputs: Path, name: str) -> Path:
    """The folder of a run by its id, the beginning or end of it, its folder, or `latest`.

    Raises StageError if there is no such run, or more than one.
    """
    if name == LATEST:
        return latest_report(outputs)
    folders = sorted((outputs / REPORTS).glob(f"{PREFIX}*"))
    wanted = Path(name).name.removeprefix(PREFIX)
    ids = {folder.name.removeprefix(PREFIX): folder for folder in folders}
    if wanted in ids:
        return ids[wanted]
    found = [run_id for run_id in ids if wanted and (run_id.startswith(wanted) or run_id.endswith(wanted))]
    if len(found) == 1:
        return ids[found[0]]
    if found:
        raise StageError(f"More than one run is named {name!r}: {', '.join(found)}. Give the whole id.")
    known = ", ".join(list(ids)[-10:]) or "none; compute one with: latentbench run"
    raise StageError(f"No run {name!r} under {outputs / REPORTS}. Published (newest last): {known}.")


def newest_report(outputs: Path) -> Path | None:
    """The folder of the newest published run, by its id; None if there is none."""
    folders = sorted(path for path in (outputs / REPORTS).glob(f"{PREFIX}*") if path.is_dir())
    return folders[-1] if folders else None


def run_folder(outputs: Path, run_id: str) -> Path:
    """Where a run of that id is published."""
    return outputs / REPORTS / f"{PREFIX}{run_id}"


def read_report_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a published run. Raises CorruptShardError if it cannot be read."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if f"{PREFIX}{manifest['run_id']}" == folder.name and isinstance(manifest["files"], dict):
            return dict(manifest)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptShardError(_damaged(folder / MANIFEST, f"cannot be read ({error})")) from error
    raise CorruptShardError(_damaged(folder / MANIFEST, "is that of another run"))


def check_report(folder: Path) -> None:
    """Check every file of a published run against its manifest. Raises CorruptShardError naming the first that differs.

    A file's sha256 is computed once per process, and again when its size or time of change differ.
    """
    for name, record in read_report_manifest(folder)["files"].items():
        path = folder / name
        if not path.is_file():
            raise CorruptShardError(_damaged(path, "is missing"))
        status = path.stat()
        if status.st_size != record["bytes"]:
            raise CorruptShardError(_damaged(path, f"has {status.st_size} bytes, expected {record['bytes']}"))
        if _sha256(path, status.st_size, status.st_mtime_ns) != record["sha256"]:
            raise CorruptShardError(_damaged(path, "has another sha256 than its manifest says"))


@lru_cache(maxsize=4096)
def _sha256(path: Path, size: int, changed: int) -> str:
    return file_sha256(path)


def _damaged(path: Path, fault: str) -> str:
    return (
        f"{path} {fault}. Published runs are never rewritten: restore the file from a copy, or move its folder out of "
        f"`{REPORTS}` and run again, which publishes the run anew from its stages."
    )
