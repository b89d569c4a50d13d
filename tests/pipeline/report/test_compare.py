"""Two runs side by side, with known differences."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console

from pipeline.errors import CorruptShardError, StageError
from pipeline.report import archive, compare
from pipeline.schemas import SCORES
from tests.pipeline.report import synthetic
from tests.pipeline.report.synthetic import DATE, publish_folder, score

A, B = "20261119T031500Z-aaaaaaaa", "20261120T031500Z-1a2b3c4d"


def publish(outputs: Path, run_id: str, rows: list[dict[str, Any]], **run: Any) -> None:
    stamped = [{"run_id": run_id, "run_date": DATE, **row} for row in rows]
    tables = synthetic.tables(run_id)
    tables |= {"scores": pa.Table.from_pylist(stamped, schema=SCORES), "runs": synthetic.runs(run_id, **run)}
    publish_folder(outputs, run_id, tables)


def verdict(tmp_path: Path, one: dict[str, Any], other: dict[str, Any]) -> tuple[str, float]:
    publish(tmp_path, A, [score("l2l", "all", "fid", **one)])
    publish(tmp_path, B, [score("l2l", "all", "fid", **other)])
    row = compare.compare(tmp_path, A, B).rows.iloc[0]
    return str(row["verdict"]), float(row["difference"])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"value": 10.0}, {"value": 5.0}, "better"),
        ({"value": 5.0}, {"value": 10.0}, "worse"),
        ({"value": 10.0}, {"value": 10.5}, "within intervals"),
        ({"value": 10.0}, {"value": 10.0}, "same"),
        ({"value": 10.0, "better": "higher"}, {"value": 5.0, "better": "higher"}, "worse"),
        ({"value": 10.0, "better": "neither"}, {"value": 5.0, "better": "neither"}, "changed"),
        ({"value": 10.0, "ci_low": None, "ci_high": None}, {"value": 5.0}, "no interval"),
    ],
)
def test_verdicts(tmp_path: Path, one: dict[str, Any], other: dict[str, Any], expected: str) -> None:
    found, difference = verdict(tmp_path, one, other)
    assert found == expected
    assert difference == pytest.approx(other["value"] - one["value"])


def test_scores_of_one_run_alone_are_told(tmp_path: Path) -> None:
    publish(tmp_path, A, [score("l2l", "all", "fid", 3.0), score("random", "all", "fid", 4.0)])
    publish(tmp_path, B, [score("l2l", "all", "fid", 3.0), score("noop", "all", "fid", 5.0)])
    found = compare.compare(tmp_path, A, B)
    assert found.comparable and len(found.rows) == 1
    assert found.only_a["method"].tolist() == ["random"] and found.only_b["value_b"].tolist() == [5.0]


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ({"profile": "full"}, "another profile: smoke and full"),
        ({"domain": "ffhq"}, "another domain: synthface and ffhq"),
        ({"weights": json.dumps({"generator": "ff" * 32, "scorer_b": "cd" * 32})}, "other weights: generator"),
        ({"settings": json.dumps({"protocol": {"seed": 8}})}, "another protocol: "),
    ],
)
def test_runs_that_measure_other_things_are_marked(tmp_path: Path, run: dict[str, Any], reason: str) -> None:
    publish(tmp_path, A, [score("l2l", "all", "fid", 10.0)])
    publish(tmp_path, B, [score("l2l", "all", "fid", 5.0)], **run)
    found = compare.compare(tmp_path, A, B)
    assert not found.comparable
    assert any(reason in one for one in found.reasons)
    assert set(found.rows["verdict"]) == {"not comparable"}
    text = io.StringIO()
    compare.print_comparison(found, Console(file=text, width=140))
    assert f"Not comparable: {reason}" in text.getvalue()


def test_runs_are_found_by_a_part_of_their_id(tmp_path: Path) -> None:
    for run_id in (A, B):
        publish(tmp_path, run_id, [score("l2l", "all", "fid", 1.0)])
    assert archive.find_run(tmp_path, "latest").name == f"run_id={B}"
    assert archive.find_run(tmp_path, "20261119").name == f"run_id={A}"
    assert archive.find_run(tmp_path, "1a2b3c4d").name == f"run_id={B}"
    assert archive.find_run(tmp_path, f"run_id={A}").name == f"run_id={A}"
    with pytest.raises(StageError, match="More than one run"):
        archive.find_run(tmp_path, "2026")
    with pytest.raises(StageError, match=f"Published.*{A}"):
        archive.find_run(tmp_path, "2025")


def test_a_damaged_run_is_not_compared(tmp_path: Path) -> None:
    for run_id in (A, B):
        publish(tmp_path, run_id, [score("l2l", "all", "fid", 1.0)])
    path = tmp_path / "reports" / f"run_id={A}" / "scores.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(CorruptShardError, match=r"scores\.parquet.*another sha256"):
        compare.compare(tmp_path, A, "latest")


def test_the_comparison_is_printed(tmp_path: Path) -> None:
    for run_id, value in ((A, 2.0), (B, 1.0)):
        publish(tmp_path, run_id, [score("l2l", "all", "fid", value), score("l2l", "age", "lpips", 0.5)])
    found = compare.compare(tmp_path, A, B)
    text = io.StringIO()
    compare.print_comparison(found, Console(file=text, width=140))
    assert "better" in text.getvalue() and "lpips" not in text.getvalue()
    everything = io.StringIO()
    compare.print_comparison(found, Console(file=everything, width=140), everything=True)
    assert "lpips" in everything.getvalue()
