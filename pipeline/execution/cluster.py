"""Dask workers: a local cluster, started once per process, or an existing cluster that is joined.

Local workers compute one task at a time, with their number of threads fixed before torch is loaded, so that Dask and
torch do not compete for cores.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from pipeline.errors import ClusterError
from pipeline.execution.gpus import VISIBLE, assigned
from pipeline.execution.joined import Joined
from pipeline.execution.joining import able_workers, find_workers, join
from pipeline.execution.messages import TOPIC, hear, send_messages
from pipeline.execution.processes import most_open_files, name_user, signals_later
from pipeline.settings.machine import Machine
from pipeline.storage.log_lines import DASK

if TYPE_CHECKING:
    from distributed import Client, Future, SpecCluster
    from distributed.security import Security

log = logging.getLogger("latentbench")

DEATHS_ALLOWED = 3  # a shard is given up when its worker dies more often than this
# Stop glibc from returning freed memory to the system: torch asks for it again at every activation. With Dask's default
# every page is zeroed again, which doubled the time of our work.
KEEPS_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**32), "MALLOC_MMAP_THRESHOLD_": str(2**30)}
HOST = "127.0.0.1"
# Dask's scheduler always starts an HTTP server: let it use a free port of this host only, without any page.
NO_DASHBOARD = {"dashboard": False, "dashboard_address": f"{HOST}:0"}
NO_PAGES: dict[str, Any] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
FILES, FILES_A_WORKER = 64, 16  # open files that this process needs, and that each worker adds
SILENT = logging.CRITICAL + 1


class Workers:
    """A Dask client, and its cluster if this process started it."""

    def __init__(self, machine: Machine, client: Client, cluster: SpecCluster | None) -> None:
        self.key = _cluster_key(machine)
        self.client = client
        self.cluster = cluster
        self.owner = os.getpid()
        self.device = machine.device
        self.resources = {"GPU": 1} if machine.device.startswith("cuda") else {}
        self.joined = Joined(client) if cluster is None else None
        client.subscribe_topic("all", _notice_death)
        client.subscribe_topic(TOPIC, hear)

    def count(self) -> int | None:
        """Number of connected workers that can take our tasks; None if the scheduler does not answer."""
        threads = self._threads()
        return None if threads is None else len(threads)

    def slots(self) -> int:
        """Number of tasks that these workers compute at once; 0 if the scheduler does not answer."""
        return sum((self._threads() or {}).values())

    def addresses(self) -> list[str]:
        """Addresses of these workers; empty if the scheduler does not answer."""
        return list(self._threads() or {})

    def _threads(self) -> dict[str, int] | None:
        """Threads by address of the workers that can take our tasks; None if the scheduler does not answer."""
        try:
            return able_workers(self.client, self.device)
        except Exception as error:  # the client raises any error of its connection
            log.debug("The scheduler does not say how many workers it has: %s", error)
            return None

    def unsubscribe(self, topic: str) -> None:
        """Unsubscribe from a topic; does nothing if the connection is lost."""
        try:
            self.client.unsubscribe_topic(topic)
        except Exception as error:
            log.debug("Not unsubscribed from %s: %s", topic, error)

    def abandon(self, futures: list[Future[Any]]) -> None:
        """Cancel unfinished tasks. Local workers are stopped, because Dask cannot stop a running task."""
        if self.cluster is not None or not self.is_connected:
            close()
            return
        try:
            self.client.cancel(futures, force=True)
        except Exception as error:
            log.debug("Not cancelled: %s", error)

    @property
    def is_connected(self) -> bool:
        """Whether the client is connected to the scheduler."""
        return bool(self.client.status == "running")

    def close(self) -> None:
        """Disconnect, and stop the cluster if this process started it; errors are only logged."""
        self.unsubscribe("all")
        if self.joined is not None:
            self.joined.close()
        for closing in (self.client, self.cluster):
            try:
                if closing is not None:
                    closing.close(timeout=10)
            except (Exception, KeyboardInterrupt) as error:
                log.debug("While closing %s: %s", closing, error)


def too_few_files(machine: Machine) -> str:
    """The fault and the remedy if the limit on open files is too low for the workers; otherwise empty.

    With too few files Dask retries millions of times a minute.
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


