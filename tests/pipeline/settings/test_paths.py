"""Paths that people write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.settings.paths import expanded, folder_to_be, is_bare_name, unwritable_folder


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    assert expanded("~/results") == Path("/home/anna/results")
    assert expanded(Path("~")) == Path("/home/anna")
    assert expanded("out-12:30") == Path("out-12:30"), "what has no tilde stays as it is"
    assert expanded("a/~b") == Path("a/~b")


def test_an_unknown_home_is_told() -> None:
    with pytest.raises(ConfigError, match="Write the whole path"):
        expanded("~nobody-of-that-name/x")


def test_a_name_that_leads_elsewhere_is_no_name() -> None:
    assert is_bare_name("scores-all.parquet") and is_bare_name("..a")
    for name in ("", ".", "..", "../a", "/a", "a/b", "a\0b", 3, None):
        assert not is_bare_name(name)


def test_what_is_in_the_way_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "lost").symlink_to("gone")
    (tmp_path / "link").symlink_to(".")
    for path in (tmp_path, tmp_path / "new" / "folder", tmp_path / "link" / "new"):
        assert folder_to_be(path) == path
    for name, told in (
        ("file", "found another kind of file"),
        ("file/x", f"{tmp_path}/file is a file"),
        ("loop/x", "symbolic links"),
        ("lost", "broken symbolic link"),
        ("x" * 300, "too long"),
        (f"new/{'x' * 300}/y", "more than 255 bytes"),
    ):
        with pytest.raises(ConfigError, match=told):
            folder_to_be(tmp_path / name)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert unwritable_folder(tmp_path / "new" / "folder") == ""
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    for path in (tmp_path, tmp_path / "new" / "folder"):
        assert unwritable_folder(path).startswith(f"Nothing can be written in {tmp_path}: ")
