"""The commands of the tutorial and of the page on results run; where one would compute for minutes, its plan does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasks.cli import app
from tests.builders import random_run

ROOT = Path(__file__).parents[1]
PAGES = ("docs/tutorial/first-run.md", "docs/howto/read-results.md")
RUN_ID = "20261120T031500Z-1a2b3c4d"
WITHOUT_TRAINED_METHODS = {"show"}  # the published run of numbers has none; tests/tasks/cli/test_showing.py runs it


def commands() -> list[str]:
    """Every `latentbench` line of the pages' blocks, without comments, quoted line breaks included."""
    found = []
    for page in PAGES:
        blocks = "\n".join(re.findall(r"^    .*$", (ROOT / page).read_text(), re.M))
        found += re.findall(r'^ {4}latentbench ((?:"[^"]*"|[^"\n#])+)', blocks, re.M)
    return list(dict.fromkeys(command.strip() for command in found))


def test_there_are_commands_to_run() -> None:
    assert {command.split()[0] for command in commands()} >= {"run", "plan", "query", "compare", "status", "report"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with outputs/ of one published run; the commands that run here write nothing."""
    path = tmp_path_factory.mktemp("tutorial")
    random_run.publish_folder(path / "outputs", RUN_ID, random_run.tables(RUN_ID))
    return path


@pytest.mark.parametrize("command", commands())
def test_it_runs(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verb, *options = shlex.split(command)
    if verb in WITHOUT_TRAINED_METHODS:
        verb, options = "help", [verb]
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(app, ["plan" if verb == "run" else verb, *options])
    assert result.exit_code == 0, result.output
    assert verb != "query" or "interfacegan" in result.output  # the question has an answer
