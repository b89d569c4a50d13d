"""Two runs side by side, with known differences."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from rich.console import Console

from pipeline.errors import CorruptShardError, StageError
from pipeline.report import archive, compare_runs
from pipeline.report.by_face import groups
from pipeline.report.contents import record_of
from pipeline.statistics.bootstrap import Bootstrap
from pipeline.tables.schemas import FACE_SCORES, SCORES
from tests.builders import random_run
from tests.builders.random_run import publish_folder
from tests.builders.random_scores import DATE, score

A, B = "20261119T031500Z-aaaaaaaa", "20261120T031500Z-1a2b3c4d"


def publish(outputs: Path, run_id: str, rows: list[dict[str, Any]], **run: Any) -> None:
    stamped = [{"run_id": run_id, "run_date": DATE, **row} for row in rows]
    tables = random_run.tables(run_id)
    tables |= {"scores": pa.Table.from_pylist(stamped, schema=SCORES), "runs": random_run.runs(run_id, **run)}
    publish_folder(outputs, run_id, tables)


def verdict(tmp_path: Path, one: dict[str, Any], other: dict[str, Any]) -> tuple[str, float]:
    publish(tmp_path, A, [score("l2l", "all", "fid", **one)])
    publish(tmp_path, B, [score("l2l", "all", "fid", **other)])
    row = compare_runs.compare_runs(tmp_path, A, B).rows.iloc[0]
    return str(row["verdict"]), float(row["difference"])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"value": 10.0}, {"value": 5.0}, "better"),
        ({"value": 5.0}, {"value": 10.0}, "worse"),
        ({"value": 10.0}, {"value": 10.5}, "within noise"),
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
    found = compare_runs.compare_runs(tmp_path, A, B)
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
    found = compare_runs.compare_runs(tmp_path, A, B)
    assert not found.comparable
    assert any(reason in one for one in found.reasons)
    assert set(found.rows["verdict"]) == {"not comparable"}
    text = io.StringIO()
    compare_runs.print_comparison(found, Console(file=text, width=140))
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
        compare_runs.compare_runs(tmp_path, A, "latest")


def test_the_comparison_is_printed(tmp_path: Path) -> None:
    for run_id, value in ((A, 2.0), (B, 1.0)):
        publish(tmp_path, run_id, [score("l2l", "all", "fid", value), score("l2l", "age", "lpips", 0.5)])
    found = compare_runs.compare_runs(tmp_path, A, B)
    text = io.StringIO()
    compare_runs.print_comparison(found, Console(file=text, width=140))
    assert "better" in text.getvalue() and "lpips" not in text.getvalue()
    everything = io.StringIO()
    compare_runs.print_comparison(found, Console(file=everything, width=140), everything=True)
    assert "lpips" in everything.getvalue()
    last = text.getvalue().splitlines()[-1]
    assert "2 scores in both: 1 better, 1 same. 1 outside noise" in last and "at most 5%" in last


METHODS = ("interfacegan", "l2l", "random")
FACES = 24


def by_face(shift: float = 0.0, *, noise: float = 0.0, seed: int = 0, first_face: int = 0) -> pa.Table:
    """FACE_SCORES of two metrics: faces that differ much; `shift` for l2l's SSIM on one attribute, `noise` on all."""
    shared, rng = np.random.default_rng(9), np.random.default_rng(seed)
    rows = []
    for metric, network in (("ssim", "none"), ("lpips", "net")):
        for method in METHODS:
            for attribute in ("age", "yaw"):
                faces = shared.normal(0.5, 0.2, FACES) + noise * rng.normal(size=FACES)
                faces += shift * (method == "l2l" and metric == "ssim" and attribute == "age")
                for face, value in enumerate(faces):
                    rows.append(("l2l-2022", method, attribute, metric, network, first_face + face, value, 5))
    return pa.Table.from_pylist([dict(zip(FACE_SCORES.names, row, strict=True)) for row in rows], FACE_SCORES)


def score_frame(faces: pa.Table) -> pd.DataFrame:
    """The scores that belong to those means, with their bootstrap intervals."""
    rows = []
    for group in groups(faces.to_pandas()):
        for place, method in enumerate(group.methods):
            found = Bootstrap(200).mean(group.sums.sums[place] / group.sums.sizes[place], np.arange(FACES))
            better = "higher" if group.metric == "ssim" else "lower"
            more: dict[str, Any] = {
                "level": float("nan"),
                "network": group.network,
                "ci_low": found.low,
                "ci_high": found.high,
                "better": better,
            }
            rows.append(score(method, group.attribute, group.metric, found.value, **more))
    return pd.DataFrame(rows)


