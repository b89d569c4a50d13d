"""Shards on Dask workers: submission, collection of results, retries, and errors if no worker is left."""

from __future__ import annotations

import logging
import queue
import socket
import time
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipeline.errors import ClusterError, StageError, WeightsError
from pipeline.execution import cluster
from pipeline.execution.admission import Demand, connection_lost, unfit
from pipeline.execution.cluster import Workers
from pipeline.execution.jobs import Call, Fault, Job, Outcome, Progress, ShardFunction, compute_shard
from pipeline.execution.messages import collected, relay
from pipeline.execution.origin import Origin, sees
from pipeline.execution.transfer import Remote, take_shard
from pipeline.storage.elsewhere import reaching
from pipeline.storage.log_lines import note

if TYPE_CHECKING:
    from distributed import Future

log = logging.getLogger("latentbench")

TICK = 0.5  # seconds between two updates of the display and checks of the sent tasks
WORKERLESS_SECONDS = 180.0  # without a worker, after which a run gives up; one of its own starts again within seconds
UNANSWERED_SECONDS = 1800.0  # without an answer of the scheduler: on a busy machine it can lack processor time for long
FORWARD_SECONDS = 0.5  # between two progress messages from a worker
CLOCK_SECONDS = 5.0  # a clock that is set back by more than this causes a warning


class Sent:
    """The tasks of a job that were sent to a cluster and whose results were not taken yet."""

    def __init__(self, job: Job, workers: Workers, topic: str, origin: Origin | None) -> None:
        self.job, self.workers, self.topic, self.origin = job, workers, topic, origin
        self._count = 0
        self._unsent = deque(range(len(job.calls)))
        self._waiting: dict[Future[Any], int] = {}
        self._done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()

    @property
    def unfinished(self) -> list[Future[Any]]:
        """The tasks whose results were not taken. No other is kept: a result is removed from its worker once taken."""
        return list(self._waiting)

    def fill(self) -> None:
        """Send shards while a thread of a worker has none.

        Dask assigns a task to a worker when it arrives, and moves no task whose duration it does not know. Sent all at
        once, short trainings waited for a long one on one worker while the other had nothing to do.
        """
        if not self._unsent:
            return
        slots = max(1, self.workers.slots())
        while self._unsent and len(self._waiting) < slots:
            self.send(self._unsent.popleft())

    def send(self, index: int) -> None:
        """Send a shard; shards with a lower index have priority."""
        job = self.job
        future = self.workers.client.submit(
            run_task,
            Demand.own(),
            job.function,
            job.calls[index],
            job.threads,
            self.topic,
            index,
            self.origin,
            key=f"{job.label} {job.name(index)} {self.topic[-8:]}-{self._count}",
            pure=False,
            priority=-index,
            resources=self.workers.resources or None,
        )
        self._count += 1
        self._waiting[future] = index
        future.add_done_callback(self._done.put)

    def take(self) -> tuple[int, Future[Any]] | None:
        """A finished task, or None if there is none within a TICK.

        Dask reports finished tasks from a thread, which the system can refuse, so each TICK also checks all tasks.
        """
        future = None
        with suppress(queue.Empty):
            future = self._done.get(timeout=TICK)
        if future not in self._waiting:
            future = next((waiting for waiting in self._waiting if waiting.done()), None)
        return None if future is None else (self._waiting.pop(future), future)


def run_on_dask(job: Job, workers: Workers) -> None:
    """Compute every shard on a cluster. Any error and Ctrl-C cancel the unfinished shards.

    Raises the same errors as `shards.run_shards`; a ClusterError is remembered for later stages.
    """
    topic = f"latentbench-{uuid.uuid4().hex}"
    workers.client.subscribe_topic(topic, lambda event: job.heard(*event[1]))
    joined, origin = workers.joined, None
    if joined is not None:
        origin = joined.origin(job.settings.outputs, [work.stage for work, _ in job.calls])
    sent = Sent(job, workers, topic, origin)
    try:
        if joined is not None and origin is not None:
            joined.admit(workers.addresses(), origin, job.settings.domain, job.calls[0][0].lacking)
        _collect(job, workers, sent)
    except BaseException as error:
        workers.abandon(sent.unfinished)
        if isinstance(error, ClusterError):
            cluster.remember_failure(job.settings.machine, error)
        raise
    finally:
        workers.unsubscribe(topic)


