"""Stages survive what happens to them: kills, truncated files, full disks, a second process."""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import BusyError, CorruptShardError, StageError
from pipeline.storage import damage, stages
from pipeline.storage.runs import invalidate
from pipeline.storage.stages import Stage, building, find_stages, is_complete, read_manifest, write_shard
from pipeline.tables.parquet import read_stage
from pipeline.tables.schemas import LATENTS
from tests.builders.counting_stage import STAGE, computed, files, run, settings, shards, start, wait_for


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    outputs = tmp_path_factory.mktemp("undisturbed")
    run(settings(outputs), outputs / "notes")
    return files(outputs)


# Names


def test_the_fingerprint_follows_everything_that_can_change_a_number() -> None:
    upstream = Stage("latents", 1, {"seed": 1})
    stage = Stage("labels", 1, {"batch": 64}, {"scorer_a": "ab"}, (upstream,), label="train")
    others = [
        replace(stage, name="edits"),
        replace(stage, version=2),
        replace(stage, parameters={"batch": 32}),
        replace(stage, weights={"scorer_a": "cd"}),
        replace(stage, upstream=(Stage("latents", 1, {"seed": 2}),)),
        replace(stage, upstream=()),
    ]
    assert len({stage.fingerprint, *(other.fingerprint for other in others)}) == 7
    assert stage == replace(stage, label="faces"), "a label is for people"
    assert stage == Stage("labels", 1, {"batch": 64}, {"scorer_a": "ab"}, (upstream,))


def test_the_folder_is_named_by_the_fingerprint(tmp_path: Path) -> None:
    assert STAGE.folder(tmp_path) == tmp_path / "stages" / "numbers" / f"toy-{STAGE.fingerprint[:16]}"


def test_what_is_not_published_does_not_exist(tmp_path: Path) -> None:
    write_shard_of_bytes(tmp_path, b"finished, but not published")
    assert not is_complete(STAGE, tmp_path)
    assert find_stages(tmp_path) == []
    with pytest.raises(StageError, match="numbers toy is not computed"):
        read_manifest(STAGE, tmp_path)


def write_shard_of_bytes(outputs: Path, content: bytes, name: str = "numbers.bin") -> stages.ShardRecord:
    with building(STAGE, settings(outputs)) as builder:
        return write_shard(builder.folder, name, lambda path: path.write_bytes(content))


def test_a_published_stage_tells_where_it_comes_from(tmp_path: Path) -> None:
    manifest = run(settings(tmp_path), tmp_path / "notes")
    assert manifest == read_manifest(STAGE, tmp_path) == find_stages(tmp_path)[0]
    assert manifest.rows == 1024 and len(manifest.shards) == 4
    assert manifest.weights == STAGE.weights and manifest.parameters == STAGE.parameters
    assert manifest.packages["pyarrow"] and manifest.machine["cores"] >= 1 and manifest.commit
    assert read_stage(STAGE, tmp_path, LATENTS).column("latent_id").to_pylist() == list(range(1024))


# Kills


