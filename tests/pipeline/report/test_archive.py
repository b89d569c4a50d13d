"""Published runs are found and checked; a damaged manifest is named and leads nowhere else."""

from __future__ import annotations

import errno
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import CorruptShardError, StageError, UnknownNameError
from pipeline.report import archive
from pipeline.report.archive import (
    check_report,
    find_run_of,
    latest_report,
    newest_report,
    published_runs,
    read_report_manifest,
    run_folder,
)
from pipeline.storage.files import file_sha256

RUN = "20261119T031500Z-aaaaaaaa"


def published(outputs: Path, run_id: str = RUN, **changes: Any) -> Path:
    folder = run_folder(outputs, run_id)
    folder.mkdir(parents=True)
    (folder / "scores.parquet").write_bytes(b"scores")
    record = {"rows": 1, "bytes": 6, "sha256": file_sha256(folder / "scores.parquet")}
    manifest = {"run_id": run_id, "files": {"scores.parquet": record}, "stages": []} | changes
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {"files": []},
        {"files": {"../../secret": {"bytes": 1, "sha256": ""}}},
        {"files": {"scores.parquet": 3}},
        {"files": {"scores.parquet": {"bytes": 6}}},
        {"stages": 5},
        {"stages": [5]},
        {"run_id": 5},
        {"run_id": "20261119T031500Z-bbbbbbbb"},
    ],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, changes: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    folder = published(tmp_path)
    check_report(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))
    with pytest.raises(CorruptShardError, match=r"manifest.json .*restore the file from a copy"):
        check_report(folder)
    assert published_runs(tmp_path) == [] and str(folder) in caplog.text


@pytest.mark.parametrize("content", ["", "[]", "[" * 200_000])
def test_what_is_no_manifest_is_named(tmp_path: Path, content: str) -> None:
    folder = published(tmp_path)
    (folder / "manifest.json").write_text(content)
    with pytest.raises(CorruptShardError, match="is no manifest"):
        read_report_manifest(folder)


def test_a_table_that_cannot_be_read_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = published(tmp_path)

    def refuse(path: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(archive, "file_sha256", refuse)
    with pytest.raises(StageError, match=r"scores.parquet cannot be read: Permission denied") as found:
        check_report(folder)
    assert not isinstance(found.value, CorruptShardError)


def test_the_newest_run_is_not_one_whose_date_is_yet_to_come(tmp_path: Path) -> None:
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    nights = ("20261120T000000Z-aaaaaaaa", "20261128T000000Z-aaaaaaaa", "20270101T000000Z-aaaaaaaa")
    old, tonight, mistyped = (published(tmp_path, run_id) for run_id in nights)
    (tmp_path / "reports" / "run_id=zzz").mkdir()
    assert newest_report(tmp_path, now) == tonight, "where the day begins first, it is the 28th"
    assert newest_report(tmp_path, datetime(2026, 11, 27, 9, tzinfo=UTC)) == old
    assert newest_report(tmp_path, datetime(2027, 2, 1, tzinfo=UTC)) == mistyped
    assert newest_report(tmp_path, datetime(2020, 1, 1, tzinfo=UTC)) == mistyped, "better than none"
    assert newest_report(tmp_path / "reports") is None


def test_a_run_that_is_passed_over_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    past, future = published(tmp_path, "20010101T000000Z-aaaaaaaa"), published(tmp_path, "29990101T000000Z-aaaaaaaa")
    with caplog.at_level(logging.WARNING):
        assert latest_report(tmp_path) == past
    assert f"{future.name} is not taken for the newest run: its date is yet to come." in caplog.text


def test_the_newest_run_of_a_domain(tmp_path: Path) -> None:
    published(tmp_path, "20260101T000000Z-aaaaaaaa", domain="synthface")
    newer = published(tmp_path, "20260102T000000Z-aaaaaaaa", domain="synthface")
    other = published(tmp_path, "20260103T000000Z-aaaaaaaa", domain="photoface")
    assert (find_run_of(tmp_path, "synthface"), find_run_of(tmp_path, "photoface")) == (newer, other)
    with pytest.raises(UnknownNameError) as error:
        find_run_of(tmp_path, "photofac")
    assert error.value.known == ["photoface", "synthface"]
