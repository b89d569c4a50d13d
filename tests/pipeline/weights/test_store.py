"""Where weight files lie, and what is said of them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, UnknownNameError, WeightsError
from pipeline.settings.downloads import Downloads, load_downloads
from pipeline.weights import store as stores
from pipeline.weights.records import RECORDS, Record, read_records, write_record
from pipeline.weights.store import MISSING, PRESENT, UNVERIFIED, WRONG, open_store, weights_folder
from tests.builders.weight_store import CONTENT, OTHER, SHA256, TABLE, store

ROOT = Path(__file__).parents[3]
KNOWN, UNKNOWN = TABLE["known"], TABLE["unknown"]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(stores.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_where_the_folder_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert weights_folder() == tmp_path / "cache" / "latentbench" / "weights"
    assert weights_folder(str(tmp_path / "set")) == tmp_path / "set"
    monkeypatch.setenv(stores.VARIABLE, str(tmp_path / "environment"))
    assert weights_folder(str(tmp_path / "set")) == tmp_path / "environment"
    assert open_store(Downloads()).folder == tmp_path / "environment"
    monkeypatch.delenv(stores.VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights_folder() == tmp_path / ".cache" / "latentbench" / "weights"


def test_a_user_without_a_home_is_asked_for_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(ConfigError, match=stores.VARIABLE):
        weights_folder()
    assert weights_folder(str(tmp_path)) == tmp_path


def test_it_is_never_within_the_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(ROOT / "outputs")
    for folder in (ROOT, ROOT / "outputs" / "weights", tmp_path / "link", Path("~/x/..") / ROOT):
        with pytest.raises(ConfigError, match=stores.VARIABLE):
            weights_folder(str(folder))
    monkeypatch.setenv(stores.VARIABLE, str(ROOT / "pipeline"))
    with pytest.raises(ConfigError, match=stores.VARIABLE):
        open_store(Downloads())


def test_a_missing_file_is_told_with_name_url_size_and_command(tmp_path: Path) -> None:
    here = store(tmp_path / "not" / "there")
    with pytest.raises(WeightsError) as caught:
        here.require("known")
    message = str(caught.value)
    assert all(part in message for part in (KNOWN.name, KNOWN.url, "3,000,000 bytes", str(here.path(KNOWN))))
    assert "latentbench weights fetch known" in message and "--from DIR" in message
    with pytest.raises(UnknownNameError):
        here.require("unheard")
    assert not here.folder.exists(), "looking makes nothing"


def test_states(tmp_path: Path) -> None:
    here, path = store(tmp_path), tmp_path / KNOWN.file
    assert here.standing(KNOWN).state == MISSING
    path.write_bytes(CONTENT)
    assert here.standing(KNOWN).state == UNVERIFIED
    assert here.verify(KNOWN).state == PRESENT
    assert here.standing(KNOWN).state == PRESENT and here.standing(KNOWN).sha256 == SHA256
    os.utime(path, ns=(1, 1))
    assert here.standing(KNOWN).state == UNVERIFIED, "it changed since it was hashed"
    assert here.verify(KNOWN).state == PRESENT and here.standing(KNOWN).state == PRESENT
    path.write_bytes(CONTENT[:-1])
    assert here.verify(KNOWN).state == WRONG and "2,999,999 bytes" in here.verify(KNOWN).reason
    path.write_bytes(OTHER)
    assert here.verify(KNOWN).state == WRONG and SHA256 in here.verify(KNOWN).reason
    path.unlink()
    path.mkdir()
    assert here.verify(KNOWN).state == WRONG


def test_a_record_that_the_table_contradicts_counts_for_nothing(tmp_path: Path) -> None:
    """A newer version of the table publishes a sha256 that the recorded file has not."""
    here = store(tmp_path)
    here.path(UNKNOWN).write_bytes(OTHER)
    assert here.adopt(UNKNOWN).state == PRESENT
    known = replace(UNKNOWN, sha256=SHA256)
    assert here.standing(known).state == UNVERIFIED
    assert here.verify(known).state == WRONG and here.expected(known) == SHA256


def test_a_file_is_hashed_once_per_process_and_again_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, hashed = store(tmp_path), []
    original = stores.file_sha256
    monkeypatch.setattr(stores, "file_sha256", lambda path: hashed.append(path) or original(path))
    here.path(KNOWN).write_bytes(CONTENT)
    assert here.require("known") == here.require("known") and len(hashed) == 1
    here.path(KNOWN).write_bytes(CONTENT)
    assert here.require("known") and len(hashed) == 2


def test_a_folder_that_cannot_be_written_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights on a shared disk, read-only: what is published is checked, and nothing is recorded."""
    here = store(tmp_path)
    here.path(KNOWN).write_bytes(CONTENT)

    def refuse(*arguments: object) -> None:
        raise WeightsError("read-only")

    monkeypatch.setattr(stores, "write_record", refuse)
    assert here.require("known") == here.path(KNOWN)
    assert not (tmp_path / RECORDS).exists()


def test_records_keep_one_another(tmp_path: Path) -> None:
    one = Record("a", "0" * 64, 1, "here", "2026-11-01T00:00:00+00:00", 5)
    write_record(tmp_path, "a", one)
    write_record(tmp_path, "b", replace(one, file="b"))
    write_record(tmp_path, "a", replace(one, size=2))
    assert read_records(tmp_path) == {"a": replace(one, size=2), "b": replace(one, file="b")}


def test_what_never_ends_is_no_weight_file_and_no_record(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / UNKNOWN.file)
    here = store(tmp_path)
    for standing in (here.standing(UNKNOWN), here.verify(UNKNOWN)):
        assert standing.state == WRONG and "it is a pipe or a device" in standing.reason
    os.mkfifo(tmp_path / RECORDS)
    with pytest.raises(WeightsError, match="weights.lock.json"):
        here.verify(UNKNOWN)
    (tmp_path / RECORDS).unlink()
    (tmp_path / RECORDS).write_text("[" * 200_000)
    with pytest.raises(WeightsError, match="weights.lock.json"):
        here.verify(UNKNOWN)


def test_settings(tmp_path: Path) -> None:
    assert load_downloads(ROOT / "luigi.cfg") == Downloads(), "what luigi.cfg says is what the code assumes"
    path = tmp_path / "luigi.cfg"
    path.write_text("[weights]\nmirror = https://mirror.example\nretries = 2\n")
    assert load_downloads(path) == Downloads(mirror="https://mirror.example", retries=2)
    path.write_text("[latentbench]\n")
    assert load_downloads(path) == Downloads()
    for line, message in (
        ("retries = -1", r"\[weights\] retries: expected a whole number"),
        ("timeout = soon", r"\[weights\] timeout: expected a number"),
        ("mirror = mirror.example", r"\[weights\] mirror: expected a URL"),
        ("mirrors = x", "Did you mean 'mirror'"),
    ):
        path.write_text(f"[weights]\n{line}\n")
        with pytest.raises((ConfigError, UnknownNameError), match=message):
            load_downloads(path)


def test_a_file_is_no_weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LATENTBENCH_WEIGHTS", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="is a file: expected a folder"):
        open_store()
