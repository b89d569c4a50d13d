"""Begun and unpublished stages: running, failed, interrupted; looking at them gets in nobody's way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import StageError
from pipeline.storage.locks import LOCK, holder_of
from pipeline.storage.stages import Stage, building, write_shard
from pipeline.storage.unfinished import find_unfinished, note_failure
from tests.builders.counting_stage import settings

STAGE = Stage("labels", 1, {"seed": 1}, label="train")


def text(path: Path) -> int:
    path.write_text("x")
    return 1


def test_a_running_stage_names_its_process(tmp_path: Path) -> None:
    with building(STAGE, settings(tmp_path)) as builder:
        write_shard(builder.folder, "a.txt", text)
        (found,) = find_unfinished(tmp_path)
        assert (found.title, found.shards) == ("labels train", 1)
        assert found.holder.startswith(f"process {os.getpid()} on ")
    (found,) = find_unfinished(tmp_path)
    assert (found.holder, found.error, found.shards) == ("", "", 1)  # interrupted


def test_looking_does_not_take_the_lock(tmp_path: Path) -> None:
    """A process that looks all the time never makes a builder fail."""
    folder = STAGE.folder(tmp_path)
    code = "from pathlib import Path; from pipeline.storage.locks import holder_of\n"
    code += f"while True: holder_of(Path({str(folder / LOCK)!r}))"
    with building(STAGE, settings(tmp_path)):
        pass
    looker = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3])
    try:
        for _ in range(200):
            with building(STAGE, settings(tmp_path)):
                pass
        assert looker.poll() is None, "the looker ended, so nothing was tried"
    finally:
        looker.kill()
        looker.wait()


def test_a_failure_is_noted_and_forgotten_when_published(tmp_path: Path) -> None:
    with building(STAGE, settings(tmp_path)):
        pass
    note_failure(STAGE, tmp_path, StageError("the disk is full"))
    (found,) = find_unfinished(tmp_path)
    assert (found.title, found.error) == ("labels train", "the disk is full")
    assert found.failed_at
    with building(STAGE, settings(tmp_path)) as builder:
        record = write_shard(builder.folder, "a.txt", text)
        builder.publish([record])
    assert find_unfinished(tmp_path) == []
    assert not list(STAGE.folder(tmp_path).glob("failed*"))


@pytest.mark.parametrize("content", ["[]", "{", "3", '{"error": [1], "time": null}', "[" * 200_000])
def test_a_damaged_note_stops_no_listing(tmp_path: Path, content: str) -> None:
    with building(STAGE, settings(tmp_path)) as builder:
        write_shard(builder.folder, "a.txt", text)
    (STAGE.folder(tmp_path) / "failed.json").write_text(content)
    (found,) = find_unfinished(tmp_path)
    assert found.title == "labels train" and isinstance(found.error, str) and isinstance(found.failed_at, str)


def test_nothing_is_unfinished_where_nothing_is(tmp_path: Path) -> None:
    assert find_unfinished(tmp_path) == []
    assert holder_of(tmp_path / "nowhere" / LOCK) == ""
    note_failure(STAGE, tmp_path, StageError("before the folder was there"))
    assert not list(tmp_path.iterdir())
