"""The command line: its verbs, its errors, its exit codes, and that it never loads torch."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from pipeline.attributes import NAMES
from pipeline.chain.links import Chain, Link
from pipeline.errors import StageError, TrainingDivergedError
from pipeline.methods import registry
from pipeline.metrics import base as metrics
from pipeline.settings.settings import Settings
from pipeline.storage.runs import run_stage
from pipeline.storage.stages import building, is_complete
from pipeline.storage.unfinished import find_unfinished
from pipeline.tables.schemas import PUBLISHED
from tasks.cli import app
from tasks.cli.options import request
from tests.builders import random_run
from tests.builders.random_run import publish_folder

ROOT = Path(__file__).parents[2]
RUN = ("--profile", "smoke", "--method", "noop", "--attribute", "age")
VERBS = (
    "run",
    "nightly",
    "plan",
    "status",
    "gc",
    "invert",
    "report",
    "show",
    "demo",
    "compare",
    "query",
    "export",
    "methods",
    "attributes",
    "metrics",
    "protocols",
    "domains",
    "doctor",
    "weights",
)


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("LUIGI_CONFIG_PATH", raising=False)


def latentbench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def chain(outputs: Path) -> Chain:
    return request(profile="smoke", methods=["noop"], attributes=["age"], outputs=outputs).chain


def publish(link: Link, settings: Settings) -> None:
    """An empty but published stage."""
    with building(link.stage, settings) as builder:
        builder.publish([])


# Names and settings


@pytest.mark.parametrize("verb", [*VERBS, "invalidate", "scorer", "synthface"])
def test_help_explains(verb: str) -> None:
    result = latentbench(verb, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def verbs(group: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Every verb, as it is typed."""
    for name, command in group.commands.items():
        yield (*path, name)
        if hasattr(command, "commands"):
            yield from verbs(command, *path, name)


def test_examples_are_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    found = 0
    for verb in verbs(get_command(app)):
        lines = [line.strip() for line in latentbench(*verb, "--help").stdout.splitlines()]
        if "Examples:" in lines:
            examples = [line for line in lines[lines.index("Examples:") + 1 :] if line.startswith("latentbench ")]
            assert examples, verb
            assert all(line.count("latentbench ") == 1 for line in examples), examples
            found += len(examples)
    assert found > 20


def test_the_version_has_a_short_option() -> None:
    assert latentbench("-V").stdout == latentbench("--version").stdout != ""


def test_help_is_a_verb_too() -> None:
    assert latentbench("help", "weights", "list").stdout == latentbench("weights", "list", "--help").stdout
    assert latentbench("help").stdout == latentbench("--help").stdout
    assert latentbench("help", "plam").exit_code == 2


def test_an_empty_outputs_folder_is_not_the_working_folder() -> None:
    result = latentbench("plan", "--outputs", "")
    assert result.exit_code == 2 and "expected a folder, found nothing" in result.stderr


@pytest.mark.parametrize("option", ["--method", "--attribute"])
@pytest.mark.parametrize("value", ["", " ", ","])
def test_an_empty_name_does_not_mean_all(option: str, value: str) -> None:
    result = latentbench("plan", option, value)
    assert result.exit_code == 2 and f"{option} {value!r}: expected a name" in result.stderr


