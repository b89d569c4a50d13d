"""Ranges as a stage: of each method and attribute one row, several attributes calibrated in one pass."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack

from pipeline.attributes import index_of
from pipeline.chain.calibration.rule import calibrate
from pipeline.chain.inputs import load_method, read_faces
from pipeline.chain.work import Kind, Part, Recipe, Work
from pipeline.domains.base import DomainCard
from pipeline.execution.jobs import Progress
from pipeline.execution.shards import run_shards
from pipeline.settings.experiment import BATCH
from pipeline.settings.settings import Settings
from pipeline.storage.stages import Builder, Manifest, ShardRecord, building, is_complete, read_manifest
from pipeline.tables.schemas import RANGES

VERSION = 1
FILE = "ranges.parquet"


def recipe(settings: Settings, card: DomainCard, method: str, attribute: str) -> Recipe:
    """One method's range for one evaluated attribute. Raises UnknownNameError."""
    experiment = settings.experiment
    index_of(attribute)
    parameters = {
        "method": method,
        "attribute": attribute,
        "found_share": experiment.found_share,
        "detection_threshold": experiment.detection_threshold,
        "displacement_cap": experiment.displacement_cap,
        "bisections": experiment.bisections,
        "batch": BATCH,
    }
    reads = (("train", method), ("latents", "faces"), ("labels", "faces"))
    return Recipe(VERSION, parameters, ("generator", "detector"), reads)


def cut(settings: Settings, method: str, attribute: str) -> list[Part]:
    """One file."""
    return [Part(f"{method}, {attribute}", settings.experiment.n_faces, attribute)]


def run_ranges(works: Sequence[Work]) -> list[Manifest]:
    """Publish ranges of a trained method, in parallel over the attributes. Raises BusyError, and as `run_shards`."""
    with ExitStack() as held:
        todo: list[tuple[Work, Builder]] = []
        for work in works:
            if is_complete(work.stage, work.settings.outputs):
                continue
            builder = held.enter_context(building(work.stage, work.settings))
            record = builder.finished(FILE)
            if builder.published() is None and record is not None:
                builder.publish([record])
            elif record is None:
                todo.append((work, builder))
        _compute(todo)
    return [read_manifest(work.stage, work.settings.outputs) for work in works]


def _compute(todo: Sequence[tuple[Work, Builder]]) -> None:
    if not todo:
        return
    settings, method = todo[0][0].settings, todo[0][0].name
    calls = [(work, part) for work, _ in todo for part in cut(settings, *work.names)]
    records = run_shards(
        range_shard,
        calls,
        settings=settings,
        label=f"range {method}",
        units=[part.units for _, part in calls],
        unit="faces",
    )
    for (_, builder), record in zip(todo, records, strict=True):
        builder.publish([record])


def range_shard(work: Work, part: Part, progress: Progress) -> ShardRecord:
    """Calibrate and write one range; runs on a worker."""
    import torch

    started = time.perf_counter()
    domain, method = work.domain(), load_method(work)
    with torch.inference_mode():
        ids, faces = read_faces(work, domain)
        row = calibrate(domain, method, part.attribute, ids, faces, work.experiment, progress)
    return work.write(FILE, {name: [row[name]] for name in RANGES.names}, RANGES, started)


KIND = Kind(
    "range",
    recipe,
    cut,
    range_shard,
    "faces",
    methods=True,
    attributes=True,
    shown=True,
    tables=("ranges",),
    together=run_ranges,
)
