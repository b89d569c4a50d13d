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
import time
from typing import TYPE_CHECKING, Any

from pipeline.config import Machine
from pipeline.errors import ConfigError
from pipeline.gpus import VISIBLE, assigned

if TYPE_CHECKING:
    from distributed import Client, Future, SpecCluster

log = logging.getLogger("latentbench")

DEATHS_ALLOWED = 3  # a shard whose worker dies more often than this is given up
# glibc's allocator shall keep what torch frees and asks for again a moment later, such as every activation: where it
# gives memory back at once (Dask's own setting), every page is zeroed anew, which doubled the time of all our work.
KEEPS_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**32), "MALLOC_MMAP_THRESHOLD_": str(2**30)}
HOST = "127.0.0.1"
NO_DASHBOARD = {"dashboard": False, "dashboard_address": ":0"}  # any free port: 8787 may be taken
JOIN_SECONDS = 60.0  # to reach an existing scheduler, its workers, and the resource that the work needs


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
        """Workers that are there now."""
        return len(self.client.scheduler_info()["workers"])

    def unsubscribe(self, topic: str) -> None:
        """Stop listening; nothing happens where the connection is gone."""
        try:
            self.client.unsubscribe_topic(topic)
        except Exception as error:
            log.debug("Not unsubscribed from %s: %s", topic, error)

    def abandon(self, futures: list[Future]) -> None:
        """Cancel what has not finished. Our own workers are stopped, since Dask cannot stop a running task."""
        if self.cluster is not None:
            close()
            return
        try:
            self.client.cancel(futures, force=True)
        except Exception as error:
            log.debug("Not cancelled: %s", error)

    def close(self) -> None:
        """Disconnect, and stop the cluster if it is ours, without Dask's parting words."""
        _quiet(logging.CRITICAL + 1)
        self.unsubscribe("all")
        for thing in (self.client, self.cluster):
            try:
                if thing is not None:
                    thing.close(timeout=10)
            except (Exception, KeyboardInterrupt) as error:
                log.debug("While closing %s: %s", thing, error)
        _quiet(logging.ERROR)


_pool: Workers | None = None
_pool_lock = threading.Lock()


def workers_for(machine: Machine) -> Workers:
    """The workers for such a machine, started or joined once per process."""
    global _pool
    with _pool_lock:
        if _pool is not None and (_pool.owner != os.getpid() or _pool.key != _cluster_key(machine) or _pool_is_dead()):
            close()
        if _pool is None:
            _pool = _join(machine) if machine.scheduler else _start(machine)
            atexit.unregister(close)
            atexit.register(close)  # after Dask registered its own, so that ours runs first
            _check_resources(_pool, machine)
        return _pool


def close() -> None:
    """Stop the workers that this process started, or leave the cluster that it joined. Safe to call twice."""
    global _pool
    if _pool is not None:
        pool, _pool = _pool, None
        if pool.owner == os.getpid():
            pool.close()


def dask_setup(worker: object) -> None:
    """Called by Dask in each worker of ours as it starts: Ctrl-C is for the process that stops the workers."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _pool_is_dead() -> bool:
    return _pool is not None and _pool.client.status != "running"


def _cluster_key(machine: Machine) -> tuple[Any, ...]:
    return machine.scheduler, machine.workers, machine.threads, machine.device, machine.devices


def _start(machine: Machine) -> Workers:
    """A cluster of our own: one task at a time per worker process, its threads fixed before torch is loaded.

    On a GPU one worker is started, or one on each of machine.devices: it alone can hold the networks and keep the
    device busy. Raises ConfigError for a device that is not there.
    """
    import dask
    from distributed import Client

    specs = device_specs(machine) if machine.devices else {}
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
    }
    _quiet(logging.ERROR)
    with dask.config.set(options):
        cluster = _one_worker_a_device(specs) if specs else _alike(machine)
        return Workers(machine, Client(cluster, set_as_default=False), cluster)


def _alike(machine: Machine) -> SpecCluster:
    """Workers that are all alike: one per `workers`, or a single one on the GPU."""
    from distributed import LocalCluster

    gpu = machine.device.startswith("cuda")
    return LocalCluster(
        n_workers=1 if gpu else machine.workers,
        threads_per_worker=1,
        processes=True,
        memory_limit=0,
        dashboard_address=None,
        scheduler_kwargs=NO_DASHBOARD,
        resources={"GPU": 1} if gpu else None,
        silence_logs=logging.ERROR,
    )


def _one_worker_a_device(specs: dict[str, dict[str, Any]]) -> SpecCluster:
    """Workers by `device_specs`."""
    from distributed import Scheduler, SpecCluster

    scheduler = {"cls": Scheduler, "options": {"host": HOST, "port": 0, "protocol": "tcp://", **NO_DASHBOARD}}
    return SpecCluster(workers=specs, scheduler=scheduler, silence_logs=logging.ERROR)


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
                "protocol": "tcp://",
                "dashboard": False,
                "silence_logs": logging.ERROR,
            },
        }
        for device, visible in zip(machine.devices, assigned(machine.devices), strict=True)
    }


def _join(machine: Machine) -> Workers:
    """An existing cluster. Raises ConfigError if nobody answers there or no worker is there."""
    from distributed import Client

    _quiet(logging.ERROR)
    client = None
    try:
        client = Client(machine.scheduler, timeout=JOIN_SECONDS, set_as_default=False)
        client.wait_for_workers(1, timeout=JOIN_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        if client is not None:
            client.close(timeout=5)
        raise ConfigError(
            f"[machine] scheduler: expected the address of a Dask scheduler with workers, such as tcp://host:8786, "
            f"found {machine.scheduler!r}: {error}"
        ) from error
    return Workers(machine, client, None)


def _check_resources(workers: Workers, machine: Machine) -> None:
    """A task that asks for a resource nobody has would wait for ever: say so instead."""
    if not workers.resources:
        return
    deadline = time.monotonic() + JOIN_SECONDS
    while time.monotonic() < deadline:
        infos = workers.client.scheduler_info()["workers"].values()
        if any(info.get("resources", {}).get("GPU", 0) >= 1 for info in infos):
            return
        time.sleep(0.2)
    close()
    raise ConfigError(
        f"[machine] device is {machine.device!r}, but no worker of the Dask cluster has the resource GPU: start GPU "
        'workers with `dask worker --nthreads 1 --resources "GPU=1"`.'
    )


def _notice_death(event: tuple[float, Any]) -> None:
    """Say that a worker died at work; Dask gives its shards to others."""
    message = event[1]
    if isinstance(message, dict) and message.get("action") == "remove-worker" and message.get("processing-tasks"):
        count = len(message["processing-tasks"])
        log.warning("Worker %s died; its %d unfinished shard(s) go to other workers.", message.get("worker"), count)


def _quiet(level: int) -> None:
    """Keep Dask's own log to what matters: we say ourselves what happens to shards."""
    for name in ("distributed", "distributed.nanny", "distributed.worker", "distributed.scheduler", "distributed.core"):
        logging.getLogger(name).setLevel(level)
    logging.getLogger("tornado.application").setLevel(level)