def _collect(job: Job, workers: Workers, sent: Sent) -> None:
    """Take the outcomes as they arrive, update the display, and give up if there is no worker for long.

    Dask blames every shard that was assigned to a worker when it died. Shards that Dask gives up are therefore only
    suspects: they are computed again after all others, one at a time, and a shard that fails alone is reported. A
    shard with a transient fault is tried once more.
    """
    from distributed import KilledWorker

    watch = _Watch(job, workers)
    suspects: list[int] = []
    alone = None
    tried: set[int] = set()
    while len(job.finished) < len(job.calls):
        sent.fill()
        if alone is None and len(job.finished) + len(suspects) == len(job.calls):
            alone = suspects.pop(0)
            sent.send(alone)
        taken = sent.take()
        if taken is None:
            job.show()
            watch.look()
            continue
        index, future = taken
        try:
            outcome: Outcome = future.result()
        except KilledWorker as error:
            if alone is None:
                suspects.append(index)
                continue
            raise StageError(
                f"{job.label}: shard {job.name(index)} killed its worker "
                f"{cluster.DEATHS_ALLOWED + 1} times while it ran alone (out of memory, or a crash in native code). "
                "Finished shards are kept; run with --executor inline to see the crash, or with fewer workers if "
                "memory is short."
            ) from error
        except Exception as error:
            if future.status == "cancelled" or not workers.is_connected:
                raise connection_lost() from error
            raise job.poisoned(index, Fault.of(error)) from error
        relay(outcome.messages, outcome.worker, job.name(index))
        if outcome.fault is not None:
            note(outcome.fault.trace, logging.ERROR, shard=job.name(index), worker=outcome.worker)
            if outcome.fault.passing and index not in tried:
                tried.add(index)
                sent.send(index)
                continue
        for record, content in outcome.files:
            take_shard(job.calls[index][0].stage.folder(job.settings.outputs), record, content)
        job.take(index, outcome)
        alone = None


class _Watch:
    """Checks the workers and the clock while no result arrives."""

    def __init__(self, job: Job, workers: Workers) -> None:
        self.job, self.workers = job, workers
        self.seen_worker = self.answered = time.monotonic()
        self.offset = time.time() - time.monotonic()

    def look(self) -> None:
        """Raise ClusterError if there was no worker, or no answer, for long; warn if the clock was set back.

        A scheduler that does not answer says nothing about its workers: they may be computing.
        """
        self._look_at_the_clock()
        count = self.workers.count()
        now = time.monotonic()
        if count is None:
            silent = now - self.answered
            if silent > UNANSWERED_SECONDS:
                raise self._given_up(f"the Dask scheduler has not answered for {silent:.0f} s", "see why it is stuck")
            self.seen_worker = max(
                self.seen_worker, now - WORKERLESS_SECONDS / 2
            )  # after an answer: time to see a worker
            return
        self.answered = now
        if count:
            self.seen_worker = now
        elif now - self.seen_worker > WORKERLESS_SECONDS:
            raise self._given_up(f"no Dask worker is left since {WORKERLESS_SECONDS:.0f} s", "start workers")

    def _given_up(self, why: str, remedy: str) -> ClusterError:
        return ClusterError(f"{self.job.label}: {why}. Finished shards are kept; {remedy} and run again.")

    def _look_at_the_clock(self) -> None:
        back = self.offset - (time.time() - time.monotonic())
        if back > CLOCK_SECONDS:
            log.warning("The clock was set back by %.0f s: Dask may stand still until it is there again.", back)
            self.offset -= back


def run_task(
    demand: Demand,
    function: ShardFunction,
    call: Call,
    threads: int,
    topic: str,
    index: int,
    origin: Origin | None = None,
) -> Outcome:
    """Compute a shard on a worker. Returns a ClusterError if the worker lacks code, packages or weights of the run."""
    from distributed import get_worker

    worker = get_worker()
    fault = unfit(demand, call[0].lacking if origin is not None else None)
    if fault:
        return Outcome(None, 0.0, ClusterError(f"Dask worker {worker.address}: {fault}"))
    last = 0.0

    def progress(done: int, total: int, message: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= FORWARD_SECONDS or done >= total:
            last = now
            worker.log_event(topic, (index, float(done), float(total), str(message)))

    with collected() as kept:
        try:
            if origin is None or sees(origin.probe):
                outcome = compute_shard(function, call, threads, progress)
            else:
                outcome = _compute_apart(Remote(origin, worker), function, call, threads, progress)
        except Exception as error:
            outcome = Outcome(None, 0.0, fault=Fault.of(error))
    if isinstance(outcome.error, WeightsError):
        named = f"Dask worker {worker.address} on {socket.gethostname()}: {outcome.error}"
        outcome = Outcome(None, 0.0, ClusterError(named))
    return replace(outcome, messages=kept.all(), worker=worker.address)


def _compute_apart(remote: Remote, function: ShardFunction, call: Call, threads: int, progress: Progress) -> Outcome:
    """Compute a shard in a folder of this worker; the files that it writes are in the outcome."""
    work, shard = call
    with remote.at_work(), reaching(remote):
        outcome = compute_shard(function, (remote.here(work), shard), threads, progress)
        return replace(outcome, files=remote.files())
