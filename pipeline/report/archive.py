"""The published runs: where they lie, how one is named, found and checked.

    outputs/reports/run_id=20261120T031500Z-1a2b3c4d/{scores,ranges,edits,matched,...,runs}.parquet
    (and report.html, manifest.json)
    outputs/latest -> reports/run_id=...

Analysts read `outputs/reports/*/scores.parquet` with whatever they like. A run id is a time and the first digits of the
report's fingerprint; it looks like neither a date nor a number, since readers guess types of such names differently.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.errors import CorruptShardError, StageError, UnknownNameError
from pipeline.settings.paths import is_bare_name
from pipeline.storage.files import file_sha256, read_json, unreadable
from pipeline.storage.stages import MANIFEST

log = logging.getLogger("latentbench")

REPORTS = "reports"
ABLATIONS = "ablations"
PUBLISHING = ".publishing"
LATEST = "latest"
PAGE = "report.html"
PREFIX = "run_id="
STAMP = "%Y%m%dT%H%M%SZ"  # of a run's date, UTC, at the beginning of its id
RUN_ID = re.compile(rf"{PREFIX}\d{{8}}T\d{{6}}Z-")
AHEAD = timedelta(hours=14)  # of Greenwich, where a night begins first


@dataclass(frozen=True)
class PublishedRun:
    """A published run and its manifest."""

    folder: Path
    manifest: dict[str, Any] = field(repr=False)

    @property
    def run_id(self) -> str:
        """Time and digest of the run."""
        return str(self.manifest["run_id"])


def published_runs(outputs: Path) -> list[PublishedRun]:
    """Every published run, oldest first; a folder whose manifest is damaged or cannot be read is named in a warning."""
    found = []
    for folder in sorted((outputs / REPORTS).glob(f"{PREFIX}*")):
        try:
            found.append(PublishedRun(folder, read_report_manifest(folder)))
        except StageError as error:
            log.warning("%s", error)
    return found


def latest_report(outputs: Path) -> Path:
    """The folder of the newest published run, as `newest_report`; runs that are passed over are named in a warning.

    Raises StageError if there is none.
    """
    newest = newest_report(outputs)
    if newest is None:
        raise StageError(f"No run is published under {_place(outputs)}. Compute one: latentbench run")
    later = [folder.name for folder in _dated(outputs) if folder.name > newest.name]
    if later:
        log.warning("%s is not taken for the newest run: its date is yet to come.", ", ".join(later))
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
    raise StageError(f"No run {name!r} under {_place(outputs)}. Published (newest last): {known}.")


def find_run_of(outputs: Path, domain: str) -> Path:
    """The folder of the newest published run of a domain. Raises UnknownNameError if there is none."""
    folders = {str(run.manifest.get("domain")): run.folder for run in published_runs(outputs)}
    if domain not in folders:
        raise UnknownNameError("domain with a published run", domain, folders)
    return folders[domain]


def _place(outputs: Path) -> str:
    """Where runs were looked for, as a path that means the same in every folder, and what may be wrong with it."""
    hint = ""
    if outputs.name == REPORTS and any(outputs.glob(f"{PREFIX}*")):
        hint = f" (the outputs folder is the one above: --outputs {outputs.parent})"
    return f"{(outputs / REPORTS).absolute()}{hint}"


def newest_report(outputs: Path, now: datetime | None = None) -> Path | None:
    """The folder of the newest published run, by the date in its id; None if there is none.

    A run whose date is yet to come (a night that was mistyped, a clock that was wrong) counts only where no other is.
    Nights begin half a day earlier than in Greenwich, so the date of a run may be AHEAD of `now`.
    """
    folders = _dated(outputs)
    limit = f"{PREFIX}{(now or datetime.now(UTC)) + AHEAD:{STAMP}}~"
    come = [folder for folder in folders if folder.name < limit]
    newest = come or folders
    return newest[-1] if newest else None


def _dated(outputs: Path) -> list[Path]:
    """The folders whose names are run ids, by date."""
    return sorted(path for path in (outputs / REPORTS).glob(f"{PREFIX}*") if RUN_ID.match(path.name) and path.is_dir())


def run_folder(outputs: Path, run_id: str) -> Path:
    """Where a run of that id is published."""
    return outputs / REPORTS / f"{PREFIX}{run_id}"


def read_report_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a published run, with the fields that are read here, each of its kind.

    Raises CorruptShardError if it is damaged, StageError if it cannot be read.
    """
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
        faults = _faults(manifest)
    except FileNotFoundError as error:
        raise CorruptShardError(_damaged(path, "is missing")) from error
    except ValueError as error:
        raise CorruptShardError(_damaged(path, f"is no manifest ({error})")) from error
    if faults:
        raise CorruptShardError(_damaged(path, f"is no manifest: {faults}"))
    if f"{PREFIX}{manifest['run_id']}" != folder.name:
        raise CorruptShardError(_damaged(path, "belongs to another run"))
    return dict(manifest)


def _faults(manifest: Any) -> str:
    """What is wrong with the fields of a manifest that are read; empty if nothing is."""
    if not isinstance(manifest, dict):
        return "it is no object"
    if not isinstance(manifest.get("run_id"), str) or not isinstance(manifest.get("files"), dict):
        return "it does not say which run it is of, with which files"
    for name, record in manifest["files"].items():
        if not is_bare_name(name):
            return f"{name!r} is no name of a file in its folder"
        if not isinstance(record, dict) or not {"bytes", "sha256"} <= set(record):
            return f"it does not say what {name} is"
    lines = manifest.get("stages", [])
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        return "its stages are no list of objects"
    return ""


def check_report(folder: Path, only: Collection[str] | None = None) -> None:
    """Check every file of a published run, or some `only`, against its manifest.

    A file's sha256 is computed once per process, and again when its size or time of change differ. Raises
    CorruptShardError naming the first that differs, StageError for a file that cannot be read.
    """
    for name, record in read_report_manifest(folder)["files"].items():
        if only is not None and name not in only:
            continue
        path = folder / name
        try:
            if not path.is_file():
                raise CorruptShardError(_damaged(path, "is missing"))
            status = path.stat()
            if status.st_size != record["bytes"]:
                raise CorruptShardError(_damaged(path, f"has {status.st_size} bytes, expected {record['bytes']}"))
            if _sha256(path, status.st_size, status.st_mtime_ns) != record["sha256"]:
                raise CorruptShardError(_damaged(path, "has another sha256 than its manifest says"))
        except OSError as error:
            raise unreadable(path, error) from error


@lru_cache(maxsize=4096)
def _sha256(path: Path, size: int, changed: int) -> str:
    return file_sha256(path)


def _damaged(path: Path, fault: str) -> str:
    return (
        f"{path} {fault}. Published runs are never rewritten: restore the file from a copy, or move its folder out of "
        f"`{REPORTS}` and run again, which publishes the run again from its stages."
    )
