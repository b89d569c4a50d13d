"""What a plan says in one line, and what it says it does not know."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.planning.plan import FOLDERS, MISSING, THERE, Planned, condense, estimate, folder_obstacle
from pipeline.report.archive import PUBLISHING, REPORTS
from pipeline.storage.stages import STAGES


def row(
    title: str, method: str = "", attribute: str = "", state: str = MISSING, seconds: float | None = 2.0
) -> Planned:
    stage = title.split()[0]
    return Planned(stage, method, attribute, title, state, 10, "faces", 1, seconds, None, f"outputs/{title}")


def test_attributes_of_one_method_share_a_line() -> None:
    rows = [row("train a", "a"), row("range a-age", "a", "age"), row("range a-yaw", "a", "yaw"), row("edits a", "a")]
    shown = condense(rows)
    assert [entry.title for entry in shown] == ["train a", "range a, 2 attributes", "edits a"]
    assert (shown[1].units, shown[1].seconds, shown[1].attribute) == (20, 4.0, "age, yaw")


def test_attributes_in_different_states_do_not() -> None:
    rows = [row("range a-age", "a", "age", THERE, 0.0), row("range a-yaw", "a", "yaw"), row("range b-yaw", "b", "yaw")]
    assert condense(rows) == tuple(rows)


def test_one_unknown_rate_makes_a_line_unknown() -> None:
    rows = [row("range a-age", "a", "age"), row("range a-yaw", "a", "yaw", seconds=None)]
    assert condense(rows)[0].seconds is None
    assert estimate(rows).seconds == 2.0
    assert estimate(rows).unknown == ("range a-yaw",)


@pytest.mark.parametrize("name", [STAGES, REPORTS, PUBLISHING])
def test_a_file_where_a_run_makes_a_folder_is_an_obstacle(tmp_path: Path, name: str) -> None:
    assert name in FOLDERS and folder_obstacle(tmp_path) == ""
    (tmp_path / name).touch()
    assert f"{tmp_path / name}: expected a folder" in folder_obstacle(tmp_path)


def test_a_folder_of_another_is_an_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / REPORTS).mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / REPORTS)
    assert f"Nothing can be written in {tmp_path / REPORTS}" in folder_obstacle(tmp_path)
