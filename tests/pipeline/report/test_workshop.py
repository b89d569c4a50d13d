"""Publications appear whole; what killed processes left is removed, and what others are making is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.errors import StageError
from pipeline.report.workshop import point_latest, publishing
from pipeline.storage.stages import Stage, building
from tests.builders.counting_stage import settings

OWN = Stage("report", 1, {"seed": 1}, label="smoke")
OTHER = Stage("report", 1, {"seed": 2}, label="full")


def names(outputs: Path) -> list[str]:
    return sorted(path.name for path in (outputs / ".publishing").iterdir())


def leftover(outputs: Path, stage: Stage) -> Path:
    """What a process that published the stage left when it was killed."""
    folder = outputs / ".publishing" / f"{stage.fingerprint[:16]}-0123"
    folder.mkdir(parents=True)
    (folder / "scores.parquet").touch()
    return folder


def publish(outputs: Path, target: str = "run_id=20261119T031500Z-aaaaaaaa") -> Path:
    with building(OWN, settings(outputs)):
        with publishing(outputs, OWN, outputs / "reports" / target) as folder:
            (folder / "scores.parquet").touch()
    return outputs / "reports" / target


def test_it_appears_whole_and_leaves_nothing_behind(tmp_path: Path) -> None:
    assert (publish(tmp_path) / "scores.parquet").is_file() and names(tmp_path) == []


def test_what_nobody_is_making_any_more_is_removed(tmp_path: Path) -> None:
    for stage in (OWN, OTHER, Stage("report", 1, {"seed": 3})):
        leftover(tmp_path, stage)
    with building(OTHER, settings(tmp_path)):
        pass  # its folder and its lock are there
    (tmp_path / ".publishing" / "latest-0123").symlink_to("nowhere")
    (tmp_path / ".publishing" / "dead-0123").mkdir()
    publish(tmp_path)
    assert names(tmp_path) == []


def test_what_another_is_making_stays(tmp_path: Path) -> None:
    kept = leftover(tmp_path, OTHER)
    with building(OTHER, settings(tmp_path)):
        publish(tmp_path)
        assert names(tmp_path) == [kept.name] and (kept / "scores.parquet").is_file()
    publish(tmp_path, "run_id=20261120T031500Z-aaaaaaaa")
    assert names(tmp_path) == []


@pytest.mark.parametrize("place", ["reports", ".publishing"])
def test_a_file_in_a_folders_place_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / place).touch()
    with pytest.raises(StageError, match=r"Cannot write .*run_id="):
        publish(tmp_path)


def test_a_link_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish(tmp_path)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "symlink_to", refuse)
        point_latest(tmp_path)
    assert "latest could not be made to point at" in caplog.text and "Operation not permitted" in caplog.text
    point_latest(tmp_path)
    assert os.readlink(tmp_path / "latest") == "reports/run_id=20261119T031500Z-aaaaaaaa"
