"""Stages: content-addressed folders that are published by one manifest, written last.

A stage's folder is named by the digest of everything that can change its numbers. Its files (shards) are
written one by one, each by an atomic rename, each with a small record beside it; a shard that has its record is
never computed again. What has no manifest does not exist for anyone downstream. One process at a time
builds a stage: it holds a lock that the kernel drops when the process dies, however it dies.

    stage = Stage("latents", 1, {"seed": 1, "count": 512}, {"generator": sha}, label="train")
    with building(stage, settings) as builder:
        records = [builder.finished(name) or write_shard(builder.folder, name, write) for name in names]
        builder.publish(records)
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.config import Settings, digest
from pipeline.errors import BusyError, CorruptShardError, StageError
from pipeline.files import file_sha256, write_json, write_whole
from pipeline.locks import LOCK, held
from pipeline.names import in_path
from pipeline.provenance import code_commit, machine_facts, package_versions

log = logging.getLogger("latentbench")

STAGES = "stages"
MANIFEST = "manifest.json"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of a run, known by what can change its numbers.

    name: what is computed, such as "latents". version: raised when the code's results change. parameters:
    JSON-compatible. weights: role -> sha256. upstream: the stages that it reads. label: a readable prefix of
    the folder that changes no fingerprint.
    """

    name: str
    version: int
    parameters: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    upstream: tuple[Stage, ...] = ()
    label: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over name, version, parameters, weights and the fingerprints upstream."""
        return digest(
            {
                "name": self.name,
                "version": self.version,
                "parameters": self.parameters,
                "weights": self.weights,
                "upstream": [stage.fingerprint for stage in self.upstream],
            }
        )

    @property
    def title(self) -> str:
        """Name and label, as progress and errors say it: "latents train"."""
        return f"{self.name} {self.label}".strip()

    def folder(self, outputs: Path) -> Path:
        """Where the stage's files lie: outputs/stages/NAME/LABEL-FINGERPRINT, the label as `names.in_path` has it."""
        prefix = f"{in_path(self.label)}-" if self.label else ""
        return outputs / STAGES / self.name / f"{prefix}{self.fingerprint[:16]}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stage) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)


@dataclass(frozen=True)
class ShardRecord:
    """One finished file of a stage: its name in the stage's folder, what it holds and what it cost."""

    name: str
    rows: int
    sha256: str
    bytes: int
    seconds: float
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class IdRange:
    """A shard that is a run of consecutive ids, first to stop - 1; `name` is its file."""

    name: str
    first: int
    stop: int

    @property
    def count(self) -> int:
        """How many ids it holds."""
        return self.stop - self.first


@dataclass(frozen=True)
class Manifest:
    """What a published stage is: the only thing that makes it exist. `started` is UTC, ISO 8601.

    `wall_seconds` is that of the process that published; the seconds of each shard stand in its record.
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

    def as_json(self) -> dict[str, Any]:
        """The manifest as it lies on disk."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Manifest:
        """The manifest that `as_json` gave. Raises KeyError or TypeError if it is another thing."""
        shards = tuple(ShardRecord(**record) for record in value["shards"])
        return cls(**{**value, "shards": shards})


def cut_ids(table: str, first: int, count: int, size: int) -> list[IdRange]:
    """Shards of `size` ids (the last may be shorter) over first .. first + count - 1.

    Files are named TABLE-FIRST-STOP.parquet with twelve digits, so that names sort as ids do and a run with
    another shard size never takes a file for a different range.
    """
    stop = first + count
    cuts = [(start, min(start + size, stop)) for start in range(first, stop, size)]
    return [IdRange(f"{table}-{start:012d}-{end:012d}.parquet", start, end) for start, end in cuts]


# Reading what is published


def read_manifest(stage: Stage, outputs: Path) -> Manifest:
    """The manifest of a published stage. Raises StageError if there is none, or if it is another stage's."""
    folder = stage.folder(outputs)
    manifest = _load_manifest(folder)
    if manifest is None:
        raise StageError(f"Stage {stage.title} is not computed: expected {folder / MANIFEST}. Run it first.")
    if manifest.fingerprint != stage.fingerprint:
        raise StageError(
            f"{folder / MANIFEST} is that of fingerprint {manifest.fingerprint}, expected {stage.fingerprint}. "
            f"Remove the folder, or: latentbench invalidate --from {stage.name}"
        )
    return manifest


