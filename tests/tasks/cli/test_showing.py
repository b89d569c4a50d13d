"""`latentbench show` and `demo`: what they write and serve, what they say, and what they refuse."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from pipeline.domains import base
from pipeline.showing.demo import server
from pipeline.storage.files import leftovers
from tasks.cli import app
from tests.builders.trained_runs import RUN_ID, publish_run
from tests.worlds import px16
from tests.worlds.px16 import scene_settings


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    patch = pytest.MonkeyPatch()
    patch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")
    settings = scene_settings(tmp_path_factory.mktemp("scenes"))
    publish_run(settings)
    yield settings.outputs
    patch.undo()


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def show(outputs: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["show", *arguments, "--outputs", str(outputs)])


def test_one_file_by_default_and_the_source_of_its_pictures_is_said(outputs: Path) -> None:
    done = show(outputs, "random", "noop", "age", "--face", "2")
    assert done.exit_code == 0, done.stderr
    assert "stored in the run's gallery" in done.stdout and "again" not in done.stdout
    assert os.listdir() == ["random-noop-age-face2.png"]
    assert Image.open("random-noop-age-face2.png").format == "PNG"
    done = show(outputs, "random", "age", "--face", "5", "--animate")
    assert "generated again from the trained method" in done.stdout
    assert Image.open("random-age-face5.webp").n_frames == 8  # five steps, to and fro


def test_a_file_that_is_there_is_kept(outputs: Path) -> None:
    Path("mine.png").write_text("mine")
    refused = show(outputs, "random", "age", "--to", "mine.png")
    assert refused.exit_code == 2 and "--force" in refused.stderr
    assert Path("mine.png").read_text() == "mine"
    assert show(outputs, "random", "age", "--to", "mine.png", "--force").exit_code == 0
    assert Image.open("mine.png").format == "PNG"


def test_a_file_that_cannot_be_written_leaves_nothing(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    refused = show(outputs, "random", "age")
    assert refused.exit_code == 2 and "No space left" in refused.stderr
    assert os.listdir() == leftovers(Path()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("randum", "age"), "'random'"),
        (("random", "ages"), "'age'"),
        (("random", "age", "--face", "6"), "0 to 5"),
        (("random", "age", "--run", "2025"), RUN_ID),
        (("random", "age", "--to", "x.jpg"), ".png or .webp"),
        (("random", "age", "--to", "x.gif"), "--animate"),
        (("random", "age", "--to", "x.png", "--animate"), ".webp or .gif"),
        (("random", "age", "--to", "nowhere/x.png"), "nowhere"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(outputs: Path, arguments: tuple[str, ...], said: str) -> None:
    refused = show(outputs, *arguments)
    assert refused.exit_code == 2 and said in refused.stderr, refused.output
    assert os.listdir() == []


def test_the_picture_is_opened(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))
    assert show(outputs, "noop", "age", "--open").exit_code == 0
    assert opened == [Path("noop-age-face0.png").absolute().as_uri()]


def demo(outputs: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["demo", *arguments, "--outputs", str(outputs)])


def test_the_demo_says_where_its_page_is_and_ends_with_ctrl_c(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []

    async def serve(editing: Any, port: int, ready: Any) -> None:
        served.extend((editing.facts["run"], port))
        ready("http://127.0.0.1:8000/")
        raise KeyboardInterrupt

    opened: list[str] = []
    monkeypatch.setattr(server, "serve", serve)
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))
    done = demo(outputs, "--port", "8000", "--open")
    assert done.exit_code == 0, done.stderr
    assert served == [RUN_ID, 8000] and opened == ["http://127.0.0.1:8000/"]
    assert "http://127.0.0.1:8000/" in done.stdout and "noop, random" in done.stdout


def test_a_domain_without_a_run_and_a_run_of_another_domain(outputs: Path) -> None:
    for verb, names in ((show, ("random", "age")), (demo, ())):
        refused = verb(outputs, *names, "--domain", "photoface", "--run", RUN_ID)
        assert refused.exit_code == 2 and "is of domain scenes" in refused.stderr
        refused = verb(outputs, *names, "--domain", "photoface")
        assert refused.exit_code == 2 and "domain with a published run" in refused.stderr
