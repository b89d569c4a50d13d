"""The run before: which it is, what changed since, and that a damaged one stops nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.report.before import difference_to_before, run_before
from pipeline.report.contents import contents_of
from pipeline.report.sections.before import SECTION, changed_lines
from tests.builders import random_run

OLDER, OLD, NEW = "20261118T031500Z-1a2b3c4d", "20261119T031500Z-1a2b3c4d", "20261120T031500Z-1a2b3c4d"


def published(outputs: Path, run_id: str, tables: dict[str, pa.Table], **facts: str) -> Path:
    folder = random_run.publish_folder(outputs, run_id, tables)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"domain": "synthface", "profile": "smoke"} | facts
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return random_run.whole(NEW, samples=20)


def test_the_newest_run_of_the_same_domain_and_profile_is_the_one_before(
    tmp_path: Path, tables: dict[str, pa.Table]
) -> None:
    few = {"runs": tables["runs"]}
    published(tmp_path, OLDER, few)
    published(tmp_path, OLD, few)
    published(tmp_path, NEW, few, profile="full")
    found = run_before(tmp_path, "synthface", "smoke")
    assert found is not None and found.run_id == OLD
    assert run_before(tmp_path, "ffhq", "smoke") is None


def test_what_changed_is_named_and_the_rest_is_not(tmp_path: Path, tables: dict[str, pa.Table]) -> None:
    published(tmp_path, OLD, random_run.whole(OLD, samples=20))
    same = difference_to_before(tmp_path, tables)
    assert same is not None and same.run_a.run_id == OLD and same.comparable
    assert set(same.rows["attribute"]) == {"all"} and len(same.rows) > 20 and len(same.outside) == 0
    l2l = (same.rows["method"] == "l2l") & (same.rows["metric"] == "identity_distance")
    assert l2l.any()
    changed = replace(same, rows=same.rows.assign(verdict=same.rows["verdict"].mask(l2l, "worse")))
    lines = changed_lines(contents_of(tables, before=changed))
    assert len(lines) == l2l.sum() and {line["metric"] for line in lines} == {"identity distance"}


def test_a_first_run_has_no_such_section(tmp_path: Path, tables: dict[str, pa.Table]) -> None:
    assert difference_to_before(tmp_path, tables) is None
    assert SECTION.values(contents_of(tables)) == {}


def test_a_damaged_run_before_is_left_out(
    tmp_path: Path, tables: dict[str, pa.Table], caplog: pytest.LogCaptureFixture
) -> None:
    folder = published(tmp_path, OLD, {"runs": tables["runs"]})
    (folder / "runs.parquet").write_bytes(b"damaged")
    with caplog.at_level("WARNING", "latentbench"):
        assert difference_to_before(tmp_path, tables) is None
    assert "runs.parquet" in caplog.text
