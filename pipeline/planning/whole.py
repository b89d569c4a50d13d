"""The size of a whole run: the sum over its stages and its report, and what this machine has."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from pipeline.chain.grid import gallery
from pipeline.chain.links import Chain
from pipeline.planning.sizes import Size, size_of
from pipeline.planning.table_bytes import GIB, KIB, MIB, table_bytes
from pipeline.settings.settings import Settings
from pipeline.tables import schemas

THUMBNAIL_BYTES, PAGE_BYTES = 3 * KIB, 4 * MIB  # a picture on the page (96 px at most, base64); the rest of the page
SCHEDULING_BYTES = 300 * MIB  # the process that runs the chain; it never loads torch
NOTHING = Size(0, 0, 0, 0)


def report_size(settings: Settings) -> Size:
    """The size of the published tables and page, and of the process that collects the tables of all methods."""
    experiment, methods = settings.experiment, len(settings.method_names)
    rows = {
        "edits": (schemas.EDITS, experiment.edits_per_method),
        "matched": (schemas.MATCHED, experiment.matched_per_method),
        "rates": (schemas.RATES, experiment.rated_per_method),
        "consistency": (schemas.CONSISTENCY, experiment.n_consistency_faces),
    }
    tables = sum(table_bytes(schema, methods * count, 1) for schema, count in rows.values())
    matrix = 2 * len(experiment.matched_levels) * len(experiment.attributes) * len(schemas.VALUE_COLUMNS)
    tables += table_bytes(schemas.RESCORING, methods * matrix, 1)
    tables += table_bytes(schemas.SCORES, methods * 400, 1)
    pairs = methods * (methods - 1) // 2
    tables += table_bytes(schemas.DIFFERENCES, 30 * (len(experiment.attributes) + 1) * pairs, 1)
    pictures = min(gallery.FACES, experiment.n_faces) * min(gallery.STEPS, experiment.n_steps)
    pictures *= len(experiment.attributes)
    page = PAGE_BYTES + methods * pictures * THUMBNAIL_BYTES
    in_memory = sum(methods * count * len(schema) * 8 for schema, count in rows.values())
    return Size(tables + page, 0, SCHEDULING_BYTES + 3 * in_memory + 4 * page, 0)


@dataclass(frozen=True)
class Whole:
    """Disk and memory of a run and of this machine, in bytes. Stages of unknown size count as 0.

    - bytes_written: kept by all stages and the report; bytes_to_write: by what is still to compute.
    - disk_needed: bytes_to_write and the largest temporary file; disk_free: on the disk of the outputs folder.
    - peak_bytes: memory of all workers and the scheduling process together; memory: of the machine.
    - worker_bytes, device_bytes: of one worker, in memory and on its device.
    - gathering_bytes: of the scheduling process while it publishes.
    """

    bytes_written: int
    bytes_to_write: int
    disk_needed: int
    disk_free: int
    peak_bytes: int
    worker_bytes: int
    workers: int
    gathering_bytes: int
    device_bytes: int
    memory: int

    def as_json(self) -> dict[str, int]:
        """The figures by name, JSON-compatible."""
        return asdict(self)


def whole(chain: Chain, missing: Sequence[bool]) -> Whole:
    """The sum over a chain; missing[i] says whether link i is still to compute."""
    settings, machine = chain.settings, chain.settings.machine
    sizes = [size_of(settings, chain.card, link.stage.name, link.units, link.method) or NOTHING for link in chain.links]
    report = report_size(settings)
    todo = [size for size, is_missing in zip(sizes, missing, strict=True) if is_missing]
    to_write = sum(size.bytes_written for size in todo) + (report.bytes_written if todo else 0)
    on_gpu = machine.device.startswith("cuda")
    workers = 1 if machine.executor == "inline" else len(machine.devices) or (1 if on_gpu else machine.workers)
    trained = {index for index, link in enumerate(chain.links) if link.stage.name == "train"}
    host = [size.peak_bytes - (size.device_bytes if on_gpu else 0) for size in sizes]
    together = max(peak * (1 if index in trained else workers) for index, peak in enumerate(host))
    return Whole(
        bytes_written=sum(size.bytes_written for size in sizes) + report.bytes_written,
        bytes_to_write=to_write,
        disk_needed=to_write + max((size.bytes_temporary for size in todo), default=0),
        disk_free=free_disk(settings.outputs),
        peak_bytes=max(together + SCHEDULING_BYTES, report.peak_bytes),
        worker_bytes=max(host),
        workers=workers,
        gathering_bytes=report.peak_bytes,
        device_bytes=max(size.device_bytes for size in sizes) if on_gpu else 0,
        memory=psutil.virtual_memory().total,
    )


def free_disk(outputs: Path) -> int:
    """Free bytes on the disk where the outputs folder is, or will be."""
    folder = outputs.absolute()
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.is_dir())).free


def in_mib(count: float) -> str:
    """Bytes for people: 3.4 GiB, 120 MiB, 5 KiB."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}" if count < 100 * unit else f"{count / unit:,.0f} {name}"
    return f"{math.ceil(count / KIB):,} KiB"