def is_complete(stage: Stage, outputs: Path) -> bool:
    """Whether the stage is published and every file has the size and sha256 of its record.

    A file that has not is named in a warning and moved to NAME.corrupt, and the manifest is dropped, so that
    the next build computes that one again and keeps the rest.
    """
    folder = stage.folder(outputs)
    manifest = _load_manifest(folder)
    if manifest is None or manifest.fingerprint != stage.fingerprint:
        return False
    if not any(_fault(folder, record) for record in manifest.shards):
        return True
    with suppress(BusyError), held(folder, stage.title, wait=0.0):
        _quarantine(folder, stage.fingerprint)  # looks again: another process may have mended it meanwhile
    return False


def shards_of(stage: Stage, outputs: Path) -> list[tuple[Path, ShardRecord]]:
    """Path and record of every file of a published stage, in order. `check_shard` checks one.

    Raises StageError if the stage is not published.
    """
    folder = stage.folder(outputs)
    return [(folder / record.name, record) for record in read_manifest(stage, outputs).shards]


def check_shard(path: Path, record: ShardRecord) -> None:
    """Raise CorruptShardError, naming the file, if it has not the size and sha256 of its record.

    A file's sha256 is computed once per process, and again when its size or time of change differ.
    """
    fault = _fault(path.parent, record)
    if fault:
        raise CorruptShardError(f"{path}: {fault}. Run again: this file alone will be computed anew.")


def finished_shards(stage: Stage, outputs: Path) -> int:
    """How many files of a stage have their record, published or not. Nothing is hashed."""
    folder = stage.folder(outputs)
    return sum(1 for path in folder.glob("*.json") if (folder / path.stem).exists() and path.name != MANIFEST)


def find_stages(outputs: Path) -> list[Manifest]:
    """The manifest of every stage that lies published under `outputs`, by name and folder."""
    paths = sorted((outputs / STAGES).glob(f"*/*/{MANIFEST}"))
    found = [_load_manifest(path.parent) for path in paths]
    return [manifest for manifest in found if manifest is not None]


