"""Computation of shards on Dask workers or in this process: scheduling, threads, faults and progress.

A shard function is a module-level `function(work, shard, progress)` that writes its own files (`stages.write_shard`)
and returns their records. `work` is one small object with everything that a worker needs to know of a stage; this
package reads only its settings and its stage. Nothing large is sent. The process that calls `run_shards` needs no torch
unless the executor is inline.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pipeline.execution.cluster import close, workers_for
from pipeline.execution.dispatch import run_on_dask
from pipeline.execution.jobs import Call, Fault, Job, Progress, ShardFunction, compute_shard, shard_name
from pipeline.execution.processes import use_threads
from pipeline.execution.throughput import store_seconds
from pipeline.progress import Display
from pipeline.settings.settings import Settings
from pipeline.storage.stages import Manifest, ShardRecord, Stage, building, is_complete, read_manifest

__all__ = ["Progress", "close", "run_shards", "run_stage", "shard_name", "use_threads"]


class StageWork(Protocol):
    """The parts of a stage's work that are read here; its outputs folder is absolute, for workers in other folders."""

    @property
    def settings(self) -> Settings:
        """The run's settings."""

    @property
    def stage(self) -> Stage:
        """The stage to compute."""

    def lacking(self) -> str:
        """What this process lacks to compute the stage, such as weights, as text; empty if nothing.

        Each worker of a joined cluster is asked before its first shard.
        """


def run_shards(
    function: ShardFunction,
    calls: Sequence[Call],
    *,
    settings: Settings,
    label: str,
    units: Sequence[float] | None = None,
    unit: str = "images",
    threads: int | None = None,
    keep: Callable[[Any], None] | None = None,
    before: float = 0.0,
    unlike: bool = False,
    timed: bool = True,
    measure: bool = True,
) -> list[Any]:
    """Compute `function(work, shard, progress)` for every (work, shard) and return the results in the same order.

    `units` are the shards' numbers of `unit`, for the rate and the time left (one each by default); `before` units are
    already done. With `unlike` the units are work of unlike shards, such as trainings, which are counted in `unit`
    themselves; without `timed` the work tells no time. `threads` is torch's number of threads in each task
    (machine.threads by default). `keep(result)` is called in this process when a result arrives. The measured seconds
    per unit are stored in outputs/rates.json under "DOMAIN/label", unless `measure` is false.

    Raises the LatentbenchError that a shard raised; StageError, with the shard's name, for any other exception and for
    a shard that kills its workers; ConfigError or ClusterError without usable workers. Finished shards are kept.
    """
    if not calls:
        return []
    weights = [1.0] * len(calls) if units is None else [float(weight) for weight in units]
    if len(weights) != len(calls):
        raise ValueError(f"{len(weights)} units for {len(calls)} shards")
    job = Job(function, list(calls), settings, label, weights, threads or settings.machine.threads, keep)
    workers = None if settings.machine.executor == "inline" else workers_for(settings.machine)
    parts = len(calls) if unlike else None
    title = f"{settings.domain} {label}"
    with Display(title, before + sum(weights), unit, before=before, parts=parts, timed=timed) as display:
        job.display, job.before = display, before
        if workers is None:
            _run_inline(job)
        else:
            run_on_dask(job, workers)
    per_unit = [spent / weight for spent, weight in zip(job.seconds, job.units, strict=True) if weight > 0]
    count = 1 if workers is None else workers.count()
    if measure and per_unit and count is not None:
        parallel = max(1, min(len(calls), count))
        store_seconds(settings, label, unit, sum(job.units), statistics.median(per_unit) / parallel)
    return job.results


def run_stage(
    work: StageWork,
    function: ShardFunction,
    shards: Sequence[Any],
    *,
    units: Sequence[float] | None = None,
    unit: str = "images",
    threads: int | None = None,
    files: Callable[[Any], Sequence[str]] | None = None,
    extra: Callable[[list[ShardRecord]], dict[str, Any]] | None = None,
) -> Manifest:
    """Compute and publish a stage. A complete stage is returned, and shards of an earlier attempt are kept.

    The function returns the ShardRecord of a shard, or one record for each of `files(shard)`, the names of the files
    that the shard writes (its `name` by default). `extra(records)` is added to the manifest. Raises BusyError and the
    errors of `run_shards`.
    """
    stage, settings = work.stage, work.settings
    if is_complete(stage, settings.outputs):
        return read_manifest(stage, settings.outputs)
    names = files or (lambda shard: (shard.name,))
    weights = [1.0] * len(shards) if units is None else list(units)
    with building(stage, settings) as builder:
        published = builder.published()
        if published is not None:
            return published
        records = {name: builder.finished(name) for shard in shards for name in names(shard)}
        todo = [index for index, shard in enumerate(shards) if not all(records[name] for name in names(shard))]
        results = run_shards(
            function,
            [(work, shards[index]) for index in todo],
            settings=settings,
            label=stage.title,
            units=[weights[index] for index in todo],
            unit=unit,
            threads=threads,
            before=sum(weights) - sum(weights[index] for index in todo),
        )
        for result in results:
            for record in [result] if isinstance(result, ShardRecord) else result:
                records[record.name] = record
        ordered = [record for record in records.values() if record is not None]
        return builder.publish(ordered, extra(ordered) if extra else {})


# Running


def _run_inline(job: Job) -> None:
    """Compute the shards in this process, one after the other."""
    for index, call in enumerate(job.calls):

        def progress(done: int, total: int, message: str, index: int = index) -> None:
            job.heard(index, done, total, message)
            job.show()

        try:
            outcome = compute_shard(job.function, call, job.threads, progress)
        except Exception as error:
            raise job.poisoned(index, Fault.of(error)) from error
        job.take(index, outcome)
