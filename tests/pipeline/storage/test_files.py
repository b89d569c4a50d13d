"""Files that are there whole or not at all, and what is said of those that cannot be written or read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from pipeline.errors import StageError
from pipeline.storage.files import is_full_disk, read_json, replacing, told, write_alone, write_json, write_whole
from pipeline.storage.locks import open_shared


@pytest.fixture
def umask() -> Iterator[int]:
    """A umask under which the group may write, for this test."""
    before = os.umask(0o002)
    yield 0o002
    os.umask(before)


def test_a_file_has_the_rights_of_a_new_file_whoever_writes_it(tmp_path: Path, umask: int) -> None:
    write_whole(tmp_path, "a.safetensors", lambda path: save_file({"w": torch.zeros(2)}, path))
    assert stat.S_IMODE((tmp_path / "a.safetensors").stat().st_mode) == 0o664
    assert list(tmp_path.iterdir()) == [tmp_path / "a.safetensors"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "Disk full: wrote 2 bytes of .*No space left"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "Disk full.*raise the quota"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "Disk full.*No space left"),
        (OSError(errno.EACCES, "Permission denied"), "Cannot write .*a.bin: Permission denied. Ask the owner"),
        (OSError(errno.ENOENT, "No such file or directory"), "removed or renamed meanwhile"),
    ],
)
def test_what_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path, error: Exception, expected: str) -> None:
    def write(path: Path) -> None:
        path.write_bytes(b"ha")
        raise error

    with pytest.raises(StageError, match=expected):
        write_whole(tmp_path, "a.bin", write)
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_is_no_disks_stays_what_it_is(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        raise ValueError("a bad number")

    with pytest.raises(ValueError, match="a bad number"):
        write_whole(tmp_path, "a.bin", write)
    assert not is_full_disk(ValueError("28")) and not is_full_disk(OSError("no number"))


def test_json_is_read_or_refused_in_words(tmp_path: Path) -> None:
    write_json(tmp_path, "a.json", {"a": 1})
    assert read_json(tmp_path / "a.json") == {"a": 1}
    (tmp_path / "loop.json").symlink_to("loop.json")
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "deep.json").write_text("[" * 200_000)
    for name, reason in (("loop", "leads back"), ("folder", "no file"), ("pipe", "no file"), ("deep", "too deep")):
        with pytest.raises(ValueError, match=reason):
            read_json(tmp_path / f"{name}.json")
    for missing in (tmp_path / "none.json", tmp_path / "a.json" / "below.json"):
        with pytest.raises(FileNotFoundError):
            read_json(missing)


def test_a_lock_is_for_all_who_may_write_in_its_folder(tmp_path: Path) -> None:
    for rights, expected in ((0o775, 0o664), (0o777, 0o666), (0o755, 0o644)):
        folder = tmp_path / oct(rights)
        folder.mkdir()
        folder.chmod(rights)
        with open_shared(folder / ".lock"):
            assert stat.S_IMODE((folder / ".lock").stat().st_mode) == expected


def test_another_users_lock_is_locked_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".lock").write_text("theirs")
    plain = Path.open

    def refuse(path: Path, mode: str = "r", **more: object):  # type: ignore[no-untyped-def]
        if "a" in mode:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return plain(path, mode, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    with open_shared(tmp_path / ".lock") as file:
        assert file.read() == "theirs"
    with pytest.raises(PermissionError):
        open_shared(tmp_path / "none")


def test_what_a_user_can_mend_is_told_and_the_rest_is_ours() -> None:
    assert told(PermissionError(errno.EACCES, "Permission denied", "/a/b")).startswith("/a/b: Permission denied.")
    assert told(OSError(errno.ENOSPC, "No space left on device", "/tmp/b")).startswith("Disk full: ")
    assert told(FileNotFoundError(errno.ENOENT, "No such file or directory", "/a/b")) == ""
    assert told(OSError(errno.EPIPE, "Broken pipe")) == "" and told(OSError("no number")) == ""


def test_a_checkpoint_is_replaced_whole_and_clears_up(tmp_path: Path) -> None:
    path, other = tmp_path / "last.pt", tmp_path / ".other.pt.tmp-0123"
    (tmp_path / ".last.pt.tmp-0123").write_bytes(b"of a process that was killed")
    other.touch()
    for number in (1, 2):
        write_alone(path, lambda file, number=number: torch.save({"step": number}, file))
        assert torch.load(path, weights_only=True) == {"step": number}
    assert sorted(tmp_path.iterdir()) == [other, path]


def test_a_disk_that_is_full_under_torch_is_told(tmp_path: Path) -> None:
    """torch's writer raises an error of its own while the disk's passes through it."""
    path = tmp_path / "last.pt"
    path.write_bytes(b"old")

    def write(file: IO[bytes]) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise RuntimeError("unexpected pos 704 vs 598")

    with pytest.raises(StageError, match=r"Disk full: .*last\.pt and could not go on"):
        write_alone(path, write)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "table"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            temporary.write_text(text)
            assert temporary.parent == tmp_path and path.exists() == (text == "new")
    assert path.read_text() == "new"
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]
