"""Options that verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from tasks.cli import options


@pytest.fixture
def asked() -> dict[str, Any]:
    """What the verb was called with."""
    return {}


def app_of(asked: dict[str, Any], *without: str) -> typer.Typer:
    """A command line of one verb that is given a run."""
    app = typer.Typer()

    @app.command()
    @options.naming_a_run(*without)
    def verb(request: options.Request, loud: Annotated[bool, typer.Option("--loud")] = False) -> None:
        asked.update(request.parameters, loud=loud)

    return app


def test_a_verb_is_given_the_run_that_its_options_name(asked: dict[str, Any], tmp_path: Path) -> None:
    line = ["--domain", "synthface", "-m", "noop", "-m", "sefa", "-a", "age", "--set", "protocol.seed=7"]
    line += ["--devices", "2", "--workers", "3", "--outputs", str(tmp_path), "--loud"]
    assert CliRunner().invoke(app_of(asked), line).exit_code == 0
    expected = options.request(
        domain="synthface",
        methods=["noop", "sefa"],
        attributes=["age"],
        changes=["protocol.seed=7"],
        devices="2",
        workers=3,
        outputs=tmp_path,
    )
    assert asked == {**expected.parameters, "loud": True}


def test_an_option_that_a_verb_goes_without_is_unknown_to_it(asked: dict[str, Any]) -> None:
    assert CliRunner().invoke(app_of(asked), ["--threads", "1"]).exit_code == 0
    assert CliRunner().invoke(app_of(asked, "threads"), ["--threads", "1"]).exit_code == 2
