"""What a night leaves behind: its note, and the stages that it set aside to measure them again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from pipeline.errors import BusyError
from pipeline.nights.notes import Note, marker, night_name, read_notes, set_aside_for, settle, write_note
from pipeline.storage.runs import alone
from pipeline.storage.stages import Stage, building, is_complete, write_shard
from tests.builders.counting_stage import settings

FIRST = Stage("latents", 1, {"seed": 1}, label="train")
SECOND = Stage("labels", 1, {"seed": 1}, label="train")
NAME = "2026-11-24-toy-test-00000000-latents"


def publish(outputs: Path, stage: Stage, content: bytes = b"a") -> None:
    with building(stage, settings(outputs)) as builder:
        builder.publish([write_shard(builder.folder, "a.bin", lambda path: path.write_bytes(content))])


def test_stages_are_set_aside_whole_and_the_same_bits_go(tmp_path: Path) -> None:
    for stage in (FIRST, SECOND):
        publish(tmp_path, stage)
    with alone(settings(tmp_path), [FIRST, SECOND]):  # the night itself builds on them
        set_aside_for(settings(tmp_path), NAME, [SECOND, FIRST])
    aside = marker(tmp_path, NAME).parent
    assert marker(tmp_path, NAME).is_file()
    assert not is_complete(FIRST, tmp_path) and not is_complete(SECOND, tmp_path)
    publish(tmp_path, FIRST)
    publish(tmp_path, SECOND, b"b")
    assert settle(settings(tmp_path), NAME) == (1, 1)
    kept = [path.read_bytes() for path in aside.rglob("a.bin")]
    assert kept == [b"a"], "the one from which published reports were made"
    assert settle(settings(tmp_path), NAME) == (0, 1)


def test_a_night_that_was_killed_while_it_set_aside_goes_on(tmp_path: Path) -> None:
    publish(tmp_path, FIRST)
    set_aside_for(settings(tmp_path), NAME, [FIRST])
    marker(tmp_path, NAME).unlink()
    publish(tmp_path, FIRST, b"half of a run that was killed")
    set_aside_for(settings(tmp_path), NAME, [FIRST])
    assert [path.read_bytes() for path in marker(tmp_path, NAME).parent.rglob("a.bin")] == [b"a"]
    assert not is_complete(FIRST, tmp_path)


def test_no_stage_of_another_run_is_set_aside(tmp_path: Path) -> None:
    publish(tmp_path, FIRST)
    own = settings(tmp_path)
    other = replace(own, experiment=replace(own.experiment, seed=8))
    with alone(other, [FIRST]), pytest.raises(BusyError):
        set_aside_for(own, NAME, [FIRST])
    assert is_complete(FIRST, tmp_path) and not marker(tmp_path, NAME).exists()


def test_notes_are_read_by_date(tmp_path: Path) -> None:
    for day in (25, 24):
        name = night_name(settings(tmp_path), date(2026, 11, day))
        write_note(tmp_path, name, Note(f"2026-11-{day}", f"run_id=202611{day}T000000Z-aaaaaaaa"))
    for name, text in (("a", "{}"), ("b", '{"date": "2026-11-26", "report": "x", "comparison": {"findings": 3}}')):
        (tmp_path / "nightly" / f"2026-11-26-{name}.json").write_text(text)
    assert [note.date for note in read_notes(tmp_path)] == ["2026-11-24", "2026-11-25"]


def test_a_night_that_measures_again_has_a_name_of_its_own(tmp_path: Path) -> None:
    plain = night_name(settings(tmp_path), date(2026, 11, 24))
    assert plain.startswith("2026-11-24-toy-test-")
    assert night_name(settings(tmp_path), date(2026, 11, 24), "edits") == f"{plain}-edits"
