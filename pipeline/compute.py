"""Shards on Dask workers, or in this process: scheduling, threads, faults, progress.

A shard function is a module-level `function(settings, shard, progress)` that writes its own files
(`stages.write_shard`) and returns their records, which are small: nothing large ever travels. The process
that calls `run_shards` never needs torch unless the executor is inline.
"""

from __future__ import annotations

import logging
import os
import queue
import statistics
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline import cluster
from pipeline.cluster import Workers, close, workers_for
from pipeline.config import Settings
from pipeline.errors import LatentbenchError, StageError
from pipeline.machine_rates import store_rate
from pipeline.progress import Display
from pipeline.stages import Manifest, ShardRecord, Stage, building, is_complete, read_manifest

if TYPE_CHECKING:
    from distributed import Future

__all__ = ["Progress", "close", "run_shards", "run_stage", "shard_name", "use_threads"]

log = logging.getLogger("latentbench")

Progress = Callable[[int, int, str], None]
ShardFunction = Callable[[Settings, Any, Progress], Any]

TICK = 0.5  # seconds between two looks at the display
WORKERLESS_SECONDS = 180.0  # without any worker for so long, a run gives up
FORWARD_SECONDS = 0.5  # between two messages of inner progress from a worker


def run_shards(
    function: ShardFunction,
    shards: Sequence[Any],
    *,
    settings: Settings,
    label: str,
    units: Sequence[float] | None = None,
    unit: str = "images",
    threads: int | None = None,
    keep: Callable[[Any], None] | None = None,
    before: float = 0.0,
    measure: bool = True,
) -> list[Any]:
    """Compute every shard and return the results in the shards' order.

    `units` weighs the shards for rate and time left (one each by default) and `unit` names them; `before` units
    are already done. `threads` is torch's in each task (machine.threads by default). `keep(result)` is called
    in this process as each result arrives. The measured rate is stored in outputs/rates.json under "DOMAIN/label",
    unless `measure` is false. Raises what a shard raised if it is a LatentbenchError; StageError, naming the shard, for
    anything else and for a shard that kills its workers; ConfigError if there is no worker that could do it.
    Shards that are finished by then stay finished.
    """
    if not shards:
        return []
    weights = [1.0] * len(shards) if units is None else [float(weight) for weight in units]
    if len(weights) != len(shards):
        raise ValueError(f"{len(weights)} units for {len(shards)} shards")
    absolute = replace(settings, outputs=settings.outputs.absolute())
    job = _Job(function, list(shards), absolute, label, weights, threads or settings.machine.threads, keep)
    workers = None if settings.machine.executor == "inline" else workers_for(settings.machine)
    with Display(f"{settings.domain} {label}", before + sum(weights), unit, before=before) as display:
        job.display, job.before = display, before
        if workers is None:
            _run_inline(job)
        else:
            _run_on_dask(job, workers)
    per_unit = [spent / weight for spent, weight in zip(job.seconds, job.units, strict=True) if weight > 0]
    if measure and per_unit:
        parallel = 1 if workers is None else min(len(shards), workers.count())
        store_rate(absolute, label, unit, sum(job.units), statistics.median(per_unit) / parallel)
    return job.results


def run_stage(
    stage: Stage,
    settings: Settings,
    function: ShardFunction,
    shards: Sequence[Any],
    *,
    units: Sequence[float] | None = None,
    unit: str = "images",
    threads: int | None = None,
    files: Callable[[Any], Sequence[str]] | None = None,
    extra: Callable[[list[ShardRecord]], dict[str, Any]] | None = None,
) -> Manifest:
    """Publish a stage: what is complete is returned, what an earlier attempt finished is kept, the rest computed.

    The function returns the ShardRecord of a shard, or one for each of `files(shard)`, the names of the files
    that the shard writes (its `name` by default). `extra(records)` goes into the manifest. Raises BusyError and
    what `run_shards` raises.
    """
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
            [shards[index] for index in todo],
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


def use_threads(threads: int) -> None:
    """Let torch, OpenMP and MKL of this process use so many threads, whether torch is loaded yet or not."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def shard_name(shard: Any) -> str:
    """How errors call a shard: its `name`, or itself in words."""
    return str(getattr(shard, "name", shard))


# Running


@dataclass
class _Job:
    """One call of `run_shards`."""

    function: ShardFunction
    shards: list[Any]
    settings: Settings
    label: str
    units: list[float]
    threads: int
    keep: Callable[[Any], None] | None
    before: float = 0.0

    def __post_init__(self) -> None:
        self.results: list[Any] = [None] * len(self.shards)
        self.seconds = [0.0] * len(self.shards)
        self.finished: set[int] = set()
        self.inner: dict[int, tuple[float, str]] = {}  # share of a running shard, and its message
        self.display: Display | None = None

    def take(self, index: int, outcome: _Outcome) -> None:
        """Book one shard's outcome; raises what it raised."""
        if outcome.error is not None:
            raise outcome.error
        self.results[index], self.seconds[index] = outcome.result, outcome.seconds
        self.finished.add(index)
        self.inner.pop(index, None)
        if self.keep is not None:
            self.keep(outcome.result)
        self.show()

    def heard(self, index: int, done: float, total: float, message: str) -> None:
        """Book what a running shard tells of itself."""
        if index not in self.finished:
            self.inner[index] = (min(1.0, done / total) if total else 0.0, message)

    def show(self) -> None:
        """Bring the display up to date."""
        inner = dict(self.inner)
        done = sum(self.units[index] for index in self.finished)
        done += sum(share * self.units[index] for index, (share, _) in inner.items() if index not in self.finished)
        notes = [message for _, message in inner.values() if message]
        if self.display is not None:
            self.display.update(self.before + done, notes[-1] if notes else "")

    def poisoned(self, index: int, error: BaseException) -> StageError:
        """The error of a shard that failed in a way that nobody foresaw."""
        name = shard_name(self.shards[index])
        where = traceback.extract_tb(error.__traceback__)[-1:]
        place = f" (in {where[0].filename}, line {where[0].lineno})" if where else ""
        return StageError(
            f"{self.label}: shard {name} failed: {type(error).__name__}: {error}{place}. Finished shards are kept; "
            "run again to go on with the others, or with --executor inline to debug this one."
        )


