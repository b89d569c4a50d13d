"""Every path that the command line takes: `~` is the home directory, for all verbs alike."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from typer.testing import CliRunner

from tasks.base import RunTask
from tasks.cli import app, status
from tasks.cli.verb_table import OF_METHODS, VERBS
from tasks.paths import at_home

ROOT = Path(__file__).parents[2]


def of_function(verb: str, function: Any) -> Iterator[tuple[str, Any]]:
    """Name and declaration of every parameter of a verb that holds a path."""
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        hint = parameter.annotation
        kinds, *declared = get_args(hint) or (hint,)
        if kinds is Path or Path in get_args(kinds):
            yield f"{verb} {name}", declared[0]


def of_group(group: typer.Typer) -> Iterator[tuple[str, Any]]:
    """The same of a group of verbs."""
    for verb in group.registered_commands:
        assert verb.callback is not None
        yield from of_function(verb.callback.__name__, verb.callback)
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from of_group(inner.typer_instance)


def path_options() -> Iterator[tuple[str, Any]]:
    """The same of all verbs."""
    for verb in (*VERBS, *OF_METHODS):
        module, _, name = verb.home.partition(":")
        target = getattr(import_module(module), name)
        yield from of_group(target) if isinstance(target, typer.Typer) else of_function(verb.name, target)


def test_every_path_is_expanded() -> None:
    found = dict(path_options())
    assert len(found) > 20 and {"run outputs", "invert to", "invert photos", "train labels"} <= set(found)
    assert [name for name, declared in found.items() if declared.callback is not at_home] == []


def test_one_path_several_and_none() -> None:
    home = Path("~").expanduser()
    assert at_home(Path("~/a")) == home / "a" and at_home(None) is None
    assert at_home((Path("~/a"), Path("b"))) == [home / "a", Path("b")]


def test_the_outputs_folder_is_expanded_wherever_it_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "results" / "reports" / "run_id=broken").mkdir(parents=True)
    told = CliRunner().invoke(app, ["status", "--outputs=~/results"])
    assert told.exit_code == 0 and f"{tmp_path / 'results'}: 0 reports" in told.output.replace("\n", "")
    assert RunTask(outputs="~/results").settings.outputs == tmp_path / "results"
    assert RunTask(changes={"latentbench.outputs": "~/results"}).settings.outputs == tmp_path / "results"


def test_a_folder_that_no_run_can_write_is_refused_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "file").touch()
    for verb in ("status", "report", "plan", "run"):
        told = CliRunner().invoke(app, [verb, "--outputs", str(tmp_path / "file" / "below")])
        assert told.exit_code == 2 and "is a file" in told.output and "Traceback" not in told.output, verb
    (tmp_path / "reports").touch()
    chosen = ["--profile", "smoke", "--method", "noop", "--attribute", "age", "--outputs", str(tmp_path)]
    assert "expected a folder, found another kind of file" in CliRunner().invoke(app, ["plan", *chosen]).output
    told = CliRunner().invoke(app, ["run", *chosen])
    assert told.exit_code == 2 and "Nothing was computed" in told.output and not (tmp_path / "stages").exists()


def test_a_file_that_nobody_foresaw_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder / "somewhere"))

    monkeypatch.setattr(status, "find_stages", refuse)
    told = CliRunner().invoke(app, ["status", "--outputs", str(tmp_path)])
    assert told.exit_code == 2 and f"{tmp_path}/somewhere: Permission denied." in told.output.replace("\n", "")
