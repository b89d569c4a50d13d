"""What runs cost and what takes the disk: sums that can be made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.storage.stages import Stage, building, write_shard
from pipeline.upkeep.costs import disk_by_kind, run_costs
from tests.builders.counting_stage import settings

FIRST, SECOND = "20261119T000000Z-aaaaaaaa", "20261120T000000Z-aaaaaaaa"
STAGE = Stage("edits", 1, {"seed": 1}, label="noop")


def publish(outputs: Path, run_id: str, lines: list[dict[str, Any]], **more: Any) -> None:
    folder = outputs / "reports" / f"run_id={run_id}"
    folder.mkdir(parents=True)
    files = {"scores.parquet": {"bytes": 1000, "sha256": "0"}, "report.html": {"bytes": 234, "sha256": "0"}}
    manifest = {"run_id": run_id, "files": files, "stages": lines, **more}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def line(stage: str, rows: Any, seconds: Any, reused: str | None = None, **more: Any) -> dict[str, Any]:
    facts = {"stage": stage, "rows": rows, "work_seconds": seconds, "reused_from": reused}
    return {**facts, "fingerprint": f"{stage}{rows}", "started": "then", **more}


def test_a_run_costs_what_was_computed_for_it(tmp_path: Path) -> None:
    with building(STAGE, settings(tmp_path)) as builder:
        manifest = builder.publish([write_shard(builder.folder, "a.bin", lambda path: path.write_bytes(b"a" * 500))])
    lies = {"fingerprint": STAGE.fingerprint, "started": manifest.started}
    first = [line("labels", 100, 2.5), line("train", 7, 10.0), line("edits", 40, 1.5, **lies)]
    publish(tmp_path, FIRST, first, night="2026-11-19")
    again = [line("labels", 100, 2.5, FIRST), line("edits", 40, 1.5, FIRST, **lies), line("scores", 9, 0.25)]
    publish(tmp_path, SECOND, [*again, line("rates", None, "soon")])
    one, two = run_costs(tmp_path)
    assert (one.run_id, one.night, one.stages, one.work_seconds, one.images) == (FIRST, "2026-11-19", 3, 14.0, 140)
    assert one.bytes == 1234 + 500
    assert (two.night, two.stages, two.work_seconds, two.images, two.bytes) == ("", 2, 0.25, 0, 1234)


def test_stages_that_are_one_under_two_names_cost_once(tmp_path: Path) -> None:
    publish(tmp_path, FIRST, [line("labels", 100, 2.5), line("labels", 100, 2.5)])
    assert [(cost.work_seconds, cost.images) for cost in run_costs(tmp_path)] == [(2.5, 100)]


def test_the_disk_is_told_by_kind_of_stage_and_by_folder(tmp_path: Path) -> None:
    for name, size in (("stages/edits/a/x", 5), ("stages/edits/b/x", 7), ("stages/train/a/x", 11), ("rates.json", 3)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
    publish(tmp_path, FIRST, [])
    (tmp_path / "latest").symlink_to("reports")
    size = (tmp_path / "reports" / f"run_id={FIRST}" / "manifest.json").stat().st_size
    assert disk_by_kind(tmp_path) == {"edits": 12, "train": 11, "rates.json": 3, "reports/": size}
    assert disk_by_kind(tmp_path / "none") == {}