@dataclass(frozen=True)
class _Outcome:
    """What a task sends back: a result, or an error that a second try would not mend."""

    result: Any
    seconds: float
    error: LatentbenchError | None = None


def _compute(function: ShardFunction, settings: Settings, shard: Any, threads: int, progress: Progress) -> _Outcome:
    """One shard, with its threads set and its time taken."""
    use_threads(threads)
    started = time.perf_counter()
    try:
        result = function(settings, shard, progress)
    except LatentbenchError as error:
        return _Outcome(None, 0.0, error)
    return _Outcome(result, time.perf_counter() - started)


def _run_inline(job: _Job) -> None:
    """Every shard in this process, one after the other."""
    for index, shard in enumerate(job.shards):

        def progress(done: int, total: int, message: str, index: int = index) -> None:
            job.heard(index, done, total, message)
            job.show()

        try:
            outcome = _compute(job.function, job.settings, shard, job.threads, progress)
        except Exception as error:
            raise job.poisoned(index, error) from error
        job.take(index, outcome)


def _run_on_dask(job: _Job, workers: Workers) -> None:
    """Every shard on a cluster. On any error and on Ctrl-C what has not finished is cancelled."""
    client = workers.client
    topic = f"latentbench-{uuid.uuid4().hex}"
    done: queue.SimpleQueue[tuple[int, Future]] = queue.SimpleQueue()

    def hear(event: tuple[float, tuple[int, float, float, str]]) -> None:
        job.heard(*event[1])

    client.subscribe_topic(topic, hear)
    futures: list[Future] = []

    def submit(index: int) -> None:
        shard = job.shards[index]
        future = client.submit(
            _task,
            job.function,
            job.settings,
            shard,
            job.threads,
            topic,
            index,
            key=f"{job.label} {shard_name(shard)} {topic[-8:]}-{len(futures)}",
            retries=1,
            pure=False,
            priority=-index,
            resources=workers.resources or None,
        )
        futures.append(future)
        future.add_done_callback(lambda future: done.put((index, future)))

    try:
        for index in range(len(job.shards)):
            submit(index)
        _collect(job, workers, done, submit)
    except BaseException:
        workers.abandon(futures)
        raise
    finally:
        workers.unsubscribe(topic)


def _collect(
    job: _Job, workers: Workers, done: queue.SimpleQueue[tuple[int, Future]], submit: Callable[[int], None]
) -> None:
    """Take the outcomes as they come, keep the display alive, and give up if no worker is left for long.

    Dask blames every shard that waited on a worker when it died. So those it gives up are only suspected: they are
    computed again when the others are there, one at a time, and the one that dies alone is named.
    """
    from distributed import KilledWorker

    suspects: list[int] = []
    alone = None
    seen_worker = time.monotonic()
    while len(job.finished) < len(job.shards):
        if alone is None and len(job.finished) + len(suspects) == len(job.shards):
            alone = suspects.pop(0)
            submit(alone)
        try:
            index, future = done.get(timeout=TICK)
        except queue.Empty:
            job.show()
            if workers.count():
                seen_worker = time.monotonic()
            elif time.monotonic() - seen_worker > WORKERLESS_SECONDS:
                raise StageError(
                    f"{job.label}: no Dask worker is left since {WORKERLESS_SECONDS:.0f} s. Finished shards are kept; "
                    "start workers and run again."
                ) from None
            continue
        try:
            outcome = future.result()
        except KilledWorker as error:
            if alone is None:
                suspects.append(index)
                continue
            raise StageError(
                f"{job.label}: shard {shard_name(job.shards[index])} killed its worker "
                f"{cluster.DEATHS_ALLOWED + 1} times with no other shard beside it (out of memory, or a crash in "
                "native code). Finished shards are kept; run with --executor inline to see how it dies, or with "
                "fewer workers if memory is short."
            ) from error
        except Exception as error:
            if future.status == "cancelled":
                raise StageError(
                    f"{job.label}: the connection to the Dask scheduler was lost. Finished shards are kept; run again."
                ) from error
            raise job.poisoned(index, error) from error
        job.take(index, outcome)
        alone = None


def _task(function: ShardFunction, settings: Settings, shard: Any, threads: int, topic: str, index: int) -> _Outcome:
    """What runs on a worker."""
    from distributed import get_worker

    worker = get_worker()
    last = 0.0

    def progress(done: int, total: int, message: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= FORWARD_SECONDS or done >= total:
            last = now
            worker.log_event(topic, (index, float(done), float(total), str(message)))

    return _compute(function, settings, shard, threads, progress)
