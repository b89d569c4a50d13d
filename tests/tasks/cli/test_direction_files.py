"""Direction files on the command line: what is planned, written and refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tasks.cli import app


def latentbench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vectors").mkdir()
    np.save(tmp_path / "vectors/age.npy", np.ones((1, 512), np.float32))
    return tmp_path / "vectors"


def test_a_file_is_planned_as_a_method(folder: Path, tmp_path: Path) -> None:
    run = ("--profile", "smoke", "--method", f"file:mine={folder}", "--outputs", tmp_path)
    planned = latentbench("plan", *run, "--attribute", "age")
    assert planned.exit_code == 0 and "train mine" in planned.stdout
    refused = latentbench("plan", *run)
    assert refused.exit_code == 2 and "no direction for baldness" in refused.stderr
    refused = latentbench("plan", *run, "--attribute", "age", "--set", "method.file.mine.layers=0-10")
    assert refused.exit_code == 2 and "command line and" in refused.stderr and "from 0 to 9" in refused.stderr


def test_directions_are_written_of_a_trained_method_alone(folder: Path, tmp_path: Path) -> None:
    refused = latentbench(
        "methods", "directions", f"file:mine={folder}", tmp_path / "out", "--attribute", "age", "--outputs", tmp_path
    )
    assert refused.exit_code == 2 and "mine is not trained" in refused.stderr
    assert not (tmp_path / "out").exists()
