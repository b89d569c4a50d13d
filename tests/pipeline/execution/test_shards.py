"""Shards on real Dask workers, some of which are killed, and in this process."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import StageError
from pipeline.execution import cluster
from pipeline.execution import shards as compute
from pipeline.execution.shards import Progress, run_shards
from pipeline.progress import Display, shown_on
from pipeline.storage.stages import is_complete
from tests.builders import counting_stage as toy
from tests.builders.counting_stage import STAGE, computed, dask, files, run, settings, shards, start, wait_for


@pytest.fixture(scope="module", autouse=True)
def cluster_ends() -> Iterator[None]:
    yield
    compute.close()


def who(notes: Path) -> list[tuple[int, str]]:
    """Process and OMP threads of each computation."""
    lines = [line.split() for line in (notes / "computed").read_text().splitlines()]
    return [(int(pid), threads) for _, pid, threads in lines]


def test_dask_and_inline_give_the_same_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(settings(tmp_path / "a"), tmp_path / "notes a")
    with caplog.at_level(logging.WARNING):
        manifest = run(dask(tmp_path / "b"), tmp_path / "notes b")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert [record.name for record in manifest.shards] == [shard.name for shard in shards(tmp_path)], "in order"
    assert os.getpid() not in {pid for pid, _ in who(tmp_path / "notes b")}
    assert {pid for pid, _ in who(tmp_path / "notes a")} == {os.getpid()}
    assert caplog.records == []


def test_workers_are_started_once_and_keep_to_their_threads(tmp_path: Path) -> None:
    run(dask(tmp_path / "a"), tmp_path / "notes")
    run(dask(tmp_path / "b"), tmp_path / "notes")
    assert len({pid for pid, _ in who(tmp_path / "notes")}) <= 2
    assert {threads for _, threads in who(tmp_path / "notes")} == {"1"}
    training = toy.calls(dask(tmp_path / "a"), shards(tmp_path / "training")[:1])
    run_shards(toy.compute, training, settings=dask(tmp_path / "a"), label="a", threads=2)
    assert {threads for _, threads in who(tmp_path / "training")} == {"2"}


def test_results_are_kept_as_they_arrive(tmp_path: Path) -> None:
    STAGE.folder(tmp_path).mkdir(parents=True)
    seen: list = []
    work = shards(tmp_path / "notes")
    calls = toy.calls(settings(tmp_path), work)
    found = run_shards(toy.compute, calls, settings=settings(tmp_path), label="a", keep=seen.append)
    assert [record.name for record in found] == [shard.name for shard in work]
    assert seen == found
    assert run_shards(toy.compute, [], settings=settings(tmp_path), label="a") == []


def test_progress_inside_a_shard_reaches_the_display(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.progress.PLAIN_SECONDS", 0.0)
    STAGE.folder(tmp_path).mkdir(parents=True)
    work = shards(tmp_path / "notes", seconds=2.5)[:1]
    calls = toy.calls(dask(tmp_path), work)
    run_shards(toy.compute, calls, settings=dask(tmp_path), label="training", units=[1000], unit="steps")
    shown = capsys.readouterr().err
    assert "part 0" in shown and "toy training: 250 of 1,000 steps (25 %)" in shown and " left" in shown
    assert "toy training: 1,000 steps in " in shown


class Seen:
    """A board that keeps what displays say."""

    def __init__(self) -> None:
        self.facts: list[str] = []

    def show(self, display: Display) -> None:
        self.facts.append(display.facts().partition(" of the work")[0])

    def close(self, display: Display) -> None:
        self.facts.append(display.summary().partition(" in ")[0])


def half_way(work: object, shard: str, progress: Progress) -> str:
    progress(1, 2, "")
    return shard


def test_parts_of_unlike_shards_count_as_work_and_not_as_shards(tmp_path: Path) -> None:
    seen, inline = Seen(), settings(tmp_path, executor="inline")
    with shown_on(seen):
        run_shards(
            half_way, [(None, "a"), (None, "b")], settings=inline, label="train", units=[30, 10], unit="methods",
            unlike=True, measure=False,
        )  # fmt: skip
    assert list(dict.fromkeys(seen.facts)) == [
        "0 of 2 methods, 0 %",
        "0 of 2 methods, 38 %",
        "1 of 2 methods, 75 %",
        "1 of 2 methods, 88 %",
        "2 of 2 methods, 100 %",
        "toy train: 2 of 2 methods",
    ]


def test_a_dead_worker_costs_what_was_not_taken_from_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        run(dask(tmp_path / "a"), tmp_path / "notes", how="die once")
    assert is_complete(STAGE, tmp_path / "a")
    assert 5 <= len(computed(tmp_path / "notes")) <= 7, "of four, the last again, and at most two done by that worker"
    assert (tmp_path / "notes" / "died").exists()
    assert "died; its" in caplog.text
    run(settings(tmp_path / "b"), tmp_path / "other notes")
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.parametrize("executor", ["dask", "inline"])
def test_a_poison_shard_is_named_and_the_others_are_kept(tmp_path: Path, executor: str) -> None:
    with pytest.raises(StageError) as caught:
        run(settings(tmp_path, executor=executor, workers=2), tmp_path / "notes", how="poison")
    shard = "latents-000000000768-000000001024.parquet"
    for part in (shard, "ValueError: there is a bad number in it", "counting_stage.py"):
        assert part in str(caught.value)
    assert not is_complete(STAGE, tmp_path)
    assert len(files(tmp_path)) >= 2
    run(settings(tmp_path), tmp_path / "notes")
    assert len(set(computed(tmp_path / "notes"))) == 4


def test_a_shard_that_kills_every_worker_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute.close()
    monkeypatch.setattr(cluster, "DEATHS_ALLOWED", 1)
    with pytest.raises(StageError, match=r"latents-000000000768.* killed its worker 2 times"):
        run(dask(tmp_path), tmp_path / "notes", how="die always")
    assert not is_complete(STAGE, tmp_path)
    kept = {path.name for path in STAGE.folder(tmp_path).glob("*.parquet")}
    assert kept == {shard.name for shard in shards(tmp_path)[:-1]}, "those that only waited beside it are computed"


def test_our_own_errors_come_as_they_are_and_are_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="^this shard refuses, as expected$"):
        run(dask(tmp_path), tmp_path / "notes", how="refuse")
    assert computed(tmp_path / "notes").count("latents-000000000768-000000001024.parquet") == 1


def test_ctrl_c_stops_everything_quietly_and_the_next_run_goes_on(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    process = start(tmp_path, notes, "dask", 3, 0, 0, 128, start_new_session=True)
    wait_for(lambda: len(list(STAGE.folder(tmp_path).glob("*.parquet.json"))) >= 2)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    shown = process.communicate(timeout=30)[1]
    assert time.monotonic() - began < 10
    assert process.returncode != 0 and shown.count("Traceback") == 1, "our own KeyboardInterrupt alone"
    before = len(computed(notes))
    process = start(tmp_path, notes, "dask", 0, 0, 0, 128)
    shown = process.communicate(timeout=60)
    assert process.returncode == 0 and is_complete(STAGE, tmp_path)
    assert len(computed(notes)) - before <= 6
    words = [line for part in shown for line in part.splitlines()]
    assert len(words) == 1 and words[0].startswith("toy numbers toy: "), "nothing from Dask"
