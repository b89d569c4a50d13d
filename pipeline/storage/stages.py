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

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import BusyError, StageError
from pipeline.settings.names import in_path
from pipeline.storage import elsewhere
from pipeline.storage.damage import check_shard, fault, faults, quarantine, remember, set_aside
from pipeline.storage.files import leftovers, write_json, write_whole
from pipeline.storage.fingerprint import digest
from pipeline.storage.locks import LOCK, held
from pipeline.storage.manifests import MANIFEST, Manifest, ShardRecord, load_manifest, load_record
from pipeline.storage.provenance import code_commit, code_digest, machine_facts, package_versions

if TYPE_CHECKING:
    from pipeline.settings.settings import Settings

__all__ = [
    "CHECKPOINTS",
    "MANIFEST",
    "STAGES",
    "Builder",
    "IdRange",
    "Manifest",
    "ShardRecord",
    "Stage",
    "building",
    "check_shard",
    "cut_ids",
    "find_stages",
    "finished_shards",
    "is_complete",
    "read_manifest",
    "shards_of",
    "write_shard",
]

log = logging.getLogger("latentbench")

STAGES = "stages"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of a run, known by everything that can change its numbers.

    name: the noun of its result, such as "latents". version: raised when the code's results change. parameters:
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
class IdRange:
    """A shard that is a run of consecutive ids, first to stop - 1; `name` is its file."""

    name: str
    first: int
    stop: int

    @property
    def count(self) -> int:
        """How many ids it holds."""
        return self.stop - self.first

    @property
    def units(self) -> float:
        """How much work it is: an image, or a latent, of each id."""
        return float(self.count)

    @property
    def limits(self) -> dict[str, int]:
        """What its record says of it, so that a reader knows which file holds an id."""
        return {"first": self.first, "stop": self.stop}


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
    """The manifest of a published stage. Raises StageError if it is missing or belongs to another stage."""
    folder = stage.folder(outputs)
    away = elsewhere.current()
    if away is not None:
        away.fetch_manifest(folder / MANIFEST)
    manifest = load_manifest(folder)
    if manifest is None:
        raise StageError(f"Stage {stage.title} is not computed: expected {folder / MANIFEST}. Run it first.")
    if manifest.fingerprint != stage.fingerprint:
        raise StageError(
            f"{folder / MANIFEST} has the fingerprint {manifest.fingerprint}, expected {stage.fingerprint}. "
            f"Remove the folder, or: latentbench invalidate --from {stage.name}"
        )
    return manifest


def is_complete(stage: Stage, outputs: Path) -> bool:
    """Whether the stage is published and every file has the size and sha256 of its record.

    A file that has not is named in a warning and moved to NAME.corrupt, and the manifest is dropped, so that
    the next build computes that one again and keeps the rest. Raises StageError, naming it, for a file that cannot be
    read: it may be sound.
    """
    folder = stage.folder(outputs)
    manifest = load_manifest(folder)
    if manifest is None or manifest.fingerprint != stage.fingerprint:
        return False
    damaged = faults(folder, manifest)
    if not damaged:
        return True
    try:
        with held(folder, stage.title, wait=0.0):
            quarantine(folder, stage.fingerprint)  # looks again: another process may have mended it meanwhile
    except BusyError:
        pass
    except (OSError, StageError) as error:  # somebody else's folder: a warning here, an error where it is written
        name, reason = next(iter(damaged.items()))
        log.warning("%s: %s. It could not be set aside: %s", folder / name, reason, error)
    return False


def shards_of(stage: Stage, outputs: Path) -> list[tuple[Path, ShardRecord]]:
    """Path and record of every file of a published stage, in order. `check_shard` checks one.

    Raises StageError if the stage is not published.
    """
    folder = stage.folder(outputs)
    return [(folder / record.name, record) for record in read_manifest(stage, outputs).shards]


def finished_shards(stage: Stage, outputs: Path) -> int:
    """How many files of a stage have their record, published or not. Nothing is hashed."""
    folder = stage.folder(outputs)
    return sum(1 for path in folder.glob("*.json") if (folder / path.stem).exists() and path.name != MANIFEST)


def find_stages(outputs: Path) -> list[Manifest]:
    """The manifest of every stage that lies published under `outputs`, by name and folder.

    One that is damaged or cannot be read is named in a warning.
    """
    manifests = []
    for path in sorted((outputs / STAGES).glob(f"*/*/{MANIFEST}")):
        try:
            manifest = load_manifest(path.parent)
        except StageError as error:
            log.warning("%s", error)
            continue
        if manifest is not None:
            manifests.append(manifest)
    return manifests


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
        record = load_record(self.folder, name)
        if record is None:
            return None
        reason = fault(self.folder, record)
        if reason:
            set_aside(self.folder, name, reason)
            return None
        return record

    def publish(self, records: Sequence[ShardRecord], extra: dict[str, Any] | None = None) -> Manifest:
        """Write the manifest, after which the stage exists. Files that no record names are removed first.

        Raises StageError if a recorded file is missing (removed, or on a disk that does not answer).
        """
        for record in records:
            path = self.folder / record.name
            if not path.is_file() or path.stat().st_size != record.bytes:
                raise StageError(
                    f"{self.stage.title}: {path} was reported finished ({record.bytes} bytes) but is not here. "
                    "Was it removed meanwhile? Nothing was published."
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
            code=code_digest(),
        )
        write_json(self.folder, MANIFEST, manifest.as_json())
        return manifest

    def _sweep(self, keep: set[str]) -> None:
        """Remove checkpoints and the shards of other cuts; files set aside as corrupt stay for inspection."""
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
        quarantine(folder, stage.fingerprint)
        for path in leftovers(folder):
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
    """Write one file of a stage and its record atomically.

    `write(path)` writes to a temporary path in the same folder and returns the rows. `seconds` is the
    cost of the shard, if computing it took longer than writing. Raises StageError on a full disk, with nothing
    of the file left.
    """
    started = time.perf_counter()
    rows = 0

    def counted(path: Path) -> None:
        nonlocal rows
        rows = write(path)

    path, sha256, size = write_whole(folder, name, counted)
    spent = seconds if seconds is not None else time.perf_counter() - started
    record = ShardRecord(name, rows, sha256, size, round(spent, 3), extra or {}, code_digest())
    remember(path, sha256)
    write_json(folder, f"{name}.json", asdict(record))
    away = elsewhere.current()
    if away is not None:
        away.wrote(path, record)
    return record
