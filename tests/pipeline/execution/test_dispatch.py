"""What is sent to workers: taken when it is done, tried again where that may help, and said once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from pipeline.errors import ClusterError, StageError
from pipeline.execution import cluster, dispatch
from pipeline.execution import shards as compute
from pipeline.execution.throughput import measured_seconds
from pipeline.settings.settings import Settings
from pipeline.storage.stages import is_complete
from tests.builders.counting_stage import STAGE, computed, run, settings


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Workers in this process, which are there at once."""
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as theirs:
        yield theirs.scheduler_address
        compute.close()


def on(address: str, outputs: Path) -> Settings:
    return settings(outputs, executor="dask", scheduler=address)


@pytest.mark.parametrize(("kind", "times"), [("passing", 2), ("lasting", 1)])
def test_what_may_pass_is_tried_once_more_and_nothing_is_said_twice(
    address: str, tmp_path: Path, kind: str, times: int, capfd: pytest.CaptureFixture[str]
) -> None:
    name = "latents-000000000768-000000001024.parquet"
    with pytest.raises(StageError, match=rf"{name} failed: .*Error: .*counting_stage.py, line \d+\)"):
        run(on(address, tmp_path), tmp_path / "notes", how=kind)
    assert computed(tmp_path / "notes").count(name) == times
    assert "Traceback" not in capfd.readouterr().err, "Dask says nothing: our error has the place"


def test_a_fault_that_passed_costs_nothing(address: str, tmp_path: Path) -> None:
    run(on(address, tmp_path), tmp_path / "notes", how="passing once")
    assert is_complete(STAGE, tmp_path)


def test_tasks_are_found_done_without_being_told(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask tells of a finished task from a thread of its own, which a machine that is full refuses."""
    monkeypatch.setattr("distributed.Future.add_done_callback", lambda future, function: None)
    run(on(address, tmp_path), tmp_path / "notes")
    assert is_complete(STAGE, tmp_path)


def test_a_worker_gets_a_shard_when_it_has_none(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask would keep shards of unknown duration behind a long one, on the worker that it chose at first."""
    waiting = []
    send = dispatch.Sent.send

    def sending(sent: dispatch.Sent, index: int) -> None:
        waiting.append(len(sent._waiting))
        send(sent, index)

    monkeypatch.setattr(dispatch.Sent, "send", sending)
    run(on(address, tmp_path), tmp_path / "notes")
    assert len(waiting) == 4 == len(computed(tmp_path / "notes")) and max(waiting) == 1, "two workers of one thread"


def test_a_rate_fails_no_stage(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.Workers, "count", lambda workers: 0)
    run(on(address, tmp_path), tmp_path / "notes")
    assert is_complete(STAGE, tmp_path) and measured_seconds(tmp_path)["toy/numbers toy"] > 0


@pytest.fixture
def watch(address: str, tmp_path: Path) -> dispatch._Watch:
    job = dispatch.Job(lambda *_: None, [], on(address, tmp_path), "toy", [], 1, None)
    return dispatch._Watch(job, cluster.workers_for(job.settings.machine))


def test_a_run_without_workers_gives_up(watch: dispatch._Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.Workers, "count", lambda workers: 0)
    watch.look()
    watch.seen_worker -= dispatch.WORKERLESS_SECONDS + 1
    with pytest.raises(ClusterError, match="no Dask worker is left"):
        watch.look()


def test_a_scheduler_that_does_not_answer_says_nothing_about_its_workers(
    watch: dispatch._Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where other programs take the processor for minutes, its workers compute all the same."""

    def unanswered(client: Client, **_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(Client, "nthreads", unanswered)
    watch.seen_worker -= dispatch.WORKERLESS_SECONDS + 1
    watch.look()
    monkeypatch.setattr(cluster.Workers, "count", lambda workers: 0)
    watch.look()
    monkeypatch.undo()
    watch.look()
    assert time.monotonic() - watch.seen_worker < dispatch.WORKERLESS_SECONDS / 2


def test_a_scheduler_that_never_answers_ends_the_run(watch: dispatch._Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.Workers, "count", lambda workers: None)
    watch.answered -= dispatch.UNANSWERED_SECONDS + 1
    with pytest.raises(ClusterError, match="has not answered for 18"):
        watch.look()


def test_a_clock_that_was_set_back_is_told_of(
    watch: dispatch._Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Dask sends in batches, by the clock on the wall."""
    watch.look()
    assert not caplog.records
    now = dispatch.time.time
    monkeypatch.setattr(dispatch.time, "time", lambda: now() - 7200)
    with caplog.at_level(logging.WARNING):
        watch.look()
        watch.look()
    assert [record.getMessage()[:34] for record in caplog.records] == ["The clock was set back by 7200 s: "]
