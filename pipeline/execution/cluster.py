"""Dask workers: a cluster of our own, started once per process, or an existing one that is joined.

Our own workers compute one task at a time, with their threads fixed before torch is loaded, so that Dask and
torch never fight for the cores.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ClusterError
from pipeline.execution.gpus import VISIBLE, assigned
from pipeline.execution.joining import find_workers, join
from pipeline.execution.processes import most_open_files, name_user, signals_later
from pipeline.settings.machine import Machine

if TYPE_CHECKING:
    from distributed import Client, Future, SpecCluster
    from distributed.security import Security

log = logging.getLogger("latentbench")

DEATHS_ALLOWED = 3  # a shard whose worker dies more often than this is given up
# glibc's allocator shall keep what torch frees and asks for again a moment later, such as every activation: where it
# gives memory back at once (Dask's own setting), every page is zeroed anew, which doubled the time of all our work.
KEEPS_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**32), "MALLOC_MMAP_THRESHOLD_": str(2**30)}
HOST = "127.0.0.1"
# Dask's scheduler always has an HTTP server: on any free port of this host alone, and it has nothing to say.
NO_DASHBOARD = {"dashboard": False, "dashboard_address": f"{HOST}:0"}
NO_PAGES: dict[str, Any] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
FILES, FILES_A_WORKER = 64, 16  # open at once
ANSWER_SECONDS = 5.0  # for a scheduler to answer a question
SILENT = logging.CRITICAL + 1


class Workers:
    """A client, and the cluster behind it if it is ours."""

    def __init__(self, machine: Machine, client: Client, cluster: SpecCluster | None) -> None:
        self.key = _cluster_key(machine)
        self.client = client
        self.cluster = cluster
        self.owner = os.getpid()
        self.resources = {"GPU": 1} if machine.device.startswith("cuda") else {}
        client.subscribe_topic("all", _notice_death)

    def count(self) -> int:
        """Workers that are there now, by the scheduler itself; 0 where it does not answer."""
        try:
            return len(self.client.nthreads(callback_timeout=ANSWER_SECONDS))
        except Exception as error:  # the client raises what its connection raised
            log.debug("The scheduler does not say how many workers it has: %s", error)
            return 0

    def unsubscribe(self, topic: str) -> None:
        """Stop listening; nothing happens where the connection is gone."""
        try:
            self.client.unsubscribe_topic(topic)
        except Exception as error:
            log.debug("Not unsubscribed from %s: %s", topic, error)

    def abandon(self, futures: list[Future[Any]]) -> None:
        """Cancel what has not finished. Our own workers are stopped, since Dask cannot stop a running task."""
        if self.cluster is not None or not self.is_connected:
            close()
            return
        try:
            self.client.cancel(futures, force=True)
        except Exception as error:
            log.debug("Not cancelled: %s", error)

    @property
    def is_connected(self) -> bool:
        """Whether the scheduler is there."""
        return bool(self.client.status == "running")

    def close(self) -> None:
        """Disconnect, and stop the cluster if it is ours, without Dask's parting words."""
        self.unsubscribe("all")
        for thing in (self.client, self.cluster):
            try:
                if thing is not None:
                    thing.close(timeout=10)
            except (Exception, KeyboardInterrupt) as error:
                log.debug("While closing %s: %s", thing, error)


def too_few_files(machine: Machine) -> str:
    """What is wrong, and what to do, if this process may have too few files open for its workers; else empty.

    Dask retries what a lack of files keeps it from, millions of times in a minute.
    """
    if machine.executor != "dask":
        return ""
    needed = FILES + FILES_A_WORKER * (0 if machine.scheduler else machine.workers_of_our_own)
    if most_open_files() >= needed:
        return ""
    return (
        f"This process may have {most_open_files()} files open and needs {needed}: {FILES}, and {FILES_A_WORKER} for "
        f"each of its workers. Raise the limit (ulimit -n {needed}), take fewer workers (--workers), or none "
        "(--executor inline)."
    )


_pool: Workers | None = None
_pool_lock = threading.Lock()
_failure: tuple[tuple[Any, ...], ClusterError] | None = None


def workers_for(machine: Machine, outputs: Path) -> Workers:
    """The workers for such a machine, started or joined once per process.

    Raises ConfigError for a GPU that is not there, ClusterError for a cluster that cannot do the work: at once where
    that was found before, until `close` or `forget_failure`.
    """
    global _pool
    with _pool_lock:
        if _failure is not None and _failure[0] == _cluster_key(machine):
            raise _failure[1]
        if _pool is not None and (_pool.owner != os.getpid() or _pool.key != _cluster_key(machine)):
            close()
        if _pool is not None and not _pool.is_connected:
            close()
        if _pool is None:
            _quiet()
            try:
                _pool = _join(machine, outputs) if machine.scheduler else _start(machine)
            except ClusterError as error:
                remember_failure(machine, error)
                raise
            atexit.unregister(close)
            atexit.register(close)  # after Dask registered its own, so that ours runs first
        return _pool


def remember_failure(machine: Machine, error: ClusterError) -> None:
    """Let every later call of `workers_for` raise this at once: a cluster fails all stages alike."""
    global _failure
    _failure = _cluster_key(machine), error