@pytest.mark.parametrize(
    ("verb", "key", "names"),
    [
        ("methods", "method", registry.names()),
        ("attributes", "attribute", NAMES),
        (
            "protocols",
            "protocol",
            ("l2l-2022", "matched-change-1", "rates-1", "consistency-1", "locality-1", "llf-2026"),
        ),
        ("metrics", "metric", metrics.names()),
        ("domains", "domain", ("synthface", "ffhq", "photoface")),
    ],
)
def test_listings(verb: str, key: str, names: tuple[str, ...]) -> None:
    rows = json.loads(latentbench(verb, "--json").stdout)
    assert [row[key] for row in rows] == list(names)
    shown = latentbench(verb).stdout
    assert all(name in shown for name in names)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "--method", "interfacegam"), "'interfacegan'"),
        (("run", "--domain", "sinthface"), "'synthface'"),
        (("plan", "--profile", "smok"), "'smoke'"),
        (("plan", "--attribute", "beerd"), "'beard'"),
        (("run", *RUN, "--set", "protocol.sead=1"), "'seed'"),
        (("plan", "--set", "protocl.seed=1"), "'protocol'"),
        (("plan", "--profile", "smoke", "--set", "method.interfacegan.chozen=0.1"), "'chosen'"),
        (("invalidate", "--from", "score", "--yes"), "'scores'"),
        (("invalidate", "--from", "train", "--method", "nop", "--yes"), "'noop'"),
    ],
)
def test_an_unknown_name_gets_the_closest_known_one(arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    result = latentbench(*arguments, "--outputs", tmp_path)
    assert result.exit_code == 2
    assert f"Did you mean {told}?" in result.stderr
    assert not result.stdout and "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_an_unknown_verb_gets_the_closest_known_one() -> None:
    result = latentbench("plam")
    assert result.exit_code == 2
    assert "plan" in result.stderr


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("protocol.seed=-3", "[protocol] seed: expected a whole number"),
        ("profile.smoke.n_steps=1", "[profile.smoke] n_steps: expected a whole number from 2"),
        ("machine.shard_size=1000", "a multiple of 256, found '1000'"),
        ("method.interfacegan.c=soft", "[method.interfacegan] c: expected a number"),
        ("seed=1", "expected SECTION.KEY=VALUE"),
        ("protocol.seed", "expected SECTION.KEY=VALUE"),
    ],
)
def test_a_wrong_setting_is_named(change: str, told: str, tmp_path: Path) -> None:
    result = latentbench("run", "--profile", "smoke", "--set", change, "--outputs", tmp_path)
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_wrong_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.cfg"
    path.write_text((ROOT / "luigi.cfg").read_text().replace("found_share = 0.95", "found_share = 95"))
    monkeypatch.setenv("LUIGI_CONFIG_PATH", str(path))
    result = latentbench("plan")
    assert result.exit_code == 2
    assert f"{path}: [protocol] found_share: expected a number from 0 to 1, found '95'" in result.stderr


# Plan, status, invalidate


def test_plan_tells_what_is_there(tmp_path: Path) -> None:
    links = chain(tmp_path).links
    publish(links[0], chain(tmp_path).settings)
    plan = json.loads(latentbench("plan", *RUN, "--outputs", tmp_path, "--json").stdout)
    assert [row["title"] for row in plan["stages"]] == [link.title for link in links]
    assert [row["state"] for row in plan["stages"]] == ["there"] + ["to compute"] * (len(links) - 1)
    assert plan["report"] is None
    shown = latentbench("plan", *RUN, "--outputs", tmp_path).stdout
    assert f"{len(links) - 1} of {len(links)} stages to compute" in shown


def test_plan_estimates_from_measured_rates(tmp_path: Path) -> None:
    rates = {"cpu-2x1": {"synthface/labels train": {"seconds": 0.5, "unit": "images", "units": 10, "when": "2026"}}}
    (tmp_path / "rates.json").write_text(json.dumps(rates))
    plan = json.loads(latentbench("plan", *RUN, "--outputs", tmp_path, "--json").stdout)
    labels = next(row for row in plan["stages"] if row["title"] == "labels train")
    assert labels["seconds"] == pytest.approx(0.5 * labels["units"])
    assert plan["seconds"] == labels["seconds"]
    assert "labels train" not in plan["without_measured_rate"]


def test_dry_run_computes_nothing(tmp_path: Path) -> None:
    result = latentbench("run", *RUN, "--outputs", tmp_path, "--dry-run")
    assert result.exit_code == 0 and "to compute" in result.stdout
    assert not list(tmp_path.iterdir())


def test_status_tells_finished_running_and_interrupted(tmp_path: Path) -> None:
    made = chain(tmp_path)
    publish(made.links[0], made.settings)
    assert "latents train" in latentbench("status", "--outputs", tmp_path).stdout
    with building(made.links[1].stage, made.settings):
        shown = latentbench("status", "--outputs", tmp_path).stdout
        assert f"running {made.links[1].title} by process {os.getpid()}" in shown
        (running,) = json.loads(latentbench("status", "--outputs", tmp_path, "--json").stdout)["unfinished"]
        assert running["holder"].startswith(f"process {os.getpid()} on ")
    assert "running" not in latentbench("status", "--outputs", tmp_path).stdout


def test_invalidate_asks_and_removes_what_follows(tmp_path: Path) -> None:
    made = chain(tmp_path)
    for link in made.links:
        publish(link, made.settings)
    arguments = ("invalidate", "--from", "edits", "--profile", "smoke", "--outputs", tmp_path)
    arguments += ("--set", "latentbench.methods=noop", "--set", "protocol.attributes=age")
    refused = latentbench(*arguments)
    assert refused.exit_code == 1 and "--yes" in refused.stderr
    assert all(is_complete(link.stage, tmp_path) for link in made.links)
    assert latentbench(*arguments, "--yes").exit_code == 0
    gone = {link.title for link in made.links if not is_complete(link.stage, tmp_path)}
    assert gone == {"edits noop", "gallery noop", "scores noop"}
    assert "Nothing to remove" in latentbench(*arguments, "--yes").stdout


