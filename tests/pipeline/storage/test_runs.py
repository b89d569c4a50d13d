"""One process for the same settings, and no stage is removed while a run builds on it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import BusyError
from pipeline.settings.settings import Settings
from pipeline.storage.runs import BUILDS_ON, alone, invalidate, run_stage
from pipeline.storage.stages import Stage, building, is_complete, write_shard
from tests.builders.counting_stage import settings

FIRST = Stage("latents", 1, {"seed": 1}, label="train")
SECOND = Stage("labels", 1, {"seed": 1}, label="train")


def publish(outputs: Path, *stages: Stage) -> None:
    for stage in stages:
        with building(stage, settings(outputs)) as builder:
            builder.publish([write_shard(builder.folder, "a.bin", lambda path: path.write_bytes(b"a"))])


def test_what_was_there_is_removed(tmp_path: Path) -> None:
    publish(tmp_path, FIRST, SECOND)
    assert invalidate([FIRST, replace(FIRST, version=2)], tmp_path) == [FIRST.folder(tmp_path)]
    assert not FIRST.folder(tmp_path).exists() and is_complete(SECOND, tmp_path)


@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST)])
def test_all_are_removed_or_none(tmp_path: Path, order: tuple[Stage, Stage]) -> None:
    publish(tmp_path, FIRST, SECOND)
    with building(SECOND, settings(tmp_path)), pytest.raises(BusyError, match="labels train"):
        invalidate(order, tmp_path)
    assert is_complete(FIRST, tmp_path) and is_complete(SECOND, tmp_path)
    assert len(invalidate(order, tmp_path)) == 2


def test_a_run_keeps_the_stages_that_it_builds_on(tmp_path: Path) -> None:
    publish(tmp_path, FIRST, SECOND)
    with alone(settings(tmp_path), [FIRST]):
        with pytest.raises(BusyError, match=f"process {os.getpid()} on .* builds on latents train"):
            invalidate([SECOND, FIRST], tmp_path)
        assert is_complete(FIRST, tmp_path) and is_complete(SECOND, tmp_path), "nothing was removed"
        assert invalidate([SECOND], tmp_path), "what it does not build on"
    assert invalidate([FIRST], tmp_path), "a run that is over"


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"folders": 3}'])
def test_a_run_that_does_not_say_what_it_builds_on_keeps_all(tmp_path: Path, content: str | None) -> None:
    publish(tmp_path, FIRST)
    with alone(settings(tmp_path), [SECOND]):
        path = run_stage(settings(tmp_path)).folder(tmp_path) / BUILDS_ON
        path.unlink() if content is None else path.write_text(content)
        with pytest.raises(BusyError):
            invalidate([FIRST], tmp_path)


def test_the_very_same_run_is_refused_and_another_is_not(tmp_path: Path) -> None:
    own: Settings = settings(tmp_path)
    other = replace(own, experiment=replace(own.experiment, seed=8))
    with alone(own, []):
        with pytest.raises(BusyError, match=f"very same run is being computed by process {os.getpid()} on "):
            with alone(own, []):
                pass
        with alone(other, []):
            pass
