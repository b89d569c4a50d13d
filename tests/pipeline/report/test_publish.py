"""Publication: whole or not at all, once, and never changed."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from pipeline.chain.links import Chain
from pipeline.domains import base
from pipeline.errors import CorruptShardError, StageError
from pipeline.report import archive, page, publish
from pipeline.report.charts import library
from pipeline.settings.settings import Settings
from pipeline.storage.runs import invalidate
from pipeline.storage.stages import read_manifest
from pipeline.tables.parquet import read_table
from pipeline.tables.schemas import LATER, PUBLISHED
from tests.builders import random_run, random_scores, random_stages

ROOT = Path(__file__).parents[3]
METHODS = ("interfacegan", "noop")
SLOW = """
import resource, sys, time
from pathlib import Path
from pipeline.report import page, publish, workshop
from pipeline.report.charts import library
from tests.builders import random_stages
from tests.builders import random_run
random_stages.install()
library.library = str
where, outputs = sys.argv[1], Path(sys.argv[2])
def stop(*_, **__):
    print("here", flush=True)
    time.sleep(60)
if where == "page":
    page.render = stop
if where == "sync":
    workshop.sync = stop
if where == "full":  # no file may grow beyond this, which a disk without room says in the same way
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
publish.run_report(random_run.settings(outputs, methods=("interfacegan", "noop")))
print("done", flush=True)
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setitem(base.MODULES, "synthface", random_stages.__name__)
    monkeypatch.setattr(library, "library", str)  # it takes seconds to bundle
    return random_run.settings(tmp_path / "outputs", methods=METHODS)


@pytest.fixture
def published(settings: Settings) -> Path:
    random_stages.lay_down(settings)
    return publish.run_report(settings)


def rows_of(method: str) -> list[dict]:
    """Every score of a method, as its stages have them."""
    return (
        random_scores.score_rows(method)
        + random_scores.matched_score_rows(method)
        + random_scores.rated_score_rows(method)
    )


def visible(outputs: Path) -> list[str]:
    """What the analysts' glob sees."""
    return sorted(glob.glob(str(outputs / "reports" / "*" / "scores.parquet")))


