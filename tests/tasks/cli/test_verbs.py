"""Verbs are imported when they are used: help and light verbs load nothing heavy, and the list says what each does."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from tasks.cli import app
from tasks.cli.verb_table import OF_METHODS, VERBS
from tasks.cli.verbs import CommandTable, Verb

ROOT = Path(__file__).parents[3]
HEAVY = ("torch", "pandas", "pyarrow.compute", "scipy", "luigi", "matplotlib", "jinja2", "distributed", "duckdb", "PIL")


def loaded_by(arguments: str, folder: Path) -> list[str]:
    """The heavy modules that `latentbench ARGUMENTS` imports, in a process of its own."""
    code = f"""
import sys
from tasks.cli import main
sys.argv = ["latentbench", *{arguments.split()!r}]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(ast.literal_eval(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments", ["--help", "methods", "status", "plan --profile smoke", "attributes", "synthface factors"]
)
def test_a_light_verb_imports_nothing_heavy(arguments: str, tmp_path: Path) -> None:
    assert loaded_by(arguments, tmp_path) == []


def test_a_verb_that_reads_tables_is_seen_to_import_pandas(tmp_path: Path) -> None:
    assert "pandas" in loaded_by("report --help", tmp_path), "else the test above would find nothing"


@pytest.mark.parametrize("verb", [*VERBS, *OF_METHODS], ids=lambda verb: verb.name)
def test_the_list_says_what_the_help_of_a_verb_says_first(verb: Verb) -> None:
    command = verb.load()
    assert " ".join((command.help or "").split("\n\n")[0].split()) == verb.help
    assert command.name == verb.name


def test_every_verb_is_listed_once_and_found() -> None:
    group = get_command(app)
    names = list(group.commands)  # type: ignore[attr-defined]
    assert names == [*(verb.name for verb in VERBS), "help"] and len(set(names)) == len(names)


def test_a_group_loads_a_verb_when_it_is_asked_for() -> None:
    verbs = CommandTable(
        (Verb("none", "tasks.cli.no_such_module:none", ""),), {"there": typer.core.TyperCommand("there")}
    )
    assert list(verbs) == ["none", "there"] and "none" in verbs and verbs["there"].name == "there"
    with pytest.raises(ModuleNotFoundError):
        verbs["none"]
