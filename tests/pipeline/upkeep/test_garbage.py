"""What nobody needs is found and removed; what a published run, a setting or a process needs never is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import NoReturn

import pytest

from pipeline.errors import StageError
from pipeline.nights.notes import ASIDE, NIGHTLY
from pipeline.storage.locks import LOCK, held
from pipeline.storage.runs import RUN, alone
from pipeline.storage.stages import Stage, building, is_complete, write_shard
from pipeline.upkeep import garbage as finding
from pipeline.upkeep.garbage import REMOVING, Garbage, find_garbage, limited
from pipeline.upkeep.needed import needed_stages
from pipeline.upkeep.removal import remove
from tests.builders.counting_stage import settings

RUN_ID = "20261120T031500Z-1a2b3c4d"
READ = Stage("latents", 1, {"seed": 1}, label="train")
PUBLISHED = Stage("labels", 1, {"seed": 1}, upstream=(READ,), label="train")
CURRENT = Stage("edits", 1, {"seed": 1}, label="noop")
OLD = Stage("edits", 1, {"seed": 2}, label="noop")
BEGUN = Stage("edits", 1, {"seed": 3}, label="noop")
LATER = 10 * finding.DAY  # seconds from now


def publish(outputs: Path, *stages: Stage) -> None:
    for stage in stages:
        with building(stage, settings(outputs)) as builder:
            builder.publish([write_shard(builder.folder, "a.bin", lambda path: path.write_bytes(b"a" * 1000))])


def begin(outputs: Path, stage: Stage) -> None:
    """A stage that was interrupted after its first file."""
    with building(stage, settings(outputs)) as builder:
        write_shard(builder.folder, "a.bin", lambda path: path.write_bytes(b"a" * 500))


def publish_run(outputs: Path, *stages: Stage) -> None:
    """A published run whose manifest names these stages."""
    folder = outputs / "reports" / f"run_id={RUN_ID}"
    folder.mkdir(parents=True)
    lines = [{"fingerprint": stage.fingerprint} for stage in stages]
    (folder / "manifest.json").write_text(json.dumps({"run_id": RUN_ID, "files": {}, "stages": lines}))
    (folder / "report.html").write_text("a page")


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """A published run, a stage that luigi.cfg names, and two stages that nothing needs."""
    publish(tmp_path, READ, PUBLISHED, CURRENT, OLD)
    begin(tmp_path, BEGUN)
    publish_run(tmp_path, PUBLISHED)
    return tmp_path


def garbage_of(outputs: Path) -> list[Garbage]:
    return find_garbage(outputs, needed_stages(outputs, [CURRENT.fingerprint]))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_stages_of_a_published_run_with_all_that_they_read_and_current_ones_are_needed(outputs: Path) -> None:
    expected = {READ.fingerprint, PUBLISHED.fingerprint, CURRENT.fingerprint}
    assert needed_stages(outputs, [CURRENT.fingerprint]) == expected


def test_what_nobody_needs_is_found_with_size_and_reason(outputs: Path) -> None:
    entries = {entry.path: entry for entry in garbage_of(outputs)}
    assert set(entries) == {OLD.folder(outputs), BEGUN.folder(outputs)}
    old, begun = entries[OLD.folder(outputs)], entries[BEGUN.folder(outputs)]
    assert (old.reason, begun.reason) == (finding.UNNEEDED, finding.UNFINISHED)
    assert old.title == "edits noop" and old.bytes == sum(len(file) for file in contents(old.path).values())
    assert time.time() - 60 < old.changed <= time.time()


def test_only_garbage_is_removed(outputs: Path) -> None:
    before = contents(outputs / "reports")
    gone, spared = remove(garbage_of(outputs), outputs)
    assert {entry.path for entry in gone} == {OLD.folder(outputs), BEGUN.folder(outputs)} and not spared
    assert not any(entry.path.exists() for entry in gone) and not (outputs / REMOVING).exists()
    assert before and contents(outputs / "reports") == before
    assert all(is_complete(stage, outputs) for stage in (READ, PUBLISHED, CURRENT))
    assert not garbage_of(outputs)


@pytest.mark.parametrize("manifest", ["{", "{}", '{"stages": []}'])
def test_nothing_is_garbage_while_a_run_does_not_say_what_it_needs(outputs: Path, manifest: str) -> None:
    path = outputs / "reports" / f"run_id={RUN_ID}" / "manifest.json"
    named = {"stages": [], "inputs": {}, "run_id": RUN_ID, "files": {}}
    path.write_text(json.dumps(named) if "stages" in manifest else manifest)
    with pytest.raises(StageError, match="Nothing was removed"):
        garbage_of(outputs)


def test_an_ablation_keeps_what_it_was_made_of(outputs: Path) -> None:
    folder = outputs / "ablations" / "l2l-0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"inputs": {OLD.fingerprint: "0" * 64}, "files": {}}))
    assert [entry.path for entry in garbage_of(outputs)] == [BEGUN.folder(outputs)]


def test_other_leftovers_are_garbage_and_notes_of_nights_are_not(outputs: Path) -> None:
    (outputs / NIGHTLY).mkdir()
    for night in ("2026-11-01-synthface-smoke-0a0a0a0a-edits", "2026-11-02-synthface-smoke-0a0a0a0a-edits"):
        (outputs / ASIDE / night / "edits").mkdir(parents=True)
    (outputs / NIGHTLY / "2026-11-01-synthface-smoke-0a0a0a0a-edits.json").write_text("{}")
    for name in ("nightly/.x.json.tmp-1", ".rates.json.tmp-1", "nightly/x.md", "rates.json", ".publishing/0a-1/x"):
        (outputs / name).parent.mkdir(parents=True, exist_ok=True)
        (outputs / name).write_text("x")
    corrupt = CURRENT.folder(outputs) / "a.bin.corrupt"
    corrupt.write_text("x")
    with alone(settings(outputs), []):
        pass
    found = {str(entry.path.relative_to(outputs)) for entry in garbage_of(outputs) if not entry.stage}
    assert found == {
        "set-aside/2026-11-01-synthface-smoke-0a0a0a0a-edits",
        "nightly/.x.json.tmp-1",
        ".rates.json.tmp-1",
        ".publishing/0a-1",
        str(corrupt.relative_to(outputs)),
    }, "a night that is not concluded may need what it set aside"
    assert [entry.reason for entry in garbage_of(outputs) if entry.path.parent.name == RUN] == [finding.OVER]


def test_the_limits_spare_what_is_young_and_the_youngest_up_to_a_size() -> None:
    day = finding.DAY
    old, middle, young, half, taken = (
        Garbage(Path(name), name, reason, 100, changed)
        for name, reason, changed in (
            ("old", finding.UNNEEDED, 0.0),
            ("middle", finding.UNNEEDED, 5 * day),
            ("young", finding.UNNEEDED, 9.5 * day),
            ("half", finding.HALF, 9.5 * day),
            ("taken", finding.TAKEN, 10 * day),
        )
    )
    every = [old, middle, young, half, taken]

    def going(**limits: float) -> set[str]:
        gone, spared = limited(every, 10 * day, **limits)  # type: ignore[arg-type]
        assert len(gone) + len(spared) == len(every)
        return {entry.title for entry in gone}

    assert going() == {"old", "middle", "taken"}
    assert going(older_than=0) == {"old", "middle", "young", "taken"}
    assert going(older_than=7) == {"old", "taken"}
    assert going(older_than=0, keep=100) == {"old", "middle", "taken"}
    assert going(older_than=0, keep=200) == {"old", "taken"}
    assert going(older_than=0, keep=10**6) == {"taken"}


def test_a_run_that_goes_on_keeps_what_it_builds_and_builds_on(outputs: Path) -> None:
    entries = garbage_of(outputs)
    with alone(settings(outputs), [OLD]):
        gone, spared = remove(entries, outputs)
        assert [entry.path for entry in spared] == [OLD.folder(outputs)] and is_complete(OLD, outputs)
        assert [entry.path for entry in gone] == [BEGUN.folder(outputs)]
        assert RUN not in {entry.path.parent.name for entry in garbage_of(outputs)}, "nor is its own folder garbage"
    assert remove(entries, outputs)[1] == [] and not OLD.folder(outputs).exists()


def test_a_stage_that_another_program_computes_keeps_them_all(outputs: Path) -> None:
    entries = garbage_of(outputs)
    with building(CURRENT, settings(outputs)):  # by Luigi's own command line, which does not say what it builds on
        assert remove(entries, outputs) == ([], entries)
    with held(BEGUN.folder(outputs), "edits", wait=0.0):
        assert BEGUN.folder(outputs) not in {entry.path for entry in garbage_of(outputs)}


def test_a_removal_that_was_interrupted_leaves_whole_stages_and_the_next_ends_it(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = garbage_of(outputs)

    def killed(path: Path) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove(entries, outputs)
    assert not any(entry.path.exists() for entry in entries) and list((outputs / REMOVING).iterdir())
    again = garbage_of(outputs)
    assert {entry.reason for entry in again} == {finding.TAKEN}
    assert limited(again, time.time()) == (again, [])
    remove(again, outputs)
    assert not (outputs / REMOVING).exists() and is_complete(PUBLISHED, outputs)


def test_a_process_that_is_killed_while_it_removes_holds_nothing_up(outputs: Path) -> None:
    entries = garbage_of(outputs)
    child = os.fork()
    if not child:
        os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
        remove(entries, outputs)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert is_complete(CURRENT, outputs) and is_complete(OLD, outputs)
    entries = garbage_of(outputs)
    assert len(entries) == 2 and remove(entries, outputs) == (entries, [])


def test_a_lock_without_a_stage_is_removed_with_its_folder(outputs: Path) -> None:
    stale = outputs / "stages" / "edits" / "noop-0123456789abcdef"
    stale.mkdir(parents=True)
    (stale / LOCK).write_text("{}")
    assert stale in {entry.path for entry in garbage_of(outputs)}
    remove(garbage_of(outputs), outputs)
    assert not stale.exists()