# Run: what happens when a stage does not succeed


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Stages that publish nothing but their manifest, and fail as this dictionary says by title."""
    errors: dict[str, Any] = {}

    def compute(link: Link, settings: Settings) -> None:
        if link.title in errors:
            raise errors[link.title]
        publish(link, settings)

    made_by_chain = Chain.link

    def made(self: Chain, kind: str, *names: str) -> Link:
        link = made_by_chain(self, kind, *names)
        return replace(link, run=partial(compute, link, self.settings))

    def calibrate_all(self: Chain, method: str, attributes: list[str]) -> None:
        for attribute in attributes:
            self.link("range", method, attribute).run()

    monkeypatch.setattr(Chain, "link", made)
    monkeypatch.setattr(Chain, "calibrate_all", calibrate_all)
    yield errors


def test_stages_are_computed_in_the_order_of_the_chain(links: dict[str, Any], tmp_path: Path) -> None:
    links["rescoring noop"] = StageError("The last one.")
    result = latentbench("run", *RUN, "--verbose", "--outputs", tmp_path)
    titles = [link.title for link in chain(tmp_path).links]
    told = [line for line in result.stderr.splitlines() if line in titles]
    assert told == [title for title in titles if not title.startswith("range")]


def test_a_pipe_gets_no_line_of_stages_while_they_are_computed(links: dict[str, Any], tmp_path: Path) -> None:
    links["rescoring noop"] = StageError("The last one.")
    result = latentbench("run", *RUN, "--outputs", tmp_path)
    first, failed, rest = re.split(r"^(?=failed |Not complete)", result.stderr, flags=re.MULTILINE)
    assert first.startswith("Domain synthface") and len(first.splitlines()) <= 2, "a long path is on a line of its own"
    assert failed.startswith("failed rescoring noop") and len(failed.splitlines()) == 1
    assert rest.startswith("Not complete.") and len(rest.splitlines()) == 1
    assert [line.split()[0] for line in result.stdout.splitlines()][-1] == "whole" and "\x1b" not in result.stdout


def test_a_failed_stage_is_told_without_a_trace(links: dict[str, Any], tmp_path: Path) -> None:
    links["train noop"] = TrainingDivergedError("The loss became NaN at step 3.")
    result = latentbench("run", *RUN, "--outputs", tmp_path)
    assert result.exit_code == 30  # [retcode] task_failed
    assert "failed train noop: The loss became NaN at step 3." in result.stderr
    assert "Traceback" not in result.stderr and "continues" in result.stderr
    assert result.stderr.count("NaN") == 1  # not tried again and again
    made = chain(tmp_path)
    assert is_complete(made.link("latents", "reference").stage, tmp_path)  # what does not need it is computed
    assert not is_complete(made.link("edits", "noop").stage, tmp_path)


def test_outputs_that_vanish_are_told_without_a_trace(links: dict[str, Any], tmp_path: Path) -> None:
    class RemovedError(StageError):
        """Raising it removes every stage, as somebody else might."""

        def __init__(self) -> None:
            shutil.rmtree(tmp_path / "stages")
            super().__init__("Cannot write: No such file or directory.")

    links["labels train"] = RemovedError
    result = latentbench("run", *RUN, "--outputs", tmp_path)
    assert result.exit_code == 30 and "Traceback" not in result.stderr
    assert "failed labels faces: A stage that it reads was there and is not any more" in result.stderr


def test_an_error_of_ours_shows_its_trace(links: dict[str, Any], tmp_path: Path) -> None:
    links["labels train"] = ZeroDivisionError("of all things")
    result = latentbench("run", *RUN, "--outputs", tmp_path)
    assert result.exit_code == 30
    assert "Traceback" in result.stderr and "of all things" in result.stderr


def test_a_failure_is_remembered_for_status(links: dict[str, Any], tmp_path: Path) -> None:
    made = chain(tmp_path)
    made.link("train", "noop").stage.folder(tmp_path).mkdir(parents=True)
    (made.link("train", "noop").stage.folder(tmp_path) / ".lock").touch()
    links["train noop"] = StageError("Disk full.")
    latentbench("run", *RUN, "--outputs", tmp_path)
    (failed,) = find_unfinished(tmp_path)
    assert (failed.title, failed.error) == ("train noop", "Disk full.")
    assert "failed train noop" in latentbench("status", "--outputs", tmp_path).stdout


def test_interruption_is_told(links: dict[str, Any], tmp_path: Path) -> None:
    links["train noop"] = KeyboardInterrupt()
    result = latentbench("run", *RUN, "--outputs", tmp_path)
    assert result.exit_code == 130
    assert "the same command continues" in result.stderr


def test_the_same_run_twice_at_a_time_says_so(links: dict[str, Any], tmp_path: Path) -> None:
    settings = chain(tmp_path).settings
    with building(run_stage(settings), settings):
        result = latentbench("run", *RUN, "--outputs", tmp_path)
    assert result.exit_code == 10  # [retcode] already_running
    assert f"the very same run is being computed by process {os.getpid()} on" in result.stderr.lower()
    assert "continues" not in result.stderr
    assert not list(tmp_path.glob("stages/*/*/manifest.json"))


def test_a_stage_that_another_run_computes_is_told(links: dict[str, Any], tmp_path: Path) -> None:
    made = chain(tmp_path)
    with building(made.link("train", "noop").stage, made.settings):
        result = latentbench("run", *RUN, "--set", "machine.lock_wait=0", "--outputs", tmp_path)
    assert result.exit_code == 10
    assert f"train noop is being computed by process {os.getpid()}" in result.stderr


def test_luigis_own_command_line_fails_with_a_code(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "luigi", "--module", "tasks", "Evaluation", "--profile", "smoky"]
    command += ["--local-scheduler", "--no-lock", "--outputs", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 35  # [retcode] scheduling_error
    assert "Did you mean 'smoke'?" in done.stderr


# Torch


def test_verbs_that_do_not_compute_never_load_torch(tmp_path: Path) -> None:
    verbs = [["plan", *RUN], ["status"], ["report"], ["query", "SELECT 1"], ["compare", "a", "b"], ["doctor"]]
    verbs += [["export", str(tmp_path / "all.duckdb")]]
    verbs += [[verb] for verb in ("methods", "attributes", "metrics", "domains")]
    verbs = [
        verb if verb[0] in ("methods", "attributes", "metrics", "domains") else [*verb, "--outputs", str(tmp_path)]
        for verb in verbs
    ]
    code = f"""
