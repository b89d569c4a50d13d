"""Our own Dask workers: who can reach them, how many there are, how they start."""

from __future__ import annotations

import logging
import os
import queue
import signal
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.errors import ClusterError
from pipeline.execution import cluster
from pipeline.execution.cluster import Workers, workers_for
from pipeline.settings.machine import Machine
from pipeline.storage.log_lines import DASK
from tests.builders import experiments

MACHINE = experiments.machine(workers=2)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    yield workers_for(MACHINE)
    cluster.close()


def listening() -> list[tuple[str, int]]:
    """Every address on which this process or one of its own listens."""
    me = psutil.Process()
    found = [connection for one in (me, *me.children(recursive=True)) for connection in one.net_connections("tcp")]
    return [tuple(connection.laddr) for connection in found if connection.status == psutil.CONN_LISTEN]


def test_nothing_listens_to_other_machines(workers: Workers) -> None:
    assert len(listening()) >= 5, "scheduler, its pages, two workers and their nannies"
    assert {address for address, _ in listening()} == {"127.0.0.1"}


def test_the_pages_of_dask_are_not_served(workers: Workers) -> None:
    assert workers.cluster is not None
    port = workers.cluster.scheduler.http_server.port
    for path in ("json/identity.json", "info/main/workers.html", "info/main/logs.html", "health", "metrics"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5)


def test_nobody_gets_in_without_the_key_of_this_run(workers: Workers) -> None:
    """Whoever talks to a scheduler can run code as its user."""
    assert workers.cluster is not None
    host, _, port = workers.cluster.scheduler_address.removeprefix("tls://").partition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, int(port)), timeout=5) as plain, pytest.raises(ssl.SSLError):
        with context.wrap_socket(plain) as stranger:
            stranger.recv(1)


def test_workers_are_counted_by_the_scheduler(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's own memory of them is overwritten every two seconds by a reply without workers."""
    monkeypatch.setattr(type(workers.client), "scheduler_info", lambda client, *_, **__: {"workers": {}})
    assert workers.count() == 2


def test_workers_of_a_uid_without_a_name_get_one(workers: Workers) -> None:
    assert set(workers.client.run(os.getenv, "OMP_NUM_THREADS").values()) == {"1"}


def test_workers_leave_ctrl_c_to_us(workers: Workers) -> None:
    masks = workers.client.run(_ignores_ctrl_c).values()
    assert list(masks) == [True, True]


def _ignores_ctrl_c() -> bool:
    return signal.getsignal(signal.SIGINT) == signal.SIG_IGN or signal.SIGINT in signal.pthread_sigmask(
        signal.SIG_BLOCK, ()
    )


def test_dask_prints_nothing_and_the_run_hears_its_warnings(workers: Workers) -> None:
    heard: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handler = logging.Handler()
    handler.emit = heard.put  # type: ignore[assignment, method-assign]
    here = logging.getLogger("distributed")
    here.addHandler(handler)
    try:
        printers = workers.client.run(_warn)
        records = [heard.get(timeout=30) for _ in printers]
    finally:
        here.removeHandler(handler)
    assert list(printers.values()) == [[], []] and not any(map(_prints, here.handlers))
    assert {record.getMessage() for record in records} == {"lost contact"}
    assert {record.__dict__["worker"] for record in records} == set(printers)


def _prints(handler: logging.Handler) -> bool:
    return type(handler) is logging.StreamHandler


def _warn() -> list[str]:
    """Warn as Dask does; answers the handlers that print."""
    logging.getLogger("distributed.worker").warning("lost contact")
    return [str(handler) for name in DASK for handler in logging.getLogger(name).handlers if _prints(handler)]


@pytest.mark.parametrize(
    ("limit", "machine", "enough"),
    [
        (96, experiments.machine(workers=2), True),
        (95, experiments.machine(workers=2), False),
        (95, experiments.machine(workers=2, executor="inline"), True),
        (64, experiments.machine(workers=2, scheduler="tcp://a:1"), True),
        (127, experiments.machine(device="cuda", devices=("cuda:0", "cuda:1", "cuda:2", "cuda:3"), workers=1), False),
    ],
)
def test_files_that_may_be_open_are_counted(
    monkeypatch: pytest.MonkeyPatch, limit: int, machine: Machine, enough: bool
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda which: (limit, limit))
    fault = cluster.too_few_files(machine)
    assert (fault == "") == enough
    assert enough or f"may have {limit} files open and needs {64 + 16 * machine.workers_of_our_own}" in fault


def test_workers_that_do_not_start_are_one_error_for_all_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def fail(*arguments: object) -> None:
        tries.append(1)
        raise OSError(24, "Too many open files")

    cluster.close()
    monkeypatch.setattr(cluster, "_alike", fail)
    for _ in range(3):
        with pytest.raises(ClusterError, match="OSError: .*Too many open"):
            workers_for(MACHINE)
    assert tries == [1]
    cluster.forget_failure()
    with pytest.raises(ClusterError):
        workers_for(MACHINE)
    assert tries == [1, 1]
    cluster.forget_failure()
