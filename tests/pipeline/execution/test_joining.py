"""Clusters that are there already: joined, left alone, and refused in words when they cannot do the work."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from distributed import LocalCluster

from pipeline.errors import ClusterError
from pipeline.execution import admission, joining
from pipeline.execution import shards as compute
from pipeline.execution.cluster import workers_for
from pipeline.execution.joined import Joined
from pipeline.execution.shards import run_stage
from pipeline.storage.stages import STAGES, is_complete, read_manifest
from tests.builders.counting_stage import ROOT, STAGE, Work, dask, files, run, shards, wait_for
from tests.builders.counting_stage import compute as compute_shard


@pytest.fixture(autouse=True)
def left() -> Iterator[None]:
    yield
    compute.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JOIN_SECONDS", "RESOURCE_SECONDS", "REACH_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(joining, name, 0.5)


@pytest.fixture
def theirs() -> Iterator[LocalCluster]:
    """A cluster of somebody else, in this process, whose one worker says that it has a GPU."""
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, resources={"GPU": 1}
    ) as found:
        yield found


def test_an_existing_cluster_is_used_and_left_alone(tmp_path: Path, theirs: LocalCluster) -> None:
    run(dask(tmp_path, scheduler=theirs.scheduler_address), tmp_path / "notes")
    gpu = dask(tmp_path / "gpu", scheduler=theirs.scheduler_address, device="cuda")
    run(gpu, tmp_path / "notes")
    compute.close()
    assert theirs.status.name == "running" and len(theirs.workers) == 1
    assert files(tmp_path) == files(tmp_path / "gpu")
    assert not list(tmp_path.glob(".seen*")), "what workers were asked to see is removed"


def test_every_record_says_which_code_made_it(tmp_path: Path, theirs: LocalCluster) -> None:
    run(dask(tmp_path, scheduler=theirs.scheduler_address), tmp_path / "notes")
    manifest = read_manifest(STAGE, tmp_path)
    assert {record.code for record in manifest.shards} == {manifest.code} == {admission.own_code().digest}


def test_a_cluster_without_gpu_workers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "RESOURCE_SECONDS", 0.1)
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as theirs:
        with pytest.raises(ClusterError, match="resource GPU"):
            run(dask(tmp_path, scheduler=theirs.scheduler_address, device="cuda"), tmp_path / "notes")


def test_a_cluster_without_workers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "JOIN_SECONDS", 0.1)
    with LocalCluster(n_workers=0, processes=False, dashboard_address=None) as theirs:
        with pytest.raises(ClusterError, match="no worker came within 0 s"):
            run(dask(tmp_path, scheduler=theirs.scheduler_address), tmp_path / "notes")


# Addresses at which no scheduler is


def test_nobody_is_said_once_and_at_once_by_every_stage_that_follows(tmp_path: Path, impatient: None) -> None:
    machine = dask(tmp_path, scheduler="tcp://127.0.0.1:9").machine
    with pytest.raises(ClusterError, match="tcp://127.0.0.1:9"):
        workers_for(machine)
    began = time.monotonic()
    with pytest.raises(ClusterError, match="listens"):
        workers_for(machine)
    assert time.monotonic() - began < 0.1
    assert not (tmp_path / STAGES).exists()


def test_another_server_than_a_scheduler_is_left_within_seconds(tmp_path: Path, impatient: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(ClusterError, match="(sends nothing|does not answer)"):
            workers_for(dask(tmp_path, scheduler=f"tcp://127.0.0.1:{port}").machine)
        assert time.monotonic() - began < 10


def test_a_host_that_has_no_address_is_named(tmp_path: Path, impatient: None) -> None:
    with pytest.raises(ClusterError, match=r"nowhere\.invalid:8786.*no such host"):
        workers_for(dask(tmp_path, scheduler="tcp://nowhere.invalid:8786").machine)


@pytest.mark.parametrize(
    ("scheme", "fault"), [("tls", "no key of TLS is set"), ("wss", "no key of TLS"), ("nothing", "does not support")]
)
def test_an_unsupported_address_is_refused_before_connecting(scheme: str, fault: str) -> None:
    """A client that fails in the middle of its making holds the exit for minutes."""
    with pytest.raises(ClusterError, match=fault):
        joining._connect(f"{scheme}://127.0.0.1:9")


# Workers that would compute something else, or nothing


def other_code_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every thread but this one, such as the worker's, have other code."""
    here = threading.current_thread()
    monkeypatch.setattr(
        admission, "code_digest", lambda: ("1" if threading.current_thread() is here else "2") * 64, raising=True
    )