import sys
from typer.testing import CliRunner
from tasks.cli import app
for verb in {verbs!r}:
    CliRunner().invoke(app, verb)
    loaded = [name for name in ("torch", "torchvision", "lpips", "cleanfid", "facenet_pytorch") if name in sys.modules]
    assert not loaded, (verb, loaded)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# Results


def test_a_damaged_run_is_not_printed(tmp_path: Path) -> None:
    run_id = "20261120T031500Z-1a2b3c4d"
    folder = publish_folder(tmp_path, run_id, random_run.tables(run_id))
    assert latentbench("report", "--outputs", tmp_path).exit_code == 0
    path = folder / "scores.parquet"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    for arguments in ((), ("--format", "markdown")):
        result = latentbench("report", *arguments, "--outputs", tmp_path)
        assert result.exit_code == 2 and "another sha256" in result.stderr and not result.stdout


def test_report_prints_one_table_by_its_name_and_lists_names_for_none_or_an_unknown_one(tmp_path: Path) -> None:
    random_run.publish_folder(tmp_path, "20261120T031500Z-1a2b3c4d", random_run.whole())
    one = latentbench("report", "--table", "attribute_change", "--outputs", tmp_path)
    assert one.exit_code == 0 and "Attribute change" in one.stdout and "leakage" not in one.stdout
    for arguments in (["--table", "--outputs", tmp_path], ["--outputs", tmp_path, "--table"]):
        listed = latentbench("report", *arguments)
        assert listed.exit_code == 0 and "\nattribute_change " in listed.stdout
    unknown = latentbench("report", "--table", "attribute_chang", "--outputs", tmp_path)
    assert unknown.exit_code == 2 and not unknown.stdout
    assert "Did you mean 'attribute_change'?" in unknown.stderr and "\nquality " in unknown.stderr


def test_where_no_run_was_found_is_said_for_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = latentbench("report")
    assert result.exit_code == 2 and str(tmp_path / "outputs" / "reports") in result.stderr
    run_id = "20261120T031500Z-1a2b3c4d"
    publish_folder(tmp_path / "outputs", run_id, random_run.tables(run_id))
    assert "--outputs outputs" in latentbench("report", "--outputs", "outputs/reports").stderr


def test_the_help_of_query_names_every_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = " ".join(latentbench("query", "--help").stdout.replace("│", " ").split())
    assert PUBLISHED
    assert all(re.search(rf"\b{name}\b", shown.partition("One SELECT over")[2]) for name in PUBLISHED)
