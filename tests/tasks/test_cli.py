"""The command line: its verbs, its errors, its exit codes, and that it never loads torch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from pipeline.attributes import NAMES
from pipeline.chain.links import Chain, Link
from pipeline.methods import registry
from pipeline.metrics import base as metrics
from pipeline.settings.settings import Settings
from pipeline.storage.stages import building, is_complete
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
