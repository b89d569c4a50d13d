"""What deploy/ starts exists, with these options, and the files agree with each other."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from pipeline.settings.file import LUIGI, SECTIONS
from tasks.cli import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def options_of(verb: str) -> set[str]:
    """The options of a verb of the command line."""
    command: Any = get_command(app)
    return {name for parameter in command.commands[verb].params for name in parameter.opts}


def check_command(words: list[str]) -> None:
    """Assert that a command line of ours names a verb and options that it has."""
    place = next(index for index, word in enumerate(words) if Path(word).parts[-2:] == ("bin", "latentbench"))
    verb, *rest = words[place + 1 :]
    asked = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert asked <= options_of(verb), words


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text())
    return parser


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_service_starts_what_there_is(path: Path) -> None:
    service = unit(path)["Service"]
    words = shlex.split(service["ExecStart"])
    if words[0].endswith("bin/latentbench"):
        check_command(words)
    else:
        assert words[0].endswith("luigid") and "127.0.0.1" in words
    assert service["User"] == "latentbench"


def test_units_name_each_other() -> None:
    names = {path.name for path in (DEPLOY / "systemd").iterdir()}
    night = unit(DEPLOY / "systemd" / "latentbench-nightly.service")
    assert night["Unit"]["OnFailure"] in names and "latentbench-nightly.timer" in names
    assert night["Service"]["SuccessExitStatus"].split() == ["1", "10"], "a regression is no failure of the machine"
    timer = unit(DEPLOY / "systemd" / "latentbench-nightly.timer")["Timer"]
    assert timer["OnCalendar"].endswith("UTC") and timer["Persistent"] == "true"


def test_the_crontab_has_one_line_that_runs_a_night() -> None:
    lines = (DEPLOY / "crontab").read_text().splitlines()
    (line,) = [line for line in lines if re.match(r"[\d*]", line)]
    assert len(line.split()[:5]) == 5 and "%" not in line, "cron takes % for a line break"
    first, _, second = line.partition(">>")
    check_command(shlex.split(first))
    check_command(shlex.split(second.rpartition("||")[2]))


def test_luigid_keeps_a_history_in_sections_that_are_not_ours() -> None:
    parser = configparser.ConfigParser()
    parser.read(DEPLOY / "luigid" / "luigid.cfg")
    assert parser.getboolean("scheduler", "record_task_history")
    assert parser["task_history"]["db_connection"].startswith("sqlite:////var/lib/luigid/")
    assert not {*parser.sections()} & {*SECTIONS, *LUIGI}


def manifests() -> dict[str, dict[str, Any]]:
    """The manifests for Kubernetes, by kind."""
    paths = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    documents = [document for path in paths for document in yaml.safe_load_all(path.read_text())]
    return {document["kind"]: document for document in documents}


def test_kubernetes_workers_offer_what_a_run_asks_for() -> None:
    cluster, job = manifests()["DaskCluster"], manifests()["CronJob"]["spec"]["jobTemplate"]["spec"]
    (worker,) = cluster["spec"]["worker"]["spec"]["containers"]
    assert "GPU=1" in worker["args"] and worker["args"][worker["args"].index("--nthreads") + 1] == "1"
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "1"
    (night,) = job["template"]["spec"]["containers"]
    check_command(["bin/latentbench", *night["args"]])
    (scheduler,) = cluster["spec"]["scheduler"]["spec"]["containers"]
    assert night["image"] == worker["image"] == scheduler["image"], "workers need the very same code"
    mounts = [each["mountPath"] for each in (*worker["volumeMounts"], *night["volumeMounts"])]
    assert mounts == ["/outputs", "/outputs"], "all see the outputs under one path"
    assert f"tcp://{cluster['metadata']['name']}-scheduler:8786" in " ".join(night["args"])


def test_only_the_night_and_the_cluster_reach_the_scheduler() -> None:
    policy, cluster = manifests()["NetworkPolicy"]["spec"], manifests()["DaskCluster"]
    labels = {"dask.org/cluster-name": cluster["metadata"]["name"]}
    assert policy["podSelector"]["matchLabels"] == labels and policy["policyTypes"] == ["Ingress"]
    template = manifests()["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]
    sources = [
        source["podSelector"]["matchLabels"] for source in policy["ingress"][0]["from"] if "podSelector" in source
    ]
    assert sources == [labels, template["metadata"]["labels"]]


def test_the_container_copies_what_the_wheel_is_made_of() -> None:
    """A folder that is forgotten is found by nobody before the image is built."""
    text = (DEPLOY / "container" / "Containerfile").read_text()
    copied = {name for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.M) for name in line.split()[:-1]}
    wheel = re.findall(r"^only-include = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.M)[0]
    assert {name.strip(' "') for name in wheel.split(",")} <= copied
    assert {"pyproject.toml", "constraints.txt", "luigi.cfg", "README.md", "LICENSE", "NOTICE"} <= copied
    assert re.search(r"^USER \d+$", text, re.M), "not root"