def test_killed_at_any_rename_it_goes_on_and_ends_with_the_same_files(
    tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    notes = tmp_path / "notes"
    # Renames of a whole run: two per shard (file, record), one of the rates, one of the manifest. 2 n - 1 is just
    # before the n-th, 2 n just after it. Each process goes on from what the one before left.
    for point in (2, 3, 5, 15, 2):
        process = start(tmp_path / "outputs", notes, "inline", 0, point)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
    assert is_complete(STAGE, tmp_path / "outputs"), "the last one died after the manifest"
    run(settings(tmp_path / "outputs"), notes)
    assert files(tmp_path / "outputs") == undisturbed
    assert list(STAGE.folder(tmp_path / "outputs").glob(".*.tmp-*")) == []


def test_killed_from_outside_it_keeps_finished_shards(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    notes, folder = tmp_path / "notes", STAGE.folder(tmp_path)
    process = start(tmp_path, notes, "inline", 0.4)
    wait_for(lambda: len(list(folder.glob("*.parquet.json"))) >= 2)
    process.kill()
    process.communicate()
    finished = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet") if _has_record(path)}
    assert 2 <= len(finished) < 4 and not is_complete(STAGE, tmp_path)
    before = len(computed(notes))
    run(settings(tmp_path), notes)
    assert set(computed(notes)[before:]) == set(undisturbed) - set(finished)
    assert {name: (folder / name).stat().st_mtime_ns for name in finished} == finished
    assert files(tmp_path) == undisturbed


def _has_record(path: Path) -> bool:
    return path.with_name(f"{path.name}.json").exists()


def test_killed_with_its_dask_workers_it_goes_on(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    notes, folder = tmp_path / "notes", STAGE.folder(tmp_path)
    process = start(tmp_path, notes, "dask", 0.6)
    wait_for(lambda: len(list(folder.glob("*.parquet.json"))) >= 2)
    process.kill()
    process.communicate()
    workers = {int(line.split()[1]) for line in (notes / "computed").read_text().splitlines()}
    wait_for(lambda: not any(_alive(pid) for pid in workers))
    before = len(computed(notes))
    run(settings(tmp_path), notes)
    assert len(computed(notes)) - before <= 2
    assert files(tmp_path) == undisturbed


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_second_run_computes_nothing(tmp_path: Path) -> None:
    first = run(settings(tmp_path), tmp_path / "notes")
    count = len(computed(tmp_path / "notes"))
    assert run(settings(tmp_path), tmp_path / "notes") == first
    assert len(computed(tmp_path / "notes")) == count


def test_another_shard_size_replaces_the_unfinished_files_of_the_first(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with pytest.raises(StageError, match="poison|bad number"):
        run(settings(tmp_path), notes, how="poison")
    manifest = run(settings(tmp_path), notes, size=512)
    on_disk = {path.name for path in STAGE.folder(tmp_path).glob("*.parquet")}
    assert on_disk == {record.name for record in manifest.shards} and len(on_disk) == 2
    assert read_stage(STAGE, tmp_path, LATENTS, ["latent_id"]).num_rows == 1024


# Corruption


@pytest.mark.parametrize("harm", ["truncated", "flipped", "removed", "emptied"])
def test_a_corrupt_shard_is_found_named_and_computed_again_alone(
    tmp_path: Path, undisturbed: dict[str, bytes], caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    notes = tmp_path / "notes"
    run(settings(tmp_path), notes)
    victim = STAGE.folder(tmp_path) / shards(notes)[2].name
    content = victim.read_bytes()
    if harm == "removed":
        victim.unlink()
    else:
        flipped = content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]
        victim.write_bytes({"truncated": content[:-100], "flipped": flipped, "emptied": b""}[harm])
    before = len(computed(notes))
    with pytest.raises(CorruptShardError, match=victim.name):
        read_stage(STAGE, tmp_path, LATENTS)
    with caplog.at_level(logging.WARNING):
        assert not is_complete(STAGE, tmp_path)
    assert str(victim) in caplog.text
    assert victim.with_name(f"{victim.name}.corrupt").exists() == (harm != "removed")
    run(settings(tmp_path), notes)
    assert computed(notes)[before:] == [victim.name]
    assert files(tmp_path) == undisturbed


def test_a_shard_truncated_before_publication_is_computed_again(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    notes = tmp_path / "notes"
    with pytest.raises(StageError):
        run(settings(tmp_path), notes, how="poison")
    victim = STAGE.folder(tmp_path) / shards(notes)[1].name
    os.truncate(victim, 5000)
    before = len(computed(notes))
    run(settings(tmp_path), notes)
    assert computed(notes)[before:] == [shards(notes)[1].name, shards(notes)[3].name]
    assert files(tmp_path) == undisturbed


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stage": "numbers"}'])
def test_a_broken_manifest_counts_as_none(tmp_path: Path, undisturbed: dict[str, bytes], content: str) -> None:
    notes = tmp_path / "notes"
    run(settings(tmp_path), notes)
    (STAGE.folder(tmp_path) / "manifest.json").write_text(content)
    assert not is_complete(STAGE, tmp_path)
    run(settings(tmp_path), notes)
    assert len(computed(notes)) == 4, "the shards have their own records"
    assert files(tmp_path) == undisturbed


# A full disk


def full_disk(folder: Path) -> bool:
    """A file system of 1 MiB at `folder`; False where this user may not mount one."""
    folder.mkdir()
    try:
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def test_a_full_disk_is_said_and_nothing_is_published(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    small = tmp_path / "small"
    if full_disk(small):
        try:
            process = start(small, tmp_path / "notes")
            problem = process.communicate(timeout=60)[1]
            left, complete = files(small), is_complete(STAGE, small)
            hidden = list(STAGE.folder(small).glob(".*.tmp-*"))
            # Space again: what was finished is kept.
            subprocess.run(["mount", "-o", "remount,size=8m", str(small)], check=True)
            run(settings(small), tmp_path / "notes")
            mended = files(small)
        finally:
            subprocess.run(["umount", "-l", str(small)], check=True)
        assert len(left) == 2 and mended == undisturbed
        assert computed(tmp_path / "notes")[3:] == sorted(undisturbed)[2:]
    else:  # as near to it as a user comes: no file may grow over 100 kB
        limit = (100_000, resource.RLIM_INFINITY)
        process = start(small, tmp_path / "notes", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        problem = process.communicate(timeout=60)[1]
        left, complete = files(small), is_complete(STAGE, small)
        hidden = list(STAGE.folder(small).glob(".*.tmp-*"))
        assert left == {}
    assert process.returncode == 1 and not complete and hidden == []
    assert "Disk full: wrote" in problem and "Nothing was published" in problem and "Free at least" in problem


def test_a_file_size_limit_is_treated_as_a_full_disk(tmp_path: Path) -> None:
    limit = (100_000, resource.RLIM_INFINITY)
    process = start(tmp_path, tmp_path / "notes", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    problem = process.communicate(timeout=60)[1]
    assert process.returncode == 1 and "Disk full: wrote" in problem
    assert files(tmp_path) == {} and not is_complete(STAGE, tmp_path)


# Two at a time


def test_a_second_process_is_told_who_holds_the_stage(tmp_path: Path) -> None:
    first = start(tmp_path, tmp_path / "notes", "inline", 0.5)
    try:
        wait_for(lambda: (tmp_path / "notes" / "computed").exists())
        with pytest.raises(BusyError, match=f"computed by process {first.pid} on "):
            run(settings(tmp_path), tmp_path / "notes")
        with pytest.raises(BusyError):
            invalidate([STAGE], tmp_path)
    finally:
        first.kill()
        first.communicate()
    run(settings(tmp_path), tmp_path / "notes")  # a lock dies with its process


def test_a_second_process_waits_if_it_may_and_computes_nothing(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    notes = tmp_path / "notes"
    both = [start(tmp_path, notes, "inline", 0.2, 0, 60) for _ in range(2)]
    ends = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert sorted(computed(notes)) == sorted(undisturbed), "each shard once"
    assert files(tmp_path) == undisturbed


# Leftovers


def test_checkpoints_and_leftovers_go_when_the_stage_is_published(tmp_path: Path) -> None:
    folder = STAGE.folder(tmp_path)
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.safetensors").write_bytes(b"x")
    (folder / ".a.parquet.tmp-0123").write_bytes(b"half")
    record = write_shard_of_bytes(tmp_path, b"whole")
    with building(STAGE, settings(tmp_path)) as builder:
        builder.publish([record], {"note": 1})
    assert {path.name for path in folder.iterdir()} == {
        ".lock", "manifest.json", "numbers.bin", "numbers.bin.json"
    }  # fmt: skip
    assert read_manifest(STAGE, tmp_path).extra == {"note": 1}


def test_a_shard_that_is_not_here_is_not_published(tmp_path: Path) -> None:
    record = write_shard_of_bytes(tmp_path, b"whole")
    with building(STAGE, settings(tmp_path)) as builder:
        (builder.folder / record.name).unlink()
        with pytest.raises(StageError, match="removed meanwhile"):
            builder.publish([record])
    assert not is_complete(STAGE, tmp_path)


def test_the_same_file_is_hashed_once_per_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(settings(tmp_path), tmp_path / "notes")
    damage._verified.clear()
    hashed = []
    original = damage.file_sha256
    monkeypatch.setattr(damage, "file_sha256", lambda path: hashed.append(path) or original(path))
    assert is_complete(STAGE, tmp_path) and is_complete(STAGE, tmp_path)
    assert len(hashed) == 4


def test_a_manifest_is_json_that_others_can_read(tmp_path: Path) -> None:
    run(settings(tmp_path), tmp_path / "notes")
    manifest = json.loads((STAGE.folder(tmp_path) / "manifest.json").read_text())
    assert manifest["stage"] == "numbers" and manifest["shards"][0]["rows"] == 256