def compared(one: pa.Table, other: pa.Table) -> compare_runs.Comparison:
    run = record_of(random_run.runs())
    faces = (one.to_pandas(), other.to_pandas())
    return compare_runs.compare_scores(run, score_frame(one), run, score_frame(other), faces)


def test_a_run_is_its_own_equal(tmp_path: Path) -> None:
    publish_folder(tmp_path, B, random_run.whole(B))
    found = compare_runs.compare_runs(tmp_path, B, "latest")
    assert (found.rows["difference"] == 0).all() and set(found.rows["verdict"]) == {"same"}
    assert found.outside.empty and not len(found.only_a) and not len(found.only_b)
    paired_rows = compared(by_face(), by_face()).rows
    assert (paired_rows["how"] == "same faces").all()
    assert (paired_rows[["difference", "ci_low", "ci_high"]] == 0).all(axis=None) and (paired_rows["p"] == 1).all()


def test_a_shift_is_found_on_the_same_faces_and_not_between_other_faces() -> None:
    """0.02 among faces that scatter by 0.2: each run's interval is far wider than the shift."""
    found = compared(by_face(noise=0.005), by_face(0.02, noise=0.005, seed=1))
    assert (found.rows["how"] == "same faces").all()
    outside = found.outside.set_index("attribute")
    assert set(outside["method"]) == {"l2l"} and set(outside["metric"]) == {"ssim"}
    assert set(outside["verdict"]) == {"better"} and outside.loc["age", "difference"] == pytest.approx(0.02, abs=0.005)
    assert outside.loc["age", "ci_low"] > 0.01 and outside.loc["age", "ci_high"] < 0.03
    apart = compared(by_face(noise=0.005), by_face(0.02, noise=0.005, seed=1, first_face=100))
    assert (apart.rows["how"] == "independent").all() and apart.outside.empty


def test_noise_alone_is_flagged_as_rarely_as_said() -> None:
    """Forty pairs of runs that differ by noise alone: one in twenty may hold a flag, give or take three errors."""
    flagged = sum(
        len(compared(by_face(noise=0.05, seed=2 * trial), by_face(noise=0.05, seed=2 * trial + 1)).outside) > 0
        for trial in range(40)
    )
    assert flagged <= 0.05 * 40 + 3 * np.sqrt(0.05 * 0.95 * 40)


def test_a_mean_by_other_rules_than_the_score_s_is_not_used() -> None:
    one, other = by_face(), by_face(noise=0.01)
    run = record_of(random_run.runs())
    scores_a, scores_b = score_frame(one), score_frame(other)
    scores_b["value"] += 0.001
    found = compare_runs.compare_scores(run, scores_a, run, scores_b, (one.to_pandas(), other.to_pandas()))
    assert (found.rows["how"] == "independent").all()


def test_seconds_are_not_tested(tmp_path: Path) -> None:
    for run_id, value in ((A, 1.0), (B, 9.0)):
        publish(tmp_path, run_id, [score("l2l", "all", "seconds_per_edit", value)])
    found = compare_runs.compare_runs(tmp_path, A, B)
    assert found.rows["verdict"].tolist() == ["not tested"] and found.outside.empty


def test_a_setting_that_changes_no_score_does_not_stand_in_the_way(tmp_path: Path) -> None:
    rules = random_run.settings().as_json()
    older = {**rules, "protocol": {k: v for k, v in rules["protocol"].items() if k != "comparison_samples"}}
    publish(tmp_path, A, [score("l2l", "all", "fid", 10.0)], settings=json.dumps(older))
    publish(tmp_path, B, [score("l2l", "all", "fid", 5.0)])
    assert compare_runs.compare_runs(tmp_path, A, B).comparable


def test_two_runs_that_differ_by_a_judge_s_last_digits_differ_by_noise(tmp_path: Path) -> None:
    """As on another machine: every face a little more, which no test of faces would call chance."""
    few = {"n_faces": 32, "n_images": 320}
    publish(tmp_path, A, [score("l2l", "all", "lpips", 0.2, ci_low=0.2, ci_high=0.2, **few)])
    publish(tmp_path, B, [score("l2l", "all", "lpips", 0.2 + 4e-6, ci_low=0.2 + 4e-6, ci_high=0.2 + 4e-6, **few)])
    (row,) = compare_runs.compare_runs(tmp_path, A, B).rows.to_dict("records")
    assert (row["p"], row["verdict"]) == (1.0, "within noise")