def workers_for(machine: Machine) -> Workers:
    """The workers for these machine settings, started or joined once per process.

    Raises ConfigError for a GPU that this machine does not have, and ClusterError for a cluster that cannot do the
    work. After a failure it raises the same ClusterError at once, until `close` or `forget_failure`.
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
                _pool = _join(machine) if machine.scheduler else _start(machine)
            except ClusterError as error:
                remember_failure(machine, error)
                raise
            atexit.unregister(close)
            atexit.register(close)  # registered after Dask's exit handler, so it runs first
        return _pool


def remember_failure(machine: Machine, error: ClusterError) -> None:
    """Make later calls of `workers_for` raise this error at once, because it would affect every stage."""
    global _failure
    _failure = _cluster_key(machine), error


def forget_failure() -> None:
    """Allow another attempt to start or join the cluster."""
    global _failure
    _failure = None


def close() -> None:
    """Stop the local workers, or leave the joined cluster. Safe to call twice."""
    global _pool
    forget_failure()
    if _pool is not None:
        pool, _pool = _pool, None
        if pool.owner == os.getpid():
            pool.close()


def dask_setup(worker: object) -> None:
    """Dask calls this when a local worker starts. The worker ignores Ctrl-C: the main process stops it."""
    _quiet()
    send_messages(worker)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cluster_key(machine: Machine) -> tuple[Any, ...]:
    return machine.scheduler, machine.workers, machine.threads, machine.device, machine.devices


def _join(machine: Machine) -> Workers:
    return Workers(machine, join(machine), None)


def _start(machine: Machine) -> Workers:
    """Start a local cluster: one task at a time per worker process, threads fixed before torch is loaded.

    On a GPU there is one worker, or one on each of machine.devices: one process is enough to keep a device busy, and
    more would each hold a copy of the networks. Raises ConfigError for a device that this machine does not have, and
    ClusterError if the workers do not start.
    """
    import dask
    from distributed import Client
    from distributed.security import Security

    specs = device_specs(machine) if machine.devices else {}
    name_user()  # the workers inherit this process's environment
    threads = str(machine.threads)
    options = {
        "distributed.scheduler.allowed-failures": DEATHS_ALLOWED,
        "distributed.scheduler.worker-ttl": "1 hour",  # native code can block a worker's answers for long
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
            # Anybody who can connect can run code as this user, so connections use TLS with a key of this run.
            security = Security.temporary()
            cluster = _one_worker_a_device(specs, security) if specs else _alike(machine, security)
            workers = Workers(machine, Client(cluster, set_as_default=False), cluster)
        if workers.resources:
            find_workers(workers.client, machine.device)
    except BaseException as error:
        if workers is not None:  # a delayed signal
            workers.close()
        if not isinstance(error, OSError | RuntimeError):
            raise
        reason = f"{type(error).__name__}: {str(error).rstrip('.')}"
        raise ClusterError(
            f"Dask's {machine.workers_of_our_own} worker processes could not be started: {reason}. Check the memory "
            "and the limits on processes, threads and open files (ulimit -a). Use fewer workers (--workers), or none "
            "(--executor inline)."
        ) from error
    return workers


def _alike(machine: Machine, security: Security) -> SpecCluster:
    """Identical workers: `workers` of them, or a single one on the GPU."""
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
    """Device -> the specification of its worker process, which sees no other GPU and computes one task at a time.

    Raises ConfigError for a device that this machine does not have.
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
    """Log that a worker died with unfinished shards; Dask gives them to other workers."""
    message = event[1]
    if isinstance(message, dict) and message.get("action") == "remove-worker" and message.get("processing-tasks"):
        count = len(message["processing-tasks"])
        log.warning("Worker %s died; its %d unfinished shard(s) go to other workers.", message.get("worker"), count)


def _quiet() -> None:
    """Print nothing of Dask's log, which has no remedies; the log of the run has its warnings."""
    import distributed.client  # noqa: F401  (its import gives its loggers their levels and handlers)

    for name in DASK:
        logger = logging.getLogger(name)
        logger.handlers = [handler for handler in logger.handlers if type(handler) is not logging.StreamHandler]
        logger.setLevel(logging.WARNING)
        logger.addHandler(logging.NullHandler())  # without a handler, Python prints
        logger.propagate = False
