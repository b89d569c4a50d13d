"""Published runs are found and checked; a damaged manifest is named and leads nowhere else."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import CorruptShardError, StageError
from pipeline.files import file_sha256
from pipeline.report import archive
from pipeline.report.archive import check_report, published_runs, read_report_manifest, run_folder

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
    with pytest.raises(CorruptShardError, match=r"manifest.json is .*restore the file from a copy"):
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