def test_a_worker_with_other_code_is_refused_with_both_named(
    tmp_path: Path, theirs: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_code_elsewhere(monkeypatch)
    with pytest.raises(ClusterError, match=r"1 of 1 Dask workers .*other code \(2{12}, .* than this run \(1{12}, "):
        run(dask(tmp_path, scheduler=theirs.scheduler_address), tmp_path / "notes")
    assert not (tmp_path / "notes").exists(), "nothing was computed"


def test_a_worker_that_comes_later_with_other_code_computes_nothing(
    tmp_path: Path, theirs: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = dask(tmp_path, scheduler=theirs.scheduler_address)
    workers_for(work.machine)
    monkeypatch.setattr(Joined, "admit", lambda *_: None)  # the others were asked before it came
    other_code_elsewhere(monkeypatch)
    with pytest.raises(ClusterError, match=r"Dask worker inproc.*other code \(2{12}, .* than this run \(1{12}, "):
        run(work, tmp_path / "notes")
    assert not (tmp_path / "notes").exists() and not is_complete(STAGE, tmp_path)
    with pytest.raises(ClusterError, match="other code"):
        workers_for(work.machine)


def test_a_worker_with_other_packages_is_refused_with_both_versions(
    tmp_path: Path, theirs: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, own = threading.current_thread(), admission.package_versions()
    there = {**own, "torch": "1.0.0", "dask": "1.0"}
    monkeypatch.setattr(admission, "package_versions", lambda: own if threading.current_thread() is here else there)
    with pytest.raises(ClusterError, match=r"inproc.*other packages than this run: torch 1\.0\.0 \(this run: [^,]*$"):
        workers_for(dask(tmp_path, scheduler=theirs.scheduler_address).machine)


def test_of_versions_counts_what_can_change_a_number() -> None:
    assert admission.comparable({"python": "3.11.7", "torch": "2.11.0+cu128", "luigi": "3.8.1"}) == {
        "python": "3.11",
        "torch": "2.11.0",
    }


def test_a_worker_without_the_weights_is_refused_before_work_is_sent(tmp_path: Path, theirs: LocalCluster) -> None:
    settings = dask(tmp_path, scheduler=theirs.scheduler_address)
    work = Work(settings, missing="it has other weights of toy: generator")
    with pytest.raises(ClusterError, match=r"1 of 1 Dask workers .*inproc.*: on .* it has other weights of toy"):
        run_stage(work, compute_shard, shards(tmp_path / "notes"))
    assert not (tmp_path / "notes").exists()


# Real processes: what Dask loads, and what a lost connection does


def start(*command: object, cwd: Path = ROOT) -> subprocess.Popen[bytes]:
    """A process of Dask that finds Python's modules in `cwd` before any other."""
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, command), "--no-dashboard"],
        env={**os.environ, "PYTHONPATH": ""},
        cwd=cwd,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Address and process."""
    file = tmp_path / "scheduler.json"
    process = start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", file)
    try:
        wait_for(file.exists)
        yield json.loads(file.read_text())["address"], process
    finally:
        compute.close()
        process.kill()
        process.wait(10)


@contextmanager
def worker(address: str, folder: Path, cwd: Path = ROOT) -> Iterator[None]:
    options = ("--nthreads", "1", "--no-nanny", "--local-directory", folder)
    process = start("distributed.cli.dask_worker", address, *options, cwd=cwd)
    try:
        yield
    finally:
        process.kill()
        process.wait(10)


def test_a_worker_without_our_package_is_named_with_what_it_lacks(
    tmp_path: Path, scheduler: tuple[str, subprocess.Popen[bytes]]
) -> None:
    package = tmp_path / "elsewhere" / "pipeline"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'pipeline'\")\n")
    with worker(scheduler[0], tmp_path, cwd=package.parent):
        with pytest.raises(ClusterError, match=r"tcp://.*it cannot load our code .*No module named .*pipeline"):
            workers_for(dask(tmp_path, scheduler=scheduler[0]).machine)


def test_a_scheduler_that_goes_ends_the_run_at_once(
    tmp_path: Path, scheduler: tuple[str, subprocess.Popen[bytes]]
) -> None:
    address, process = scheduler
    work = dask(tmp_path, scheduler=address)
    with worker(address, tmp_path):
        workers_for(work.machine)
        threading.Timer(0.3, process.kill).start()
        began = time.monotonic()
        with pytest.raises(ClusterError, match="connection to the Dask scheduler was lost"):
            run(work, tmp_path / "notes", seconds=10)
        with pytest.raises(ClusterError, match="was lost"):
            workers_for(work.machine)
        assert time.monotonic() - began < 8