def invalidate(stages: Iterable[Stage], outputs: Path) -> list[Path]:
    """Remove the stages' folders; the manifest goes first. Returns those that were there.

    Raises BusyError if a process is building one of them.
    """
    removed = []
    for stage in stages:
        folder = stage.folder(outputs)
        if not folder.is_dir():
            continue
        with held(folder, stage.title, wait=0.0):
            (folder / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(folder)
        removed.append(folder)
    return removed


# Building


class Builder:
    """The right to write one stage; `building` gives it."""

    def __init__(self, stage: Stage, settings: Settings) -> None:
        self.stage = stage
        self.settings = settings
        self.folder = stage.folder(settings.outputs)
        self.started = datetime.now(UTC)
        self._clock = time.perf_counter()

    def published(self) -> Manifest | None:
        """The manifest, if another process published the stage while we waited for the lock; else None."""
        return read_manifest(self.stage, self.settings.outputs) if (self.folder / MANIFEST).exists() else None

    def finished(self, name: str) -> ShardRecord | None:
        """The record of a file that an earlier attempt finished, checked by size and sha256, or None.

        A file that does not match its record is named in a warning and moved to NAME.corrupt.
        """
        record = _load_record(self.folder, name)
        if record is None:
            return None
        fault = _fault(self.folder, record)
        if fault:
            _set_aside(self.folder, name, fault)
            return None
        return record

    def publish(self, records: Sequence[ShardRecord], extra: dict[str, Any] | None = None) -> Manifest:
        """Write the manifest, after which the stage exists. Files that no record names are removed first.

        Raises StageError if a recorded file is not there (a worker that writes to another file system).
        """
        for record in records:
            path = self.folder / record.name
            if not path.is_file() or path.stat().st_size != record.bytes:
                raise StageError(
                    f"{self.stage.title}: {path} was reported finished ({record.bytes} bytes) but is not here. "
                    "Do all workers see the same `outputs` folder? Nothing was published."
                )
        self._sweep({record.name for record in records})
        manifest = Manifest(
            stage=self.stage.name,
            label=self.stage.label,
            version=self.stage.version,
            fingerprint=self.stage.fingerprint,
            parameters=self.stage.parameters,
            weights=self.stage.weights,
            upstream={stage.title: stage.fingerprint for stage in self.stage.upstream},
            shards=tuple(records),
            rows=sum(record.rows for record in records),
            packages=package_versions(),
            commit=code_commit(),
            machine=machine_facts(self.settings.machine),
            started=self.started.isoformat(timespec="seconds"),
            wall_seconds=round(time.perf_counter() - self._clock, 3),
            extra=extra or {},
        )
        write_json(self.folder, MANIFEST, manifest.as_json())
        return manifest

    def _sweep(self, keep: set[str]) -> None:
        """Remove checkpoints and the shards of other cuts; what was set aside as corrupt stays to be looked at."""
        kept = keep | {f"{name}.json" for name in keep} | {LOCK, MANIFEST}
        for path in self.folder.iterdir():
            if path.name in kept or path.suffix == ".corrupt":
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


@contextmanager
def building(stage: Stage, settings: Settings) -> Iterator[Builder]:
    """Hold the exclusive right to write a stage, in a folder made for it, free of half-written files.

    Raises BusyError, naming the process that holds it, when the lock is not free after machine.lock_wait
    seconds; StageError when the disk is full.
    """
    folder = stage.folder(settings.outputs)
    with held(folder, stage.title, wait=settings.machine.lock_wait):
        _quarantine(folder, stage.fingerprint)
        for path in folder.glob(".*.tmp-*"):
            path.unlink(missing_ok=True)
        yield Builder(stage, settings)


def write_shard(
    folder: Path,
    name: str,
    write: Callable[[Path], int],
    extra: dict[str, Any] | None = None,
    *,
    seconds: float | None = None,
) -> ShardRecord:
    """Write one file of a stage so that it is there whole, with its record, or not at all.

    `write(path)` writes to a temporary path in the same folder and returns the rows. `seconds` is what the
    shard cost, where computing it took longer than writing. Raises StageError on a full disk, with nothing
    of the file left.
    """
    started = time.perf_counter()
    rows = 0

    def counted(path: Path) -> None:
        nonlocal rows
        rows = write(path)

    path, sha256, size = write_whole(folder, name, counted)
    spent = seconds if seconds is not None else time.perf_counter() - started
    record = ShardRecord(name, rows, sha256, size, round(spent, 3), extra or {})
    _remember(path, sha256)
    write_json(folder, f"{name}.json", asdict(record))
    return record


# Checking files against records

_verified: dict[tuple[str, int, int, int], str] = {}


def _identity(path: Path) -> tuple[str, int, int, int]:
    status = path.stat()
    return str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ino


def _remember(path: Path, sha256: str) -> None:
    with suppress(OSError):
        _verified[_identity(path)] = sha256


def _fault(folder: Path, record: ShardRecord) -> str:
    """What is wrong with a recorded file; empty if nothing is."""
    path = folder / record.name
    try:
        key = _identity(path)
        if key[1] != record.bytes:
            return f"it has {key[1]} bytes, expected {record.bytes}"
        if key not in _verified:
            _verified[key] = file_sha256(path)
    except FileNotFoundError:
        return "the file is missing"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return "" if _verified[key] == record.sha256 else f"its sha256 is {_verified[key]}, expected {record.sha256}"


def _quarantine(folder: Path, fingerprint: str) -> None:
    """Set aside every file that differs from the manifest, then drop the manifest. Call with the lock held.

    A manifest that cannot be read, or is another stage's, is dropped alone: the files have their own records.
    """
    manifest = _load_manifest(folder)
    if manifest is None or manifest.fingerprint != fingerprint:
        (folder / MANIFEST).unlink(missing_ok=True)
        return
    faults = {record.name: fault for record in manifest.shards if (fault := _fault(folder, record))}
    if faults:
        (folder / MANIFEST).unlink(missing_ok=True)
    for name, fault in faults.items():
        _set_aside(folder, name, fault)


def _set_aside(folder: Path, name: str, fault: str) -> None:
    """Move a bad file to NAME.corrupt and forget its record."""
    log.warning("%s: %s. It is set aside as %s.corrupt and computed again.", folder / name, fault, name)
    (folder / f"{name}.json").unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        os.replace(folder / name, folder / f"{name}.corrupt")


def _load_manifest(folder: Path) -> Manifest | None:
    """The manifest in a folder, or None; one that cannot be read is named in a warning."""
    path = folder / MANIFEST
    try:
        return Manifest.from_json(json.loads(path.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        log.warning("%s is no manifest (%s): the stage counts as not computed.", path, error)
        return None


def _load_record(folder: Path, name: str) -> ShardRecord | None:
    """The record beside a file, or None where there is none that can be read."""
    try:
        return ShardRecord(**json.loads((folder / f"{name}.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