def forget_failure() -> None:
    """Let the cluster be tried again."""
    global _failure
    _failure = None


def close() -> None:
    """Stop the workers that this process started, or leave the cluster that it joined. Safe to call twice."""
    global _pool
    forget_failure()
    if _pool is not None:
        pool, _pool = _pool, None
        if pool.owner == os.getpid():
            pool.close()


def dask_setup(worker: object) -> None:
    """Called by Dask in each worker of ours as it starts: Ctrl-C is for the process that stops the workers."""
    _quiet()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cluster_key(machine: Machine) -> tuple[Any, ...]:
    return machine.scheduler, machine.workers, machine.threads, machine.device, machine.devices


def _join(machine: Machine, outputs: Path) -> Workers:
    return Workers(machine, join(machine, outputs), None)


def _start(machine: Machine) -> Workers:
    """A cluster of our own: one task at a time per worker process, its threads fixed before torch is loaded.

    On a GPU one worker is started, or one on each of machine.devices: it alone can hold the networks and keep the
    device busy. Raises ConfigError for a device that is not there, ClusterError if the workers do not start.
    """
    import dask
    from distributed import Client
    from distributed.security import Security

    specs = device_specs(machine) if machine.devices else {}
    name_user()  # for the workers, which have this process's environment
    threads = str(machine.threads)
    options = {
        "distributed.scheduler.allowed-failures": DEATHS_ALLOWED,
        "distributed.scheduler.worker-ttl": "1 hour",  # native code may keep a worker from answering for long
        "distributed.comm.timeouts.connect": "60s",
        "distributed.diagnostics.nvml": False,
        "distributed.worker.preload": [__name__],  # see dask_setup
        "distributed.nanny.pre-spawn-environ": {
            **KEEPS_MEMORY,
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        },
        **NO_PAGES,
    }
    workers = None
    try:
        with signals_later(), dask.config.set(options):
            # Whoever can connect can run code as this user: so all talk is by TLS with a key of this run, in memory.
            security = Security.temporary()
            cluster = _one_worker_a_device(specs, security) if specs else _alike(machine, security)
            workers = Workers(machine, Client(cluster, set_as_default=False), cluster)
        if workers.resources:
            find_workers(workers.client, machine.device)
    except BaseException as error:
        if workers is not None:  # a signal that waited
            workers.close()
        if not isinstance(error, OSError | RuntimeError):
            raise
        reason = f"{type(error).__name__}: {str(error).rstrip('.')}"
        raise ClusterError(
            f"Dask's {machine.workers_of_our_own} worker processes could not be started: {reason}. Is there memory for "
            "them, and room for processes, threads and open files (ulimit -a)? Take fewer (--workers), or none "
            "(--executor inline)."
        ) from error
    return workers


def _alike(machine: Machine, security: Security) -> SpecCluster:
    """Workers that are all alike: one per `workers`, or a single one on the GPU."""
    from distributed import LocalCluster

    gpu = machine.device.startswith("cuda")
    return LocalCluster(
        n_workers=1 if gpu else machine.workers,
        threads_per_worker=1,
        processes=True,
        memory_limit=0,
        host=HOST,
        security=security,
        dashboard_address=None,
        scheduler_kwargs=NO_DASHBOARD,
        resources={"GPU": 1} if gpu else None,
        silence_logs=SILENT,
    )


def _one_worker_a_device(specs: dict[str, dict[str, Any]], security: Security) -> SpecCluster:
    """Workers by `device_specs`."""
    from distributed import Scheduler, SpecCluster

    options = {"host": HOST, "port": 0, "protocol": "tls://", "security": security, **NO_DASHBOARD}
    for spec in specs.values():
        spec["options"]["security"] = security
    return SpecCluster(
        workers=specs,
        scheduler={"cls": Scheduler, "options": options},
        security=security,
        silence_logs=SILENT,
    )


def device_specs(machine: Machine) -> dict[str, dict[str, Any]]:
    """By device, the worker process that has it: it sees no other GPU, and does one task at a time.

    Raises ConfigError for a device that is not there.
    """
    from distributed import Nanny

    return {
        device: {
            "cls": Nanny,
            "options": {
                "env": {VISIBLE: visible},
                "resources": {"GPU": 1},
                "nthreads": 1,
                "memory_limit": 0,
                "host": HOST,
                "protocol": "tls://",
                "dashboard": False,
                "silence_logs": SILENT,
            },
        }
        for device, visible in zip(machine.devices, assigned(machine.devices), strict=True)
    }


def _notice_death(event: tuple[float, Any]) -> None:
    """Say that a worker died at work; Dask gives its shards to others."""
    message = event[1]
    if isinstance(message, dict) and message.get("action") == "remove-worker" and message.get("processing-tasks"):
        count = len(message["processing-tasks"])
        log.warning("Worker %s died; its %d unfinished shard(s) go to other workers.", message.get("worker"), count)


def _quiet() -> None:
    """Keep Dask's own log away: we say ourselves what happens to shards and workers."""
    import distributed.client  # noqa: F401  (it gives its loggers levels as it is loaded)

    for name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "distributed"]:
        logging.getLogger(name).setLevel(SILENT)
    logging.getLogger("tornado.application").setLevel(SILENT)
