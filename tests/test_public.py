"""The public face in Python: light to import, and published results as data that are checked before they are read."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

import latentbench
from latentbench import running
from pipeline.errors import ConfigError, CorruptShardError, StageError, UnknownNameError
from pipeline.metrics import base as metrics
from tests.builders import random_run, random_scores

ROOT = Path(__file__).parents[1]
RUN_ID = "20261120T031500Z-1a2b3c4d"
LATER = "20261121T031500Z-5e6f7a8b"
SECONDS = 0.3
IMPORT = """
import sys, time
before, started = set(sys.modules), time.perf_counter()
import latentbench
print(time.perf_counter() - started)
print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))
"""
ALL = """
import sys
from latentbench import *
print('torch' in sys.modules)
"""


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """A folder with one published run."""
    folder = tmp_path / "outputs"
    random_run.publish_folder(folder, RUN_ID, random_run.tables(RUN_ID))
    return folder


# Import


def printed(code: str) -> list[str]:
    """The lines that a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_import_is_quick_and_loads_nothing_of_others() -> None:
    runs = [printed(IMPORT) for _ in range(2)]
    assert min(float(seconds) for seconds, _ in runs) < SECONDS
    assert not {"torch", "luigi", "pyarrow", "numpy", "pipeline", "tasks"} & set(runs[0][1].split())


def test_no_name_loads_torch() -> None:
    assert printed(ALL) == ["False"]


def test_every_name_is_there() -> None:
    assert dir(latentbench) == sorted(latentbench.__all__)
    assert set(latentbench._HOMES) | {"__version__"} == set(latentbench.__all__)
    for name, home in latentbench._HOMES.items():
        assert getattr(latentbench, name).__module__ == home, name


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="'methode'.*methods"):
        _ = latentbench.methode


def test_both_paths_give_the_same_class() -> None:
    from pipeline.methods.interface import FitData, Method, Paper

    assert (latentbench.FitData, latentbench.Method, latentbench.Paper) == (FitData, Method, Paper)
    assert issubclass(latentbench.method("l2l"), latentbench.Method)
    assert all(isinstance(latentbench.metric(name), latentbench.Metric) for name in latentbench.metrics())
    assert set(latentbench.metrics(metrics.LOCALITY)) < set(latentbench.metrics())


# Settings


def test_settings_are_those_that_are_named(tmp_path: Path) -> None:
    found = latentbench.settings(
        profile="smoke",
        methods="l2l",
        attributes=["age", "yaw"],
        changes={"protocol.seed": 7, "protocol.matched_levels": [0.5, 1.5], "method.l2l.width": 64},
        outputs=tmp_path,
    )
    assert found.method_names == ("l2l",) and found.method_parameters("l2l")["width"] == 64
    assert found.experiment.attributes == ("age", "yaw") and found.experiment.matched_levels == (0.5, 1.5)
    assert (found.experiment.seed, found.experiment.profile, found.outputs) == (7, "smoke", tmp_path)


@pytest.mark.parametrize(
    ("wrong", "closest"),
    [
        ({"methods": ["interfacegam"]}, "interfacegan"),
        ({"profile": "smok"}, "smoke"),
        ({"domain": "synthfaces"}, "synthface"),
        ({"attributes": "agee"}, "age"),
        ({"changes": {"protocol.sed": 1}}, "seed"),
    ],
)
def test_a_wrong_name_is_answered_with_the_closest(wrong: dict, closest: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean '{closest}'"):
        latentbench.settings(**wrong)


@pytest.mark.parametrize("argument", ["methods", "attributes"])
def test_an_empty_name_is_not_all_of_them(argument: str) -> None:
    with pytest.raises(ConfigError, match=f"{argument}: expected names, found ''"):
        latentbench.settings(**{argument: [""]})


# Published results


def test_reports_are_runs_with_tables(outputs: Path) -> None:
    tables = random_run.tables(RUN_ID)
    random_run.publish_folder(outputs, LATER, {"scores": random_scores.scores(LATER)})
    first, second = latentbench.reports(outputs)
    assert (first.run_id, second.run_id) == (RUN_ID, LATER)
    assert first.folder == outputs / "reports" / f"run_id={RUN_ID}" and first.page == first.folder / "report.html"
    assert set(first.tables) == set(tables) and second.tables == ("scores",)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(first.table(name).to_pandas(), table.to_pandas(), obj=name)
    assert first.table("scores").schema.field("value").metadata, "unit and meaning go along"
    pd.testing.assert_frame_equal(first.frame("scores"), tables["scores"].to_pandas())
    assert latentbench.report(outputs=outputs) == latentbench.report(LATER[-8:], outputs) == second
    assert len(repr(first)) < 200, "a list of reports can be read in an interpreter"


def test_a_damaged_table_is_refused(outputs: Path) -> None:
    (report,) = latentbench.reports(outputs)
    path = report.folder / "scores.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for read in (report.table, report.frame):
        with pytest.raises(CorruptShardError, match=r"scores\.parquet has another sha256"):
            read("scores")
    assert report.table("edits").num_rows, "the others can be read"


def test_a_damaged_manifest_is_named_and_left_out(
    outputs: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = random_run.publish_folder(outputs, LATER, {"scores": random_scores.scores(LATER)})
    (folder / "manifest.json").write_text("{")
    monkeypatch.setattr(logging.getLogger("latentbench"), "propagate", True)
    with caplog.at_level(logging.WARNING, "latentbench"):
        assert [report.run_id for report in latentbench.reports(outputs)] == [RUN_ID]
    assert str(folder / "manifest.json") in caplog.text


def test_a_table_that_is_not_there(outputs: Path) -> None:
    (report,) = latentbench.reports(outputs)
    with pytest.raises(UnknownNameError, match=f"table of run {RUN_ID} named 'score'. Did you mean 'scores'"):
        report.table("score")


def test_no_outputs_folder_is_not_no_runs(outputs: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert latentbench.reports(tmp_path / "new") == []
    with pytest.raises(StageError, match="No folder .*outputz"):
        latentbench.reports(tmp_path / "outputz")
    with pytest.raises(StageError, match="name the folder above"):
        latentbench.reports(outputs / "reports")


# Runs


def test_a_run_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "compute", lambda *_, **__: 30)
    with pytest.raises(StageError, match=r"exit code 30.*same call continues"):
        latentbench.run(profile="smoke", methods="noop", outputs=tmp_path)


def test_a_run_outside_the_main_thread_is_refused(tmp_path: Path) -> None:
    found = []

    def start() -> None:
        with pytest.raises(StageError, match="main thread"):
            latentbench.run(profile="smoke", methods="noop", outputs=tmp_path)
        found.append(True)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert found and not list(tmp_path.iterdir())