def content(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_a_run_has_its_tables_its_page_and_its_manifest(settings: Settings, published: Path) -> None:
    names = {*(f"{name}.parquet" for name in PUBLISHED), "report.html", "manifest.json"}
    assert set(content(published)) == names
    manifest = json.loads((published / "manifest.json").read_text())
    for name, record in manifest["files"].items():
        assert record["sha256"] == content(published)[name]
        assert record["bytes"] == (published / name).stat().st_size
    tables = {name: read_table(published / f"{name}.parquet", schema) for name, schema in PUBLISHED.items()}
    assert tables["edits"].num_rows == 2 * 8 * 6 * 5 == manifest["files"]["edits.parquet"]["rows"]
    assert tables["ranges"].num_rows == 2 * 8
    assert tables["matched"].num_rows == 2 * 8 * 4 * 2 * 4 and tables["rescoring"].num_rows == 2 * 8 * 2 * 4 * 35
    run_id = published.name.removeprefix("run_id=")
    assert set(tables["scores"].column("run_id").to_pylist()) == {run_id}
    assert tables["runs"].column("run_id").to_pylist() == [run_id]
    assert run_id.endswith(manifest["fingerprint"][:8])
    assert "data:image/webp" in (published / "report.html").read_text()


def test_what_is_computed_at_publication_is_there_and_the_same_every_time(settings: Settings, published: Path) -> None:
    tables = {name: read_table(published / f"{name}.parquet", PUBLISHED[name]) for name in LATER}
    assert tables["differences"].num_rows == 9 * 9  # one pair of methods, nine means, eight attributes and all
    located = 6  # attributes with a locality, which edits have that change something: one method's
    assert tables["ranks"].num_rows == 2 * 9 * 9 + located + 1
    assert tables["face_scores"].num_rows == 2 * 9 * 8 * 6 + located * 6
    judged = tables["judges"].to_pandas()
    left = judged[(judged["what"] == "without_unit") & (judged["value"] > 0)]
    assert set(zip(left["role"], left["attribute"], strict=True)) == {
        (role, random_stages.SATURATED) for role in ("scorer_a", "scorer_b")
    }
    again = publish.run_report(settings, again=True)
    for name in LATER:
        assert read_table(again / f"{name}.parquet", PUBLISHED[name]).equals(tables[name])
    page_text = (published / "report.html").read_text()
    assert 'id="table-ranks"' in page_text and "The judge&#39;s own error" in page_text


def test_a_card_that_was_measured_again_leads_to_a_new_run(
    settings: Settings, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(random_run.MEASURED, "recognizer_b", {"auc": 0.5})
    assert publish.find_report(settings) is None
    monkeypatch.undo()


def test_a_control_that_fails_is_warned_of(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    good = random_scores.score_rows("noop")
    assert good[0]["metric"] == "identity_distance"
    with caplog.at_level("WARNING", logger="latentbench"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(random_scores, "score_rows", lambda method, seed=0: [{**good[0], "method": method, "value": 0.2}])
        random_stages.lay_down(settings)
        publish.run_report(settings)
    assert "A control does not score as expected. noop: expected no distance" in caplog.text


def test_scores_are_those_of_the_stages(published: Path) -> None:
    scores = pd.read_parquet(published / "scores.parquet")
    kinds = (random_scores.score_rows, random_scores.matched_score_rows, random_scores.rated_score_rows)
    expected = pd.DataFrame([row for kind in kinds for method in METHODS for row in kind(method)])
    assert scores["level"].fillna(0).tolist() == expected["level"].fillna(0).tolist()
    np.testing.assert_array_equal(scores["value"], expected["value"])
    assert scores["method"].tolist() == expected["method"].tolist()


def test_how_many_directions_were_tried_stands_beside_every_score(published: Path) -> None:
    table = read_table(published / "scores.parquet", PUBLISHED["scores"])
    tried = dict(zip(table.column("method").to_pylist(), table.column("naming_candidates").to_pylist(), strict=True))
    assert tried == {"interfacegan": 96, "noop": None}
    assert table.column("naming_candidates").null_count == len(rows_of("noop"))
    assert ">96</td>" in (published / "report.html").read_text()


def test_the_same_run_is_found_and_nothing_is_written(
    settings: Settings, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(published)
    monkeypatch.setattr(page, "render", lambda *_, **__: pytest.fail("the page was made again"))
    assert publish.run_report(settings) == published == publish.find_report(settings)
    assert content(published) == before
    assert len(visible(settings.outputs)) == 1


def test_machine_settings_change_nothing(settings: Settings, published: Path) -> None:
    assert publish.find_report(settings.on(workers=2, shard_size=256, executor="inline")) == published


def test_other_settings_are_another_run(settings: Settings, published: Path) -> None:
    other = random_run.settings(settings.outputs, methods=("noop",))
    assert publish.find_report(other) is None
    assert publish.run_report(other) != published
    assert len(visible(settings.outputs)) == 2


def test_every_reader_sees_each_run_once(settings: Settings, published: Path) -> None:
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    nightly = publish.run_report(settings, run_date=moment)
    assert nightly.name.startswith("run_id=20261121T000000Z-")
    assert publish.run_report(settings, run_date=moment) == nightly
    pattern = f"{settings.outputs}/reports/*/scores.parquet"
    counted = duckdb.sql(f"SELECT run_id, count(*) FROM read_parquet('{pattern}') GROUP BY 1").fetchall()
    rows = sum(len(rows_of(method)) for method in METHODS)
    assert sorted(counted) == sorted((f.name.removeprefix("run_id="), rows) for f in (published, nightly))
    paths = visible(settings.outputs)
    assert len(pd.concat([pd.read_parquet(path) for path in paths])) == 2 * rows


def test_a_night_says_which_it_is_and_is_published_once(settings: Settings, published: Path) -> None:
    night = publish.run_report(settings, night=date(2026, 11, 22))
    assert night.name.startswith("run_id=20261122T000000Z-")
    assert publish.run_report(settings, night=date(2026, 11, 22)) == night
    row, other = (
        read_table(folder / "runs.parquet", PUBLISHED["runs"]).to_pylist()[0] for folder in (night, published)
    )
    assert row["night"] == "2026-11-22" and other["night"] is None
    stages = json.loads(row["stages"])
    assert stages and all(line["packages"] == {} and "driver" in line for line in stages), "none but the run's"


def test_latest_points_at_the_newest_and_lies_outside_the_glob(settings: Settings, published: Path) -> None:
    link = settings.outputs / "latest"
    assert not Path(os.readlink(link)).is_absolute()
    assert link.resolve() == published.resolve()
    newer = publish.run_report(settings, run_date=datetime.now(UTC) + timedelta(hours=1))
    assert link.resolve() == newer.resolve() == archive.latest_report(settings.outputs).resolve()
    publish.run_report(settings, run_date=datetime(2001, 1, 1, tzinfo=UTC))
    assert link.resolve() == newer.resolve()
    link.unlink()
    link.symlink_to("reports/gone")
    publish.run_report(settings)
    assert link.resolve() == newer.resolve()


def test_stages_say_whether_they_were_reused(settings: Settings, published: Path) -> None:
    first = json.loads((published / "manifest.json").read_text())
    assert {line["reused_from"] for line in first["stages"]} == {None}
    again = publish.run_report(settings, again=True)
    assert again != published
    second = json.loads((again / "manifest.json").read_text())
    assert {line["reused_from"] for line in second["stages"]} == {first["run_id"]}


def test_invalidated_stages_lead_to_a_new_run(settings: Settings, published: Path) -> None:
    stage = publish.report_stage(Chain(settings)).upstream[0]
    assert stage.name == "scores"
    invalidate([stage], settings.outputs)
    assert publish.find_report(settings) is None
    random_stages.lay_down(settings, seed=5)
    assert publish.find_report(settings) is None
    assert publish.run_report(settings) != published
    assert len(visible(settings.outputs)) == 2


def test_a_missing_stage_is_named(settings: Settings) -> None:
    with pytest.raises(StageError, match="scores interfacegan is not computed"):
        publish.run_report(settings)
    assert visible(settings.outputs) == []


def test_a_damaged_stage_file_is_not_published(settings: Settings) -> None:
    random_stages.lay_down(settings)
    stage = publish.report_stage(Chain(settings)).upstream[0]
    path = stage.folder(settings.outputs) / read_manifest(stage, settings.outputs).shards[0].name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptShardError, match=path.name):
        publish.run_report(settings)
    assert visible(settings.outputs) == []
    assert list((settings.outputs / ".publishing").glob("*")) == []


@pytest.mark.parametrize("name", ["scores.parquet", "report.html", "manifest.json"])
def test_a_damaged_published_file_is_named_with_the_remedy(settings: Settings, published: Path, name: str) -> None:
    (published / name).write_bytes((published / name).read_bytes()[:-5])
    with pytest.raises(CorruptShardError, match=rf"{name}.*move its folder out"):
        publish.run_report(settings)
    published.rename(settings.outputs / "aside")
    mended = publish.run_report(settings)
    archive.check_report(mended)
    assert len(visible(settings.outputs)) == 1


def test_a_missing_published_file_is_named(settings: Settings, published: Path) -> None:
    (published / "edits.parquet").unlink()
    with pytest.raises(CorruptShardError, match=r"edits\.parquet is missing"):
        publish.find_report(settings)


def test_a_full_disk_is_said_and_leaves_nothing(settings: Settings) -> None:
    random_stages.lay_down(settings)
    command = [sys.executable, "-c", SLOW, "full", str(settings.outputs)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "StageError: The disk is full" in done.stderr and "Nothing was published" in done.stderr
    assert visible(settings.outputs) == []
    assert not (settings.outputs / "latest").exists()
    assert list((settings.outputs / ".publishing").glob("*")) == []


@pytest.mark.parametrize("where", ["page", "sync"])
def test_a_kill_while_publishing_leaves_nothing_visible(settings: Settings, where: str) -> None:
    random_stages.lay_down(settings)
    command = [sys.executable, "-c", SLOW, where, str(settings.outputs)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        assert visible(settings.outputs) == []
        assert list((settings.outputs / ".publishing").iterdir())
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert visible(settings.outputs) == []
    assert publish.find_report(settings) is None
    folder = publish.run_report(settings)
    archive.check_report(folder)
    assert len(visible(settings.outputs)) == 1
    assert list((settings.outputs / ".publishing").iterdir()) == []


def test_while_a_run_is_published_readers_see_all_of_it_or_nothing(settings: Settings) -> None:
    random_stages.lay_down(settings)
    command = [sys.executable, "-c", SLOW, "nowhere", str(settings.outputs)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        for path in visible(settings.outputs):
            archive.check_report(Path(path).parent)
        time.sleep(0.002)
    assert process.returncode == 0
    assert len(visible(settings.outputs)) == 1
    assert publish.find_report(settings) is not None
