"""`latentbench run` where a stage fails, is interrupted, or is computed by another run, and its messages."""

from __future__ import annotations

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
from typer.testing import CliRunner, Result

from pipeline.chain.links import Chain, Link
from pipeline.errors import StageError, TrainingDivergedError
from pipeline.settings.settings import Settings
from pipeline.storage.runs import run_stage
from pipeline.storage.stages import building, is_complete
from pipeline.storage.unfinished import find_unfinished
from tasks.cli import app
from tasks.cli.options import request

ROOT = Path(__file__).parents[2]
RUN = ("--profile", "smoke", "--method", "noop", "--attribute", "age")


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("LUIGI_CONFIG_PATH", raising=False)


def latentbench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def chain(outputs: Path) -> Chain:
    return request(profile="smoke", methods=["noop"], attributes=["age"], outputs=outputs).chain


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Stages that publish nothing but their manifest, and fail as this dictionary says by title."""
    errors: dict[str, Any] = {}

    def compute(link: Link, settings: Settings) -> None:
        if link.title in errors:
            raise errors[link.title]
        with building(link.stage, settings) as builder:
            builder.publish([])

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
