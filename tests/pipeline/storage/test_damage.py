"""Damage is what a file shows; that it cannot be read is none, and moves nothing."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from pipeline.errors import CorruptShardError, StageError
from pipeline.storage import damage
from pipeline.storage.stages import Stage, building, find_stages, is_complete, write_shard
from tests.builders.counting_stage import settings

STAGE = Stage("train", 1, {"method": "slow"}, label="slow")


def bytes_of(content: bytes):  # type: ignore[no-untyped-def]
    return lambda path: path.write_bytes(content)


def publish(outputs: Path) -> Path:
    """The stage's folder, with two files in it."""
    with building(STAGE, settings(outputs)) as builder:
        records = [write_shard(builder.folder, name, bytes_of(name.encode())) for name in ("a.bin", "b.bin")]
        builder.publish(records)
        return builder.folder


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.EACCES, "chmod g"), (errno.EMFILE, "ulimit -n"), (errno.EIO, "Run again"), (errno.ESTALE, "Run again")],
)
def test_a_file_that_cannot_be_read_is_named_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    folder = publish(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    damage._verified.clear()

    def refuse(path: Path) -> str:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(damage, "file_sha256", refuse)
    with pytest.raises(StageError, match=f"a.bin cannot be read: .*{remedy}") as found:
        is_complete(STAGE, tmp_path)
    assert not isinstance(found.value, CorruptShardError)
    with pytest.raises(StageError, match="cannot be read"):
        with building(STAGE, settings(tmp_path)):
            pass
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_manifest_that_cannot_be_read_is_no_missing_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = publish(tmp_path)

    def refuse(path: Path, **_: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", refuse)
        with pytest.raises(StageError, match="manifest.json cannot be read: Permission denied"):
            is_complete(STAGE, tmp_path)
        assert find_stages(tmp_path) == [], "a listing goes on"
    assert is_complete(STAGE, tmp_path) and folder.is_dir()


@pytest.mark.parametrize("name", ["../../../victim.txt", "/victim.txt", "..", ".lock", "manifest.json", ""])
def test_a_record_leads_nowhere_else(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    folder = publish(tmp_path / "outputs")
    victim = tmp_path / "outputs" / "victim.txt"
    victim.write_text("not of a stage")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"][0]["name"] = name
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert not is_complete(STAGE, tmp_path / "outputs")
    assert victim.read_text() == "not of a stage" and not list(tmp_path.rglob("*.corrupt"))
    assert "is no manifest (name is " in caplog.text


def test_what_stands_in_a_files_place_is_set_aside(tmp_path: Path) -> None:
    for place in ("folder", "link"):
        folder = publish(tmp_path / place)
        (folder / "a.bin").unlink()
        if place == "folder":
            (folder / "a.bin").mkdir()
            (folder / "a.bin" / "inside").touch()
        else:
            (folder / "a.bin").symlink_to("a.bin")
        assert not is_complete(STAGE, tmp_path / place)
        assert not os.path.lexists(folder / "a.bin") and os.path.lexists(folder / "a.bin.corrupt")
        publish(tmp_path / place)
        assert is_complete(STAGE, tmp_path / place)


def test_a_manifest_that_is_a_folder_is_set_aside_twice(tmp_path: Path) -> None:
    for _ in range(2):
        folder = publish(tmp_path)
        (folder / "manifest.json").unlink()
        (folder / "manifest.json").mkdir()
        (folder / "manifest.json" / "inside").touch()
        assert not is_complete(STAGE, tmp_path) and find_stages(tmp_path) == []
    publish(tmp_path)
    assert is_complete(STAGE, tmp_path)


def test_damage_in_a_folder_that_cannot_be_locked_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = publish(tmp_path)
    (folder / "b.bin").write_bytes(b"x")
    (folder / ".lock").unlink()
    (folder / ".lock").mkdir()  # nobody can lock it, whatever the rights
    assert not is_complete(STAGE, tmp_path)
    assert "b.bin: it has 1 bytes, expected 5. It could not be set aside" in caplog.text
    assert (folder / "b.bin").exists()
