"""A protocol made by docs/howto/own-protocol.md is in the chain, in Luigi, in plan, in the tables and on the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import luigi
import numpy as np
import pytest

from pipeline.chain.links import Chain
from pipeline.domains import base
from pipeline.metrics.base import ALL
from pipeline.metrics.base import names as metrics
from pipeline.planning.plan import THERE, plan
from pipeline.report.charts import library
from pipeline.report.contents import read_contents
from pipeline.report.markdown import markdown
from pipeline.report.publish import find_report, run_report
from pipeline.settings.settings import Settings
from pipeline.storage.runs import invalidate
from pipeline.storage.stages import is_complete, read_manifest, shards_of
from pipeline.tables.parquet import read_table
from pipeline.tables.schemas import EDITS, PUBLISHED, SCORES
from tasks.base import RunTask, StageTask
from tasks.runs import Stages
from tests.builders import experiments, random_run, random_stages, toy_protocol
from tests.builders.toy_protocol.metric import PROTOCOL
from tests.pipeline.report.test_page import read

METHODS = ("interfacegan", "noop")
KINDS = ["farthest", "farthest_scores"]
BELOW_EDITS = ["gallery noop", "scores noop", "farthest noop", "farthest_scores noop"]  # what reads them, and so on


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A run whose own stages are all published, in a checkout that knows one protocol more."""
    monkeypatch.setitem(base.MODULES, "synthface", random_stages.__name__)
    monkeypatch.setattr(library, "library", str)  # it takes seconds to bundle
    made = random_run.settings(tmp_path / "outputs", methods=METHODS)
    settings = replace(made, machine=experiments.machine(executor="inline"))  # other processes do not know it
    random_stages.lay_down(settings)
    toy_protocol.register(monkeypatch)
    monkeypatch.setattr(RunTask, "settings", property(lambda task: settings))
    monkeypatch.setattr(StageTask, "by_kind", dict(StageTask.by_kind))
    return settings


def computed(settings: Settings) -> list[str]:
    """Compute what is missing, as Luigi does; the titles of the stages that were."""
    missing = [link.title for link in Chain(settings).links if not is_complete(link.stage, settings.outputs)]
    assert luigi.build([Stages(outputs=str(settings.outputs))], local_scheduler=True, log_level="CRITICAL")
    return missing


def test_chain_plan_and_invalidate_know_its_stages(settings: Settings) -> None:
    chain = Chain(settings)
    assert [name for name in chain.stage_names() if name.startswith("farthest")] == KINDS
    known = [row for row in plan(chain) if row.stage.startswith("farthest")]
    expected = [(kind, 6) for _ in METHODS for kind in KINDS]
    assert [(row.stage, row.units) for row in known if row.state != THERE] == expected
    below = [link.title for link in chain.downstream("edits", "noop")]
    assert below == ["edits noop", *BELOW_EDITS]
    assert metrics(PROTOCOL) == ("farthest_displacement",)


def test_luigi_computes_them_and_finds_a_damaged_file(settings: Settings) -> None:
    titles = [f"{kind} {method}" for method in METHODS for kind in KINDS]
    assert computed(settings) == titles and computed(settings) == []
    stage = Chain(settings).stage("farthest", "noop")
    ((path, record),) = shards_of(stage, settings.outputs)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert not is_complete(stage, settings.outputs)
    assert computed(settings) == ["farthest noop"]
    assert path.read_bytes() == whole and read_manifest(stage, settings.outputs).shards[0].sha256 == record.sha256


def test_removing_what_it_reads_removes_it(settings: Settings) -> None:
    computed(settings)
    chain = Chain(settings)
    invalidate([link.stage for link in chain.downstream("edits", "noop")], settings.outputs)
    left = [link.title for link in chain.links if not is_complete(link.stage, settings.outputs)]
    assert left == ["edits noop", *BELOW_EDITS]


def test_the_report_has_its_rows_its_scores_and_its_section(settings: Settings) -> None:
    assert find_report(settings) is None
    computed(settings)
    folder = run_report(settings)
    rows = read_table(folder / "farthest.parquet", PUBLISHED["farthest"]).to_pandas()
    edits = read_table(folder / "edits.parquet", EDITS).to_pandas()
    expected = edits.groupby(["method", "face_id"], sort=False)["displacement"].max()
    assert len(rows) == len(METHODS) * 6 and list(dict.fromkeys(rows["method"])) == list(METHODS)
    assert rows.set_index(["method", "face_id"])["displacement"].to_dict() == expected.to_dict()
    scores = read_table(folder / "scores.parquet", SCORES).to_pandas()
    scores = scores[scores["protocol"] == PROTOCOL]
    assert list(scores["method"]) == list(METHODS) and set(scores["attribute"]) == {ALL}
    means = rows.groupby("method")["displacement"].mean().reindex(METHODS)
    np.testing.assert_allclose(scores["value"], means, rtol=1e-6)
    ids = read((folder / "report.html").read_text(encoding="utf-8")).ids
    assert ids.index("consistency") < ids.index("farthest-edit") < ids.index("certainty") and "table-farthest" in ids
    assert "## The farthest edits\n" in markdown(read_contents(folder))
