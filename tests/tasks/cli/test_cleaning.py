"""`latentbench gc`: what it says, and that it removes nothing unasked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.storage.stages import Stage, building, is_complete, write_shard
from tasks.cli import app
from tasks.cli.options import request
from tests.builders.counting_stage import settings

OLD = Stage("edits", 1, {"seed": 2}, label="noop")


def gc(outputs: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["gc", "--outputs", str(outputs), *arguments])


@pytest.fixture
def current(tmp_path: Path) -> Stage:
    """A stage that luigi.cfg names for a profile that no option names; next to it lies one that nothing needs."""
    chain = request(domain="synthface", profile="full", outputs=tmp_path).chain
    stage = chain.links[0].stage
    for made in (stage, OLD):
        with building(made, settings(tmp_path)) as builder:
            builder.publish([write_shard(builder.folder, "a.bin", lambda path: path.write_bytes(b"a" * 4096))])
    return stage


def test_it_says_what_it_would_remove_and_removes_nothing_unasked(tmp_path: Path, current: Stage) -> None:
    dry = gc(tmp_path, "--older-than", "0")
    assert dry.exit_code == 1 and "--yes" in dry.stderr
    assert "edits noop" in dry.stdout and "no published run needs it" in dry.stdout
    named = json.loads(gc(tmp_path, "--older-than", "0", "--json").stdout)
    assert [entry["path"] for entry in named["remove"]] == [str(OLD.folder(tmp_path))] and not named["spare"]
    assert is_complete(OLD, tmp_path)


def test_it_removes_what_was_named_and_keeps_what_any_profile_needs(tmp_path: Path, current: Stage) -> None:
    ended = gc(tmp_path, "--older-than", "0", "--yes")
    assert ended.exit_code == 0 and "Removed 1 item" in ended.stdout
    assert not OLD.folder(tmp_path).exists() and is_complete(current, tmp_path)
    assert "Nothing to remove" in gc(tmp_path, "--older-than", "0", "--yes").stdout


def test_what_is_young_or_fits_into_a_size_stays(tmp_path: Path, current: Stage) -> None:
    for limits in ((), ("--older-than", "0", "--keep-size", "1")):
        kept = gc(tmp_path, "--yes", *limits)
        assert kept.exit_code == 0 and "Spared" in kept.stdout and is_complete(OLD, tmp_path)


def test_an_outputs_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert gc(tmp_path / "none", "--yes").exit_code == 0
    assert not (tmp_path / "none").exists()
